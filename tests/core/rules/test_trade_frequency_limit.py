"""RULE-006: entries in a minute, an hour, a session, and what a cooldown lets stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.core.engine import Engine
from daemon.core.events import OrderRecord, OrderUpdate, TradeRecord, TradesSnapshot
from daemon.core.units import SECOND_US, to_micros
from shared.config import RiskConfig
from shared.models import OrderStatus, OrderType, Side
from tests.core.desk import ES, MNQ, NQ, OPEN, Desk, rules


def limits(cooldowns: dict[str, int] | None = None, **windows: int) -> RiskConfig:
    return rules(trade_frequency_limit={"limits": windows, "cooldown_on_breach": cooldowns or {}})


def lengths(desk: Desk) -> list[int]:
    """Seconds of each cooldown."""
    return [((d.lockout.expires_at or 0) - d.lockout.locked_at) // SECOND_US for d in desk.lock_decisions()]


@pytest.mark.parametrize(("entries", "locked"), [(1, []), (2, []), (3, [60]), (4, [60])])
def test_entry_when_it_fills_the_minute_brings_a_cooldown(entries: int, locked: list[int]) -> None:
    desk = Desk(limits(per_minute=3))
    for _ in range(entries):
        desk.enter(MNQ, 1)
    assert lengths(desk)[:1] == locked
    assert entries > 3 or desk.wanted() == {}


@pytest.mark.parametrize(("gap", "locked"), [(59, [60]), (60, []), (61, [])])
def test_window_when_the_first_entry_is_60_seconds_old_is_free_of_it(gap: int, locked: list[int]) -> None:
    desk = Desk(limits(per_minute=2))
    start = desk.at
    desk.trade(MNQ, 1, at=start)
    desk.at = start + gap * SECOND_US
    desk.trade(MNQ, 1, at=start + gap * SECOND_US)
    assert lengths(desk) == locked


@pytest.mark.parametrize(("gap", "locked"), [(3599, [1800]), (3600, []), (3601, [])])
def test_hour_when_the_first_entry_is_3600_seconds_old_is_free_of_it(gap: int, locked: list[int]) -> None:
    desk = Desk(limits(per_hour=2))
    start = desk.at
    desk.trade(MNQ, 1, at=start)
    desk.at = start + gap * SECOND_US
    desk.trade(MNQ, 1, at=start + gap * SECOND_US)
    assert lengths(desk) == locked


@pytest.mark.parametrize(("early", "locked"), [(0, ["RULE-006"]), (1, [])])
def test_entry_just_at_the_begin_of_the_session_is_of_it(early: int, locked: list[str]) -> None:
    """Without a window the session is the trading day, from 22:00 UTC; with one, from 14:30."""
    window = {"global_session": {"start": "09:30", "end": "16:00"}, "respect_holidays": False}
    of_the_day = limits(per_session=2)
    of_a_window = rules(trade_frequency_limit={"limits": {"per_session": 2}}, session_block_outside=window)
    for config, begin in ((of_the_day, (22, 0)), (of_a_window, (14, 30))):
        begun = to_micros(datetime(2026, 11, 18, *begin, tzinfo=UTC))
        desk = Desk(config, at=datetime(2026, 11, 18, 14, 0, tzinfo=UTC))
        desk.at = begun + 60 * SECOND_US
        desk.wait(0)
        desk.trade(MNQ, 1, at=begun - early)
        desk.trade(MNQ, 1)
        assert desk.locks() == locked


@pytest.mark.parametrize("late", [0, 4.9, 5.0, 5.1, 40])
def test_cooldown_begins_now_unless_its_entry_is_old(late: float) -> None:
    desk = Desk(limits(per_minute=1))
    desk.wait(120)
    made = desk.at - round(late * SECOND_US)
    desk.at -= 1000
    desk.trade(MNQ, 1, at=made)
    lock = desk.lock_decisions()[0].lockout
    begun = desk.at if late <= 5 else made
    assert (lock.locked_at, lock.expires_at) == (begun, begun + 60 * SECOND_US)


def test_of_several_entries_read_at_once_the_cooldown_that_ends_last_counts() -> None:
    config = limits({"per_minute_breach": 60, "per_hour_breach": 300}, per_minute=2, per_hour=4)
    for gaps, end in (((100, 90, 40, 30), 270), ((200, 100, 55, 50), 250), ((100, 50), 10), ((55, 40, 30), 30)):
        desk = Desk(config, accounts=())
        desk.read_positions()
        now = desk.at
        trades = tuple(
            TradeRecord(number, MNQ, now - gap * SECOND_US, 0, None, 0, Side.BUY, 1, False, number)
            for number, gap in enumerate(gaps, start=1)
        )
        desk.feed(TradesSnapshot(now, 101, now, desk.engine.view.day_start, trades))
        assert max(lock.expires_at or 0 for lock in desk.engine.account(101).locks.values()) == now + end * SECOND_US


def test_entry_told_late_counts_for_those_after_it() -> None:
    desk = Desk(limits(per_minute=3))
    start = desk.at
    desk.trade(MNQ, 1, at=start)
    desk.trade(MNQ, 1, at=start + 2 * SECOND_US)
    assert desk.locks() == []
    desk.trade(MNQ, 1, at=start + SECOND_US)
    assert desk.locks() == ["RULE-006"]


def test_entries_of_the_next_trading_day_count_as_those_of_the_first() -> None:
    desk = Desk(limits(per_minute=3), at=datetime(2026, 11, 18, 21, 50, tzinfo=UTC))
    for _ in range(2):
        desk.trade(MNQ, 1)
        desk.wait(70)
    desk.wait(900)
    for _ in range(3):
        desk.trade(MNQ, 1)
    assert desk.locks() == ["RULE-006"]


def test_only_the_account_that_trades_often_is_cooled_down() -> None:
    desk = Desk(limits(per_minute=2), accounts=(101, 102))
    desk.trade(MNQ, 1, account=101)
    desk.trade(MNQ, 1, account=102)
    assert desk.locks(101) == desk.locks(102) == []
    desk.trade(MNQ, 1, account=102)
    assert (desk.locks(101), desk.locks(102)) == ([], ["RULE-006"])


def test_hour_and_session_have_their_own_cooldowns_and_the_longest_counts() -> None:
    desk = Desk(limits({"per_minute_breach": 10, "per_hour_breach": 20, "per_session_breach": 15}, per_minute=2,
                       per_hour=3, per_session=3))  # fmt: skip
    desk.enter(MNQ, 1)
    desk.enter(MNQ, 1)
    desk.wait(11)
    desk.enter(MNQ, 1)
    assert lengths(desk) == [10, 20]
    assert "3 entries in this hour" in desk.lock_decisions()[1].lockout.reason


def test_fills_of_one_order_are_one_entry_and_exits_are_none() -> None:
    desk = Desk(limits(per_minute=2))
    for _ in range(3):
        desk.trade(MNQ, 1, order_id=7)
    desk.trade(MNQ, -3, "5")
    assert desk.locks() == []
    desk.trade(MNQ, 1, order_id=8)
    assert desk.locks() == ["RULE-006"]


def test_voided_entry_does_not_count() -> None:
    desk = Desk(limits(per_minute=2))
    desk.trade(MNQ, 1, trade_id=1)
    desk.trade(MNQ, 1, trade_id=1, voided=True)
    desk.trade(MNQ, 1)
    assert desk.locks() == []


def test_session_counts_from_its_window_also_over_the_reset() -> None:
    config = rules(
        trade_frequency_limit={"limits": {"per_session": 3}},
        session_block_outside={"global_session": {"start": "09:30", "end": "19:00"}, "respect_holidays": False},
    )
    desk = Desk(config, at=datetime(2026, 11, 18, 14, 0, tzinfo=UTC))
    desk.at = to_micros(datetime(2026, 11, 18, 14, 31, tzinfo=UTC))
    desk.trade(MNQ, 1)
    desk.wait(3600)
    desk.trade(MNQ, 1)
    desk.at = to_micros(datetime(2026, 11, 18, 22, 30, tzinfo=UTC))  # 17:30 in New York: the reset was at 17:00
    desk.wait(1)
    desk.trade(MNQ, 1)
    assert "RULE-006" in desk.locks()
    fresh = Desk(limits(per_session=2), at=datetime(2026, 11, 18, 21, 59, tzinfo=UTC))
    fresh.trade(MNQ, 1)
    fresh.wait(61)
    fresh.trade(MNQ, 1)
    assert fresh.locks() == []


def test_hour_goes_on_over_the_reset_and_an_order_on_both_sides_is_one_entry() -> None:
    desk = Desk(limits(per_hour=3), at=datetime(2026, 11, 18, 21, 59, 58, tzinfo=UTC))
    desk.trade(MNQ, 1, order_id=1)
    desk.trade(MNQ, 1, order_id=2)
    desk.wait(3)
    desk.trade(MNQ, 1, order_id=2)
    assert desk.locks() == []
    desk.trade(MNQ, 1, order_id=3)
    assert desk.locks() == ["RULE-006"]


def rebuilt(config: RiskConfig, desk: Desk, later: float) -> Desk:
    """Another daemon that reads the day's trades so many seconds later."""
    other = Desk(config, accounts=(), engine=Engine(config, desk.engine.calendar))
    other.at = desk.at + round(later * SECOND_US)
    other.read_positions()
    trades = tuple(desk.engine.account(101).ledger.trades.values())
    other.feed(TradesSnapshot(other.at, 101, other.at, desk.engine.view.day_start, trades))
    return other


@pytest.mark.parametrize(("later", "locked"), [(1, ["RULE-006"]), (30, ["RULE-006"]), (59.9, ["RULE-006"]), (61, [])])
def test_trades_read_anew_after_a_restart_give_the_same_cooldown(later: float, locked: list[str]) -> None:
    config = limits(per_minute=3)
    desk = Desk(config)
    for _ in range(3):
        desk.enter(MNQ, 1)
    other = rebuilt(config, desk, later)
    assert other.locks() == locked
    if locked:
        live, again = desk.lock_decisions()[0].lockout, other.lock_decisions()[0].lockout
        assert abs((live.expires_at or 0) - (again.expires_at or 0)) <= 5 * SECOND_US


# ---- what may stay


def cooled(before: dict[str, int], entry: str = MNQ) -> Desk:
    """A desk whose second entry, of 1 MNQ unless said otherwise, has brought a cooldown."""
    desk = Desk(limits({"per_minute_breach": 300}, per_minute=2))
    for contract, size in before.items():
        desk.position(contract, size)
    desk.read_positions(*before.items())
    desk.trade(NQ, 1, order_id=desk.new_id())
    desk.trade(NQ, -1, "0")
    desk.enter(entry, 1)
    assert desk.locks() == ["RULE-006"]
    assert desk.wanted() == {}
    return desk


def test_position_may_shrink_but_not_grow_again() -> None:
    desk = cooled({MNQ: 2})
    desk.close(MNQ, -2, "0")
    assert desk.wanted() == {}
    desk.enter(MNQ, 2)
    assert desk.wanted() == {MNQ: 1}
    desk.close(MNQ, -2, "0")
    assert desk.wanted() == {}


def test_exit_and_new_entry_within_a_moment_is_taken_back() -> None:
    desk = cooled({MNQ: 2})
    desk.close(MNQ, -3, "0")
    desk.enter(MNQ, 1)
    assert desk.wanted() == {MNQ: 0}


def test_reversal_is_closed_whole() -> None:
    desk = cooled({MNQ: 2})
    order = desk.new_id()
    desk.trade(MNQ, -3, "0", order_id=order)
    desk.trade(MNQ, -2, order_id=order)
    desk.position(MNQ, -2)
    assert desk.wanted() == {MNQ: 0}


def test_other_symbol_opened_in_the_cooldown_is_closed() -> None:
    desk = cooled({MNQ: 2})
    desk.enter(ES, 1)
    assert desk.wanted() == {ES: 0}


def test_orders_that_would_open_or_increase_go_and_protecting_ones_stay() -> None:
    desk = cooled({MNQ: 2})
    stop = desk.order(MNQ, -3, kind=OrderType.STOP, stop=90)
    target = desk.order(MNQ, -1, limit=110)
    too_much = desk.order(MNQ, -4, limit=110)
    more = desk.order(MNQ, 1)
    other = desk.order(ES, -1)
    assert desk.wanted() == {too_much: 0, more: 0, other: 0}, (stop, target)


@pytest.mark.parametrize("position_first", [False, True])
def test_triggering_fill_counts_as_held_whichever_message_comes_first(position_first: bool) -> None:
    desk = Desk(limits(per_minute=1))
    if position_first:
        desk.position(MNQ, 2)
        desk.trade(MNQ, 2)
    else:
        desk.trade(MNQ, 2)
        desk.position(MNQ, 2)
    assert desk.lock_decisions()[0].lockout.baseline == {MNQ: 2}
    assert desk.wanted() == {}
    desk.position(MNQ, 3)
    assert desk.wanted() == {MNQ: 2}


def filled(desk: Desk, order: int, size: int, so_far: int, status: OrderStatus = OrderStatus.OPEN) -> None:
    """The order's own event, with what of it is filled."""
    record = OrderRecord(order, MNQ, status, OrderType.MARKET, Side.BUY, size, fill_volume=so_far)
    desk.feed(OrderUpdate(desk.at, 101, record))


def test_entry_that_made_the_cooldown_and_fills_in_parts_stays_whole() -> None:
    for told in ("order first", "fills first", "position first"):
        desk = Desk(limits(per_minute=1))
        if told == "order first":
            filled(desk, 7, 5, 5, OrderStatus.FILLED)
        if told == "position first":
            desk.position(MNQ, 5)
        desk.trade(MNQ, 1, order_id=7)
        if told == "fills first":
            desk.position(MNQ, 1)
        desk.trade(MNQ, 4, order_id=7)
        desk.position(MNQ, 5)
        assert desk.wanted() == {}, told
        assert desk.acts() == [], told
        assert desk.engine.account(101).locks[1].baseline == {MNQ: 5}, told
        desk.wait(3)
        desk.enter(MNQ, 1)
        assert desk.wanted() == {MNQ: 5}, told


def test_rest_of_the_entry_that_made_the_cooldown_is_cancelled() -> None:
    desk = Desk(limits(per_minute=1))
    order = OrderRecord(7, MNQ, OrderStatus.OPEN, OrderType.LIMIT, Side.BUY, 50, limit_price=1, fill_volume=1)
    desk.feed(OrderUpdate(desk.at, 101, order))
    desk.trade(MNQ, 1, order_id=7)
    desk.position(MNQ, 1)
    assert desk.wanted() == {7: 0}
    desk.wait(3)
    desk.trade(MNQ, 4, order_id=7)  # filled before the cancel came
    desk.position(MNQ, 5)
    assert desk.wanted() == {7: 0, MNQ: 1}


def test_order_that_turns_the_position_round_may_stay_as_it_came_out() -> None:
    desk = Desk(limits(per_minute=1))
    desk.position(MNQ, 2)
    desk.read_positions((MNQ, 2))
    filled(desk, 7, 5, 5, OrderStatus.FILLED)
    desk.trade(MNQ, -2, "3", order_id=7)
    desk.trade(MNQ, -3, order_id=7)
    desk.position(MNQ, -3)
    assert desk.wanted() == {}
    assert desk.engine.account(101).locks[1].baseline == {MNQ: -3}


def test_old_position_message_come_twice_takes_nothing_away() -> None:
    desk = cooled({MNQ: 1})
    desk.position(MNQ, 1)  # a copy from before the entry; there is no fill that explains it
    desk.wait(30)
    assert desk.wanted() == {}
    desk.read_positions((MNQ, 2))
    assert desk.wanted() == {}
    assert desk.engine.account(101).locks[1].baseline == {MNQ: 2}


def test_shrinking_that_no_fill_explains_counts_once_it_has_been_read() -> None:
    desk = cooled({MNQ: 1})
    desk.position(MNQ, 1)
    desk.read_positions((MNQ, 1))
    desk.position(MNQ, 2)
    assert desk.wanted() == {MNQ: 1}


def test_second_cooldown_lets_stay_no_more_than_the_first() -> None:
    desk = Desk(limits({"per_minute_breach": 60, "per_hour_breach": 600}, per_minute=2, per_hour=3))
    desk.enter(MNQ, 1)
    desk.enter(MNQ, 1)
    assert desk.engine.account(101).locks[1].baseline == {MNQ: 2}
    desk.enter(MNQ, 1)  # taken back, yet it is the third of the hour
    assert [lock.baseline for lock in desk.engine.account(101).locks.values()] == [{MNQ: 2}, {MNQ: 2}]
    desk.wait(61)
    assert desk.wanted() == {MNQ: 2}


def test_restart_in_the_middle_keeps_what_may_stay() -> None:
    config = limits(per_minute=1)
    desk = Desk(config)
    desk.enter(MNQ, 2)
    lock = desk.lock_decisions()[0].lockout
    engine = Engine(config, desk.engine.calendar)
    engine.restore(desk.at + SECOND_US, lockouts=[lock])
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + 2 * SECOND_US
    other.position(MNQ, 3)
    assert other.wanted() == {MNQ: 2}
    other.read_positions((MNQ, 3))
    assert other.wanted() == {MNQ: 2}
    assert other.acts()[0].action.size == 1


def test_flat_at_the_restart_means_flat_until_the_end() -> None:
    config = limits(per_minute=1)
    desk = Desk(config)
    desk.enter(MNQ, 2)
    engine = Engine(config, desk.engine.calendar)
    engine.restore(desk.at + SECOND_US, lockouts=[desk.lock_decisions()[0].lockout])
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + 2 * SECOND_US
    other.read_positions()
    other.enter(MNQ, 1)
    assert other.wanted() == {MNQ: 0}


def test_order_working_at_the_start_of_the_cooldown_is_cancelled_if_it_would_increase() -> None:
    desk = Desk(limits(per_minute=1))
    stop = desk.order(MNQ, -1, kind=OrderType.STOP, stop=90)
    entry = desk.order(ES, 1, limit=90)
    desk.enter(MNQ, 1)
    assert desk.wanted() == {entry: 0}, stop


def test_warnings_and_gauge_are_of_the_fullest_window() -> None:
    desk = Desk(limits(per_minute=4, per_hour=4))
    desk.enter(MNQ, 1)
    desk.enter(MNQ, 1)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Trade frequency at 50 % of the limit: 2 of 4 entries (this minute).")
    ]
    desk.wait(61)
    gauge = desk.gauge("RULE-006")
    assert (gauge.value, gauge.limit, gauge.percent, gauge.worst) == ("2", "4 entries", 50, "this hour")


def test_lower_limit_counts_the_entries_that_were_made() -> None:
    desk = Desk(limits(per_hour=10))
    for _ in range(3):
        desk.enter(MNQ, 1)
    desk.configure(limits(per_hour=3))
    assert desk.locks() == ["RULE-006"]
    assert to_micros(OPEN) < desk.at


def kinds(desk: Desk) -> list[Any]:
    return [lock.kind for lock in desk.engine.account(101).locks.values()]


def test_breach_closes_nothing() -> None:
    desk = Desk(limits(per_minute=1))
    desk.enter(MNQ, 3)
    assert kinds(desk) == ["cooldown"]
    assert desk.acts() == []


@pytest.mark.parametrize("start", ["10:01", "10:00", None])
def test_entries_of_a_session_whose_window_is_changed_still_count(start: str | None) -> None:
    limit = {"limits": {"per_session": 3}}
    window = {"start": "09:00", "end": "16:00", "timezone": "America/New_York"}
    hours = {"global_session": window, "respect_holidays": False}
    changed = {"global_session": {**window, "start": start or "10:01"}, "respect_holidays": False}
    old = rules(trade_frequency_limit=limit, **({"session_block_outside": hours} if start else {}))
    desk = Desk(old)
    desk.enter(MNQ, 1)
    desk.enter(MNQ, 1)
    desk.configure(rules(trade_frequency_limit=limit, session_block_outside=changed))
    desk.wait(120)
    assert [lock.rule_id for lock in desk.engine.account(101).locks.values() if lock.rule_id != "RULE-009"] == []
    desk.enter(MNQ, 1)
    assert "RULE-006" in desk.locks()
