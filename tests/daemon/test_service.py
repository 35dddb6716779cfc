"""Small duties of the running service."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from daemon import service as module
from daemon.simulator import effects
from tests.scenarios.world import eventually, world


async def test_memory_above_the_limit_is_alerted_once_and_caches_are_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path) as here:
        alerts: list[str] = []
        collected: list[int] = []
        monkeypatch.setattr(here.service, "alert", alerts.append)

        def collect() -> int:
            collected.append(1)
            return 0

        monkeypatch.setattr(gc, "collect", collect)
        # The first heartbeat has seen this process as it really is, which may be large after many tests.
        here.service._memory_high = False
        here.service.announcer._curves[101] = [[str(number), "0", "0"] for number in range(10)]
        row: dict[str, Any] = here.service.api.status_row()
        monkeypatch.setattr(here.service.api, "status_row", lambda: row)
        for megabytes, told in ((499.0, 0), (501.0, 1), (600.0, 1), (480.0, 1), (501.0, 1), (400.0, 1), (501.0, 2)):
            row["memory_usage_mb"] = megabytes
            here.service.heartbeat()
            assert len(alerts) == told
        assert str(module.MEMORY_LIMIT_MB) in alerts[0]
        assert len(collected) == 4
        assert len(here.service.announcer.curve(101)) < 5


async def test_status_is_starting_then_healthy_then_degraded_then_stopping(tmp_path: Path) -> None:
    async with world(tmp_path, started=False) as made:
        await made.start()
        assert made.service.status() == "healthy"
        made.sim.faults.add(effects.Down(1.0))
        await eventually(lambda: made.service.status() == "degraded", "the hubs are down")
        assert not made.service.connected(101)
        await eventually(lambda: made.service.status() == "healthy", "healthy again", 15)
        made.service.request_stop("test")
        assert made.service.status() == "stopping"
        await made.service.wait()
