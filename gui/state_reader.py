"""The replica `public/view.db`, read only: what the windows show while the daemon is away. The only SQL of the GUI.

Each read opens the file that `public/endpoint.json` names, takes what it needs and closes it again: a reader that held
a transaction would let the daemon's write-ahead log grow, and a file that stays open could not be replaced. A file that
is missing, locked, half written or of another version gives less, never an error dialog: the replica is best effort.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gui.records import Enforcement, Lockout, moment
from shared.paths import Home

BUSY_SECONDS = 0.25
ROWS_AT_MOST = 1_000
TRADES_AT_MOST = 50_000

type Rows = list[dict[str, Any]]


class ReplicaError(Exception):
    """The replica could not be read; one plain sentence."""


@dataclass(frozen=True, slots=True)
class Replica:
    """What the replica holds, shaped like a snapshot of the socket, and when the daemon last wrote it (UTC)."""

    content: dict[str, Any] = field(default_factory=dict)
    as_of: datetime | None = None


class StateReader:
    """Reads the replica of one home folder. Every method blocks for some milliseconds: call it from a worker thread."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def path(self) -> Path:
        """The replica's file: the one the endpoint file names, if it lies in `public/`, else `view.db`."""
        try:
            named = json.loads(self._home.endpoint.read_bytes()).get("view")
        except (OSError, ValueError, AttributeError):
            named = None
        if isinstance(named, str) and named:
            # Only the last part counts: the file is never looked for outside public/.
            return self._home.public / Path(named.replace("\\", "/")).name
        return self._home.view

    def read(self) -> Replica:
        """Everything the dashboard shows. Raises ReplicaError when there is nothing to read."""
        with self._open() as db:
            tables = {str(row["name"]) for row in _all(db, "SELECT name FROM sqlite_master WHERE type = 'table'")}
            content: dict[str, Any] = {}
            saved, as_of = _view_state(db) if "view_state" in tables else ({}, None)
            for topic in ("status", "config"):
                if isinstance(saved.get(topic), Mapping):
                    content[topic] = saved[topic]
            content["accounts"] = self._accounts(db, tables, saved)
            content["pnl"] = self._pnl(db, tables)
            names = _contract_names(db) if "contract_cache" in tables else {}
            content["positions"] = _grouped(db, tables, "positions", names)
            content["orders"] = _grouped(db, tables, "orders", names)
            content["lockouts"] = _grouped(db, tables, "lockouts", {}, "WHERE cleared_at IS NULL")
            accounts = {int(row["account_id"]) for row in content["accounts"]}
            for topic in ("positions", "orders", "lockouts"):
                for account_id in accounts:
                    content[topic].setdefault(account_id, [])
            content["enforcement"] = _grouped(db, tables, "enforcement_log", {}, "ORDER BY id DESC LIMIT 200")
            # What the daemon showed last is nearer to what the trader saw than bare rows: names, unrealized, gauges.
            for topic in ("pnl", "positions", "lockouts", "rules"):
                shown = _by_account(saved, topic)
                content[topic] = {**content.get(topic, {}), **shown}
            return Replica(content, as_of)

    def trades(self, account_id: int) -> Rows:
        """The fills of the newest trading day that the replica knows, oldest first; of a huge day the newest."""
        with self._open() as db:
            day = _all(db, "SELECT last_reset_at FROM reset_schedule WHERE account_id = ?", account_id)
            since = str(day[0]["last_reset_at"] or "") if day else ""
            rows = _all(
                db,
                "SELECT * FROM trade_history WHERE account_id = ? AND creation_timestamp >= ? "
                "ORDER BY creation_timestamp DESC, id DESC LIMIT ?",
                account_id,
                since,
                TRADES_AT_MOST,
            )
            rows.reverse()
            names = _contract_names(db)
            return [{**row, "symbol": symbol_of(names.get(row.get("contract_id"), ""))} for row in rows]

    def lockouts(self, account_id: int | None) -> list[Lockout]:
        """Active and past lockouts, newest first, of one account or all."""
        with self._open() as db:
            rows = _all(
                db,
                "SELECT * FROM lockouts WHERE (? IS NULL OR account_id = ?) ORDER BY id DESC LIMIT ?",
                account_id,
                account_id,
                ROWS_AT_MOST,
            )
        return [lock for lock in map(Lockout.read, rows) if lock is not None]

    def enforcement(self, account_id: int | None, before_id: int | None, limit: int = 200) -> list[Enforcement]:
        """A page of the enforcement log, newest first."""
        with self._open() as db:
            rows = _all(
                db,
                "SELECT * FROM enforcement_log WHERE (? IS NULL OR account_id = ?) AND (? IS NULL OR id < ?) "
                "ORDER BY id DESC LIMIT ?",
                account_id,
                account_id,
                before_id,
                before_id,
                limit,
            )
        return [entry for entry in map(Enforcement.read, rows) if entry is not None]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self.path()
        if not path.is_file():
            raise ReplicaError(f"There is no {path.name} yet: the daemon has not run on this computer.")
        try:
            # mode=ro and never immutable: the daemon may be writing this very moment.
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as db:
                db.row_factory = sqlite3.Row
                db.execute("BEGIN")
                yield db
        except sqlite3.Error as error:
            raise ReplicaError(f"{path.name} can't be read just now ({error}); it will be tried again.") from error

    @staticmethod
    def _accounts(db: sqlite3.Connection, tables: set[str], saved: Mapping[str, Any]) -> Rows:
        rows = _all(db, "SELECT * FROM accounts ORDER BY account_id") if "accounts" in tables else []
        by_id: dict[int, dict[str, Any]] = {int(row["account_id"]): row for row in rows}
        for account_id, shown in _by_account(saved, "accounts").items():
            if isinstance(shown, Mapping):
                by_id[account_id] = {**by_id.get(account_id, {}), **shown}
        # Nobody watches while the daemon is away, whatever it said last.
        away = {"connected": False, "monitored": False}
        return [{**row, "account_id": account_id, **away} for account_id, row in by_id.items()]

    @staticmethod
    def _pnl(db: sqlite3.Connection, tables: set[str]) -> dict[int, dict[str, Any]]:
        figures: dict[int, dict[str, Any]] = {}
        if "daily_pnl" in tables:
            for row in _all(db, "SELECT * FROM daily_pnl ORDER BY trading_day"):
                figures[int(row["account_id"])] = row
        if "reset_schedule" in tables:
            for row in _all(db, "SELECT * FROM reset_schedule"):
                known = figures.setdefault(int(row["account_id"]), {"account_id": row["account_id"]})
                if known.get("trading_day") not in (None, row["trading_day"]):
                    # The newest row of the day before is not today's figure.
                    known.update(realized_pnl="0.00", trade_count=0)
                known.update(next_reset=row["next_reset_at"], trading_day=row["trading_day"])
        return figures


def _all(db: sqlite3.Connection, statement: str, *values: object) -> Rows:
    return [dict(row) for row in db.execute(statement, values)]


def _view_state(db: sqlite3.Connection) -> tuple[dict[str, Any], datetime | None]:
    saved: dict[str, Any] = {}
    as_of: datetime | None = None
    for row in _all(db, "SELECT * FROM view_state"):
        try:
            saved[str(row["key"])] = json.loads(row["value"])
        except (ValueError, TypeError, KeyError):
            continue
        at = moment(row.get("updated_at"))
        if at is not None and (as_of is None or at > as_of):
            as_of = at
    return saved, as_of


def _by_account(saved: Mapping[str, Any], topic: str) -> dict[int, Any]:
    """Values saved under "topic account_id", by account."""
    found = {}
    for key, value in saved.items():
        name, _, account = key.partition(" ")
        if name == topic and account.isdecimal():
            found[int(account)] = value
    return found


def _contract_names(db: sqlite3.Connection) -> dict[Any, str]:
    return {row["contract_id"]: str(row["name"]) for row in _all(db, "SELECT contract_id, name FROM contract_cache")}


def symbol_of(name: str) -> str | None:
    """The root of a contract's name: "MNQZ5" -> "MNQ"; None for an empty name."""
    return name[:-2] if len(name) > 2 and name[-1].isdigit() and name[-2].isalpha() else name or None


def _grouped(
    db: sqlite3.Connection, tables: set[str], table: str, names: Mapping[Any, str], rest: str = ""
) -> dict[int, Rows]:
    """Rows of a table by account; `table` and `rest` are constants of this module."""
    grouped: dict[int, Rows] = {}
    if table in tables:
        for row in _all(db, f"SELECT * FROM {table} {rest}"):
            name = names.get(row.get("contract_id"))
            if name:
                row["symbol"], row["display_name"] = symbol_of(name), name
            grouped.setdefault(int(row["account_id"]), []).append(row)
    return grouped
