"""The enforcer over a broker with faults, in virtual time: what goes out, when, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from daemon.broker import Answer, AnswerKind, GatewayError
from daemon.core.decisions import Action
from daemon.core.events import OrdersSnapshot, PositionsSnapshot
from daemon.enforcer import Enforcer
from daemon.position_lane import BLIND
from shared.models import ActionKind, ActionResult, OrderStatus, OrderType, Side
from tests.daemon.enforcer_broker import ACCOUNT, ES, MNQ, Call, Fault, Push, unreadable
from tests.daemon.enforcer_world import World
from tests.daemon.virtual_time import VirtualLoop, run

ACCEPTED, REFUSED = AnswerKind.ACCEPTED, AnswerKind.REFUSED
UNCERTAIN, NOT_SENT = AnswerKind.UNCERTAIN, AnswerKind.NOT_SENT


def in_world(test: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in a world of its own, and hold that to the laws."""

    def wrapped() -> None:
        async def main() -> None:
            world = World()
            await test(world)
            await world.end()

        run(main)

    wrapped.__name__ = test.__name__
    wrapped.__doc__ = test.__doc__
    return wrapped


async def held(world: World, contract: str = MNQ, size: int = 5, account: int = ACCOUNT) -> None:
    """The trader holds a position, long enough ago for everything to have come to rest."""
    world.broker.trade(contract, size, account)
    await asyncio.sleep(40)


def times(calls: list[Call]) -> list[float]:
    return [call.at for call in calls]


def gaps(calls: list[Call]) -> list[float]:
    at = times(calls)
    return [round(later - earlier, 3) for earlier, later in pairwise(at)]


# --- the first send


def test_submit_when_nothing_was_sent_before_reaches_the_broker_before_it_returns() -> None:
    async def main() -> None:
        world = World()
        await held(world)
        action = Action(1, ACCOUNT, ActionKind.CLOSE_POSITION, "RULE-003", MNQ, "", world.clock.now(), held=5)
        world.enforcer.submit(action)
        assert [call.name for call in world.calls()] == ["close"]
        assert world.broker.reads == []
        assert not world.enforcer.idle()
        await asyncio.sleep(0.02)
        outcome = world.enforcer.settle(action, ActionResult.CONFIRMED)
        assert outcome is not None
        assert (outcome.attempts, outcome.result) == (1, ActionResult.CONFIRMED)
        assert action.decided_at <= outcome.first_sent_at < outcome.settled_at
        await asyncio.sleep(1)
        assert world.enforcer.idle()
        assert len(world.calls()) == 1
        await world.end()

    run(main)


@in_world
async def test_close_when_the_event_shows_it_flat_needs_no_read(world: World) -> None:
    await held(world)
    world.core.limit(MNQ, 0)
    await world.settled()
    assert [call.name for call in world.calls()] == ["close"]
    assert world.broker.reads == []
    assert world.core.outcomes[0].result is ActionResult.CONFIRMED


@in_world
async def test_flatten_when_many_accounts_are_locked_sends_everything_at_once(world: World) -> None:
    accounts = [101, 102, 103]
    for account in accounts:
        for contract in (MNQ, ES):
            world.broker.trade(contract, 2, account)
            world.broker.place(contract, OrderType.LIMIT, Side.BUY, 1, account)
            world.broker.place(contract, OrderType.STOP, Side.SELL, 2, account, status=OrderStatus.SUSPENDED)
    await asyncio.sleep(40)
    world.broker.fault = lambda _: Fault(latency=2.0)
    for account in accounts:
        for contract in (MNQ, ES):
            world.core.limits[account, contract] = 0
    world.core.push(None)
    await asyncio.sleep(0.1)
    assert len(world.calls("close")) == 6
    assert len(world.calls("cancel")) == 12
    assert len(set(times(world.calls()))) == 1
    await world.settled()
    assert len(world.calls()) == 18


@in_world
async def test_locked_account_when_a_position_appears_later_closes_it_at_once(world: World) -> None:
    await held(world)
    world.core.limit(MNQ, 0)
    await world.settled()
    await asyncio.sleep(3)
    world.broker.trade(MNQ, 1)
    bought = world.loop.time()
    await world.settled()
    assert world.broker.net(MNQ) == 0
    assert len(world.calls("close")) == 2
    assert world.calls()[1].at - bought < 0.01
    assert world.broker.reads == []


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
    world.broker.fault = lambda _: Fault(UNCERTAIN, effect=False, latency=3.0)
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
    world.broker.faults.append(Fault(UNCERTAIN, effect=False))
    world.broker.read_faults.extend(unreadable() for _ in range(1000))
    world.core.limit(MNQ, 0)
    await asyncio.sleep(20)
    world.core.limit(MNQ, None)
    await world.until(world.enforcer.idle, 6)
    reads = len(world.broker.reads)
    await asyncio.sleep(60)
    assert len(world.broker.reads) == reads


# --- orders


@in_world
async def test_cancel_when_the_order_filled_meanwhile_reads_and_closes_what_it_opened(world: World) -> None:
    order = world.broker.place(MNQ, OrderType.LIMIT, Side.BUY, 2)
    await asyncio.sleep(40)
    world.broker.faults.append(Fault(latency=1.0))
    world.core.limit(MNQ, 0)
    await asyncio.sleep(0.1)
    world.broker.pushes.extend([Push(dropped=True)] * 2)
    world.broker.fill_resting(order)
    await world.settled()
    assert [call.name for call in world.calls()] == ["cancel", "close"]
    assert world.broker.net(MNQ) == 0


@in_world
async def test_cancel_when_the_event_is_lost_is_confirmed_by_the_read(world: World) -> None:
    world.broker.place(MNQ, OrderType.LIMIT, Side.BUY, 2)
    await asyncio.sleep(40)
    world.broker.pushes.append(Push(dropped=True))
    world.core.limit(MNQ, 0)
    await world.settled()
    assert len(world.calls("cancel")) == 1
    assert len(world.broker.reads) == 2


@in_world
async def test_modify_when_the_price_moves_on_sends_the_latest_once_a_second(world: World) -> None:
    order = world.broker.place(MNQ, OrderType.STOP, Side.SELL, 1)
    await asyncio.sleep(40)
    for price in range(2000, 2050):
        world.core.stops[ACCOUNT, order] = price
        world.core.push(None)
        await asyncio.sleep(0.1)
    await world.settled()
    calls = world.calls("modify")
    assert 5 <= len(calls) <= 7
    assert min(gaps(calls)) >= 1.0
    assert calls[-1].argument == 2049


@in_world
async def test_modify_when_refused_is_dropped_with_an_alert(world: World) -> None:
    order = world.broker.place(MNQ, OrderType.STOP, Side.SELL, 1)
    await asyncio.sleep(40)
    world.broker.fault = lambda _: Fault(REFUSED, 3)
    world.core.stops[ACCOUNT, order] = 2000
    world.core.push(None)
    await asyncio.sleep(60)
    assert len(world.calls("modify")) == 1
    assert [action.stop_price for action in world.dropped] == [2000]
    assert len(world.alerts) == 1
    assert world.enforcer.idle()
    world.broker.fault = lambda _: Fault()
    world.core.stops[ACCOUNT, order] = 2001
    world.core.push(None)
    await world.settled()
    assert world.broker.working(MNQ)[0].stop_price == 2001


# --- one broken thing stays one


@in_world
async def test_broker_when_it_raises_in_one_lane_leaves_the_others_alone(world: World) -> None:
    for contract in (MNQ, ES):
        world.broker.trade(contract, 2)
    await asyncio.sleep(40)
    world.broker.fault = lambda call: (
        Fault(raises=RuntimeError("a bug")) if call.key == MNQ and world.loop.time() < 60 else Fault()
    )
    world.core.limits[ACCOUNT, MNQ] = world.core.limits[ACCOUNT, ES] = 0
    world.core.push(None)
    await asyncio.sleep(0.1)
    assert world.broker.net(ES) == 0
    await world.settled()
    assert world.broker.net(MNQ) == 0
    assert any("a bug" in answer.message for _, _, answer in world.attempts)


@in_world
async def test_broker_when_it_is_cancelled_from_within_counts_as_uncertain(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(raises=asyncio.CancelledError()))  # type: ignore[arg-type]
    world.core.limit(MNQ, 2)
    await world.settled()
    assert [answer.kind for _, _, answer in world.attempts] == [UNCERTAIN, ACCEPTED]
    assert world.broker.net(MNQ) == 2


@in_world
async def test_broker_when_it_never_answers_is_given_up_and_read(world: World) -> None:
    await held(world)
    world.broker.faults.append(Fault(effect=False, latency=100_000))
    world.core.limit(MNQ, 0)
    await world.settled(120)
    assert gaps(world.calls()) == pytest.approx([60.2], abs=0.1)


@in_world
async def test_holdings_when_they_raise_for_an_account_alert_once_and_leave_the_others_alone(world: World) -> None:
    for account in (101, 102):
        world.broker.trade(MNQ, 2, account)
    await asyncio.sleep(40)
    real = world.core.position_size

    def broken(account_id: int, contract_id: str) -> int:
        if account_id == 101 and world.loop.time() < 60:
            raise KeyError(contract_id)
        return real(account_id, contract_id)

    world.core.position_size = broken  # type: ignore[method-assign]
    world.broker.core = None
    world.core.limits[101, MNQ] = world.core.limits[102, MNQ] = 0
    world.core.push(None)
    await asyncio.sleep(0.1)
    assert world.broker.net(MNQ, 102) == 0
    await world.settled()
    assert world.broker.net(MNQ, 101) == 0
    assert len(world.alerts) == 1


def test_digestion_when_it_fails_is_tried_again() -> None:
    async def main() -> None:
        world = World()
        failures = [RuntimeError("core")] * 2

        async def deliver(event: PositionsSnapshot | OrdersSnapshot | Any) -> None:
            if failures:
                raise failures.pop()
            await world.core.deliver(event)

        world.enforcer = Enforcer(world.broker, world.core, world.clock, deliver)
        world.core.enforcer = world.enforcer
        await held(world)
        world.broker.faults.append(Fault(UNCERTAIN, effect=False))
        world.core.limit(MNQ, 0)
        await world.settled()
        assert len(world.calls()) == 2
        await world.end()

    run(main)


def test_listener_when_it_raises_is_reported_and_stops_nothing() -> None:
    async def main(reported: list[dict[str, Any]]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        world = World()

        def broken(action: Action, attempts: int, answer: Answer) -> None:
            raise RuntimeError("a listener")

        world.enforcer = Enforcer(world.broker, world.core, world.clock, world.core.deliver, on_attempt=broken)
        world.core.enforcer = world.enforcer
        await held(world)
        world.broker.faults.append(Fault(UNCERTAIN, effect=False))
        world.core.limit(MNQ, 0)
        await world.settled()
        assert world.broker.net(MNQ) == 0
        await world.end()

    reported: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main(reported))
    assert [str(context["exception"]) for context in reported] == ["a listener"] * 2


# --- life


@in_world
async def test_restart_when_a_partial_close_was_on_its_way_does_not_send_it_again(world: World) -> None:
    await held(world)
    world.broker.fill_after = 1.0
    world.broker.pushes.extend([Push(dropped=True)] * 3)
    await world.broker.reduce_position(ACCOUNT, MNQ, 3)  # the process before this one, just killed
    world.broker.calls.clear()
    world.enforcer = Enforcer(world.broker, world.core, world.clock, world.core.deliver)
    world.core.enforcer = world.enforcer
    world.core.limit(MNQ, 2)
    await world.settled()
    assert world.calls() == []
    assert world.broker.net(MNQ) == 2


def test_stop_when_a_request_is_under_way_lets_it_end_and_begins_no_other() -> None:
    async def main() -> None:
        world = World()
        for contract in (MNQ, ES):
            world.broker.trade(contract, 2)
        await asyncio.sleep(40)
        world.broker.fault = lambda call: Fault(UNCERTAIN, latency=1.0 if call.key == MNQ else 0.01, effect=False)
        world.core.limits[ACCOUNT, MNQ] = world.core.limits[ACCOUNT, ES] = 0
        world.core.push(None)
        await asyncio.sleep(0.1)
        stopping = world.loop.time()
        assert await world.enforcer.stop(5.0)
        assert world.loop.time() - stopping == pytest.approx(0.9, abs=0.02)
        assert len(world.attempts) == 2
        world.enforcer.submit(Action(99, ACCOUNT, ActionKind.CLOSE_POSITION, "RULE-003", "X", "", 0))
        await asyncio.sleep(100)
        assert len(world.calls()) == 2
        await world.core.close()

    run(main)


def test_stop_when_a_request_does_not_end_gives_it_up() -> None:
    async def main() -> None:
        world = World()
        await held(world)
        world.broker.faults.append(Fault(latency=50.0))
        world.core.limit(MNQ, 0)
        await asyncio.sleep(0.1)
        stopping = world.loop.time()
        assert not await world.enforcer.stop(2.0)
        assert world.loop.time() - stopping == pytest.approx(2.0, abs=0.01)
        assert world.enforcer.idle()
        await world.core.close()

    run(main)


def test_stop_when_lanes_pause_or_read_ends_at_once() -> None:
    async def main() -> None:
        world = World()
        for contract in (MNQ, ES):
            world.broker.trade(contract, 2)
        await asyncio.sleep(40)
        world.broker.fault = lambda call: Fault(NOT_SENT) if call.key == ES else Fault(UNCERTAIN, effect=False)
        world.broker.read_faults.extend(unreadable() for _ in range(1000))
        world.core.limits[ACCOUNT, MNQ] = world.core.limits[ACCOUNT, ES] = 0
        world.core.push(None)
        await asyncio.sleep(21.7)
        stopping = world.loop.time()
        assert await world.enforcer.stop(5.0)
        assert world.loop.time() - stopping < 0.02
        assert world.enforcer.idle()
        await world.core.close()

    run(main)


@in_world
async def test_submit_when_repeated_changes_nothing(world: World) -> None:
    await held(world)
    world.core.limit(MNQ, 0)
    await asyncio.sleep(0.001)
    (action,) = world.core.obligations.values()
    world.enforcer.submit(action)
    assert world.enforcer.open_actions() == [action]
    await world.settled()
    assert world.enforcer.open_actions() == []
    assert len(world.calls()) == 1
    assert world.enforcer.settle(action, ActionResult.CONFIRMED) is None


@in_world
async def test_submit_when_the_action_is_nothing_to_send_raises(world: World) -> None:
    for kind in (ActionKind.LOCKOUT_SET, ActionKind.CANCEL_ORDER):
        with pytest.raises(ValueError, match="nothing that can be sent"):
            world.enforcer.submit(Action(1, ACCOUNT, kind, "RULE-003", MNQ, "", 0))
    assert world.enforcer.idle()
