"""Runs a coroutine as the program, over Qt's event loop, to a clean end however the end comes.

The end may be the user's (a menu), the desktop's (a log-off makes Qt leave its loop) or a signal (Ctrl+C, SIGTERM). In
each case the coroutine gets the time to close its connection. qasync's own `run_until_complete` raises "Event loop
stopped before Future completed" when the desktop ends the loop, which a windowed program would show as an error dialog.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from types import FrameType, TracebackType
from typing import Any, Self

from PySide6.QtCore import QSocketNotifier
from PySide6.QtWidgets import QApplication

CLOSE_SECONDS = 5.0
"""How long the coroutine may take to close when the desktop ends the program; it is cancelled after that."""


class EndSignals:
    """While entered, SIGINT and SIGTERM call `asked` once Qt's loop runs, and set `seen`.

    Qt's loop waits in C++, where Python runs no signal handler: the wake-up byte that Python writes for each signal
    makes Qt call back into Python. On Windows, where nobody sends SIGTERM and the asyncio loop has the wake-up
    descriptor, Ctrl+C ends the program at once; the window holds nothing that could be lost.
    """

    def __init__(self, asked: Callable[[], None]) -> None:
        self.seen = False
        self._asked = asked
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if sys.platform == "win32":
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            return self
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)
        self._notifier = QSocketNotifier(self._reading.fileno(), QSocketNotifier.Type.Read)
        self._notifier.activated.connect(self._woken)
        self._old_fd = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if sys.platform == "win32":
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_fd)
        self._notifier.setEnabled(False)
        self._reading.close()
        self._writing.close()

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self.seen = True

    def _woken(self) -> None:
        try:
            self._reading.recv(64)
        except BlockingIOError:
            return
        # The handler itself has run by now: Python runs it before the next instruction of the main thread.
        if self.seen:
            self._asked()


def run_program(app: QApplication, work: Coroutine[Any, Any, None], signals: EndSignals) -> None:
    """Run `work` to its end; it must end when `app.aboutToQuit` is emitted. Raises what `work` raised."""
    from qasync import QEventLoop  # type: ignore[import-untyped]

    loop = QEventLoop(app)
    asyncio.set_event_loop(loop)
    with loop:
        task = loop.create_task(work)
        task.add_done_callback(lambda _: loop.stop())
        # A signal that came before the loop ran could not end it.
        loop.call_soon(lambda: app.quit() if signals.seen else None)
        loop.run_forever()
        _wait_for(loop, {task})
        left = asyncio.all_tasks(loop) | ({task} if not task.done() else set())
        for other in left:
            other.cancel()
        _wait_for(loop, left)
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error


def _wait_for(loop: Any, tasks: set[asyncio.Task[Any]]) -> None:
    """Run the loop until the tasks are done or the time is up, however often something else stops it."""
    if all(task.done() for task in tasks):
        return
    waiting = loop.create_task(asyncio.wait(tasks, timeout=CLOSE_SECONDS))
    waiting.add_done_callback(lambda _: loop.stop())
    while not waiting.done():
        loop.run_forever()
