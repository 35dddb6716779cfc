"""When trading is allowed in a week, from the session rule and the calendar, for the week view. No Qt.

As the daemon judges: the account's window and the symbol's both must allow, a closed day closes its whole date in the
calendar's zone, an early close the rest of it. Times shown are those of one zone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.config import HolidayCalendar, SessionBlockOutside, SessionWindow

Stretch = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True, slots=True)
class Band:
    """Part of a day on which trading is allowed, as hours of that day (0 to 24)."""

    start: float
    end: float
    words: str


def monday_of(day: dt.date) -> dt.date:
    """The Monday of its week."""
    return day - dt.timedelta(days=day.weekday())


def week(
    rule: SessionBlockOutside | None,
    calendar: HolidayCalendar | None,
    monday: dt.date,
    zone_name: str,
    symbol: str | None = None,
) -> list[list[Band]]:
    """Bands of each of the seven days in the zone; with no rule, or one that is off, all time is allowed.

    `symbol`: cut by its own window too.
    """
    zone = ZoneInfo(zone_name)
    start = dt.datetime.combine(monday, dt.time(0), zone)
    end = dt.datetime.combine(monday + dt.timedelta(days=7), dt.time(0), zone)
    stretches: list[Stretch] = [(start, end)]
    if rule is not None and rule.enabled:
        windows = [rule.account_window]
        if symbol is not None:
            windows.append(rule.windows.get(symbol))
        for window in windows:
            if window is not None:
                stretches = _both(stretches, _window(window, monday))
        if rule.respect_holidays and calendar is not None:
            stretches = _without(stretches, _closed(calendar, monday))
    days: list[list[Band]] = [[] for _ in range(7)]
    for number in range(7):
        day = monday + dt.timedelta(days=number)
        left = dt.datetime.combine(day, dt.time(0), zone)
        right = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(0), zone)
        for begin, stop in _both(stretches, [(left, right)]):
            days[number].append(_band(begin.astimezone(zone), stop.astimezone(zone), day))
    return days


def _band(begin: dt.datetime, stop: dt.datetime, day: dt.date) -> Band:
    start = 0.0 if begin.date() < day else begin.hour + begin.minute / 60
    end = 24.0 if stop.date() > day else stop.hour + stop.minute / 60
    return Band(start, end, f"{_clock(start)} to {_clock(end)}")


def _clock(hours: float) -> str:
    minutes = round(hours * 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _window(window: SessionWindow, monday: dt.date) -> list[Stretch]:
    zone = ZoneInfo(window.timezone)
    found = []
    for offset in range(-2, 9):
        day = monday + dt.timedelta(days=offset)
        if day.weekday() in window.weekdays:
            last = day + dt.timedelta(days=1 if window.overnight else 0)
            found.append((dt.datetime.combine(day, window.start, zone), dt.datetime.combine(last, window.end, zone)))
    return found


def _closed(calendar: HolidayCalendar, monday: dt.date) -> list[Stretch]:
    zone = ZoneInfo(calendar.timezone)
    found = []
    for day, holiday in calendar.dates.items():
        if monday - dt.timedelta(days=2) <= day <= monday + dt.timedelta(days=9):
            begins = holiday.early_close or dt.time(0)
            after = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(0), zone)
            found.append((dt.datetime.combine(day, begins, zone), after))
    return found


def _both(first: list[Stretch], second: list[Stretch]) -> list[Stretch]:
    # Compared as instants: two times of one zone compare by their wall clocks otherwise.
    found = [(max(a[0], b[0], key=_instant), min(a[1], b[1], key=_instant)) for a in first for b in second]
    return sorted((s for s in found if _instant(s[0]) < _instant(s[1])), key=lambda s: _instant(s[0]))


def _without(stretches: list[Stretch], holes: list[Stretch]) -> list[Stretch]:
    for begin, stop in holes:
        left: list[Stretch] = []
        for stretch in stretches:
            if _instant(stop) <= _instant(stretch[0]) or _instant(stretch[1]) <= _instant(begin):
                left.append(stretch)
                continue
            if _instant(stretch[0]) < _instant(begin):
                left.append((stretch[0], begin))
            if _instant(stop) < _instant(stretch[1]):
                left.append((stop, stretch[1]))
        stretches = left
    return stretches


def _instant(at: dt.datetime) -> dt.datetime:
    return at.astimezone(dt.UTC)
