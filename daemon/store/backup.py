"""Copies of the database in data/backups: one a day and one before each migration, the newest 14 kept."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from daemon.store.database import StoreError, connect_reading, explain, make_private
from daemon.store.emergency import EMERGENCY_KEY
from daemon.store.recovery import sync

KEPT: Final = 14


def back_up(path: Path, folder: Path, at: datetime, *, label: str = "", kept: int = KEPT) -> Path:
    """Copy a live database (SQLite's backup API: consistent, without holding up its writer) and drop the oldest copies.

    The name carries the UTC time: state-20261121T071946Z.db, with a label state-20261121T071946Z-0001.db.

    Raises:
        StoreError: it could not be copied; nothing half-made remains.
    """
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"state-{stamp}{f'-{label}' if label else ''}.db"
    partial = target.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        make_private(partial)
        with contextlib.closing(connect_reading(path)) as source, contextlib.closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
            _unbind(copy)
            # One file, complete in itself: no -wal beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
        sync(partial)
        partial.replace(target)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise StoreError(f"The backup {target} could not be made: {explain(error, path)}") from error
    for old in sorted(folder.glob("state-*.db"), key=lambda found: found.name, reverse=True)[kept:]:
        with contextlib.suppress(OSError):
            old.unlink()
    return target


def _unbind(copy: sqlite3.Connection) -> None:
    """The emergency file belongs to the live database: where a backup takes its place, it may be missing."""
    with contextlib.suppress(sqlite3.OperationalError):  # an older schema, on the way to be migrated
        copy.execute("DELETE FROM daemon_state WHERE key = ?", (EMERGENCY_KEY,))
        copy.commit()
