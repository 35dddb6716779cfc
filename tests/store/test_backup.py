"""Backups are whole, named by their time, 14 of them; old rows go, what protects stays."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.core.decisions import Act, Lock, Settle, Unlock
from daemon.core.events import OrderUpdate, TradeUpdate
from daemon.store import StoreError
from daemon.store.backup import back_up
from daemon.view import View
from shared.models import ActionResult, OrderStatus
from tests.store.samples import HOUR, NOW, action, lockout, open_store, order, private, query, sound, trade

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = 24 * HOUR


async def test_backup_when_made_holds_everything_in_one_private_file(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Lock(lockout(1))], NOW)
    store.put_state("a", 1)
    path = await store.backup(START)
    assert path.name == "state-20261101T120000Z.db"
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    assert sound(path)
    assert query(path, "SELECT id FROM lockouts") == [(1,)]
    assert query(path, "SELECT key FROM daemon_state") == [("a",)]
    assert private(path)
    await store.close()


async def test_backup_when_written_to_meanwhile_is_sound(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    async def write() -> None:
        for number in range(1, 60):
            assert await store.commit([Lock(lockout(number, reason="x" * 5000))], NOW)

    writing = asyncio.create_task(write())
    paths = [await store.backup(START + timedelta(seconds=n)) for n in range(3)]
    await writing
    for path in paths:
        assert sound(path)
    counts = [query(path, "SELECT count(*) FROM lockouts")[0][0] for path in paths]
    assert counts == sorted(counts)
    await store.close()


async def test_backups_when_many_are_the_newest_14(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for day in range(16):
        await store.backup(START + timedelta(days=day))
    names = sorted(path.name for path in (store.path.parent / "backups").iterdir())
    assert len(names) == 14
    assert (names[0], names[-1]) == ("state-20261103T120000Z.db", "state-20261116T120000Z.db")
    await store.close()


async def test_backup_when_it_cannot_be_made_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    (store.path.parent / "backups").write_text("in the way")
    with pytest.raises(StoreError, match="could not be made"):
        await store.backup(START)
    await store.close()
    with pytest.raises(StoreError, match="could not be made"):
        back_up(tmp_path / "nowhere.db", tmp_path / "copies", START)
    assert list((tmp_path / "copies").iterdir()) == []


async def test_prune_when_rows_are_old_deletes_them_but_nothing_that_protects(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    view = View(tmp_path / "public", store.path)
    assert view.wait_ready(5)
    store.mirror_to(view)
    old = NOW - 40 * DAY
    await store.commit(
        [
            Lock(lockout(1, locked_at=old, expires_at=None)),
            Lock(lockout(2, locked_at=old)),
            Unlock(lockout(2, locked_at=old, cleared_at=old + HOUR, cleared_by="expiry")),
            Lock(lockout(3)),
            Unlock(lockout(3, cleared_at=NOW, cleared_by="expiry")),
            Act(action(1, decided_at=old)),
            Act(action(2, decided_at=old)),
            Settle(action(2, decided_at=old), ActionResult.CONFIRMED, old),
        ],
        NOW,
    )
    for number, at in ((1, old), (2, NOW)):
        store.record_event(TradeUpdate(at, 101, trade(number, created_at=at)))
        store.record_event(OrderUpdate(at, 101, order(number, status=OrderStatus.FILLED)))
        store.record_event(OrderUpdate(at, 101, order(number + 10)))
        store.record_pnl(101, f"2026-0{number}-01", 1, 1, at)
    await store.flush()
    assert await store.prune(30, NOW) == 8
    expected = {
        "SELECT id FROM lockouts ORDER BY id": [(1,), (3,)],
        "SELECT id FROM trade_history": [(2,)],
        "SELECT id FROM orders ORDER BY id": [(2,), (11,), (12,)],
        "SELECT trading_day FROM daily_pnl": [("2026-02-01",)],
        "SELECT action_id FROM enforcement_log WHERE action_id IS NOT NULL": [(1,)],
    }
    for sql, rows in expected.items():
        assert query(store.path, sql) == rows, sql
    await store.close()
    view.close()
    for sql, rows in expected.items():
        assert query(tmp_path / "public" / view.name, sql) == rows, sql
