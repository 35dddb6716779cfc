"""Reads from the database which accounts are locked, for the uninstaller. Unreadable counts as locked."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class ActiveLockout:
    """One lockout that is in force; ``expires_at`` is UTC, or None when only its condition or a person ends it."""

    account_id: int
    rule_id: str
    reason: str
    expires_at: datetime | None


class UnreadableDatabaseError(Exception):
    """The lockouts can't be read, so every account has to be taken as locked. The text says why."""


def active_lockouts(database: Path, now: datetime) -> Sequence[ActiveLockout]:
    """Lockouts of all accounts that are neither cleared nor expired at ``now`` (UTC).

    No database at all means that the daemon never ran: nothing is locked.
    Raises UnreadableDatabaseError in every other case in which the answer is not certain.
    """
    try:
        if not database.exists():
            return []
        rows = _rows(database)
        lockouts = [ActiveLockout(int(str(a)), str(rule), str(reason), _time(until)) for a, rule, reason, until in rows]
    except (sqlite3.Error, OSError, ValueError, TypeError) as error:
        raise UnreadableDatabaseError(f"{database} can't be read ({error})") from error
    return [lockout for lockout in lockouts if lockout.expires_at is None or lockout.expires_at > now]


def _rows(database: Path) -> list[tuple[object, ...]]:
    query = "SELECT account_id, rule_id, reason, expires_at FROM lockouts WHERE cleared_at IS NULL"
    uri = database.absolute().as_uri()
    try:
        with closing(sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=5)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        # A database closed cleanly has no write-ahead log, and then can't be opened without writing; nor does it
        # change.
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
