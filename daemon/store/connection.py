"""The connection that writes `state.db`, whatever happens to the file under it.

A file that is deleted or exchanged while it is in use is put back from the open connection; a damaged or missing one is
made anew. Large write-ahead logs are worked off in a thread of their own, never inside a commit.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from daemon.store.database import StoreError, connect

_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024


class WritingConnection:
    """Lives in the writer thread.

    Args:
        path: the database, migrated.
        connection: open, from `database.connect`; None: the disk took nothing so far.
        rebuild: makes a new database in place of a damaged or missing one; returns a connection to it.
        on_alert: takes a sentence for people.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection | None,
        *,
        rebuild: Callable[[], sqlite3.Connection],
        on_alert: Callable[[str], None],
    ) -> None:
        self._path = path
        self._connection = connection
        self._rebuild = rebuild
        self._on_alert = on_alert
        self._identity = _identity(path)
        self._checkpointing = threading.Lock()

    def open(self) -> sqlite3.Connection:
        """The connection, to the file that is there now. Raises sqlite3.Error, OSError, StoreError."""
        if self._connection is not None and self._identity != _identity(self._path):
            self._save_from_deletion(self._connection)
        if self._connection is None:
            if not self._path.exists():
                # Never let SQLite make an empty file here: it would look like a database without lockouts.
                self._connection = self._rebuild()
            else:
                self._connection = connect(self._path)
            self._identity = _identity(self._path)
        return self._connection

    def close(self) -> None:
        """Let go of the connection; the next `open` makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def replace_damaged(self) -> bool:
        """Make the database anew. False: that could not be done, and people were told."""
        self.close()
        try:
            self._connection = self._rebuild()
        except (sqlite3.Error, OSError, StoreError) as error:
            self._on_alert(f"The damaged database {self._path} could not be replaced: {error}.")
            return False
        self._identity = _identity(self._path)
        return True

    def checkpoint_if_large(self) -> None:
        """Work off the write-ahead log in a thread of its own, when it has grown large."""
        try:
            size = self._path.with_name(self._path.name + "-wal").stat().st_size
        except OSError:
            return
        if size > _CHECKPOINT_BYTES and self._checkpointing.acquire(blocking=False):
            try:
                threading.Thread(target=self._checkpoint, name="store-checkpoint", daemon=True).start()
            except RuntimeError:  # no memory for a thread: tried again after the next flush
                self._checkpointing.release()

    def _checkpoint(self) -> None:
        # PASSIVE runs beside a writer and never makes it wait.
        try:
            with contextlib.closing(connect(self._path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            pass  # tried again after the next flush
        finally:
            self._checkpointing.release()

    def _save_from_deletion(self, connection: sqlite3.Connection) -> None:
        """The file was deleted or replaced under the open connection: put a copy of what we hold in its place."""
        self._on_alert(f"The database {self._path} was deleted or replaced while in use; it is put back.")
        copy = self._path.with_name(self._path.name + ".rescued")
        copy.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(copy)) as target:
            connection.backup(target)
        copy.chmod(0o600)
        self.close()
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        copy.replace(self._path)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
