"""Keeps the daemon's memory below a bound."""

from __future__ import annotations

import gc
from collections.abc import Callable

MEMORY_LIMIT_MB = 500
_CLEARLY_BELOW = 0.9


class MemoryWatch:
    """Above the limit it drops what can be done without, and alerts once until memory was clearly below it again.

    `trim` empties caches; `alert` takes a sentence for people.
    """

    def __init__(
        self, trim: Callable[[], None], alert: Callable[[str], None], limit_mb: float = MEMORY_LIMIT_MB
    ) -> None:
        self._trim = trim
        self._alert = alert
        self._limit_mb = limit_mb
        self._told = False

    def look(self, megabytes: float) -> None:
        """Resident memory was measured."""
        if megabytes <= self._limit_mb:
            self._told = self._told and megabytes > _CLEARLY_BELOW * self._limit_mb
            return
        self._trim()
        gc.collect()
        if not self._told:
            self._told = True
            self._alert(f"Memory is at {megabytes} MB, above {self._limit_mb} MB; caches are emptied.")
