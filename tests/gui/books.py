"""The simulated broker's books as a trader's statement: every figure computed from the broker's own records alone.

Nothing of the daemon is used here, so that its figures and the window's can be checked against these.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from daemon.simulator import Simulator

MICRO = Decimal(1_000_000)
NEW_YORK = ZoneInfo("America/New_York")
SIDES = ("Buy", "Sell")
ORDER_TYPES = {1: "Limit", 2: "Market", 3: "Stop limit", 4: "Stop", 5: "Trailing stop", 6: "Join bid", 7: "Join ask"}
ORDER_STATES = {1: "Working", 6: "Pending", 7: "Being cancelled", 8: "Suspended"}


@dataclass(frozen=True)
class Held:
    """A position: contract's name, Long or Short, contracts, average price, unrealized dollars at the side to hit."""

    name: str
    symbol: str
    side: str
    size: int
    average: Decimal
    unrealized: Decimal


@dataclass(frozen=True)
class Working:
    """An order that can still fill."""

    name: str
    side: str
    type: str
    size: int
    filled: int
    limit: Decimal | None
    stop: Decimal | None
    state: str


@dataclass(frozen=True)
class Fill:
    """A half-turn of the day. `pnl` None: opening. `fees` are fees and commissions. `at` microseconds UTC."""

    symbol: str
    side: str
    size: int
    price: Decimal
    pnl: Decimal | None
    fees: Decimal
    order_id: int
    at: int

    @property
    def net(self) -> Decimal:
        return (self.pnl or Decimal(0)) - self.fees


@dataclass(frozen=True)
class Statement:
    """One account's trading day."""

    balance: Decimal
    held: dict[str, Held]
    working: dict[int, Working]
    fills: dict[int, Fill]
    """Of the day, by trade id, those that were voided left out."""
    first_fill: int | None
    last_fill: int | None
    """Of the day, voided ones included: the trader was at his desk."""
    last_exit_voided: bool = False
    """Whether a closing fill was voided and no other has come since: what the last exit was is open then."""

    @property
    def realized(self) -> Decimal:
        return sum((fill.net for fill in self.fills.values()), Decimal(0))

    @property
    def unrealized(self) -> Decimal:
        return sum((held.unrealized for held in self.held.values()), Decimal(0))

    @property
    def net_contracts(self) -> int:
        """Signed contracts of all positions together."""
        return sum(held.size if held.side == "Long" else -held.size for held in self.held.values())

    def entries(self, since: int, until: int) -> int:
        """Orders whose first opening fill of the day lies after `since` and not after `until`, microseconds."""
        first: dict[int, int] = {}
        for fill in self.fills.values():
            if fill.pnl is None:
                first[fill.order_id] = min(fill.at, first.get(fill.order_id, fill.at))
        return sum(since < at <= until for at in first.values())

    def exits(self) -> list[Decimal]:
        """Net P&L of the day's closing orders, the one that filled last at the end."""
        sums: dict[int, Decimal] = {}
        last: dict[int, int] = {}
        for fill in self.fills.values():
            if fill.pnl is not None:
                sums[fill.order_id] = sums.get(fill.order_id, Decimal(0)) + fill.net
                last[fill.order_id] = max(fill.at, last.get(fill.order_id, fill.at))
        return [sums[order] for order in sorted(sums, key=lambda order: (last[order], order))]

    def losing_streak(self) -> int:
        """Losing exits since the last one that did not lose."""
        streak = 0
        for exit_pnl in reversed(self.exits()):
            if exit_pnl >= 0:
                break
            streak += 1
        return streak


def day_start(now: datetime) -> datetime:
    """The last 17:00 in New York, UTC."""
    local = now.astimezone(NEW_YORK)
    reset = local.replace(hour=17, minute=0, second=0, microsecond=0)
    if reset > local:
        reset -= timedelta(days=1)
    return reset.astimezone(UTC)


def statement(sim: Simulator, account_id: int) -> Statement:
    """What the broker's books say now."""
    start = round(day_start(sim.clock.utc()).timestamp() * 1_000_000)
    account = sim.broker.account(account_id)
    held = {}
    for holding in sim.positions(account_id):
        contract, book = holding.contract, sim.broker.books[holding.contract.id]
        out, sign = (book.bid, 1) if holding.net > 0 else (book.ask, -1)
        ticks = sum((out - bought) * size for bought, size in holding.lots) * sign
        held[contract.id] = Held(
            contract.name,
            contract.symbol,
            "Long" if holding.net > 0 else "Short",
            abs(holding.net),
            Decimal(holding.cost) * contract.tick_size / abs(holding.net),
            Decimal(ticks * contract.tick_value) / MICRO,
        )
    working = {
        order.id: Working(
            order.contract.name,
            SIDES[int(order.side)],
            ORDER_TYPES[int(order.type)],
            order.size,
            order.filled,
            None if order.limit is None else order.limit * order.contract.tick_size,
            None if order.stop is None else order.stop * order.contract.tick_size,
            ORDER_STATES[int(order.status)],
        )
        for order in sim.working_orders(account_id)
    }
    today = [trade for trade in sim.trades(account_id) if trade.created_at >= start]
    fills = {
        trade.id: Fill(
            trade.symbol,
            SIDES[trade.side],
            trade.size,
            trade.price * trade.contract.tick_size,
            None if trade.pnl is None else Decimal(trade.pnl) / MICRO,
            Decimal(trade.fees + trade.commissions) / MICRO,
            trade.order_id,
            trade.created_at,
        )
        for trade in today
        if not trade.voided
    }
    times = [trade.created_at for trade in today]
    closed_at = max((trade.created_at for trade in today if trade.pnl is not None and not trade.voided), default=0)
    return Statement(
        Decimal(account.balance) / MICRO,
        held,
        working,
        fills,
        min(times, default=None),
        max(times, default=None),
        any(trade.voided and trade.pnl is not None and trade.created_at >= closed_at for trade in today),
    )
