"""A first start, when there is nothing but the machine's clock to go by, and that one may be days wrong."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.simulator import Simulator, effects
from tests.gateway.world import FAST
from tests.scenarios.world import World, eventually, running, write_risk

DAY_US = 86_400 * 1_000_000
LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}


@pytest.mark.parametrize("days_off", [-40, -1, 1, 40])
async def test_new_home_judges_by_the_brokers_day_whatever_the_machines_clock_says(
    tmp_path: Path, days_off: int
) -> None:
    made = World(tmp_path, LOSS, wall_clock=lambda: made.sim.clock.now() + days_off * DAY_US)
    async with running(made, prepare=lambda sim: sim.inject_trade(101, "MNQ", -500)) as here:
        await here.locked("RULE-003")
        (lockout,) = await here.rows("SELECT expires_at FROM lockouts")
        assert lockout["expires_at"] == "2026-12-02T22:00:00.000000Z"
        status = await here.call("get_status")
        assert status["clock_suspect"] is True
        assert status["clock_offset_seconds"] == pytest.approx(days_off * 86_400, abs=3)
        assert status["next_reset"] == "2026-12-02T22:00:00.000000Z"
        assert 0 <= status["uptime"] < 60
        assert [path.name for path in here.home.journal.iterdir()] in ([], ["2026-12-02.jsonl.gz"])


async def test_lockout_outlives_a_restart_before_the_brokers_time_was_ever_kept(tmp_path: Path) -> None:
    made = World(tmp_path, LOSS, wall_clock=lambda: made.sim.clock.now() + 2 * DAY_US)
    async with running(made) as here:
        here.sim.inject_trade(101, "MNQ", -500)
        await here.locked("RULE-003")
        await here.stop()
        # As after a kill in the first seconds: the lockout is on disk, the time is not.
        with sqlite3.connect(here.home.database) as database:
            database.execute("DELETE FROM daemon_state WHERE key = 'clock_high_water'")
        database.close()
        await here.start(healthy=False)
        assert here.locks() == {"RULE-003": "hard"}
        await eventually(lambda: here.service.status() == "healthy")
        assert here.locks() == {"RULE-003": "hard"}


async def test_before_the_first_contact_the_machines_clock_is_shown_and_not_judged_by(tmp_path: Path) -> None:
    made = World(tmp_path, LOSS, timings=replace(FAST, start=0.3), wall_clock=lambda: made.sim.clock.now() + DAY_US)

    def unreachable(sim: Simulator) -> None:
        sim.inject_trade(101, "MNQ", -500)
        sim.faults.add(effects.Reset(), path="*")

    async with running(made, healthy=False, prepare=unreachable) as here:
        status = await here.call("get_status")
        assert status["status"] == "degraded" and status["clock_suspect"] is True
        assert status["next_reset"] == "2026-12-03T22:00:00.000000Z"
        assert list(here.home.journal.iterdir()) == []
        here.sim.faults.clear()
        await here.locked("RULE-003")
        assert (await here.call("get_status"))["next_reset"] == "2026-12-02T22:00:00.000000Z"
        assert here.service.engine.account(101).locks


async def test_waiting_change_is_not_let_in_by_a_wrong_clock_and_a_lost_database(tmp_path: Path) -> None:
    made = World(tmp_path, LOSS, wall_clock=lambda: made.sim.clock.now() + ahead)
    ahead = 0
    async with running(made) as here:
        admin = await here.admin()
        await admin.call("set_config", {"patch": {"rules": {"daily_realized_loss": {"limit": -9000}}}})
        await admin.close()
        await here.stop()
        for path in (here.home.database, here.home.data / "state.db-wal", here.home.data / "state.db-shm"):
            path.unlink(missing_ok=True)
        ahead = 3 * DAY_US
        await here.start()
        (pending,) = here.service.configuration.pending_rows()
        assert pending["effective_at"] == "2026-12-02T22:00:00.000000Z"
        here.sim.inject_trade(101, "MNQ", -500)
        await here.locked("RULE-003")
        # What is edited while the daemon is off and knows no time waits as well.
        await here.stop()
        for path in (here.home.database, here.home.data / "state.db-wal", here.home.data / "state.db-shm"):
            path.unlink(missing_ok=True)
        write_risk(here.home, {"rules": {}})
        await here.start()
        assert here.service.engine.config.rules.daily_realized_loss is not None
        assert {row["effective_at"] for row in here.service.configuration.pending_rows()} == {
            "2026-12-02T22:00:00.000000Z"
        }
        await here.locked("RULE-003")
