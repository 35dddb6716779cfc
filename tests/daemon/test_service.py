"""What a whole daemon says of itself."""

from __future__ import annotations

from pathlib import Path

from daemon.simulator import effects
from tests.scenarios.world import eventually, world


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
