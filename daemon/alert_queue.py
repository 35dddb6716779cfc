"""Alerts that wait to be delivered: so many at most, and what matters least gives way."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from typing import Final

WEIGHTS: Final = {"warning": 0, "unlock": 1, "lockout": 2, "enforcement": 2, "error": 3}
"""Kinds of alerts. Of those that weigh least the oldest is dropped when there are too many."""

type Waiting = tuple[str, str]
"""Kind and text."""


class AlertQueue:
    """First in, first out; for any threads. `most`: so many wait at most."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[Waiting, None] = OrderedDict()
        self._kinds: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._closed = False
        self.dropped = 0

    def put(self, kind: str, text: str) -> None:
        """Takes an alert in, never waits. One that waits already is not taken twice."""
        with self._changed:
            if (kind, text) in self._waiting:
                return
            if len(self._waiting) >= self._most:
                self.dropped += 1
                least = min((one for one in self._kinds if self._kinds[one]), key=_weight)
                if _weight(least) > _weight(kind):
                    return
                oldest = next(one for one in self._waiting if one[0] == least)
                self._remove(oldest)
            self._waiting[kind, text] = None
            self._kinds[kind] += 1
            self._changed.notify()

    def get(self, seconds: float) -> Waiting | None:
        """The next one; None when none came within the time, or when the queue is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, seconds)
            if not self._waiting:
                return None
            first = next(iter(self._waiting))
            self._remove(first)
            return first

    @property
    def ended(self) -> bool:
        """Whether it is closed and empty."""
        return self._closed and not self._waiting

    def close(self) -> None:
        """Nobody waits for more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _remove(self, one: Waiting) -> None:
        del self._waiting[one]
        self._kinds[one[0]] -= 1


def _weight(kind: str) -> int:
    return WEIGHTS.get(kind, 0)
