"""Pushes that are missing, doubled, late or out of order, and what the adapter makes of them."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.clock import ManualClock
from daemon.core.events import PositionsSnapshot, PositionUpdate, TradesSnapshot, TradeUpdate
from daemon.gateway.sleep_watch import SleepWatch
from daemon.simulator import Account
from daemon.simulator import effects as fx
from tests.gateway.world import FAST, QUIET, eventually, logins, world


@pytest.mark.parametrize("kind", ["trade", "position"])
async def test_fill_when_one_of_its_pushes_is_missing_makes_the_account_be_read(kind: str) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(fx.Drop(), event=kind)
        before = len(w.of(TradesSnapshot, 101))
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: len(w.of(TradesSnapshot, 101)) > before)
        assert len(w.of(TradesSnapshot, 101)[-1].trades) == 1
        assert [p.size for p in w.of(PositionsSnapshot, 101)[-1].positions] == [1]


async def test_fill_when_the_trade_before_it_was_not_pushed_makes_the_account_be_read_once() -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: len(w.of(TradeUpdate, 101)) == 1)
        await eventually(lambda: not w.gateways._sessions["trader1"].monitored[101].watched)
        before = len(w.of(TradesSnapshot, 101))
        w.sim.faults.add(fx.Drop(), hub="user", event="trade", count=1)
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: len(w.of(TradesSnapshot, 101)) > before)
        assert len(w.of(TradesSnapshot, 101)[-1].trades) == 3
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: len(w.of(TradeUpdate, 101)) == 3)
        await eventually(lambda: not w.gateways._sessions["trader1"].monitored[101].watched)
        assert len(w.of(TradesSnapshot, 101)) == before + 1


async def test_fill_when_its_position_is_lost_soon_after_another_fill_makes_the_account_be_read() -> None:
    """The watch over the first fill has seen a position, and a trade, since it began."""
    async with world(timings=replace(QUIET, announce=0.6)) as w:
        before = len(w.of(PositionsSnapshot, 101))
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 101))
        await asyncio.sleep(0.3)
        w.sim.faults.add(fx.Drop(), hub="user", event="position", count=1)
        w.sim.trader(101).buy("MNQ", 3)
        await eventually(lambda: len(w.of(PositionsSnapshot, 101)) > before)
        assert [p.size for p in w.of(PositionsSnapshot, 101)[-1].positions] == [4]
        await eventually(lambda: not w.gateways._sessions["trader1"].monitored[101].watched)
        assert len(w.of(PositionsSnapshot, 101)) == before + 1


async def test_fill_when_whole_reads_nothing() -> None:
    async with world(timings=QUIET) as w:
        before = len(w.sim.requests)
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(101).close("MNQ")
        await eventually(lambda: [e.position.size for e in w.of(PositionUpdate, 101)] == [1, 0])
        await eventually(lambda: not w.gateways._sessions["trader1"].monitored[101].watched)
        assert len(w.sim.requests) == before


async def test_fill_when_pushes_come_twice_or_in_another_order_are_passed_on_and_nothing_is_read() -> None:
    async with world(timings=QUIET) as w:
        before = len(w.sim.requests)
        w.sim.faults.add(fx.Duplicate(2), event="trade", count=1)
        w.sim.faults.add(fx.Reorder(), event="order", count=1)
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: len(w.of(TradeUpdate, 101)) == 3 and w.of(PositionUpdate, 101))
        await eventually(lambda: not w.gateways._sessions["trader1"].monitored[101].watched)
        assert len(w.sim.requests) == before


async def test_account_when_found_while_the_hub_is_connecting_is_subscribed_all_the_same() -> None:
    async with world(timings=replace(FAST, hub_open=0.4)) as w:
        w.sim.faults.add(fx.NoHandshake(), hub="user", count=2)
        w.sim.faults.add(fx.Close(1006), hub="user")
        w.sim.add_account("trader1", Account(199))
        await eventually(lambda: 199 in w.gateways.status().accounts)
        await eventually(w.ready)
        w.sim.trader(199).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 199))


async def test_alert_when_the_same_comes_with_every_poll_is_given_once() -> None:
    async with world(timings=FAST) as w:
        patch = {"positions": [{"accountId": 101, "contractId": "X", "type": 0, "size": 2}]}
        w.sim.faults.add(fx.Patch(patch), path="Position/searchOpen", account=101)
        await eventually(lambda: w.count("Position/searchOpen") > 12)
        assert len([text for text, _ in w.alerts if "101 cannot be understood" in text]) == 1


async def test_part_when_it_fails_for_a_fault_of_ours_goes_on() -> None:
    async with world(timings=FAST) as w:
        session = w.gateways._sessions["trader1"]
        real, calls = session.keep_warm, []

        async def broken() -> None:
            calls.append(1)
            if len(calls) == 1:
                raise KeyError("ours")
            await real()

        session.keep_warm = broken  # type: ignore[method-assign]
        await eventually(lambda: len(calls) > 1)
        assert w.alerted("A part of login trader1 failed")


async def test_logs_when_everything_goes_wrong_hold_no_secret_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    config = logins(1)
    config.token_ttl = 2.0
    async with world(config, timings=QUIET) as w:
        w.sim.faults.add(fx.Html(), path="hubs/user/negotiate", count=1)
        w.sim.faults.add(fx.HttpStatus(401), path="hubs/user/negotiate", count=1)
        w.sim.faults.add(fx.HttpStatus(503), path="hubs/user", count=1)
        w.sim.faults.add(fx.HttpStatus(500), path="Order/v2/query", count=2)
        w.sim.faults.add(fx.Close(1011), hub="*")
        await eventually(w.ready)
        w.sim.revoke_tokens()
        await w.gateways.close_position(101, "X")
        await eventually(w.ready)
        tokens = {s.rest.token for s in w.gateways._sessions.values()}
        told = str(w.alerts) + str(w.events) + str(w.gateways.status())
    gc.collect()
    out = capfd.readouterr()
    logged = "\n".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    assert out.out == ""
    for text in (out.err, logged, told):
        assert "key-1" not in text
        assert "access_token=ey" not in text
        assert not any(token and token in text for token in tokens)


async def test_machine_when_it_has_slept_connects_everything_anew() -> None:
    async with world(timings=QUIET) as w:
        w.gateways.set_quoted_contracts([w.sim.contract("MNQ").id])
        await eventually(lambda: w.sim.connections("market"))
        last = max(c.number for hub in ("user", "market") for c in w.sim.connections(hub))
        w.sim.trader(101).buy("MNQ", 1)
        w.wall_ahead = 3_600_000_000
        for hub in ("user", "market"):
            await eventually(lambda: any(c.number > last for c in w.sim.connections(hub)))  # noqa: B023
        await eventually(w.ready)
        assert (await w.gateways.close_position(101, w.sim.contract("MNQ").id)).kind == "accepted"


def test_sleep_when_the_monotonic_clock_counts_it_or_not_is_noticed_once() -> None:
    clock = ManualClock()
    watch = SleepWatch(clock, 10.0)
    clock.advance(1)
    assert not watch.slept()
    clock.advance(60)
    assert watch.slept()
    assert not watch.slept()


ONLINE_IN_A_PROCESS_OF_ITS_OWN = """
import asyncio, logging
from tests.gateway.world import QUIET, world

async def main():
    async with world(timings=QUIET):
        known = [name for name in logging.Logger.manager.loggerDict if name.startswith("project_x_py")]
        print(len(known), *(name for name in known if logging.getLogger(name).handlers))

asyncio.run(main())
"""


async def test_sdk_when_imported_has_no_handler_of_its_own_left() -> None:
    # A process of its own: tests of the simulator use parts of the SDK that the daemon never touches.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ONLINE_IN_A_PROCESS_OF_ITS_OWN),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        told, _ = await asyncio.wait_for(child.communicate(), 60)
    finally:
        if child.returncode is None:
            child.kill()
    assert child.returncode == 0
    known, *with_handlers = told.decode().split()
    assert int(known) > 5
    assert with_handlers == []


async def test_reconnects_when_there_are_many_leave_nothing_behind() -> None:
    from daemon.gateway.projectx import HubLink

    async with world(timings=QUIET) as w:
        for _ in range(12):
            number = w.sim.connections("user")[0].number
            w.sim.faults.add(fx.Close(1006), hub="user")
            await eventually(lambda: any(c.number > number for c in w.sim.connections("user")))  # noqa: B023
        await eventually(w.ready)
        gc.collect()
        assert sum(1 for thing in gc.get_objects() if isinstance(thing, HubLink)) <= 3


async def test_limit_when_the_gateway_counts_requests_is_not_reached_by_twenty_accounts() -> None:
    """With the live intervals: start, reconcile, first polls and a flatten of all stay below 200 in a minute."""
    config = logins(1, accounts=20)
    config.rate_limit = 200
    timings = replace(
        FAST, poll=15.0, poll_requests_per_minute=90, settle=0.2, requests_per_minute=(195, 180, 150, 140, 110)
    )
    async with world(config, timings=timings) as w:
        for account in range(101, 121):
            w.sim.trader(account).buy("MNQ", 1)
        await eventually(lambda: w.count("Position/searchOpen") >= 40)
        contract = w.sim.contract("MNQ").id
        for account in range(101, 121):
            assert (await w.gateways.close_position(account, contract)).kind == "accepted"
            assert (await w.gateways.read_positions(account)).positions == ()
        assert all(request.status != 429 for request in w.sim.requests)
