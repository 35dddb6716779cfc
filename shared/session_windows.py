"""Which minutes of the week a session window allows, and which of two windows or times of day is stricter."""

import bisect
import datetime as dt
import functools
import itertools
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from shared.config import DAYS, Day, ResetConfig, ScheduledFlatten, SessionWindow

DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES
_WEEK = (1 << WEEK_MINUTES) - 1


def allowed_minutes(window: SessionWindow) -> int:
    """The minutes of the week, Monday 00:00 of the window's zone first, as the bits of a whole number."""
    start, end = _minutes(window.start), _minutes(window.end)
    length = (end - start) % DAY_MINUTES
    one = (1 << length) - 1
    mask = 0
    for day in window.weekdays:
        mask |= one << (day * DAY_MINUTES + start)
    return (mask & _WEEK) | (mask >> WEEK_MINUTES)


def _minutes(time: dt.time) -> int:
    return time.hour * 60 + time.minute


def strictest_window(old: SessionWindow, new: SessionWindow) -> dict[str, Any]:
    """start, end, timezone and days of a window that allows what both allow, and of the rest as little as can be.

    It allows nothing that ``old`` does not. Put together from the two windows' own times; where no such window is to be
    had, it is ``old``. Windows in different zones are compared over a whole year.
    """
    kept = {"start": old.start, "end": old.end, "timezone": old.timezone, "days": old.days}
    if old.timezone != new.timezone:
        if covers(_openings(*_key(old)), _openings(*_key(new))):
            return {"start": new.start, "end": new.end, "timezone": new.timezone, "days": new.days}
        return kept
    mine = allowed_minutes(old)
    common = mine & allowed_minutes(new)
    best = (-mine.bit_count(), 0)
    for start, end in itertools.product((new.start, old.start), (new.end, old.end)):
        if start == end:
            continue
        days = {day for day in DAYS if (one := _one_day(day, start, end)) & common and not one & ~mine}
        for chosen in (new.days, old.days, tuple(day for day in DAYS if day in days)):
            if not chosen:
                continue
            mask = allowed_minutes(SessionWindow(start=start, end=end, timezone=old.timezone, days=chosen))
            if mask & ~mine or common & ~mask:
                continue
            rank = (-mask.bit_count(), (start == new.start) + (end == new.end) + (chosen == new.days))
            if rank > best:
                best, kept = rank, {"start": start, "end": end, "timezone": old.timezone, "days": chosen}
    return kept


def _one_day(day: Day, start: dt.time, end: dt.time) -> int:
    return allowed_minutes(SessionWindow(start=start, end=end, days=(day,)))


# --- stretches of a year, in minutes since the epoch ---------------------------------------------------------------

type Stretches = tuple[tuple[int, int], ...]
"""Begin (inclusive) and end (exclusive) of each, in order, none touching another."""

_FIRST, _YEAR_DAYS = dt.date(2026, 1, 1), 372
"""A year and a week over: every weekday meets every difference that two zones have in the course of a year."""


def _instant(day: dt.date, time: dt.time, zone: str) -> int:
    return int(dt.datetime.combine(day, time, ZoneInfo(zone)).timestamp()) // 60


def _dates(days: tuple[Day, ...]) -> list[dt.date]:
    numbers = {DAYS.index(day) for day in days}
    # A week more at both ends, which is cut off again: what begins there reaches into the year.
    year = (_FIRST + dt.timedelta(days=offset) for offset in range(-7, _YEAR_DAYS + 7))
    return [day for day in year if day.weekday() in numbers]


def _joined(stretches: Iterable[tuple[int, int]]) -> Stretches:
    found: list[tuple[int, int]] = []
    first = _instant(_FIRST, dt.time(0), "UTC")
    last = first + _YEAR_DAYS * DAY_MINUTES
    for begin, end in sorted((max(begin, first), min(end, last)) for begin, end in stretches):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif begin < end:
            found.append((begin, end))
    return tuple(found)


def covers(outer: Stretches, inner: Stretches) -> bool:
    """Whether every minute of ``inner`` is one of ``outer``."""
    begins = [begin for begin, _ in outer]
    places = ((bisect.bisect_right(begins, begin) - 1, end) for begin, end in inner)
    return all(place >= 0 and end <= outer[place][1] for place, end in places)


def _key(window: SessionWindow) -> tuple[dt.time, dt.time, str, tuple[Day, ...]]:
    return window.start, window.end, window.timezone, window.days


@functools.lru_cache(maxsize=64)
def _openings(start: dt.time, end: dt.time, zone: str, days: tuple[Day, ...]) -> Stretches:
    over = dt.timedelta(days=1 if start > end else 0)
    return _joined((_instant(day, start, zone), _instant(day + over, end, zone)) for day in _dates(days))


@functools.lru_cache(maxsize=256)
def _flat(time: dt.time, zone: str, days: tuple[Day, ...], reset: dt.time, reset_zone: str) -> Stretches:
    """From each flatten to the reset that follows it."""
    around = [_FIRST + dt.timedelta(days=offset) for offset in range(-9, _YEAR_DAYS + 10)]
    resets = [_instant(day, reset, reset_zone) for day in around]
    begins = [_instant(day, time, zone) for day in _dates(days)]
    return _joined((begin, resets[bisect.bisect_right(resets, begin)]) for begin in begins)


def strictest_flatten(old: ScheduledFlatten, new: ScheduledFlatten, reset: ResetConfig) -> dict[str, Any]:
    """time, timezone and days of a flatten that holds nothing when ``old`` does, and only when either of them does.

    What of the week is flat depends on all three and on the reset: it lasts from the time of day to the next reset.
    """

    def flat(rule: ScheduledFlatten, days: tuple[Day, ...]) -> Stretches:
        return _flat(rule.time, rule.timezone, days, reset.time, reset.timezone)

    before, after = flat(old, old.days), flat(new, new.days)
    if covers(after, before):
        return {"time": new.time, "timezone": new.timezone, "days": new.days}
    either = _joined((*before, *after))
    best, kept = _length(before), {"time": old.time, "timezone": old.timezone, "days": old.days}
    named = tuple(day for day in DAYS if day in old.days or day in new.days)
    for rule in (new, old):
        days = tuple(day for day in named if covers(either, flat(rule, (day,))))
        if days and covers(flat(rule, days), before) and _length(flat(rule, days)) > best:
            best, kept = _length(flat(rule, days)), {"time": rule.time, "timezone": rule.timezone, "days": days}
    return kept


def _length(stretches: Stretches) -> int:
    return sum(end - begin for begin, end in stretches)
