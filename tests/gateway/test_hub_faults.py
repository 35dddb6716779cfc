"""Every way in which a hub can break is healed, within a bound, and what happened in the gap is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from daemon.core.events import ConnectionChanged, PositionsSnapshot, PositionUpdate, TradesSnapshot
from daemon.simulator import effects as fx
from tests.gateway.world import FAST, QUIET, World, eventually, logins, world

PATIENT = replace(QUIET, hub_open=30.0, hub_silence=30.0)
"""Only an end that is noticed as such can bring the next connection within a test's bounds."""


async def heals(w: World, break_it: Callable[[], object], within: float) -> None:
    """Break the hub, trade in the gap, and see it read and pushed again."""
    before = len(w.of(ConnectionChanged))
    break_it()
    await eventually(lambda: any(not e.up for e in w.of(ConnectionChanged)[before:]), within, "noticed")
    seen = len(w.events)
    w.sim.trader(101).buy("MNQ", 1)
    held = w.sim.net(101, "MNQ")
    await eventually(w.ready, within, "ready again")

    def read() -> bool:
        """Read, or pushed if the hub was back before the trade."""
        later = w.events[seen:]
        snapshots = [e.positions for e in later if isinstance(e, PositionsSnapshot) and e.account_id == 101]
        pushed = [e.position.size for e in later if isinstance(e, PositionUpdate) and e.account_id == 101]
        return held in pushed or any([p.size for p in positions] == [held] for positions in snapshots)

    await eventually(read, within, "gap read")
    pushed = len(w.of(PositionUpdate, 101))
    w.sim.trader(101).buy("MNQ", 1)
    await eventually(lambda: len(w.of(PositionUpdate, 101)) > pushed, within, "pushed again")


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1009, 1011])
async def test_user_hub_when_closed_with_any_code_is_back_and_reads_the_gap(code: int) -> None:
    async with world(timings=PATIENT) as w:
        await heals(w, lambda: w.sim.faults.add(fx.Close(code), hub="user"), 2.8)


@pytest.mark.parametrize(
    "effect",
    [fx.CloseMessage(error="boom"), fx.CloseMessage(error=None), fx.CloseMessage(error=None, allow_reconnect=True)],
)
async def test_user_hub_when_close_message_comes_is_back(effect: fx.CloseMessage) -> None:
    async with world(timings=PATIENT) as w:
        await heals(w, lambda: w.sim.faults.add(effect, hub="user"), 3.0)


async def test_user_hub_when_closed_fifteen_times_running_is_back_each_time() -> None:
    async with world(timings=PATIENT) as w:
        for _ in range(15):
            await heals(w, lambda: w.sim.faults.add(fx.Close(1006), hub="user"), 2.8)


@pytest.mark.parametrize(
    ("effect", "path"),
    [
        (fx.HttpStatus(401), "hubs/user/negotiate"),
        (fx.HttpStatus(500), "hubs/user/negotiate"),
        (fx.Html(), "hubs/user/negotiate"),
        (fx.HttpStatus(503), "hubs/user"),
        (fx.HttpStatus(404), "hubs/user"),
    ],
)
async def test_user_hub_when_connecting_is_refused_for_a_while_is_back(effect: fx.Effect, path: str) -> None:
    async with world(timings=PATIENT) as w:
        w.sim.faults.add(effect, path=path, count=4)
        await heals(w, lambda: w.sim.faults.add(fx.Close(1006), hub="user"), 4.0)


@pytest.mark.parametrize("effect", [fx.NoHandshake(), fx.HandshakeError()])
async def test_user_hub_when_handshake_fails_twice_is_back(effect: fx.Effect) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(effect, hub="user", count=2)
        await heals(w, lambda: w.sim.faults.add(fx.Close(1006), hub="user"), 4.0)


async def test_hubs_when_down_for_long_are_back_soon_after() -> None:
    async with world(timings=QUIET) as w:
        await heals(w, lambda: w.sim.faults.add(fx.Down(1.5), hub="*"), 3.5)


async def test_user_hub_when_it_alone_breaks_leaves_the_market_hub_alone() -> None:
    async with world(timings=QUIET) as w:
        await eventually(lambda: w.sim.connections("market"), 2)
        market = w.sim.connections("market")[0].number
        await heals(w, lambda: w.sim.faults.add(fx.Close(1006), hub="user"), 2.8)
        assert [c.number for c in w.sim.connections("market")] == [market]


async def test_user_hub_when_server_falls_silent_is_rebuilt() -> None:
    timings = replace(QUIET, hub_silence=0.5)
    async with world(timings=timings) as w:
        first = w.sim.connections("user")[0]
        first.send = lambda *_a, **_k: None  # type: ignore[method-assign]
        await eventually(lambda: [c for c in w.sim.connections("user") if c is not first], 3)
        await eventually(w.ready, 3)
        assert any("nothing received" in e.reason for e in w.of(ConnectionChanged))


@pytest.mark.parametrize(
    "raw",
    [
        b"not json\x1e",
        b'{"type":1,"target":"GatewayUserOrder","argu\x1e',
        b'{"type":99}\x1e',
        b"[1,2]\x1e",
        b'{"type":1}\x1e',
        b'{"no":"type"}\x1e',
    ],
)
async def test_user_hub_when_junk_comes_stays_connected(raw: bytes) -> None:
    async with world(timings=QUIET) as w:
        number = w.sim.connections("user")[0].number
        w.sim.send_raw(raw, hub="user")
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 101))
        assert [c.number for c in w.sim.connections("user")] == [number]
        await eventually(w.ready)


@pytest.mark.parametrize("effect", [fx.ExtraKey(), fx.Oversize(), fx.Shape(wrapped=True), fx.Shape(wrapped=False)])
async def test_event_when_oddly_shaped_is_taken_in(effect: fx.Effect) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(effect, event="position")
        w.sim.trader(101).buy("MNQ", 2)
        await eventually(lambda: [e.position.size for e in w.of(PositionUpdate, 101)] == [2])


@pytest.mark.parametrize("effect", [fx.BadJson(), fx.Change({"size": "many"}), fx.Change({"type": 0})])
async def test_event_when_unreadable_makes_the_account_be_read(effect: fx.Effect) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(effect, event="position")
        w.events.clear()
        w.sim.trader(101).buy("MNQ", 2)
        await eventually(lambda: any(len(s.positions) == 1 for s in w.of(PositionsSnapshot, 101)))
        assert w.of(PositionUpdate, 101) == []
        assert w.alerts


@pytest.mark.parametrize("effect", [fx.Retarget(), fx.Change({"accountId": 999}), fx.Change({"brandNew": [1]})])
async def test_event_when_unknown_or_foreign_harms_nothing(effect: fx.Effect) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(effect, event="order", count=1)
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 101))
        assert w.ready()


@pytest.mark.parametrize("kind", [0, 1, 2])
async def test_position_when_closed_with_any_type_is_flat(kind: int) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(fx.Change({"type": kind}), event="position", closed=True)
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.trader(101).close("MNQ")
        await eventually(lambda: [e.position.size for e in w.of(PositionUpdate, 101)] == [2, 0])


async def test_stream_when_frozen_is_found_by_the_poll_and_rebuilt() -> None:
    async with world(timings=FAST) as w:
        number = w.sim.connections("user")[0].number
        w.sim.faults.add(fx.Drop(), event="*", count=20)
        w.sim.trader(101).buy("MNQ", 2)
        await eventually(lambda: any(len(s.positions) == 1 for s in w.of(PositionsSnapshot, 101)), 2, "found by poll")
        await eventually(lambda: [c for c in w.sim.connections("user") if c.number != number], 3, "rebuilt")
        assert w.alerted("without being pushed")
        w.sim.faults.clear()
        await eventually(w.ready)


@pytest.mark.parametrize("hub", ["up", "refused"])
async def test_position_that_was_not_pushed_is_found_by_the_poll_though_trades_cannot_be_read(hub: str) -> None:
    async with world(timings=replace(FAST, trades_poll=0.1)) as w:
        w.sim.faults.add(fx.HttpStatus(500), path="Trade/search")
        if hub == "refused":
            w.sim.faults.add(fx.HttpStatus(500), path="hubs/user/negotiate")
            w.sim.faults.add(fx.Close(1006), hub="user", count=1)
            await eventually(lambda: not w.ready() and not w.sim.connections("user"))
        failed = w.count("Trade/search")
        await eventually(lambda: w.count("Trade/search") > failed, what="due, and refused")
        w.sim.faults.add(fx.Drop(), event="*", count=20)
        w.sim.trader(101).buy("MNQ", 2)
        await eventually(lambda: any(len(s.positions) == 1 for s in w.of(PositionsSnapshot, 101)), 3, "found by poll")
        if hub == "up":
            await eventually(lambda: w.alerted("without being pushed"), 3)


async def test_stream_when_merely_late_is_left_alone() -> None:
    async with world(timings=replace(FAST, announce=0.8)) as w:
        number = w.sim.connections("user")[0].number
        w.sim.faults.add(fx.Late(0.5), event="*")
        w.sim.trader(101).buy("MNQ", 2)
        await eventually(lambda: w.of(PositionUpdate, 101))
        w.sim.faults.clear()
        await eventually(lambda: w.count("Position/searchOpen") > 12)
        assert [c.number for c in w.sim.connections("user")] == [number]


async def test_trades_while_the_user_hub_is_refused_are_read_with_every_poll() -> None:
    async with world(timings=FAST) as w:
        w.sim.faults.add(fx.HttpStatus(500), path="hubs/user/negotiate")
        w.sim.faults.add(fx.Close(1006), hub="user", count=1)
        await eventually(lambda: not w.ready() and not w.sim.connections("user"))
        # In and out between two polls: neither position nor order is left to be found.
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(101).close("MNQ")
        await eventually(lambda: w.of(TradesSnapshot, 101) and len(w.of(TradesSnapshot, 101)[-1].trades) == 2, 2)


async def test_trades_when_a_listed_balance_was_not_pushed_are_read_once() -> None:
    async with world(timings=FAST) as w:
        w.sim.faults.add(fx.Drop(), event="*")
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(101).close("MNQ")
        await eventually(lambda: w.of(TradesSnapshot, 101) and len(w.of(TradesSnapshot, 101)[-1].trades) == 2, 2)
        reads = w.count("Trade/search")
        lists = w.count("Account/search")
        await eventually(lambda: w.count("Account/search") > lists + 3)
        assert w.count("Trade/search") == reads


async def test_account_when_its_balance_moved_while_the_user_hub_is_refused_is_read_though_polls_have_no_turn() -> None:
    timings = replace(FAST, requests_per_minute=(10**6, 10**6, 10**6, 10**6, 1), poll_requests_per_minute=90)
    async with world(logins(1, accounts=20), timings=timings) as w:
        w.sim.faults.add(fx.HttpStatus(500), path="hubs/user/negotiate")
        w.sim.faults.add(fx.Close(1006), hub="user", count=1)
        await eventually(lambda: not w.ready() and not w.sim.connections("user"))
        w.sim.trader(113).buy("MNQ", 1)
        w.sim.trader(113).close("MNQ")
        await eventually(lambda: len(w.of(TradesSnapshot, 113)[-1].trades) == 2, 4)
        assert not w.of(TradesSnapshot, 112)[-1].trades


async def test_account_when_changed_before_subscriptions_took_effect_is_read_though_polls_have_no_turn() -> None:
    timings = replace(QUIET, settle=0.5, requests_per_minute=(10**6, 10**6, 10**6, 10**6, 1))
    async with world(timings=timings) as w:
        w.sim.faults.add(fx.Close(1006), hub="user", count=1)
        await eventually(lambda: not w.ready())
        await eventually(w.ready)
        w.sim.faults.add(fx.Drop(), event="*")
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(102).buy("MNQ", 1)
        w.sim.trader(102).close("MNQ")
        await eventually(lambda: [p.size for p in w.of(PositionsSnapshot, 101)[-1].positions] == [1], 3)
        await eventually(lambda: len(w.of(TradesSnapshot, 102)[-1].trades) == 2, 3)
