"""A broker with faults for tests of the enforcer, in virtual time, that watches over the laws.

It is pessimistic where the real one is unknown: every close is a new market order for what is held at that moment, and
nothing but the enforcer's care keeps two of them from turning a position round. It notes every breach of the laws it
sees in `violations`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from daemon.broker import Answer, AnswerKind, GatewayError
from daemon.core.events import (
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    TradesSnapshot,
    is_market_order,
    signed,
)
from shared.models import OrderStatus, OrderType, Side
from tests.daemon.virtual_time import VirtualClock

ACCOUNT = 101
MNQ = "CON.F.US.MNQ.U25"
ES = "CON.F.US.EP.U25"

RECENT = 30.0
EVENT_DELAY = 0.005


class Knowledge(Protocol):
    """What the broker has to know of the core to judge what is sent."""

    confirmed_at: dict[tuple[int, str], float]
    emptied_at: dict[tuple[int, str], float]

    def position_size(self, account_id: int, contract_id: str) -> int: ...

    def closing_in_flight(self, account_id: int, contract_id: str) -> int: ...

    def target(self, account_id: int, contract_id: str) -> int | None: ...


@dataclass
class Fault:
    """What becomes of one mutation. `effect`: whether the broker carries it out; `late`: seconds after the answer."""

    kind: AnswerKind = AnswerKind.ACCEPTED
    code: int = 0
    effect: bool = True
    late: float = 0.0
    latency: float = 0.01
    retry_after: float = 0.0
    raises: Exception | None = None


@dataclass
class Push:
    """How one event reaches the core. `again`: seconds after which it comes a second time."""

    delay: float = EVENT_DELAY
    dropped: bool = False
    again: float | None = None


@dataclass
class Call:
    """One mutation as it arrived at `FakeBroker`."""

    at: float
    name: str
    account_id: int
    key: str | int
    argument: int | None = None


@dataclass
class _Order:
    record: OrderRecord
    ours: bool
    sent_at: float


@dataclass
class _Sent:
    began: float
    ended: float | None = None
    not_sent: bool = False


@dataclass
class _Book:
    """One account's contract as it truly is. `shown` is what reads see."""

    net: int = 0
    shown: int = 0
    touched: float = -1e9
    delayed: int = 0
    pushed: list[int] = field(default_factory=list)
    _shown_change: int = 0

    def show(self, change: int, net: int) -> None:
        """The so-manieth change of the position reaches the reads. Timers due together fire in any order."""
        if change > self._shown_change:
            self._shown_change, self.shown = change, net


class FakeBroker:
    """Positions and orders, with scripted faults. Implements `daemon.broker.Broker`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = clock
        self.books: dict[tuple[int, str], _Book] = defaultdict(_Book)
        self.orders: dict[tuple[int, int], _Order] = {}
        self.calls: list[Call] = []
        self.reads: list[tuple[float, str, int]] = []
        self.violations: list[str] = []
        self.faults: deque[Fault] = deque()
        self.fault: Callable[[Call], Fault] = lambda _: Fault()
        self.pushes: deque[Push] = deque()
        self.read_faults: deque[Exception] = deque()
        self.fill_after = 0.0
        self.fill_parts = 1
        self.lag = 0.0
        self.read_latency = 0.01
        self.halted = False
        self.on_event: Callable[[Event], None] = lambda _: None
        self.orders_down = self.positions_down = False
        self.no_turn: dict[tuple[int, bool], float] = {}
        """Until when the request limit has no room: by account and whether it is for a close."""
        self.core: Knowledge | None = None
        self._next_id = 1000
        self._busy: set[tuple[int, str | int]] = set()
        self._history: dict[tuple[int, str], list[_Sent]] = defaultdict(list)
        self._orders_read: dict[int, tuple[float, float]] = {}
        self._read: dict[int, tuple[float, float]] = {}
        """Last complete read: start of its orders part, and when the positions part began."""

    # --- the trader

    def trade(self, contract_id: str, size: int, account_id: int = ACCOUNT) -> None:
        """A fill of the trader's, from anywhere."""
        book = self.books[account_id, contract_id]
        book.touched = self.loop.time()
        self._move(account_id, contract_id, size)

    def place(
        self,
        contract_id: str,
        type_: OrderType,
        side: Side,
        size: int,
        account_id: int = ACCOUNT,
        *,
        ours: bool = False,
        status: OrderStatus = OrderStatus.OPEN,
    ) -> int:
        """An order of the trader's (or, `ours`, of a close): market orders fill by and by, others rest."""
        self._next_id += 1
        at = self.clock.now()
        record = OrderRecord(
            self._next_id, contract_id, status, type_, side, size, stop_price=1_000, created_at=at, updated_at=at
        )
        order = self.orders[account_id, record.order_id] = _Order(record, ours, self.loop.time())
        if not ours:
            self.books[account_id, contract_id].touched = self.loop.time()
        instant = type_ is OrderType.MARKET and self.fill_after == 0 and not self.halted
        if instant:
            self._fill(account_id, order, size)
            return record.order_id
        self._push_order(account_id, order)
        if type_ is OrderType.MARKET:
            self._schedule_fill(account_id, order, max(1, size // max(1, self.fill_parts)))
        return record.order_id

    def fill_resting(self, order_id: int, account_id: int = ACCOUNT) -> None:
        """A resting order fills whole."""
        order = self.orders[account_id, order_id]
        if order.record.working:
            self._fill(account_id, order, order.record.remaining)

    def working(self, contract_id: str, account_id: int = ACCOUNT) -> list[OrderRecord]:
        """Orders of a contract that still work."""
        return [
            order.record
            for (owner, _), order in self.orders.items()
            if owner == account_id and order.record.contract_id == contract_id and order.record.working
        ]

    def net(self, contract_id: str, account_id: int = ACCOUNT) -> int:
        """The true signed position."""
        return self.books[account_id, contract_id].net

    def closing(self, contract_id: str, account_id: int = ACCOUNT) -> int:
        """Contracts that closing market orders have still to fill, and partial closes that are still on their way."""
        net = self.net(contract_id, account_id)
        orders = self.working(contract_id, account_id)
        return self.books[account_id, contract_id].delayed + sum(
            o.remaining for o in orders if is_market_order(o) and signed(o.side, 1) * net < 0
        )

    def push_again(self, contract_id: str, size: int, account_id: int = ACCOUNT) -> None:
        """A late duplicate of a position event."""
        self.on_event(PositionUpdate(self.clock.now(), account_id, PositionRecord(contract_id, size, 1)))

    # --- daemon.broker.Broker

    def turn_in(self, account_id: int, *, closing: bool) -> float:
        return max(0.0, self.no_turn.get((account_id, closing), 0.0) - self.loop.time())

    async def close_position(self, account_id: int, contract_id: str) -> Answer:
        call = Call(self.loop.time(), "close", account_id, contract_id)
        self._judge_send(call)
        return await self._mutate(call, lambda: self._close(account_id, contract_id, None))

    async def reduce_position(self, account_id: int, contract_id: str, size: int) -> Answer:
        call = Call(self.loop.time(), "reduce", account_id, contract_id, size)
        self._judge_send(call)
        return await self._mutate(call, lambda: self._close(account_id, contract_id, size))

    async def cancel_order(self, account_id: int, order_id: int) -> Answer:
        return await self._mutate(
            Call(self.loop.time(), "cancel", account_id, order_id), lambda: self._cancel(account_id, order_id)
        )

    async def modify_stop(self, account_id: int, order_id: int, stop_price: int) -> Answer:
        return await self._mutate(
            Call(self.loop.time(), "modify", account_id, order_id, stop_price),
            lambda: self._modify(account_id, order_id, stop_price),
        )

    async def read_positions(self, account_id: int, *, closing: bool = True) -> PositionsSnapshot:
        started, began = self.clock.now(), self.loop.time()
        self.reads.append((began, "positions", account_id))
        await self._read_latency()
        if self.positions_down:
            raise unreadable()
        found = tuple(
            PositionRecord(contract_id, book.shown, 1)
            for (owner, contract_id), book in self.books.items()
            if owner == account_id and book.shown
        )
        await asyncio.sleep(self.read_latency / 2)
        self._read[account_id] = (self._orders_read.get(account_id, (-1e9, -1e9))[0], began)
        return PositionsSnapshot(self.clock.now(), account_id, started, found)

    async def read_orders(self, account_id: int, *, closing: bool = True) -> OrdersSnapshot:
        started, began = self.clock.now(), self.loop.time()
        self.reads.append((began, "orders", account_id))
        await self._read_latency()
        if self.orders_down:
            raise unreadable()
        served = self.loop.time()
        found = tuple(
            _copy(order.record)
            for (owner, _), order in self.orders.items()
            if owner == account_id and order.record.working
        )
        await asyncio.sleep(self.read_latency / 2)
        self._orders_read[account_id] = (began, served)
        return OrdersSnapshot(self.clock.now(), account_id, started, found)

    async def read_trades(self, account_id: int, since: int) -> TradesSnapshot:
        raise NotImplementedError

    async def _read_latency(self) -> None:
        await asyncio.sleep(self.read_latency / 2)
        if self.read_faults:
            raise self.read_faults.popleft()

    # --- what the laws ask of every send

    def _judge_send(self, call: Call) -> None:
        contract_id = str(call.key)
        account_id, now = call.account_id, call.at
        core = self.core
        if core is None:
            return
        book = self.books[account_id, contract_id]
        known, state = core.position_size(account_id, contract_id), "from the cache"
        target = core.target(account_id, contract_id)
        orders_began, positions_began = self._read.get(account_id, (-1e9, -1e9))
        past = [sent for sent in self._history[account_id, contract_id] if sent.ended is not None and not sent.not_sent]
        if past:
            last = past[-1]
            ended = last.ended or 0.0
            recent = call.name == "reduce" and now - ended < RECENT
            proven = core.confirmed_at[account_id, contract_id] >= last.began
            if recent or (not proven and core.emptied_at[account_id, contract_id] < ended):
                state = "read"
                seen = [orders_began, positions_began]
                if call.name == "close" and self.orders_down:
                    seen = [positions_began]
                elif call.name == "close" and self.positions_down:
                    seen = [self._orders_read.get(account_id, (-1e9, -1e9))[0]]
                if min(seen) < ended:
                    self.violations.append(f"{call} went out without a read after the mutation that ended at {ended}")
        basis = (
            self._orders_read[account_id][0] - self.lag
            if state == "read" and account_id in self._orders_read
            else now - 3
        )
        if book.touched >= basis:
            return  # the trader acted at the same time: nobody can know
        closing = self.closing(contract_id, account_id)
        told = known == book.net and core.closing_in_flight(account_id, contract_id) == closing
        if state != "read" and not told:
            return  # no event told, and nothing of ours was under way
        if call.name == "close" and closing - book.delayed:
            self.violations.append(f"{call} went out beside {closing} contracts that were being closed already")
        if call.name == "reduce" and target is not None:
            left = abs(book.net) - closing - (call.argument or 0)
            if left < target:
                self.violations.append(
                    f"{call} leaves {left} of {book.net}, {closing} in flight, where {target} may stay"
                )

    # --- effects

    async def _mutate(self, call: Call, effect: Callable[[], Answer]) -> Answer:
        key = (call.account_id, call.key)
        if key in self._busy:
            self.violations.append(f"{call} while another mutation of it was under way")
        self._busy.add(key)
        self.calls.append(call)
        sent = _Sent(self.loop.time())
        if isinstance(call.key, str):
            self._history[call.account_id, call.key].append(sent)
        fault = self.faults.popleft() if self.faults else self.fault(call)
        try:
            await asyncio.sleep(fault.latency / 2)
            if fault.raises is not None:
                raise fault.raises
            if fault.kind is AnswerKind.NOT_SENT:
                sent.not_sent = True
                return Answer(fault.kind, fault.code, retry_after=fault.retry_after)
            if fault.kind is AnswerKind.REFUSED:
                return Answer(fault.kind, fault.code, "scripted")
            answer = Answer(AnswerKind.ACCEPTED)
            if fault.effect and fault.late and call.name == "reduce":
                self._delay(call, fault, effect)
            elif fault.effect:
                answer = effect()
            await asyncio.sleep(fault.latency / 2)
            return Answer(AnswerKind.UNCERTAIN) if fault.kind is AnswerKind.UNCERTAIN else answer
        finally:
            sent.ended = self.loop.time()
            self._busy.discard(key)

    def _delay(self, call: Call, fault: Fault, effect: Callable[[], Answer]) -> None:
        book = self.books[call.account_id, str(call.key)]
        size = call.argument or 0
        book.delayed += size

        def happen() -> None:
            book.delayed -= size
            effect()

        self.loop.call_later(fault.latency / 2 + fault.late, happen)

    def _close(self, account_id: int, contract_id: str, size: int | None) -> Answer:
        net = self.net(contract_id, account_id)
        if net == 0:
            return Answer(AnswerKind.REFUSED, 2, "PositionNotFound")
        if size is not None and not 0 < size <= abs(net):
            return Answer(AnswerKind.REFUSED, 5, "InvalidCloseSize")
        side = Side.SELL if net > 0 else Side.BUY
        self.place(contract_id, OrderType.MARKET, side, size or abs(net), account_id, ours=True)
        return Answer(AnswerKind.ACCEPTED)

    def _cancel(self, account_id: int, order_id: int) -> Answer:
        order = self.orders.get((account_id, order_id))
        if order is None or not order.record.working:
            return Answer(AnswerKind.REFUSED, 2, "OrderNotFound")
        order.record.status = OrderStatus.CANCELLED
        self._push_order(account_id, order)
        return Answer(AnswerKind.ACCEPTED)

    def _modify(self, account_id: int, order_id: int, stop_price: int) -> Answer:
        order = self.orders.get((account_id, order_id))
        if order is None or not order.record.working:
            return Answer(AnswerKind.REFUSED, 2, "OrderNotFound")
        order.record.stop_price = stop_price
        self._push_order(account_id, order)
        return Answer(AnswerKind.ACCEPTED)

    def _schedule_fill(self, account_id: int, order: _Order, part: int) -> None:
        def happen() -> None:
            if not order.record.working:
                return
            if not self.halted:
                self._fill(account_id, order, min(part, order.record.remaining))
            if order.record.working:
                self.loop.call_later(max(self.fill_after, 0.05), happen)

        self.loop.call_later(self.fill_after, happen)

    def _fill(self, account_id: int, order: _Order, size: int) -> None:
        record = order.record
        book = self.books[account_id, record.contract_id]
        before = book.net
        if not order.ours:
            book.touched = self.loop.time()
        record.fill_volume += size
        if record.remaining == 0:
            record.status = OrderStatus.FILLED
        self._push_order(account_id, order)
        self._move(account_id, record.contract_id, signed(record.side, size))
        if order.ours and book.touched < order.sent_at - 3 and (before == 0 or before * book.net < 0):
            self.violations.append(f"order {record} turned {before} round to {book.net}")

    def _move(self, account_id: int, contract_id: str, change: int) -> None:
        book = self.books[account_id, contract_id]
        book.net += change
        book.pushed.append(book.net)
        if self.lag:
            self.loop.call_later(self.lag, book.show, len(book.pushed), book.net)
        else:
            book.shown = book.net
        record = PositionRecord(contract_id, book.net, 1)
        self._push(lambda: PositionUpdate(self.clock.now(), account_id, record))

    def _push_order(self, account_id: int, order: _Order) -> None:
        record = _copy(order.record)
        record.updated_at = self.clock.now()
        self._push(lambda: OrderUpdate(self.clock.now(), account_id, record))

    def _push(self, event: Callable[[], Event]) -> None:
        push = self.pushes.popleft() if self.pushes else Push()
        if not push.dropped:
            self.loop.call_later(push.delay, lambda: self.on_event(event()))
        if push.again is not None:
            self.loop.call_later(push.again, lambda: self.on_event(event()))


def unreadable() -> GatewayError:
    """A read that fails."""
    return GatewayError("HTTP 500")


def _copy(order: OrderRecord) -> OrderRecord:
    return OrderRecord(**{name: getattr(order, name) for name in OrderRecord.__slots__})
