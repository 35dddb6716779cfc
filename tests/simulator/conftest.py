from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from daemon.simulator import Simulator, SimulatorConfig

from .wire import Wire


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A started simulator: two logins, four accounts, a still market."""
    async with Simulator(SimulatorConfig()) as simulator:
        yield simulator


@pytest.fixture
async def wire(sim: Simulator) -> AsyncIterator[Wire]:
    """trader1 (accounts 101 and 102), logged in."""
    async with aiohttp.ClientSession() as session:
        wire = await Wire(sim, session).login()
        yield wire
        await wire.close()
