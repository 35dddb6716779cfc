"""How long to wait before trying again. Pure: times are seconds of a monotonic clock, given by the caller."""

from __future__ import annotations

from typing import Final

STEPS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the first repeats; from then on the cap."""

CAP: Final = 5.0
LONG_CAP: Final = 30.0
MAX_RETRY_AFTER: Final = 60.0
"""The gateway counts requests over 60 s: to wait longer than its window would only leave risk open."""


class Backoff:
    """Growing delays of one thing that is tried again and again."""

    __slots__ = ("failures",)

    def __init__(self) -> None:
        self.failures = 0

    def next(self, cap: float = CAP) -> float:
        """Seconds to wait now; the next call gives more, up to `cap`."""
        delay = self.peek(cap)
        self.failures += 1
        return delay

    def peek(self, cap: float = CAP) -> float:
        """Seconds that `next` would give."""
        count = self.failures
        if count < len(STEPS):
            return min(STEPS[count], cap)
        # Doubles beyond the table, so that a cap above it is reached in steps too; the exponent is bounded for floats.
        return min(STEPS[-1] * 2.0 ** min(count - len(STEPS) + 1, 16), cap)

    def reset(self) -> None:
        """It worked: the next wait is the shortest again."""
        self.failures = 0


class Throttle:
    """Nothing is sent to a login before `until`, because the gateway answered 429 (too many requests)."""

    __slots__ = ("_backoff", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self._backoff = Backoff()

    def refused(self, now: float, retry_after: float) -> None:
        """A 429 came at `now`: hold back for `retry_after` seconds, or longer when they come in a row.

        Answers to requests that were already under way when the first 429 came count as the same one.
        """
        if now < self.until:
            self.until = max(self.until, now + min(retry_after, MAX_RETRY_AFTER))
            return
        self.until = now + min(max(retry_after, self._backoff.next(LONG_CAP)), MAX_RETRY_AFTER)

    def passed(self, now: float) -> None:
        """A request was let through at `now`."""
        if now >= self.until:
            self._backoff.reset()
