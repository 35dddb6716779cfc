"""Log files with one file a day, written by a thread of their own.

The current file is `daemon.log`; at each start and at midnight UTC what it held moves to `daemon-2026-11-20-1.log`. On
Windows a file that somebody has open cannot be renamed: then this start's or day's lines go to a new dated file at once
and `daemon.log` is left to its reader.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, TextIO

from daemon.lasting_thread import LastingThread

_MOST_WAITING: Final = 100_000
_DATED: Final = re.compile(r"-(\d{4}-\d\d-\d\d)-(\d+)\.log")


class DailyFile:
    """One kind of log: `<stem>.log` and its dated predecessors in a folder. Not thread-safe; never raises OSError.

    Args:
        mode: rights of the files (0o600, or 0o644 where the trader may read).
        kept_days: dated files of older days are deleted.
    """

    def __init__(self, folder: Path, stem: str, *, mode: int = 0o600, kept_days: int = 30) -> None:
        self._folder = folder
        self._stem = stem
        self._mode = mode
        self.kept_days = kept_days
        self.path = folder / f"{stem}.log"
        self.lost = 0
        self._day: date | None = None
        self._file: TextIO | None = None

    def write(self, text: str, today: date) -> bool:
        """Append whole lines. False: they could not be written and are counted in `lost`."""
        try:
            if self._file is None or self._day != today:
                self._begin(today)
            assert self._file is not None
            if self.lost:
                self._file.write(f"... {self.lost} lines could not be written\n")
            self._file.write(text)
            self._file.flush()
        except (OSError, ValueError):
            self.lost += text.count("\n")
            self._drop()
            return False
        self.lost = 0
        return True

    def close(self) -> None:
        """Close the file."""
        self._drop()

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError, ValueError):
                file.close()

    def _begin(self, today: date) -> None:
        new_day = self._day != today
        self._drop()
        self._folder.mkdir(parents=True, exist_ok=True)
        if new_day:
            self.path = self._current(today)
        try:
            self._file = self._open(self.path)
        except PermissionError:
            self.path = self._free(today)
            self._file = self._open(self.path)
        self._day = today
        if new_day:
            self._delete_old(today)

    def _open(self, path: Path) -> TextIO:
        def opener(name: str, flags: int) -> int:
            return os.open(name, flags, self._mode)

        # The thread below writes; the event loop never comes here.
        return open(path, "a", encoding="utf-8", newline="\n", opener=opener)

    def _current(self, today: date) -> Path:
        current = self._folder / f"{self._stem}.log"
        try:
            found = current.stat()
        except OSError:
            return current
        if found.st_size == 0:
            return current
        written = datetime.fromtimestamp(found.st_mtime, tz=UTC).date()
        try:
            current.rename(self._free(written))
        except OSError:
            return self._free(today)
        return current

    def _free(self, day: date) -> Path:
        number = 1 + max((taken for taken_day, taken, _ in self._dated() if taken_day == day), default=0)
        return self._folder / f"{self._stem}-{day.isoformat()}-{number}.log"

    def _dated(self) -> Iterable[tuple[date, int, Path]]:
        for path in self._folder.glob(f"{self._stem}-*.log"):
            found = _DATED.fullmatch(path.name.removeprefix(self._stem))
            if found is not None:
                with contextlib.suppress(ValueError):
                    yield date.fromisoformat(found[1]), int(found[2]), path

    def _delete_old(self, today: date) -> None:
        for day, _, path in list(self._dated()):
            if today - day > timedelta(days=self.kept_days):
                with contextlib.suppress(OSError):
                    path.unlink()


class LogWriter:
    """The thread behind the files. `put` costs the event loop no more than a queue's append."""

    def __init__(self, files: dict[str, DailyFile], *, console: bool, redact: Callable[[str], str]) -> None:
        self._files = files
        self._console = console
        self._redact = redact
        self._queue: queue.SimpleQueue[tuple[tuple[str, ...], Callable[[], str]] | threading.Event | None] = (
            queue.SimpleQueue()
        )
        self._dropped = 0
        self._ending = False
        self.thread = LastingThread("log-writer", self._run)
        self.thread.start()

    def put(self, names: tuple[str, ...], text: Callable[[], str]) -> None:
        """Have the lines that `text` makes written to the files of these names. `text` is called in the thread."""
        if self._queue.qsize() >= _MOST_WAITING:
            self._dropped += 1
            return
        self._queue.put((names, text))

    def flush(self, seconds: float = 2.0) -> bool:
        """Wait until all that was put so far has been written; False when that takes longer."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(seconds)

    def close(self, seconds: float = 2.0) -> None:
        """Write what is waiting and end the thread."""
        self._queue.put(None)
        self.thread.join(seconds)

    def _run(self) -> None:
        while not self._ending:
            batch = [self._queue.get()]
            while not self._queue.empty() and len(batch) < 1000:
                batch.append(self._queue.get())
            lines: dict[str, list[str]] = {}
            waiting: list[threading.Event] = []
            for item in batch:
                if item is None:
                    self._ending = True
                elif isinstance(item, threading.Event):
                    waiting.append(item)
                else:
                    self._add(lines, *item)
            self._write(lines)
            for event in waiting:
                event.set()
        for file in self._files.values():
            file.close()

    def _add(self, lines: dict[str, list[str]], names: tuple[str, ...], make: Callable[[], str]) -> None:
        try:
            text = self._redact(make())
        except Exception as error:  # noqa: BLE001 - a line that cannot be made must not end the log
            text = f"(a line could not be written: {type(error).__name__})\n"
        for name in names:
            lines.setdefault(name, []).append(text)

    def _write(self, lines: dict[str, list[str]]) -> None:
        # The name of a file, not a decision: the machine's clock will do.
        today = datetime.now(UTC).date()
        if self._dropped:
            lines.setdefault("daemon", []).append(f"... {self._dropped} lines came too fast and were dropped\n")
            self._dropped = 0
        for name, texts in lines.items():
            if name in self._files:
                self._files[name].write("".join(texts), today)
        # `riskd run` in a terminal; under a service manager nothing is printed (a broken pipe would end the thread).
        if self._console and sys.stderr is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write("".join(lines.get("console", [])))
                sys.stderr.flush()
