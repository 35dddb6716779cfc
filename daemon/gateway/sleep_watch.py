"""Notices that the machine has slept: every connection is dead then, though none says so for up to half a minute."""

from __future__ import annotations

from daemon.clock import Clock
from daemon.core.units import SECOND_US


class SleepWatch:
    """To be asked about once a second.

    A monotonic clock that counts sleep shows a gap between two questions; one that does not lets the machine's clock
    jump ahead of trusted time. A machine's clock that is set by hand looks the same: connecting anew does no harm.

    Args:
        clock: trusted time.
        seconds: shortest sleep that counts.
    """

    def __init__(self, clock: Clock, seconds: float = 10.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._asked_at = clock.monotonic()
        self._offset: float | None = None

    def slept(self) -> bool:
        """Whether the machine has slept since the last question."""
        now, offset = self._clock.monotonic(), self._clock.offset_seconds
        gap = now - self._asked_at > self._seconds * SECOND_US
        # Before the first contact there is nothing to compare the machine's clock with.
        known = offset if self._clock.anchored else None
        jump = known is not None and self._offset is not None and known - self._offset > self._seconds
        self._asked_at, self._offset = now, known
        return gap or jump
