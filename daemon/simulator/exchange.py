"""The matching engine: one book top per contract, resting orders, price conditions, fills in parts. Pure.

Matching, in one sentence each: buys fill at the ask, sells at the bid; a resting limit order fills at its limit once
the other side of the market touches it; a stop becomes a market order (a stop limit a limit order) once the side it
would have to hit touches its price; size is unlimited unless a `FillPlan` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daemon.simulator.clock import SECOND
from daemon.simulator.contracts import Contract, ContractTable
from daemon.simulator.market import Book, opening_book
from daemon.simulator.orders import STOPS, Order, OrderRequest, OrderStatus, OrderType, Side
from daemon.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True)
class FillPlan:
    """How an order is filled once its price condition is met. Times in seconds of broker time.

    `chunk` contracts at a time (None: all), `interval` apart, the first after `delay`; `hold`: never; `reject`: the
    order is rejected with this message after it had been accepted.
    """

    delay: float = 0.0
    chunk: int | None = None
    interval: float = 0.0
    hold: bool = False
    reject: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the exchange tells the broker. `filled`: this many contracts at this price; `ended`: out of the market;
    `moved`: a trailing stop has followed the market; `room`: how much a reduce-only order may still fill."""

    filled: Callable[[Order, int, int, int], None]
    ended: Callable[[Order, OrderStatus, int], None]
    moved: Callable[[Order, int], None]
    room: Callable[[Order], int]


class Exchange:
    """Keeps the books and decides when, at which price and in which parts orders fill; the broker books it."""

    def __init__(self, contracts: ContractTable, schedule: Schedule, outcome: Outcome, at: int) -> None:
        self.books: dict[str, Book] = {c.id: opening_book(c, at) for c in contracts}
        self.fill_plan: Callable[[Order], FillPlan] = lambda order: FillPlan()
        self._resting: dict[str, dict[int, Order]] = {contract_id: {} for contract_id in self.books}
        self._schedule = schedule
        self._tell = outcome

    def enter(self, order: Order, at: int, resting: bool = False) -> None:
        """Bring an order into the market; it fills at once if the market is there. `resting`: it counts as passive."""
        self._resting[order.contract.id][order.id] = order
        self.consider(order, at, resting)

    def leave(self, order: Order) -> None:
        """Take an order out of the market; no error if it is not there."""
        self._resting[order.contract.id].pop(order.id, None)

    def match(self, contract: Contract, at: int) -> None:
        """Look at a contract's resting orders after its market has moved."""
        resting, book = self._resting[contract.id], self.books[contract.id]
        if not resting or not book.is_open:
            return
        for order in list(resting.values()):
            if order.type is OrderType.TRAILING_STOP and not order.executing:
                self._trail(order, book, at)
            self.consider(order, at, resting=True)

    def consider(self, order: Order, at: int, resting: bool) -> None:
        """Start filling an order if its price condition is met."""
        if order.executing or order.status not in (OrderStatus.OPEN, OrderStatus.PENDING_CANCELLATION):
            return
        if not self._eligible(order, self.books[order.contract.id]):
            return
        order.executing = True
        plan = self.fill_plan(order)
        if plan.reject is not None:
            self._tell.ended(order, OrderStatus.REJECTED, at)
        elif plan.hold:
            return
        elif plan.delay > 0:
            self._schedule.at(at + round(plan.delay * SECOND), lambda due: self._fill_some(order, plan, resting, due))
        else:
            self._fill_some(order, plan, resting, at)

    def first_prices(self, request: OrderRequest) -> tuple[int | None, int | None]:
        """The (limit, stop) an order starts with; None where its type has none."""
        book, limit, stop = self.books[request.contract.id], request.limit, request.stop
        if request.type is OrderType.JOIN_BID:
            limit = book.bid
        elif request.type is OrderType.JOIN_ASK:
            limit = book.ask
        elif request.type is OrderType.TRAILING_STOP and stop is None and request.trail is not None:
            stop = self.trailing_stop(request.contract, request.side, request.trail)
        if request.type in (OrderType.MARKET, OrderType.STOP, OrderType.TRAILING_STOP):
            limit = None
        return limit, stop if request.type in STOPS else None

    def trailing_stop(self, contract: Contract, side: Side, trail: int) -> int:
        """Where a trailing stop starts at the present market."""
        book = self.books[contract.id]
        return book.bid - trail if side is Side.SELL else book.ask + trail

    def stop_reached(self, order: Order) -> bool:
        """Whether the market is at or beyond the order's stop price."""
        book = self.books[order.contract.id]
        if order.stop is None:
            return False
        return book.ask >= order.stop if order.side is Side.BUY else book.bid <= order.stop

    def market_price(self, order: Order) -> int:
        """What a market order of this side would get."""
        book = self.books[order.contract.id]
        return book.ask if order.side is Side.BUY else book.bid

    def _trail(self, order: Order, book: Book, at: int) -> None:
        if order.stop is None or order.trail is None or order.status is not OrderStatus.OPEN:
            return
        better = max(order.stop, book.bid - order.trail)
        if order.side is Side.BUY:
            better = min(order.stop, book.ask + order.trail)
        if better != order.stop:
            order.stop, order.updated_at = better, at
            self._tell.moved(order, at)

    def _eligible(self, order: Order, book: Book) -> bool:
        if order.type in STOPS and not order.triggered:
            reached = self.stop_reached(order)
            if not order.armed:
                order.armed = not reached
                return False
            if not reached:
                return False
            order.triggered = True
        if order.limit is None:
            return True
        return book.ask <= order.limit if order.side is Side.BUY else book.bid >= order.limit

    def _fill_some(self, order: Order, plan: FillPlan, resting: bool, at: int) -> None:
        while order.working:
            size = min(order.remaining, plan.chunk or order.remaining)
            if order.reduce_only:
                size = min(size, self._tell.room(order))
                if size == 0:
                    self._tell.ended(order, OrderStatus.CANCELLED, at)
                    return
            self._tell.filled(order, size, self._fill_price(order, resting), at)
            if order.remaining and plan.interval > 0:
                due = at + round(plan.interval * SECOND)
                self._schedule.at(due, lambda due: self._fill_some(order, plan, resting, due))
                return

    def _fill_price(self, order: Order, resting: bool) -> int:
        market = self.market_price(order)
        if order.limit is None:
            return market
        if resting and order.type is not OrderType.STOP_LIMIT:
            return order.limit
        return min(market, order.limit) if order.side is Side.BUY else max(market, order.limit)
