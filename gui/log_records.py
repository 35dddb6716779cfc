"""What happened: lockouts, the enforcement log, warnings, and changes of the configuration that wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gui.reading import Row, moment, root_of, text, whole


class Kind(StrEnum):
    """Kinds of lockout; `UNKNOWN` is a kind this window does not know and treats like `HARD`."""

    HARD = "hard"
    COOLDOWN = "cooldown"
    SESSION = "session"
    SYMBOL = "symbol"
    API = "api"
    MANUAL = "manual"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lockout:
    """One row of `lockouts`. `expires_at` None: until its condition ends; `cleared_at` None: active."""

    lockout_id: int
    account_id: int
    rule_id: str
    kind: Kind
    symbol: str | None
    reason: str
    locked_at: datetime | None
    expires_at: datetime | None
    cleared_at: datetime | None = None
    cleared_by: str = ""

    @staticmethod
    def read(row: Row) -> Lockout | None:
        lockout_id, account_id = whole(row.get("id")), whole(row.get("account_id"))
        if lockout_id is None or account_id is None:
            return None
        kind = text(row.get("kind"))
        return Lockout(
            lockout_id=lockout_id,
            account_id=account_id,
            rule_id=text(row.get("rule_id")),
            kind=Kind(kind) if kind in Kind else Kind.UNKNOWN,
            symbol=text(row.get("symbol")) or None,
            reason=text(row.get("reason")),
            locked_at=moment(row.get("locked_at")),
            expires_at=moment(row.get("expires_at")),
            cleared_at=moment(row.get("cleared_at")),
            cleared_by=text(row.get("cleared_by")),
        )


@dataclass(frozen=True, slots=True)
class Enforcement:
    """One row of `enforcement_log`. `result` "" means still under way.

    `entry_id` is the row's id in the log, None while the daemon has told of it but not yet written it.
    """

    entry_id: int | None
    account_id: int
    rule_id: str
    action: str
    contract_id: str
    symbol: str
    order_id: str
    size: int | None
    reason: str
    triggered_at: datetime | None
    confirmed_at: datetime | None
    attempts: int = 0
    result: str = ""
    action_id: int | None = None
    twin: int = 0
    """Tells entries of the same moment and words apart, such as two locks of one rule that end together."""

    @property
    def key(self) -> tuple[object, ...]:
        """What an event and the row that is later written for it have in common."""
        if self.action_id is not None:
            return self.account_id, self.action_id, self.triggered_at
        # The sentence of a lock's end differs between the two.
        words = "" if self.action == "lockout_cleared" else self.reason
        place = self.contract_id, self.order_id
        return self.account_id, self.action, self.rule_id, *place, self.triggered_at, words, self.twin

    @property
    def newness(self) -> tuple[float, int]:
        """What the log is sorted by."""
        return self.triggered_at.timestamp() if self.triggered_at else 0.0, self.entry_id or 0

    @property
    def took_ms(self) -> float | None:
        """Milliseconds from the decision to the broker's confirmation; None while there is none."""
        if self.triggered_at is None or self.confirmed_at is None or self.action.startswith("lockout"):
            # A lock holds from the moment it is decided.
            return None
        return (self.confirmed_at - self.triggered_at).total_seconds() * 1000

    @staticmethod
    def read(row: Row) -> Enforcement | None:
        account_id = whole(row.get("account_id"))
        if account_id is None or not row.get("action"):
            return None
        contract = text(row.get("contract_id"))
        return Enforcement(
            entry_id=whole(row.get("id")),
            account_id=account_id,
            rule_id=text(row.get("rule_id")),
            action=text(row.get("action")),
            contract_id=contract,
            symbol=text(row.get("symbol")) or root_of(contract),
            order_id=text(row.get("order_id")),
            size=whole(row.get("size")),
            reason=text(row.get("reason")),
            triggered_at=moment(row.get("triggered_at")),
            confirmed_at=moment(row.get("confirmed_at")),
            attempts=whole(row.get("attempts")) or 0,
            result=text(row.get("result")),
            action_id=whole(row.get("action_id")),
        )


@dataclass(frozen=True, slots=True)
class Warn:
    """A warning event: a rule passed 50, 75 or 90 % of its limit, or something else needs the trader's eye."""

    account_id: int
    rule_id: str
    level: int | None
    message: str
    at: datetime | None

    @staticmethod
    def read(row: Row, account_id: int | None) -> Warn | None:
        account = whole(row.get("account_id", account_id))
        message = text(row.get("text", row.get("message", row.get("reason"))))
        if account is None or not message:
            return None
        return Warn(
            account_id=account,
            rule_id=text(row.get("rule_id")),
            level=whole(row.get("level", row.get("percent"))),
            message=message,
            at=moment(row.get("at", row.get("created_at"))),
        )


@dataclass(frozen=True, slots=True)
class Pending:
    """A change of the configuration that waits; `path` as in the file ("rules.daily_realized_loss.limit")."""

    path: str
    old: str
    new: str
    effective_at: datetime | None

    def concerns(self, rule_key: str, account_id: int | None) -> bool:
        """Whether it changes a rule for an account."""
        parts = self.path.split(".")
        if parts[:1] == ["accounts"] and parts[1:2] != [str(account_id)]:
            return False
        return rule_key in parts

    @staticmethod
    def read(row: Row) -> Pending | None:
        path = text(row.get("path"))
        if not path:
            return None
        return Pending(path, _plain(row.get("old")), _plain(row.get("new")), moment(row.get("effective_at")))


def _plain(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)
