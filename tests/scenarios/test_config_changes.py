"""Changing protection while the daemon runs: what tightens applies at once, what loosens waits for the reset."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.simulator import Account, Login
from shared.protocol import ErrorCode, RpcError
from shared.rpc_client import RpcClient
from tests.scenarios.world import World, accounts, broker, eventually, running, world, write_accounts, write_risk

AFTER_RESET = datetime(2026, 12, 2, 22, 0, 5, tzinfo=UTC)


def loss(limit: int, **more: Any) -> dict[str, Any]:
    """A configuration with that daily loss limit."""
    return {"rules": {"daily_realized_loss": {"limit": limit}}, **more}


async def asked(client: RpcClient, method: str, params: dict[str, Any] | None = None) -> Any:
    """A call's result, whatever its shape."""
    return await client.call(method, params)


def limit(here: World, account: int = 101) -> int:
    """The daily loss limit in force, dollars."""
    rule = here.service.engine.config.rules_for(account).daily_realized_loss
    assert rule is not None
    return int(rule.limit)


async def test_tightening_applies_at_once_and_is_judged_at_once(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        here.sim.inject_trade(101, "NQ", -300)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        admin = await here.admin()
        result = await asked(admin, "set_config", {"patch": {"rules": {"daily_realized_loss": {"limit": -250}}}})
        await admin.close()
        assert [change["path"] for change in result["applied"]] == ["rules.daily_realized_loss.limit"]
        assert result["pending"] == []
        await here.locked("RULE-003")
        assert yaml.safe_load(here.home.risk_config_file.read_text())["rules"]["daily_realized_loss"]["limit"] == -250
        (row,) = await here.rows(
            "SELECT action, result FROM audit_log WHERE action = 'set_config' AND result <> 'begun'"
        )
        assert row["result"] == "done"


async def test_loosening_waits_for_the_reset_over_restarts(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        admin = await here.admin()
        await asked(admin, "set_config", {"patch": {"rules": {"daily_realized_loss": {"limit": -5000}}}})
        (pending,) = await asked(admin, "get_pending_config")
        assert (pending["path"], pending["effective_at"]) == (
            "rules.daily_realized_loss.limit",
            "2026-12-02T22:00:00.000000Z",
        )
        assert (await here.call("get_status"))["pending_config"] == 1
        await admin.close()
        assert limit(here) == -500
        await here.stop()
        await here.start()
        assert limit(here) == -500
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.travel_to(AFTER_RESET)
        await eventually(lambda: limit(here) == -5000, "in force")
        await eventually(lambda: here.locks() == {}, "free")
        assert (await here.call("get_status"))["pending_config"] == 0
        here.sim.inject_trade(101, "NQ", -600)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        assert here.locks() == {}


async def test_waiting_change_can_be_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        admin = await here.admin()
        await asked(admin, "set_config", {"patch": {"rules": {"daily_realized_loss": {"enabled": False}}}})
        (pending,) = await asked(admin, "get_pending_config")
        assert await asked(admin, "cancel_pending_config", {"id": pending["id"]}) == []
        await admin.close()
        await here.travel_to(AFTER_RESET)
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")


async def test_edited_file_is_taken_in_by_itself_by_the_same_path(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        write_risk(here.home, loss(-5000, policy={"loosen": "immediately"}))
        await eventually(lambda: here.service.configuration.pending_count == 2, "noticed", 8)
        # 'immediately' is itself a loosening: it can't let itself in.
        assert limit(here) == -500
        write_risk(here.home, loss(-100))
        await eventually(lambda: limit(here) == -100, "tightened", 8)
        assert here.service.configuration.pending_count == 0


async def test_override_of_one_account_concerns_that_one_alone(tmp_path: Path) -> None:
    risk = loss(-500, accounts={101: {"rules": {"daily_realized_loss": {"limit": -250}}}})
    async with world(tmp_path, risk, config=broker(accounts(101, 102))) as here:
        for account in (101, 102):
            here.sim.inject_trade(account, "NQ", -300)
        await here.locked("RULE-003", 101)
        await eventually(lambda: here.service.engine.account(102).ledger.count == 1)
        assert here.locks(102) == {}
        rules = {row["rule_id"]: row for row in await here.call("get_rules", account_id=101)}
        assert rules["RULE-003"]["limit"] == "-250.00"
        # Dropping the override is looser for that account, and waits.
        write_risk(here.home, loss(-500))
        await eventually(lambda: here.service.configuration.pending_count > 0, "waits", 8)
        assert (limit(here, 101), limit(here, 102)) == (-250, -500)


async def test_login_added_while_running_is_protected_and_a_removed_one_only_after_the_reset(tmp_path: Path) -> None:
    both = [Login("trader1", "key-1", [Account(101)]), Login("trader2", "key-2", [Account(201)])]
    made = World(tmp_path, loss(-500), config=broker(both))
    async with running(made, started=False) as here:
        write_accounts(here.home, here.sim, both[:1])
        await here.start()
        assert set(here.service.engine.accounts) == {101}
        write_accounts(here.home, here.sim, both)
        await eventually(lambda: 201 in here.service.engine.accounts, "added", 10)
        here.sim.trader(201).buy("MNQ", 1)
        here.sim.inject_trade(201, "NQ", -500)
        await eventually(lambda: here.flat(201), "enforced", 10)
        write_accounts(here.home, here.sim, both[1:])
        await eventually(lambda: here.service.configuration.pending_count > 0, "removal waits", 10)
        here.sim.trader(101).buy("MNQ", 1)
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003", 101)
        await eventually(lambda: here.flat(101), "still protected")
        await here.travel_to(AFTER_RESET)
        await eventually(lambda: 101 not in here.service.gateways.status().accounts, "gone after the reset", 10)
        assert 201 in here.service.gateways.status().accounts


async def test_lockout_is_cleared_only_by_the_admin_with_a_reason_and_after_the_delay(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        (lockout,) = await here.call("get_lockouts")
        params = {"id": lockout["id"], "reason": "traded by mistake"}
        with pytest.raises(RpcError) as refused:
            await here.client.call("clear_lockout", params)
        assert refused.value.code == ErrorCode.NOT_AUTHORIZED
        admin = await here.admin()
        with pytest.raises(RpcError) as without:
            await asked(admin, "clear_lockout", {"id": lockout["id"]})
        assert without.value.code == ErrorCode.INVALID_PARAMS
        assert (await asked(admin, "clear_lockout", params))["delay_minutes"] == 15
        await here.travel(14 * 60)
        assert here.locks() == {"RULE-003": "hard"}
        # Asked for again, it does not come later; a restart does not forget it.
        await asked(admin, "clear_lockout", params)
        await admin.close()
        await here.stop()
        await here.start()
        assert here.locks() == {"RULE-003": "hard"}
        await here.travel(70)
        await eventually(lambda: here.locks() == {}, "free")
        (row,) = await here.rows("SELECT cleared_by FROM lockouts")
        assert row["cleared_by"] == "admin"
        audited = await here.rows("SELECT action, result FROM audit_log ORDER BY id")
        assert [row["action"] for row in audited].count("clear_lockout") >= 2


async def test_clear_is_refused_by_policy_and_for_what_only_the_gateway_ends(tmp_path: Path) -> None:
    forbidden = loss(-500, policy={"admin_unlock": {"allowed": False}})
    forbidden["rules"]["auth_loss_guard"] = {}
    async with world(tmp_path, forbidden) as here:
        here.sim.set_can_trade(101, False)
        await here.locked("RULE-010")
        (lockout,) = await here.call("get_lockouts")
        admin = await here.admin()
        for _ in range(2):
            with pytest.raises(RpcError) as refused:
                await asked(admin, "clear_lockout", {"id": lockout["id"], "reason": "please"})
            assert refused.value.code == ErrorCode.REFUSED_BY_POLICY
        await admin.close()
        rows = await here.rows("SELECT result FROM audit_log WHERE action = 'clear_lockout' ORDER BY id")
        assert [row["result"].partition(":")[0] for row in rows] == ["begun", "refused"] * 2


async def test_trader_locks_himself_and_nothing_unlocks_him(tmp_path: Path) -> None:
    async with world(tmp_path, {}) as here:
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.service.engine.account(101).positions)
        await here.call("lock_account", account_id=101, minutes=60, reason="enough")
        await eventually(here.flat, "flat")
        await here.call("lock_account", account_id=101, minutes=1, reason="shorter?")
        (row, *_) = await here.rows("SELECT * FROM lockouts ORDER BY id")
        assert row["kind"] == "manual" and "enough" in row["reason"]
        await here.travel(120)
        assert here.locks() == {"MANUAL": "manual"} or list(here.locks().values()) == ["manual"]
        await here.travel(3600)
        await eventually(lambda: here.locks() == {}, "free")
        with pytest.raises(RpcError):
            await here.call("lock_account", account_id=999, minutes=1, reason="no such account")


async def test_subscriber_gets_the_snapshot_and_then_what_happens(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        heard: list[Any] = []
        await here.client.subscribe(["accounts", "lockouts", "enforcement", "positions", "pnl"], heard.append)
        here.trader().buy("MNQ", 1)
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await eventually(here.flat, "flat")
        await eventually(lambda: any("confirmed" in str(message) for message in heard), "the close is told")
        assert "RULE-003" in str(heard) and "lockout_set" in str(heard)
        await asyncio.sleep(0)


async def test_port_when_changed_is_said_to_count_from_the_next_start_and_does(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        admin = await here.admin()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        result = await asked(admin, "set_config", {"patch": {"ipc": {"port": port}, "logging": {"level": "DEBUG"}}})
        assert {row["path"]: row["takes_effect"] for row in result["applied"]} == {
            "ipc.port": "next start",
            "logging.level": "now",
        }
        assert await asked(admin, "get_status"), "the socket is where it was"
        here.service.logs.flush()
        said = (here.home.logs / "daemon.log").read_text(encoding="utf-8")
        assert "Changes that take effect at the next start: ipc.port " in said
        await admin.close()
        await here.stop()
        await here.start()
        assert json.loads(here.home.endpoint.read_text(encoding="utf-8"))["port"] == port


async def test_changes_are_logged_as_people_write_them_and_those_that_wait_once(tmp_path: Path) -> None:
    async with world(tmp_path, loss(-500)) as here:
        admin = await here.admin()
        rules: dict[str, Any] = {"daily_realized_loss": {"limit": -900}, "symbol_blocks": {"blocked_symbols": ["RTY"]}}
        await asked(admin, "set_config", {"patch": {"rules": rules}})
        here.home.risk_config_file.write_text("rules: {\n", encoding="utf-8")
        for _ in range(2):
            await asked(admin, "reload_config")
        await asked(admin, "set_config", {"yaml": yaml.safe_dump({"ipc": {"port": 0}, "rules": rules})})
        await admin.close()
        here.service.logs.flush()
        lines = (here.home.logs / "daemon.log").read_text(encoding="utf-8").splitlines()
        told = [line for line in lines if "daemon.configuration" in line]
        assert not [line for line in told if "Decimal" in line or "None" in line or "'" in line], told
        assert any("rules.symbol_blocks added as {" in line and "blocked_symbols: [RTY]" in line for line in told), told
        (waits,) = [line for line in told if "loosen protection wait" in line]
        assert waits.endswith("rules.daily_realized_loss.limit changed from -500 to -900.")
