"""The replica shows what the database holds, soon, without secrets, and blocks nobody whoever blocks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.core.decisions import Lock, Unlock
from daemon.core.events import PositionUpdate
from daemon.store import Store
from daemon.view import View
from shared.schema import PRIVATE_TABLES, TABLES
from tests.store.samples import NOW, lockout, open_store, position, query


class Published:
    """A store, its replica and the names that were told."""

    def __init__(self, home: Path) -> None:
        self.public = home / "public"
        self.store: Store = open_store(home)
        self.names: list[str] = []
        self.view = View(self.public, self.store.path, self.names.append)
        assert self.view.wait_ready(10)
        self.store.mirror_to(self.view)

    @property
    def path(self) -> Path:
        return self.public / self.view.name

    def shown(self, sql: str) -> list[tuple[object, ...]]:
        """What a reader sees, [] while the file is being made."""
        with contextlib.suppress(sqlite3.OperationalError):
            return query(self.path, sql)
        return []


@pytest.fixture
async def published(tmp_path: Path) -> AsyncIterator[Published]:
    desk = Published(tmp_path)
    yield desk
    await desk.store.close()
    desk.view.close()


async def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.01)


async def test_replica_when_something_is_stored_shows_it_soon(published: Published) -> None:
    await published.store.commit([Lock(lockout(1, baseline={"x": 1}))], NOW)
    published.store.record_event(PositionUpdate(NOW, 101, position()))
    await eventually(lambda: published.shown("SELECT size FROM positions") == [(2,)])
    await eventually(lambda: len(published.shown("SELECT * FROM lockouts")) == 1)
    assert published.shown("SELECT * FROM lockouts") == query(published.store.path, "SELECT * FROM lockouts")
    await published.store.commit([Unlock(lockout(1, cleared_at=NOW, cleared_by="expiry"))], NOW)
    published.store.record_event(PositionUpdate(NOW, 101, position(0)))
    await eventually(lambda: published.shown("SELECT cleared_by FROM lockouts") == [("expiry",)])
    await eventually(lambda: published.shown("SELECT * FROM positions") == [])


async def test_replica_when_made_has_all_tables_but_private_ones_and_what_was_there(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Lock(lockout(1))], NOW)
    await store.commit_state("secret", "of the daemon")
    await store.close()
    desk = Published(tmp_path)
    tables = {name for (name,) in desk.shown("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == set(TABLES) - PRIVATE_TABLES | {"view_state"}
    assert desk.shown("SELECT id FROM lockouts") == [(1,)]
    await desk.store.close()
    desk.view.close()
    assert b"of the daemon" not in b"".join(path.read_bytes() for path in desk.public.iterdir())


async def test_published_value_when_changed_is_the_latest_with_its_time(published: Published) -> None:
    published.view.publish("status", {"status": "starting"})
    published.view.publish("status", {"status": "healthy", "accounts": {101: {"positions": 2}}})
    published.view.publish("bad", object())
    await eventually(lambda: len(published.shown("SELECT * FROM view_state")) == 1)
    ((key, value, updated_at),) = published.shown("SELECT * FROM view_state")
    assert key == "status"
    assert json.loads(str(value)) == {"status": "healthy", "accounts": {"101": {"positions": 2}}}
    assert len(str(updated_at)) == len("2026-11-21T07:19:46.000000Z")


async def test_replica_when_a_reader_blocks_it_is_made_again_under_a_new_name(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.view._BLOCKED_SECONDS", 0.2)
    await published.store.commit([Lock(lockout(1))], NOW)
    published.view.publish("status", 1)
    await eventually(lambda: published.shown("SELECT count(*) FROM view_state") == [(1,)])
    blocker = sqlite3.connect(published.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert await published.store.commit([Lock(lockout(2))], NOW), "nothing waits for the replica"
    assert time.monotonic() - began < 1
    await eventually(lambda: published.view.name == "view-2.db")
    assert published.names == ["view.db", "view-2.db"]
    await eventually(lambda: published.shown("SELECT id FROM lockouts ORDER BY id") == [(1,), (2,)])
    await eventually(lambda: published.shown("SELECT value FROM view_state") == [("1",)])
    blocker.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to delete an open file")
async def test_replica_when_deleted_is_made_again(published: Published) -> None:
    for path in published.public.iterdir():
        path.unlink()
    await published.store.commit([Lock(lockout(1))], NOW)
    published.view.publish("status", 1)
    await eventually(lambda: published.shown("SELECT id FROM lockouts") == [(1,)])
    await eventually(lambda: published.shown("SELECT value FROM view_state") == [("1",)])


async def test_replica_when_damaged_before_the_start_gets_a_new_name(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "view.db").write_bytes(b"no database at all" * 300)
    desk = Published(tmp_path)
    assert desk.view.name == "view-2.db"
    await eventually(lambda: not (desk.public / "view.db").exists())
    await desk.store.close()
    desk.view.close()


async def test_replica_when_the_folder_cannot_be_used_lets_the_store_work(tmp_path: Path) -> None:
    (tmp_path / "public").write_text("a file in the way")
    store = open_store(tmp_path)
    view = View(tmp_path / "public", store.path)
    store.mirror_to(view)
    assert await store.commit([Lock(lockout(1))], NOW)
    view.publish("status", 1)
    assert not view.wait_ready(0.5)
    (tmp_path / "public").unlink()
    assert view.wait_ready(10), "it is tried again"
    assert query(tmp_path / "public" / view.name, "SELECT id FROM lockouts") == [(1,)]
    await store.close()
    view.close()


async def test_replica_when_its_thread_fails_is_made_anew(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.view.publish("status", {"status": "healthy"})
    await eventually(lambda: published.shown("SELECT count(*) FROM view_state") == [(1,)])
    original = View._write

    def failing(self: View, connection: sqlite3.Connection) -> None:
        monkeypatch.setattr(View, "_write", original)
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(View, "_write", failing)
    assert await published.store.commit([Lock(lockout(1))], NOW)
    await eventually(lambda: published.view.thread.failures == 1)
    await eventually(lambda: published.shown("SELECT id FROM lockouts") == [(1,)])
    await eventually(lambda: published.shown("SELECT count(*) FROM view_state") == [(1,)])
    assert await published.store.commit([Lock(lockout(2))], NOW)
    await eventually(lambda: published.shown("SELECT id FROM lockouts") == [(1,), (2,)])
    assert published.view.thread.failures == 1


async def test_replica_when_restarted_keeps_its_name_and_its_readers(tmp_path: Path) -> None:
    desk = Published(tmp_path)
    await desk.store.close()
    desk.view.close()
    reader = sqlite3.connect(f"{desk.path.as_uri()}?mode=ro", uri=True)
    assert reader.execute("SELECT count(*) FROM lockouts").fetchone() == (0,)
    again = Published(tmp_path)
    assert again.view.name == "view.db"
    await again.store.commit([Lock(lockout(1))], NOW)
    await eventually(lambda: reader.execute("SELECT count(*) FROM lockouts").fetchone() == (1,))
    reader.close()
    await again.store.close()
    again.view.close()


READER = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(connection.execute("SELECT id FROM lockouts").fetchall())
try:
    connection.execute("DELETE FROM lockouts")
except sqlite3.OperationalError as error:
    print(error)
"""


def read_as_another_user(path: Path) -> list[str]:
    """What a program of user 65534 sees (of this one, without root's rights)."""
    other: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    command = ["/usr/bin/env", "python3", "-c", READER, str(path)]
    result: subprocess.CompletedProcess[str] = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False, cwd="/", **other
    )
    return (result.stdout + result.stderr).splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="a second user on POSIX")
async def test_replica_when_the_daemon_has_ended_is_readable_by_another_user_who_cannot_write() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        home.chmod(0o755)
        desk = Published(home)
        await desk.store.commit([Lock(lockout(1))], NOW)
        await desk.store.close()
        desk.view.close()
        assert sorted(path.name for path in desk.public.iterdir()) == ["view.db", "view.db-shm", "view.db-wal"]
        for path in desk.public.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o644, path
        if os.geteuid() != 0:
            desk.public.chmod(0o555)  # no second user at hand: this one loses the right to write
            for path in desk.public.iterdir():
                path.chmod(0o444)
        lines = await asyncio.to_thread(read_as_another_user, desk.path)
        if os.geteuid() != 0:
            desk.public.chmod(0o755)
        assert lines == ["[(1,)]", "attempt to write a readonly database"]


async def test_replica_when_nothing_came_for_a_while_shows_the_next_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.view._SLEEP_SECONDS", 3600.0)
    desk = Published(tmp_path)
    for number in range(3):
        await asyncio.sleep(0.3)
        desk.view.publish("status", {"number": number})
        await eventually(lambda: desk.shown("SELECT value FROM view_state") == [(f'{{"number":{number}}}',)])  # noqa: B023
    await desk.store.close()
    desk.view.close()
