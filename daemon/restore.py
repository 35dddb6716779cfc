"""Bringing back what a backup holds. Nothing here ever frees a locked account. `daemon.backups` makes them.

Configuration from a backup takes the way of every other change: what tightens applies now, what loosens waits for the
reset (`daemon.configuration`). State from a backup only fills what the present database has lost: wherever both know
something, the present one is right. So no lockout, no trade, no peak of a drawdown and no row of the audit log can be
undone by an older copy.

State is merged at the next start, before anything is read from the database: `stage` notes which backup, `apply_staged`
does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemon.config_errors import ConfigErrors
from daemon.config_files import FILES
from daemon.config_loader import load_accounts
from daemon.config_writing import PatchError, patch_text, write_atomically
from daemon.store import Store, StoreError
from daemon.store.database import connect, damage, make_private, migrate, stored_revision
from daemon.store.recovery import MARK_NAME, UNKNOWN_KEY
from daemon.store.statements import STATEMENTS
from shared.paths import Home
from shared.schema import SCHEMA_REVISION

_IDENTITY: Final[dict[str, tuple[str, ...]]] = {
    "lockouts": ("account_id", "rule_id", "kind", "symbol", "locked_at"),
    "enforcement_log": ("account_id", "rule_id", "action", "contract_id", "order_id", "triggered_at"),
}
"""What makes a row the same one in two databases, for tables whose ids are only counted up."""

_KEYED: Final = ("daily_pnl", "contract_cache", "trade_history", "session_state")
"""Tables whose keys mean the same everywhere. Positions, orders, accounts and resets are read from the gateway anew."""


class RestoreError(Exception):
    """A backup can't be used; the text is one plain sentence."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a backup of the state brought back: number of rows by table."""

    file: str
    rows: dict[str, int]

    @property
    def sentence(self) -> str:
        """What came back, for people."""
        named = ", ".join(f"{count} of {table}" for table, count in self.rows.items() if count)
        return f"From the backup {self.file} came back what was missing: {named or 'nothing was'}."


# ---- configuration


def read_configuration(home: Home, file: str) -> dict[str, str]:
    """Texts by file name of a backup of the configuration, with the keys of the present one. Raises RestoreError."""
    path = _backup(home, file)
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        texts: dict[str, str] = {name: files[name] for name in FILES if isinstance(files.get(name), str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RestoreError(f"The backup {file} cannot be read; choose another.") from error
    if not texts:
        raise RestoreError(f"The backup {file} holds no configuration; choose another.")
    if "accounts.yaml" in texts:
        texts["accounts.yaml"] = _with_present_keys(home, texts["accounts.yaml"])
    return texts


def _with_present_keys(home: Home, text: str) -> str:
    """accounts.yaml of a backup, which holds no API keys, with those that stand in the present file."""
    try:
        wanted = {login.username for login in load_accounts(text).logins if login.uses_keyring}
        steps = [
            {"path": ["logins", login.username, "api_key"], "value": login.api_key.get_secret_value()}
            for login in load_accounts(home.accounts_file).logins
            if login.username in wanted and not login.uses_keyring
        ]
        return patch_text(text, steps) if steps else text
    except (ConfigErrors, PatchError):
        return text  # what is wrong with it is said where it is put into force


# ---- state


async def open_restored(home: Home, on_alert: Callable[[str], None]) -> Store:
    """Open the database, with what a staged backup brings back. Raises StoreError; `on_alert` is called in a thread."""

    def opened() -> Store:
        return Store.open(home.database, on_alert=on_alert, public=home.public, mark=home.run / MARK_NAME)

    store = await asyncio.to_thread(opened)
    if staged(home):
        # Opened first, so that what is merged into is sound and of today's schema.
        await store.close()
        await asyncio.to_thread(apply_staged, home, on_alert)
        store = await asyncio.to_thread(opened)
    return store


def stage(home: Home, file: str) -> None:
    """Check a backup of the state and have it merged at the next start. Blocks. Raises RestoreError."""
    path = _backup(home, file)
    with _checked_copy(path):
        pass
    try:
        write_atomically(_mark(home), json.dumps({"file": file}))
    except OSError as error:
        raise RestoreError(f"The restore could not be prepared ({error.strerror}).") from error


def staged(home: Home) -> bool:
    """Whether a restore waits for this start."""
    return _mark(home).exists()


def apply_staged(home: Home, on_alert: Callable[[str], None]) -> Restored | None:
    """Merge the noted backup into the database, which must be closed and sound. Blocks; never raises.

    A restore that fails changes nothing and is not tried again: the alert says why.
    """
    mark = _mark(home)
    try:
        file = str(json.loads(mark.read_text(encoding="utf-8"))["file"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        file = ""
    with contextlib.suppress(OSError):
        mark.unlink()
    try:
        with _checked_copy(_backup(home, file)) as copy:
            restored = Restored(file, merge(home.database, copy))
    except (RestoreError, StoreError, sqlite3.Error, OSError) as error:
        on_alert(f"The state was not restored, the present one stays: {error}")
        return None
    on_alert(restored.sentence)
    return restored


def merge(present: Path, backup: Path) -> dict[str, int]:
    """Fill what `present` does not know from `backup`, in one transaction; gives the rows added by table.

    Both have today's schema. Raises sqlite3.Error; then nothing has changed.
    """
    added: dict[str, int] = {}
    with contextlib.closing(connect(present)) as connection:
        connection.execute("ATTACH DATABASE ? AS old", (str(backup),))
        connection.execute("BEGIN IMMEDIATE")
        try:
            for table in _KEYED:
                names = ", ".join(f'"{name}"' for name in STATEMENTS[table].columns)
                cursor = connection.execute(
                    f"INSERT OR IGNORE INTO main.{table} ({names}) SELECT {names} FROM old.{table}"
                )
                added[table] = cursor.rowcount
            for table, identity in _IDENTITY.items():
                added[table] = _append_missing(connection, table, identity)
            # Work of the old run that was still open is nobody's now.
            connection.execute(
                "UPDATE main.enforcement_log SET result = 'superseded' WHERE result IS NULL AND id IN temp_added"
            )
            added["audit_log"] = _fill_audit(connection)
            cursor = connection.execute(
                "INSERT OR IGNORE INTO main.daemon_state SELECT * FROM old.daemon_state"
                " WHERE key NOT IN (?, 'audit_head')",
                (UNKNOWN_KEY,),
            )
            added["daemon_state"] = cursor.rowcount
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    return added


def _append_missing(connection: sqlite3.Connection, table: str, identity: tuple[str, ...]) -> int:
    """Rows of the backup that the present table does not have, with new numbers; they are noted in `temp_added`."""
    columns = [name for name in STATEMENTS[table].columns if name != "id"]
    names = ", ".join(f'"{name}"' for name in columns)
    same = " AND ".join(f'now."{name}" IS was."{name}"' for name in identity)
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS temp_added (id INTEGER PRIMARY KEY)")
    connection.execute("DELETE FROM temp_added")
    highest = connection.execute(f"SELECT coalesce(max(id), 0) FROM main.{table}").fetchone()[0]
    picked = ", ".join(f'was."{name}"' for name in columns)
    cursor = connection.execute(
        f"INSERT INTO main.{table} (id, {names}) "
        f"SELECT ? + row_number() OVER (ORDER BY was.id), {picked} FROM old.{table} AS was "
        f"WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS now WHERE {same})",
        (highest,),
    )
    connection.execute(f"INSERT INTO temp_added SELECT id FROM main.{table} WHERE id > ?", (highest,))
    return cursor.rowcount


def _fill_audit(connection: sqlite3.Connection) -> int:
    """The audit log of the backup, only where the present one has never had a row: two chains can't be one."""
    if connection.execute("SELECT 1 FROM main.audit_log LIMIT 1").fetchone() is not None:
        return 0
    if connection.execute("SELECT 1 FROM main.daemon_state WHERE key = 'audit_head'").fetchone() is not None:
        return 0
    cursor = connection.execute("INSERT INTO main.audit_log SELECT * FROM old.audit_log")
    connection.execute("INSERT INTO main.daemon_state SELECT * FROM old.daemon_state WHERE key = 'audit_head'")
    return cursor.rowcount


@contextlib.contextmanager
def _checked_copy(path: Path) -> Iterator[Path]:
    """A private copy of a backup with today's schema, gone afterwards. Raises RestoreError."""
    with tempfile.TemporaryDirectory(prefix="restore-", dir=path.parent.parent) as folder:
        copy = Path(folder) / "state.db"
        make_private(copy)
        try:
            shutil.copyfile(path, copy)
            reason = damage(copy)
            if reason is None and stored_revision(copy) is None:
                reason = "it holds no state"
        except (sqlite3.Error, OSError) as error:
            reason = str(error)
        if reason is not None:
            raise RestoreError(f"The backup {path.name} cannot be used ({reason}); choose another.")
        try:
            if stored_revision(copy) != SCHEMA_REVISION:
                migrate(copy)
        except (StoreError, sqlite3.Error) as error:
            raise RestoreError(f"The backup {path.name} is of another version and cannot be used ({error}).") from error
        yield copy


def _backup(home: Home, file: str) -> Path:
    path = home.backups / file
    if not file or path.parent != home.backups or not path.is_file():
        raise RestoreError(f"There is no backup {file or 'of that name'}; make the list anew.")
    return path


def _mark(home: Home) -> Path:
    return home.data / "restore.json"
