"""The enforcer over a broker with faults, in virtual time: what goes out, when, and how often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from daemon.broker import Answer, AnswerKind
from daemon.core.decisions import Action
from daemon.core.events import OrdersSnapshot, PositionsSnapshot
from daemon.enforcer import Enforcer
from shared.models import ActionKind, ActionResult, OrderStatus, OrderType, Side
from tests.daemon.enforcer_broker import ACCOUNT, ES, MNQ, Fault, Push, unreadable
from tests.daemon.enforcer_world import World, gaps, held, in_world, times
from tests.daemon.virtual_time import VirtualLoop, run

ACCEPTED, REFUSED = AnswerKind.ACCEPTED, AnswerKind.REFUSED
UNCERTAIN, NOT_SENT = AnswerKind.UNCERTAIN, AnswerKind.NOT_SENT


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
