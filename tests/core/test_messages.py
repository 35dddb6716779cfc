"""Messages that come late, twice or out of order: what the account's state makes of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from daemon.core.decisions import Alert, DayChanged, EndedDay, LockChanged
from daemon.core.events import (
    AccountListed,
    ClearRequested,
    LockRequested,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
)
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


def test_late_message_of_the_position_before_says_nothing_of_the_present_one() -> None:
    desk = Desk(rules(daily_unrealized_loss={"limit": -300}))
    desk.quote(MNQ, 21000, 21000.25)
    desk.enter(MNQ, 2, 21000)
    earlier = desk.at - 60 * SECOND_US
    for size in (2, 0, -2):
        desk.at += 1000
        late = PositionRecord(MNQ, size, price_to_nanos(21300 if size >= 0 else 20700), 1, earlier)
        desk.feed(PositionUpdate(desk.at, 101, late))
        assert desk.engine.account(101).size(MNQ) == 2
        assert desk.wanted() == {}


def test_order_that_reads_show_working_after_its_end_works() -> None:
    desk = Desk(rules())
    desk.feed(LockRequested(desk.at, 101, desk.at + 3600 * SECOND_US, "", "you"))
    order = desk.order(MNQ, 1)
    record = desk.engine.account(101).orders[order]
    desk.feed(OrderUpdate(desk.at, 101, replace(record, status=OrderStatus.REJECTED)))
    desk.wait(4)
    desk.read_orders(record)
    assert desk.wanted() == {}
    desk.wait(4)
    desk.read_orders(record)
    assert desk.wanted() == {order: 0}


def test_lock_by_hand_again_prolongs_the_one_there_is() -> None:
    desk = Desk(rules())
    ends = [desk.at + minutes * 60 * SECOND_US for minutes in (10, 30, 20, 60)]
    for end in ends:
        desk.feed(LockRequested(desk.at, 101, end, "enough", "you"))
        desk.at += 1000
    (lockout,) = desk.engine.account(101).locks.values()
    assert lockout.expires_at == ends[-1]
    assert len(desk.lock_decisions()) == 1
    assert len(desk.of(LockChanged)) == 2
    desk.wait(30 * 60)
    assert desk.locks() != []
    desk.wait(31 * 60)
    assert desk.locks() == []


def test_lock_by_hand_while_an_admin_clears_the_one_before_is_another() -> None:
    desk = Desk(rules())
    desk.feed(LockRequested(desk.at, 101, desk.at + 600 * SECOND_US, "enough", "you"))
    desk.feed(ClearRequested(desk.at, 1, desk.at + 60 * SECOND_US, "mistake", "admin"))
    desk.feed(LockRequested(desk.at, 101, desk.at + 900 * SECOND_US, "enough", "you"))
    desk.wait(120)
    assert len(desk.locks()) == 1


def test_day_that_ends_tells_its_last_figures() -> None:
    desk = Desk(LOSS, at=datetime(2026, 11, 18, 21, 59, 59, tzinfo=UTC))
    desk.trade(MNQ, -1, "-100")
    desk.wait(10)
    (changed,) = desk.of(DayChanged)
    assert changed.trading_day == "2026-11-19"
    assert changed.ended == EndedDay("2026-11-18", -100_000_000, 1)


def test_account_that_is_no_longer_listed_is_told_of_once_each_time() -> None:
    desk = Desk(rules(daily_realized_loss={"limit": -500}), accounts=(101, 102))
    for listed, told in (((101, 102), 0), ((102,), 1), ((102,), 1), ((101, 102), 1), ((102,), 2)):
        desk.feed(AccountListed(desk.at, "trader1", listed))
        said = [alert.text for alert in desk.of(Alert)]
        assert len(said) == told
        assert all("Account 101 is no longer listed by login trader1" in text for text in said)
