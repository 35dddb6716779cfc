"""When the enforcer sends again what it sent before: after refusals, lost answers, and reads that fail."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from daemon.broker import AnswerKind, GatewayError
from daemon.position_lane import BLIND
from shared.models import OrderType, Side
from tests.daemon.enforcer_broker import ACCOUNT, ES, MNQ, Fault, Push, unreadable
from tests.daemon.enforcer_world import World, gaps, held, in_world

ACCEPTED, REFUSED = AnswerKind.ACCEPTED, AnswerKind.REFUSED
UNCERTAIN, NOT_SENT = AnswerKind.UNCERTAIN, AnswerKind.NOT_SENT


# --- repeats


@in_world
async def test_close_when_accepted_without_effect_is_read_and_repeated_with_backoff(world: World) -> None:
    await held(world)
    world.broker.fault = lambda call: Fault(effect=len(world.calls("close")) > 5)
    world.core.limit(MNQ, 0)
    await world.settled()
    assert len(world.calls("close")) == 6
    assert gaps(world.calls()) == pytest.approx([0.23, 0.53, 1.03, 2.03, 4.03], abs=0.02)
    assert world.broker.net(MNQ) == 0
    assert len(world.alerts) == 1


@in_world
async def test_read_when_several_lanes_of_an_account_need_one_is_shared(world: World) -> None:
    for contract in (MNQ, ES, "A", "B"):
        world.broker.trade(contract, 2)
        world.broker.place(contract, OrderType.LIMIT, Side.BUY, 1)
    await asyncio.sleep(40)
    world.broker.fault = lambda _: Fault(effect=False, latency=0.01 + 0.001 * len(world.calls()))
    for contract in (MNQ, ES, "A", "B"):
        world.core.limits[ACCOUNT, contract] = 0
    world.core.push(None)
    await asyncio.sleep(0.2)
    assert len(world.calls()) == 8
    assert [what for _, what, _ in world.broker.reads] == ["orders", "positions"]
    world.broker.fault = lambda _: Fault()
    await world.settled()


@in_world
async def test_partial_close_when_its_answer_and_events_are_lost_is_not_repeated_after_it_worked(world: World) -> None:
    """Worked case 5: limit 2, buys 5, one partial close of 3, its answer lost."""
    await held(world)
    world.broker.pushes.extend([Push(dropped=True)] * 2)
    world.broker.faults.append(Fault(UNCERTAIN, latency=5.0))
    world.core.limit(MNQ, 2)
    await world.settled()
    assert [(call.name, call.argument) for call in world.calls()] == [("reduce", 3)]
    assert world.broker.net(MNQ) == 2
    assert len(world.broker.reads) == 2


@in_world
async def test_partial_close_when_lost_without_effect_is_repeated_only_after_reads(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(UNCERTAIN, effect=False))
    world.core.limit(MNQ, 2)
    await world.settled()
    assert [(call.name, call.argument) for call in world.calls()] == [("reduce", 3), ("reduce", 3)]
    first, second = world.calls()
    begun = [at for at, _, _ in world.broker.reads if first.at < at < second.at]
    assert len(begun) >= 4
    assert second.at - first.at >= 1.0
    assert world.broker.net(MNQ) == 2


@in_world
async def test_partial_close_when_it_arrives_after_its_time_out_is_not_doubled(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(UNCERTAIN, late=0.6))
    world.core.limit(MNQ, 2)
    await world.settled()
    assert len(world.calls()) == 1
    assert world.broker.net(MNQ) == 2


@in_world
async def test_partial_close_when_it_fails_again_and_again_never_becomes_a_full_close(world: World) -> None:
    await held(world)
    world.broker.fault = lambda _: Fault(REFUSED, 6) if world.loop.time() < 300 else Fault()
    world.core.limit(MNQ, 2)
    await world.settled(500)
    assert len(world.calls()) > 20
    assert {call.name for call in world.calls()} == {"reduce"}
    assert world.broker.net(MNQ) == 2


@in_world
async def test_close_when_the_position_is_not_found_is_flat_only_after_a_read(world: World) -> None:
    await held(world)
    world.broker.pushes.append(Push(dropped=True))
    world.broker.trade(MNQ, -5)  # closed by the trader; the event is lost
    await asyncio.sleep(1)
    world.core.limit(MNQ, 0)
    await asyncio.sleep(0.0116)
    assert [call.name for call in world.calls()] == ["close"]
    assert world.core.obligations
    assert [what for _, what, _ in world.broker.reads] == ["orders"]
    await world.settled()
    assert len(world.calls()) == 1
    assert len(world.broker.reads) == 2


@in_world
async def test_read_when_it_fails_is_never_taken_as_flat(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(UNCERTAIN, effect=False))
    world.broker.read_faults.extend([unreadable(), unreadable(), RuntimeError("x"), unreadable(), unreadable()])
    world.core.limit(MNQ, 0)
    await asyncio.sleep(3)
    assert len(world.calls()) == 1
    assert world.core.obligations
    await world.settled()
    assert len(world.calls()) == 2
    assert world.broker.net(MNQ) == 0
    assert len([alert for alert in world.alerts if "cannot be read" in alert.text]) == 1


@in_world
async def test_close_when_the_broker_refuses_is_alerted_once_and_tried_on(world: World) -> None:
    await held(world)
    world.broker.fault = lambda _: Fault(REFUSED, 8) if world.loop.time() < 240 else Fault()
    world.core.limit(MNQ, 0)
    await world.settled(400)
    assert max(gaps(world.calls())) == pytest.approx(30.0, abs=0.1)
    assert len(world.alerts) == 1
    assert "refused to close CON.F.US.MNQ.U25 (code 8: scripted)" in world.alerts[0].text
    assert world.broker.net(MNQ) == 0


@in_world
async def test_close_when_not_sent_is_repeated_without_a_read(world: World) -> None:
    await held(world)
    world.broker.faults.extend([Fault(NOT_SENT)] * 3)
    world.core.limit(MNQ, 2)
    await world.settled()
    assert gaps(world.calls()) == pytest.approx([0.205, 0.505, 1.005], abs=0.01)
    assert world.broker.reads == []
    assert world.broker.net(MNQ) == 2


@in_world
async def test_close_when_the_request_limit_has_room_for_closes_alone_does_not_wait_for_cancels(world: World) -> None:
    await held(world)
    order = world.broker.place(MNQ, OrderType.LIMIT, Side.BUY, 1)
    world.broker.no_turn[ACCOUNT, False] = world.loop.time() + 40
    began = world.loop.time()
    world.core.limit(MNQ, 0)
    await world.settled(100)
    closed, cancelled = world.calls()
    assert (closed.name, cancelled.name, cancelled.key) == ("close", "cancel", order)
    assert closed.at - began < 0.1
    assert 39 < cancelled.at - began < 41
    assert world.alerts == []


@in_world
async def test_close_when_room_comes_earlier_than_said_goes_out_within_half_a_second(world: World) -> None:
    await held(world)
    world.broker.no_turn[ACCOUNT, True] = world.loop.time() + 60
    world.core.limit(MNQ, 0)
    await asyncio.sleep(3)
    assert world.calls() == []
    world.broker.no_turn.clear()
    freed = world.loop.time()
    await world.settled()
    assert world.calls()[0].at - freed <= 0.5


@in_world
async def test_close_when_another_of_the_login_is_told_429_is_not_held_back_by_the_enforcer(world: World) -> None:
    for account in (101, 102):
        world.broker.trade(MNQ, 2, account)
    await asyncio.sleep(40)
    world.broker.faults.append(Fault(NOT_SENT, 429, retry_after=30.0))
    for account in (101, 102):
        world.core.limits[account, MNQ] = 0
    world.core.push(None)
    began = world.loop.time()
    await world.settled()
    assert [call.account_id for call in world.calls()] == [101, 102, 101]
    assert world.loop.time() - began < 2


@in_world
async def test_too_many_requests_when_a_read_is_told_waits_a_few_seconds_at_most(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(UNCERTAIN, effect=False))
    world.broker.read_faults.extend(
        [GatewayError("HTTP 429", retry_after=3.0), GatewayError("HTTP 429", retry_after=90)]
    )
    world.core.limit(MNQ, 0)
    await world.settled()
    at = [at for at, what, _ in world.broker.reads if what == "orders"]
    assert [later - earlier for earlier, later in pairwise(at)] == pytest.approx([3.0, 5.0], abs=0.02)


# --- orders, or positions, that cannot be read


@in_world
async def test_close_when_orders_cannot_be_read_is_repeated_on_two_equal_reads_of_the_position(world: World) -> None:
    await held(world)
    world.broker.orders_down = True
    world.broker.faults.append(Fault(ACCEPTED, effect=False))
    world.core.limit(MNQ, 0)
    await world.until(lambda: world.broker.net(MNQ) == 0, 30)
    first, second = world.calls()
    assert (first.name, second.name) == ("close", "close")
    assert BLIND < second.at - first.at < BLIND + 6
    began = [at for at, what, _ in world.broker.reads if what == "positions" and at < second.at]
    assert began[-1] - began[0] >= BLIND


@in_world
async def test_close_when_orders_cannot_be_read_and_the_position_changes_waits_anew(world: World) -> None:
    await held(world, size=4)
    world.broker.orders_down = True
    world.broker.faults.append(Fault(ACCEPTED, effect=False))
    world.core.limit(MNQ, 0)
    await asyncio.sleep(8)
    world.broker.trade(MNQ, -1)
    changed = world.loop.time()
    await world.until(lambda: world.broker.net(MNQ) == 0, 40)
    assert world.calls()[1].at - changed >= BLIND


@in_world
async def test_close_when_orders_cannot_be_read_never_goes_out_beside_one_that_is_known_to_work(world: World) -> None:
    await held(world, size=4)
    world.broker.orders_down = True
    world.broker.halted = True
    world.core.limit(MNQ, 0)
    await asyncio.sleep(60)
    assert [call.name for call in world.calls()] == ["close"]
    world.broker.halted = world.broker.orders_down = False
    await world.settled()
    assert world.broker.net(MNQ) == 0


@in_world
async def test_reduction_when_orders_cannot_be_read_is_not_repeated(world: World) -> None:
    await held(world, size=5)
    world.broker.orders_down = True
    world.broker.faults.append(Fault(UNCERTAIN, effect=False))
    world.core.limit(MNQ, 2)
    await asyncio.sleep(60)
    assert [call.name for call in world.calls()] == ["reduce"]
    world.broker.orders_down = False
    await world.settled()
    assert world.broker.net(MNQ) == 2


@in_world
async def test_close_when_positions_cannot_be_read_is_repeated_on_two_equal_reads_of_the_orders(world: World) -> None:
    await held(world)
    world.broker.positions_down = True
    world.broker.faults.append(Fault(ACCEPTED, effect=False))
    world.core.limit(MNQ, 0)
    await world.until(lambda: world.broker.net(MNQ) == 0, 30)
    first, second = world.calls()
    assert BLIND < second.at - first.at < BLIND + 6


@in_world
async def test_close_when_positions_cannot_be_read_never_goes_out_beside_one_that_works(world: World) -> None:
    await held(world, size=4)
    world.broker.positions_down = world.broker.halted = True
    world.broker.pushes.append(Push(dropped=True))  # the core learns of the closing order by the read alone
    world.core.limit(MNQ, 0)
    await asyncio.sleep(9)
    assert [call.name for call in world.calls()] == ["close"]
    world.broker.halted = world.broker.positions_down = False
    await world.settled()
    assert world.broker.net(MNQ) == 0


@in_world
async def test_close_when_neither_can_be_read_is_not_repeated(world: World) -> None:
    await held(world)
    world.broker.positions_down = world.broker.orders_down = True
    world.broker.faults.append(Fault(ACCEPTED, effect=False))
    world.core.limit(MNQ, 0)
    await asyncio.sleep(60)
    assert len(world.calls()) == 1
    world.broker.positions_down = world.broker.orders_down = False
    await world.settled()
    assert world.broker.net(MNQ) == 0


@in_world
async def test_cancel_when_positions_cannot_be_read_is_repeated(world: World) -> None:
    await held(world, size=1)
    order = world.broker.place(MNQ, OrderType.LIMIT, Side.BUY, 1)
    world.broker.positions_down = True
    world.broker.faults.extend([Fault(), Fault(UNCERTAIN, effect=False)])
    world.core.limit(MNQ, 0)
    await world.until(lambda: not world.broker.working(MNQ), 20)
    assert [call.key for call in world.calls("cancel")] == [order, order]
    world.broker.positions_down = False
    await world.settled()
