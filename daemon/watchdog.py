"""Ends a daemon whose event loop hangs, so that the service starts it anew.

The loop beats once per interval. A thread of its own counts how often it woke up since the last beat: time is the
thread's own progress, never a clock, so a laptop's sleep, a suspended virtual machine or a set clock can't be taken
for a hang (they stop the thread too). At the limit the stacks of all threads and the list of tasks go to
``hang-<pid>.txt`` in the log folder, and the process ends with ``HANG_EXIT_CODE`` at once: a hung loop can't be asked
to stop, and the store is crash-safe.

A hang that keeps the interpreter's lock (a runaway regular expression, a C extension) stops this thread as well. For
that case the thread re-arms the interpreter's own fault handler at each tick, which needs no lock, dumps the stacks
and ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

HANG_EXIT_CODE = 70
KEPT_DUMPS = 10


class Watchdog:
    """Watches one event loop.

    ``limit_s``: seconds without a beat that count as a hang. ``interval_s``: seconds between beats, and between
    looks. ``on_hang``: called from the watchdog's thread before the process ends, with one plain sentence (e.g. for
    the event log); it may take two seconds. ``end_process``: replaced by tests.
    """

    def __init__(
        self,
        log_folder: Path,
        *,
        limit_s: float = 20.0,
        interval_s: float = 1.0,
        on_hang: Callable[[str], None] | None = None,
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._file = log_folder / f"hang-{os.getpid()}.txt"
        self._interval_s = interval_s
        self._limit = max(2, round(limit_s / interval_s))
        self._on_hang = on_hang
        self._end_process = end_process
        self._beats = 0
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._dump: TextIO | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the running loop. To be called on it, once."""
        self._loop = asyncio.get_running_loop()
        self._prune()
        self._beat()
        with contextlib.suppress(OSError):  # no file, no stacks: the process is ended all the same
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._dump = os.fdopen(descriptor, "w", encoding="utf-8")
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, at the end of a graceful shutdown. May be called twice."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is None:
            return
        thread.join(5.0)
        faulthandler.cancel_dump_traceback_later()
        if self._dump is not None:
            self._dump.close()
            with contextlib.suppress(OSError):
                self._file.unlink()

    def _beat(self) -> None:
        if not self._stop.is_set():
            self._beats += 1
            assert self._loop is not None
            self._loop.call_later(self._interval_s, self._beat)

    def _watch(self) -> None:
        seen, missed = self._beats, 0
        while not self._stop.wait(self._interval_s):
            self._arm_fault_handler()
            seen, missed = (self._beats, 0) if self._beats != seen else (seen, missed + 1)
            if missed >= self._limit:
                self._give_up()
                return

    def _arm_fault_handler(self) -> None:
        if self._dump is not None:
            later = max(2 * self._limit * self._interval_s, 1.0)
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                faulthandler.dump_traceback_later(later, exit=True, file=self._dump)

    def _give_up(self) -> None:
        seconds = self._limit * self._interval_s
        sentence = f"The daemon hung for {seconds:g} s and is restarted; what it was doing is in {self._file}."
        if self._dump is not None:
            with contextlib.suppress(Exception):
                self._write_dump(self._dump, sentence)
        if self._on_hang is not None:
            reporter = threading.Thread(target=self._on_hang, args=(sentence,), daemon=True)
            reporter.start()
            reporter.join(2.0)
        self._end_process(HANG_EXIT_CODE)

    def _write_dump(self, dump: TextIO, sentence: str) -> None:
        dump.write(sentence + "\n\n")
        dump.flush()
        faulthandler.dump_traceback(dump, all_threads=True)
        dump.write("\nTasks:\n")
        assert self._loop is not None
        for task in asyncio.all_tasks(self._loop):
            dump.write(f"  {task!r}\n")
        dump.flush()

    def _prune(self) -> None:
        with contextlib.suppress(OSError):
            dumps = sorted(self._file.parent.glob("hang-*.txt"), key=lambda path: path.stat().st_mtime)
            for empty in [path for path in dumps if path.stat().st_size == 0]:
                empty.unlink()  # of a daemon that was killed, not one that hung
                dumps.remove(empty)
            for old in dumps[:-KEPT_DUMPS]:
                old.unlink()
