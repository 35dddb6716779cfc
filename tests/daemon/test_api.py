"""The methods of the socket, asked of a whole daemon: what they show is what the broker says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon import api
from daemon.ipc_sessions import CallContext, CallRate
from daemon.simulator import effects
from shared.models import RULE_NAMES
from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import TopicsParams
from tests.scenarios.world import World, accounts, broker, eventually, running, world

RISK = {"rules": {"daily_realized_loss": {"limit": -500}, "symbol_blocks": {"blocked_symbols": ["RTY"]}}}


async def traded(here: World) -> None:
    """One MNQ held with a stop, one round trip behind: a tick of spread lost."""
    here.trader().buy("MNQ", 1)
    here.trader().sell("MNQ", 1)
    here.trader().buy("MNQ", 2)
    here.trader().sell("MNQ", 2, kind="stop", stop=here.sim.quote("MNQ")[0] - 50, tag="mine")
    await eventually(lambda: here.service.engine.account(101).ledger.count == 3, "three trades")
    await eventually(lambda: here.service.engine.account(101).orders, "the stop")
    await here.quoted("MNQ")


async def test_reads_show_what_the_broker_says(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        await traded(here)
        (holding,) = here.sim.positions(101)
        (position,) = await here.call("get_positions", account_id=101)
        assert (position["contract_id"], position["size"], position["type"]) == (here.sim.contract("MNQ").id, 2, 1)
        assert float(position["average_price"]) == holding.payload()["averagePrice"]
        assert (position["symbol"], position["unrealized"]) == ("MNQ", "-1.00")
        (order,) = await here.call("get_orders", account_id=101)
        assert order["id"] in here.working() and order["custom_tag"] == "mine" and order["size"] == 2
        pnl = await here.call("get_pnl", account_id=101)
        assert (pnl["realized"], pnl["unrealized"], pnl["total"]) == ("-0.50", "-1.00", "-1.50")
        assert pnl["trade_count"] == 3
        trades = await here.call("get_trades", account_id=101)
        assert [trade["id"] for trade in trades] == [trade.id for trade in reversed(here.sim.trades(101))]
        assert [trade["pnl"] for trade in trades] == [None, "-0.50", None]
        curve = await here.call("get_pnl_curve", account_id=101)
        assert curve == sorted(curve) and "-0.50" in {point[1] for point in curve}
        sessions = await here.call("get_sessions", account_id=101)
        assert sessions["first_trade"] < sessions["last_trade"] and sessions["clock_in"] <= sessions["clock_out"]
        (account,) = await here.call("get_accounts")
        assert (account["account_id"], account["can_trade"], account["monitored"], account["positions"]) == (
            101,
            True,
            True,
            1,
        )


async def test_rules_are_all_listed_with_their_share_of_the_limit(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        here.sim.inject_trade(101, "NQ", -375)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        rows = {row["rule_id"]: row for row in await here.call("get_rules", account_id=101)}
        assert list(rows) == [name.rule_id for name in RULE_NAMES]
        loss = rows["RULE-003"]
        assert (loss["enabled"], loss["value"], loss["limit"], loss["share"]) == (True, "-375.00", "-500.00", 0.75)
        assert rows["RULE-001"]["enabled"] is False and rows["RULE-011"]["enabled"] is True


async def test_snapshot_of_a_subscription_holds_every_topic_that_was_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        await traded(here)
        heard: list[Any] = []
        topics = ["status", "accounts", "pnl", "positions", "orders", "trades", "lockouts", "rules", "config"]
        await here.client.subscribe(topics, heard.append)
        snapshot = heard[0].data
        assert set(snapshot) == set(topics)
        assert [row["size"] for row in snapshot["positions"]["101"]] == [2]
        assert len(snapshot["trades"]["101"]) == 3 and len(snapshot["orders"]["101"]) == 1


WRONG: list[tuple[str, dict[str, Any], ErrorCode]] = [
    ("get_positions", {"account_id": 999}, ErrorCode.UNKNOWN_ACCOUNT),
    ("get_lockouts", {"account_id": 999}, ErrorCode.UNKNOWN_ACCOUNT),
    ("get_pnl", {}, ErrorCode.INVALID_PARAMS),
    ("get_pnl", {"account_id": "101"}, ErrorCode.INVALID_PARAMS),
    ("get_enforcement_log", {"limit": 0}, ErrorCode.INVALID_PARAMS),
    ("lock_account", {"account_id": 101, "reason": "x"}, ErrorCode.INVALID_PARAMS),
    ("lock_account", {"account_id": 101, "until": "2020-01-01T00:00:00Z", "reason": "x"}, ErrorCode.INVALID_PARAMS),
    ("lock_account", {"account_id": 101, "until": "2036-01-01T00:00:00Z", "reason": "x"}, ErrorCode.INVALID_PARAMS),
    ("unlock_account", {"account_id": 101}, ErrorCode.METHOD_NOT_FOUND),
    ("stop_daemon", {}, ErrorCode.NOT_AUTHORIZED),
]


async def test_wrong_calls_are_refused_with_their_code_and_change_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        for method, params, code in WRONG:
            with pytest.raises(RpcError) as refused:
                await here.client.call(method, params)
            assert refused.value.code == code, method
        assert here.locks() == {} and 999 not in here.service.engine.accounts


async def test_account_that_could_not_be_read_is_not_shown_as_flat(tmp_path: Path) -> None:
    made = World(tmp_path, RISK)
    async with running(made, prepare=lambda sim: sim.trader(101).buy("MNQ", 1)) as here:
        await here.call("lock_account", account_id=101, minutes=60, reason="known after the restart")
        await here.stop()
        here.sim.faults.add(effects.Reset(), path="*")
        here.timings = replace(here.timings, start=0.3)
        await here.start(healthy=False)
        assert len(await here.call("get_lockouts", account_id=101)) == 1
        for method in ("get_positions", "get_orders", "get_pnl"):
            with pytest.raises(RpcError) as refused:
                await here.call(method, account_id=101)
            assert refused.value.code == ErrorCode.GATEWAY_UNREACHABLE, method
        heard: list[Any] = []
        await here.client.subscribe(["accounts", "positions", "orders", "pnl", "lockouts"], heard.append)
        snapshot = heard[0].data
        assert [topic for topic in snapshot if "101" in snapshot[topic]] == ["accounts", "lockouts"]
        here.sim.faults.clear()
        await eventually(lambda: here.service.status() == "healthy", "read at last", 15)
        assert await here.call("get_orders", account_id=101) == []
        assert (await here.call("get_pnl", account_id=101))["unrealized"] is not None
        told = {"positions", "orders", "pnl"}
        await eventually(lambda: told <= {message.topic for message in heard[1:]}, "told as soon as it is known")


async def test_lock_until_a_time_lasts_until_then(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        rows = await here.call("lock_account", account_id=101, until="2026-12-02T16:00:00Z", reason="lunch")
        assert [row["expires_at"] for row in rows] == ["2026-12-02T16:00:00.000000Z"]
        assert "lunch" in rows[0]["reason"] and rows[0]["kind"] == "manual"
        history = await here.call("get_lockout_history", account_id=101)
        assert [row["id"] for row in history] == [rows[0]["id"]]


async def test_locks_by_hand_when_there_are_too_many_are_refused_for_that_account_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "LOCKS_BY_HAND", CallRate(5.0, 0.001))
    async with world(tmp_path, RISK, config=broker(accounts(101, 102))) as here:
        for minutes in range(1, 6):
            await here.call("lock_account", account_id=101, minutes=minutes, reason="again")
        for _ in range(3):
            with pytest.raises(RpcError) as refused:
                await here.call("lock_account", account_id=101, minutes=60, reason="again")
            assert refused.value.code == ErrorCode.BUSY and "Account 101" in refused.value.message
            assert isinstance(refused.value.data, dict) and refused.value.data["retry_after"] > 1
        assert len(here.locks()) == 1
        (locked,) = await here.call("lock_account", account_id=102, minutes=5, reason="me too")
        assert locked["account_id"] == 102
        admin = await here.admin()
        await admin.call("lock_accounts", {"account_ids": [101], "minutes": 600, "reason": "for today"})
        (row,) = await here.call("get_lockouts", account_id=101)
        assert "for today" in row["reason"]
        await admin.close()


async def test_snapshot_of_a_subscription_rests_between_its_parts(tmp_path: Path) -> None:
    async with world(tmp_path, RISK, config=broker(accounts(101, 102))) as here:
        await eventually(lambda: all(account.reconciled for account in here.service.engine.accounts.values()))
        rests = 0

        async def pause() -> None:
            nonlocal rests
            rests += 1

        context = CallContext(1, False, False, pause)
        topics = TopicsParams(topics=["rules", "trades", "positions"])
        snapshot = await here.service.api.subscribe(topics, context)
        assert rests == 6 and [set(rows) for rows in snapshot.values()] == [{"101", "102"}] * 3


async def test_admin_methods_answer_and_are_audited(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        admin = await here.admin()
        shown: Any = await admin.call("get_config")
        assert shown["active"]["risk_config.yaml"]["rules"]["daily_realized_loss"]["limit"] == "-500"
        assert "key-of-trader1" not in str(shown)
        backup: Any = await admin.call("backup_now")
        assert (here.home.backups / backup["file"]).exists()
        steps: Any = await admin.call("test_connection", {"username": "trader1"}, timeout=30)
        assert len(steps) >= 3 and all(step["ok"] for step in steps), steps
        log: Any = await admin.call("get_audit_log", {"limit": 50})
        assert log["intact"] is True
        assert {"backup_now", "test_connection"} <= {row["action"] for row in log["rows"]}
        assert "key-of-trader1" not in str(log)
        assert await admin.call("stop_daemon", {"reason": "test"}) == {"stopping": True}
        await admin.close()
        assert here.service.status() == "stopping"


async def test_what_is_not_here_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        for method in ("get_enforcement_log", "get_lockout_history"):
            with pytest.raises(RpcError) as refused:
                await here.call(method, account_id=999)
            assert refused.value.code == ErrorCode.UNKNOWN_ACCOUNT, method
            assert await here.call(method, account_id=101) == []
        admin = await here.admin()
        with pytest.raises(RpcError) as ghost:
            await admin.call("test_connection", {"username": "ghost"}, timeout=30)
        assert ghost.value.code == ErrorCode.INVALID_PARAMS
        assert ghost.value.message == "test_connection: there is no login ghost in accounts.yaml."
        await admin.close()


async def test_reason_when_it_holds_unseen_characters_is_kept_in_one_plain_line(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        rows = await here.call("lock_account", account_id=101, minutes=5, reason="a\nb\u202ec\x1b[31m\u200bd")
        assert "a b c [31m d" in rows[0]["reason"]
        assert rows[0]["reason"].isprintable()
