"""Which minutes of the week a session window allows, and which of two windows or times of day is stricter."""

import datetime as dt
import itertools
from typing import Any
from zoneinfo import ZoneInfo

from shared.config import DAYS, ResetConfig, ScheduledFlatten, SessionWindow
from shared.rule_config import REFERENCE_DAYS

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
    """start, end, timezone and days of a window that allows only what both allow.

    Put together from the two windows' own values; where no such window is to be had (they do not overlap, or are in
    different zones), it is ``old``.
    """
    kept = {"start": old.start, "end": old.end, "timezone": old.timezone, "days": old.days}
    if old.timezone != new.timezone:
        return kept
    common = allowed_minutes(old) & allowed_minutes(new)
    days = {old.days, new.days, tuple(day for day in DAYS if day in old.days and day in new.days)}
    best: tuple[int, int] = (0, 0)
    for start, end, chosen in itertools.product({old.start, new.start}, {old.end, new.end}, days):
        if start == end or not chosen:
            continue
        window = SessionWindow(start=start, end=end, timezone=old.timezone, days=chosen)
        mask = allowed_minutes(window)
        if mask & ~common == 0:
            rank = (mask.bit_count(), (start == new.start) + (end == new.end) + (chosen == new.days))
            if rank > best:
                best, kept = rank, {"start": start, "end": end, "timezone": old.timezone, "days": chosen}
    return kept


def flat_minutes(rule: ScheduledFlatten, reset: ResetConfig) -> tuple[int, ...]:
    """Minutes from the time of the flatten to the reset, at different times of the year."""
    found = []
    for day in REFERENCE_DAYS:
        at = dt.datetime.combine(day, rule.time, ZoneInfo(rule.timezone)).astimezone(dt.UTC)
        ends = (
            dt.datetime.combine(day + dt.timedelta(days=offset), reset.time, ZoneInfo(reset.timezone)).astimezone(
                dt.UTC
            )
            for offset in (-1, 0, 1, 2)
        )
        found.append(next((end - at) // dt.timedelta(minutes=1) for end in ends if end > at))
    return tuple(found)
