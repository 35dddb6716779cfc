"""Price conditions, fill prices, parts. The market of every test starts at 100000/100001 ticks."""

from __future__ import annotations

import pytest

from daemon.simulator import BrokerSettings, FillPlan, OrderStatus, OrderType, Reason, Refusal, Side
from daemon.simulator.orders import Order

from .desk import ACCOUNT, Desk

BUY, SELL = Side.BUY, Side.SELL


def state(order: Order) -> OrderStatus:
    return order.status


def average(order: Order) -> float:
    return order.cost / order.filled


@pytest.mark.parametrize(("side", "price"), [(BUY, 100_001), (SELL, 100_000)])
def test_market_order_fills_at_the_other_side(side: Side, price: int) -> None:
    desk = Desk()
    order = desk.order(side, 3)
    assert state(order) is OrderStatus.FILLED
    assert (average(order), desk.net) == (price, 3 * side.sign)


@pytest.mark.parametrize(
    ("side", "limit", "fills_at"),
    [
        (BUY, 100_000, None),
        (BUY, 100_001, 100_001),
        (BUY, 100_005, 100_001),
        (SELL, 100_001, None),
        (SELL, 100_000, 100_000),
        (SELL, 99_995, 100_000),
    ],
)
def test_limit_order_fills_at_its_price_or_better(side: Side, limit: int, fills_at: int | None) -> None:
    order = Desk().order(side, 1, OrderType.LIMIT, limit=limit)
    assert (average(order) if order.filled else None) == fills_at
    assert order.status is (OrderStatus.FILLED if fills_at else OrderStatus.OPEN)


def test_resting_limit_order_fills_at_its_limit_when_the_market_gaps_through() -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    desk.market(99_990)
    assert state(order) is OrderStatus.OPEN
    desk.market(99_000)
    assert average(order) == 99_990


@pytest.mark.parametrize(
    ("side", "stop", "short_of", "at"), [(BUY, 100_010, 100_008, 100_009), (SELL, 99_990, 99_991, 99_990)]
)
def test_stop_triggers_when_the_side_it_hits_touches_it(side: Side, stop: int, short_of: int, at: int) -> None:
    desk = Desk()
    order = desk.order(side, 1, OrderType.STOP, stop=stop)
    desk.market(short_of)
    assert state(order) is OrderStatus.OPEN
    desk.market(at)
    assert state(order) is OrderStatus.FILLED


def test_stop_slips_when_the_market_gaps() -> None:
    desk = Desk()
    order = desk.sell(1, OrderType.STOP, stop=99_990)
    desk.market(99_900)
    assert average(order) == 99_900


def test_stop_limit_waits_at_its_limit_after_the_stop() -> None:
    desk = Desk()
    order = desk.sell(1, OrderType.STOP_LIMIT, stop=99_990, limit=99_985)
    desk.market(99_900)
    assert state(order) is OrderStatus.OPEN
    desk.market(99_986)
    assert average(order) == 99_986


def test_trailing_stop_follows_only_one_way() -> None:
    desk = Desk()
    order = desk.sell(1, OrderType.TRAILING_STOP, trail=10)
    assert order.stop == 99_990
    desk.market(100_050)
    desk.market(100_045)
    assert (order.stop, order.status) == (100_040, OrderStatus.OPEN)
    desk.market(100_040)
    assert average(order) == 100_040


def test_trailing_buy_stop_follows_down() -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.TRAILING_STOP, trail=10)
    desk.market(99_900)
    assert order.stop == 99_911
    desk.market(99_910)
    assert state(order) is OrderStatus.FILLED


def test_join_orders_rest_at_the_best_price() -> None:
    desk = Desk()
    assert desk.buy(1, OrderType.JOIN_BID).limit == 100_000
    assert desk.sell(1, OrderType.JOIN_ASK).limit == 100_001


@pytest.mark.parametrize(("side", "stop"), [(SELL, 100_000), (SELL, 100_500), (BUY, 100_001), (BUY, 99_000)])
def test_stop_on_the_wrong_side_is_refused(side: Side, stop: int) -> None:
    desk = Desk()
    with pytest.raises(Refusal, match="wrong side") as refusal:
        desk.order(side, 1, OrderType.STOP, stop=stop)
    assert refusal.value.reason is Reason.REJECTED
    assert refusal.value.order_id is not None
    assert desk.broker.orders[refusal.value.order_id].status is OrderStatus.REJECTED


@pytest.mark.parametrize("by_setting", [True, False])
def test_wrong_side_stop_that_may_rest_works_once_the_market_has_crossed_it(by_setting: bool) -> None:
    desk = Desk(BrokerSettings(wrong_side_stops="rest") if by_setting else None)
    order = desk.sell(1, OrderType.STOP, stop=100_010, unchecked=not by_setting)
    desk.market(99_000)
    assert state(order) is OrderStatus.OPEN
    desk.market(100_020)
    assert state(order) is OrderStatus.OPEN
    desk.market(100_010)
    assert state(order) is OrderStatus.FILLED


def test_fills_in_parts_one_after_the_other() -> None:
    desk = Desk(BrokerSettings(plan=FillPlan(delay=1, chunk=2, interval=0.5)))
    order = desk.buy(5)
    assert (order.filled, order.status) == (0, OrderStatus.OPEN)
    desk.wait(1)
    assert (order.filled, desk.net) == (2, 2)
    desk.market(100_010)
    desk.wait(0.5)
    desk.wait(0.5)
    assert (order.filled, order.status) == (5, OrderStatus.FILLED)
    assert order.cost == 2 * 100_001 + 3 * 100_011


def test_partly_filled_order_that_is_cancelled_keeps_what_it_has() -> None:
    desk = Desk(BrokerSettings(plan=FillPlan(chunk=2, interval=1)))
    order = desk.buy(5)
    desk.broker.cancel(ACCOUNT, order.id, desk.now)
    desk.wait(10)
    assert (order.status, order.filled, desk.net) == (OrderStatus.CANCELLED, 2, 2)


def test_order_may_fill_while_it_is_being_cancelled() -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    desk.broker.cancel(ACCOUNT, order.id, desk.now, delay=1)
    assert state(order) is OrderStatus.PENDING_CANCELLATION
    desk.market(99_900)
    desk.wait(2)
    assert state(order) is OrderStatus.FILLED


def test_slow_cancel_takes_effect_after_its_time() -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    desk.broker.cancel(ACCOUNT, order.id, desk.now, delay=1)
    desk.wait(1)
    assert desk.statuses(order) == [OrderStatus.OPEN, OrderStatus.PENDING_CANCELLATION, OrderStatus.CANCELLED]


@pytest.mark.parametrize(
    ("plan", "status"),
    [(FillPlan(hold=True), OrderStatus.OPEN), (FillPlan(reject="no"), OrderStatus.REJECTED)],
)
def test_orders_that_never_fill(plan: FillPlan, status: OrderStatus) -> None:
    desk = Desk(BrokerSettings(plan=plan))
    order = desk.buy(1)
    desk.market(90_000)
    desk.wait(60)
    assert (order.status, desk.net) == (status, 0)


def test_closed_market_matches_nothing() -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    desk.broker.books[desk.mnq.id].is_open = False
    desk.market(99_000)
    assert state(order) is OrderStatus.OPEN
    with pytest.raises(Refusal) as refusal:
        desk.buy(1)
    assert refusal.value.reason is Reason.OUTSIDE_HOURS
