"""One daemon a home: a lock of the operating system on a file, gone with the process however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from daemon.start_error import StartError
from shared.paths import Home

PREDECESSOR_SECONDS = 2.0
"""One that was killed holds its lock until the system has ended its last thread."""


class InstanceLock:
    """Hold it from the start of the daemon to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock. False when another process holds it. Raises OSError when the file cannot be used."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


async def claim(home: Home, patience: float = PREDECESSOR_SECONDS) -> InstanceLock:
    """Make the home's folders, see that they can be written to, and take the lock; waits `patience` seconds for it.

    Raises StartError.
    """
    try:
        home.create()
    except OSError as error:
        raise StartError(
            f"The home folder {home.root} cannot be used: {error.filename or home.root} ({error.strerror}). Give that"
            " folder to this user, or choose another with --home."
        ) from error
    probe = home.run / f".probe-{os.getpid()}"
    lock = InstanceLock(home.run / "daemon.lock")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    try:
        probe.write_bytes(b"")
        probe.unlink()
        while not lock.acquire():
            if loop.time() > deadline:
                raise StartError(
                    f"Another daemon already runs on {home.root}; stop it first, or choose another home with --home."
                )
            await asyncio.sleep(0.02)
    except OSError as error:
        raise StartError(
            f"The home folder {home.root} is not writable ({error.strerror}); make it writable for this user."
        ) from error
    return lock


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
