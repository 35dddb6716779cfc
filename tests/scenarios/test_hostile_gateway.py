"""A whole daemon under attack: one odd record, a request limit used up, a war of tokens, old messages."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Simulator, effects
from tests.scenarios.world import PATIENT, accounts, broker, eventually, world

LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}
ACCOUNT = {"id": 101, "name": "ACC-101", "balance": 50000.0, "canTrade": True, "isVisible": True, "simulated": True}


def position(symbol: str, size: int, kind: int) -> dict[str, Any]:
    return {"id": size, "accountId": 101, "contractId": symbol, "type": kind, "size": size, "averagePrice": 21000.0}


@pytest.mark.parametrize("odd", [{"balance": "n/a"}, {"canTrade": "yes"}, {"id": None}])
async def test_account_when_odd_leaves_the_others_protected(tmp_path: Path, odd: dict[str, Any]) -> None:
    def prepare(sim: Simulator) -> None:
        listed = [ACCOUNT, {**ACCOUNT, "id": 102, "name": "ACC-102", **odd}]
        sim.faults.add(effects.Patch({"accounts": listed}), path="Account/search")

    two = broker(accounts(101, 102))
    async with world(tmp_path, LOSS, config=two, healthy=False, prepare=prepare) as here:
        here.trader().buy("MNQ", 1)
        here.sim.inject_trade(101, "NQ", -600)
        await eventually(here.flat, "101 is protected")


async def test_trade_when_odd_leaves_the_loss_limit_on(tmp_path: Path) -> None:
    def prepare(sim: Simulator) -> None:
        sim.inject_trade(101, "NQ", -600)
        odd = {"id": 77, "accountId": 101, "profitAndLoss": "n/a"}
        real = {"id": 78, "accountId": 101, "profitAndLoss": -600, "side": 0, "size": 1}
        sim.faults.add(effects.Patch({"trades": [odd, real]}), path="Trade/search")
        sim.trader(101).buy("MNQ", 1)

    async with world(tmp_path, LOSS, healthy=False, prepare=prepare) as here:
        await eventually(here.flat, "protected")


async def test_order_when_odd_leaves_reductions_and_closes_on(tmp_path: Path) -> None:
    odd = {"id": None, "accountId": 101, "contractId": "CON.F.US.MNQ.Z26", "status": 1, "type": 1, "side": 0, "size": 1}

    def prepare(sim: Simulator) -> None:
        sim.faults.add(effects.Patch({"orders": [odd], "totalCount": 1}), path="Order/v2/query")

    risk = {"rules": {**LOSS["rules"], "max_contracts": {"limit": 2}}}
    async with world(tmp_path, risk, healthy=False, prepare=prepare) as here:
        here.trader().buy("MNQ", 5)
        await eventually(lambda: here.held() == {"MNQ": 2}, "reduced")
        here.sim.inject_trade(101, "NQ", -600)
        await eventually(here.flat, "protected")


async def test_position_when_its_direction_is_unknown_is_closed_with_the_others(tmp_path: Path) -> None:
    def prepare(sim: Simulator) -> None:
        es, mnq = sim.contract("ES").id, sim.contract("MNQ").id
        sim.trader(101).buy("MNQ", 5)
        sim.trader(101).sell("ES", 1)
        sim.inject_trade(101, "NQ", -600)
        shown = [position(es, 1, 0), position(mnq, 5, 1)]
        sim.faults.add(effects.Patch({"positions": shown}), path="Position/searchOpen", count=6)

    async with world(tmp_path, LOSS, healthy=False, prepare=prepare) as here:
        await here.locked("RULE-003")
        await eventually(here.flat, "both are closed", 15)
        assert here.sim.extremes(101, "ES") == (-1, 0)
        assert here.sim.extremes(101, "MNQ") == (0, 5)


async def test_close_when_cancels_have_used_up_the_request_limit_goes_out_at_once(tmp_path: Path) -> None:
    timings = replace(PATIENT, requests_per_minute=(60, 55, 40, 40, 35), reads_per_minute=20, window=3.5)
    limited = replace(broker(accounts(101, 102)), rate_limit=62, rate_window=3.0)
    async with world(tmp_path, LOSS, config=limited, timings=timings) as here:
        here.trader(102).buy("ES", 1)
        for step in range(90):
            here.trader(101).buy("MNQ", 1, kind="limit", limit=5000 + step)
        engine = here.service.engine
        await eventually(lambda: len(engine.account(101).orders) == 90 and engine.account(102).positions, "seen")
        here.sim.inject_trade(101, "NQ", -600)
        await eventually(lambda: len(here.working(101)) <= 80, "cancels are under way")
        await asyncio.sleep(0.3)
        left = len(here.working(101))
        assert left > 30  # the limit holds the others back
        here.trader(101).buy("NQ", 1)
        here.sim.inject_trade(102, "NQ", -600)
        await eventually(lambda: not here.held(101) and not here.held(102), "both positions are closed", 1.5)
        assert len(here.working(101)) > left - 30
        await eventually(lambda: here.flat(101), "then the orders go", 15)
        assert not [r for r in here.sim.requests if r.status == 429]


@pytest.mark.parametrize("every", [0.05, 0.3])
async def test_close_when_another_program_ends_the_session_again_and_again_gets_through(
    tmp_path: Path, every: float
) -> None:
    timings = replace(PATIENT, mutation=5.0, read=8.0, relogin_min=5.0, relogin_min_urgent=0.5)
    async with world(tmp_path, LOSS, timings=timings) as here:
        here.trader().buy("MNQ", 1)
        here.trader().buy("ES", 1)
        await eventually(lambda: len(here.service.engine.account(101).positions) == 2, "held")
        stop = asyncio.Event()

        async def war() -> None:
            while not stop.is_set():
                here.sim.revoke_tokens("trader1")
                await asyncio.sleep(every)

        task = asyncio.create_task(war())
        try:
            here.trader().buy("NQ", 1)
            await here.call("lock_account", account_id=101, minutes=60)
            await eventually(lambda: not {"MNQ", "ES"} & here.held().keys(), "closed", 12)
        finally:
            stop.set()
            await task


async def test_reduction_when_an_old_position_message_comes_again_takes_nothing_off(tmp_path: Path) -> None:
    risk = {
        "rules": {
            "trade_frequency_limit": {"limits": {"per_minute": 1}, "cooldown_on_breach": {"per_minute_breach": 600}}
        }
    }
    async with world(tmp_path, risk, timings=PATIENT) as here:
        here.service.enforcer._started -= 60  # it has been up for a while
        account, mnq = here.service.engine.account(101), here.sim.contract("MNQ").id
        here.trader().buy("MNQ", 5)
        await here.locked("RULE-006")
        await eventually(lambda: account.size(mnq) == 5, "5 held")
        here.trader().sell("MNQ", 1)
        await eventually(lambda: account.size(mnq) == 4, "4 held")
        await asyncio.sleep(2.1)  # fills and positions are no longer set off against each other
        old = {**here.sim.positions(101)[0].payload(), "size": 5}
        frame = {"type": 1, "target": "GatewayUserPosition", "arguments": [old]}
        here.sim.send_raw(json.dumps(frame).encode() + b"\x1e", hub="user")
        await asyncio.sleep(1.0)
        assert here.held() == {"MNQ": 4}
        assert not here.sent("Position/partialCloseContract")


async def test_position_when_pushed_without_a_price_is_judged_by_the_price_that_is_read(tmp_path: Path) -> None:
    async with world(tmp_path, {"rules": {"daily_unrealized_loss": {"limit": -300}}}, timings=PATIENT) as here:
        here.sim.set_quotes_per_second(0)
        here.sim.faults.add(effects.Change({"averagePrice": None}), event="position")
        here.sim.set_quote("MNQ", "20999.75", "21000")
        here.trader().buy("MNQ", 2)
        account, mnq = here.service.engine.account(101), here.sim.contract("MNQ").id
        await eventually(lambda: mnq in account.positions and account.positions[mnq].average_price > 0, "a price")
        assert here.held() == {"MNQ": 2}
        here.sim.set_quote("MNQ", "20899.75", "20900")
        await eventually(here.flat, "the loss is seen")
