from __future__ import annotations

import datetime as dt

import pytest

from daemon.simulator import SimClock
from daemon.simulator.clock import SECOND, from_us, parse_stamp, stamp, to_us
from daemon.simulator.schedule import Schedule

START = dt.datetime(2026, 11, 2, 14, 30, tzinfo=dt.UTC)


def test_manual_clock_moves_by_advance_alone() -> None:
    clock = SimClock(START, manual=True)
    assert clock.utc() == START
    clock.advance(1.5)
    assert clock.utc() == START + dt.timedelta(seconds=1.5)
    clock.advance_to(START + dt.timedelta(days=1))
    assert clock.utc() == START + dt.timedelta(days=1)


def test_clock_never_goes_back() -> None:
    clock = SimClock(START, manual=True)
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="forward"):
        clock.advance_to(START - dt.timedelta(seconds=1))


def test_running_clock_goes_at_its_speed() -> None:
    fast, slow = SimClock(START, speed=1000.0), SimClock(START, speed=0.001)
    before = fast.now()
    while fast.now() - before < SECOND:
        pass
    assert slow.now() - to_us(START) < SECOND


def test_http_date_follows_the_clock() -> None:
    clock = SimClock(START, manual=True)
    assert clock.http_date() == "Mon, 02 Nov 2026 14:30:00 GMT"
    clock.advance(61)
    assert clock.http_date() == "Mon, 02 Nov 2026 14:31:01 GMT"


def test_wire_time_counts_what_was_advanced() -> None:
    clock = SimClock(START, manual=True)
    before = clock.wire()
    clock.advance(60)
    assert 60 <= clock.wire() - before < 61


@pytest.mark.parametrize("text", ["2026-11-02T14:30:00Z", "2026-11-02T09:30:00-05:00", "2026-11-02T14:30:00"])
def test_times_are_read_with_or_without_an_offset(text: str) -> None:
    assert parse_stamp(text) == to_us(START)


def test_stamps_have_a_fixed_width() -> None:
    assert stamp(to_us(START)) == "2026-11-02T14:30:00.000000+00:00"
    assert from_us(parse_stamp(stamp(to_us(START) + 1))) == START + dt.timedelta(microseconds=1)


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_us(START.replace(tzinfo=None))


def test_schedule_runs_in_order_of_time_then_of_planning() -> None:
    schedule, ran = Schedule(), list[tuple[str, int]]()
    schedule.at(20, lambda at: ran.append(("late", at)))
    schedule.at(10, lambda at: ran.append(("first", at)))
    schedule.at(10, lambda at: ran.append(("second", at)))
    assert schedule.next_due() == 10
    assert schedule.run_until(10) == 2
    assert ran == [("first", 10), ("second", 10)]
    assert schedule.run_until(1000) == 1
    assert ran[-1] == ("late", 20)


def test_schedule_runs_what_actions_plan_within_the_span() -> None:
    schedule, ran = Schedule(), list[int]()

    def again(at: int) -> None:
        ran.append(at)
        schedule.at(at + 10, again)

    schedule.at(10, again)
    schedule.run_until(35)
    assert ran == [10, 20, 30]
    schedule.remove(again)
    assert schedule.next_due() is None


def test_schedule_calls_with_the_time_something_was_due() -> None:
    schedule, seen = Schedule(), list[int | None]()
    schedule.at(10, lambda at: seen.append(schedule.current))
    schedule.run_until(99)
    assert seen == [10]
    assert schedule.current is None
