"""Local wall-clock times to instants, correct across daylight-saving changes, and the trading day built on them."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from daemon.core.units import SECOND_US, from_micros, to_micros

# The zones of the tzdata package alone: those of the machine may be old, and PYTHONTZPATH anybody's.
zoneinfo.reset_tzpath(to=())

SHORTEST_DAY_US = 20 * 3600 * SECOND_US


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name (bundled tzdata, never the machine's). Raises ZoneInfoNotFoundError."""
    return ZoneInfo(name)


def instant(day: date, at: time, tz: ZoneInfo) -> int:
    """Microseconds UTC at which a clock on the wall in `tz` first shows `at` on `day`.

    On a day on which that time does not exist (clocks go forward), the first instant after the gap; on a day that has
    it twice (clocks go back), the first of the two.
    """
    local = datetime.combine(day, at, tzinfo=tz)  # fold=0: the first of two
    candidate = local.astimezone(UTC)
    if candidate.astimezone(tz).replace(tzinfo=None) == local.replace(tzinfo=None):
        return to_micros(candidate)
    # The time is inside a gap, which ends between the two readings of it: find the first instant that is past the gap.
    low = to_micros(local.replace(fold=1).astimezone(UTC)) // SECOND_US
    high = to_micros(candidate) // SECOND_US
    offset_after = candidate.astimezone(tz).utcoffset()
    while low < high:
        middle = (low + high) // 2
        if from_micros(middle * SECOND_US).astimezone(tz).utcoffset() == offset_after:
            high = middle
        else:
            low = middle + 1
    return high * SECOND_US


class TradingDays:
    """Trading days from one reset to the next. A trading day is named by the date of the reset that ends it."""

    __slots__ = ("_end", "_start", "_tz", "_week", "no_reset_before", "reset", "timezone")

    def __init__(self, reset: time, timezone: str, no_reset_before: int = 0) -> None:
        """`no_reset_before`: a reset within the 20 hours before that moment (microseconds UTC) is left out, so that a
        changed reset time makes no trading day a short one."""
        self.reset = reset
        self.timezone = timezone
        self.no_reset_before = no_reset_before
        self._tz = zone(timezone)
        self._start = 0
        self._end = 0
        self._week = (0, 0)

    def bounds(self, at: int) -> tuple[int, int]:
        """Start (inclusive) and end (exclusive) of the trading day that holds `at`, microseconds UTC."""
        if not self._start <= at < self._end:
            day = from_micros(at).astimezone(self._tz).date()
            resets = [instant(day + timedelta(days=offset), self.reset, self._tz) for offset in range(-3, 4)]
            kept = [reset for reset in resets if not self._left_out(reset)]
            self._start = max(reset for reset in kept if reset <= at)
            self._end = min(reset for reset in kept if reset > at)
        return self._start, self._end

    def _left_out(self, reset: int) -> bool:
        return self.no_reset_before - SHORTEST_DAY_US < reset < self.no_reset_before

    def name(self, at: int) -> str:
        """ISO date of the reset that ends the trading day of `at`, in the reset's zone."""
        return from_micros(self.bounds(at)[1]).astimezone(self._tz).date().isoformat()

    def week_start(self, at: int) -> int:
        """Start of the trading week of `at`: the reset of the last Friday, when the futures week closes."""
        start, _ = self.bounds(at)
        if start != self._week[0]:
            day = from_micros(start).astimezone(self._tz).date()
            self._week = (start, instant(day - timedelta(days=(day.weekday() - 4) % 7), self.reset, self._tz))
        return self._week[1]

    def week_end(self, at: int) -> int:
        """End of the trading week of `at`: the reset of the coming Friday."""
        day = from_micros(self.week_start(at)).astimezone(self._tz).date()
        return instant(day + timedelta(days=7), self.reset, self._tz)

    def text(self, at: int, now: int) -> str:
        """An instant as people of the reset's zone say it: "17:00 New York", with the day when over 24 h away."""
        return local_text(at, now, self.timezone)


def local_text(at: int, now: int, timezone: str) -> str:
    """An instant on the wall clock of `timezone`, with its city; with weekday and date when over 24 hours away."""
    local = from_micros(at).astimezone(zone(timezone))
    clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    city = timezone.rsplit("/", 1)[-1].replace("_", " ")
    if abs(at - now) > 86_400 * SECOND_US:
        return f"{local.strftime('%a %d %b')} {clock} {city}"
    return f"{clock} {city}"


def duration_text(seconds: int) -> str:
    """A length of time as people say it: "60 s", "5 min", "1 h 30 min"."""
    if seconds < 120:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min" if not rest else f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" if not minutes else f"{hours} h {minutes} min"
