"""Messages that come late, twice or out of order: what the account's state makes of them."""

from __future__ import annotations

from daemon.core.events import OrderRecord, OrdersSnapshot, PositionRecord, PositionsSnapshot
from daemon.core.units import SECOND_US, price_to_nanos
from shared.models import OrderStatus, OrderType, Side
from tests.core.desk import MNQ, Desk, rules

LOSS = rules(daily_realized_loss={"limit": -500})


def snapshot(desk: Desk, started: int, size: int) -> None:
    held = (PositionRecord(MNQ, size, price_to_nanos(100), 1, started),) if size else ()
    desk.feed(PositionsSnapshot(desk.at, 101, started, held))


def test_read_that_is_older_than_another_read_changes_nothing() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600")
    desk.wait(10)
    snapshot(desk, desk.at, 2)
    assert desk.wanted() == {MNQ: 0}
    snapshot(desk, desk.at - SECOND_US, 0)  # begun before, answered after: it knows less
    assert desk.wanted() == {MNQ: 0}
    assert desk.settled() == []
    snapshot(desk, desk.at, 0)
    assert desk.wanted() == {}
    snapshot(desk, desk.at - SECOND_US, 2)
    assert desk.wanted() == {}


def test_read_that_is_older_than_an_event_leaves_that_contract_alone() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600")
    began = desk.at
    desk.position(MNQ, 2)
    desk.at += 1000
    desk.feed(PositionsSnapshot(desk.at, 101, began, ()))
    assert desk.wanted() == {MNQ: 0}


def order(status: OrderStatus) -> OrderRecord:
    return OrderRecord(7, MNQ, status, OrderType.LIMIT, Side.BUY, 1, limit_price=price_to_nanos(90))


def test_order_that_has_ended_never_works_again() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600")
    desk.order(MNQ, 1, order_id=7)
    began = desk.at
    desk.order(MNQ, 1, order_id=7, status=OrderStatus.CANCELLED)
    assert desk.wanted() == {}
    assert desk.settled()[-1].result == "confirmed"
    desk.order(MNQ, 1, order_id=7)  # the same message once more, late
    assert desk.wanted() == {}
    desk.at += 1000
    desk.feed(OrdersSnapshot(desk.at, 101, began, (order(OrderStatus.OPEN),)))
    assert desk.wanted() == {}


def test_order_of_an_older_read_is_not_taken_for_a_new_one() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600")
    desk.wait(10)
    desk.feed(OrdersSnapshot(desk.at, 101, desk.at, ()))
    desk.feed(OrdersSnapshot(desk.at, 101, desk.at - SECOND_US, (order(OrderStatus.OPEN),)))
    assert desk.wanted() == {}


def test_warning_on_a_quote_that_comes_with_a_timer_is_given_at_once() -> None:
    desk = Desk(rules(daily_total_loss={"limit": -500}, no_stop_loss_grace={"grace_period_seconds": 4}))
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 21000, "21000.25")
    opened = desk.engine.account(101).positions[MNQ].opened_at
    desk.at = opened + 2 * SECOND_US - 1000
    desk.quote(MNQ, 20930, "20930.25")
    assert [warn.rule_id for warn in desk.warnings()] == ["RULE-008", "RULE-014"]
