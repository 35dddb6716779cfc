"""One daemon a home: a lock of the operating system on a file, gone with the process however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


class TakenError(Exception):
    """Another daemon runs on this home; the text is one plain sentence."""


class InstanceLock:
    """Hold it from the start of the daemon to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises TakenError when another process holds it, OSError when the file cannot be used."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise TakenError(
                f"Another daemon already runs on {self._path.parent.parent}; stop it first, or choose another home"
                " with --home."
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back. May be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
