"""What the daemon says, as frozen values: the rows of the socket's results and of the replica's tables.

Money is `Decimal` dollars, prices are `Decimal`, times are aware `datetime` in UTC. Reading is forgiving on purpose: an
unknown member is ignored and a missing one is None, so that a newer daemon never blanks an older window. None means
"not known" and is shown as such, never as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from shared.models import RULE_BY_ID, OrderStatus, OrderType, PositionType, Side

type Row = Mapping[str, Any]


def money(value: object) -> Decimal | None:
    """A decimal string or number as Decimal; None for what is no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def whole(value: object) -> int | None:
    """An integer given as number or text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        number = money(value)
        return int(number) if number is not None and number == int(number) else None


def moment(value: object) -> datetime | None:
    """ISO-8601 text (a `Z` or an offset; without one it is UTC) or integer microseconds as an aware UTC time."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int):
            return datetime.fromtimestamp(value / 1_000_000, UTC)
        parsed = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def text(value: object) -> str:
    """Text; None becomes empty."""
    return "" if value is None else str(value)


def flag(value: object, *, unknown: bool) -> bool:
    """A boolean, also as SQLite's 0 and 1; `unknown` for None."""
    return unknown if value is None else bool(value)


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
class Account:
    """One row of `get_accounts`."""

    account_id: int
    name: str
    login: str = ""
    balance: Decimal | None = None
    can_trade: bool | None = None
    connected: bool = False
    monitored: bool = False
    locked: bool = False
    locked_until: datetime | None = None

    @staticmethod
    def read(row: Row) -> Account | None:
        account_id = whole(row.get("account_id", row.get("id")))
        if account_id is None:
            return None
        can_trade = row.get("can_trade")
        return Account(
            account_id=account_id,
            name=text(row.get("name")) or str(account_id),
            login=text(row.get("login", row.get("username"))),
            balance=money(row.get("balance")),
            can_trade=None if can_trade is None else bool(can_trade),
            connected=flag(row.get("connected"), unknown=False),
            monitored=flag(row.get("monitored"), unknown=False),
            locked=flag(row.get("lockout"), unknown=False),
            locked_until=moment(row.get("locked_until")),
        )


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of `get_status`, less its accounts."""

    status: str
    version: str = ""
    uptime: int | None = None
    clock_suspect: bool = False
    now: datetime | None = None
    timezone: str | None = None
    memory_mb: Decimal | None = None
    cpu_percent: Decimal | None = None
    queue_depth: int | None = None
    pending_config: int = 0

    @staticmethod
    def read(row: Row) -> Health:
        reset = row.get("reset")
        zone = row.get("timezone") or (reset.get("timezone") if isinstance(reset, Mapping) else None)
        return Health(
            status=text(row.get("status")) or "starting",
            version=text(row.get("version")),
            uptime=_whole_seconds(row.get("uptime")),
            clock_suspect=flag(row.get("clock_suspect"), unknown=False),
            now=moment(row.get("now")),
            timezone=text(zone) or None,
            memory_mb=money(row.get("memory_usage_mb")),
            cpu_percent=money(row.get("cpu_usage_percent")),
            queue_depth=whole(row.get("queue_depth")),
            pending_config=whole(row.get("pending_config")) or 0,
        )


def _whole_seconds(value: object) -> int | None:
    number = money(value)
    return None if number is None else int(number)


@dataclass(frozen=True, slots=True)
class Pnl:
    """The answer of `get_pnl`: the trading day's figures in dollars. `unrealized` None: no fresh quote."""

    realized: Decimal | None = None
    unrealized: Decimal | None = None
    trade_count: int | None = None
    trading_day: str = ""
    next_reset: datetime | None = None

    @property
    def total(self) -> Decimal | None:
        """Realized plus unrealized; None while either is not known."""
        if self.realized is None or self.unrealized is None:
            return None
        return self.realized + self.unrealized

    @staticmethod
    def read(row: Row) -> Pnl:
        return Pnl(
            realized=money(row.get("realized", row.get("realized_pnl"))),
            unrealized=money(row.get("unrealized")),
            trade_count=whole(row.get("trade_count")),
            trading_day=text(row.get("trading_day")),
            next_reset=moment(row.get("next_reset")),
        )


@dataclass(frozen=True, slots=True)
class Position:
    """One open position. `size` is positive, `side` gives the direction."""

    key: int | str
    contract_id: str
    symbol: str
    name: str
    side: PositionType | None
    size: int
    average_price: Decimal | None
    unrealized: Decimal | None = None
    quote_age_ms: int | None = None
    opened_at: datetime | None = None

    @property
    def stale(self) -> bool:
        """No quote for 10 s: the unrealized figure is not to be trusted."""
        return self.quote_age_ms is None or self.quote_age_ms > 10_000

    @staticmethod
    def read(row: Row) -> Position | None:
        contract = text(row.get("contract_id"))
        key = whole(row.get("id"))
        if not contract and key is None:
            return None
        symbol = text(row.get("symbol")) or root_of(contract)
        kind = whole(row.get("type"))
        return Position(
            key=contract or str(key),
            contract_id=contract,
            symbol=symbol,
            name=text(row.get("display_name", row.get("name"))) or symbol,
            side=PositionType(kind) if kind is not None and kind in PositionType else None,
            size=whole(row.get("size")) or 0,
            average_price=money(row.get("average_price")),
            unrealized=money(row.get("unrealized")),
            quote_age_ms=whole(row.get("quote_age_ms")),
            opened_at=moment(row.get("creation_timestamp", row.get("created_at"))),
        )


@dataclass(frozen=True, slots=True)
class Order:
    """One working order."""

    order_id: int | str
    contract_id: str
    symbol: str
    name: str
    side: Side | None
    type: OrderType
    status: OrderStatus
    size: int
    filled: int = 0
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    created_at: datetime | None = None

    @staticmethod
    def read(row: Row) -> Order | None:
        order_id = whole(row.get("id", row.get("order_id")))
        if order_id is None:
            return None
        contract = text(row.get("contract_id"))
        symbol = text(row.get("symbol")) or root_of(contract)
        kind, status = whole(row.get("type")), whole(row.get("status"))
        return Order(
            order_id=order_id,
            contract_id=contract,
            symbol=symbol,
            name=text(row.get("display_name", row.get("name"))) or symbol,
            side=read_side(row.get("side")),
            type=OrderType(kind) if kind is not None and kind in OrderType else OrderType.UNKNOWN,
            status=OrderStatus(status) if status is not None and status in OrderStatus else OrderStatus.NONE,
            size=whole(row.get("size")) or 0,
            filled=whole(row.get("fill_volume", row.get("filled_size"))) or 0,
            limit_price=money(row.get("limit_price")),
            stop_price=money(row.get("stop_price")),
            trail_price=money(row.get("trail_price")),
            created_at=moment(row.get("creation_timestamp", row.get("created_at"))),
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of the day. `pnl` None: an opening fill."""

    trade_id: int
    contract_id: str
    symbol: str
    side: Side | None
    size: int
    price: Decimal | None
    pnl: Decimal | None
    fees: Decimal | None
    created_at: datetime | None
    voided: bool = False

    @property
    def net(self) -> Decimal | None:
        """What the fill added to the day: P&L less fees; an opening fill costs its fees."""
        if self.pnl is None and self.fees is None:
            return None
        return (self.pnl or Decimal(0)) - (self.fees or Decimal(0))

    @staticmethod
    def read(row: Row) -> Trade | None:
        trade_id = whole(row.get("id", row.get("trade_id")))
        if trade_id is None:
            return None
        contract = text(row.get("contract_id"))
        fees, commissions = money(row.get("fees")), money(row.get("commissions"))
        return Trade(
            trade_id=trade_id,
            contract_id=contract,
            symbol=text(row.get("symbol")) or root_of(contract),
            side=read_side(row.get("side")),
            size=whole(row.get("size")) or 0,
            price=money(row.get("price")),
            pnl=money(row.get("pnl", row.get("profit_and_loss"))),
            fees=fees if commissions is None else (fees or Decimal(0)) + commissions,
            created_at=moment(row.get("created_at", row.get("creation_timestamp"))),
            voided=flag(row.get("voided"), unknown=False),
        )


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
class Rule:
    """One row of `get_rules`. `share` is the part of the limit used (0 to 1, can pass 1); None: not measured."""

    rule_id: str
    key: str
    title: str
    enabled: bool
    limit: str = ""
    value: str = ""
    share: float | None = None
    unit: str = ""
    sentence: str = ""
    locked: bool = False
    next_reset: datetime | None = None
    failed: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def read(row: Row) -> Rule | None:
        rule_id = text(row.get("rule_id"))
        if not rule_id:
            return None
        share = money(row.get("share"))
        params = row.get("params")
        return Rule(
            rule_id=rule_id,
            key=text(row.get("key")),
            title=text(row.get("title")) or text(row.get("key")) or rule_id,
            enabled=flag(row.get("enabled"), unknown=False),
            limit=text(row.get("limit")),
            value=text(row.get("value")),
            share=None if share is None else float(share),
            unit=text(row.get("unit")),
            sentence=text(row.get("sentence")),
            locked=flag(row.get("locked"), unknown=False),
            next_reset=moment(row.get("next_reset")),
            failed=flag(row.get("failed"), unknown=False),
            params=params if isinstance(params, Mapping) else {},
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

    @property
    def key(self) -> tuple[object, ...]:
        """What an event and the row that is later written for it have in common."""
        if self.action_id is not None:
            return self.account_id, self.action_id, self.triggered_at
        # The sentence of a lock's end differs between the two.
        words = "" if self.action == "lockout_cleared" else self.reason
        return self.account_id, self.action, self.rule_id, self.contract_id, self.order_id, self.triggered_at, words

    @property
    def newness(self) -> tuple[float, int]:
        """What the log is sorted by."""
        return self.triggered_at.timestamp() if self.triggered_at else 0.0, self.entry_id or 0

    @property
    def took_ms(self) -> float | None:
        """Milliseconds from the decision to the broker's confirmation; None while there is none."""
        if self.triggered_at is None or self.confirmed_at is None:
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


@dataclass(frozen=True, slots=True)
class DeskTime:
    """One stretch of `get_sessions`: when the trader came and went (last sign of him), first and last fill."""

    clock_in: datetime | None
    clock_out: datetime | None
    first_trade: datetime | None
    last_trade: datetime | None

    @staticmethod
    def read(row: Row) -> DeskTime:
        return DeskTime(
            clock_in=moment(row.get("clock_in")),
            clock_out=moment(row.get("clock_out")),
            first_trade=moment(row.get("first_trade")),
            last_trade=moment(row.get("last_trade")),
        )


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of the day's P&L curve in dollars."""

    at: datetime
    realized: Decimal
    total: Decimal | None

    @staticmethod
    def read(row: object) -> CurvePoint | None:
        if not isinstance(row, list | tuple) or len(row) < 2:
            return None
        at, realized = moment(row[0]), money(row[1])
        if at is None or realized is None:
            return None
        return CurvePoint(at, realized, money(row[2]) if len(row) > 2 else None)


def root_of(contract_id: str) -> str:
    """The symbol part of a contract id ("CON.F.US.MNQ.Z25" -> "MNQ"); the id itself when it has another form.

    Only for display where the daemon gave no symbol: ids may use other roots than names (ENQ for NQ).
    """
    parts = contract_id.split(".")
    return parts[-2] if len(parts) >= 3 else contract_id


def read_side(value: object) -> Side | None:
    """The gateway's code or the words buy and sell."""
    number = whole(value)
    if number is not None:
        return Side(number) if number in Side else None
    word = text(value).lower()
    return {"buy": Side.BUY, "sell": Side.SELL}.get(word)


def rule_title(rule_id: str) -> str:
    """A rule's title for people; the id itself when it is unknown."""
    name = RULE_BY_ID.get(rule_id)
    if name is not None:
        return name.title
    return "Manual lock" if rule_id == "MANUAL" else rule_id
