"""Timed work in broker time: a heap of callbacks, run in the order of their times, ties in the order they were
scheduled.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

Action = Callable[[int], None]
"""Called with the time it was due (microseconds), not the time it was noticed: that keeps runs byte-identical."""


class Schedule:
    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action]] = []
        self._count = 0
        self.current: int | None = None
        """While an action runs: the time it was due."""
        self.on_earlier: Callable[[], None] | None = None

    def at(self, when: int, action: Action) -> None:
        """Run `action` once broker time has reached `when`."""
        self._count += 1
        earlier = not self._heap or when < self._heap[0][0]
        heapq.heappush(self._heap, (when, self._count, action))
        if earlier and self.on_earlier is not None:
            self.on_earlier()

    def next_due(self) -> int | None:
        """When the first action is due, None if there is none."""
        return self._heap[0][0] if self._heap else None

    def run_until(self, now: int) -> int:
        """Run everything due at `now` or before, including what the actions schedule; returns how many ran."""
        ran = 0
        while self._heap and self._heap[0][0] <= now:
            when, _, action = heapq.heappop(self._heap)
            self.current = when
            try:
                action(when)
            finally:
                self.current = None
            ran += 1
        return ran

    def clear(self) -> None:
        """Forget everything scheduled."""
        self._heap.clear()

    def remove(self, action: Action) -> None:
        """Forget every time at which `action` was to run."""
        self._heap = [entry for entry in self._heap if entry[2] != action]
        heapq.heapify(self._heap)
