"""Tells people when one of the daemon's threads has failed, in plain words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

REPEAT_SECONDS: Final = 600.0
"""A thread that fails again and again is told of once in this time."""


class Failing(Protocol):
    """`daemon.lasting_thread.LastingThread` is one."""

    failures: int
    error: BaseException | None


@dataclass(slots=True)
class _Watched:
    what: str
    meanwhile: str
    thread: Failing
    seen: int = 0
    told_at: float = float("-inf")


class ThreadWatch:
    """Called in one thread. `alert` takes a sentence for people; `monotonic` gives seconds."""

    def __init__(self, alert: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._alert = alert
        self._monotonic = monotonic
        self._watched: list[_Watched] = []

    def add(self, what: str, thread: Failing, meanwhile: str) -> None:
        """Look after a thread from now on.

        Args:
            what: what it writes, as in "the database".
            meanwhile: half a sentence about what holds all the same, as in "accounts stay protected".
        """
        self._watched.append(_Watched(what, meanwhile, thread))

    def look(self) -> None:
        """Tell of what has failed since the last look."""
        now = self._monotonic()
        for watched in self._watched:
            failures = watched.thread.failures
            if failures == watched.seen or now - watched.told_at < REPEAT_SECONDS:
                continue
            times = "" if failures - watched.seen == 1 else f" {failures - watched.seen} times"
            watched.seen, watched.told_at = failures, now
            self._alert(
                f"Writing {watched.what} failed{times} because of an error in the program"
                f" ({type(watched.thread.error).__name__}) and was begun anew; {watched.meanwhile}."
                " If this comes again, restart the service and report it with logs/error.log."
            )
