"""A running daemon and a gateway that fails in every way: flat and locked in the end, and nothing else touched."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Account, Login, Simulator, effects
from tests.gateway.world import FAST
from tests.scenarios.world import PATIENT, World, accounts, broker, eventually, running, world

LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}
TWO = (101, 102)


def two(**more: Any) -> Any:
    """A broker with two accounts of one login: 101 is to be enforced, 102 never."""
    return broker(accounts(*TWO), **more)


async def open_positions(here: World) -> int:
    """Both accounts hold the same and have an order working; gives the number of requests so far."""
    bid = Decimal(str(here.sim.quote("MNQ")[0]))
    for account in TWO:
        here.trader(account).buy("MNQ", 3)
        here.trader(account).buy("ES", 1)
        here.trader(account).sell("MNQ", 3, kind="stop", stop=bid - 50)
    engine = here.service.engine
    await eventually(lambda: all(len(engine.account(a).orders) == 1 for a in TWO), "the daemon sees the orders")
    return len(here.sim.requests)


async def breach_and_check(here: World, begun: int) -> None:
    """101 loses its day: flat, locked, never flipped; 102 keeps all it has, and nothing was ever sent for it."""
    here.sim.inject_trade(101, "NQ", -600)
    await eventually(lambda: here.flat(101), "101 is flat", 20)
    await eventually(lambda: "RULE-003" in here.locks(101), "101 is locked")
    await here.enforced()
    assert here.never_flipped(101)
    others_left_alone(here, begun)
    log = await here.log()
    assert log[0] == ("RULE-003", "lockout_set", "confirmed")
    assert {result for _, _, result in log} <= {"confirmed", "superseded"}


def others_left_alone(here: World, begun: int) -> None:
    """Nothing closed that no rule forbids."""
    assert here.held(102) == {"MNQ": 3, "ES": 1}
    assert len(here.working(102)) == 1
    mutations = ("Position/closeContract", "Position/partialCloseContract", "Order/cancel", "Order/modify")
    assert not [r for r in list(here.sim.requests)[begun:] if r.path in mutations and r.account_id == 102]


REST: dict[str, list[tuple[effects.Effect, dict[str, Any]]]] = {
    "429 with Retry-After": [(effects.HttpStatus(429, retry_after=1), {"path": "Position/*", "count": 3})],
    "429 without Retry-After": [(effects.HttpStatus(429), {"path": "*", "count": 8})],
    "500 burst": [(effects.HttpStatus(500), {"path": "Position/*", "count": 6})],
    "503 after the effect": [
        (effects.HttpStatus(503, after_effect=True), {"path": "Position/closeContract", "count": 2})
    ],
    "html": [(effects.Html(), {"path": "Position/*", "count": 4}), (effects.Html(), {"path": "Order/*", "count": 4})],
    "html after the effect": [(effects.Html(after_effect=True), {"path": "Position/closeContract", "count": 2})],
    "time-outs during the flatten": [(effects.Hang(), {"path": "Position/closeContract", "count": 2})],
    "time-outs after the effect": [(effects.Hang(after_effect=True), {"path": "Position/closeContract", "count": 2})],
    "resets": [(effects.Reset(), {"path": "*", "count": 6})],
    "resets after the effect": [
        (effects.Reset(after_effect=True), {"path": "Position/closeContract", "count": 2}),
        (effects.Reset(after_effect=True), {"path": "Order/cancel", "count": 1}),
    ],
    "success without effect": [(effects.NoEffect(), {"path": "Position/closeContract", "count": 2})],
    "pending": [(effects.Pending(0.3), {"path": "Position/closeContract", "count": 2})],
    "refused": [(effects.Refuse(5), {"path": "Position/closeContract", "count": 3})],
    "position not found, and it is there": [(effects.Refuse(2), {"path": "Position/closeContract", "count": 2})],
    "token revoked in the middle": [(effects.HttpStatus(401), {"path": "Position/closeContract", "count": 2})],
    "reads fail, mutations work": [(effects.HttpStatus(500), {"path": "*search*", "count": 10})],
}


@pytest.mark.parametrize("fault", REST)
async def test_rest_fault_during_a_flatten_ends_flat_and_locked(tmp_path: Path, fault: str) -> None:
    timings = replace(FAST, poll=1.0)
    async with world(tmp_path, LOSS, config=two(), timings=timings) as here:
        begun = await open_positions(here)
        for effect, match in REST[fault]:
            here.sim.faults.add(effect, **match)
        await breach_and_check(here, begun)


async def test_stop_that_fills_while_it_is_cancelled_ends_flat(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS, config=two()) as here:
        begun = await open_positions(here)
        here.sim.faults.add(effects.FillInstead(), path="Order/cancel", count=1)
        here.sim.inject_trade(101, "NQ", -600)
        await here.locked("RULE-003")
        await eventually(lambda: here.sim.extremes(101, "MNQ") in {(0, 3), (-3, 3)} and here.flat(101), "flat", 20)
        await here.enforced()
        # The trader's own stop may have turned the position round; the daemon's orders have not, and took it off.
        assert here.flat(101) and here.sim.extremes(101, "ES") == (0, 1)
        others_left_alone(here, begun)


EVENTS: dict[str, tuple[effects.Effect, dict[str, Any]]] = {
    "every event twice": (effects.Duplicate(2), {}),
    "events in the wrong order": (effects.Reorder(), {"probability": 0.5}),
    "events late": (effects.Late(0.2), {"probability": 0.5}),
    "half of the events lost": (effects.Drop(), {"probability": 0.5}),
    "close event missing": (effects.Drop(), {"event": "position", "closed": True}),
    "all positions lost": (effects.Drop(), {"event": "position"}),
    "all trades lost": (effects.Drop(), {"event": "trade"}),
    "held back until the next connection": (effects.UntilReconnect(), {"event": "position"}),
    "wrapped": (effects.Shape(True), {}),
    "bare": (effects.Shape(False), {}),
    "closed as type 1": (effects.Change({"type": 1}), {"event": "position", "closed": True}),
    "closed as type 0": (effects.Change({"type": 0}), {"event": "position", "closed": True}),
    "unknown target": (effects.Retarget(), {"probability": 0.5}),
    "extra key": (effects.ExtraKey(), {"count": 2}),
    "bad JSON": (effects.BadJson(), {"count": 2}),
    "over a MiB": (effects.Oversize(), {"count": 2}),
}


@pytest.mark.parametrize("fault", EVENTS)
async def test_faulty_events_end_flat_and_locked(tmp_path: Path, fault: str) -> None:
    effect, match = EVENTS[fault]
    timings = replace(FAST, trades_poll=0.5)
    async with world(tmp_path, LOSS, config=two(), timings=timings) as here:
        here.sim.faults.add(effect, hub="user", **match)
        begun = await open_positions(here)
        await breach_and_check(here, begun)


HUBS: dict[str, effects.Effect] = {
    "closed 1006": effects.Close(1006),
    "closed 1011": effects.Close(1011),
    "close message with an error": effects.CloseMessage("Connection closed with an error."),
    "down for 1 s": effects.Down(1.0),
    "no pong": effects.NoPong(),
}


@pytest.mark.parametrize("fault", HUBS)
async def test_hub_that_drops_before_the_breach_hides_nothing(tmp_path: Path, fault: str) -> None:
    async with world(tmp_path, LOSS, config=two()) as here:
        begun = await open_positions(here)
        here.sim.faults.add(HUBS[fault], count=2)
        await breach_and_check(here, begun)
        here.sim.faults.clear()
        await eventually(lambda: here.service.status() == "healthy", "healthy again", 15)


async def test_gateway_down_at_the_start_is_enforced_as_soon_as_it_comes_up(tmp_path: Path) -> None:
    made = World(tmp_path, LOSS, config=two(), timings=replace(FAST, start=0.5))

    def before(sim: Simulator) -> None:
        for account in TWO:
            sim.trader(account).buy("MNQ", 2)
        sim.inject_trade(101, "NQ", -600)
        sim.faults.add(effects.HttpStatus(503), path="*", label="down")

    async with running(made, healthy=False, prepare=before) as here:
        status = await here.call("get_status")
        assert status["status"] == "degraded"
        assert status["accounts"] == {}
        assert here.held(101) == {"MNQ": 2}
        here.sim.faults.clear()
        await eventually(lambda: here.flat(101), "flat", 15)
        await here.enforced()
        await eventually(lambda: here.service.status() == "healthy", "healthy")
        assert here.locks(101) == {"RULE-003": "hard"}
        assert here.held(102) == {"MNQ": 2} and here.locks(102) == {}


@pytest.mark.parametrize("code", [3, 10])
async def test_login_that_is_refused_leaves_the_others_protected(tmp_path: Path, code: int) -> None:
    logins = [Login("trader1", "key-1", [Account(101)]), Login("trader2", "key-2", [Account(201)])]
    made = World(tmp_path, LOSS, config=broker(logins))

    def before(sim: Simulator) -> None:
        sim.set_login_refusal("trader1", code)
        sim.trader(201).buy("MNQ", 1)
        sim.trader(101).buy("MNQ", 1)

    async with running(made, healthy=False, prepare=before) as here:
        await eventually(lambda: 201 in here.service.engine.accounts, "201 is watched")
        here.sim.inject_trade(201, "NQ", -600)
        await eventually(lambda: here.flat(201), "flat")
        assert (await here.call("get_status"))["status"] == "degraded"
        assert 101 not in here.service.engine.accounts
        here.sim.set_login_refusal("trader1", 0)
        await eventually(lambda: here.service.status() == "healthy", "the login is tried again")
        assert here.held(101) == {"MNQ": 1}


async def test_token_that_expires_in_the_middle_of_the_session_is_renewed(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS, config=two()) as here:
        begun = await open_positions(here)
        assert here.sim.revoke_tokens() >= 1
        await breach_and_check(here, begun)
        logins = len(here.sent("Auth/loginKey"))
        here.sim.clock.advance(25 * 3600)  # as after a night's sleep of the machine: the token has expired
        await eventually(lambda: len(here.sent("Auth/loginKey")) > logins, "a new login")
        await eventually(lambda: here.service.status() == "healthy", "healthy")


async def test_account_opened_later_is_found_and_protected(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        here.sim.add_account("trader1", Account(103, "NEW"))
        here.sim.trader(103).buy("MNQ", 1)
        await eventually(lambda: 103 in here.service.engine.accounts, "found")
        here.sim.inject_trade(103, "NQ", -600)
        await eventually(lambda: here.flat(103), "flat")
        await eventually(lambda: here.locks(103) == {"RULE-003": "hard"})
        assert here.locks(101) == {}


async def test_silent_quotes_are_warned_about_once_and_nothing_is_guessed(tmp_path: Path) -> None:
    rules = {"rules": {"daily_unrealized_loss": {"limit": -300}}}
    async with world(tmp_path, rules, timings=replace(FAST, quote_silence=600.0)) as here:
        here.trader().buy("MNQ", 2)
        await here.quoted("MNQ")
        heard: list[Any] = []
        await here.client.subscribe(["warnings"], heard.append)
        here.sim.faults.add(effects.Drop(), hub="market")
        bid = Decimal(str(here.sim.quote("MNQ")[0]))
        here.sim.set_quote("MNQ", bid - 200, bid - 199)
        await here.travel(11)
        await eventually(lambda: any("No quote for MNQ" in str(message) for message in heard), "warned")
        await asyncio.sleep(0.05)
        assert here.held() == {"MNQ": 2} and here.locks() == {}
        here.sim.faults.clear()
        here.sim.set_quote("MNQ", bid - 200, bid - 199)
        await eventually(here.flat, "judged by the next quote")
        assert sum("No quote for MNQ" in str(message) for message in heard) == 1


async def test_broker_that_refuses_every_close_is_tried_again_and_alerted_once(tmp_path: Path) -> None:
    made = World(tmp_path, {"rules": {"auth_loss_guard": {}}}, timings=PATIENT)
    async with running(made, prepare=lambda sim: sim.trader(101).buy("MNQ", 1)) as here:
        alerts: list[str] = []
        here.service.alarms.connect(lambda severity, text: alerts.append(text))
        here.sim.set_restricted(101, True)
        here.sim.set_can_trade(101, False)
        await here.locked("RULE-010")
        await eventually(lambda: len(here.sent("Position/closeContract")) >= 3, "tried again", 15)
        assert len([text for text in alerts if "refuse" in text.lower()]) <= 1
        here.sim.set_restricted(101, False)
        await eventually(here.flat, "closed as soon as the broker lets it", 20)
        assert here.never_flipped()
