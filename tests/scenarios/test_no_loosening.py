"""Nobody gets a locked account freed, or its limits loosened, before their time: random calls of traders and admins."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from shared.config_changes import diff
from shared.protocol import ErrorCode, RpcError
from shared.rpc_client import RpcClient
from tests.scenarios.world import World, accounts, broker, eventually, running, write_risk

RISK: dict[str, Any] = {
    "rules": {
        "daily_realized_loss": {"limit": -500},
        "max_contracts": {"limit": 5},
        "symbol_blocks": {"blocked_symbols": ["RTY"]},
        "trade_frequency_limit": {"limits": {"per_minute": 10}},
    },
    "accounts": {101: {"rules": {"daily_realized_loss": {"limit": -250}}}},
}
READS = ("get_status", "get_accounts", "get_lockouts", "get_lockout_history")
OF_ACCOUNT = ("get_positions", "get_orders", "get_pnl", "get_rules", "get_trades", "get_pnl_curve", "get_sessions")
ADMIN_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("clear_lockout", {"id": 1, "reason": "let me"}),
    ("set_config", {"patch": {"rules": {"daily_realized_loss": {"limit": -9000}}}}),
    ("reload_config", {}),
    ("get_config", {}),
    ("stop_daemon", {"reason": "off"}),
    ("cancel_pending_config", {"id": "000000000000"}),
    ("backup_now", {}),
    ("set_credential", {"username": "trader1", "api_key": "wrong"}),
)


def some_change(chance: random.Random) -> dict[str, Any]:
    """A patch that tightens, loosens, or does both."""
    patches: list[dict[str, Any]] = [
        {"rules": {"daily_realized_loss": {"limit": chance.choice((-100, -400, -800, -5000))}}},
        {"rules": {"daily_realized_loss": {"enabled": chance.random() < 0.5}}},
        {"rules": {"max_contracts": {"limit": chance.randint(1, 50)}}},
        {"rules": {"max_contracts": None}},
        {"rules": {"symbol_blocks": {"blocked_symbols": chance.choice(([], ["RTY"], ["ES"], ["RTY", "ES"]))}}},
        {"rules": {"trade_frequency_limit": {"limits": {"per_minute": chance.choice((5, 50, None))}}}},
        {"reset": {"time": chance.choice(("10:05", "12:00", "17:00", "23:00"))}},
        {"reset": {"timezone": chance.choice(("UTC", "Asia/Tokyo", "America/New_York"))}},
        {"policy": {"loosen": chance.choice(("immediately", "next_reset"))}},
        {"policy": {"admin_unlock": {"allowed": chance.random() < 0.5, "delay_minutes": chance.choice((0, 15, 600))}}},
        {"policy": {"pnl_basis": chance.choice(("net", "gross"))}},
        {"accounts": None},
        {"accounts": {101: {"rules": {"daily_realized_loss": {"limit": -9000}}}}},
    ]
    return chance.choice(patches)


class Witness:
    """Knows the strictest that was ever in force, and that it must never become less."""

    def __init__(self, here: World) -> None:
        self.here = here
        self.config = here.service.engine.config
        self.locks: dict[int, int | None] = {}
        self.look()

    def look(self) -> None:
        """Compare now with before."""
        engine = self.here.service.engine
        loosened = [change.path for change in diff(self.config, engine.config) if change.effect == "loosens"]
        assert not loosened, f"loosened before its time: {loosened}"
        self.config = engine.config
        active = {lock.id: lock.expires_at for account in engine.accounts.values() for lock in account.locks.values()}
        for number, end in self.locks.items():
            if end is not None and end <= engine.now:
                continue
            assert number in active, f"lockout {number} has gone"
            now_ends = active[number]
            assert now_ends is None or (end is not None and now_ends >= end), f"lockout {number} was shortened"
        self.locks = active


async def _trader(client: RpcClient, chance: random.Random) -> None:
    """One call as anybody on the machine can make it."""
    kind = chance.randrange(5)
    if kind == 0:
        minutes = chance.choice((1, 5, 600))
        params = {"account_id": chance.choice((101, 102)), "minutes": minutes, "reason": "enough"}
        await client.call("lock_account", params)
    elif kind == 1:
        await client.call(chance.choice(READS))
    elif kind == 2:
        await client.call(chance.choice(OF_ACCOUNT), {"account_id": chance.choice((101, 102))})
    elif kind == 3:
        await client.subscribe(chance.sample(["accounts", "pnl", "lockouts", "rules"], 2), lambda message: None)
    else:
        method, params = chance.choice(ADMIN_CALLS)
        with pytest.raises(RpcError) as refused:
            await client.call(method, params)
        assert refused.value.code == ErrorCode.NOT_AUTHORIZED


async def tried(client: RpcClient, method: str, params: dict[str, Any]) -> None:
    """A call that may be refused for what it asks, but not for another reason."""
    try:
        await client.call(method, params)
    except RpcError as error:
        if error.code not in {ErrorCode.INVALID_PARAMS, ErrorCode.REFUSED_BY_POLICY}:
            raise


async def _admin(here: World, client: RpcClient, chance: random.Random) -> None:
    """One call of an admin who will not wait; refusals are fine."""
    method, params = chance.choice(
        [("set_config", {"patch": some_change(chance)})] * 6
        + [
            ("reload_config", {}),
            ("clear_lockout", {"id": chance.choice(list(here.service.engine.account(102).locks)), "reason": "please"}),
        ]
    )
    await tried(client, method, params)
    if chance.random() < 0.2:
        pending = await client.call("get_pending_config")
        assert isinstance(pending, list)
        if pending:
            chosen = chance.choice(pending)
            assert isinstance(chosen, dict)
            await tried(client, "cancel_pending_config", {"id": chosen["id"]})


@pytest.mark.parametrize("seed", range(8))
async def test_no_sequence_of_calls_makes_a_locked_account_less_protected(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    made = World(tmp_path, RISK, config=broker(accounts(101, 102)))
    async with running(made) as here:
        here.sim.inject_trade(102, "NQ", -500)
        await here.locked("RULE-003", 102)
        witness = Witness(here)
        admin = await here.admin()
        for step in range(40):
            dice = chance.random()
            if dice < 0.45:
                await _trader(here.client, chance)
            elif dice < 0.9:
                await _admin(here, admin, chance)
            elif dice < 0.95:
                # Somebody edits, or deletes, the file.
                if chance.random() < 0.3:
                    here.home.risk_config_file.unlink(missing_ok=True)
                else:
                    write_risk(here.home, {"rules": {}} if chance.random() < 0.5 else RISK)
                here.service.configuration.watch()
            elif step > 5:
                await admin.close()
                await here.stop()
                await here.start()
                admin = await here.admin()
            await here.service.settled()
            witness.look()
            here.sim.clock.advance(chance.choice((0, 1, 10)))
        await admin.close()
        here.sim.trader(102).buy("MNQ", 1)
        await eventually(lambda: here.sim.trades(102)[-1].pnl is not None and here.flat(102), "still enforced")
        witness.look()
