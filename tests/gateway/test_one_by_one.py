"""Requests begun together: in order, each when the one before is written, none held back by one that is stuck."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from daemon.gateway import one_by_one
from daemon.gateway.one_by_one import OneByOne
from tests.gateway.world import QUIET, eventually, world


async def test_turn_when_one_is_taken_waits_until_that_is_over() -> None:
    turns, begun = OneByOne(), list[int]()
    first = await turns.turn()

    async def ask(number: int) -> None:
        turn = await turns.turn()
        begun.append(number)
        await asyncio.sleep(0)
        turn.end()

    asking = [asyncio.create_task(ask(number)) for number in range(5)]
    await asyncio.sleep(0)
    assert begun == []
    first.end()
    first.end()
    await asyncio.wait_for(asyncio.gather(*asking), 5)
    assert begun == [0, 1, 2, 3, 4]


async def test_turn_when_the_one_before_never_ends_comes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_by_one, "PATIENCE_S", 0.02)
    turns = OneByOne()
    await turns.turn()
    await asyncio.wait_for(asyncio.gather(*(turns.turn() for _ in range(50))), 0.5)  # together, not one patience each


async def test_turn_when_its_waiter_is_cancelled_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_by_one, "PATIENCE_S", 60)
    turns = OneByOne()
    first = await turns.turn()
    waiting = asyncio.create_task(turns.turn())
    after = asyncio.create_task(turns.turn())
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    (await asyncio.wait_for(after, 5)).end()
    first.end()


@pytest.mark.parametrize("step", ["http11.send_request_body.complete", "http2.send_request_body.complete"])
async def test_turn_ends_when_httpcore_says_that_the_request_is_written(step: str) -> None:
    turns = OneByOne()
    request = httpx.Request("POST", "http://127.0.0.1/")
    (await turns.turn()).end_when_written(request)
    await request.extensions["trace"]("http11.send_request_headers.complete", {})
    waiting = asyncio.create_task(turns.turn())
    await asyncio.sleep(0)
    assert not waiting.done()
    await request.extensions["trace"](step, {})
    await asyncio.wait_for(waiting, 5)


async def test_closes_begun_together_when_connections_are_open_are_sent_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(one_by_one, "PATIENCE_S", 5)  # only what is written lets the next one go
    async with world(timings=QUIET) as w:
        contracts = [w.sim.contract(symbol).id for symbol in ("MNQ", "ES", "NQ")]
        for symbol in ("MNQ", "ES", "NQ"):
            w.sim.trader(101).buy(symbol, 1)
        answers = await asyncio.wait_for(
            asyncio.gather(*(w.gateways.close_position(101, contract) for contract in contracts)), 3
        )
        assert [answer.kind for answer in answers] == ["accepted"] * 3
        await eventually(lambda: not w.sim.positions(101))
        bodies = [record.body or {} for record in w.sim.requests if record.path == "Position/closeContract"]
        assert [body["contractId"] for body in bodies] == contracts
