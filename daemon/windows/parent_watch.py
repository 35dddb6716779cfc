"""Notices within a second that the process which started the daemon is gone.

When ``nssm.exe`` is killed, Windows leaves the daemon running: it keeps the port, the service manager starts a second
one beside it, and ``nssm stop`` no longer reaches it. So a thread waits on the host process and calls back when it
ends, for the daemon to stop gracefully. The thread blocks in the operating system: no polling.

On Windows the host is the nearest ``nssm.exe`` among the first few ancestors (a virtual environment's ``python.exe``
puts a launcher in between), else the direct parent. Parents are read with ``NtQueryInformationProcess``. On Linux it
is the direct parent, watched through a pidfd; a daemon whose parent is already process 1 is not watched.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

ANCESTORS = 3


class ParentWatch:
    """Calls ``on_gone`` once, from a thread of its own, when the host process ends.

    ``on_gone`` must be thread-safe and quick, e.g. ``lambda: loop.call_soon_threadsafe(stop.set)``. If the host can't
    be watched (``start`` returns None), the daemon simply runs on.
    """

    def __init__(self, on_gone: Callable[[], None]) -> None:
        self._on_gone = on_gone
        self._stopped = False
        self._wake: Callable[[], None] = lambda: None

    def start(self) -> int | None:
        """Begin to watch; returns the watched process id, or None when there is nothing to watch."""
        opened = _open_windows() if sys.platform == "win32" else _open_posix()
        if opened is None:
            return None
        pid, wait, self._wake = opened

        def run() -> None:
            if wait() and not self._stopped:
                self._on_gone()

        threading.Thread(target=run, name="parent-watch", daemon=True).start()
        return pid

    def stop(self) -> None:
        """Stop watching; ``on_gone`` is not called after this returned unless it was already on its way."""
        if not self._stopped:
            self._stopped = True
            self._wake()


def under_nssm() -> bool:
    """Whether this process runs as the Windows service, that is below ``nssm.exe``."""
    return sys.platform == "win32" and _nssm_pid() is not None


type _Opened = tuple[int, Callable[[], bool], Callable[[], None]]  # pid, wait -> host is gone, wake the wait


def _open_posix() -> _Opened | None:
    if sys.platform == "win32" or not hasattr(os, "pidfd_open"):
        return None
    import select

    parent = os.getppid()
    if parent <= 1:
        return None
    try:
        host = os.pidfd_open(parent)
    except OSError:
        return None
    if os.getppid() != parent:  # it ended in between and the id may belong to a stranger by now
        os.close(host)
        return parent, lambda: True, lambda: None
    wake_read, wake_write = os.pipe()

    def wait() -> bool:
        poll = select.poll()
        poll.register(host, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll()}
        os.close(host)
        os.close(wake_read)
        return host in ready and wake_read not in ready

    def wake() -> None:
        with contextlib.suppress(OSError):
            os.write(wake_write, b"x")
            os.close(wake_write)

    return parent, wait, wake


def _open_windows() -> _Opened | None:
    if sys.platform != "win32":
        return None
    from daemon.windows import process_api as api

    pid = _nssm_pid() or api.parent_of(api.current_process())
    if not pid:
        return None
    host = api.open_process(pid, api.SYNCHRONIZE | api.QUERY_LIMITED_INFORMATION)
    if host is None:
        return None
    if (api.created(host) or 0) > (
        api.created(api.current_process()) or 0
    ):  # the id was given to a younger stranger: the host is gone
        api.close(host)
        return pid, lambda: True, lambda: None
    wake_event = api.create_event()

    def wait() -> bool:
        first = api.wait_any([host, wake_event])
        api.close(host)
        return first == 0

    return pid, wait, lambda: api.set_event(wake_event)


def _nssm_pid() -> int | None:
    if sys.platform != "win32":
        return None
    from daemon.windows import process_api as api

    pid = api.parent_of(api.current_process())
    for _ in range(ANCESTORS):
        handle = api.open_process(pid, api.QUERY_LIMITED_INFORMATION) if pid else None
        if handle is None:
            return None
        try:
            if api.image_name(handle).lower() == "nssm.exe":
                return pid
            pid = api.parent_of(handle)
        finally:
            api.close(handle)
    return None
