"""Opening the database at start, whatever state it is in."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from daemon.store import recovery
from daemon.store.backup import back_up
from daemon.store.database import (
    BUSY_SECONDS,
    StoreError,
    connect,
    damage,
    explain,
    make_private,
    migrate,
    primary_code,
    revision,
    stored_revision,
)
from daemon.store.emergency import EmergencyFile
from daemon.store.merging import Merged, merge, told
from daemon.store.statements import STATEMENTS
from shared.schema import SCHEMA_REVISION, TABLES

_DISK_CODES: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM})
_DISK_ERRORS: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO})


@dataclass(slots=True)
class Opened:
    """The database as found. `writing` is None while the disk takes nothing: then `reading` is a copy in memory.

    `doubtful`: that copy may lack lockouts. `salvaged_from`: see SavedState. `merged`: what the emergency file held.
    """

    reading: sqlite3.Connection
    writing: sqlite3.Connection | None
    emergency: EmergencyFile
    salvaged_from: str | None = None
    doubtful: bool = False
    merged: Merged = field(default_factory=Merged)


def open_database(path: Path, public: Path | None, on_alert: Callable[[str], None], mark: Path | None = None) -> Opened:
    """Check, migrate (after a backup), and where it is damaged or missing rebuild the database.

    On a disk that is full or fails, a daemon that had a database before must protect all the same: it starts from
    what can be read, and the writer goes on trying.

    Raises:
        StoreError, sqlite3.Error, OSError: it cannot be used.
    """
    emergency = EmergencyFile(path.with_name(recovery.EMERGENCY_NAME), on_alert)
    try:
        opened = _open(path, public, on_alert, mark, emergency)
        recovery.leave_mark(mark)
    except (sqlite3.Error, OSError) as error:
        broken_disk = (
            primary_code(error) in _DISK_CODES if isinstance(error, sqlite3.Error) else error.errno in _DISK_ERRORS
        )
        if not broken_disk or not (path.exists() or recovery.has_traces(path, public, mark)):
            raise
        opened = _from_memory(path, public, emergency)
        opened.merged = merge(opened.reading, emergency, write=False)
        opened.doubtful |= opened.merged.unknown
        doubt = " It is not certain which accounts were locked." if opened.doubtful else ""
        on_alert(f"{explain(error, path)} Enforcement goes on from what could be read.{doubt}")
    for text in told(emergency, opened.merged):
        on_alert(text)
    return opened


def _open(
    path: Path, public: Path | None, on_alert: Callable[[str], None], mark: Path | None, emergency: EmergencyFile
) -> Opened:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise StoreError(f"The database {path} is a folder: move that folder away.")
    salvaged: recovery.Salvage | None = None
    reason = _fault(path)
    if reason is not None:
        if path.exists() or recovery.has_traces(path, public, mark):
            salvaged = recovery.salvage(path, public)
            on_alert(_told(path, reason, salvaged))
        recovery.build(path, salvaged.lockouts if salvaged else [], unknown=salvaged is not None and salvaged.unknown)
    connection = connect(path)
    try:
        # First what the database itself was to have, then what only the replica knows.
        merged = merge(connection, emergency)
        for row in recovery.adopt_missing(connection, public):
            on_alert(
                f"Account {row['account_id']} stays locked ({row['rule_id']}): the replica knows that lockout, the "
                "database did not; an older database had been put back."
            )
    except BaseException:
        connection.close()
        raise
    return Opened(
        connection,
        connection,
        emergency,
        salvaged.source if salvaged else None,
        doubtful=merged.unknown,
        merged=merged,
    )


def _fault(path: Path) -> str | None:
    """Why a new database has to be made, or None when this one is sound and has today's schema now."""
    if not path.exists() or not path.stat().st_size:
        return "it is missing"
    reason = damage(path)
    if reason is not None:
        return reason
    make_private(path)
    found = stored_revision(path)
    if found != SCHEMA_REVISION:
        if found is not None:
            # The time is part of a name only; nothing is decided by it.
            back_up(path, path.parent / "backups", datetime.now(UTC), label=f"before-{SCHEMA_REVISION}")
        migrate(path)
    return None if recovery.read_lockouts(path).complete else "a lockout in it cannot be read"


def _told(path: Path, reason: str, salvaged: recovery.Salvage) -> str:
    where = f"the lockouts were read from {salvaged.source}" if salvaged.source else "no lockout could be read"
    doubt = "; it is not certain that this is all of them" if salvaged.unknown else ""
    return f"The database {path} could not be used ({reason}); a new one is made, {where}{doubt}."


def _from_memory(path: Path, public: Path | None, emergency: EmergencyFile) -> Opened:
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    # The last one needs nothing beside the file, but does not see what is only in the -wal.
    for read, doubtful in ((_copy_with_log, False), (_copy_without_log, recovery.has_wal(path))):
        try:
            read(path, memory)
            sound = memory.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            if sound and revision(memory) == SCHEMA_REVISION:
                return Opened(memory, None, emergency, path.name, doubtful=doubtful)
        except sqlite3.Error:
            continue
    memory.close()
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for table in TABLES.values():
        memory.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    salvaged = recovery.salvage(path, public)
    lockouts = STATEMENTS["lockouts"]
    memory.executemany(lockouts.upsert, [lockouts.bind(row) for row in salvaged.lockouts])
    return Opened(memory, None, emergency, salvaged.source, doubtful=salvaged.unknown)


def _copy_with_log(path: Path, memory: sqlite3.Connection) -> None:
    """Copy a database with its -wal where there is no room for the -shm: its only user needs none, nor leaves one."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as source:
        source.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        source.execute("PRAGMA locking_mode = EXCLUSIVE")
        source.backup(memory)


def _copy_without_log(path: Path, memory: sqlite3.Connection) -> None:
    uri = f"{path.absolute().as_uri()}?immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as source:
        source.backup(memory)
