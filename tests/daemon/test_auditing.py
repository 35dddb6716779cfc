"""What may weaken protection is noted before it is done, or it is not done; what was done is never called failed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.auditing import audited
from daemon.ipc_sessions import CallContext
from daemon.store import StoreError
from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import ClearLockoutParams, LockAccountsParams, Params
from tests.daemon.admin_world import desk

ADMIN = CallContext(connection_id=1, admin=True, second_factor_ok=True)
FULL = "The disk that holds state.db is full: free some space."
CLEAR = ClearLockoutParams(id=1, reason="please")


class Notes:
    """An audit log that takes so many rows and then finds the disk full."""

    def __init__(self, rows: int) -> None:
        self.left = rows
        self.results: list[str] = []

    async def append(self, actor: str, action: str, params: Mapping[str, object], result: str) -> object:
        if self.left == 0:
            raise StoreError(FULL)
        self.left -= 1
        self.results.append(result)
        return len(self.results)


class Work:
    def __init__(self, error: Exception | None = None) -> None:
        self.done = 0
        self.error = error

    async def __call__(self, params: Params, context: CallContext) -> object:
        if self.error is not None:
            raise self.error
        self.done += 1
        return {"done": True}


async def test_what_weakens_when_it_cannot_be_noted_is_refused_and_not_done() -> None:
    work = Work()
    with pytest.raises(RpcError) as refused:
        await audited(Notes(0), "clear_lockout", work)(CLEAR, ADMIN)
    assert refused.value.code == ErrorCode.BUSY
    assert "was not done" in refused.value.message and "is full: free some space" in refused.value.message
    assert work.done == 0


async def test_what_weakens_when_only_its_end_cannot_be_noted_is_answered_as_done() -> None:
    work, notes = Work(), Notes(1)
    assert await audited(notes, "clear_lockout", work)(CLEAR, ADMIN) == {"done": True}
    assert notes.results == ["begun"]


async def test_what_only_protects_when_it_cannot_be_noted_is_done_all_the_same() -> None:
    work = Work()
    params = LockAccountsParams(minutes=5, reason="news")
    assert await audited(Notes(0), "lock_accounts", work)(params, ADMIN) == {"done": True}
    assert work.done == 1


@pytest.mark.parametrize(
    ("error", "result"),
    [(StoreError(FULL), f"failed: {FULL}"), (OSError(28, "No space left on device"), "failed: [Errno 28]")],
)
async def test_what_cannot_be_stored_is_busy_and_noted_as_failed(error: Exception, result: str) -> None:
    notes = Notes(9)
    with pytest.raises(RpcError) as refused:
        await audited(notes, "cancel_pending_config", Work(error))(CLEAR, ADMIN)
    assert refused.value.code == ErrorCode.BUSY
    assert notes.results[0] == "begun" and notes.results[1].startswith(result)


async def test_refusal_when_it_cannot_be_noted_stays_the_refusal() -> None:
    error = RpcError(ErrorCode.REFUSED_BY_POLICY, "Refused by policy.")
    with pytest.raises(RpcError) as refused:
        await audited(Notes(1), "clear_lockout", Work(error))(CLEAR, ADMIN)
    assert refused.value is error


async def test_clear_lockout_when_the_disk_is_full_leaves_the_account_locked(tmp_path: Path) -> None:
    async with desk(tmp_path, {"policy": {"admin_unlock": {"delay_minutes": 0}}, "rules": {}}) as here:
        (lockout, *_) = await here.call("lock_account", account_id=101, minutes=600, reason="x")
        store = here.world.service.store

        def fill(connection: Any) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        await store.execute(fill)
        error = None
        for _ in range(50):
            # Long reasons fill what room the last pages have.
            try:
                await here.call("clear_lockout", id=999, reason="x" * 490)
            except RpcError as caught:
                error = caught
            if error is not None and error.code == ErrorCode.BUSY:
                break
        refused = await here.refused("clear_lockout", id=lockout["id"], reason="y" * 490)
        assert refused.code == ErrorCode.BUSY and "full" in refused.message
        assert [row["id"] for row in await here.call("get_lockouts", account_id=101)] == [lockout["id"]]


async def test_key_when_set_by_patch_is_in_no_row_of_the_audit_log(tmp_path: Path) -> None:
    async with desk(tmp_path, {"rules": {}}) as here:
        for path in (["logins", "trader1", "api_key"], "logins.trader1.api_key", "logins.trader1"):
            patch = [{"path": path, "value": "Qw99-never-in-a-file"}]
            try:
                await here.call("set_config", file="accounts.yaml", patch=patch)
            except RpcError:
                continue
        log = str(await here.call("get_audit_log")) + str(await here.call("get_log"))
        assert "set_config" in log and "Qw99" not in log
        database = here.world.home.database
        for part in (database, database.with_name(database.name + "-wal")):
            assert b"Qw99" not in part.read_bytes()
