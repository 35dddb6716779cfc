"""Reads from the database what stands against stopping or uninstalling: lockouts, a second factor.

What can't be read counts as being there: unknown is locked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LOCKOUTS = "SELECT account_id, rule_id, reason, expires_at FROM lockouts WHERE cleared_at IS NULL"
SECOND_FACTOR = "SELECT value FROM daemon_state WHERE key = 'second_factor_enrolled'"


@dataclass(frozen=True)
class ActiveLockout:
    """One lockout that is in force; ``expires_at`` is UTC, or None when only its condition or a person ends it."""

    account_id: int
    rule_id: str
    reason: str
    expires_at: datetime | None


class UnreadableDatabaseError(Exception):
    """What stands in the database can't be told. The text says why."""


def active_lockouts(database: Path) -> Sequence[ActiveLockout]:
    """Lockouts of all accounts that the daemon has not ended.

    One whose time is past counts too: only the daemon ends it, by trusted time; this machine's clock can be set.
    No database at all means that the daemon never ran: nothing is locked.
    Raises UnreadableDatabaseError in every other case in which the answer is not certain.
    """
    try:
        rows = _rows(database, LOCKOUTS)
        return [ActiveLockout(int(str(a)), str(rule), str(reason), _time(until)) for a, rule, reason, until in rows]
    except (ValueError, TypeError) as error:
        raise UnreadableDatabaseError(f"{database} can't be understood ({error})") from error


def second_factor_enrolled(database: Path) -> bool:
    """Whether administrators have set up a second factor. Raises UnreadableDatabaseError when that is not certain."""
    return any(value not in {None, "null", "false"} for (value,) in _rows(database, SECOND_FACTOR))


def _rows(database: Path, query: str) -> list[tuple[object, ...]]:
    try:
        return _read(database, query) if database.exists() else []
    except (sqlite3.Error, OSError) as error:
        raise UnreadableDatabaseError(f"{database} can't be read ({error})") from error


def _read(database: Path, query: str) -> list[tuple[object, ...]]:
    uri = database.absolute().as_uri()
    try:
        with closing(sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        # Closed cleanly it has no write-ahead log; then it can't be opened without writing, nor does it change.
        if database.with_name(database.name + "-wal").exists():
            raise
        with closing(sqlite3.connect(f"{uri}?immutable=1", uri=True, timeout=5)) as connection:
            return connection.execute(query).fetchall()


def _time(value: object) -> datetime | None:
    """ISO-8601 text, or microseconds since the epoch; both UTC."""
    if value is None:
        return None
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        return datetime.fromtimestamp(int(value) / 1_000_000, UTC)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    raise ValueError(f"not a time: {value!r}")
