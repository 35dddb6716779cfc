"""Lockouts that the database could not take outlive a kill, none comes back that has ended, none is there twice."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Decision, Lock, LockChanged, Unlock
from daemon.store import Store
from daemon.store.database import connect
from daemon.store.emergency import HALF_BYTES, EmergencyFile
from daemon.store.recovery import EMERGENCY_NAME
from daemon.store.rows import Row, lockout_row
from shared.models import LockoutKind
from tests.store.samples import HOUR, NOW, Alerts, lockout, open_store, private, query, sound
from tests.store.test_failures import eventually, fill_disk, free_disk

LONG = "x" * 20_000
"""Does not fit into the database's free pages, see `fill_disk`."""


def file_of(home: Path) -> Path:
    return home / "data" / EMERGENCY_NAME


def held(home: Path) -> EmergencyFile:
    """The file as a start finds it."""
    file = EmergencyFile(file_of(home), Alerts())
    file.read()
    return file


def as_killed(home: Path, name: str = "killed") -> Path:
    """A copy of the home as a kill would leave it now."""
    copy = home / name
    shutil.copytree(home / "data", copy / "data")
    return copy


async def full_with(home: Path, *decisions: Decision, before: Decision | None = None) -> Store:
    """A store whose disk became full before these decisions."""
    store = open_store(home)
    if before is not None:
        assert await store.commit([before], NOW)
    await fill_disk(store)
    for decision in decisions:
        assert await store.commit([decision], NOW) is False
    return store


async def in_store(home: Path, alerts: Alerts | None = None) -> tuple[list[int], list[int], bool]:
    """(active, ended, unknown) as the next start sees them, and after it another one."""
    seen = []
    for _ in range(2):
        store = open_store(home, alerts)
        assert await store.flush()
        state = store.load(0)
        seen.append(([one.id for one in state.lockouts], [one.id for one in state.ended], state.lockouts_unknown))
        assert await store.close()
        assert sound(store.path)
    assert seen[0] == seen[1]
    return seen[0]


def large(number: int, **changes: Any) -> Lock:
    return Lock(lockout(number, reason=LONG, **changes))


async def test_file_when_made_has_its_space_and_is_private(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    found = file_of(tmp_path).stat()
    assert found.st_size == 2 * HALF_BYTES and private(file_of(tmp_path))
    if sys.platform != "win32":
        assert found.st_blocks * 512 >= found.st_size, "no hole: every byte has its place on the disk"
    assert not held(tmp_path).holds
    assert await store.close()
    again = open_store(tmp_path)
    assert file_of(tmp_path).stat().st_mtime_ns == found.st_mtime_ns, "a start that finds it well leaves it alone"
    assert await again.close()


async def test_lockouts_of_a_full_disk_when_killed_are_there_at_the_next_start(tmp_path: Path) -> None:
    was = tmp_path / "was"
    store = await full_with(was, large(2), large(3, kind=LockoutKind.COOLDOWN, baseline={"A": 2}), before=large(1))
    before = file_of(was).stat()
    assert query(store.path, "SELECT id FROM lockouts") == [(1,)]
    killed = as_killed(was)
    alerts = Alerts()
    assert await in_store(killed, alerts) == ([1, 2, 3], [], False)
    assert [text for text in alerts if "2 lockouts that could not be written" in text]
    assert query(killed / "data" / "state.db", "SELECT baseline FROM lockouts WHERE id = 3") == [('{"A":2}',)]
    log = query(killed / "data" / "state.db", "SELECT lockout_id, action, reason FROM enforcement_log ORDER BY id")
    assert log == [(number, "lockout_set", LONG) for number in (1, 2, 3)]
    assert not held(killed).holds
    assert file_of(was).stat().st_ino == before.st_ino and file_of(was).stat().st_size == before.st_size
    await free_disk(store)
    assert await store.close()


async def test_lockouts_when_the_disk_is_free_again_are_in_the_database_alone(tmp_path: Path) -> None:
    store = await full_with(tmp_path, large(1), large(2))
    assert [row["id"] for row in held(tmp_path).record.lockouts] == [1, 2]  # type: ignore[union-attr]
    await free_disk(store)
    await eventually(lambda: not held(tmp_path).holds)
    assert query(store.path, "SELECT id FROM lockouts") == [(1,), (2,)]
    assert await store.commit([Unlock(lockout(1, cleared_at=NOW + 9, cleared_by="admin"))], NOW + 9)
    assert await in_store(as_killed(tmp_path)) == ([2], [1], False)
    assert await store.close()


async def test_file_when_the_disk_stays_full_is_not_written_again_and_again(tmp_path: Path) -> None:
    store = await full_with(tmp_path, large(1))
    sequence = held(tmp_path).record.sequence  # type: ignore[union-attr]
    tries = store._writer._failures
    await eventually(lambda: store._writer._failures > tries + 1)
    assert held(tmp_path).record.sequence == sequence  # type: ignore[union-attr]
    await free_disk(store)
    assert await store.close()


async def test_lockout_that_changed_or_ended_on_a_full_disk_is_as_it_was_last(tmp_path: Path) -> None:
    later = NOW + 5 * HOUR
    longer = LockChanged(lockout(1, reason=LONG, expires_at=later))
    ended = Unlock(lockout(2, reason=LONG, cleared_at=NOW + 5, cleared_by="expiry"))
    was = tmp_path / "was"
    store = await full_with(was, large(2), longer, ended, large(3), before=large(1))
    killed = as_killed(was)
    assert await in_store(killed) == ([1, 3], [2], False)
    assert query(killed / "data" / "state.db", "SELECT expires_at FROM lockouts WHERE id = 1") == [
        ("2026-11-21T12:39:46.000000Z",)
    ]
    actions = query(killed / "data" / "state.db", "SELECT lockout_id, action FROM enforcement_log ORDER BY id")
    assert sorted(actions) == [(1, "lockout_set"), (2, "lockout_cleared"), (2, "lockout_set"), (3, "lockout_set")]
    await free_disk(store)
    assert await store.close()


@pytest.mark.parametrize("marked_free", [True, False])
async def test_lockout_that_ended_after_the_disk_was_free_does_not_come_back(tmp_path: Path, marked_free: bool) -> None:
    store = await full_with(tmp_path, large(1))
    if not marked_free:
        # A kill right after the commit, or a file that takes nothing any more.
        store._writer._emergency._write = lambda rows, *, unknown: False  # type: ignore[method-assign]
    await free_disk(store)
    assert await store.flush()
    assert await store.commit([Unlock(lockout(1, cleared_at=NOW + 5, cleared_by="expiry"))], NOW + 5)
    found = EmergencyFile(file_of(tmp_path), Alerts())
    assert bool(found.read().lockouts) is not marked_free  # type: ignore[union-attr]
    assert await in_store(as_killed(tmp_path)) == ([], [1], False)
    assert await store.close()


async def test_lockout_that_ends_before_the_file_is_merged_takes_the_same_way(tmp_path: Path) -> None:
    """A commit that succeeds while older lockouts wait must not leave the file with what it has overtaken."""
    was = tmp_path / "was"
    store = await full_with(was, large(1))
    await free_disk(store)
    assert await store.commit([Unlock(lockout(1, cleared_at=NOW + 5, cleared_by="expiry"))], NOW + 5)
    assert await in_store(as_killed(was)) == ([], [1], False)
    assert await store.close()


def damage(file: Path, half: int, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[half * HALF_BYTES + at] ^= 0x40
    file.write_bytes(content)


TORN = [0, 7, 8, 24, 31, 33, 36, 50, 67, 68, 90, 300]
"""Bytes of the magic, the file's number, the sequence, the length, the digest and the payload."""


@pytest.mark.parametrize("at", TORN)
async def test_file_when_its_last_record_is_torn_holds_the_one_before(tmp_path: Path, at: int) -> None:
    file = EmergencyFile(tmp_path / "file", Alerts())
    file.make()
    rows = [lockout_row(lockout(number)) for number in (1, 2)]
    assert file.keep(rows[:1]) and file.keep(rows)
    assert file.record is not None
    damage(file.path, file.record.sequence % 2, at)
    again = EmergencyFile(file.path, Alerts())
    assert [row["id"] for row in again.read().lockouts] == [1]  # type: ignore[union-attr]
    assert again.keep(rows)
    damage(file.path, 1 - again.record.sequence % 2, at)  # type: ignore[union-attr]
    third = EmergencyFile(file.path, Alerts())
    assert list(third.read().lockouts) == rows  # type: ignore[union-attr]


def both_torn(home: Path) -> None:
    damage(file_of(home), 0, 40)
    damage(file_of(home), 1, 40)


def cut_off(home: Path) -> None:
    file_of(home).write_bytes(file_of(home).read_bytes()[: HALF_BYTES + 10])


def of_another_version(home: Path) -> None:
    file = held(home)
    file._write(({**lockout_row(lockout(7)), "expires_at": None},), unknown=False)
    content = file_of(home).read_bytes()
    assert b'"kind"' in content
    # A whole record without what every lockout has.
    import daemon.store.emergency as emergency

    bound = emergency._bound
    emergency._bound = lambda row: {name: value for name, value in bound(row).items() if name != "locked_at"}
    try:
        file._write((lockout_row(lockout(7)),), unknown=False)
    finally:
        emergency._bound = bound


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (both_torn, "no record in it is whole"),
        (cut_off, "131,082 bytes instead of 262,144"),
        (lambda home: file_of(home).unlink(), "it is missing"),
        (lambda home: file_of(home).write_bytes(b""), "0 bytes"),
        (of_another_version, None),
    ],
)
async def test_start_when_the_file_cannot_be_used_locks_every_account(
    tmp_path: Path, harm: Callable[[Path], object], words: str | None
) -> None:
    store = open_store(tmp_path)
    assert await store.commit([Lock(lockout(1))], NOW)
    assert await store.close()
    harm(tmp_path)
    alerts = Alerts()
    assert await in_store(tmp_path, alerts) == ([1], [], True)
    assert [text for text in alerts if words in text and "every account is locked" in text] if words else not alerts
    assert len(alerts) == (1 if words else 0), "the second start finds the mark in the database, and a new file"
    store = open_store(tmp_path)
    assert await store.lockouts_settled()
    assert await store.close()
    assert await in_store(tmp_path) == ([1], [], False)


async def test_first_start_and_a_backup_in_another_home_lock_nobody(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert not store.load(0).lockouts_unknown
    assert await store.commit([Lock(lockout(1))], NOW)
    copy = await store.backup()
    assert await store.close()
    (tmp_path / "other" / "data").mkdir(parents=True)
    shutil.copyfile(copy, tmp_path / "other" / "data" / "state.db")
    assert await in_store(tmp_path / "other") == ([1], [], False)


async def test_database_when_lost_after_a_full_disk_still_gets_the_lockouts(tmp_path: Path) -> None:
    was = tmp_path / "was"
    store = await full_with(was, large(2), before=large(1))
    killed = as_killed(was)
    for path in (killed / "data").glob("state.db*"):
        path.unlink()
    alerts = Alerts()
    assert await in_store(killed, alerts) == ([2], [], True), "the file shows that there had been a database"
    await free_disk(store)
    assert await store.close()


async def test_number_when_another_lockout_has_it_is_given_anew(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert await store.commit([Lock(lockout(1)), Lock(lockout(2, account_id=102))], NOW)
    assert await store.close()
    # As an older database put back: there number 2 is another lockout, and number 3 the one that the file calls 2.
    file = held(tmp_path)
    assert file.keep(
        [lockout_row(lockout(2, account_id=201)), lockout_row(lockout(9, locked_at=NOW + 1, reason="new"))]
    )
    assert await in_store(tmp_path) == ([1, 2, 3], [], False)
    rows = query(tmp_path / "data" / "state.db", "SELECT id, account_id, reason FROM lockouts ORDER BY id")
    assert [(number, account) for number, account, _ in rows] == [(1, 101), (2, 102), (3, 201)]
    assert rows[0][2] == "new", "the same lockout under another number is no second one"


async def test_lockouts_when_too_many_for_the_file_count_as_unknown(tmp_path: Path) -> None:
    file = EmergencyFile(tmp_path / "file", Alerts())
    file.make()
    ended = [lockout_row(lockout(n, reason="y" * 400, cleared_at=NOW, cleared_by="x")) for n in range(1, 200)]
    active = [lockout_row(lockout(n, reason="y" * 400)) for n in range(200, 300)]
    assert file.keep([*ended, *active])
    found = EmergencyFile(file.path, Alerts()).read()
    assert found is not None and not found.unknown, "all that are active fit"
    kept = {row["id"] for row in found.lockouts}
    assert kept >= set(range(200, 300)) and 0 < len(kept) < 299
    many = [*active, *(lockout_row(lockout(n, reason="y" * 400)) for n in range(300, 600))]
    assert file.keep(many)
    found = EmergencyFile(file.path, Alerts()).read()
    assert found is not None and found.unknown and len(found.lockouts) > 100


async def test_lockouts_when_the_file_takes_nothing_either_are_told_of_once(tmp_path: Path) -> None:
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    await fill_disk(store)
    file_of(tmp_path).write_bytes(b"")  # an overwriting in place is not possible any more
    assert await store.commit([large(1)], NOW) is False
    assert await store.commit([large(2)], NOW) is False
    assert sum("either: as long as the database cannot be written" in text for text in alerts) == 1
    await free_disk(store)
    assert await store.close()
    assert query(store.path, "SELECT id FROM lockouts") == [(1,), (2,)]


async def test_start_when_the_disk_is_still_full_knows_the_lockouts_and_keeps_further_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = tmp_path / "was"
    first = await full_with(was, large(2), large(3), before=large(1))
    home = as_killed(was)
    await free_disk(first)
    assert await first.close()

    def full(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr("daemon.store.opening.connect", full)
        ended = Unlock(lockout(2, reason=LONG, cleared_at=NOW, cleared_by="x"))
        steps: list[tuple[list[int], list[Decision]]] = [
            ([1, 2, 3], [Lock(lockout(4)), ended]),
            ([1, 3, 4], [large(5)]),
        ]
        for expected, decisions in steps:
            alerts = Alerts()
            store = open_store(home, alerts)
            state = store.load(0)
            assert ([one.id for one in state.lockouts], state.lockouts_unknown) == (expected, False)
            assert state.last_lockout_id == expected[-1]
            assert query(store.path, "SELECT id FROM lockouts") == [(1,)]
            assert await store.commit(decisions, NOW) is False and store.failing
            assert any("is full" in text for text in alerts)
            home = as_killed(home)
            await free_disk(store)
            assert await store.close()
    assert await in_store(home) == ([1, 3, 4, 5], [2], False)


Step = tuple[str, int]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["keep", "keep", "merge", "tear", "lose the mark"]), st.integers(0, 5)), max_size=25
    )
)
def test_file_whatever_happens_gives_back_what_was_last_kept(tmp_path: Path, steps: list[Step]) -> None:
    """A model: what was reported as kept is read back, also when the record being written after it is torn."""
    path = tmp_path / "file"
    path.unlink(missing_ok=True)
    file = EmergencyFile(path, Alerts())
    file.make()
    kept: list[Row] = []
    merged = 0
    for what, number in steps:
        assert file.record is not None
        if what == "keep":
            kept = [lockout_row(lockout(one)) for one in range(1, number + 1)]
            assert file.keep(kept)
        elif what == "merge":
            merged = file.record.sequence
            file.merged(merged)
            kept = []
        elif what == "tear":
            damage(path, (file.record.sequence + 1) % 2, number * 11)  # the half that would be written next
        else:
            merged = 0  # a database that does not know how far it is merged: no looser for it
        again = EmergencyFile(path, Alerts())
        record = again.read()
        assert record is not None
        again.merged(merged)
        assert list(record.lockouts) == kept and again.holds is bool(kept)
        file = again


async def test_writing_when_many_lockouts_are_made_while_the_disk_comes_and_goes_loses_none(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    actions: list[Callable[[Store], Awaitable[None]]] = [fill_disk, free_disk]
    active: set[int] = set()
    for number in range(1, 31):
        if number % 5 == 0:
            await actions[number // 5 % 2](store)
        await store.commit([large(number)], NOW)
        active.add(number)
        if number % 4 == 0:
            await store.commit([Unlock(lockout(number - 1, cleared_at=NOW, cleared_by="x"))], NOW)
            active.discard(number - 1)
        if number % 3 == 0:
            killed = as_killed(tmp_path, f"killed-{number}")
            copy = open_store(killed)
            assert {one.id for one in copy.load(0).lockouts} == active, number
            assert await copy.close()
    await free_disk(store)
    assert await store.close()
