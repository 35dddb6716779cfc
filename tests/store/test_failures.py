"""A disk that fails never holds up enforcement, and nothing that was handed over is lost once it works again."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.core.decisions import Act, Lock, Settle, Unlock
from daemon.core.events import PositionUpdate
from daemon.store import Store, StoreError
from shared.models import ActionResult
from tests.store.samples import NOW, Alerts, action, lockout, open_store, position, query, sound

BOUND_S = 0.25
"""Promised bound of a commit; the tests allow a slow machine four times that."""


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        await asyncio.sleep(0.01)


async def fill_disk(store: Store) -> None:
    """Let the database grow no further, as a full disk does (SQLITE_FULL)."""
    await store.execute(
        lambda connection: connection.execute(
            f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}"
        )
    )


async def free_disk(store: Store) -> None:
    await store.execute(lambda connection: connection.execute("PRAGMA max_page_count = 1000000"))


def large(number: int) -> Lock:
    return Lock(lockout(number, reason="x" * 20_000))


async def test_commit_when_the_disk_is_full_returns_and_is_done_later(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    await fill_disk(store)
    began = time.monotonic()
    assert await store.commit([large(1), Act(action(1))], NOW) is False
    assert await store.commit([large(2)], NOW) is False
    assert time.monotonic() - began < 4 * 2 * BOUND_S
    store.record_event(PositionUpdate(NOW, 101, position()))
    assert store.load(0).lockouts == []
    assert len(alerts) == 1
    assert "full: free some space" in alerts[0]
    assert "Enforcement goes on" in alerts[0]
    await free_disk(store)
    await eventually(lambda: len(alerts) == 2)
    assert "can be written again" in alerts[1]
    await store.flush()
    state = store.load(0)
    assert [one.id for one in state.lockouts] == [1, 2]
    assert [one.id for one in state.actions] == [1]
    assert state.positions == {101: [position()]}
    assert await store.close()


async def test_commit_when_the_disk_was_full_keeps_the_latest_of_each_row(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await fill_disk(store)
    assert not await store.commit([large(1), Act(action(1))], NOW)
    ended = lockout(1, reason="x" * 20_000, cleared_at=NOW + 5, cleared_by="expiry")
    await store.commit([Settle(action(1), ActionResult.CONFIRMED, NOW + 4)], NOW + 4)
    assert not await store.commit([Unlock(ended), large(2)], NOW + 5)
    await free_disk(store)
    assert await store.commit([Lock(lockout(3))], NOW + 6), "a durable commit writes what was left over too"
    state = store.load(0)
    assert ([one.id for one in state.lockouts], state.ended, state.actions) == ([2, 3], [ended], [])
    await store.close()


async def test_close_when_the_disk_is_full_says_that_something_is_lost(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await fill_disk(store)
    assert not await store.commit([large(1)], NOW)
    assert await store.close() is False


async def test_commit_when_another_program_holds_the_lock_is_bounded(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert await store.commit([Lock(lockout(1))], NOW) is False
    assert time.monotonic() - began < 4 * BOUND_S
    assert "locked by another program" in alerts[0]
    other.execute("ROLLBACK")
    await eventually(lambda: query(store.path, "SELECT id FROM lockouts") == [(1,)])
    other.close()
    assert await store.close()


async def test_commit_when_the_disk_hangs_is_bounded(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    hanging = asyncio.create_task(store.execute(lambda _: time.sleep(1.0)))
    await asyncio.sleep(0)
    began = time.monotonic()
    assert await store.commit([Lock(lockout(1))], NOW) is False
    assert time.monotonic() - began < 0.9
    await hanging
    await store.flush()
    assert [one.id for one in store.load(0).lockouts] == [1]
    await store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to delete an open file")
async def test_lockouts_when_the_database_is_deleted_while_running_are_put_back(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    await store.commit([Lock(lockout(1))], NOW)
    for path in store.path.parent.glob("state.db*"):
        path.unlink()
    assert await store.commit([Lock(lockout(2))], NOW) is True
    assert "put back" in alerts[0]
    assert query(store.path, "SELECT id FROM lockouts") == [(1,), (2,)]
    await store.close()
    store = open_store(tmp_path)
    assert [one.id for one in store.load(0).lockouts] == [1, 2]
    await store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows refuses to replace an open file")
async def test_lockouts_when_the_database_is_exchanged_while_running_are_put_back(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    other = open_store(tmp_path / "other")
    await other.close()
    await store.commit([Lock(lockout(1))], NOW)
    other.path.replace(store.path)
    assert await store.commit([Lock(lockout(2))], NOW) is True
    await store.close()
    assert query(store.path, "SELECT id FROM lockouts") == [(1,), (2,)]
    assert sound(store.path)


async def test_lockouts_when_the_database_is_damaged_while_running_are_rebuilt_from_memory(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    await store.commit([Lock(lockout(1)), Lock(lockout(2))], NOW)
    store.record_event(PositionUpdate(NOW, 101, position()))
    await store.flush()

    original = store._writer._transact

    def failing(*arguments: object, **options: object) -> None:
        store._writer._transact = original  # type: ignore[method-assign]
        raise _corrupt()

    store._writer._transact = failing  # type: ignore[method-assign]
    assert await store.commit([Unlock(lockout(2, cleared_at=NOW, cleared_by="x")), Lock(lockout(3))], NOW) is True
    assert await store.flush()
    assert "damaged" in alerts[0]
    state = store.load(0)
    assert ([one.id for one in state.lockouts], [one.id for one in state.ended]) == ([1, 3], [2])
    assert state.positions == {101: [position()]}
    assert len(list(store.path.parent.glob("state-damaged-*.db"))) == 1
    await store.close()
    assert sound(store.path)


@pytest.mark.parametrize("error", [RuntimeError("a mistake of ours"), SystemExit(1)])
async def test_writing_when_its_thread_fails_is_begun_anew_and_loses_nothing(
    tmp_path: Path, error: BaseException
) -> None:
    store = open_store(tmp_path)
    failures = 0
    original = store._writer._transact

    def failing(*arguments: object, **options: object) -> None:
        nonlocal failures
        failures += 1
        if failures == 2:
            store._writer._transact = original  # type: ignore[method-assign]
        raise error

    store._writer._transact = failing  # type: ignore[method-assign]
    store.record_event(PositionUpdate(NOW, 101, position()))
    began = time.monotonic()
    assert await store.commit([Lock(lockout(1)), Act(action(1))], NOW) is False
    assert time.monotonic() - began < 4 * BOUND_S, "who enforces is not kept waiting"
    await eventually(lambda: failures == 2)
    assert await store.commit([Lock(lockout(2))], NOW) is True
    await eventually(lambda: [one.id for one in store.load(0).lockouts] == [1, 2])
    state = store.load(0)
    assert [one.id for one in state.actions] == [1] and state.positions == {101: [position()]}
    assert store.thread.failures == 2 and store.thread.error is error
    assert await store.close()
    assert sound(store.path)


async def test_writing_when_a_new_database_cannot_be_made_goes_on_trying(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    await store.commit([Lock(lockout(1))], NOW)
    rebuild = store._writer._connection._rebuild
    refused = 0

    def refuse() -> sqlite3.Connection:
        nonlocal refused
        refused += 1
        if refused == 2:
            store._writer._connection._rebuild = rebuild
        raise StoreError("The file state.db is held by another program: close that program.")

    store._writer._connection._rebuild = refuse
    store._writer._connection.close()
    store.path.unlink()
    assert await store.commit([Lock(lockout(2))], NOW) is False
    await eventually(lambda: len(alerts) == 2)
    assert refused == 2 and [one.id for one in store.load(0).lockouts] == [1, 2]
    assert "held by another program: close that program. Enforcement goes on" in alerts[0]
    assert "can be written again" in alerts[1]
    assert store.thread.failures == 0
    assert await store.close()


async def test_mirror_when_it_fails_does_not_disturb_the_writing(tmp_path: Path) -> None:
    class Broken:
        def apply(self, changes: object) -> None:
            raise RuntimeError("no")

        def run(self, sql: str, parameters: tuple[object, ...]) -> None:
            raise RuntimeError("no")

    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    store.mirror_to(Broken())
    assert await store.commit([Lock(lockout(1))], NOW) is True
    assert await store.commit([Lock(lockout(2))], NOW) is True
    assert any("copy of the data" in text for text in alerts) and store.thread.failures == 0
    assert await store.close()


def _corrupt() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


async def test_row_when_unfit_is_left_out_and_the_others_are_stored(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    bad = lockout(2, reason=None)
    huge = lockout(2**70)
    assert await store.commit([Lock(lockout(1)), Lock(bad), Lock(huge), Lock(lockout(3))], NOW) is True
    assert [one.id for one in store.load(0).lockouts] == [1, 3]
    assert sum("could not be stored" in text for text in alerts) >= 2
    store.record_event(PositionUpdate(NOW, 101, None))  # type: ignore[arg-type]
    store.record_event(PositionUpdate(NOW, 102, position()))
    await store.flush()
    assert list(store.load(0).positions) == [102]
    assert await store.close()


async def test_job_when_it_fails_leaves_nothing_and_tells_its_caller(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO daemon_state VALUES ('a', '1')")
        raise KeyError("mine")

    with pytest.raises(KeyError):
        await store.execute(half)
    with pytest.raises(StoreError, match="cannot be used"):
        await store.execute(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert store.load(0).daemon == {}
    assert await store.commit([Lock(lockout(1))], NOW)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.execute(half)


async def test_alerts_when_their_receiver_raises_do_not_stop_the_writer(tmp_path: Path) -> None:
    def broken(_: str) -> None:
        raise RuntimeError("receiver")

    store = Store.open(tmp_path / "data" / "state.db", on_alert=broken)
    await fill_disk(store)
    assert await store.commit([large(1)], NOW) is False
    await free_disk(store)
    await store.flush()
    assert [one.id for one in store.load(0).lockouts] == [1]
    await store.close()


FULL_AT_START = """
import asyncio, resource, signal, sys
from pathlib import Path
from daemon.core.decisions import Lock
from tests.store.samples import NOW, Alerts, lockout, open_store

async def main():
    # No file may grow beyond what the database has already: as a full disk, also for the -shm and the -wal.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    alerts = Alerts()
    store = open_store(Path(sys.argv[1]), alerts)
    state = store.load(0)
    print([one.id for one in state.lockouts], state.lockouts_unknown, len(alerts))
    print(await store.commit([Lock(lockout(5))], NOW))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(await store.flush(5), await store.close())
    store = open_store(Path(sys.argv[1]), alerts)
    state = store.load(0)
    print([one.id for one in state.lockouts], state.lockouts_unknown)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process on POSIX")
@pytest.mark.parametrize("damaged", [False, True])
async def test_start_when_the_disk_is_full_protects_and_catches_up(tmp_path: Path, damaged: bool) -> None:
    store = open_store(tmp_path)
    await store.commit([Lock(lockout(1)), Lock(lockout(2))], NOW)
    await store.close()
    if damaged:
        store.path.write_bytes(b"x" * 90_000)
    result = await asyncio.to_thread(run_script, FULL_AT_START, tmp_path)
    if damaged:
        # Nothing to read anywhere: the caller locks everything; the new database has what was locked since.
        assert result == ["[] True 2", "False", "True True", "[5] True"]
    else:
        assert result == ["[1, 2] False 1", "False", "True True", "[1, 2, 5] False"]
    assert sound(store.path)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process on POSIX")
async def test_start_when_the_disk_is_full_reads_what_only_the_log_has(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Lock(lockout(1)), Lock(lockout(2))], NOW)
    killed = tmp_path / "killed"
    shutil.copytree(tmp_path / "data", killed / "data")
    await store.close()
    (killed / "data" / "state.db-shm").unlink()  # there is no room for another
    assert (killed / "data" / "state.db-wal").stat().st_size > 0
    result = await asyncio.to_thread(run_script, FULL_AT_START, killed)
    assert result == ["[1, 2] False 1", "False", "True True", "[1, 2, 5] False"]
    assert sound(killed / "data" / "state.db")


def run_script(code: str, folder: Path) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    return (result.stdout + result.stderr).splitlines()
