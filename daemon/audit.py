"""The audit log: every admin action, each row's hash made over the one before, so that no row can change unnoticed.

The hash of the last row is kept in `daemon_state` too: cutting rows off the end shows as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from daemon.audit_secrets import without_secrets
from daemon.store import Store, StoreError
from daemon.store.database import connect_reading, explain
from daemon.store.statements import STATEMENTS
from shared.schema import json_text, time_text

GENESIS: Final = "0" * 64
"""`previous_hash` of the first row."""
HEAD_KEY: Final = "audit_head"
"""Key in `daemon_state`: id and hash of the last row."""

_AUDIT: Final = STATEMENTS["audit_log"]
_HASHED: Final = ("id", "at", "actor", "action", "params", "result", "previous_hash")


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the chain breaks: the first row that is not as it was written, and what is wrong, in one sentence."""

    row_id: int
    reason: str


class AuditLog:
    """Appends to and checks the table `audit_log`.

    Args:
        store: open.
        now: trusted time in microseconds UTC.
    """

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store = store
        self._now = now

    async def append(self, actor: str, action: str, params: object, result: str) -> int:
        """Add a row, on disk when this returns; gives its id. Values under keys that name secrets are left out.

        Args:
            actor: who, such as "admin" or "trader".
            action: what, such as "clear_lockout".
            params: JSON-able.
            result: what came of it, such as "ok" or "refused: needs a reason".

        Raises:
            StoreError: it could not be written.
        """
        values = (time_text(self._now()), actor, action, json_text(without_secrets(params)), result)
        return int(await self._store.execute(lambda connection: _append(connection, values)))

    async def verify(self) -> Broken | None:
        """Check the whole chain; None when every row is as it was written. Raises StoreError when it cannot be read."""
        return await asyncio.to_thread(self._verify)

    async def page(self, limit: int = 100, before_id: int | None = None) -> list[dict[str, Any]]:
        """Rows, newest first, as the socket shows them. Raises StoreError."""
        where, parameters = ("id < ?", (before_id,)) if before_id is not None else ("", ())
        return await self._store.table_page(
            "audit_log", where=where, parameters=parameters, order="id DESC", limit=limit
        )

    def _verify(self) -> Broken | None:
        try:
            with contextlib.closing(connect_reading(self._store.path)) as connection:
                connection.execute("BEGIN")  # rows and head of one moment
                return _verify(connection)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(explain(error, self._store.path)) from error


def row_hash(row: dict[str, Any]) -> str:
    """SHA-256 over the row as the file holds it, the previous hash included, as JSON with sorted keys."""
    return hashlib.sha256(json_text({name: row[name] for name in _HASHED}).encode()).hexdigest()


def _append(connection: sqlite3.Connection, values: tuple[str, str, str, str, str]) -> int:
    head = _head(connection)
    last = connection.execute("SELECT id, hash FROM audit_log ORDER BY id DESC LIMIT 1").fetchone()
    # Ids go on behind the head even when rows were cut off, so that the cut stays visible.
    number = max(last[0] if last else 0, head[0] if head else 0) + 1
    previous = head[1] if head else last[1] if last else GENESIS
    row: dict[str, Any] = dict(zip(_HASHED, (number, *values, previous), strict=True))
    row["hash"] = row_hash(row)
    connection.execute(_AUDIT.upsert, [row[name] for name in _AUDIT.columns])
    head_row = (HEAD_KEY, json_text({"id": number, "hash": row["hash"]}))
    connection.execute(STATEMENTS["daemon_state"].upsert, head_row)
    return number


def _head(connection: sqlite3.Connection) -> tuple[int, str] | None:
    statements = STATEMENTS["daemon_state"]
    found = connection.execute(f'{statements.select} WHERE "key" = ?', (HEAD_KEY,)).fetchone()
    if found is None:
        return None
    try:
        value = statements.read(statements.columns, found)["value"]
        return int(value["id"]), str(value["hash"])
    except (ValueError, TypeError, KeyError):
        return None


def _verify(connection: sqlite3.Connection) -> Broken | None:
    previous, last = GENESIS, 0
    for values in connection.execute(f"{_AUDIT.select} ORDER BY id"):
        row = dict(zip(_AUDIT.columns, values, strict=True))
        if row["id"] != last + 1:
            return Broken(last + 1, f"Row {last + 1} of the audit log is missing.")
        if row["previous_hash"] != previous:
            return Broken(row["id"], f"Row {row['id']} of the audit log does not follow the row before it.")
        if row["hash"] != row_hash(row):
            return Broken(row["id"], f"Row {row['id']} of the audit log was changed after it was written.")
        previous, last = row["hash"], row["id"]
    head = _head(connection)
    if head is None:
        return Broken(1, "The audit log's end mark is missing.") if last else None
    if head[0] > last:
        return Broken(last + 1, f"Rows {last + 1} to {head[0]} of the audit log are missing.")
    if head != (last, previous):
        return Broken(last, "The audit log's end mark does not fit its last row.")
    return None
