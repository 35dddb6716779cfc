"""What a rule is: a class that looks at an account and says what must be, never does anything itself.

A rule is judged after each event of its `triggers`. Its verdicts replace those of its judgement before, so a rule
states what must hold now; `Flatten` alone is kept by the engine until the position is gone, whatever the price does
meanwhile. The same goes for what it must see of the quotes (`watch`) and when it must look again (`next_due`): both
stay as they are until the rule is judged again, so they may depend only on what it is judged on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from daemon.core.local_time import TradingDays
from daemon.core.market import total_of
from daemon.core.state import AccountState, Market, Position
from shared.models import LockoutKind

if TYPE_CHECKING:
    from daemon.core.decisions import Lockout
    from shared.config import HolidayCalendar


class Trigger(IntEnum):
    """What a rule wants to be judged on."""

    POSITIONS = 0
    ORDERS = 1
    TRADES = 2
    QUOTES = 3
    ACCOUNT = 4
    TIMER = 5


UNDER_WAY = "session"
"""Under this name an account remembers the session in which its window was changed."""


def mask_of(triggers: Iterable[Trigger]) -> int:
    """A set of triggers as bits."""
    return sum(1 << trigger for trigger in triggers)


@dataclass(slots=True)
class View:
    """What a rule may look at besides the account. `net` is the P&L basis; times are microseconds UTC.

    `contract_id`: the only contract whose position, orders or price can matter to a rule that has judged the account
    before; None: any can. `account` is the one that what is worked out once is about; `in_flight` is what
    `daemon.core.closings` has worked out for it.
    """

    market: Market
    now: int
    day_start: int
    day_end: int
    net: bool
    days: TradingDays
    calendar: HolidayCalendar
    contract_id: str | None = None
    account: AccountState | None = None
    _each: dict[str, tuple[int, int]] | None = None
    _total: tuple[int, int] | None = None
    in_flight: int | None = None

    def begin(self, account: AccountState, contract_id: str | None = None) -> None:
        """An account is to be looked at whose positions or prices may have changed: forget what was worked out."""
        self.account = account
        self.contract_id = contract_id
        self._each = self._total = self.in_flight = None

    def positions(self, account: AccountState) -> Iterable[Position]:
        """The positions to look at, for a rule that looks at each by itself: see `contract_id`."""
        if self.contract_id is None:
            return account.positions.values()
        position = account.positions.get(self.contract_id)
        return () if position is None else (position,)

    def open_pnl(self, account: AccountState) -> dict[str, tuple[int, int]]:
        """Unrealized P&L of each position that has a price, by contract id: a fraction of micro-dollars, see `Market`.

        Worked out once in each judgement of an account, for all rules.
        """
        if self.account is not account:
            self.begin(account)
        each = self._each
        if each is None:
            each = self._each = self.market.unrealized_by_contract(account.positions.values())
        return each

    def open_pnl_here(self, account: AccountState) -> Iterable[tuple[str, tuple[int, int]]]:
        """The items of `open_pnl` to look at, for a rule that looks at each position by itself: see `contract_id`."""
        each = self.open_pnl(account)
        if self.contract_id is None:
            return each.items()
        open_pnl = each.get(self.contract_id)
        return () if open_pnl is None else ((self.contract_id, open_pnl),)

    def total_open_pnl(self, account: AccountState) -> tuple[int, int]:
        """Unrealized P&L of all positions together: a fraction of micro-dollars; one without a price counts as 0."""
        if self.account is not account:
            self.begin(account)
        total = self._total
        if total is None:
            total = self._total = total_of(self.open_pnl(account).values())
        return total

    def until_text(self, at: int) -> str:
        """An instant for people, in the zone of the reset."""
        return self.days.text(at, self.now)

    def session_start(self, account: AccountState, at: int) -> int:
        """Start of the account's session that holds `at`: of its session window, else of the trading day.

        A session that was under way when the configuration changed goes on to its end: what was counted in it stays.
        """
        opening = account.sessions.current(at) if account.sessions is not None else None
        start = opening.start if opening is not None else self.day_start
        since, until = (account.memory.get(UNDER_WAY, {}).get(key) for key in ("since", "until"))
        if isinstance(since, int) and isinstance(until, int) and since <= at < until:
            start = min(start, since)
        return start

    def keep_session(self, account: AccountState) -> None:
        """The account's window is about to change: remember the session that is under way."""
        since = self.session_start(account, self.now)
        account.remember(UNDER_WAY, {"since": since, "until": self._window_until(account)})

    def session_until(self, account: AccountState) -> int:
        """When what is counted in the session of now (`session_start`) may be counted anew."""
        until, kept = self._window_until(account), account.memory.get(UNDER_WAY, {}).get("until")
        return min(until, kept) if isinstance(kept, int) and kept > self.now else until

    def _window_until(self, account: AccountState) -> int:
        """The end of the account's session window, or, between two, the begin of the next; else of the trading day."""
        opening = account.sessions.current(self.now) if account.sessions is not None else None
        following = account.sessions.following(self.now) if account.sessions is not None else None
        return opening.end if opening is not None else following.start if following is not None else self.day_end

    def realized(self, account: AccountState) -> int:
        """Realized P&L of the account's trading day on the configured basis, micro-dollars."""
        return account.realized(net=self.net)


@dataclass(slots=True)
class LockVerdict:
    """The account, or one symbol, must be locked.

    `cause` names the breach: the same rule and cause never lock twice, so a lockout that ended stays ended until
    something new happens. `baseline` None: nothing may be held; else the signed sizes that may stay. `at` is the time
    of the breach.
    `order_id`: the entry that made it; what of it is filled already counts as held, also when that is told later.
    """

    kind: LockoutKind
    cause: str
    reason: str
    expires_at: int | None
    symbol: str | None = None
    baseline: dict[str, int] | None = None
    at: int | None = None
    order_id: int | None = None


@dataclass(slots=True)
class Flatten:
    """The position of a contract must go, and its working orders with it if asked."""

    contract_id: str
    reason: str
    cancel_orders: bool = False


@dataclass(slots=True)
class Reduce:
    """At most `keep` contracts of the position's direction may stay."""

    contract_id: str
    keep: int
    reason: str


@dataclass(slots=True)
class LimitTotal:
    """Contracts of the account must come down to `limit`, last increased position first.

    `count_type`: net, gross, long or short. Judged on what is left after everything else has been closed or reduced.
    """

    limit: int
    count_type: str
    reason: str


@dataclass(slots=True)
class CancelOrder:
    """A working order must go."""

    order_id: int
    contract_id: str
    reason: str


@dataclass(slots=True)
class MoveStop:
    """A stop order's price (nanos) must be moved."""

    order_id: int
    contract_id: str
    stop_price: int
    reason: str


@dataclass(slots=True)
class ReadOrders:
    """The open orders must be read before the rule can judge."""


@dataclass(slots=True)
class Notice:
    """Something to tell people, once for each `key` and trading day."""

    key: str
    text: str
    contract_id: str | None = None


Verdict = LockVerdict | Flatten | Reduce | LimitTotal | CancelOrder | MoveStop | ReadOrders | Notice


@dataclass(slots=True)
class Gauge:
    """How near an account is to a limit. `value` and `limit` are texts with units for people; `percent` is whole, 100
    = breach.

    `percent` None: the rule has no scale. `worst` names the position or window the figures are of, if one.
    """

    value: str
    limit: str
    percent: int | None
    worst: str = ""


@dataclass(slots=True)
class Watch:
    """Unrealized P&L (micro-dollars) at or beyond which a quote must be judged; None = never."""

    loss_at: int | None = None
    gain_at: int | None = None


NO_WATCH = Watch()
EVERY_QUOTE = Watch(loss_at=1 << 60)
NOTHING: Sequence[Verdict] = ()


class Rule:
    """Base of all rules. Each account has its own. A change of the configuration makes it anew, as a restart does: what
    must outlive that is in the account's memory.
    """

    rule_id: ClassVar[str]
    key: ClassVar[str]
    triggers: ClassVar[frozenset[Trigger]]
    needs: ClassVar[frozenset[Trigger]] = frozenset()
    """Reads (POSITIONS, ORDERS, TRADES) that must have succeeded once before the rule can be judged."""

    partial: ClassVar[bool] = False
    """Whether the rule is judged by the trades known so far when the day's trades cannot be read; see `Engine`."""

    by_clock: ClassVar[bool] = False
    """Whether `next_due` depends on the time alone: it is asked again only once what it said has come."""

    sums: ClassVar[bool] = False
    """Whether the rule looks at the unrealized P&L of all positions together: `watch_total` in place of `watch`."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """What must hold now."""
        raise NotImplementedError

    def gauge(self, account: AccountState, view: View) -> Gauge | None:
        """How near the account is to the limit, for people."""
        return None

    def gauge_until(self, account: AccountState, view: View) -> int | None:
        """When the gauge changes though nothing happens and the rule is not judged, microseconds UTC; None: never."""
        return None

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit used in whole percent, None when there is no scale. Asked right after `judge`."""
        return None

    def next_due(self, account: AccountState, view: View) -> int | None:
        """When the rule must be judged next though nothing happens."""
        return None

    def watch(self, account: AccountState, position: Position, view: View, level: int) -> Watch:
        """Which quotes of a position's contract the rule must see, to notice `level` percent of its limit in time.

        May depend on this position, and on the orders and the price of its contract; on no other.
        """
        return NO_WATCH

    def watch_total(self, account: AccountState, view: View, level: int) -> Watch:
        """The same for a rule that `sums`: unrealized P&L of all positions together at which it must see a quote."""
        return NO_WATCH


def percent_of(value: int, limit: int) -> int:
    """Share of a limit in whole percent, rounded down, never negative. Both on the same side of zero count."""
    if limit > 0:
        return value * 100 // limit if value > 0 else 0
    if limit < 0:
        return value * 100 // limit if value < 0 else 0
    return 100 if value >= 0 else 0


WARNING_LEVELS = (90, 75, 50)
"""Shares of a limit, in percent, at which a warning is given once a trading day."""


def next_level(warned: set[int]) -> int:
    """The next percentage of a limit to be told of: a warning not yet given, or 100."""
    if not warned:
        return WARNING_LEVELS[-1]
    return next((level for level in reversed(WARNING_LEVELS) if level not in warned), 100)


def share_of(limit: int, level: int) -> int:
    """The P&L that is `level` percent of a limit, rounded away from zero: `percent_of` gives the level there first."""
    return -(-limit * level // 100) if limit > 0 else limit * level // 100


UNPLANNED = -1


@dataclass(slots=True)
class RuleState:
    """What the engine keeps of one rule for one account.

    `scaled`: whether it has a `percent`. `due`: its own next time, microseconds UTC; None = never, `UNPLANNED` = not
    asked yet. What it must see of the quotes, for the warning level `level`: `watched`, by contract id; `total`, of a
    rule that sums. See `daemon.core.quote_watch`.
    """

    rule: Rule
    verdicts: Sequence[Verdict] = NOTHING
    warned: set[int] = field(default_factory=set)
    failed: bool = False
    needs: int = 0
    timed: bool = False
    quoted: bool = False
    scaled: bool = True
    due: int | None = UNPLANNED
    level: int = 0
    watched: dict[str, Watch] = field(default_factory=dict)
    total: Watch = field(default_factory=Watch)


def allowed_size(lockout: Lockout, contract_id: str, size: int) -> int:
    """Signed size of a position that a lockout lets stay, given the size held."""
    base = lockout.baseline.get(contract_id, 0)
    if size * base <= 0:
        return 0
    return size if abs(size) <= abs(base) else base
