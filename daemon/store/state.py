"""What the store gives back at start: all that a restarted daemon needs before it has asked the gateway anything."""

from __future__ import annotations

from dataclasses import dataclass, field

from daemon.core.decisions import Action, Lockout
from daemon.core.events import Contract, OrderRecord, PositionRecord, TradeRecord


@dataclass(slots=True)
class SavedAccount:
    """An account as last listed. `balance` is micro-dollars, or None when it was never told."""

    account_id: int
    login: str
    name: str
    can_trade: bool
    balance: int | None = None


@dataclass(slots=True)
class SavedPnl:
    """Realized P&L of one trading day (ISO date of the reset that ends it) in micro-dollars."""

    account_id: int
    trading_day: str
    realized: int
    trade_count: int


@dataclass(slots=True)
class SavedReset:
    """The trading day an account was in, and its reset times in microseconds UTC where they were known."""

    account_id: int
    trading_day: str
    last_reset_at: int | None = None
    next_reset_at: int | None = None


@dataclass(slots=True)
class SavedState:
    """Everything that was stored.

    `lockouts` are the active ones, `ended` those that ended since the time asked for (their causes must not lock
    again). `actions` are enforcements whose end was never seen; `attempts` says how often each (by action id) had
    been tried. `positions`, `orders` (working ones), `trades` are by account id and only a hint until the gateway has
    been read. `memories[account_id][key]` is what a `Remember` carried; `daemon` what `Store.put_state` was given.

    `salvaged_from` names the source when the database had to be made anew from one. `lockouts_unknown`: there had
    been a database, but which accounts were locked can no longer be told with certainty: lock every account, then call
    `Store.lockouts_settled`. It stays set over restarts until then.
    """

    lockouts: list[Lockout] = field(default_factory=list)
    ended: list[Lockout] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)
    contracts: list[Contract] = field(default_factory=list)
    accounts: list[SavedAccount] = field(default_factory=list)
    trades: dict[int, list[TradeRecord]] = field(default_factory=dict)
    positions: dict[int, list[PositionRecord]] = field(default_factory=dict)
    orders: dict[int, list[OrderRecord]] = field(default_factory=dict)
    memories: dict[int, dict[str, object]] = field(default_factory=dict)
    daily_pnl: list[SavedPnl] = field(default_factory=list)
    resets: list[SavedReset] = field(default_factory=list)
    daemon: dict[str, object] = field(default_factory=dict)
    last_lockout_id: int = 0
    last_action_id: int = 0
    salvaged_from: str | None = None
    lockouts_unknown: bool = False
