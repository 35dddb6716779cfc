"""The shipped calendar against two libraries that know the exchange; see docs/decisions/0021."""

import datetime as dt

import exchange_calendars  # type: ignore[import-untyped]
import holidays as holiday_library
import pytest

from daemon.config_loader import load_holidays
from shared.config import HolidayCalendar
from shared.paths import shipped

CHICAGO = "America/Chicago"

# Within exchange_calendars, about a function of pandas; none of ours.
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning an ndarray")


@pytest.fixture(scope="module")
def calendar() -> HolidayCalendar:
    return load_holidays(shipped("config/holidays.yaml"))


@pytest.fixture(scope="module")
def exchange() -> exchange_calendars.ExchangeCalendar:
    return exchange_calendars.get_calendar("CMES", start="2025-12-01", end="2028-01-31")


def weekdays(year: int) -> list[dt.date]:
    first = dt.date(year, 1, 1)
    days = [first + dt.timedelta(days=offset) for offset in range(366)]
    return [day for day in days if day.year == year and day.weekday() < 5]


def test_holidays_when_shipped_cover_two_years_and_nothing_else(calendar: HolidayCalendar) -> None:
    assert {date.year for date in calendar.dates} == {2026, 2027}
    assert calendar.timezone == CHICAGO
    assert all(date.weekday() < 5 for date in calendar.dates)
    assert all(day.name for day in calendar.dates.values())


@pytest.mark.parametrize("year", [2026, 2027])
def test_holidays_when_compared_with_the_exchange_calendar_agree(
    year: int, calendar: HolidayCalendar, exchange: exchange_calendars.ExchangeCalendar
) -> None:
    early = {session.date() for session in exchange.early_closes}
    for date in weekdays(year):
        listed = calendar.dates.get(date)
        if not exchange.is_session(date.isoformat()):
            assert listed is not None, date
            assert listed.closed, date
        elif date in early:
            close = exchange.session_close(date.isoformat()).tz_convert(CHICAGO).time()
            assert listed is not None, date
            assert listed.early_close == close, date
        elif listed is not None:
            # The one day that this library does not know; the other does.
            assert listed.name == "Juneteenth"


@pytest.mark.parametrize("year", [2026, 2027])
def test_holidays_when_compared_with_the_holiday_library_leave_out_no_day(year: int, calendar: HolidayCalendar) -> None:
    half_days = holiday_library.financial_holidays("XCME", years=year, categories="half_day")
    full_days = holiday_library.financial_holidays("XCME", years=year)
    for date, name in half_days.items():
        assert calendar.dates[date].early_close == dt.time(12), (date, name)
    # It calls days closed on which equity-index futures trade until noon; none of its weekdays is missing.
    assert {date for date in full_days if date.weekday() < 5} <= set(calendar.dates)
