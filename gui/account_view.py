"""One account as it is known, and the words of the window's state: link, protection, changes, notices, trusted time.

Plain Python; `gui.app_state` feeds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from gui.records import (
    Account,
    CurvePoint,
    DeskTime,
    Enforcement,
    Kind,
    Lockout,
    Order,
    Pnl,
    Position,
    Row,
    Rule,
    Trade,
    Warn,
)

ENFORCEMENT_KEPT = 1_000
WARNINGS_KEPT = 200
CURVE_KEPT = 4_000
TRADES_SENT = 200
"""A list of trades of this length may be only the newest of the day."""
CURVE_STEP = timedelta(seconds=1)


class Link(StrEnum):
    """The connection to the daemon."""

    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"


class Protection(StrEnum):
    """What the tray icon says, from best to worst."""

    PROTECTED = "protected"
    WARNING = "warning"
    LOCKED = "locked"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Change:
    """Something was replaced: a topic of one account, or of everything (`account_id` None)."""

    topic: str
    account_id: int | None = None


URGENT_TOPICS = frozenset({"link", "lockouts", "enforcement", "warnings"})
"""Shown at once; all else is gathered for at most a tenth of a second."""


class NoticeKind(StrEnum):
    """What a toast is about; also the name of its sound."""

    LOCKOUT = "lockout"
    UNLOCK = "unlock"
    ENFORCEMENT = "enforcement"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the trader should be told even with the window closed."""

    kind: NoticeKind
    account_id: int
    subject: Lockout | Enforcement | Warn


class TrustedClock:
    """The daemon's trusted time, carried on with a monotonic clock (seconds). Never ahead of what was last said."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._at: datetime | None = None
        self._read_at = 0.0

    def observe(self, now: datetime | None) -> None:
        """Take over what the daemon says; None changes nothing."""
        if now is not None:
            self._at, self._read_at = now, self._monotonic()

    def now(self) -> datetime | None:
        """Trusted time now; None until the daemon has said it once."""
        if self._at is None:
            return None
        return self._at + timedelta(seconds=self._monotonic() - self._read_at)


@dataclass(slots=True)
class AccountView:
    """Everything known about one account. None: not heard yet; an empty list: heard, and there is none."""

    account: Account
    pnl: Pnl = field(default_factory=Pnl)
    positions: list[Position] | None = None
    positions_heard_at: float | None = None
    """When the positions came, in seconds of the state's own clock."""
    orders: list[Order] | None = None
    lockouts: list[Lockout] | None = None
    rules: list[Rule] | None = None
    trades: dict[int, Trade] | None = None
    curve: list[CurvePoint] = field(default_factory=list)
    desk: list[DeskTime] = field(default_factory=list)
    enforcement: dict[tuple[object, ...], Enforcement] = field(default_factory=dict)
    warnings: deque[Warn] = field(default_factory=lambda: deque(maxlen=WARNINGS_KEPT))
    last_event: datetime | None = None

    @property
    def account_id(self) -> int:
        return self.account.account_id

    @property
    def account_lockouts(self) -> list[Lockout]:
        """Lockouts of the whole account, the one that lasts longest first."""
        found = [lock for lock in self.lockouts or [] if lock.symbol is None and lock.kind is not Kind.SYMBOL]
        return sorted(found, key=_strictness, reverse=True)

    @property
    def symbol_lockouts(self) -> list[Lockout]:
        """Lockouts of one symbol each; the rest of the account is free."""
        return [lock for lock in self.lockouts or [] if lock.symbol is not None or lock.kind is Kind.SYMBOL]

    @property
    def locked(self) -> bool:
        """Whether the whole account is locked; also when the daemon says so without a reason."""
        if self.lockouts is None:
            return self.account.locked
        return bool(self.account_lockouts)

    @property
    def enforcement_log(self) -> list[Enforcement]:
        """Newest first."""
        return sorted(self.enforcement.values(), key=lambda entry: entry.newness, reverse=True)

    @property
    def unrealized(self) -> Decimal | None:
        """Dollars; None while it is not known."""
        return self.pnl.unrealized

    def begin_day(self) -> None:
        """Drop what belongs to the day that has ended; trades of the new day may have come before the day itself."""
        reset = self.pnl.next_reset
        if self.trades is not None:
            self.trades = {
                key: trade
                for key, trade in self.trades.items()
                if reset is not None and trade.created_at is not None and trade.created_at >= reset
            }
        self.curve, self.desk = [], []

    def take_trades(self, data: object) -> None:
        """The day's trades, newest first; the daemon sends the newest `TRADES_SENT` of them, a single one is added."""
        rows = rows_of(data)
        whole_day = isinstance(data, list) and len(rows) < TRADES_SENT
        if self.trades is None and not whole_day:
            # A part of the day must not pass for all of it; the list is asked for when it is looked at.
            return
        trades = {trade.trade_id: trade for trade in map(Trade.read, rows) if trade is not None}
        if whole_day:
            self.trades = trades
            return
        known = self.trades or {}
        if isinstance(data, list):
            # Within the part that was sent it is complete: what is missing there was voided.
            oldest = min(map(_place, trades.values()), default=(0.0, 0))
            known = {key: trade for key, trade in known.items() if _place(trade) < oldest}
        self.trades = {**known, **trades}

    @property
    def trades_incomplete(self) -> bool:
        """Whether the list of the day's trades is not as long as the daemon counts it: it is to be asked for again."""
        count = self.pnl.trade_count
        return self.trades is not None and count is not None and count != len(self.trades)

    def keep_entry(self, entry: Enforcement) -> bool:
        """Store an entry of the log, or what is newly known of it; whether it was not there yet."""
        if entry.action_id is None:
            entry = self._told_apart(entry)
        known = self.enforcement.get(entry.key)
        if known is not None and known.result and not entry.result:
            # A page of the log that was read before the outcome came.
            entry = known
        elif known is not None and entry.entry_id is None:
            entry = replace(entry, entry_id=known.entry_id)
        self.enforcement[entry.key] = entry
        return known is None

    def _told_apart(self, entry: Enforcement) -> Enforcement:
        """The entry as itself or as a twin: a lock's row has nothing else by which it is known.

        A row is the one that was told of before, unless another row is; two that are told of are two.
        """
        while (known := self.enforcement.get(entry.key)) is not None:
            told_before = known.entry_id is not None if entry.entry_id is None else known.entry_id is None
            if told_before or (entry.entry_id is not None and known.entry_id == entry.entry_id):
                break
            entry = replace(entry, twin=entry.twin + 1)
        return entry

    def forget_oldest(self) -> None:
        """Keep the log at its bound."""
        if len(self.enforcement) > ENFORCEMENT_KEPT:
            for entry in self.enforcement_log[ENFORCEMENT_KEPT:]:
                del self.enforcement[entry.key]

    def add_point(self, point: CurvePoint) -> None:
        """Continue the curve: one point a second, the last one always as it is now."""
        if len(self.curve) > 1 and point.at - self.curve[-1].at < CURVE_STEP:
            self.curve[-1] = replace(point, at=self.curve[-1].at)
            return
        self.curve.append(point)
        if len(self.curve) > CURVE_KEPT:
            # Every second point of the older half goes: the curve keeps its shape and its memory stays flat.
            half = CURVE_KEPT // 2
            self.curve[:half] = self.curve[:half:2]


def _place(trade: Trade) -> tuple[float, int]:
    """What the daemon orders trades by."""
    return trade.created_at.timestamp() if trade.created_at is not None else 0.0, trade.trade_id


def _strictness(lock: Lockout) -> tuple[int, int, float]:
    """Hard kinds before cooldowns, then the later end; no end is the latest."""
    end = float("inf") if lock.expires_at is None else lock.expires_at.timestamp()
    return (0 if lock.kind is Kind.COOLDOWN else 1, 1 if lock.expires_at is None else 0, end)


def rows_of(data: object) -> list[Row]:
    """The rows of a list, of {"rows": [...], "more": ...}, or one row as a list; what is no row is left out."""
    if isinstance(data, Mapping):
        return rows_of(data["rows"]) if isinstance(data.get("rows"), list) else [data]
    if isinstance(data, list | tuple):
        return [row for row in data if isinstance(row, Mapping)]
    return []
