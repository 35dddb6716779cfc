"""What must hold for any sequence of orders, closes, cancels and market moves."""

from __future__ import annotations

import contextlib
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.simulator import BrokerSettings, FillPlan, OrderStatus, OrderType, Refusal, Side
from daemon.simulator.contracts import MICRO
from daemon.simulator.orders import Brackets

from .desk import ACCOUNT, Desk

sizes = st.integers(1, 6)
sides = st.sampled_from(list(Side))
offsets = st.integers(-12, 12)
plans = st.sampled_from(
    [
        FillPlan(),
        FillPlan(chunk=1),
        FillPlan(chunk=2, interval=1),
        FillPlan(delay=1),
        FillPlan(delay=1, chunk=1, interval=1),
    ]
)
brackets = st.none() | st.builds(Brackets, st.none() | st.integers(1, 10), st.none() | st.integers(1, 10))
steps = st.one_of(
    st.tuples(st.just("market"), sides, sizes, brackets),
    st.tuples(st.just("limit"), sides, sizes, offsets),
    st.tuples(st.just("stop"), sides, sizes, offsets),
    st.tuples(st.just("trail"), sides, sizes, st.integers(1, 8)),
    st.tuples(st.just("move"), offsets),
    st.tuples(st.just("close"), st.none() | sizes),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("modify"), st.integers(0, 20), sizes, offsets),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("plan"), plans),
)


def play(desk: Desk, step: tuple) -> None:  # type: ignore[type-arg]
    book, broker, now = desk.broker.books[desk.mnq.id], desk.broker, desk.now
    match step:
        case ("market", side, size, legs):
            desk.order(side, size, brackets=legs)
        case ("limit", side, size, offset):
            desk.order(side, size, OrderType.LIMIT, limit=book.bid + offset)
        case ("stop", side, size, offset):
            desk.order(side, size, OrderType.STOP, stop=book.bid + offset)
        case ("trail", side, size, distance):
            desk.order(side, size, OrderType.TRAILING_STOP, trail=distance)
        case ("move", offset):
            desk.market(book.bid + offset)
        case ("close", size):
            broker.close(ACCOUNT, desk.mnq, now, size)
        case ("cancel" | "modify", index, *rest):
            working = broker.working_orders(ACCOUNT)
            if not working:
                return
            order = working[index % len(working)]
            if not rest:
                broker.cancel(ACCOUNT, order.id, now)
            elif order.type is OrderType.LIMIT:
                broker.modify(ACCOUNT, order.id, now, size=rest[0], limit=book.bid + rest[1])
            else:
                broker.modify(ACCOUNT, order.id, now, size=rest[0], stop=book.bid + rest[1])
        case ("wait", seconds):
            desk.wait(seconds)
        case ("plan", plan):
            broker.settings.plan = plan


@settings(max_examples=150, deadline=None)
@given(st.lists(steps, min_size=1, max_size=40))
def test_books_balance_whatever_happens(script: list[tuple]) -> None:  # type: ignore[type-arg]
    desk = Desk(BrokerSettings(), fees="0.37")
    for step in script:
        with contextlib.suppress(Refusal):
            play(desk, step)
        check_books(desk)
    desk.wait(30)
    check_books(desk)


def check_books(desk: Desk) -> None:
    broker = desk.broker
    orders = broker.account_orders(ACCOUNT)
    trades = broker.trades[ACCOUNT]
    holding = broker.holding(ACCOUNT, desk.mnq)
    # The position is the sum of the signed fills, by orders and by trades.
    assert holding.net == sum(o.side.sign * o.filled for o in orders)
    assert holding.net == sum((1 if t.side == Side.BUY else -1) * t.size for t in trades)
    assert sum(size for _, size in holding.lots) == abs(holding.net)
    assert holding.lowest <= min(0, holding.net) <= max(0, holding.net) <= holding.highest
    # P&L is what first-in-first-out matching of the trades gives, to the micro-dollar.
    assert [t.pnl for t in trades] == fifo(desk)
    spent = sum((t.pnl or 0) - t.fees for t in trades)
    assert broker.accounts[ACCOUNT].balance == 50_000 * MICRO + spent
    assert all(t.fees == 370_000 * t.size for t in trades)
    for order in orders:
        assert 0 <= order.filled <= order.size
        assert (order.status is OrderStatus.FILLED) == (order.filled == order.size)
        assert order.working == (order.id in {o.id for o in broker.working_orders(ACCOUNT)})
        sibling = broker.orders.get(order.linked_id or 0)
        if sibling is not None and order.status is OrderStatus.FILLED:
            assert not sibling.working, "one leg filled, the other still works"
        if order.status is OrderStatus.SUSPENDED:
            assert order.parent_id is not None
            assert broker.orders[order.parent_id].filled == 0
            assert broker.orders[order.parent_id].working


def fifo(desk: Desk) -> list[int | None]:
    """P&L of every trade by an independent matching, contract by contract."""
    lots: deque[tuple[int, int]] = deque()
    result: list[int | None] = []
    for trade in desk.broker.trades[ACCOUNT]:
        sign = 1 if trade.side == Side.BUY else -1
        if lots and lots[0][0] != sign:
            pnl = 0
            for _ in range(trade.size):
                held, price = lots.popleft()
                pnl += held * (trade.price - price) * desk.mnq.tick_value
            result.append(pnl)
        else:
            lots.extend((sign, trade.price) for _ in range(trade.size))
            result.append(None)
    return result


@settings(max_examples=100, deadline=None)
@given(
    side=sides,
    held=sizes,
    plan=plans,
    closes=st.lists(st.none() | sizes, min_size=1, max_size=6),
    gaps=st.lists(st.integers(0, 2)),
)
def test_closes_alone_never_reverse_a_position(
    side: Side, held: int, plan: FillPlan, closes: list[int | None], gaps: list[int]
) -> None:
    desk = Desk()
    desk.order(side, held)
    desk.broker.settings.plan = plan
    for index, size in enumerate(closes):
        with contextlib.suppress(Refusal):
            desk.broker.close(ACCOUNT, desk.mnq, desk.now, size)
        desk.wait(gaps[index] if index < len(gaps) else 0)
    desk.wait(60)
    holding = desk.broker.holding(ACCOUNT, desk.mnq)
    assert (holding.lowest if side is Side.BUY else holding.highest) == 0
