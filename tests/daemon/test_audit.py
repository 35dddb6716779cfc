"""No row of the audit log can be changed, taken out or cut off without showing, and no secret gets in."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from daemon.audit import GENESIS, AuditLog, Broken, row_hash
from daemon.audit_secrets import without_secrets
from daemon.store import Store, StoreError
from tests.store.samples import NOW, open_store, query


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    await opened.close()


def audit_of(store: Store) -> AuditLog:
    return AuditLog(store, lambda: NOW)


async def filled(store: Store, count: int = 4) -> AuditLog:
    audit = audit_of(store)
    for number in range(1, count + 1):
        assert await audit.append("admin", "clear_lockout", {"id": number, "reason": "x"}, "ok") == number
    return audit


async def test_chain_when_untouched_is_whole_also_after_a_restart(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert await audit_of(store).verify() is None
    await filled(store, 2)
    await store.close()
    store = open_store(tmp_path)
    assert await audit_of(store).append("admin", "stop_daemon", {}, "ok") == 3
    assert await audit_of(store).verify() is None
    await store.close()


async def test_row_when_appended_is_on_disk_and_follows_the_one_before(store: Store) -> None:
    await filled(store, 2)
    first, second = query(
        store.path, "SELECT id, at, actor, action, params, result, previous_hash, hash FROM audit_log"
    )
    assert first[:7] == (
        1,
        "2026-11-21T07:39:46.000000Z",
        "admin",
        "clear_lockout",
        '{"id":1,"reason":"x"}',
        "ok",
        GENESIS,
    )
    assert second[6] == first[7]
    names = ("id", "at", "actor", "action", "params", "result", "previous_hash")
    assert second[7] == row_hash(dict(zip(names, second[:7], strict=True)))
    # What the hash is, spelled out for whoever checks it with other tools.
    text = (
        '{"action":"clear_lockout","actor":"admin","at":"2026-11-21T07:39:46.000000Z","id":1,'
        '"params":"{\\"id\\":1,\\"reason\\":\\"x\\"}","previous_hash":"' + GENESIS + '","result":"ok"}'
    )
    assert first[7] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("UPDATE audit_log SET actor = 'nobody' WHERE id = 2", 2),
        ("UPDATE audit_log SET at = '2026-11-21T07:39:46.000001Z' WHERE id = 1", 1),
        ("UPDATE audit_log SET params = '{}' WHERE id = 3", 3),
        ("UPDATE audit_log SET result = 'refused' WHERE id = 4", 4),
        ("UPDATE audit_log SET hash = previous_hash WHERE id = 2", 2),
        ("DELETE FROM audit_log WHERE id = 1", 1),
        ("DELETE FROM audit_log WHERE id = 2", 2),
        ("DELETE FROM audit_log WHERE id = 4", 4),
        ("DELETE FROM audit_log WHERE id > 2", 3),
        ("DELETE FROM audit_log", 1),
        ("DELETE FROM daemon_state WHERE key = 'audit_head'", 1),
        ("UPDATE audit_log SET id = 9 WHERE id = 4", 4),
        (
            "INSERT INTO audit_log SELECT 5, at, actor, action, params, result, hash, hash FROM audit_log WHERE id = 4",
            5,
        ),
    ],
)
async def test_chain_when_tampered_with_names_the_first_broken_row(store: Store, sql: str, row: int) -> None:
    audit = await filled(store)
    await store.execute(lambda connection: connection.execute(sql))
    broken = await audit.verify()
    assert isinstance(broken, Broken)
    assert broken.row_id == row
    assert broken.reason.endswith(".")


async def test_row_when_forged_with_a_right_hash_of_its_own_still_shows(store: Store) -> None:
    audit = await filled(store)

    def forge(connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM audit_log WHERE id = 2").fetchone())
        connection.row_factory = None
        row["actor"] = "nobody"
        connection.execute("UPDATE audit_log SET actor = 'nobody', hash = ? WHERE id = 2", (row_hash(row),))

    await store.execute(forge)
    broken = await audit.verify()
    assert broken is not None
    assert broken.row_id == 3


async def test_chain_when_cut_off_stays_broken_after_more_rows(store: Store) -> None:
    audit = await filled(store)
    await store.execute(lambda connection: connection.execute("DELETE FROM audit_log WHERE id = 4"))
    assert await audit.append("admin", "later", {}, "ok") == 5
    broken = await audit.verify()
    assert broken is not None
    assert broken.row_id == 4


async def test_params_when_they_hold_secrets_are_stored_without(store: Store) -> None:
    audit = audit_of(store)
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    params: dict[str, Any] = {
        "username": "trader1",
        "api_key": "hunter2",
        "patch": {"logins": [{"apiKey": "hunter2", "enabled": True}], "note": f"token is {token}"},
        "keyword": "stays",
        "password": None,
        "yaml": "logins:\n- username: a\n  api_key: hunter2\n",
    }
    await audit.append("admin", "set_credential", params, "ok")
    ((stored,),) = query(store.path, "SELECT params FROM audit_log")
    assert "hunter2" not in stored
    assert "eyJ" not in stored
    assert "stays" in stored
    assert params["api_key"] == "hunter2", "the caller's own value is not touched"
    assert without_secrets({"api_key": None}) == {"api_key": None}
    assert await audit.verify() is None


async def test_page_when_asked_for_is_newest_first(store: Store) -> None:
    audit = await filled(store, 5)
    assert [row["id"] for row in await audit.page(2)] == [5, 4]
    page = await audit.page(10, before_id=3)
    assert [(row["id"], row["params"]) for row in page] == [
        (2, {"id": 2, "reason": "x"}),
        (1, {"id": 1, "reason": "x"}),
    ]


async def test_append_when_the_disk_is_full_says_so(store: Store) -> None:
    audit = await filled(store, 1)
    pages = query(store.path, "PRAGMA page_count")[0][0]
    await store.execute(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}"))
    with pytest.raises(StoreError, match="full"):
        await audit.append("admin", "x", {"text": "x" * 100_000}, "ok")
    assert await audit.verify() is None


async def test_verify_when_many_rows_are_appended_at_once_is_whole(store: Store) -> None:
    import asyncio

    audit = audit_of(store)
    numbers = await asyncio.gather(*(audit.append("admin", "x", {"n": n}, "ok") for n in range(20)))
    assert sorted(numbers) == list(range(1, 21))
    assert await audit.verify() is None
