"""The end of the daemon: bounded whatever hangs, and the database closed last with all that was known."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.shutdown import STOP_SECONDS
from daemon.simulator import effects
from tests.scenarios.world import eventually, world

LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}


async def _for_ever(*_: Any, **__: Any) -> None:
    await asyncio.Event().wait()


async def test_parts_that_hang_do_not_keep_the_database_from_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, LOSS) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        service = here.service
        service.shutdown.steps[:] = [
            replace(step, seconds=0.2, end=_for_ever)
            if step.name in {"the gateway", "the enforcement", "the decisions"}
            else step
            for step in service.shutdown.steps
        ]
        monkeypatch.setattr(service.endpoint.server, "stop", _for_ever)
        began = asyncio.get_running_loop().time()
        await here.stop()
        assert asyncio.get_running_loop().time() - began < STOP_SECONDS
        with closing(sqlite3.connect(here.home.database)) as database:
            assert database.execute("SELECT rule_id FROM lockouts WHERE cleared_at IS NULL").fetchall() == [
                ("RULE-003",)
            ]
        assert not here.home.database.with_name("state.db-wal").exists(), "closed, not just left"
        assert not here.home.endpoint.exists() and not here.home.admin_key.exists()


async def test_bounds_of_all_steps_together_keep_to_thirty_seconds(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        assert STOP_SECONDS < 30
        steps = here.service.shutdown.steps
        names = [step.name for step in steps]
        assert sum(step.seconds for step in steps) <= 30
        assert names.index("the replica") < names.index("the database"), "the replica shows what is written last"
        assert names.index("the database") < names.index("the decisions") < names.index("the gateway"), "ended last"


async def test_stop_while_an_enforcement_is_under_way_leaves_it_to_the_next_start(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.service.engine.account(101).positions)
        here.sim.faults.add(effects.Hang(), path="Position/closeContract")
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.stop()
        assert here.held() == {"MNQ": 1}
        here.sim.faults.clear()
        await here.start()
        await eventually(here.flat, "flat", 15)
        await here.enforced()
        results = [result for _, action, result in await here.log() if action == "close_position"]
        assert results[-1] == "confirmed" and None not in results
        assert here.never_flipped()
