"""Positions, half-turns, balances, brackets, refusals."""

from __future__ import annotations

import pytest

from daemon.simulator import BrokerSettings, FillPlan, OrderStatus, OrderType, Reason, Refusal, Side
from daemon.simulator.contracts import MICRO
from daemon.simulator.ledger import SimAccount

from .desk import ACCOUNT, START, Desk

TICK = MICRO // 2
"""MNQ: half a dollar a tick."""


def test_round_trip_makes_two_half_turns_and_exact_money() -> None:
    desk = Desk(fees="0.37")
    desk.buy(2)
    desk.market(100_021)
    desk.sell(2)
    opening, closing = desk.broker.trades[ACCOUNT]
    assert (opening.pnl, opening.fees, opening.size) == (None, 740_000, 2)
    assert (closing.pnl, closing.fees) == (2 * 20 * TICK, 740_000)
    assert desk.balance == 50_000 * MICRO + 20 * MICRO - 1_480_000


def test_events_of_a_fill_come_order_first_then_trade_position_account() -> None:
    desk = Desk()
    desk.buy(1)
    assert desk.kinds() == ["order", "order", "trade", "position", "account"]


def test_reversal_closes_then_opens() -> None:
    desk = Desk()
    desk.buy(2)
    first_id = desk.broker.holding(ACCOUNT, desk.mnq).id
    desk.events.clear()
    desk.sell(5)
    closing, opening = desk.broker.trades[ACCOUNT][1:]
    assert (closing.size, closing.pnl) == (2, 2 * -1 * TICK)
    assert (opening.size, opening.pnl) == (3, None)
    closed, opened = (event for event in desk.events if event.kind == "position")
    assert (closed.closed, closed.payload["size"], closed.payload["id"]) == (True, 0, first_id)
    assert (opened.closed, opened.payload["size"], opened.payload["type"]) == (False, 3, 2)
    assert opened.payload["id"] != first_id
    assert desk.net == -3


@pytest.mark.parametrize(("setting", "expected"), [(None, 1), (0, 0), (1, 1), (2, 2)])
def test_closed_position_comes_with_size_zero_its_entry_and_a_type(setting: int | None, expected: int) -> None:
    desk = Desk(BrokerSettings(closed_type=setting))
    desk.buy(1)
    desk.sell(1)
    payload = [event.payload for event in desk.events if event.kind == "position"][-1]
    assert (payload["size"], payload["type"], payload["averagePrice"]) == (0, expected, 25_000.25)


def test_average_price_is_that_of_the_lots_held() -> None:
    desk = Desk()
    desk.buy(1)
    desk.market(100_010)
    desk.buy(2)
    assert desk.broker.holding(ACCOUNT, desk.mnq).payload()["averagePrice"] == (100_001 + 2 * 100_011) / 3 / 4
    desk.sell(1)
    assert desk.broker.trades[ACCOUNT][-1].pnl == 9 * TICK
    assert desk.broker.holding(ACCOUNT, desk.mnq).payload()["averagePrice"] == 100_011 / 4


def test_close_takes_the_whole_position_and_leaves_orders_working() -> None:
    desk = Desk()
    _, stop, target = desk.entry(Side.BUY, 2, 20, 40)
    desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    assert desk.net == 0
    assert stop.status is target.status is OrderStatus.OPEN


def test_partial_close_reduces() -> None:
    desk = Desk()
    desk.sell(5)
    desk.broker.close(ACCOUNT, desk.mnq, desk.now, size=3)
    assert desk.net == -2


@pytest.mark.parametrize("size", [0, -1, 3])
def test_partial_close_of_what_is_not_held_is_refused(size: int) -> None:
    desk = Desk()
    desk.buy(2)
    with pytest.raises(Refusal) as refusal:
        desk.broker.close(ACCOUNT, desk.mnq, desk.now, size=size)
    assert refusal.value.reason is Reason.INVALID_SIZE
    assert desk.net == 2


def test_two_slow_closes_do_not_reverse_the_position() -> None:
    desk = Desk()
    desk.buy(3)
    desk.broker.settings.plan = FillPlan(delay=1, chunk=2, interval=1)
    first = desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    second = desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    desk.wait(10)
    assert desk.net == 0
    assert first.filled + second.filled == 3
    assert not first.working
    assert not second.working
    assert desk.broker.holding(ACCOUNT, desk.mnq).lowest == 0


def test_two_slow_closes_do_reverse_it_when_the_broker_is_told_to_be_careless() -> None:
    desk = Desk(BrokerSettings(reduce_only_closes=False))
    desk.buy(3)
    desk.broker.settings.plan = FillPlan(delay=1)
    desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    desk.wait(2)
    assert desk.net == -3
    assert desk.broker.holding(ACCOUNT, desk.mnq).lowest == -3


def test_legs_are_suspended_until_the_entry_fills() -> None:
    desk = Desk(BrokerSettings(plan=FillPlan(delay=1)))
    entry, stop, target = desk.entry(Side.BUY, 2, 20, 40)
    assert (stop.status, target.status) == (OrderStatus.SUSPENDED,) * 2
    assert (stop.parent_id, stop.linked_id, target.linked_id) == (entry.id, target.id, stop.id)
    desk.wait(1)
    assert stop.status is target.status is OrderStatus.OPEN
    assert (stop.stop, target.limit) == (100_001 - 20, 100_001 + 40)
    assert desk.statuses(stop) == [OrderStatus.SUSPENDED, OrderStatus.OPEN]


@pytest.mark.parametrize(("to", "filled", "cancelled"), [(99_900, "stop", "target"), (100_100, "target", "stop")])
def test_one_leg_cancels_the_other(to: int, filled: str, cancelled: str) -> None:
    desk = Desk()
    _, stop, target = desk.entry(Side.BUY, 2, 20, 40)
    legs = {"stop": stop, "target": target}
    desk.market(to)
    assert legs[filled].status is OrderStatus.FILLED
    assert legs[cancelled].status is OrderStatus.CANCELLED
    assert desk.net == 0


def test_legs_grow_with_a_partly_filled_entry() -> None:
    desk = Desk(BrokerSettings(plan=FillPlan(chunk=1, interval=1)))
    _, stop, target = desk.entry(Side.SELL, 3, 20, 40)
    assert (stop.size, target.size) == (1, 1)
    desk.wait(2)
    assert (stop.size, target.size) == (3, 3)
    assert (stop.stop, target.limit) == (100_020, 99_960)


def test_legs_of_a_cancelled_entry_go_with_it() -> None:
    desk = Desk()
    entry = desk.buy(1, OrderType.LIMIT, limit=99_990, brackets=None)
    desk.broker.cancel(ACCOUNT, entry.id, desk.now)
    slow = Desk(BrokerSettings(plan=FillPlan(delay=5)))
    entry, stop, target = slow.entry(Side.BUY, 1, 20, 40)
    slow.broker.cancel(ACCOUNT, entry.id, slow.now)
    assert stop.status is target.status is OrderStatus.CANCELLED
    slow.wait(10)
    assert slow.net == 0


def test_partly_filled_leg_makes_its_sibling_smaller() -> None:
    desk = Desk()
    _, stop, target = desk.entry(Side.BUY, 3, 20, 40)
    desk.broker.settings.plan = FillPlan(chunk=1, interval=1)
    desk.market(100_100)
    assert (target.filled, stop.size, stop.status) == (1, 2, OrderStatus.OPEN)
    desk.wait(5)
    assert (target.status, stop.status, desk.net) == (OrderStatus.FILLED, OrderStatus.CANCELLED, 0)


def test_brackets_can_be_cancelled_with_the_position() -> None:
    desk = Desk(BrokerSettings(cancel_brackets_when_flat=True))
    _, stop, target = desk.entry(Side.BUY, 1, 20, 40)
    desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    assert stop.status is target.status is OrderStatus.CANCELLED


def test_voided_trade_gives_back_its_money_once_and_leaves_the_position() -> None:
    desk = Desk(fees="0.37")
    desk.buy(1)
    desk.market(100_101)
    desk.sell(1)
    closing = desk.broker.trades[ACCOUNT][-1]
    before = desk.balance
    desk.events.clear()
    desk.broker.void(ACCOUNT, closing.id, desk.now)
    desk.broker.void(ACCOUNT, closing.id, desk.now)
    assert desk.balance == before - 50 * MICRO + 370_000
    assert [event.payload.get("voided") for event in desk.events] == [True, None]
    with pytest.raises(KeyError, match="no trade 1"):
        desk.broker.void(ACCOUNT, 1, desk.now)


def test_commissions_come_off_the_balance_and_only_in_rest_answers() -> None:
    desk = Desk(BrokerSettings(commission=250_000))
    desk.buy(2)
    trade = desk.broker.trades[ACCOUNT][0]
    assert desk.balance == 50_000 * MICRO - 500_000
    assert trade.payload(commissions=True)["commissions"] == 0.5
    assert "commissions" not in trade.payload()


def test_account_that_may_not_trade_can_still_close() -> None:
    desk = Desk()
    desk.buy(1)
    desk.broker.accounts[ACCOUNT].can_trade = False
    with pytest.raises(Refusal) as refusal:
        desk.buy(1)
    assert refusal.value.reason is Reason.ACCOUNT_VIOLATION
    desk.broker.close(ACCOUNT, desk.mnq, desk.now)
    assert desk.net == 0


def test_restricted_account_can_do_nothing() -> None:
    desk = Desk()
    desk.buy(1)
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    desk.broker.accounts[ACCOUNT].restricted = True
    for attempt in (
        lambda: desk.buy(1),
        lambda: desk.broker.close(ACCOUNT, desk.mnq, desk.now),
        lambda: desk.broker.cancel(ACCOUNT, order.id, desk.now),
        lambda: desk.broker.modify(ACCOUNT, order.id, desk.now, size=2),
    ):
        with pytest.raises(Refusal) as refusal:
            attempt()
        assert refusal.value.reason is Reason.ACCOUNT_REJECTED
    assert desk.net == 1


@pytest.mark.parametrize(
    ("kind", "prices", "size"),
    [
        (OrderType.LIMIT, {}, 1),
        (OrderType.LIMIT, {"limit": 0}, 1),
        (OrderType.STOP, {}, 1),
        (OrderType.STOP_LIMIT, {"stop": 100_010}, 1),
        (OrderType.TRAILING_STOP, {}, 1),
        (OrderType.TRAILING_STOP, {"trail": 0}, 1),
        (OrderType.MARKET, {}, 0),
        (OrderType.MARKET, {}, -2),
    ],
)
def test_incomplete_orders_are_rejected_with_an_order_id(kind: OrderType, prices: dict[str, int], size: int) -> None:
    desk = Desk()
    with pytest.raises(Refusal) as refusal:
        desk.buy(size, kind, **prices)
    assert refusal.value.reason is Reason.REJECTED
    assert desk.broker.orders[refusal.value.order_id or 0].status is OrderStatus.REJECTED
    assert desk.broker.working_orders(ACCOUNT) == []


def test_position_limit_of_the_account() -> None:
    desk = Desk()
    desk.broker.accounts[ACCOUNT].max_contracts = 3
    desk.buy(3)
    with pytest.raises(Refusal) as refusal:
        desk.buy(1)
    assert refusal.value.reason is Reason.INSUFFICIENT_FUNDS
    desk.sell(6)
    assert desk.net == -3


def test_modify_changes_price_and_size_and_may_fill() -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    desk.broker.modify(ACCOUNT, order.id, desk.now, size=3, limit=99_995)
    assert (order.size, order.limit, order.status) == (3, 99_995, OrderStatus.OPEN)
    desk.broker.modify(ACCOUNT, order.id, desk.now, limit=100_010)
    assert (order.status, order.cost) == (OrderStatus.FILLED, 3 * 100_001)


def test_modify_of_a_stop_to_the_wrong_side_changes_nothing() -> None:
    desk = Desk()
    order = desk.sell(1, OrderType.STOP, stop=99_990)
    with pytest.raises(Refusal, match="wrong side"):
        desk.broker.modify(ACCOUNT, order.id, desk.now, size=4, stop=100_010)
    assert (order.size, order.stop) == (1, 99_990)


def test_modify_of_a_trailing_distance_starts_from_the_market() -> None:
    desk = Desk()
    order = desk.sell(1, OrderType.TRAILING_STOP, trail=10)
    desk.broker.modify(ACCOUNT, order.id, desk.now, trail=4)
    assert (order.trail, order.stop) == (4, 99_996)


@pytest.mark.parametrize("change", [{"size": 0}, {"limit": 0}, {"limit": -5}])
def test_impossible_changes_are_refused(change: dict[str, int]) -> None:
    desk = Desk()
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    with pytest.raises(Refusal) as refusal:
        desk.broker.modify(ACCOUNT, order.id, desk.now, **change)
    assert refusal.value.reason is Reason.REJECTED


def test_finished_orders_can_neither_be_changed_nor_cancelled() -> None:
    desk = Desk()
    order = desk.buy(1)
    with pytest.raises(Refusal, match="filled"):
        desk.broker.cancel(ACCOUNT, order.id, desk.now)
    with pytest.raises(Refusal, match="filled"):
        desk.broker.modify(ACCOUNT, order.id, desk.now, size=2)


def test_another_account_s_order_is_not_found() -> None:
    desk = Desk()
    desk.broker.add_account(SimAccount(102, "B", "trader1", 0), START)
    order = desk.buy(1, OrderType.LIMIT, limit=99_990)
    with pytest.raises(Refusal) as refusal:
        desk.broker.cancel(102, order.id, desk.now)
    assert refusal.value.reason is Reason.ORDER_NOT_FOUND
    assert order.working


def test_silent_order_sends_no_order_events_but_its_fills_do() -> None:
    desk = Desk()
    desk.buy(1, OrderType.LIMIT, limit=99_990, silent=True)
    desk.market(99_900)
    assert [e.kind for e in desk.events if not e.silent] == ["trade", "position", "account"]


def test_working_and_finished_orders_are_told_apart() -> None:
    desk = Desk()
    desk.buy(1)
    resting = desk.buy(1, OrderType.LIMIT, limit=99_990)
    assert desk.broker.working_orders(ACCOUNT) == [resting]
    assert desk.broker.account_orders(ACCOUNT, (OrderStatus.OPEN,)) == [resting]
    assert [o.status for o in desk.broker.account_orders(ACCOUNT)] == [OrderStatus.FILLED, OrderStatus.OPEN]
