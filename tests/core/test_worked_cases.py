"""The worked cases of the rule book, on the core alone."""

from __future__ import annotations

from datetime import UTC, datetime

from daemon.core.decisions import Read
from daemon.core.engine import Engine
from daemon.core.events import AccountUpdate, OrderRecord, Tick
from daemon.core.units import SECOND_US, from_micros, money_to_micros, price_to_nanos
from shared.config import HolidayCalendar
from shared.models import OrderType, Side
from tests.core.desk import ES, MNQ, RTY, Desk, rules

LOSS = {"daily_realized_loss": {"limit": -500}}


def test_case_1_daily_loss_closes_everything_and_locks_until_the_reset() -> None:
    desk = Desk(rules(**LOSS))
    desk.trade(MNQ, -1, "-450")
    desk.position(ES, 1)
    first, second = desk.order(ES, -1), desk.order(MNQ, 1)
    decided = desk.trade(MNQ, -1, "-60", fees="0.74")
    assert desk.engine.account(101).realized(net=True) == money_to_micros("-510.74")
    (lock,) = desk.lock_decisions()
    assert from_micros(lock.lockout.expires_at or 0) == datetime(2026, 11, 18, 22, 0, tzinfo=UTC)
    assert "-510.74" in lock.lockout.reason and "17:00 New York" in lock.lockout.reason
    assert decided[0] is lock
    assert desk.wanted() == {ES: 0, first: 0, second: 0}
    desk.position(ES, 0)
    desk.wait(3)
    desk.position(MNQ, 1)
    assert desk.wanted() == {first: 0, second: 0, MNQ: 0}


def test_case_2_lock_after_the_reset_lasts_until_the_next_one() -> None:
    evening = Desk(rules(**LOSS), at=datetime(2026, 11, 18, 22, 30, tzinfo=UTC))
    evening.trade(MNQ, -1, "-500")
    assert from_micros(evening.lock_decisions()[0].lockout.expires_at or 0) == datetime(2026, 11, 19, 22, 0, tzinfo=UTC)
    friday = Desk(rules(**LOSS), at=datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    friday.trade(MNQ, -1, "-500")
    assert from_micros(friday.lock_decisions()[0].lockout.expires_at or 0) == datetime(2026, 11, 21, 22, 0, tzinfo=UTC)


def test_case_3_position_at_its_loss_limit_is_closed_alone() -> None:
    desk = Desk(rules(daily_unrealized_loss={"limit": -300}))
    desk.position(ES, 1, 6000)
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, "20925.25", "20925.50")  # -149.50 each
    assert desk.wanted() == {}
    desk.quote(MNQ, "20925.00", "20925.25")
    assert desk.wanted() == {MNQ: 0}
    assert desk.locks() == []


def test_case_4_last_increased_position_is_reduced_just_to_the_limit() -> None:
    desk = Desk(rules(max_contracts={"limit": 5}))
    desk.position(MNQ, 3)
    desk.position(ES, 2)
    assert desk.wanted() == {}
    desk.position(MNQ, 4)
    assert desk.wanted() == {MNQ: 3}
    assert desk.acts()[0].action.size == 1
    hedged = Desk(rules(max_contracts={"limit": 5}))
    hedged.position(MNQ, 6)
    assert hedged.wanted() == {MNQ: 5}
    hedged.position(ES, -4)
    assert hedged.wanted() == {}
    gross = Desk(rules(max_contracts={"limit": 9, "count_type": "gross"}))
    gross.position(MNQ, 6)
    gross.position(ES, -4)
    assert gross.wanted() == {ES: 3}


def test_case_5_symbol_limit_takes_off_what_is_too_much() -> None:
    desk = Desk(rules(max_contracts_per_instrument={"limits": {"MNQ": 2}}))
    desk.position(MNQ, 5)
    (act,) = desk.acts()
    assert (act.action.kind, act.action.size, act.action.target) == ("reduce_position", 3, 2)
    desk.position(MNQ, 2)
    assert [settle.result for settle in desk.settled()] == ["confirmed"]


def test_case_6_third_entry_brings_a_cooldown_and_the_fourth_is_taken_back() -> None:
    desk = Desk(rules(trade_frequency_limit={"limits": {"per_minute": 3}}))
    desk.enter(ES, 1)
    desk.enter(MNQ, 1)
    desk.enter(MNQ, 1)
    (lock,) = desk.lock_decisions()
    assert (lock.lockout.kind, (lock.lockout.expires_at or 0) - lock.lockout.locked_at) == ("cooldown", 60_000_000)
    assert desk.wanted() == {}
    desk.wait(1)
    desk.enter(MNQ, 1)
    assert desk.wanted() == {MNQ: 2}
    desk.position(MNQ, 2)
    assert desk.wanted() == {}
    desk.trade(ES, -1, "10")
    desk.position(ES, 0)
    assert desk.wanted() == {}
    stop = desk.order(MNQ, -2, kind=OrderType.STOP, stop=90)
    entry = desk.order(MNQ, 1)
    assert desk.wanted() == {entry: 0}, stop


def test_case_7_losing_exits_are_summed_by_order() -> None:
    config = {
        "loss_thresholds": [
            {"loss_amount": -100, "cooldown_duration": 300},
            {"loss_amount": -200, "cooldown_duration": 900},
        ]
    }
    desk = Desk(rules(cooldown_after_loss=config))
    desk.position(MNQ, 1)
    desk.trade(MNQ, -1, "-60", order_id=7)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-55", order_id=7)
    first = desk.lock_decisions()[0].lockout
    assert (first.expires_at or 0) - first.locked_at == 300_000_000
    assert desk.wanted() == {MNQ: 0}
    desk.wait(100)
    desk.trade(MNQ, -1, "-210", order_id=8)
    second = desk.lock_decisions()[1].lockout
    assert (second.expires_at or 0) - second.locked_at == 900_000_000


def test_case_8_stop_for_a_part_and_on_the_wrong_side_do_not_save_a_position() -> None:
    for size, price, saved in ((-1, 99, False), (-2, 101, False), (-2, 99, True)):
        desk = Desk(rules(no_stop_loss_grace={"grace_period_seconds": 10}))
        desk.quote(MNQ, 100, "100.25")
        desk.position(MNQ, 2)
        stop = OrderRecord(7, MNQ, 1, OrderType.STOP, Side.SELL, -size, stop_price=price_to_nanos(price))
        desk.wait(10.1)
        assert desk.wanted() == {}
        assert len(desk.of(Read)) == 1
        desk.read_orders(stop)  # no event told of it: the read finds it
        assert desk.wanted() == ({} if saved else {MNQ: 0})


def test_case_9_lockout_that_was_stored_closes_after_a_restart() -> None:
    desk = Desk(rules(**LOSS))
    desk.position(ES, 1)
    desk.trade(MNQ, -1, "-600")
    engine = Engine(rules(**LOSS), HolidayCalendar())
    engine.restore(desk.at, lockouts=[desk.lock_decisions()[0].lockout])  # killed before anything was sent
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    other.read_positions((ES, 1))
    assert other.wanted() == {ES: 0}
    other.position(MNQ, 1)
    assert other.wanted() == {ES: 0, MNQ: 0}


def test_case_10_lockout_ends_by_the_time_it_is_told_alone() -> None:
    desk = Desk(rules(**LOSS))
    desk.trade(MNQ, -1, "-600")
    for _ in range(100):  # whatever the wall clock says, events carry trusted time
        desk.feed(Tick(desk.at))
    assert desk.locks() == ["RULE-003"]


def test_case_11_blocked_symbol_is_closed_and_locked_alone() -> None:
    desk = Desk(rules(symbol_blocks={"blocked_symbols": ["RTY"]}))
    desk.position(RTY, 1)
    desk.position(MNQ, 1)
    assert desk.wanted() == {RTY: 0}
    (lock,) = desk.lock_decisions()
    assert (lock.lockout.kind, lock.lockout.symbol, lock.lockout.expires_at) == ("symbol", "RTY", None)


def test_case_12_trading_forbidden_then_allowed_again() -> None:
    desk = Desk(rules(auth_loss_guard={}))
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", False))
    assert desk.locks() == ["RULE-010"]
    desk.wait(20)
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", True))
    assert desk.locks() == []
    assert desk.unlocks()[0].lockout.cleared_by == "condition"


def test_exact_money_three_losses_make_the_limit() -> None:
    desk = Desk(rules(**LOSS))
    for loss in ("-166.67", "-166.67", "-166.65"):
        desk.trade(MNQ, -1, loss)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-0.01")
    assert desk.locks() == ["RULE-003"]


def test_our_own_closing_market_order_is_left_alone_but_more_than_is_held_is_cancelled() -> None:
    desk = Desk(rules(**LOSS))
    desk.position(ES, 3)
    desk.trade(MNQ, -1, "-500")
    closing = desk.order(ES, -3, kind=OrderType.MARKET)
    assert closing not in desk.wanted()
    too_much = desk.order(ES, -1, kind=OrderType.MARKET)
    assert desk.wanted() == {ES: 0, too_much: 0}
    resting = desk.order(ES, -1, kind=OrderType.STOP, stop=90)
    assert resting in desk.wanted()
