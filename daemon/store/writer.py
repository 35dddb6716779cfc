"""The one thread that writes `state.db`.

Two lanes lead to it. Durable commits (lockouts, jobs) go through a queue and are done at once, each in a transaction
that is on disk (synchronous=FULL) when its waiter is told. Everything else is coalesced, latest wins per row, and
written every 120 ms without waiting for the disk (NORMAL). What cannot be written stays pending and is tried again:
nothing is lost, and because only the latest value of a row is kept, memory stays bounded by the number of rows touched.
Lockouts among it are put into the emergency file meanwhile, so that they outlive a kill.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, Protocol

from daemon.core.events import Event
from daemon.lasting_thread import LastingThread
from daemon.store.book import RECORDED, Book, Pending
from daemon.store.connection import WritingConnection
from daemon.store.database import StoreError, TroubleOver, explain, is_corruption, primary_code
from daemon.store.emergency import EMERGENCY_KEY, EmergencyFile
from daemon.store.requests import Commit, Flush, Job, Run, Stop, Waiter
from daemon.store.rows import Change, Row
from daemon.store.statements import STATEMENTS, grouped

COMMIT_SECONDS: Final = 0.25
"""Longest wait of a caller for a durable commit: after it the caller enforces anyway (protect first)."""
FLUSH_SECONDS: Final = 0.12
"""With the replica's own interval below the 250 ms that a row may take to the trader's window."""
_SLEEP_SECONDS: Final = 5.0
"""A look whether there is something to write, when nothing has said so."""
_JOB_SECONDS: Final = 10.0
_RETRY_MOST_SECONDS: Final = 2.0
_MOST_EVENTS: Final = 1_000_000

_DATA_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    ValueError,
    KeyError,
)
"""A row that can never be written, as opposed to a disk that cannot be written now."""


_Item = list[Change] | Commit | Run | Flush | Stop


class Mirror(Protocol):
    """Whoever wants the written changes too (the replica). Must return at once; is called in the writer thread."""

    def apply(self, changes: Iterable[Change]) -> None:
        """Rows that were written (or could not be, but hold)."""

    def run(self, sql: str, parameters: tuple[Any, ...]) -> None:
        """A deletion of old rows that was carried out."""


class Writer:
    """Owner of the writing connection.

    Args:
        path: the database, migrated.
        connection: open, from `database.connect`; the writer closes it. None: the disk took nothing so far.
        book: what the database holds of positions and orders.
        rebuild: makes a new database in place of a damaged one, holding the given lockouts; returns a connection to it.
        lockouts: rows of all lockouts worth keeping in a rebuilt database.
        emergency: where lockouts are kept that the database does not take.
        waiting: what it did not take at the start.
        on_alert: told of trouble and of its end, in one plain sentence. Called in the writer thread.
    """

    def __init__(
        self,
        path: Path,
        *,
        connection: sqlite3.Connection | None,
        book: Book,
        rebuild: Callable[[Iterable[Row]], sqlite3.Connection],
        lockouts: Iterable[Row],
        emergency: EmergencyFile,
        waiting: Iterable[Change],
        on_alert: Callable[[str], None],
    ) -> None:
        self._path = path
        self._emergency = emergency
        self._book = book
        self._lockouts: dict[int, Row] = {row["id"]: row for row in lockouts}
        self._on_alert = on_alert
        self._connection = WritingConnection(
            path, connection, rebuild=lambda: rebuild(list(self._lockouts.values())), on_alert=self._alert
        )
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._asleep = False
        """Nothing is pending: an event has to wake the thread."""
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._pending: Pending = {(table, key): row for table, key, row in waiting}
        self._pending_durable = False
        self._failing = False
        self._failures = 0
        self._stopped = False
        self.mirror: Mirror | None = None
        self.thread = LastingThread("store-writer", self._run)
        self.thread.start()

    @property
    def failing(self) -> bool:
        """Whether the last try to write was in vain. May be asked in any thread."""
        return self._failing

    # -- called in the event loop's thread --------------------------------------------------------------------------

    def record(self, event: Event) -> None:
        """Note what an event says of positions, orders, trades, accounts and contracts; other kinds are ignored."""
        if type(event) in RECORDED:
            self._events.append(event)
            if self._asleep:
                self._asleep = False
                self._queue.put([])

    def submit(self, changes: list[Change]) -> None:
        """Have changes written soon."""
        if changes:
            self._queue.put(changes)

    async def commit(self, changes: list[Change]) -> bool:
        """Have changes on disk now. False: not in time (disk full, locked, slow); they stay pending and are retried."""
        if self._stopped:
            return False
        waiter = Waiter()
        timer = waiter.give_up_after(COMMIT_SECONDS, False)
        self._queue.put(Commit(changes, waiter))
        try:
            return bool(await waiter.future)
        finally:
            timer.cancel()

    async def execute(self, job: Job) -> Any:
        """Run a job on the connection, inside a durable transaction, and give back its result.

        Raises:
            StoreError: the database could not be written: nothing of the job remains; or it did not answer within 10 s.
        """
        if self._stopped:
            raise StoreError("The database is closed.")
        waiter = Waiter()
        late = StoreError(f"The database {self._path} did not answer within {_JOB_SECONDS:.0f} s: check the disk.")
        timer = waiter.give_up_after(_JOB_SECONDS, None, late)
        self._queue.put(Run(job, waiter))
        try:
            return await waiter.future
        finally:
            timer.cancel()

    async def flush(self, seconds: float) -> bool:
        """Have everything submitted so far written. False: it could not be, or not within that time."""
        if self._stopped:
            return not self._pending
        waiter = Waiter()
        timer = waiter.give_up_after(seconds, False)
        self._queue.put(Flush(waiter))
        try:
            return bool(await waiter.future)
        finally:
            timer.cancel()

    def stop(self, seconds: float = 5.0) -> bool:
        """Write what is pending, close the connection, end the thread. Blocks for at most that time."""
        if not self._stopped:
            self._stopped = True
            self._queue.put(Stop())
        return self.thread.join(seconds) and not self._pending

    # -- called in the writer thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        if self.thread.failures:
            # Something of ours raised: nothing is known of the connection, and what was pending still is.
            self._connection.close()
        due = time.monotonic() + FLUSH_SECONDS
        while True:
            if self._may_sleep():
                item = self._next(_SLEEP_SECONDS)
                self._asleep = False
                due = time.monotonic() + FLUSH_SECONDS
            else:
                item = self._next(max(0.0, due - time.monotonic()))
            if isinstance(item, list):
                self._merge(item)
            elif isinstance(item, Commit):
                self._commit(item)
            elif isinstance(item, Run):
                self._execute(item)
            elif isinstance(item, Flush):
                item.waiter.tell(self._flush())
            elif isinstance(item, Stop):
                try:
                    self._flush()
                except Exception as error:  # noqa: BLE001 - it ends all the same
                    self._alert(f"What was last handed over could not be written to {self._path}: {error!r}.")
                self._connection.close()
                return
            if time.monotonic() >= due:
                self._flush()
                due = time.monotonic() + min(FLUSH_SECONDS * 2 ** min(self._failures, 8), _RETRY_MOST_SECONDS)

    def _may_sleep(self) -> bool:
        """Whether nothing is pending. First asleep, then the look: an event before it is seen, one after it wakes."""
        self._asleep = True
        if self._pending or self._events:
            self._asleep = False
        return self._asleep

    def _next(self, seconds: float) -> _Item | None:
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            return None

    def _merge(self, changes: Iterable[Change]) -> None:
        for table, key, row in changes:
            self._pending[table, key] = row
            if table == "lockouts" and row is not None:
                self._lockouts[row["id"]] = row

    def _commit(self, item: Commit) -> None:
        if self._failing or self._emergency.holds:
            # Older lockouts may be pending too, and be in the emergency file: all or none.
            self._merge(item.changes)
            self._pending_durable = True
            item.waiter.tell(self._flush(drain=False))
            return
        batch: Pending = {}
        for table, key, row in item.changes:
            batch[table, key] = row
            self._pending.pop((table, key), None)
            if table == "lockouts" and row is not None:
                self._lockouts[row["id"]] = row
        written = False
        try:
            written = self._write(batch, durable=True)
        finally:
            if not written:
                self._pending.update(batch)
                self._pending_durable = True
                self._keep_lockouts()
            item.waiter.tell(written)
        if written:
            self._tell_mirror(batch)

    def _execute(self, item: Run) -> None:
        try:
            connection = self._connection.open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = item.job(connection)
                connection.execute("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
        except (sqlite3.Error, OSError) as error:
            item.waiter.tell(None, StoreError(explain(error, self._path)))
        except Exception as error:  # noqa: BLE001 - the caller's own mistake goes back to the caller
            item.waiter.tell(None, error)
        else:
            item.waiter.tell(result)

    def _flush(self, *, drain: bool = True) -> bool:
        if drain:
            self._drain()
        if not self._pending:
            return True
        held = self._emergency.record if self._emergency.holds else None
        if held is not None:
            self._note_emergency()
        batch, self._pending = self._pending, {}
        durable, self._pending_durable = self._pending_durable or held is not None, False
        written = False
        try:
            written = self._write(batch, durable=durable)
        finally:
            if not written:
                batch.update(self._pending)
                self._pending = batch
                self._pending_durable = durable or self._pending_durable
                self._keep_lockouts()
        if written and held is not None:
            self._emergency.merged(held.sequence)
        self._tell_mirror(batch)
        self._connection.checkpoint_if_large()
        return written

    def _keep_lockouts(self) -> None:
        """Have the lockouts that are pending in the emergency file."""
        self._emergency.keep(
            row for (table, _), row in self._pending.items() if table == "lockouts" and row is not None
        )

    def _note_emergency(self) -> None:
        """Have it written, last of all that is pending, how far the emergency file is in the database then."""
        key = ("daemon_state", (EMERGENCY_KEY,))
        self._pending.pop(key, None)
        self._pending[key] = {"key": EMERGENCY_KEY, "value": self._emergency.mark()}

    def _drain(self) -> None:
        events = self._events
        for _ in range(len(events)):
            event = events.popleft()
            try:
                self._book.apply(event, self._pending)
            except Exception as error:  # noqa: BLE001 - one event that cannot be stored stays one (law 9)
                self._alert(f"An event of kind {type(event).__name__} could not be stored: {error!r}.")

    def _write(self, batch: Pending, *, durable: bool) -> bool:
        """Write a batch in one transaction; True when done. Never raises."""
        try:
            try:
                self._transact(batch, durable=durable)
            except sqlite3.DatabaseError as error:
                if not is_corruption(error):
                    raise
                self._failed(error)
                self._transact(batch, durable=durable)  # into the database that was made in its place
        except _DATA_ERRORS:
            # Some row is unfit. Write the others, and say which one was left out.
            for change in list(batch.items()):
                try:
                    self._transact(dict([change]), durable=durable)
                except _DATA_ERRORS as error:
                    self._alert(f"A row of {change[0][0]} ({change[0][1]}) could not be stored: {error!r}.")
                except (sqlite3.Error, OSError, StoreError) as error:
                    return self._failed(error)
            return self._succeeded()
        except (sqlite3.Error, OSError, StoreError) as error:
            return self._failed(error)
        return self._succeeded()

    def _transact(self, batch: Pending, *, durable: bool) -> None:
        statements = list(grouped(batch))
        connection = self._connection.open()
        try:
            if not durable:
                connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("BEGIN IMMEDIATE")
            for sql, rows in statements:
                if len(rows) == 1:
                    connection.execute(sql, rows[0])
                else:
                    connection.executemany(sql, rows)
            connection.execute("COMMIT")
        except BaseException:
            _roll_back(connection)
            raise
        finally:
            if not durable:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("PRAGMA synchronous = FULL")

    def _succeeded(self) -> bool:
        if self._failing:
            self._failing = False
            self._alert(TroubleOver(f"The database {self._path} can be written again; nothing was lost."))
            if self._emergency.record is None and self._emergency.make() is not None:
                self._note_emergency()
        self._failures = 0
        return True

    def _failed(self, error: Exception) -> bool:
        self._failures += 1
        if not self._failing:
            self._failing = True
            self._alert(
                f"{explain(error, self._path)} Enforcement goes on; what could not be saved is kept and retried."
            )
        if isinstance(error, sqlite3.Error) and is_corruption(error):
            self._replace_damaged()
        elif not isinstance(error, sqlite3.Error) or primary_code(error) not in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
            sqlite3.SQLITE_FULL,
        ):
            self._connection.close()  # an I/O error can leave a connection unusable: the next try opens a new one
        return False

    def _replace_damaged(self) -> None:
        if self._connection.replace_damaged():
            for change in self._book.everything():
                self._pending.setdefault(change[:2], change[2])

    def _tell_mirror(self, batch: Pending) -> None:
        if self.mirror is not None and batch:
            try:
                self.mirror.apply([(table, key, row) for (table, key), row in batch.items()])
            except Exception as error:  # noqa: BLE001 - whoever looks on must not disturb the writing
                self._alert(f"The copy of the data for the windows could not be told of a change: {error!r}.")

    def _alert(self, text: str) -> None:
        with contextlib.suppress(Exception):
            self._on_alert(text)


def delete_older(connection: sqlite3.Connection, table: str, where: str, parameters: tuple[Any, ...]) -> int:
    """Delete rows of a table of this schema; gives how many."""
    if table not in STATEMENTS:
        raise ValueError(f"no such table: {table}")
    return connection.execute(f"DELETE FROM {table} WHERE {where}", parameters).rowcount


def _roll_back(connection: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
