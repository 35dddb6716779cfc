"""Opening `state.db`: connections, checks, migrations, and what its errors mean in plain words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from shared.schema import SCHEMA_REVISION, TABLES

BUSY_SECONDS: Final = 0.1
"""How long a statement waits for somebody else's lock. Well below the bound of a commit: nobody else should lock it."""

_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_WAL_LIMIT: Final = 16 * 1024 * 1024
_CACHE_KIB: Final = -256
"""SQLite's page cache of a connection (negative: KiB). Its 2 MiB would fill in the course of a day, for nothing: the
daemon reads at its start and writes ever after.
"""
_FULL_CHECK_BYTES: Final = 128 * 1024 * 1024


class TroubleOver(str):
    """A sentence for people about the end of what an earlier alert told of: nothing to worry about."""

    __slots__ = ()


class StoreError(Exception):
    """The database cannot be used; the message is one plain sentence with what to do."""


def primary_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code of an error, or 0 when it has none."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_corruption(error: sqlite3.Error) -> bool:
    """Whether an error means that the file's content is damaged, as opposed to a disk or a lock in the way."""
    return primary_code(error) in _CORRUPT


def explain(error: Exception, path: Path) -> str:
    """What is wrong with the database, and the mend, in one sentence."""
    if isinstance(error, StoreError):
        return str(error)
    code = primary_code(error) if isinstance(error, sqlite3.Error) else 0
    if code == sqlite3.SQLITE_FULL:
        return f"The disk that holds {path} is full: free some space."
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"The database {path} is locked by another program: close that program."
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return f"The database {path} cannot be opened for writing: check the rights of its folder."
    if code == sqlite3.SQLITE_IOERR:
        return f"Reading or writing the database {path} failed ({error}): check the disk."
    if code in _CORRUPT:
        return f"The database {path} is damaged ({error}): it will be moved aside and rebuilt."
    if isinstance(error, OSError):
        return f"The database {path} cannot be used ({error.strerror or error}): check the folder and its rights."
    return f"The database {path} cannot be used: {error}."


def make_private(path: Path) -> None:
    """Create a file that only the daemon's account may read, if it is missing (SQLite's -wal and -shm inherit that)."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def connect(path: Path) -> sqlite3.Connection:
    """A connection for writing: WAL, explicit transactions, every commit on disk (synchronous=FULL)."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        # Checkpoints cost milliseconds: they run in a thread of their own, never inside a commit.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
        connection.execute(f"PRAGMA cache_size = {_CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises sqlite3.OperationalError when the file is missing."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def damage(path: Path) -> str | None:
    """Why the database's content cannot be trusted, or None when it is sound (or still empty).

    Raises:
        sqlite3.Error, OSError: it could not be read for another reason (locked, rights, disk).
    """
    try:
        with contextlib.closing(_connect_patiently(path)) as connection:
            large = path.stat().st_size > _FULL_CHECK_BYTES
            answer = connection.execute(f"PRAGMA {'quick' if large else 'integrity'}_check(1)").fetchone()
            if answer is None or answer[0] != "ok":
                return str(answer[0]) if answer else "no answer to the integrity check"
            if revision(connection) is not None and _missing_tables(connection):
                return "tables are missing"
    except sqlite3.DatabaseError as error:
        if is_corruption(error):
            return str(error)
        raise
    return None


def _connect_patiently(path: Path, seconds: float = 2.0) -> sqlite3.Connection:
    """As `connect`; a lock left by a process that is just ending is waited for."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return connect(path)
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _missing_tables(connection: sqlite3.Connection) -> bool:
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return not {"lockouts", "daemon_state"} <= found


def revision(connection: sqlite3.Connection) -> str | None:
    """The schema's Alembic revision, or None for a database that has none yet."""
    table = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone()
    if table is None:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def stored_revision(path: Path) -> str | None:
    """As `revision`, of a file."""
    with contextlib.closing(connect(path)) as connection:
        return revision(connection)


def _create(path: Path) -> None:
    """Fill an empty file with today's schema, from the models: just what all migrations together make of it."""
    with contextlib.closing(connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in TABLES.values():
            connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(str(CreateIndex(index).compile(dialect=sqlite.dialect())))
        connection.execute(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
            " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
        connection.execute("INSERT INTO alembic_version VALUES (?)", (SCHEMA_REVISION,))
        connection.execute("COMMIT")


def migrate(path: Path) -> None:
    """Bring a sound database, or an empty file, to this program's schema. All in one transaction.

    Raises:
        StoreError: the schema is a newer program's.
    """
    if not path.exists() or path.stat().st_size == 0:
        _create(path)
        return
    if stored_revision(path) == SCHEMA_REVISION:
        return
    # Alembic costs 0.2 s to import and 15 MB, and is needed only here.
    from daemon.migrations.run import UnknownRevisionError, upgrade

    try:
        upgrade(path)
    except UnknownRevisionError as error:
        raise StoreError(
            f"The database {path} was written by a newer version of this program (schema {error.revision}): "
            "install that version again, or restore an older backup."
        ) from error
