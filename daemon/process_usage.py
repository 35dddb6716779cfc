"""What the daemon itself takes of the machine."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

import psutil

_EVERY_SECONDS = 1.0


class Usage(NamedTuple):
    """Resident memory in MB, and percent of one core since the measurement before."""

    memory_mb: float
    cpu_percent: float


class ProcessUsage:
    """Measures this process, at most once a second however often it is asked."""

    def __init__(self) -> None:
        self._process = psutil.Process(os.getpid())
        self._process.cpu_percent()  # the first figure is since the start of the process, and meaningless
        self._measured_at = float("-inf")
        self._usage = Usage(0.0, 0.0)

    def measure(self) -> Usage:
        """The figures of now, or of less than a second ago."""
        now = time.monotonic()
        if now - self._measured_at >= _EVERY_SECONDS:
            self._measured_at = now
            with self._process.oneshot():
                memory = self._process.memory_info().rss / 1_048_576
                self._usage = Usage(round(memory, 1), self._process.cpu_percent())
        return self._usage
