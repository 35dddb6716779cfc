"""How much of the event loop's time some work may take: after work comes rest."""

from __future__ import annotations

import time
from collections.abc import Callable

_NOTHING = 1e-6


class Share:
    """Rests that keep some work to `share` of the time. `credit`: seconds of work after a quiet time without a rest.

    A rest is at most `longest` seconds: one very dear piece of work must not keep everybody waiting.
    """

    def __init__(
        self, share: float, *, credit: float, longest: float, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._share = share
        self._credit = credit * (1.0 / share - 1.0)
        self._longest = longest
        # Real time on purpose: it is the processor's that is being shared out.
        self._clock = clock
        self._free_at = float("-inf")

    def charge(self, seconds: float) -> None:
        """Notes work that was done just now."""
        now = self._clock()
        free_at = max(self._free_at, now - seconds - self._credit) + seconds / self._share
        self._free_at = min(free_at, now + self._longest)

    def wait(self) -> float:
        """Seconds until work may go on; 0.0 when it may."""
        wait = self._free_at - self._clock()
        return wait if wait > _NOTHING else 0.0
