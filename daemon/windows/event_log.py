"""Entries in the Windows event log: start, stop, crash, enforcement, lockout.

Writing goes through a thread of its own with a bounded queue, because ``ReportEventW`` is a call into another service
and may block: an enforcement never waits for the event log. Nothing here raises. Elsewhere than on Windows every call
does nothing.

The source is registered by ``riskd service install``. Its message file is ``EventCreate.exe``, which formats ids 1 to
1000 with exactly one string, so that no message library of ours is needed.
"""

from __future__ import annotations

import contextlib
import enum
import queue
import sys
import threading
from collections.abc import Callable

SOURCE = "RiskManager"
SOURCE_KEY = rf"SYSTEM\CurrentControlSet\Services\EventLog\Application\{SOURCE}"
MESSAGE_FILE = r"%SystemRoot%\System32\EventCreate.exe"
QUEUE_LIMIT = 1000
TEXT_LIMIT = 31_000  # ReportEventW takes 31,839 characters a string


class Severity(enum.IntEnum):
    """The event types of ``ReportEventW``."""

    ERROR = 1
    WARNING = 2
    INFORMATION = 4


class Entry(enum.Enum):
    """An entry's id (stable: people filter by it) and severity."""

    START = (100, Severity.INFORMATION)
    STOP = (101, Severity.INFORMATION)
    CRASH = (102, Severity.ERROR)
    CRITICAL = (103, Severity.ERROR)
    ENFORCEMENT = (200, Severity.WARNING)
    LOCKOUT_SET = (300, Severity.WARNING)
    LOCKOUT_CLEARED = (301, Severity.INFORMATION)

    def __init__(self, event_id: int, severity: Severity) -> None:
        self.event_id = event_id
        self.severity = severity


class EventLog:
    """Writes entries in order, in the background.

    ``write`` never blocks: with ``QUEUE_LIMIT`` entries waiting a new one is dropped and counted in ``dropped``.
    ``report`` takes one entry and its text and writes it; on Windows it is the default, tests hand in their own.
    """

    def __init__(self, report: Callable[[Entry, str], None] | None = None) -> None:
        self.dropped = 0
        self._report = report if report is not None else _system_report()
        self._queue: queue.Queue[tuple[Entry, str] | None] = queue.Queue(QUEUE_LIMIT)
        self._thread: threading.Thread | None = None
        if self._report is not None:
            self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
            self._thread.start()

    def write(self, entry: Entry, text: str) -> None:
        """Queue one entry; ``text`` is one or more plain sentences without secrets."""
        if self._thread is None:
            return
        try:
            self._queue.put_nowait((entry, text.replace("\0", " ")[:TEXT_LIMIT]))
        except queue.Full:
            self.dropped += 1

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_s`` seconds. May be called twice; later entries are lost."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=timeout_s / 2)
        thread.join(timeout_s)

    def _run(self) -> None:
        assert self._report is not None
        while (item := self._queue.get()) is not None:
            # An event log that is full, stopped or forbidden must not take anything else down.
            with contextlib.suppress(Exception):
                self._report(*item)


def _system_report() -> Callable[[Entry, str], None] | None:
    if sys.platform != "win32":
        return None
    import ctypes
    from ctypes import wintypes

    advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    advapi.RegisterEventSourceW.argtypes = [wintypes.LPCWSTR, wintypes.LPCWSTR]
    advapi.RegisterEventSourceW.restype = wintypes.HANDLE
    advapi.DeregisterEventSource.argtypes = [wintypes.HANDLE]
    advapi.ReportEventW.argtypes = [
        wintypes.HANDLE,
        wintypes.WORD,
        wintypes.WORD,
        wintypes.DWORD,
        ctypes.c_void_p,
        wintypes.WORD,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.LPCWSTR),
        ctypes.c_void_p,
    ]
    advapi.ReportEventW.restype = wintypes.BOOL

    def report(entry: Entry, text: str) -> None:
        source = advapi.RegisterEventSourceW(None, SOURCE)
        if not source:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            strings = (wintypes.LPCWSTR * 1)(text)
            if not advapi.ReportEventW(source, entry.severity, 0, entry.event_id, None, 1, 0, strings, None):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            advapi.DeregisterEventSource(source)

    return report
