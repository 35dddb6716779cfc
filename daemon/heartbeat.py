"""What is done every few seconds: show the status, keep the time, look after the daemon's own memory and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from daemon.known_time import KnownTime
from daemon.memory_watch import MemoryWatch
from daemon.thread_watch import ThreadWatch


class Keeper(Protocol):
    """Keeps values across restarts; `daemon.store.Store` is one."""

    def put_state(self, key: str, value: object) -> None:
        """Keep a value."""


class Shower(Protocol):
    """`daemon.announcer.Announcer` is one."""

    def status_changed(self, row: dict[str, Any]) -> None:
        """The daemon's own state, as `get_status` shows it."""


class Heartbeat:
    """`status_row`: see `daemon.api.Api`."""

    def __init__(
        self,
        status_row: Callable[[], dict[str, Any]],
        *,
        time: KnownTime,
        keeper: Keeper,
        announcer: Shower,
        memory: MemoryWatch,
        threads: ThreadWatch,
    ) -> None:
        self._status_row = status_row
        self._time = time
        self._keeper = keeper
        self._announcer = announcer
        self._memory = memory
        self._threads = threads

    def beat(self) -> None:
        """Do it once. To be called in the event loop's thread."""
        self._threads.look()
        self._time.keep(self._keeper)
        row = self._status_row()
        self._announcer.status_changed(row)
        self._memory.look(row["memory_usage_mb"])
