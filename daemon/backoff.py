"""How long to wait before trying again. Pure: times are seconds of a monotonic clock, given by the caller."""

from __future__ import annotations

from typing import Final

STEPS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before the first repeats; from then on the cap."""

CAP: Final = 5.0
LONG_CAP: Final = 30.0


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
