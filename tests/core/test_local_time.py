"""Resets, trading days and weeks: daylight saving, times that do not exist or come twice, moved resets."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.engine import Engine
from daemon.core.local_time import TradingDays, duration_text, instant, local_text, zone
from daemon.core.units import from_micros, to_micros
from shared.config import HolidayCalendar, RiskConfig

NEW_YORK = "America/New_York"


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return to_micros(datetime(year, month, day, hour, minute, second, tzinfo=UTC))


def utc(micros: int) -> datetime:
    return from_micros(micros)


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        # winter and summer: 17:00 in New York is 22:00 and 21:00 UTC
        (at(2026, 1, 14, 21, 59, 59), at(2026, 1, 13, 22), at(2026, 1, 14, 22)),
        (at(2026, 1, 14, 22), at(2026, 1, 14, 22), at(2026, 1, 15, 22)),
        (at(2026, 7, 14, 20, 59, 59), at(2026, 7, 13, 21), at(2026, 7, 14, 21)),
        (at(2026, 7, 14, 21), at(2026, 7, 14, 21), at(2026, 7, 15, 21)),
        # 8 March: clocks forward, a day of 23 hours; 1 November: back, 25 hours
        (at(2026, 3, 8, 12), at(2026, 3, 7, 22), at(2026, 3, 8, 21)),
        (at(2026, 11, 1, 12), at(2026, 10, 31, 21), at(2026, 11, 1, 22)),
        # a reset is every day: Friday evening to Saturday evening
        (at(2026, 11, 20, 22, 30), at(2026, 11, 20, 22), at(2026, 11, 21, 22)),
    ],
)
def test_trading_day_holds_the_moment(now: int, start: int, end: int) -> None:
    assert TradingDays(time(17), NEW_YORK).bounds(now) == (start, end)


def test_reset_that_does_not_exist_comes_right_after_the_gap() -> None:
    days = TradingDays(time(2, 30), NEW_YORK)
    # 02:30 on 8 March does not exist: at 02:00 it is 03:00, which is 07:00 UTC
    assert days.bounds(at(2026, 3, 8, 6, 59)) == (at(2026, 3, 7, 7, 30), at(2026, 3, 8, 7))
    assert days.bounds(at(2026, 3, 8, 7)) == (at(2026, 3, 8, 7), at(2026, 3, 9, 6, 30))


def test_reset_that_comes_twice_is_the_first_one() -> None:
    days = TradingDays(time(1, 30), NEW_YORK)
    # 01:30 on 1 November is 05:30 and again 06:30 UTC
    assert days.bounds(at(2026, 11, 1, 5, 30)) == (at(2026, 11, 1, 5, 30), at(2026, 11, 2, 6, 30))
    assert days.bounds(at(2026, 11, 1, 6, 30)) == (at(2026, 11, 1, 5, 30), at(2026, 11, 2, 6, 30))


def test_gap_of_half_an_hour_and_of_a_whole_day() -> None:
    # Lord Howe goes forward by 30 minutes at 02:00; Samoa left out 30 December 2011
    assert utc(instant(date(2026, 10, 4), time(2, 15), zone("Australia/Lord_Howe"))) == datetime(
        2026, 10, 3, 15, 30, tzinfo=UTC
    )
    assert utc(instant(date(2011, 12, 30), time(17), zone("Pacific/Apia"))) == datetime(2011, 12, 30, 10, tzinfo=UTC)


def test_name_is_the_date_of_the_reset_that_ends_the_day() -> None:
    days = TradingDays(time(17), NEW_YORK)
    assert days.name(at(2026, 11, 18, 21, 59)) == "2026-11-18"
    assert days.name(at(2026, 11, 18, 22)) == "2026-11-19"


@given(
    now=st.integers(at(2020, 1, 1), at(2035, 1, 1)),
    reset=st.times().map(lambda chosen: chosen.replace(second=0, microsecond=0, tzinfo=None)),
    name=st.sampled_from([NEW_YORK, "America/Chicago", "Europe/Berlin", "Australia/Lord_Howe", "UTC"]),
)
def test_days_follow_one_another_without_gap_or_overlap(now: int, reset: time, name: str) -> None:
    days = TradingDays(reset, name)
    start, end = days.bounds(now)
    assert start <= now < end
    assert timedelta(hours=22) < utc(end) - utc(start) < timedelta(hours=26)
    fresh = TradingDays(reset, name)
    assert fresh.bounds(end)[0] == end
    assert TradingDays(reset, name).bounds(start - 1)[1] == start
    assert days.week_start(now) <= start
    assert now < days.week_end(now)
    assert utc(days.week_end(now)) - utc(days.week_start(now)) <= timedelta(days=7, hours=2)


def test_reset_soon_after_a_change_of_its_time_is_left_out() -> None:
    changed = at(2026, 11, 18, 21, 30)
    days = TradingDays(time(16, 45), NEW_YORK, no_reset_before=changed + 20 * 3600 * 1_000_000)
    # The new 16:45 of the 18th comes 15 minutes after the change: no day begins with it.
    start, end = days.bounds(changed)
    assert end == at(2026, 11, 19, 21, 45)
    assert start < changed
    assert days.bounds(at(2026, 11, 18, 22)) == (start, end)


@pytest.mark.parametrize(
    ("now", "start", "end"),
    [
        (at(2026, 11, 18, 12), at(2026, 11, 13, 22), at(2026, 11, 20, 22)),
        (at(2026, 11, 20, 21, 59), at(2026, 11, 13, 22), at(2026, 11, 20, 22)),
        (at(2026, 11, 20, 22), at(2026, 11, 20, 22), at(2026, 11, 27, 22)),
        (at(2026, 3, 9, 12), at(2026, 3, 6, 22), at(2026, 3, 13, 21)),  # over the change of the clocks
        (at(2026, 10, 31, 12), at(2026, 10, 30, 21), at(2026, 11, 6, 22)),
    ],
)
def test_week_begins_with_the_reset_on_friday(now: int, start: int, end: int) -> None:
    days = TradingDays(time(17), NEW_YORK)
    assert (days.week_start(now), days.week_end(now)) == (start, end)


def test_engine_counts_the_day_anew_when_the_reset_moves() -> None:
    engine = Engine(RiskConfig(), HolidayCalendar())
    engine.restore(at(2026, 11, 18, 15))
    assert engine.days.bounds(engine.now) == (at(2026, 11, 17, 22), at(2026, 11, 18, 22))


def test_texts_for_people() -> None:
    now = at(2026, 11, 18, 15)
    assert local_text(at(2026, 11, 18, 22), now, NEW_YORK) == "17:00 New York"
    assert local_text(at(2026, 11, 18, 22, 0, 5), now, NEW_YORK) == "17:00:05 New York"
    assert local_text(at(2026, 11, 20, 22), now, NEW_YORK) == "Fri 20 Nov 17:00 New York"
    assert [duration_text(seconds) for seconds in (60, 119, 120, 150, 3600, 5400)] == [
        "60 s",
        "119 s",
        "2 min",
        "2 min 30 s",
        "1 h",
        "1 h 30 min",
    ]
