"""The replica `public/view.db`: what the trader's window shows, also while the daemon is down.

Best effort and never waited for. Whoever may read a file may block it, so every lock and I/O error here is swallowed;
when the file stays blocked the replica is made again under a new name (`view-2.db` ...), which the endpoint file
tells. The daemon itself reads the replica only when its own database is lost.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from daemon.lasting_thread import LastingThread
from daemon.store.rows import Change
from daemon.store.statements import grouped
from shared.schema import PRIVATE_TABLES, SCHEMA_REVISION, TABLES, json_text

_PUBLIC_TABLES: Final = tuple(name for name in TABLES if name not in PRIVATE_TABLES)
_LAYOUT: Final = int(SCHEMA_REVISION) * 100 + 1
"""`PRAGMA user_version` of the replica: a file with another one is not written to."""
_STATE_TABLE: Final = (
    "CREATE TABLE view_state (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL) STRICT"
)
_STATE_UPSERT: Final = (
    "INSERT INTO view_state (key, value, updated_at) VALUES (?, ?, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')) "
    "ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at"
)

URGENT_SECONDS: Final = 0.01
FLUSH_SECONDS: Final = 0.08
_SLEEP_SECONDS: Final = 5.0
_BUSY_SECONDS: Final = 0.05
_BLOCKED_SECONDS: Final = 2.0
"""How long a file may refuse writes before it is given up for a new one."""
_RETRY_MOST_SECONDS: Final = 30.0
_MOST_AT_ONCE: Final = 10_000
"""Handed-in items taken over before the file is written, however fast they come."""
_WAL_LIMIT: Final = 4 * 1024 * 1024
_WAL_GIVE_UP: Final = 64 * 1024 * 1024
"""A reader that never ends its transaction keeps the log growing: beyond this the file is left to that reader."""

_DATA_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    OverflowError,
    TypeError,
    ValueError,
    KeyError,
)


class View:
    """The replica and the thread that writes it.

    Args:
        public: the folder public/.
        database: data/state.db, read once whenever a replica is made.
        on_name: told the name of the current file ("view.db") whenever it changes; called in the replica's thread.
    """

    def __init__(self, public: Path, database: Path, on_name: Callable[[str], object] | None = None) -> None:
        self._public = public
        self._database = database
        self._on_name = on_name
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._pending: dict[tuple[str, tuple[Any, ...]], Any] = {}
        self._deletions: list[tuple[str, tuple[Any, ...]]] = []
        self._published: dict[str, str] = {}
        self._unwritten: set[str] = set()
        self._connection: sqlite3.Connection | None = None
        self._name = "view.db"
        self._failed_since: float | None = None
        self._retry_at = 0.0
        self._retry_seconds = 1.0
        self._ready = threading.Event()
        self._ending = False
        self.thread = LastingThread("view-writer", self._run)
        self.thread.start()

    @property
    def name(self) -> str:
        """Name of the current file in public/."""
        return self._name

    def wait_ready(self, seconds: float) -> bool:
        """Wait until a first replica is complete; for tests and for whoever wants to name it."""
        return self._ready.wait(seconds)

    # -- called in any thread, return at once -----------------------------------------------------------------------

    def apply(self, changes: Iterable[Change]) -> None:
        """Rows that changed (the store calls this)."""
        self._queue.put([change for change in changes if change[0] not in PRIVATE_TABLES])

    def run(self, sql: str, parameters: tuple[Any, ...]) -> None:
        """A deletion of old rows (the store calls this)."""
        self._queue.put((sql, parameters))

    def publish(self, key: str, value: object) -> None:
        """Show a JSON-able value under a key of the table `view_state`, with the time of writing.

        Meant for what is in no table: the latest status, unrealized P&L by position, age of quotes, gauges of the
        rules. The value must not be changed afterwards. Secrets do not belong here: everybody may read the replica.
        """
        self._queue.put({key: value})

    def close(self, seconds: float = 2.0) -> None:
        """Write what is pending, if the file lets us, and end the thread."""
        self._queue.put(None)
        self.thread.join(seconds)

    # -- called in the replica's thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        if self.thread.failures:
            # Something of ours raised: nothing is known of the file, so everything is copied to it again.
            self._forget_pending()
            self._give_up()
        while not self._ending:
            self._collect()
            self._work()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()

    def _collect(self) -> None:
        """Take over what has been handed in since; wait for it when there is nothing to write."""
        now = time.monotonic()
        idle = self._connection is not None and not (self._pending or self._deletions or self._unwritten)
        deadline = now + (_SLEEP_SECONDS if idle else FLUSH_SECONDS)
        if self._connection is None and not self._ready.is_set():
            deadline = 0.0
        for _ in range(_MOST_AT_ONCE):
            try:
                item = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return
            if idle:
                idle, deadline = False, time.monotonic() + FLUSH_SECONDS
            if item is None:
                self._ending = True
                return
            if isinstance(item, list):
                urgent = False
                for table, key, row in item:
                    self._pending[table, key] = row
                    urgent |= table == "lockouts"
                if urgent:
                    # Hardly batched: after a kill and a lost database the replica is what tells of a lockout. The
                    # moment is left to the orders that the lockout sends.
                    deadline = min(deadline, time.monotonic() + URGENT_SECONDS)
            elif isinstance(item, tuple):
                self._deletions.append(item)
            else:
                self._take(item)

    def _take(self, values: Mapping[str, object]) -> None:
        for key, value in values.items():
            with contextlib.suppress(TypeError):
                self._published[key] = json_text(value)
                self._unwritten.add(key)

    def _work(self) -> None:
        now = time.monotonic()
        if now < self._retry_at:
            return
        if self._connection is None:
            self._start(now)
            if self._connection is None:
                return
        if not (self._pending or self._deletions or self._unwritten):
            return
        try:
            self._write(self._connection)
        except _DATA_ERRORS:
            # A row that no table takes: drop what is pending and copy everything from the database again.
            self._forget_pending()
            self._give_up()
        except FileNotFoundError:
            self._give_up()
        except (sqlite3.Error, OSError):
            if self._failed_since is None:
                self._failed_since = now
            elif now - self._failed_since > _BLOCKED_SECONDS:
                self._give_up()
        else:
            self._failed_since = None
            if _size(self._public / f"{self._name}-wal") > _WAL_GIVE_UP:
                self._give_up()

    def _write(self, connection: sqlite3.Connection) -> None:
        if not (self._public / self._name).exists():
            raise FileNotFoundError(self._name)
        statements = list(grouped(self._pending))
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in statements:
                connection.executemany(sql, rows)
            for sql, parameters in self._deletions:
                connection.execute(sql, parameters)
            connection.executemany(_STATE_UPSERT, [(key, self._published[key]) for key in self._unwritten])
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._pending.clear()
        self._deletions.clear()
        self._unwritten.clear()

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._deletions.clear()

    def _give_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
        self._failed_since = None
        self._retry_at = 0.0

    def _start(self, now: float) -> None:
        """Fill the newest replica anew, or make one under the next name. Readers of the old one keep what they have."""
        numbers = sorted((_number(path) for path in self._public.glob("view*.db")), reverse=True)
        numbers = [number for number in numbers if number]
        first = not self._ready.is_set()
        candidates = ([numbers[0]] if first and numbers else []) + [numbers[0] + 1 if numbers else 1]
        for number in candidates:
            path = self._public / _file_name(number)
            known = path.exists()
            try:
                self._connection = self._fill(path)
            except (sqlite3.Error, OSError):
                if not known:
                    _remove(path)
                continue
            self._name = path.name
            self._unwritten = set(self._published)
            self._retry_seconds = 1.0
            self._ready.set()
            if self._on_name is not None:
                self._on_name(self._name)
            self._remove_others()
            return
        self._retry_at = now + self._retry_seconds
        self._retry_seconds = min(self._retry_seconds * 2, _RETRY_MOST_SECONDS)

    def _fill(self, path: Path) -> sqlite3.Connection:
        new = not path.exists()
        if new:
            self._public.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o644))
            path.chmod(0o644)  # whatever the umask: everybody may read it
        connection = sqlite3.connect(
            path.absolute().as_uri(), uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            # Without its -wal and -shm a reader who may not write could not open the file after a clean end.
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT}")
            connection.execute("PRAGMA cache_size = -256")
            if not new and connection.execute("PRAGMA user_version").fetchone()[0] not in (0, _LAYOUT):
                raise sqlite3.DatabaseError("another layout")
            connection.execute("ATTACH DATABASE ? AS state", (f"{self._database.absolute().as_uri()}?mode=ro",))
            try:
                self._copy(connection)
            finally:
                connection.execute("DETACH DATABASE state")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _copy(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.execute("PRAGMA main.user_version").fetchone()[0] != _LAYOUT:
                for name in _PUBLIC_TABLES:
                    connection.execute(str(CreateTable(TABLES[name]).compile(dialect=sqlite.dialect())))
                connection.execute(_STATE_TABLE)
                connection.execute(f"PRAGMA main.user_version = {_LAYOUT}")
            for name in _PUBLIC_TABLES:
                columns = ", ".join(f'"{column.name}"' for column in TABLES[name].columns)
                connection.execute(f"DELETE FROM main.{name}")
                connection.execute(f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM state.{name}")
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _remove_others(self) -> None:
        for path in self._public.glob("view*.db*"):
            if _number(path) and not path.name.startswith(self._name):
                with contextlib.suppress(OSError):  # still open somewhere: the next start tries again
                    path.unlink()


def _file_name(number: int) -> str:
    return "view.db" if number == 1 else f"view-{number}.db"


def _number(path: Path) -> int:
    """1 for view.db (or its -wal and -shm), 2 for view-2.db ..., 0 for a file that is not ours."""
    found = re.fullmatch(r"view(?:-(\d+))?\.db(?:-wal|-shm)?", path.name)
    return 0 if found is None else int(found[1] or 1)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
