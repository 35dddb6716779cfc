"""A lost record of lockouts frees no account, whenever its login can be reached, and closes nothing."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from daemon.core.decisions import DayChanged
from daemon.core.engine import Engine
from daemon.core.events import Event, LockRequested, PositionsSnapshot, Tick
from daemon.core.units import SECOND_US, to_micros
from daemon.simulator import Account, Login, effects
from daemon.unknown_lockouts import LOCKED_KEY, UnknownLockouts
from shared.config import HolidayCalendar, RiskConfig
from tests.core.desk import OPEN
from tests.gateway.world import FAST
from tests.scenarios.world import World, broker, eventually, running

NOW = to_micros(OPEN)
DAY_US = 86_400 * SECOND_US


class Keeper:
    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.settled = 0

    def put_state(self, key: str, value: object) -> None:
        self.state[key] = value

    async def lockouts_settled(self) -> bool:
        self.settled += 1
        return True


class Bed:
    """An engine at `at`, and what is fed to it."""

    def __init__(self, kept: object = None, at: int = NOW) -> None:
        self.engine = Engine(RiskConfig(), HolidayCalendar())
        if at:
            self.engine.restore(at)
        self.keeper = Keeper()
        self.locked: list[int] = []
        self.unknown = UnknownLockouts(self.engine, self._deliver, self.keeper, kept)

    def _deliver(self, event: Event) -> None:
        assert isinstance(event, LockRequested) and event.keep_positions
        assert event.expires_at is None, "until the next reset"
        self.locked.append(event.account_id)

    async def read(self, account: int, at: int = NOW) -> None:
        event = PositionsSnapshot(at, account, at, ())
        self.engine.handle(event)
        self.unknown.happened(event)
        await asyncio.sleep(0)


async def test_account_is_locked_once_when_its_positions_have_been_read() -> None:
    bed = Bed()
    bed.unknown.happened(Tick(NOW))
    await bed.read(101)
    await bed.read(101)
    await bed.read(102)
    assert bed.locked == [101, 102]
    assert bed.keeper.state[LOCKED_KEY] == {"day": bed.engine.days.name(NOW), "accounts": [101, 102]}
    assert not bed.unknown.over


async def test_account_that_was_locked_before_a_restart_is_not_locked_again() -> None:
    first = Bed()
    await first.read(101)
    second = Bed(first.keeper.state[LOCKED_KEY])
    await second.read(101)
    await second.read(102)
    assert second.locked == [102]


async def test_without_a_time_nothing_is_locked_for_its_end_could_not_be_told() -> None:
    bed = Bed(at=0)
    await bed.read(101, at=0)
    assert bed.locked == []
    bed.engine.restore(NOW)
    await bed.read(101)
    assert bed.locked == [101]


async def test_at_the_reset_the_record_counts_as_whole_again() -> None:
    bed = Bed()
    await bed.read(101)
    bed.engine.handle(Tick(NOW + DAY_US))
    bed.unknown.decided(DayChanged(NOW + DAY_US, 101, bed.engine.days.name(NOW + DAY_US)))
    await asyncio.sleep(0)
    assert bed.unknown.over and bed.keeper.settled == 1 and bed.keeper.state[LOCKED_KEY] is None
    await bed.read(102, at=NOW + DAY_US)
    assert bed.locked == [101]


async def test_start_after_the_reset_locks_nothing_more() -> None:
    bed = Bed({"day": "2026-11-02", "accounts": [101]})
    await bed.read(102)
    assert bed.locked == [] and bed.unknown.over


async def test_login_that_comes_back_hours_after_the_loss_is_locked_too_and_keeps_what_it_holds(tmp_path: Path) -> None:
    logins = [Login("trader1", "key-of-trader1", [Account(101, "A")]), Login("late", "key", [Account(202, "B")])]
    made = World(
        tmp_path,
        {"rules": {"daily_realized_loss": {"limit": -500}}},
        config=broker(logins),
        timings=replace(FAST, start=0.5),
    )
    async with running(made, prepare=lambda sim: sim.trader(202).buy("MNQ", 1)) as here:
        await here.stop()
        out = here.sim.faults.add(effects.Reset(), login="late")  # the second login cannot be reached for now
        for folder in (here.home.data, here.home.public):
            shutil.rmtree(folder)
        await here.start(healthy=False)
        await here.locked("MANUAL")
        assert here.locks(202) == {}
        await here.stop()
        await here.start(healthy=False)
        assert len(here.service.engine.account(101).locks) == 1, "a restart does not lock again"
        here.sim.faults.remove(out)
        await here.locked("MANUAL", 202)
        assert here.held(202) == {"MNQ": 1}, "what no rule forbids stays"
        here.trader(202).buy("MNQ", 2)
        await eventually(lambda: here.held(202) == {"MNQ": 1}, "nothing may be added")
