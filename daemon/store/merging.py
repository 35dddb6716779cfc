"""Bringing what the emergency file holds into the database at start (`daemon.store.emergency`).

The database keeps which file belongs to it and up to which record it is merged, in the same transaction as what was
merged: a kill between that and the file's being marked free brings nothing back that has ended since.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from daemon.store.database import TroubleOver, is_corruption
from daemon.store.emergency import EMERGENCY_KEY, EmergencyFile, Record, UnreadableError
from daemon.store.recovery import identity, mark_unknown
from daemon.store.rows import Row
from daemon.store.statements import STATEMENTS
from shared.schema import json_text

_LOCKOUTS = STATEMENTS["lockouts"]
_STATE = STATEMENTS["daemon_state"]


@dataclass(slots=True)
class Merged:
    """`lockouts`: rows of what the file held, with the numbers they have in the database, or are to have there.

    `unknown`: more lockouts may have been active than these. `written`: the database has all of this.
    """

    lockouts: list[Row] = field(default_factory=list)
    unknown: bool = False
    written: bool = True


def merge(connection: sqlite3.Connection, emergency: EmergencyFile, *, write: bool = True) -> Merged:
    """Read the file and take over what the database lacks; make the file where there is none.

    A disk that takes nothing is no error: then the rows are for the writer, `write` False says that from the start.

    Raises:
        sqlite3.Error: the database cannot be read.
    """
    known = _mark(connection)
    trouble = _read(emergency, known)
    if trouble is not None:
        emergency.trouble = trouble
        emergency.make(unknown=True)
    elif emergency.record is None:
        emergency.make()
    record = emergency.record
    merged = Merged(unknown=trouble is not None)
    if record is not None:
        if known is not None and known["file"] == record.file.hex():
            emergency.merged(known["sequence"])
        if emergency.holds:
            merged.lockouts, merged.unknown = _numbered(connection, record), merged.unknown or record.unknown
    new = record is not None and (known is None or known["file"] != record.file.hex())
    if merged.lockouts or merged.unknown or new:
        merged.written = write and _take_over(connection, emergency, merged)
    return merged


def told(emergency: EmergencyFile, merged: Merged) -> list[str]:
    """What people are to hear of it, one sentence each."""
    said = []
    if emergency.trouble is not None:
        said.append(
            f"The file {emergency.path} cannot be used ({emergency.trouble}), and with it lockouts may be lost: every"
            " account is locked until the next reset."
        )
    if merged.lockouts:
        count = len(merged.lockouts)
        what = "A lockout" if count == 1 else f"{count} lockouts"
        hold = "is" if count == 1 else "are"
        text = f"{what} that could not be written to the database before {hold} taken from {emergency.path}."
        said.append(TroubleOver(text))
    return said


def _read(emergency: EmergencyFile, known: dict[str, Any] | None) -> str | None:
    """Read the file; gives why it cannot be used, or None."""
    try:
        if emergency.read() is None and known is not None:
            return "it is missing"
    except UnreadableError as error:
        return str(error)
    return None


def _mark(connection: sqlite3.Connection) -> dict[str, Any] | None:
    """What the database says of its file; None when it never had one."""
    found = connection.execute(f'{_STATE.select} WHERE "key" = ?', (EMERGENCY_KEY,)).fetchone()
    if found is None:
        return None
    try:
        value = _STATE.read(_STATE.columns, found)["value"]
        return {"file": str(value["file"]), "sequence": int(value["sequence"])}
    except (ValueError, TypeError, KeyError):
        return {"file": "", "sequence": 0}


def _numbered(connection: sqlite3.Connection, record: Record) -> list[Row]:
    """The record's lockouts with the numbers of the same ones in the database, others with numbers that are free."""
    same: dict[Any, set[int]] = {}
    taken: set[int] = set()
    for values in connection.execute(_LOCKOUTS.select):
        taken.add(values[_LOCKOUTS.columns.index("id")])
        with contextlib.suppress(ValueError, TypeError):
            row = _LOCKOUTS.read(_LOCKOUTS.columns, values)
            same.setdefault(identity(row), set()).add(row["id"])
    rows: list[Row] = []
    for row in record.lockouts:
        numbers = same.get(identity(row), set())
        if row["id"] in numbers:
            number = row["id"]
        elif numbers:
            number = min(numbers)
        else:
            number = row["id"] if row["id"] not in taken else max(taken) + 1
        numbers.discard(number)
        taken.add(number)
        rows.append({**row, "id": number})
    return rows


def _take_over(connection: sqlite3.Connection, emergency: EmergencyFile, merged: Merged) -> bool:
    mark = emergency.mark()
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_LOCKOUTS.upsert, [_LOCKOUTS.bind(row) for row in merged.lockouts])
        if merged.unknown:
            mark_unknown(connection, True)
        if mark is not None:
            connection.execute(_STATE.upsert, (EMERGENCY_KEY, json_text(mark)))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        if is_corruption(error):
            raise
        return False
    if emergency.record is not None:
        emergency.merged(emergency.record.sequence)
    return True
