"""Whose call runs next and how much of the loop's time calls take, in virtual time: what a call costs is said here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from daemon.ipc_lane import Lane
from daemon.ipc_sessions import CallsAtOnce, Pause, Session
from daemon.ipc_share import Share
from shared.protocol import RpcError
from shared.rpc_connection import Call
from shared.rpc_methods import METHODS, NoParams
from tests.daemon.virtual_time import VirtualLoop, run

LIMITS = CallsAtOnce(share=0.2, credit_seconds=0.02, longest_rest=0.25, slice_seconds=0.002, aside_seconds=0.05)


class Neighbour:
    """What the lane sees of a connection."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = self.stalled = False
        self.calls_waiting: deque[Call] = deque()
        self.calls_running = 0
        self.used: float | None = None

    def flush(self) -> None:
        """Nothing is written here."""


class Desk:
    """A lane whose calls cost what `cost` says, in seconds of the loop's time, or wait for `gate`."""

    def __init__(
        self, limits: CallsAtOnce = LIMITS, handler: Callable[[Pause], Coroutine[Any, Any, None]] | None = None
    ):
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self.loop = loop
        self.cost = 0.01
        self.ran: list[str] = []
        self.began_at: list[float] = []
        self.worked = 0.0
        self.inside = self.most_inside = 0
        self.handler = handler
        self.lane = Lane(loop, self._run, limits, loop.time)

    def work(self, seconds: float) -> None:
        """The loop does nothing else for so long."""
        self.loop._virtual.elapsed += seconds
        self.worked += seconds

    def put(self, neighbour: Neighbour, times: int = 1) -> None:
        for _ in range(times):
            call = Call(1, False, METHODS["get_status"], NoParams(), signed=False)
            self.lane.put(cast(Session, neighbour), call)

    async def _run(self, session: Session, call: Call, pause: Pause) -> None:
        self.ran.append(cast(Neighbour, session).name)
        self.began_at.append(self.loop.time())
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        if self.handler is not None:
            await self.handler(pause)
        else:
            self.work(self.cost)
        self.inside -= 1


def test_share_when_work_never_ends_keeps_to_it_and_a_quiet_time_gives_credit() -> None:
    now = 0.0
    share = Share(0.2, credit=0.02, longest=0.25, clock=lambda: now)
    rests = []
    for _ in range(10):
        now += 0.01
        share.charge(0.01)
        rests.append(share.wait())
        now += share.wait()
    assert rests[0] == 0.0 and rests[5:] == pytest.approx([0.04] * 5)
    now += 10.0
    share.charge(0.01)
    assert share.wait() == 0.0
    share.charge(30.0)
    assert share.wait() == pytest.approx(0.25)


@pytest.mark.parametrize("cost", [0.0005, 0.005, 0.04])
def test_calls_when_they_flood_the_lane_run_one_by_one_within_their_share(cost: float) -> None:
    async def flooded() -> None:
        desk = Desk()
        desk.cost = cost
        flooders = [Neighbour(f"{number}") for number in range(26)]
        while desk.loop.time() < 20.0:
            for one in flooders:
                desk.put(one, 8 - len(one.calls_waiting))
            await asyncio.sleep(0.05)
        desk.lane.stop()
        assert desk.most_inside == 1
        assert 0.15 * 20 <= desk.worked <= 0.2 * 20 + 0.1
        counts = [desk.ran.count(one.name) for one in flooders]
        assert max(counts) <= 1.05 * min(counts) + 2

    run(flooded)


def test_call_of_a_quiet_connection_when_others_flood_runs_next() -> None:
    async def beside() -> None:
        desk = Desk()
        tray, flooders = Neighbour("tray"), [Neighbour(f"{number}") for number in range(31)]
        desk.put(tray)
        await asyncio.sleep(0.5)
        for _ in range(20):
            for one in flooders:
                desk.put(one, 8 - len(one.calls_waiting))
            await asyncio.sleep(4.0)  # each of them has had its turn, and more
            before = len(desk.ran)
            desk.put(tray)
            while "tray" not in desk.ran[before:]:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.001)
            assert desk.ran[before:].index("tray") <= 1
        desk.lane.stop()

    run(beside)


def test_newcomers_when_they_come_without_end_do_not_keep_who_was_there_waiting() -> None:
    async def stormed() -> None:
        desk = Desk()
        tray = Neighbour("tray")
        came = 0

        async def storm() -> None:
            nonlocal came
            while True:
                while came - len(desk.ran) < 24:
                    desk.put(Neighbour(f"{came}"))
                    came += 1
                await asyncio.sleep(0.001)

        desk.put(tray)
        await asyncio.sleep(1.0)
        storming = asyncio.create_task(storm())
        for _ in range(10):
            await asyncio.sleep(2.0)
            before = len(desk.ran)
            desk.put(tray)
            await asyncio.sleep(2.0)
            assert desk.ran[before:].index("tray") < 25  # those that were there before it, none that came later
        storming.cancel()
        desk.lane.stop()

    run(stormed)


def test_call_that_costs_little_when_others_cost_much_is_seldom_behind_them() -> None:
    async def beside() -> None:
        desk = Desk()
        tray, flooders = Neighbour("tray"), [Neighbour(f"{number}") for number in range(31)]

        async def handler(pause: Pause) -> None:
            desk.work(0.0003 if desk.ran[-1] == "tray" else 0.03)

        desk.handler = handler
        waited: list[int] = []
        desk.put(tray)
        for number in range(101):
            for one in flooders:
                desk.put(one, 8 - len(one.calls_waiting))
            await asyncio.sleep(0.25 if number else 10.0)  # by then none of them is new any more
            before = len(desk.ran)
            desk.put(tray)
            while "tray" not in desk.ran[before:]:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.001)
            waited.append(desk.ran[before:].index("tray"))
        desk.lane.stop()
        assert sum(number <= 1 for number in waited) >= 95

    run(beside)


def test_call_when_it_waits_for_something_else_steps_aside() -> None:
    async def waiting() -> None:
        gate = asyncio.Event()
        desk = Desk()
        slow, quick = Neighbour("slow"), Neighbour("quick")

        async def handler(pause: Pause) -> None:
            if desk.ran[-1] == "slow":
                await gate.wait()

        desk.handler = handler
        desk.put(slow, 5)
        desk.put(quick)
        await asyncio.sleep(5.0)
        assert desk.ran == ["slow", "quick", "slow"]  # two of one connection at once, its others wait
        gate.set()
        await asyncio.sleep(5.0)
        assert desk.ran == ["slow", "quick", *["slow"] * 4] and slow.calls_running == 0

    run(waiting)


def test_call_when_it_takes_long_rests_between_its_parts_and_stays_within_its_share() -> None:
    async def long() -> None:
        desk = Desk()
        gaps: list[float] = []

        async def heart() -> None:
            while True:
                at = desk.loop.time()
                await asyncio.sleep(0.001)
                gaps.append(desk.loop.time() - at)

        async def handler(pause: Pause) -> None:
            for _ in range(500):
                desk.work(0.001)
                await pause()

        desk.handler = handler
        beating = asyncio.create_task(heart())
        desk.put(Neighbour("long"))
        desk.put(Neighbour("next"))
        await asyncio.sleep(6.0)
        beating.cancel()
        desk.lane.stop()
        # A timer's callback takes the loop three rounds; while there is credit each of them holds a slice.
        assert max(gaps) < 0.008 and max(gaps[20:]) < 0.0045 and desk.most_inside == 1
        assert desk.ran == ["long", "next"] and desk.began_at[1] >= 0.5 / 0.2 - 0.2

    run(long)


def test_call_when_its_connection_is_gone_is_not_run_nor_carried_on() -> None:
    async def gone() -> None:
        desk = Desk()
        first, second = Neighbour("first"), Neighbour("second")
        failed: list[str] = []

        async def handler(pause: Pause) -> None:
            first.closed = second.closed = True
            desk.work(0.5)
            try:
                await pause()
            except RpcError as error:
                failed.append(error.message)

        desk.handler = handler
        desk.put(first, 3)
        desk.put(second, 3)
        await asyncio.sleep(3.0)
        assert desk.ran == ["first"] and failed == ["The connection was closed."]
        assert not first.calls_waiting and not second.calls_waiting

    run(gone)


def test_call_when_answers_are_left_unread_waits_until_they_are_taken() -> None:
    async def unread() -> None:
        desk = Desk()
        lazy, good = Neighbour("lazy"), Neighbour("good")
        lazy.stalled = True
        desk.put(lazy)
        desk.put(good)
        await asyncio.sleep(3.0)
        assert desk.ran == ["good"]
        lazy.stalled = False
        desk.lane.look_again()
        await asyncio.sleep(1.0)
        assert desk.ran == ["good", "lazy"]

    run(unread)
