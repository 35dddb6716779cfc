"""`riskd run` as a program of its own, started cold: ready, asked to stop by a signal, gone, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.simulator import Simulator
from tests.bench.daemon_process import end, ready, start
from tests.scenarios.world import accounts, broker, eventually, write_home


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_program_stops_at_a_signal_with_everything_written(tmp_path: Path, number: signal.Signals) -> None:
    async with Simulator(broker(accounts(101))) as sim:
        home = write_home(tmp_path / "home", sim, {"rules": {"daily_realized_loss": {"limit": -500}}})
        process = start(home)
        try:
            endpoint = await ready(home, process, 60)
            assert json.loads(home.endpoint.read_text(encoding="utf-8"))["pid"] == process.pid == endpoint["pid"]
            sim.trader(101).buy("MNQ", 2)
            sim.inject_trade(101, "NQ", -500)
            await eventually(lambda: not sim.positions(101) and sim.extremes(101, "MNQ") == (0, 2), "flat", 20)
            os.kill(process.pid, number)
            assert await asyncio.to_thread(process.wait, 30) == 0
        finally:
            await end(process)
        assert not home.endpoint.exists() and not home.admin_key.exists()
        with closing(sqlite3.connect(home.database)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            log = database.execute("SELECT action, result FROM enforcement_log ORDER BY id").fetchall()
        assert log[0] == ("lockout_set", "confirmed") and ("close_position", "confirmed") in log
        assert "Traceback" not in (home.logs / "output.txt").read_text(encoding="utf-8")
        said = (home.logs / "daemon.log").read_text(encoding="utf-8")
        for checkpoint in range(1, 9):
            assert f"[{checkpoint}/8]" in said, "all eight checkpoints"
        assert "key-of-trader1" not in said
