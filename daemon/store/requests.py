"""What the event loop asks of the thread that writes the database, and how it hears of the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from daemon.store.rows import Change

Job = Callable[[sqlite3.Connection], Any]
"""Runs on the writing connection; what it returns goes to who asked."""


class Waiter:
    """An asyncio future that another thread resolves; resolving it twice, or after its loop has ended, does nothing."""

    __slots__ = ("_loop", "future")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self._loop.create_future()

    def tell(self, result: Any, error: Exception | None = None) -> None:
        """Called in the other thread."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._finish, result, error)

    def give_up_after(self, seconds: float, result: Any, error: Exception | None = None) -> asyncio.TimerHandle:
        """Resolve it in so many seconds, unless it was told by then; to be cancelled when it was."""
        return self._loop.call_later(seconds, self._finish, result, error)

    def _finish(self, result: Any, error: Exception | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


@dataclass(slots=True)
class Commit:
    """Changes to be on disk at once."""

    changes: list[Change]
    waiter: Waiter


@dataclass(slots=True)
class Run:
    """A job for the connection."""

    job: Job
    waiter: Waiter


@dataclass(slots=True)
class Flush:
    """Everything handed over so far is to be written."""

    waiter: Waiter


class Stop:
    """Write what is pending, then end."""
