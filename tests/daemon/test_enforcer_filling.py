"""What the enforcer sends while orders still fill, or messages about sizes come late and twice."""

from __future__ import annotations

import asyncio

from daemon.broker import AnswerKind
from shared.models import ActionResult
from tests.daemon.enforcer_broker import ACCOUNT, MNQ, Fault, Push, unreadable
from tests.daemon.enforcer_world import World, held, in_world

# --- sizes that no fill explains


@in_world
async def test_reduction_when_an_old_position_message_comes_again_goes_by_a_read(world: World) -> None:
    await held(world, size=2)
    world.core.limits[ACCOUNT, MNQ] = 2
    await asyncio.sleep(40)
    world.core.unsettled.add((ACCOUNT, MNQ))
    world.broker.push_again(MNQ, 5)
    await world.settled()
    assert world.calls() == []
    assert world.broker.net(MNQ) == 2


# --- orders still filling


@in_world
async def test_close_when_it_fills_slowly_is_not_repeated_while_it_fills(world: World) -> None:
    await held(world, size=6)
    world.broker.fill_after, world.broker.fill_parts = 1.5, 3
    world.core.limit(MNQ, 0)
    await world.settled()
    assert len(world.calls()) == 1
    assert world.broker.net(MNQ) == 0


@in_world
async def test_close_when_the_market_is_halted_never_stands_twice(world: World) -> None:
    await held(world)
    world.broker.fill_after, world.broker.halted = 0.05, True
    world.core.limit(MNQ, 0)
    for _ in range(200):
        await asyncio.sleep(1)
        assert len(world.broker.working(MNQ)) <= 1
    assert world.calls("cancel")
    world.broker.halted = False
    await world.settled()
    assert world.broker.net(MNQ) == 0


@in_world
async def test_close_when_a_partial_close_is_still_filling_waits_for_it(world: World) -> None:
    await held(world)
    world.broker.fill_after, world.broker.fill_parts = 1.0, 3
    world.core.limit(MNQ, 2)
    await asyncio.sleep(0.1)
    world.core.limit(MNQ, 0)
    await world.settled()
    assert world.calls()[0].argument == 3
    assert world.broker.net(MNQ) == 0


@in_world
async def test_close_when_it_comes_while_a_partial_close_is_on_the_wire_reads_in_between(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(latency=1.0))
    world.broker.pushes.extend([Push(dropped=True)] * 2)
    world.core.limit(MNQ, 2)
    await asyncio.sleep(0.2)
    world.core.limit(MNQ, 0)
    await world.settled()
    assert [(call.name, call.argument) for call in world.calls()] == [("reduce", 3), ("close", None)]
    first, second = world.calls()
    assert [what for at, what, _ in world.broker.reads if first.at + 1.0 <= at < second.at] == ["orders", "positions"]


@in_world
async def test_partial_close_when_a_late_duplicate_comes_takes_nothing_off(world: World) -> None:
    await held(world)
    world.core.limit(MNQ, 2)
    await world.settled()
    world.broker.push_again(MNQ, 5)
    await world.settled()
    await asyncio.sleep(25)
    world.broker.push_again(MNQ, 5)
    await world.settled()
    assert len(world.calls()) == 1
    assert world.broker.net(MNQ) == 2


@in_world
async def test_settle_when_superseded_stops_the_lane_but_not_the_request_under_way(world: World) -> None:
    await held(world)
    world.broker.fault = lambda _: Fault(AnswerKind.UNCERTAIN, effect=False, latency=3.0)
    world.core.limit(MNQ, 0)
    await asyncio.sleep(0.5)
    world.core.limit(MNQ, None)
    await asyncio.sleep(0.5)
    assert world.core.outcomes[0].result is ActionResult.SUPERSEDED
    assert world.core.outcomes[0].attempts == 1
    assert not world.enforcer.idle()
    await asyncio.sleep(60)
    assert world.enforcer.idle()
    assert len(world.calls()) == 1
    assert [attempts for _, attempts, _ in world.attempts] == [1]


@in_world
async def test_settle_when_waiting_for_reads_that_fail_gives_the_reads_up(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(AnswerKind.UNCERTAIN, effect=False))
    world.broker.read_faults.extend(unreadable() for _ in range(1000))
    world.core.limit(MNQ, 0)
    await asyncio.sleep(20)
    world.core.limit(MNQ, None)
    await world.until(world.enforcer.idle, 6)
    reads = len(world.broker.reads)
    await asyncio.sleep(60)
    assert len(world.broker.reads) == reads
