"""data/lockouts.emergency: lockouts that the database could not take, in a file whose space was taken beforehand.

On a full disk SQLite cannot commit, and a lockout made then has to outlive a kill all the same (law 2). The file is
made while there is room, of bytes that are really written, and from then on only overwritten in place: that needs no
space.

It has two halves, each with one record: all lockouts that wait for the database, under a number that rises, with a
SHA-256 over the whole. Records go to the halves in turn, so that the one before stays whole while the next is written.
A half that is not whole was never reported as written: the other one counts. If neither is whole nobody can tell what
the file held, and every account is locked (`SavedState.lockouts_unknown`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from daemon.store.database import make_private
from daemon.store.recovery import readable_lockout, sync
from daemon.store.rows import Row
from daemon.store.statements import STATEMENTS

EMERGENCY_KEY: Final = "emergency_file"
"""Key in `daemon_state`: {"file", "sequence"}: which file is the database's, and up to which record it is merged."""

HALF_BYTES: Final = 128 * 1024
"""Room for some 250 lockouts; an installation with 20 accounts has seldom more than 20 waiting."""

_MAGIC: Final = b"RMLOCKS1"
_HEAD: Final = struct.Struct(">8s16sQI")
_DIGEST_BYTES: Final = 32
_ROOM: Final = HALF_BYTES - _HEAD.size - _DIGEST_BYTES
_LOCKOUTS: Final = STATEMENTS["lockouts"]


class UnreadableError(Exception):
    """What the file held cannot be told; the text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Record:
    """What one half holds. `file` names the file for ever; `unknown`: more lockouts may have been active than these."""

    file: bytes
    sequence: int
    lockouts: tuple[Row, ...] = ()
    unknown: bool = False


class EmergencyFile:
    """The file as the store uses it. `record` is what it holds; None: there is no usable file. `trouble`: why the one
    that was found at start could not be used.

    Args:
        path: where it is, or is to be.
        on_alert: told once when lockouts cannot be kept here either.
    """

    def __init__(self, path: Path, on_alert: Callable[[str], None]) -> None:
        self.path = path
        self.record: Record | None = None
        self.trouble: str | None = None
        self._on_alert = on_alert
        self._merged = 0
        self._said = False

    @property
    def holds(self) -> bool:
        """Whether it holds what the database does not have yet. May be asked in any thread."""
        record = self.record
        return record is not None and record.sequence > self._merged and bool(record.lockouts or record.unknown)

    def read(self) -> Record | None:
        """What it holds; None when it is not there. Blocks. Raises UnreadableError."""
        try:
            if not self.path.exists():
                return None
            content = self.path.read_bytes()
        except OSError as error:
            raise UnreadableError(str(error.strerror or error)) from error
        if len(content) != 2 * HALF_BYTES:
            raise UnreadableError(f"it has {len(content):,} bytes instead of {2 * HALF_BYTES:,}")
        found = [record for half in (0, 1) if (record := _parse(content[half * HALF_BYTES : (half + 1) * HALF_BYTES]))]
        if not found:
            raise UnreadableError("no record in it is whole")
        self.record = max(found, key=lambda record: record.sequence)
        return self.record

    def make(self, *, unknown: bool = False) -> Record | None:
        """Make it anew in place of what is there; None when there is no room for it. Never raises."""
        record = Record(os.urandom(16), 1, unknown=unknown)
        fresh = self.path.with_name(self.path.name + ".new")
        # Random bytes: a file system that compresses, or leaves out zeros, must give it its whole space.
        halves = [bytearray(os.urandom(HALF_BYTES)) for _ in (0, 1)]
        for half, content in ((0, _packed(Record(record.file, 0, unknown=unknown))), (1, _packed(record))):
            halves[half][: len(content)] = content
        try:
            fresh.unlink(missing_ok=True)
            make_private(fresh)
            with fresh.open("r+b") as file:
                file.writelines(halves)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            sync(self.path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
            return None
        self.record, self._merged = record, 0
        return record

    def keep(self, lockouts: Iterable[Row]) -> bool:
        """Have the lockouts that wait for the database in the file, on disk, in place of those before.

        Never raises. False: they could not be put there.
        """
        rows = tuple(lockouts)
        record = self.record or (self.make() if rows else None)
        if record is not None and self.holds and record.lockouts == rows:
            return True
        if not rows and not self.holds:
            return True
        if record is not None and self._write(rows, unknown=self.holds and record.unknown):
            self._said = False
            return True
        if not self._said:
            self._said = True
            self._tell(
                f"Lockouts could not be put into {self.path} either: as long as the database cannot be written, they"
                " hold only until the daemon ends."
            )
        return False

    def merged(self, sequence: int) -> None:
        """The database has what the record of that number held, durably: the file is free again. Never raises."""
        self._merged = max(self._merged, sequence)
        if self.record is not None and not self.holds and (self.record.lockouts or self.record.unknown):
            # If it cannot be written now: the database knows how far it is merged.
            self._write((), unknown=False)

    def mark(self) -> dict[str, object] | None:
        """The value for `EMERGENCY_KEY` once the database has what the file holds."""
        return None if self.record is None else {"file": self.record.file.hex(), "sequence": self.record.sequence}

    def _write(self, rows: tuple[Row, ...], *, unknown: bool) -> bool:
        """Overwrite the half that is not the record's own."""
        assert self.record is not None
        try:
            record = _fitting(self.record.file, self.record.sequence + 1, rows, unknown=unknown)
            content = memoryview(_packed(record))
            with self.path.open("r+b", buffering=0) as file:
                if os.fstat(file.fileno()).st_size != 2 * HALF_BYTES:
                    raise OSError("the file has another size than it was made with")
                file.seek(record.sequence % 2 * HALF_BYTES)
                while content:
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
        except Exception:  # noqa: BLE001 - whatever it is, who writes the database goes on
            return False
        # As handed in, for the comparison at the next try; what did not fit is in `unknown`.
        self.record = Record(record.file, record.sequence, rows, record.unknown)
        return True

    def _tell(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._on_alert(text)


def _fitting(file: bytes, sequence: int, rows: tuple[Row, ...], *, unknown: bool) -> Record:
    """A record of the rows that fit: active ones before those that have ended. `unknown`: an active one did not fit."""
    room = _ROOM - len(orjson.dumps(_payload((), unknown=True)))
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: row["cleared_at"] is not None):
        try:
            size = len(orjson.dumps(_bound(row))) + 1
        except (TypeError, ValueError, OverflowError, KeyError):
            continue  # unfit for the database too, which says so
        if size <= room:
            room -= size
            kept.append(row)
        elif row["cleared_at"] is None:
            unknown = True
    return Record(file, sequence, tuple(kept), unknown)


def _payload(rows: Iterable[Row], *, unknown: bool) -> dict[str, object]:
    return {"unknown": unknown, "lockouts": [_bound(row) for row in rows]}


def _bound(row: Row) -> dict[str, Any]:
    return dict(zip(_LOCKOUTS.columns, _LOCKOUTS.bind(row), strict=True))


def _packed(record: Record) -> bytes:
    payload = orjson.dumps(_payload(record.lockouts, unknown=record.unknown))
    head = _HEAD.pack(_MAGIC, record.file, record.sequence, len(payload))
    return head + hashlib.sha256(head + payload).digest() + payload


def _parse(half: bytes) -> Record | None:
    """The record of a half; None when it is not whole."""
    magic, file, sequence, length = _HEAD.unpack_from(half)
    begin = _HEAD.size + _DIGEST_BYTES
    if magic != _MAGIC or length > _ROOM:
        return None
    payload = half[begin : begin + length]
    if hashlib.sha256(half[: _HEAD.size] + payload).digest() != half[_HEAD.size : begin]:
        return None
    # It is whole: what cannot be read in it was written by another version.
    try:
        content = orjson.loads(payload)
        unknown, found = content["unknown"] is not False, list(content["lockouts"])
    except (ValueError, TypeError, KeyError):
        return Record(file, sequence, unknown=True)
    rows: list[Row] = []
    for values in found:
        try:
            names = [name for name in _LOCKOUTS.columns if name in values]
            rows.append(readable_lockout(names, [values[name] for name in names]))
        except (ValueError, TypeError, KeyError):
            unknown = True
    return Record(file, sequence, tuple(rows), unknown)
