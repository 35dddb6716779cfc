"""The store: what the daemon keeps across restarts, in data/state.db."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.core.decisions import Decision
from daemon.core.events import Event
from daemon.lasting_thread import LastingThread
from daemon.store import reader, recovery
from daemon.store.backup import back_up
from daemon.store.book import Book
from daemon.store.database import StoreError, connect, connect_reading, explain
from daemon.store.opening import Opened, open_database
from daemon.store.requests import Job
from daemon.store.rows import Change, DecisionRows, Row, order_of, position_of
from daemon.store.state import SavedState
from daemon.store.statements import STATEMENTS
from daemon.store.writer import Mirror, Writer, delete_older
from shared.schema import json_text, time_text


class Store:
    """The open database, made by `Store.open`. Its methods are called in the event loop's thread."""

    def __init__(self, path: Path, opened: Opened, on_alert: Callable[[str], None]) -> None:
        """Not to be called directly: see `open`."""
        self.path = path
        self._opened = opened
        connection = opened.reading
        self._unseen = _UNSEEN if opened.writing is None and opened.doubtful else 0
        self._decisions = DecisionRows(reader.last_entry(connection) + self._unseen, reader.open_actions(connection))
        book = Book()
        book.start_with(
            ((row["account_id"], position_of(row)) for row in reader.rows(connection, "positions")),
            (
                (row["account_id"], order)
                for row in reader.rows(connection, "orders")
                if (order := order_of(row)).working
            ),
            ((row["contract_id"], row["symbol_id"]) for row in reader.rows(connection, "contract_cache")),
            ((row["account_id"], row["balance"]) for row in reader.rows(connection, "accounts")),
        )
        merged = opened.merged
        waiting: list[Change] = []
        if not merged.written:
            waiting += [("lockouts", (row["id"],), row) for row in merged.lockouts]
            waiting += [_state_change(recovery.UNKNOWN_KEY, True)] if merged.unknown else []
        if merged.lockouts:
            waiting += self._decisions.untold(merged.lockouts, reader.logged_lockouts(connection))
        self._writer = Writer(
            path,
            connection=opened.writing,
            book=book,
            rebuild=self._rebuild,
            lockouts=[*reader.kept_lockouts(connection, 0), *merged.lockouts],
            emergency=opened.emergency,
            waiting=waiting,
            on_alert=on_alert,
        )

    @property
    def thread(self) -> LastingThread:
        """The thread that writes."""
        return self._writer.thread

    @classmethod
    def open(
        cls, path: Path, *, on_alert: Callable[[str], None], public: Path | None = None, mark: Path | None = None
    ) -> Store:
        """Open, check, migrate (after a backup), and where it is damaged or missing rebuild the database. Blocks.

        Args:
            path: data/state.db; its folder is made if missing, backups go to `backups` beside it.
            on_alert: told of trouble and of its end in one plain sentence each; called in any thread.
            public: the folder of the replica, a source for lockouts that the database lost.
            mark: a file made beside, which tells later that there had been a database even when all of it is gone.

        Raises:
            StoreError: it cannot be used; the message is one sentence with the mend.
        """
        try:
            return cls(path, open_database(path, public, on_alert, mark), on_alert)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(explain(error, path)) from error

    def load(self, since: int) -> SavedState:
        """Everything stored; trades, ended lockouts and daily P&L since a time (microseconds UTC). Blocks.

        Raises:
            StoreError: it could not be read.
        """
        # Asked first: what is written while the database is read is the same.
        waiting = self._opened.merged.lockouts if self._opened.emergency.holds else []
        try:
            try:
                with contextlib.closing(connect_reading(self.path)) as connection:
                    state = reader.load(connection, since, waiting)
            except sqlite3.Error:
                if self._opened.writing is not None:
                    raise
                state = reader.load(self._opened.reading, since, waiting)  # the disk has taken nothing since the start
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(explain(error, self.path)) from error
        state.salvaged_from = self._opened.salvaged_from
        state.lockouts_unknown |= self._opened.doubtful
        state.last_lockout_id += self._unseen
        state.last_action_id += self._unseen
        return state

    @property
    def failing(self) -> bool:
        """Whether the database cannot be written at present; what is not written yet is kept and retried."""
        return self._writer.failing

    async def commit(self, decisions: Sequence[Decision], now: int) -> bool:
        """Store decisions of one event.

        With a Lock, LockChanged or Unlock among them it returns when all of them are on disk: True. False when that
        was not possible within 250 ms: the caller goes on and enforces; the store keeps trying and has alerted. Other
        decisions are queued and True is returned at once.
        """
        changes, durable = self._decisions.changes(decisions, now)
        if durable:
            return await self._writer.commit(changes)
        self._writer.submit(changes)
        return True

    def keep(self, decisions: Sequence[Decision], now: int) -> None:
        """Queue decisions of an event, none of them a lockout's: written within 120 ms."""
        self._writer.submit(self._decisions.changes(decisions, now)[0])

    def log_entry(self, decision: Decision) -> dict[str, Any] | None:
        """The row of the enforcement log that a decision handed over led to, as it is now and as the socket shows it.

        None for a decision that has none, or had one long ago. It need not be on disk yet.
        """
        row = self._decisions.entry(decision)
        return None if row is None else STATEMENTS["enforcement_log"].as_shown(row)

    def record_event(self, event: Event) -> None:
        """Note what an event says of positions, orders, trades, accounts and contracts; other kinds are ignored."""
        self._writer.record(event)

    def supersede_unfinished(self, now: int) -> None:
        """Close the log entries of all actions still open. For the start, before the first decision.

        The engine judges the state anew and decides new actions; those of the last run would stay open for ever.
        """
        self._writer.submit(self._decisions.supersede_all(now))

    def record_attempt(self, action_id: int, attempts: int) -> None:
        """An action of the enforcer has been tried that many times now."""
        self._writer.submit(self._decisions.attempt(action_id, attempts))

    def record_pnl(self, account_id: int, trading_day: str, realized: int, trade_count: int, now: int) -> None:
        """Realized P&L (micro-dollars) and number of trades of an account's trading day."""
        row: Row = {
            "account_id": account_id,
            "trading_day": trading_day,
            "realized_pnl": realized,
            "trade_count": trade_count,
            "updated_at": now,
        }
        self._writer.submit([("daily_pnl", (account_id, trading_day), row)])

    def record_reset(
        self, account_id: int, trading_day: str, last_reset_at: int | None, next_reset_at: int | None
    ) -> None:
        """The trading day an account is in and its resets, in microseconds UTC."""
        row: Row = {
            "account_id": account_id,
            "trading_day": trading_day,
            "last_reset_at": last_reset_at,
            "next_reset_at": next_reset_at,
        }
        self._writer.submit([("reset_schedule", (account_id,), row)])

    def put_state(self, key: str, value: object) -> None:
        """Keep a JSON-able value of the daemon's own under a key, written within 250 ms; None forgets it."""
        self._writer.submit([_state_change(key, value)])

    async def commit_state(self, key: str, value: object) -> bool:
        """As `put_state`, but on disk when it returns True (False: not within 250 ms; retried)."""
        return await self._writer.commit([_state_change(key, value)])

    async def lockouts_settled(self) -> bool:
        """Every account has been locked after `SavedState.lockouts_unknown`: the mark is taken back, durably."""
        self._opened.doubtful = False
        return await self.commit_state(recovery.UNKNOWN_KEY, None)

    def mirror_to(self, mirror: Mirror | None) -> None:
        """Have every written change told to a mirror (the replica) too."""
        self._writer.mirror = mirror

    async def execute(self, job: Job) -> Any:
        """Run a job on the writing connection in one durable transaction; gives its result. Raises StoreError."""
        return await self._writer.execute(job)

    async def flush(self, seconds: float = 5.0) -> bool:
        """Have all that was handed over so far written. False: not possible within that time."""
        return await self._writer.flush(seconds)

    async def close(self, seconds: float = 5.0) -> bool:
        """Write what is pending and close. False: something could not be written."""
        return await asyncio.to_thread(self._writer.stop, seconds)

    async def backup(self, now: datetime | None = None) -> Path:
        """Copy the database into data/backups (14 copies are kept). Raises StoreError."""
        await self.flush()
        return await asyncio.to_thread(back_up, self.path, self.path.parent / "backups", now or datetime.now(UTC))

    async def prune(self, older_than_days: int, now: int) -> int:
        """Delete trades, ended enforcements, lockouts and orders, and P&L older than that; gives how many rows.

        `now` in microseconds UTC. Active lockouts and open enforcements stay, however old. Raises StoreError.
        """
        before = time_text(now - older_than_days * 86_400_000_000)
        mirror = self._writer.mirror

        def job(connection: sqlite3.Connection) -> int:
            return sum(delete_older(connection, table, where, (before,)) for table, where in _OLD.items())

        deleted = int(await self.execute(job))
        if mirror is not None:
            for table, where in _OLD.items():
                mirror.run(f"DELETE FROM {table} WHERE {where}", (before,))
        return deleted

    async def enforcement_log(
        self, account_id: int | None = None, limit: int = 100, before_id: int | None = None
    ) -> list[dict[str, Any]]:
        """Rows of the enforcement log, newest first, as the socket shows them. Raises StoreError."""
        where, parameters = ("id < ?", (before_id,)) if before_id is not None else ("", ())
        return await self._page(
            "enforcement_log", account_id=account_id, where=where, parameters=parameters, order="id DESC", limit=limit
        )

    async def lockout_history(
        self, account_id: int | None = None, limit: int = 100, before_id: int | None = None
    ) -> list[dict[str, Any]]:
        """Active and past lockouts, newest first, as the socket shows them. Raises StoreError."""
        where, parameters = ("id < ?", (before_id,)) if before_id is not None else ("", ())
        return await self._page(
            "lockouts", account_id=account_id, where=where, parameters=parameters, order="id DESC", limit=limit
        )

    async def trade_log(self, account_id: int, since: int, limit: int = 1000) -> list[dict[str, Any]]:
        """Trades since a time (microseconds UTC), newest first, as the socket shows them. Raises StoreError."""
        return await self._page(
            "trade_history",
            account_id=account_id,
            where="creation_timestamp >= ?",
            parameters=(time_text(since),),
            order="creation_timestamp DESC, id DESC",
            limit=limit,
        )

    async def table_page(self, table: str, **options: Any) -> list[dict[str, Any]]:
        """Rows of any table, see `reader.page`. Raises StoreError."""
        return await self._page(table, **options)

    async def _page(self, table: str, **options: Any) -> list[dict[str, Any]]:
        await self.flush(1.0)
        return await asyncio.to_thread(reader.page, self.path, table, **options)

    def _rebuild(self, lockouts: Iterable[Row]) -> sqlite3.Connection:
        """Called in the writer thread when the database turns out damaged while running; lockouts are in memory."""
        recovery.build(self.path, lockouts, unknown=self._opened.doubtful)
        return connect(self.path)


_UNSEEN = 1_000_000
"""Numbers left out where rows may be in a database that cannot be read now: none of them is to be overwritten."""

_OLD = {
    "trade_history": "creation_timestamp < ?",
    "enforcement_log": "result IS NOT NULL AND triggered_at < ?",
    "lockouts": "cleared_at IS NOT NULL AND cleared_at < ?",
    "orders": "status IN (2, 3, 4, 5) AND updated_at < ?",
    "daily_pnl": "updated_at < ?",
}
"""What `prune` deletes, by table; the parameter is the time before which rows are old."""


def _state_change(key: str, value: object) -> Change:
    if value is None:
        return "daemon_state", (key,), None
    json_text(value)  # raises TypeError here, at the caller, rather than in the writer
    return "daemon_state", (key,), {"key": key, "value": value}
