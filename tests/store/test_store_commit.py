"""What is committed comes back after a restart."""

from __future__ import annotations

import copy
from pathlib import Path

from daemon.core.decisions import (
    Act,
    Alert,
    DayChanged,
    Lock,
    LockChanged,
    Remember,
    Settle,
    Unlock,
    Warn,
)
from daemon.core.events import AccountUpdate, ContractSeen, PositionUpdate, Quote, TradeUpdate
from daemon.store import SavedAccount, SavedPnl, SavedReset
from shared.models import ActionKind, ActionResult, LockoutKind
from tests.store.samples import MNQ, NOW, action, contract, lockout, open_store, position, query, sound, trade


async def test_lockout_when_committed_is_on_disk_before_the_call_returns(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert await store.commit([Lock(lockout()), Act(action())], NOW) is True
    # No flush, no close: another connection must see it at once.
    assert query(store.path, "SELECT id, account_id, kind, locked_at, cleared_at FROM lockouts") == [
        (1, 101, "hard", "2026-11-21T07:39:46.000001Z", None)
    ]
    assert [row[0] for row in query(store.path, "SELECT action FROM enforcement_log ORDER BY id")] == [
        "lockout_set",
        "close_position",
    ]
    await store.close()


async def test_state_when_restarted_is_what_was_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    held = lockout(2, kind=LockoutKind.COOLDOWN, baseline={MNQ: -3}, expires_at=None, symbol="NQ")
    await store.commit([Lock(lockout(1)), Lock(held), Act(action(4, order_id=8, stop_price=5, target=1))], NOW)
    store.record_attempt(4, 3)
    await store.commit([Remember(101, "peak", {"equity": 7, "days": ["a"]}), DayChanged(NOW, 101, "2026-11-21")], NOW)
    store.record_pnl(101, "2026-11-21", -510_740_000, 3, NOW)
    store.put_state("clock", {"highest": NOW})
    store.record_event(AccountUpdate(NOW, 101, "trader1", "Practice", True, 50_000_000_000))
    store.record_event(AccountUpdate(NOW + 1, 101, "trader1", "Practice", False, None))
    store.record_event(ContractSeen(NOW, contract()))
    store.record_event(PositionUpdate(NOW, 101, position(-2)))
    store.record_event(TradeUpdate(NOW, 101, trade()))
    store.record_event(Quote(NOW, MNQ, 1, 2, 3))
    assert await store.close()

    store = open_store(tmp_path)
    state = store.load(NOW)
    assert state.lockouts == [lockout(1), held]
    assert state.actions == [action(4, order_id=8, stop_price=5, target=1)]
    assert state.attempts == {4: 3}
    assert state.memories == {101: {"peak": {"equity": 7, "days": ["a"]}}}
    assert state.resets == [SavedReset(101, "2026-11-21", NOW, None)]
    assert state.daily_pnl == [SavedPnl(101, "2026-11-21", -510_740_000, 3)]
    assert state.daemon == {"clock": {"highest": NOW}}
    assert state.accounts == [SavedAccount(101, "trader1", "Practice", False, 50_000_000_000)]
    assert state.contracts == [contract()]
    assert state.positions == {101: [position(-2)]}
    assert state.trades == {101: [trade()]}
    assert (state.last_lockout_id, state.last_action_id) == (2, 4)
    assert (state.salvaged_from, state.lockouts_unknown) == (None, False)
    await store.close()
    assert sound(store.path)


async def test_lockout_when_ended_is_kept_with_its_cause(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Lock(lockout(1)), Lock(lockout(2))], NOW)
    ended = lockout(1, cleared_at=NOW + 50, cleared_by="expiry")
    assert await store.commit([Unlock(ended)], NOW + 50)
    state = store.load(NOW + 50)
    assert (state.lockouts, state.ended) == ([lockout(2)], [ended])
    assert store.load(NOW + 51).ended == []
    log = await store.enforcement_log(101)
    assert [row["action"] for row in log] == ["lockout_cleared", "lockout_set", "lockout_set"]
    assert (log[0]["lockout_id"], log[0]["reason"], log[0]["result"]) == (
        1,
        "Daily realized loss: lockout ended (expiry).",
        "confirmed",
    )
    await store.close()


async def test_lockout_when_changed_by_the_core_afterwards_keeps_what_was_committed(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    one = lockout(baseline={MNQ: 2})
    committed = copy.deepcopy(one)
    pending = store.commit([Lock(one)], NOW)
    task = pending.__await__()
    next(task)  # submitted, not yet done
    one.baseline[MNQ] = 99
    one.reason = "changed"
    await store.flush()
    assert store.load(0).lockouts == [committed]
    assert await store.commit([LockChanged(one)], NOW)
    assert store.load(0).lockouts == [one]
    await store.close()


async def test_action_when_settled_is_confirmed_and_no_longer_open(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Act(action(1)), Act(action(2)), Act(action(3))], NOW)
    store.record_attempt(1, 2)
    await store.commit([Settle(action(1), ActionResult.CONFIRMED, NOW + 9)], NOW + 9)
    await store.commit([Settle(action(2), ActionResult.SUPERSEDED, NOW + 9)], NOW + 9)
    store.record_attempt(1, 5)  # its answer came after the position's own event
    await store.flush()
    log = {row["action_id"]: row for row in await store.enforcement_log()}
    assert (log[1]["result"], log[1]["confirmed_at"], log[1]["attempts"]) == (
        "confirmed",
        "2026-11-21T07:39:46.000009Z",
        5,
    )
    assert (log[2]["result"], log[2]["confirmed_at"]) == ("superseded", None)
    assert (log[3]["result"], log[3]["confirmed_at"], log[3]["size"]) == (None, None, 2)
    assert [a.id for a in store.load(0).actions] == [3]
    await store.close()


async def test_action_when_settled_after_a_restart_keeps_its_row(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Act(action(1, kind=ActionKind.CANCEL_ORDER, order_id=5))], NOW)
    await store.close()
    store = open_store(tmp_path)
    (again,) = store.load(0).actions
    await store.commit([Settle(again, ActionResult.FAILED, NOW)], NOW)
    await store.commit([Lock(lockout())], NOW)
    log = await store.enforcement_log()
    assert [(row["id"], row["action"], row["result"]) for row in log] == [
        (2, "lockout_set", "confirmed"),
        (1, "cancel_order", "failed"),
    ]
    await store.close()


async def test_action_when_settled_without_a_known_begin_is_logged(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Settle(action(7), ActionResult.CONFIRMED, NOW)], NOW)
    (row,) = await store.enforcement_log()
    assert (row["action_id"], row["result"]) == (7, "confirmed")
    assert store.load(0).actions == []
    await store.close()


async def test_actions_of_the_last_run_when_superseded_are_open_no_more(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Act(action(1)), Act(action(2)), Settle(action(2), ActionResult.CONFIRMED, NOW)], NOW)
    await store.close()
    store = open_store(tmp_path)
    store.supersede_unfinished(NOW + 9)
    await store.commit([Act(action(3))], NOW + 9)
    await store.flush()
    assert [one.id for one in store.load(0).actions] == [3]
    log = {row["action_id"]: (row["result"], row["settled_at"]) for row in await store.enforcement_log()}
    assert log[1] == ("superseded", "2026-11-21T07:39:46.000009Z")
    assert log[2][0] == "confirmed"
    await store.close()


async def test_decisions_that_store_nothing_are_accepted(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert await store.commit([Warn(NOW, 101, "RULE-003", 50, "half"), Alert(NOW, None, "x")], NOW)
    assert await store.commit([], NOW)
    assert await store.enforcement_log() == []
    await store.close()


async def test_enforcement_log_when_paged_goes_back_in_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    await store.commit([Act(action(n, account_id=101 + n % 2)) for n in range(1, 11)], NOW)
    page = await store.enforcement_log(102, limit=2)
    assert [row["action_id"] for row in page] == [9, 7]
    page = await store.enforcement_log(102, limit=9, before_id=page[-1]["id"])
    assert [row["action_id"] for row in page] == [5, 3, 1]
    await store.close()


async def test_rows_for_the_socket_are_texts(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record_event(TradeUpdate(NOW, 101, trade(pnl=-166_670_000, voided=True)))
    await store.commit([Lock(lockout(baseline={MNQ: 1}))], NOW)
    (row,) = await store.trade_log(101, 0)
    assert (row["profit_and_loss"], row["fees"], row["price"], row["voided"]) == ("-166.67", "0.74", "21000.25", True)
    (locked,) = await store.lockout_history(101)
    assert (locked["baseline"], locked["expires_at"]) == ({MNQ: 1}, "2026-11-21T08:39:46.000000Z")
    assert await store.lockout_history(999) == []
    await store.close()


async def test_state_value_when_set_to_none_is_forgotten(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.put_state("a", [1])
    assert await store.commit_state("b", {"x": None})
    store.put_state("a", None)
    await store.flush()
    assert store.load(0).daemon == {"b": {"x": None}}
    await store.close()


async def test_store_when_closed_twice_is_fine_and_takes_no_more(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert await store.close()
    assert await store.close()
    assert await store.commit([Lock(lockout())], NOW) is False


async def test_lockout_when_times_and_texts_are_odd_is_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    odd = lockout(reason="\0 'quoted' \N{PILE OF POO} \n", expires_at=10**20, cause="x" * 100_000)
    assert await store.commit([Lock(odd)], NOW)
    (back,) = store.load(0).lockouts
    assert (back.reason, back.cause) == (odd.reason, odd.cause)
    assert back.expires_at == 253_402_300_799_999_999
    await store.close()


async def test_connection_when_idle_or_after_a_flush_syncs_every_commit(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    modes: list[object] = []

    async def note() -> None:
        modes.append(await store.execute(lambda connection: connection.execute("PRAGMA synchronous").fetchone()[0]))

    await note()
    store.put_state("a", 1)
    await store.flush()
    await note()
    await store.commit([Lock(lockout())], NOW)
    await note()
    assert modes == [2, 2, 2]  # FULL
    assert await store.execute(lambda c: c.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"
    await store.close()
