"""RULE-008: a position without a protecting stop."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.decisions import Read
from daemon.core.engine import Engine
from daemon.core.events import OrderRecord, PositionRecord, PositionsSnapshot
from daemon.core.units import SECOND_US, price_to_nanos
from shared.models import OrderStatus, OrderType, Side
from tests.core.desk import ES, MNQ, Desk, rules

CONFIG = rules(no_stop_loss_grace={"grace_period_seconds": 10})


def opened(size: int = 2, bid: float = 100) -> Desk:
    """A desk that has just opened a position in MNQ at 100."""
    desk = Desk(CONFIG)
    desk.quote(MNQ, bid, bid + 0.25)
    desk.position(MNQ, size)
    return desk


def pass_grace(desk: Desk, *orders: OrderRecord) -> None:
    """Ten seconds pass, and the orders are read as asked."""
    desk.wait(9.9)
    assert desk.wanted() == {}
    desk.wait(0.2)
    if desk.of(Read):
        desk.read_orders(*orders)


def working(desk: Desk) -> tuple[OrderRecord, ...]:
    return tuple(desk.engine.account(101).orders.values())


def test_position_without_a_stop_is_closed_after_the_grace_and_a_read() -> None:
    desk = opened()
    desk.wait(9.998)
    assert desk.of(Read) == []
    desk.wait(0.002)
    assert len(desk.of(Read)) == 1
    assert desk.wanted() == {}
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}
    assert desk.acts()[0].action.reason == "MNQ had no stop for 10 s; the position is closed."


@pytest.mark.parametrize(
    ("size", "stop_size", "stop_price", "more", "closed"),
    [
        (2, -2, 99, {}, False),
        (2, -1, 99, {}, True),  # worked case 8: a stop for 1 only
        (2, -3, 99, {}, False),
        (2, 2, 99, {}, True),  # the opening side
        (2, -2, 101, {}, True),  # the winning side of the market
        (2, -2, 100, {}, True),  # at the market
        (2, -2, 99.75, {}, False),
        (-2, 2, 101, {}, False),
        (-2, 2, 99, {}, True),
        (-2, -2, 101, {}, True),
        (2, -2, 99, {"kind": OrderType.STOP_LIMIT}, False),
        (2, -2, 99, {"kind": OrderType.TRAILING_STOP}, False),
        (2, -2, None, {"kind": OrderType.TRAILING_STOP}, False),
        (2, -2, None, {"kind": OrderType.LIMIT, "limit": 105}, True),
        (2, -2, 99, {"status": OrderStatus.PENDING}, False),
        (2, -2, 99, {"status": OrderStatus.SUSPENDED}, True),
        (2, -2, 99, {"status": OrderStatus.PENDING_CANCELLATION}, True),
        (2, -2, 99, {"status": OrderStatus.NONE}, True),
    ],
)
def test_stop_when_it_protects_the_whole_position_saves_it(
    size: int, stop_size: int, stop_price: float | None, more: dict[str, Any], closed: bool
) -> None:
    desk = opened(size)
    desk.order(MNQ, stop_size, stop=stop_price, **{"kind": OrderType.STOP, **more})
    pass_grace(desk, *working(desk))
    assert desk.wanted() == ({MNQ: 0} if closed else {})


def test_two_stops_together_cover() -> None:
    desk = opened(3)
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=99)
    desk.order(MNQ, -2, kind=OrderType.STOP, stop=98)
    desk.order(ES, -3, kind=OrderType.STOP, stop=98)
    pass_grace(desk, *working(desk))
    assert desk.wanted() == {}


@pytest.mark.parametrize(("filled", "closed"), [(0, False), (1, True)])
def test_stop_protects_with_what_is_left_of_it(filled: int, closed: bool) -> None:
    desk = opened(2)
    desk.wait(10.1)
    stop = OrderRecord(
        9, MNQ, OrderStatus.OPEN, OrderType.STOP, Side.SELL, 2, stop_price=price_to_nanos(99), fill_volume=filled
    )
    desk.read_orders(stop)
    assert desk.wanted() == ({MNQ: 0} if closed else {})


def test_each_account_has_its_own_stops() -> None:
    desk = Desk(CONFIG, accounts=(101, 102))
    desk.quote(MNQ, 100, 100.25)
    for account in (101, 102):
        desk.position(MNQ, 1, account=account)
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=99, account=101)
    desk.wait(10.1)
    for account in (101, 102):
        desk.read_orders(*desk.engine.account(account).orders.values(), account=account)
    assert (desk.wanted(101), desk.wanted(102)) == ({}, {MNQ: 0})


def test_stop_of_another_contract_does_not_protect() -> None:
    desk = opened(1)
    desk.order(ES, -1, kind=OrderType.STOP, stop=90)
    pass_grace(desk, *working(desk))
    assert desk.wanted() == {MNQ: 0}


def test_stop_placed_without_an_event_is_found_by_the_read() -> None:
    desk = opened()
    desk.wait(10.1)
    stop = OrderRecord(9, MNQ, OrderStatus.OPEN, OrderType.STOP, Side.SELL, 2, stop_price=price_to_nanos(99))
    desk.read_orders(stop)
    assert desk.wanted() == {}
    desk.wait(60)
    assert desk.wanted() == {}
    assert len(desk.of(Read)) == 1


def test_read_from_before_the_end_of_the_grace_is_not_enough_and_a_failing_one_is_not_waited_for_for_ever() -> None:
    desk = opened()
    desk.wait(9)
    desk.read_orders()
    desk.wait(1.1)
    assert desk.of(Read)
    assert desk.wanted() == {}
    desk.wait(4)
    assert desk.wanted() == {}
    desk.wait(2)
    assert desk.wanted() == {MNQ: 0}


def test_grace_begins_with_the_increase_that_the_stop_does_not_cover() -> None:
    desk = opened(2)
    desk.order(MNQ, -2, kind=OrderType.STOP, stop=99)
    desk.wait(60)
    desk.position(MNQ, 3)
    pass_grace(desk, *working(desk))
    assert desk.wanted() == {MNQ: 0}


def test_grace_begins_when_the_stop_goes_away_and_not_anew_with_more_contracts() -> None:
    desk = opened(1)
    stop = desk.order(MNQ, -1, kind=OrderType.STOP, stop=99)
    desk.wait(60)
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=99, order_id=stop, status=OrderStatus.CANCELLED)
    desk.wait(5)
    desk.position(MNQ, 2)
    desk.wait(5.1)
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}


def test_position_turned_round_has_its_own_grace() -> None:
    desk = opened(2)
    desk.wait(9)
    desk.position(MNQ, -1)
    desk.wait(5)
    desk.read_orders()
    assert desk.wanted() == {}
    desk.wait(5.1)
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}


def test_closed_and_opened_again_begins_anew() -> None:
    desk = opened(2)
    desk.wait(9)
    desk.position(MNQ, 0)
    desk.position(MNQ, 2)
    desk.wait(9.9)
    desk.read_orders()
    assert desk.wanted() == {}


def test_stop_that_comes_after_the_grace_does_not_save_what_is_being_closed() -> None:
    desk = opened(2)
    desk.wait(10.1)
    desk.read_orders()
    desk.order(MNQ, -2, kind=OrderType.STOP, stop=99)
    assert desk.wanted() == {MNQ: 0}


def test_side_of_a_stop_is_told_once_there_is_a_price() -> None:
    desk = Desk(CONFIG)
    desk.position(MNQ, 2)
    desk.order(MNQ, -2, kind=OrderType.STOP, stop=101)
    desk.wait(11)
    assert desk.wanted() == {}
    desk.quote(MNQ, 100, 100.25)
    desk.wait(1)
    desk.wait(10)
    desk.read_orders(*working(desk))
    assert desk.wanted() == {MNQ: 0}


@pytest.mark.parametrize(
    ("size", "stop", "closed"), [(2, 99.75, False), (2, 100, True), (-2, 100.25, False), (-2, 100, True)]
)
def test_without_any_price_the_entry_tells_the_side_of_a_stop(size: int, stop: float, closed: bool) -> None:
    desk = Desk(CONFIG)
    desk.position(MNQ, size)
    desk.order(MNQ, -size, kind=OrderType.STOP, stop=stop)
    desk.wait(1)
    desk.wait(10.1)
    desk.read_orders(*working(desk))
    assert desk.wanted() == ({MNQ: 0} if closed else {})


def test_read_begun_just_at_the_end_of_the_grace_is_enough() -> None:
    desk = opened()
    ends = desk.at + 10 * SECOND_US
    desk.at = ends - 1000
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}


def test_restart_does_not_begin_the_grace_anew() -> None:
    desk = opened(2)
    desk.wait(6)
    engine = Engine(CONFIG, desk.engine.calendar)
    memory = {(101, key): values for key, values in desk.engine.account(101).memory.items()}
    engine.restore(desk.at, memories=memory)
    other = Desk(accounts=(), engine=engine)
    other.at = desk.at + 3 * SECOND_US
    other.read_orders()
    opened_at = desk.engine.account(101).positions[MNQ].created_at
    found = PositionRecord(MNQ, 2, price_to_nanos(100), 1, opened_at)
    other.feed(PositionsSnapshot(other.at, 101, other.at, (found,)))
    other.wait(2)
    other.read_orders()
    assert other.wanted() == {MNQ: 0}


@pytest.mark.parametrize(("opened_after", "wanted"), [(-1, {MNQ: 0}), (2, {MNQ: 0}), (2.1, {}), (20, {})])
def test_position_opened_while_the_daemon_was_away_has_its_own_grace(
    opened_after: float, wanted: dict[str, int]
) -> None:
    desk = opened(2)
    begun = desk.at
    desk.wait(6)
    engine = Engine(CONFIG, desk.engine.calendar)
    engine.restore(desk.at, memories={(101, key): held for key, held in desk.engine.account(101).memory.items()})
    other = Desk(accounts=(), engine=engine)
    other.at = desk.at + 60 * SECOND_US
    created = begun + round(opened_after * SECOND_US)
    found = PositionRecord(MNQ, 2, price_to_nanos(100), 1, created)
    other.feed(PositionsSnapshot(other.at, 101, other.at, (found,)))
    other.read_orders()
    assert other.wanted() == wanted
    other.wait(9.9)
    other.read_orders()
    assert other.wanted() == wanted
    other.wait(0.2)
    other.read_orders()
    assert other.wanted() == {MNQ: 0}


def test_change_of_the_configuration_does_not_begin_the_grace_anew() -> None:
    desk = opened(2)
    desk.wait(6)
    desk.configure(rules(no_stop_loss_grace={"grace_period_seconds": 10}, weekly_loss={"limit": -99}))
    desk.wait(4)
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}
    shorter = opened(2)
    shorter.wait(6)
    shorter.configure(rules(no_stop_loss_grace={"grace_period_seconds": 5}))
    shorter.read_orders()
    assert shorter.wanted() == {MNQ: 0}


def test_no_grace_at_all_closes_after_the_read() -> None:
    desk = Desk(rules(no_stop_loss_grace={"grace_period_seconds": 0}))
    desk.position(MNQ, 1)
    assert desk.of(Read)
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}


def test_warnings_come_as_the_grace_runs_out() -> None:
    desk = opened(1)
    for _ in range(98):
        desk.wait(0.1)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Stop-loss required at 50 % of the limit: 5 s without a stop of 10 s (MNQ)."),
        (75, "Stop-loss required at 75 % of the limit: 7 s without a stop of 10 s (MNQ)."),
        (90, "Stop-loss required at 90 % of the limit: 9 s without a stop of 10 s (MNQ)."),
    ]
    assert desk.gauge("RULE-008").percent == 98
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=99)
    assert (desk.gauge("RULE-008").value, desk.gauge("RULE-008").percent) == ("all protected", 0)


def test_position_that_another_rule_closes_with_its_orders_has_its_orders_cancelled_too() -> None:
    desk = Desk(rules(no_stop_loss_grace={"grace_period_seconds": 5}, max_unrealized_profit={"target": 20}))
    desk.enter(MNQ, 2)
    order_id = desk.order(MNQ, -2, limit=200)
    desk.wait(6)
    desk.read_orders(desk.engine.account(101).orders[order_id])
    assert desk.wanted() == {MNQ: 0}
    desk.quote(MNQ, 140, 140.25)
    desk.position(MNQ, 2)
    assert desk.wanted() == {MNQ: 0, order_id: 0}
