"""No account comes free because its database was damaged, deleted or put back (law 7)."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.core.decisions import Lock, Unlock
from daemon.store import Store, StoreError
from daemon.view import View
from tests.store.samples import NOW, Alerts, lockout, open_store, private, query, sound

Damage = Callable[[Path], object]


async def with_lockouts(home: Path, *, replica: bool = False, backup: bool = False) -> Path:
    """A stopped daemon's home: lockouts 1 and 3 active, 2 ended. The backup is older than lockout 3."""
    store = open_store(home)
    view = View(home / "public", store.path) if replica else None
    if view is not None:
        assert view.wait_ready(5)
        store.mirror_to(view)
    await store.commit([Lock(lockout(1)), Lock(lockout(2))], NOW)
    if backup:
        await store.backup()
    await store.commit([Unlock(lockout(2, cleared_at=NOW, cleared_by="expiry")), Lock(lockout(3, 102))], NOW)
    await store.close()
    if view is not None:
        view.close()
    return store.path


def overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def delete(path: Path) -> None:
    path.unlink()


def spoil_other_pages(path: Path) -> None:
    """Damage pages of other tables; the lockouts' own page stays whole."""
    with sqlite3.connect(path) as connection:
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'enforcement_log'").fetchone()[0]
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * page_size : root * page_size] = b"\xff" * page_size
    path.write_bytes(content)


async def reopened(home: Path) -> tuple[Store, Alerts]:
    alerts = Alerts()
    return open_store(home, alerts), alerts


@pytest.mark.parametrize("damage", [overwrite, cut, empty, delete])
async def test_lockouts_when_the_database_is_lost_come_from_the_replica(tmp_path: Path, damage: Damage) -> None:
    path = await with_lockouts(tmp_path, replica=True, backup=True)
    damage(path)
    store, alerts = await reopened(tmp_path)
    state = store.load(0)
    assert state.lockouts == [lockout(1), lockout(3, 102)]
    assert [ended.id for ended in state.ended] == [2]
    assert (state.salvaged_from, state.lockouts_unknown) == ("view.db", False)
    assert len(alerts) == 1
    assert "view.db" in alerts[0]
    assert state.last_lockout_id == 3
    await store.close()
    assert sound(path)
    assert private(path)


async def test_database_when_damaged_elsewhere_gives_its_own_lockouts_and_is_kept_aside(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    spoil_other_pages(path)
    store, _ = await reopened(tmp_path)
    state = store.load(0)
    assert [one.id for one in state.lockouts] == [1, 3]
    assert (state.salvaged_from, state.lockouts_unknown) == ("state.db", False)
    await store.close()
    (aside,) = path.parent.glob("state-damaged-*.db")
    assert b"\xff" * 4096 in aside.read_bytes()


@pytest.mark.parametrize("damage", [overwrite, delete])
async def test_lockouts_when_only_a_backup_is_left_are_taken_but_not_trusted_to_be_all(
    tmp_path: Path, damage: Damage
) -> None:
    path = await with_lockouts(tmp_path, backup=True)
    damage(path)
    store, alerts = await reopened(tmp_path)
    state = store.load(0)
    assert [one.id for one in state.lockouts] == [1, 2]
    assert state.lockouts_unknown is True
    assert "not certain" in alerts[0]
    await store.close()


async def test_lockouts_when_nothing_is_left_are_unknown_until_settled_even_over_restarts(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    overwrite(path)
    store, _ = await reopened(tmp_path)
    assert store.load(0).lockouts_unknown is True
    assert store.load(0).daemon == {}
    await store.close()
    store, _ = await reopened(tmp_path)
    assert store.load(0).lockouts_unknown is True
    assert store.load(0).salvaged_from is None
    await store.commit([Lock(lockout(1))], NOW)
    assert await store.lockouts_settled()
    await store.close()
    store, alerts = await reopened(tmp_path)
    assert (store.load(0).lockouts_unknown, alerts) == (False, [])
    await store.close()


async def test_lockouts_when_there_never_was_a_database_are_known_to_be_none(tmp_path: Path) -> None:
    store, alerts = await reopened(tmp_path)
    state = store.load(0)
    assert (state.lockouts, state.lockouts_unknown, state.salvaged_from, alerts) == ([], False, None, [])
    await store.close()


async def test_database_when_deleted_with_only_a_journal_as_trace_is_unknown(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    delete(path)
    (path.parent / "journal").mkdir()
    (path.parent / "journal" / "2026-11-20.jsonl.gz").write_bytes(b"x")
    store, _ = await reopened(tmp_path)
    assert store.load(0).lockouts_unknown is True
    await store.close()


async def test_lockouts_when_every_file_of_the_database_is_gone_are_unknown_as_the_mark_tells(tmp_path: Path) -> None:
    mark = tmp_path / "run" / "database-made"
    mark.parent.mkdir()
    path, alerts = tmp_path / "data" / "state.db", Alerts()
    store = Store.open(path, on_alert=alerts, public=tmp_path / "public", mark=mark)
    assert (store.load(0).lockouts_unknown, alerts) == (False, []), "a new home"
    assert private(mark) and "delete this file" in mark.read_text(encoding="utf-8")
    await store.close()
    shutil.rmtree(path.parent)
    store = Store.open(path, on_alert=alerts, public=tmp_path / "public", mark=mark)
    assert store.load(0).lockouts_unknown is True
    assert "not certain" in alerts[0]
    await store.close()


async def test_new_database_when_the_recovery_is_killed_half_way_is_made_again(tmp_path: Path) -> None:
    """The damaged file has been moved aside and the new one is not yet in its place: nothing at `state.db`."""
    path = await with_lockouts(tmp_path)
    path.rename(path.with_name("state-damaged-20261121T000000000000.db"))
    path.with_name("state.db.new").write_bytes(b"half")
    store, _ = await reopened(tmp_path)
    state = store.load(0)
    assert [one.id for one in state.lockouts] == [1, 3]
    assert state.lockouts_unknown is False
    await store.close()
    assert not path.with_name("state.db.new").exists()


async def test_lockout_when_an_older_database_is_put_back_is_adopted_from_the_replica(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path, replica=True, backup=True)
    (backup,) = (path.parent / "backups").iterdir()
    path.write_bytes(backup.read_bytes())
    store, alerts = await reopened(tmp_path)
    state = store.load(0)
    # 2 had ended since the backup, but the database says active: it stays so. 3 was set since.
    assert {(one.account_id, one.locked_at) for one in state.lockouts} == {
        (101, NOW + 1),
        (101, NOW + 2),
        (102, NOW + 3),
    }
    assert len(alerts) == 1
    assert "102" in alerts[0]
    await store.close()
    store, alerts = await reopened(tmp_path)
    assert alerts == []
    await store.close()


async def test_lockouts_when_in_the_wal_of_a_killed_daemon_are_read(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Lock(lockout(1))], NOW)
    copy = tmp_path / "killed"
    (copy / "data").mkdir(parents=True)
    for name in ("state.db", "state.db-wal"):  # as a kill leaves them: not checkpointed
        (copy / "data" / name).write_bytes((tmp_path / "data" / name).read_bytes())
    await store.close()
    assert (copy / "data" / "state.db-wal").stat().st_size > 0
    store, _ = await reopened(copy)
    assert [one.id for one in store.load(0).lockouts] == [1]
    await store.close()


async def test_lockout_when_its_kind_is_unknown_is_hard(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lockouts SET kind = 'quantum' WHERE id = 1")
    connection.close()
    store, _ = await reopened(tmp_path)
    assert store.load(0).lockouts[0].kind == "hard"
    await store.close()


async def test_lockout_row_when_unreadable_in_a_sound_file_locks_as_unknown(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE lockouts SET locked_at = 'yesterday' WHERE id = 1")
    connection.close()
    store, alerts = await reopened(tmp_path)
    state = store.load(0)
    assert [one.id for one in state.lockouts] == [3]
    assert state.lockouts_unknown is True
    assert alerts
    await store.close()


def test_open_when_a_folder_stands_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "data" / "state.db").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"state\.db is a folder: move that folder away\.$"):
        open_store(tmp_path)


def test_open_when_the_home_is_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(StoreError, match=r"cannot be used .*: check the folder and its rights\.$"):
        open_store(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that even root cannot write to")
def test_open_when_the_home_is_not_writable_says_so() -> None:
    with pytest.raises(StoreError, match=r"cannot be used .*: check the folder and its rights\.$"):
        open_store(Path("/proc/1/home"))


async def test_open_when_the_schema_is_newer_says_so_and_changes_nothing(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer version of this program \(schema 9999\)"):
        open_store(tmp_path)
    assert path.read_bytes() == before
    assert query(path, "SELECT count(*) FROM lockouts") == [(3,)]


async def test_open_when_another_program_holds_the_database_says_so(tmp_path: Path) -> None:
    path = await with_lockouts(tmp_path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked by another program"):
        open_store(tmp_path)
    other.close()
    assert not list(path.parent.glob("state-damaged-*"))  # locked is not damaged
