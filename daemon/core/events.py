"""Everything that can happen. Each event carries its own time; the core never asks for one.

`at` is trusted time (microseconds UTC) at which the daemon learnt of it and never decreases from one event to the next.
Broker times (a trade's, an order's) travel inside the records. Sizes of positions are signed: long > 0, short < 0.
Prices are nanos, money is micro-dollars (see `units`). Records and events are treated as immutable by convention; they
are not `frozen` because that makes building one four times slower.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.models import OrderStatus, OrderType, Side

if TYPE_CHECKING:
    from shared.config import HolidayCalendar, RiskConfig


@dataclass(slots=True)
class Contract:
    """What the gateway says of a contract. `tick_value` is micro-dollars a tick for one contract."""

    contract_id: str
    name: str
    tick_size: int
    tick_value: int
    symbol_id: str = ""
    description: str = ""


@dataclass(slots=True)
class PositionRecord:
    """One open position; size 0 is flat. `average_price` is the entry's."""

    contract_id: str
    size: int
    average_price: int
    position_id: int = 0
    created_at: int = 0


@dataclass(slots=True)
class OrderRecord:
    """One order in the gateway's fields. Prices are None where the order has none; sizes are positive contracts."""

    order_id: int
    contract_id: str
    status: int
    type: int
    side: int
    size: int
    limit_price: int | None = None
    stop_price: int | None = None
    trail_price: int | None = None
    fill_volume: int = 0
    filled_price: int | None = None
    custom_tag: str | None = None
    created_at: int = 0
    updated_at: int = 0
    parent_order_id: int | None = None

    @property
    def working(self) -> bool:
        """Whether it may still trade. An unknown state counts as working."""
        return self.status not in _TERMINAL

    @property
    def remaining(self) -> int:
        """Contracts not yet filled."""
        return self.size - self.fill_volume if self.size > self.fill_volume else 0


_TERMINAL = frozenset(
    int(s) for s in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED)
)


@dataclass(slots=True)
class TradeRecord:
    """One half-turn. `pnl` is None for an opening one; `fees` holds fees and commissions, as a positive cost."""

    trade_id: int
    contract_id: str
    created_at: int
    price: int
    pnl: int | None
    fees: int
    side: int
    size: int
    voided: bool
    order_id: int


@dataclass(slots=True)
class ContractSeen:
    """A contract's data became known. Precedes the first event that names the contract, when the gateway knows it."""

    at: int
    contract: Contract


@dataclass(slots=True)
class AccountUpdate:
    """An account was listed or changed. `balance` is None when the message did not carry it."""

    at: int
    account_id: int
    login: str
    name: str
    can_trade: bool
    balance: int | None = None


@dataclass(slots=True)
class AccountListed:
    """A login's account list was read: `account_ids` are all it has now (those absent are no longer reachable)."""

    at: int
    login: str
    account_ids: tuple[int, ...]


@dataclass(slots=True)
class PositionUpdate:
    """The gateway pushed a position."""

    at: int
    account_id: int
    position: PositionRecord


@dataclass(slots=True)
class OrderUpdate:
    """The gateway pushed an order."""

    at: int
    account_id: int
    order: OrderRecord


@dataclass(slots=True)
class TradeUpdate:
    """The gateway pushed a half-turn trade, or the voiding of one."""

    at: int
    account_id: int
    trade: TradeRecord


@dataclass(slots=True)
class PositionsSnapshot:
    """A successful read of all open positions; `started_at` is the time the request was sent.

    Contracts whose own event came after `started_at` keep the event's value: the read may be older than it.
    """

    at: int
    account_id: int
    started_at: int
    positions: tuple[PositionRecord, ...]


@dataclass(slots=True)
class OrdersSnapshot:
    """A successful read of all working orders, Suspended ones included; `started_at` as in PositionsSnapshot."""

    at: int
    account_id: int
    started_at: int
    orders: tuple[OrderRecord, ...]


@dataclass(slots=True)
class TradesSnapshot:
    """A successful read of every trade from `since` (at or before the start of the trading day) to `started_at`."""

    at: int
    account_id: int
    started_at: int
    since: int
    trades: tuple[TradeRecord, ...]


@dataclass(slots=True)
class Quote:
    """Best bid, best ask and last price in nanos; 0 where the message had none."""

    at: int
    contract_id: str
    bid: int
    ask: int
    last: int


@dataclass(slots=True)
class ConnectionChanged:
    """A login's way to the gateway went up or down. `channel` is "rest", "user" or "market"."""

    at: int
    login: str
    channel: str
    up: bool
    reason: str = ""


@dataclass(slots=True)
class Tick:
    """Time has passed: once a second, and when a timer of the core is due."""

    at: int


@dataclass(slots=True)
class ConfigChanged:
    """A validated configuration takes effect. `no_reset_before`: see `TradingDays`."""

    at: int
    config: RiskConfig
    calendar: HolidayCalendar
    no_reset_before: int = 0


@dataclass(slots=True)
class LockRequested:
    """The trader or the admin locks an account. `expires_at` None: until the next reset.

    `keep_positions`: a cooldown instead of a closing lockout: what is held may stay, nothing may be added.
    """

    at: int
    account_id: int
    expires_at: int | None
    reason: str
    by: str
    keep_positions: bool = False


@dataclass(slots=True)
class ClearRequested:
    """The admin asks for the end of a lockout, allowed by policy; it ends at `due_at`."""

    at: int
    lockout_id: int
    due_at: int
    reason: str
    by: str


@dataclass(slots=True)
class MoveRefused:
    """The gateway would not move a stop to that price (nanos); the action is given up."""

    at: int
    account_id: int
    order_id: int
    stop_price: int


Event = (
    Quote
    | OrderUpdate
    | PositionUpdate
    | TradeUpdate
    | PositionsSnapshot
    | OrdersSnapshot
    | TradesSnapshot
    | AccountUpdate
    | AccountListed
    | ContractSeen
    | ConnectionChanged
    | Tick
    | ConfigChanged
    | LockRequested
    | ClearRequested
    | MoveRefused
)


def signed(side: int, size: int) -> int:
    """A trade's or an order's size with its direction: buys positive, sells negative."""
    return size if side == Side.BUY else -size


def opens_or_increases(order: OrderRecord, position_size: int) -> bool:
    """Whether an order, were it filled whole, would open, increase or turn round a position of that signed size."""
    direction = signed(order.side, 1)
    if position_size == 0 or direction * position_size > 0:
        return True
    return order.remaining > abs(position_size)


def is_market_order(order: OrderRecord) -> bool:
    """Whether the order trades at once rather than rest."""
    return order.type == OrderType.MARKET
