"""What to do when `state.db` is damaged, missing or older than what is known: no account may come free by it (law 7).

Lockouts are looked for in every place that may still have them, freshest first: the damaged file itself, the replicas
in public/, backups. A new database is built completely, under another name, before it takes the old one's place, so
that a kill in between loses nothing.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from daemon.store.database import BUSY_SECONDS, StoreError, connect, make_private, migrate
from daemon.store.rows import Row, lockout_of
from daemon.store.statements import STATEMENTS
from shared.schema import json_text

UNKNOWN_KEY: Final = "lockouts_unknown"
"""Key in `daemon_state`: set while it is not certain which accounts were locked before the database was lost."""

MARK_NAME: Final = "database-made"
"""File in run/, away from data/ and public/: both may be deleted at once, and with them every other trace."""

EMERGENCY_NAME: Final = "lockouts.emergency"
"""File beside the database, see `daemon.store.emergency`."""

_MARK_TEXT: Final = """Risk Manager has made its database here: data/state.db.
As long as this file is here, a missing database counts as lost: every account is then locked until the next reset.
To begin anew without that, delete this file too.
"""

_ASIDE: Final = "damaged"
_LOCKOUTS: Final = STATEMENTS["lockouts"]

Identity = tuple[Any, ...]


@dataclass(slots=True)
class Evidence:
    """Lockouts read from one file. `complete`: the whole table could be read."""

    path: Path
    lockouts: dict[Identity, Row] = field(default_factory=dict)
    complete: bool = False


@dataclass(slots=True)
class Salvage:
    """What all sources together say. `source` names the first that gave anything; `unknown`: see SavedState."""

    lockouts: list[Row]
    source: str | None
    unknown: bool


def identity(row: Row) -> Identity:
    """What makes a lockout the same one in different files, whatever its number."""
    return row["account_id"], row["rule_id"], row["kind"], row["symbol"], row["locked_at"]


def read_lockouts(path: Path) -> Evidence:
    """Whatever can be read of the table `lockouts` in a database that may be damaged. Never raises."""
    evidence = Evidence(path)
    # A damaged page in the middle leaves both ends readable; a full disk leaves `immutable`, which does not see the
    # -wal.
    for parameters, order, whole in (
        ("mode=ro", "ASC", True),
        ("mode=ro", "DESC", True),
        ("immutable=1", "ASC", not has_wal(path)),
    ):
        try:
            uri = f"{path.absolute().as_uri()}?{parameters}"
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
                sound = _read_into(evidence, connection, order)
        except (sqlite3.Error, OSError):
            continue
        evidence.complete = sound and whole
        break
    return evidence


def _read_into(evidence: Evidence, connection: sqlite3.Connection, order: str) -> bool:
    names = [name for _, name, *_ in connection.execute("PRAGMA table_info(lockouts)")]
    if not set(names) >= _REQUIRED:
        return False
    wanted = [name for name in _LOCKOUTS.columns if name in names]
    sound = True
    for values in connection.execute(f"SELECT {', '.join(wanted)} FROM lockouts ORDER BY id {order}"):
        try:
            row = readable_lockout(wanted, values)
        except (ValueError, TypeError):
            sound = False
            continue
        evidence.lockouts.setdefault(identity(row), row)
    return sound


def readable_lockout(names: Iterable[str], values: Iterable[Any]) -> Row:
    """A row of `lockouts` from raw values of some columns. Raises ValueError or TypeError when it is none."""
    row = _DEFAULTS | _LOCKOUTS.read(names, values)
    lockout_of(row)
    return row


_REQUIRED: Final = frozenset({"id", "account_id", "rule_id", "kind", "locked_at", "expires_at", "cleared_at"})
_DEFAULTS: Final[Row] = {
    "symbol": None,
    "reason": "",
    "cleared_by": None,
    "cause": "",
    "baseline": {},
    "clear_due_at": None,
    "clear_by": None,
    "clear_reason": None,
}


def has_wal(path: Path) -> bool:
    """Whether changes may stand in the -wal that are not in the file itself."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except OSError:
        return False


def replicas(public: Path | None) -> list[Path]:
    """Replica files, the one written last first."""
    if public is None:
        return []
    return sorted(public.glob("view*.db"), key=_last_written, reverse=True)


def backups(folder: Path) -> list[Path]:
    """Backup files, newest first (their names carry the time)."""
    return sorted(folder.glob("state-*.db"), key=lambda path: path.name, reverse=True)


def moved_aside(path: Path) -> list[Path]:
    """Damaged databases of earlier recoveries, newest first."""
    return sorted(path.parent.glob(f"{path.stem}-{_ASIDE}-*.db"), key=lambda found: found.name, reverse=True)


def leave_mark(mark: Path | None) -> None:
    """Note that there is a database now. What cannot be noted is no harm: it is one trace of several."""
    if mark is not None and not mark.exists():
        with contextlib.suppress(OSError):
            make_private(mark)
            mark.write_text(_MARK_TEXT, encoding="utf-8")


def has_traces(path: Path, public: Path | None, mark: Path | None = None) -> bool:
    """Whether a database that is missing now had been there before."""
    journal = path.parent / "journal"
    return bool(
        (mark is not None and mark.exists())
        or path.with_name(EMERGENCY_NAME).exists()
        or replicas(public)
        or backups(path.parent / "backups")
        or moved_aside(path)
        or (journal.is_dir() and any(journal.iterdir()))
    )


def salvage(path: Path, public: Path | None) -> Salvage:
    """Find the lockouts of a damaged or missing database.

    They count as known when the old file or a replica (at most a second behind it) could be read whole. A backup can
    be a day old, so it only adds to what is known: lockouts set since would be missing from it.
    """
    fresh = [path, *replicas(public)] if path.exists() else replicas(public)
    aside = moved_aside(path)[:1]
    merged: dict[Identity, Row] = {}
    source: Path | None = None
    certain = False
    for candidate in [*fresh, *aside, *backups(path.parent / "backups")[:1]]:
        evidence = read_lockouts(candidate)
        if source is None and (evidence.lockouts or evidence.complete):
            source = candidate
        for key, row in evidence.lockouts.items():
            merged.setdefault(key, row)
        if evidence.complete and (candidate in fresh or candidate in aside):
            certain = True
            break  # older sources could only bring back what has ended since
    return Salvage(_renumbered(merged.values()), source.name if source else None, unknown=not certain)


def _renumbered(rows: Iterable[Row]) -> list[Row]:
    """Rows from several files with numbers made distinct; the first keeps its own."""
    taken: set[int] = set()
    out: list[Row] = []
    for row in rows:
        number = row["id"] if row["id"] not in taken else max(taken) + 1
        taken.add(number)
        out.append({**row, "id": number})
    return out


def build(path: Path, lockouts: Iterable[Row], unknown: bool) -> None:
    """Make a new database holding these lockouts and put it in the place of `path`, moving what is there aside.

    Raises:
        StoreError, sqlite3.Error, OSError: it could not be made.
    """
    fresh = path.with_name(path.name + ".new")
    for suffix in ("", "-wal", "-shm", "-journal"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    make_private(fresh)
    migrate(fresh)
    with contextlib.closing(connect(fresh)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_LOCKOUTS.upsert, [_LOCKOUTS.bind(row) for row in lockouts])
        if unknown:
            mark_unknown(connection, True)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    sync(fresh)
    if path.exists():
        move_aside(path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    _patiently(lambda: fresh.replace(path))
    sync(path.parent)


def move_aside(path: Path) -> Path:
    """Rename a damaged database (with its -wal and -shm) to a name with the time; gives the new path."""
    # The time is part of a file's name only; nothing is decided by it.
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    target = path.with_name(f"{path.stem}-{_ASIDE}-{stamp}.db")
    _patiently(lambda: path.replace(target))
    for suffix in ("-wal", "-shm"):
        rest = path.with_name(path.name + suffix)
        if rest.exists():
            _patiently(partial(rest.replace, target.with_name(target.name + suffix)))
    return target


def mark_unknown(connection: sqlite3.Connection, unknown: bool) -> None:
    """Set or take back the mark that lockouts may be missing."""
    statements = STATEMENTS["daemon_state"]
    if unknown:
        connection.execute(statements.upsert, (UNKNOWN_KEY, json_text(True)))
    else:
        connection.execute(statements.delete, (UNKNOWN_KEY,))


def adopt_missing(connection: sqlite3.Connection, public: Path | None) -> list[Row]:
    """Take over active lockouts that a replica knows and the database does not: an older copy had been put back.

    Gives the rows that were added.
    """
    found = replicas(public)[:1]
    if not found:
        return []
    known: set[Identity] = set()
    highest = 0
    for values in connection.execute(_LOCKOUTS.select):
        row = _LOCKOUTS.read(_LOCKOUTS.columns, values)
        known.add(identity(row))
        highest = max(highest, row["id"])
    added: list[Row] = []
    for key, row in read_lockouts(found[0]).lockouts.items():
        if key not in known and row["cleared_at"] is None:
            highest += 1
            added.append({**row, "id": highest})
    if added:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_LOCKOUTS.upsert, [_LOCKOUTS.bind(row) for row in added])
        connection.execute("COMMIT")
    return added


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, on disk; folders cannot be synced on Windows and need not be."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _patiently(rename: Callable[[], object], seconds: float = 2.0) -> None:
    """Rename; on Windows a virus scanner may hold a file for a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            rename()
            return
        except PermissionError as error:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"The file {error.filename} is held by another program: close that program."
                ) from error
            time.sleep(0.05)


def _last_written(path: Path) -> float:
    newest = 0.0
    for name in (path, path.with_name(path.name + "-wal")):
        with contextlib.suppress(OSError):
            newest = max(newest, name.stat().st_mtime)
    return newest
