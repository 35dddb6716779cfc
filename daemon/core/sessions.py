"""When trading is allowed: windows of local time, cut by holidays and early closes, as instants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time, timedelta

from daemon.core.local_time import instant, zone
from daemon.core.units import from_micros
from shared.config import HolidayCalendar, SessionWindow

LOOK_AHEAD_DAYS = 21
"""How far the next start is looked for: a weekly window and two weeks of holidays."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One stretch of allowed time, microseconds UTC: `start` inclusive, `end` exclusive."""

    start: int
    end: int


class Sessions:
    """The openings of one window. Without a window, all time is allowed but for the holidays.

    A day of the calendar that is closed closes every instant of that date in the calendar's zone; an early close
    closes the rest of the date from that time on. A window that is cut in two by a closed day is two openings.
    """

    __slots__ = ("_cached", "_calendar", "_window")

    def __init__(self, window: SessionWindow | None, calendar: HolidayCalendar | None) -> None:
        self._window = window
        self._calendar = calendar
        self._cached: tuple[int, int, Opening | None, Opening | None] | None = None

    def current(self, now: int) -> Opening | None:
        """The opening that holds `now`; None when trading is not allowed."""
        return self._at(now)[0]

    def following(self, now: int) -> Opening | None:
        """The first opening that starts after `now`; None when there is none within three weeks."""
        return self._at(now)[1]

    def next_change(self, now: int) -> int | None:
        """When the answer to `current` changes next."""
        current, following = self._at(now)
        if current is not None:
            return current.end
        return following.start if following is not None else None

    def _at(self, now: int) -> tuple[Opening | None, Opening | None]:
        if self._cached is not None and self._cached[0] <= now < self._cached[1]:
            return self._cached[2], self._cached[3]
        current = following = None
        for opening in self._openings(now):
            if opening.start <= now < opening.end:
                current = opening
            elif opening.start > now:
                following = opening
                break
        day_us = 86_400_000_000
        until = min(
            current.end if current is not None else now + day_us,
            following.start if following is not None else now + day_us,
            now + day_us,
        )
        self._cached = (now, until, current, following)
        return current, following

    def _openings(self, now: int) -> list[Opening]:
        if self._window is None:
            span = 86_400_000_000
            whole = [Opening(now - 8 * span, now + LOOK_AHEAD_DAYS * span)]
            return self._cut(whole, now)
        tz = zone(self._window.timezone)
        today = from_micros(now).astimezone(tz).date()
        overnight = timedelta(days=1 if self._window.overnight else 0)
        found = []
        for offset in range(-8, LOOK_AHEAD_DAYS + 1):
            day = today + timedelta(days=offset)
            if day.weekday() not in self._window.weekdays:
                continue
            start = instant(day, self._window.start, tz)
            end = instant(day + overnight, self._window.end, tz)
            if start < end:
                found.append(Opening(start, end))
        return self._cut(found, now)

    def _cut(self, openings: list[Opening], now: int) -> list[Opening]:
        for closed in self._closed_stretches(now):
            left = []
            for opening in openings:
                if closed.end <= opening.start or opening.end <= closed.start:
                    left.append(opening)
                    continue
                if opening.start < closed.start:
                    left.append(Opening(opening.start, closed.start))
                if closed.end < opening.end:
                    left.append(Opening(closed.end, opening.end))
            openings = left
        return sorted(openings, key=lambda opening: opening.start)

    def _closed_stretches(self, now: int) -> list[Opening]:
        if self._calendar is None:
            return []
        tz = zone(self._calendar.timezone)
        today = from_micros(now).astimezone(tz).date()
        found = []
        for day, holiday in self._calendar.dates.items():
            if not today - timedelta(days=9) <= day <= today + timedelta(days=LOOK_AHEAD_DAYS + 1):
                continue
            begins = time(0) if holiday.early_close is None else holiday.early_close
            found.append(Opening(instant(day, begins, tz), self._midnight_after(day)))
        return found

    def _midnight_after(self, day: date) -> int:
        assert self._calendar is not None
        return instant(day + timedelta(days=1), time(0), zone(self._calendar.timezone))
