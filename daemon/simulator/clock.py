"""The broker's own clock: every time stamp, token expiry and HTTP Date header of the simulator comes from it.

The machine's clock stays where it is; tests travel in broker time with `SimClock.advance`.
Times are whole microseconds since the epoch, UTC.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from email.utils import formatdate

SECOND = 1_000_000
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def to_us(moment: dt.datetime) -> int:
    """An aware datetime as microseconds since the epoch. ValueError if it is naive."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone")
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def from_us(at: int) -> dt.datetime:
    """Microseconds since the epoch as an aware UTC datetime."""
    return EPOCH + dt.timedelta(microseconds=at)


def stamp(at: int) -> str:
    """The gateway's time format: ISO-8601 with offset, fixed width."""
    return from_us(at).isoformat(timespec="microseconds")


def parse_stamp(text: str) -> int:
    """An ISO-8601 time as microseconds since the epoch; a time without an offset is UTC.

    ValueError if it is no time.
    """
    moment = dt.datetime.fromisoformat(text)
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


class SimClock:
    """Broker time: running with the machine's monotonic clock times `speed`, or (manual) moved by `advance` alone."""

    def __init__(self, start: dt.datetime | None = None, speed: float = 1.0, manual: bool = False) -> None:
        if speed <= 0:
            raise ValueError("speed must be above 0")
        self._base = time.time_ns() // 1000 if start is None else to_us(start)
        self._origin = time.monotonic_ns()
        self._advanced = 0
        self.speed = speed
        self.manual = manual
        self.on_advance: Callable[[], None] | None = None
        self._date: tuple[int, str] = (-1, "")

    def now(self) -> int:
        """Broker time in microseconds since the epoch."""
        if self.manual:
            return self._base + self._advanced
        return self._base + self._advanced + int((time.monotonic_ns() - self._origin) * self.speed) // 1000

    def utc(self) -> dt.datetime:
        """Broker time as an aware datetime."""
        return from_us(self.now())

    def advance(self, seconds: float) -> None:
        """Move broker time forward at once; everything due meanwhile happens, in order. ValueError if negative."""
        if seconds < 0:
            raise ValueError("broker time only moves forward")
        self._advanced += round(seconds * SECOND)
        if self.on_advance is not None:
            self.on_advance()

    def advance_to(self, moment: dt.datetime) -> None:
        """Move broker time forward to a moment. ValueError if it has passed."""
        self.advance((to_us(moment) - self.now()) / SECOND)

    def wire(self) -> float:
        """Seconds for rate limits and outages: real elapsed time plus everything advanced, also with a manual clock."""
        return time.monotonic() + self._advanced / SECOND

    def http_date(self) -> str:
        """Broker time as an HTTP Date header."""
        second = self.now() // SECOND
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]
