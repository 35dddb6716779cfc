"""How much of the event loop's time some work may take: after work comes rest."""

from __future__ import annotations

import time
from collections.abc import Callable


class Share:
    """Rests that keep some work to `share` of the time. `credit`: seconds of work after a quiet time without a rest.

    A rest is at most `longest` seconds: one very dear piece of work must not keep everybody waiting.
    """

    def __init__(
        self, share: float, *, credit: float, longest: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._rests_per_second = 1.0 / share - 1.0
        self._credit = credit * self._rests_per_second
        self._longest = longest
        # Real time on purpose: it is the processor's that is being shared out.
        self._clock = clock
        self._free_at = float("-inf")

    def charge(self, seconds: float) -> None:
        """Notes work that was done just now."""
        now = self._clock()
        rest = max(self._free_at, now - self._credit) + seconds * self._rests_per_second
        self._free_at = min(rest, now + self._longest)

    def wait(self) -> float:
        """Seconds until work may go on; 0.0 when it may."""
        return max(0.0, self._free_at - self._clock())
