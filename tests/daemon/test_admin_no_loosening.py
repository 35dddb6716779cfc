"""No sequence of the admin window's calls makes a locked account less protected before its time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from shared.protocol import ErrorCode, RpcError
from tests.daemon.admin_world import Desk, desk
from tests.scenarios.test_no_loosening import RISK, Witness, some_change
from tests.scenarios.world import eventually

HARMLESS = {ErrorCode.INVALID_PARAMS, ErrorCode.REFUSED_BY_POLICY, ErrorCode.BUSY, ErrorCode.UNKNOWN_ACCOUNT}


async def _one(here: Desk, chance: random.Random, backups: list[str]) -> None:
    """One call of an admin who will not wait; refusals are fine."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("lock_accounts", {"minutes": chance.choice((1, 5, 600)), "reason": "x"}),
        ("lock_accounts", {"account_ids": [chance.choice((101, 102, 999))], "minutes": 1, "reason": "x"}),
        ("set_config", {"patch": some_change(chance)}),
        ("set_config", {"patch": some_change(chance)}),
        ("set_config", {"yaml": "version: 1\n"}),
        ("set_config", {"patch": [{"path": "rules.daily_realized_loss", "value": None}]}),
        ("set_config", {"patch": [{"path": ["logins", "trader1"], "value": None}], "file": "accounts.yaml"}),
        ("set_config", {"patch": [{"path": "logins.trader1.enabled", "value": False}], "file": "accounts.yaml"}),
        ("set_config", {"patch": [{"path": "logins.trader1.accounts", "value": []}], "file": "accounts.yaml"}),
        ("restore_backup", {"file": chance.choice([name for name in backups if name.startswith("config-")])}),
        ("second_factor_enroll", {}),
        ("second_factor_confirm", {"code": "000000"}),
        ("get_service_info", {}),
        ("get_logins", {}),
        ("set_alert_target", {"name": "x", "kinds": ["error"], "address": "json://127.0.0.1:9"}),
        ("cancel_what_if", {}),
    ]
    method, params = chance.choice(calls)
    try:
        await here.call(method, **params)
    except RpcError as error:
        if error.code not in HARMLESS:
            raise


@pytest.mark.parametrize("seed", range(3))
async def test_admin_calls_when_made_at_random_never_make_a_locked_account_less_protected(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with desk(tmp_path, RISK) as here:
        made = await here.call("backup_now")
        backups = [made["file"], made["configuration"]]
        here.world.sim.inject_trade(102, "NQ", -500)
        await here.world.locked("RULE-003", 102)
        witness = Witness(here.world)
        for step in range(30):
            await _one(here, chance, backups)
            if step in (10, 20):
                # An older state is put back, which takes a restart.
                await here.call("restore_backup", file=backups[0])
                await eventually(lambda: here.world.service.status() == "stopping", "it stops")
                await here.restart()
            await here.world.service.settled()
            witness.look()
        assert "RULE-003" in here.world.locks(102)
        assert set(here.world.service.engine.accounts) == {101, 102}
        assert (await here.call("get_audit_log"))["intact"] is True
        here.world.trader(102).buy("MNQ", 1)
        await eventually(
            lambda: here.world.sim.trades(102)[-1].pnl is not None and here.world.flat(102), "still enforced"
        )
