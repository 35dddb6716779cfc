"""The end of the daemon: bounded whatever hangs, and the database closed last with all that was known."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon import service as module
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
        for part in (service.gateways, service.enforcer, service.dispatcher):
            monkeypatch.setattr(part, "stop", _for_ever)
        service._started = [
            (name, 0.2 if name in {"the gateway", "the enforcement", "the decisions"} else bound, step)
            for name, bound, step in service._started
        ]
        monkeypatch.setattr(service.server, "stop", _for_ever)
        began = asyncio.get_running_loop().time()
        await here.stop()
        assert asyncio.get_running_loop().time() - began < module.STOP_SECONDS
        with closing(sqlite3.connect(here.home.database)) as database:
            assert database.execute("SELECT rule_id FROM lockouts WHERE cleared_at IS NULL").fetchall() == [
                ("RULE-003",)
            ]
        assert not here.home.database.with_name("state.db-wal").exists(), "closed, not just left"
        assert not here.home.endpoint.exists() and not here.home.admin_key.exists()


async def test_bounds_of_all_steps_together_keep_to_thirty_seconds(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        assert module.STOP_SECONDS < 30
        names = [name for name, _, _ in here.service._started]
        assert sum(bound for _, bound, _ in here.service._started) <= 30
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


async def test_timed_jobs_run_in_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(tmp_path, LOSS) as here:
        threads: list[int] = []
        monkeypatch.setattr(here.service, "heartbeat", lambda: threads.append(threading.get_ident()))
        monkeypatch.setattr(here.service.configuration, "watch", lambda: threads.append(threading.get_ident()))
        scheduler = here.service._schedule._scheduler
        for name in ("heartbeat", "configuration files"):
            scheduler.modify_job(name, next_run_time=datetime.now(UTC))
        await eventually(lambda: len(threads) >= 2, "both jobs")
        assert set(threads) == {threading.get_ident()}, "the engine is the event loop's alone"
