"""Time passes for the rules once a second and when something falls due, as soon as there is a time to go by."""

from __future__ import annotations

import asyncio

import pytest

from daemon.broker import GatewayError
from daemon.core.engine import Engine
from daemon.core.events import Event, PositionsSnapshot, Tick
from daemon.gateway.status import GatewayStatus, LoginState, LoginStatus
from daemon.gateway.supervisor import HubState
from daemon.known_time import KnownTime
from daemon.ticker import TICK_SECONDS, Ticker
from shared.config import HolidayCalendar, RiskConfig
from tests.daemon.virtual_time import run

WALL = 1_796_000_000_000_000


class Bed:
    """A ticker on an engine with account 101. `state` is that of the only login; `due`: when something falls due."""

    def __init__(self, *, known: bool = True) -> None:
        self.wall = WALL
        self.state = LoginState.ONLINE
        self.time = KnownTime(WALL if known else None, wall=lambda: self.wall)
        self.engine = Engine(RiskConfig(), HolidayCalendar())
        self.engine.handle(PositionsSnapshot(0, 101, 0, ()))
        self.delivered: list[Event] = []
        self.advanced = 0
        self.alerts: list[str] = []
        self.read: list[int] = []
        self.fail: Exception | None = None
        self.ticker = Ticker(
            self.time,
            self.engine,
            self,
            deliver=self._deliver,
            advance=self._advance,
            alert=self.alerts.append,
        )

    def _deliver(self, event: Event) -> None:
        self.delivered.append(event)
        if self.fail is not None:
            raise self.fail

    def _advance(self) -> None:
        self.advanced += 1

    def status(self) -> GatewayStatus:
        login = LoginStatus("trader1", self.state, "", HubState.UP, HubState.UP, 0, ())
        return GatewayStatus((login,))

    async def reconcile(self, account_id: int) -> None:
        self.read.append(account_id)
        raise GatewayError("not now")


def test_ticks_come_once_a_second_until_the_stop_and_a_failure_ends_none_of_them() -> None:
    async def main() -> None:
        bed = Bed()
        bed.ticker.start()
        await asyncio.sleep(2.5 * TICK_SECONDS)
        assert [type(event) for event in bed.delivered] == [Tick, Tick] and bed.advanced == 2
        assert bed.delivered[0].at >= WALL
        bed.fail = RuntimeError("a rule failed")
        await asyncio.sleep(2 * TICK_SECONDS)
        assert len(bed.delivered) == 4
        await bed.ticker.stop()
        await asyncio.sleep(5 * TICK_SECONDS)
        assert len(bed.delivered) == 4

    run(main)


def test_what_falls_due_earlier_is_ticked_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        bed = Bed()
        monkeypatch.setattr(Engine, "next_due", property(lambda _: bed.time.clock.now() + 200_000))
        bed.ticker.start()
        await asyncio.sleep(TICK_SECONDS + 0.45)
        assert len(bed.delivered) == 3, "after 1.0, 1.2 and 1.4 s"
        await bed.ticker.stop()

    run(main)


async def test_without_a_time_nothing_ticks_until_a_login_is_online_and_all_is_read_anew() -> None:
    bed = Bed(known=False)
    bed.state = LoginState.UNREACHABLE
    bed.ticker.tick()
    assert bed.delivered == [] and bed.advanced == 1
    bed.state = LoginState.ONLINE
    bed.ticker.tick()
    assert len(bed.delivered) == 1 and bed.time.known
    assert len(bed.alerts) == 1 and "does not tell the time" in bed.alerts[0]
    await asyncio.sleep(0)
    assert bed.read == [101], "read without a time, so read again; that it fails is no matter"
    bed.ticker.tick()
    await asyncio.sleep(0)
    assert bed.read == [101] and len(bed.alerts) == 1


async def test_time_that_was_told_meanwhile_is_no_reason_for_an_alert() -> None:
    bed = Bed(known=False)
    bed.time.clock.observe_date(WALL)
    bed.ticker.tick()
    assert bed.alerts == [] and bed.time.known
