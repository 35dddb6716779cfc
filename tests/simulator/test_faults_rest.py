"""Every REST fault does over the wire what it says, and takes effect or not as it says."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from daemon.simulator import OrderStatus, Simulator, effects
from daemon.simulator.effects import Effect
from daemon.simulator.faults import fault_from

from .wire import Wire, eventually

CLOSE = "Position/closeContract"


@pytest.fixture
def held(sim: Simulator) -> dict[str, Any]:
    """Account 101 is long 3 MNQ; the body of a close request."""
    sim.trader(101).buy("MNQ", 3)
    return {"accountId": 101, "contractId": sim.contract("MNQ").id}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 502, 503])
@pytest.mark.parametrize("after_effect", [False, True])
async def test_http_status(sim: Simulator, wire: Wire, held: dict[str, Any], status: int, after_effect: bool) -> None:
    sim.faults.add(effects.HttpStatus(status, body="oops", after_effect=after_effect), path=CLOSE, count=1)
    assert await wire.request(CLOSE, held) == (status, "oops")
    assert sim.net(101, "MNQ") == (0 if after_effect else 3)
    assert (sim.requests[-1].status, sim.requests[-1].fault) == (status, "http_status")


@pytest.mark.parametrize("retry_after", [None, 7])
async def test_429_with_and_without_retry_after(sim: Simulator, wire: Wire, retry_after: int | None) -> None:
    sim.faults.add(effects.HttpStatus(429, retry_after=retry_after), path="Account/*")
    async with wire.session.post(
        f"{sim.api_url}/Account/search", json={}, headers={"Authorization": f"Bearer {wire.token}"}
    ) as response:
        assert response.status == 429
        assert response.headers.get("Retry-After") == (None if retry_after is None else "7")


@pytest.mark.parametrize("after_effect", [False, True])
async def test_html_page(sim: Simulator, wire: Wire, held: dict[str, Any], after_effect: bool) -> None:
    sim.faults.add(effects.Html(after_effect=after_effect), path=CLOSE, count=1)
    status, text = await wire.request(CLOSE, held)
    assert status == 200
    assert text.startswith("<!DOCTYPE html>")
    assert sim.net(101, "MNQ") == (0 if after_effect else 3)


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("effect", [effects.Reset, effects.Hang])
async def test_reset_and_hang(
    sim: Simulator, wire: Wire, held: dict[str, Any], effect: Any, after_effect: bool
) -> None:
    seconds = {"seconds": 0.02} if effect is effects.Hang else {}
    sim.faults.add(effect(after_effect=after_effect, **seconds), path=CLOSE, count=1)
    with pytest.raises(aiohttp.ClientError):
        await wire.request(CLOSE, held)
    assert sim.net(101, "MNQ") == (0 if after_effect else 3)
    assert sim.requests[-1].status == 0
    assert (await wire.post(CLOSE, **held))["errorCode"] == (2 if after_effect else 0)


async def test_hang_without_end_lasts_as_long_as_the_client_waits(
    sim: Simulator, wire: Wire, held: dict[str, Any]
) -> None:
    sim.faults.add(effects.Hang(), path=CLOSE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await wire.request(CLOSE, held)
    await sim.stop()


async def test_delay_before_the_effect(sim: Simulator, wire: Wire, held: dict[str, Any]) -> None:
    sim.faults.add(effects.Delay(0.1), path=CLOSE, count=1)
    request = asyncio.create_task(wire.post(CLOSE, **held))
    await eventually(lambda: sim.requests[-1].path == CLOSE)
    assert sim.net(101, "MNQ") == 3
    assert (await request)["success"]
    assert sim.net(101, "MNQ") == 0


async def test_delay_after_the_effect(sim: Simulator, wire: Wire, held: dict[str, Any]) -> None:
    sim.faults.add(effects.Delay(0.1, after_effect=True), path=CLOSE, count=1)
    request = asyncio.create_task(wire.post(CLOSE, **held))
    await eventually(lambda: sim.net(101, "MNQ") == 0)
    assert not request.done()
    assert (await request)["success"]


async def test_success_without_effect(sim: Simulator, wire: Wire, held: dict[str, Any]) -> None:
    sim.faults.add(effects.NoEffect(), count=2)
    assert (await wire.post(CLOSE, **held))["success"]
    assert sim.net(101, "MNQ") == 3
    placed = await wire.post("Order/place", **held, type=2, side=0, size=1)
    assert placed["success"]
    assert sim.net(101, "MNQ") == 3
    assert (await wire.post("Order/searchById", accountId=101, orderId=placed["orderId"]))["errorCode"] == 2


@pytest.mark.parametrize(
    ("path", "extra", "code"),
    [
        (CLOSE, {}, 6),
        ("Position/partialCloseContract", {"size": 3}, 7),
        ("Order/place", {"type": 2, "side": 1, "size": 3}, 6),
    ],
)
async def test_pending_takes_effect_later(
    sim: Simulator, wire: Wire, held: dict[str, Any], path: str, extra: dict[str, Any], code: int
) -> None:
    sim.faults.add(effects.Pending(30), path=path, count=1)
    answer = await wire.post(path, **held, **extra)
    assert (answer["success"], answer["errorCode"], answer["errorMessage"]) == (False, code, None)
    sim.clock.advance(29)
    assert sim.net(101, "MNQ") == 3
    sim.clock.advance(1)
    assert sim.net(101, "MNQ") == 0


async def test_pending_cancel_and_pending_for_ever(sim: Simulator, wire: Wire) -> None:
    order_id = sim.trader(101).buy("MNQ", 1, kind="limit", limit=24_000)
    sim.faults.add(effects.Pending(None), path="Order/cancel", count=1)
    sim.faults.add(effects.Pending(5), path="Order/cancel", count=1)
    for after, left in ((1000, 1), (10, 0)):
        assert (await wire.post("Order/cancel", accountId=101, orderId=order_id))["errorCode"] == 4
        sim.clock.advance(after)
        assert len(sim.working_orders(101)) == left


@pytest.mark.parametrize(
    ("code", "message"), [(6, None), (7, "An unknown error occurred."), (2, "Position not found.")]
)
@pytest.mark.parametrize("after_effect", [False, True])
async def test_forced_error_code(
    sim: Simulator, wire: Wire, held: dict[str, Any], code: int, message: str | None, after_effect: bool
) -> None:
    sim.faults.add(effects.Refuse(code, message, after_effect), path=CLOSE, count=1)
    answer = await wire.post(CLOSE, **held)
    assert answer == {"success": False, "errorCode": code, "errorMessage": message}
    assert sim.net(101, "MNQ") == (0 if after_effect else 3)


async def test_rejection_carries_an_order_id(sim: Simulator, wire: Wire, held: dict[str, Any]) -> None:
    sim.faults.add(effects.Refuse(2, "Rejected."), path="Order/place", count=1)
    answer = await wire.post("Order/place", **held, type=2, side=0, size=1)
    assert answer["orderId"] is not None
    assert sim.net(101, "MNQ") == 3


async def test_login_faults(sim: Simulator, wire: Wire) -> None:
    credentials = {"userName": "trader1", "apiKey": "key-1"}
    sim.faults.add(effects.Refuse(9), path="Auth/loginKey", login="trader1", count=1)
    sim.faults.add(effects.Patch({"token": None}), path="Auth/loginKey", count=1)
    sim.faults.add(effects.HttpStatus(401), path="Auth/loginKey", count=1)
    refused = await wire.post("Auth/loginKey", **credentials)
    assert (refused["errorCode"], refused["token"]) == (9, None)
    empty = await wire.post("Auth/loginKey", **credentials)
    assert (empty["success"], empty["token"]) == (True, None)
    assert (await wire.request("Auth/loginKey", credentials))[0] == 401
    assert (await wire.post("Auth/loginKey", **credentials))["token"]


@pytest.mark.parametrize(("mode", "expected"), [("reversed", [102, 101]), ("empty", []), ("without_first", [102])])
async def test_account_list(sim: Simulator, wire: Wire, mode: Any, expected: list[int]) -> None:
    sim.faults.add(effects.AccountList(mode), count=1)
    accounts = (await wire.post("Account/search", onlyActiveAccounts=True))["accounts"]
    assert [a["id"] for a in accounts] == expected


async def test_order_fills_while_being_cancelled(sim: Simulator, wire: Wire) -> None:
    order_id = sim.trader(101).buy("MNQ", 2, kind="limit", limit=24_000)
    sim.faults.add(effects.FillInstead(), path="Order/cancel", count=1)
    answer = await wire.post("Order/cancel", accountId=101, orderId=order_id)
    assert (answer["success"], answer["errorCode"]) == (False, 3)
    assert sim.net(101, "MNQ") == 2
    assert sim.orders(101)[0].status is OrderStatus.FILLED


async def test_patched_answer_with_unknown_fields(sim: Simulator, wire: Wire) -> None:
    sim.faults.add(effects.Patch({"positions": None, "new": 1}), path="Position/searchOpen", count=1)
    answer = await wire.post("Position/searchOpen", accountId=101)
    assert (answer["positions"], answer["new"]) == (None, 1)


async def test_matching_by_path_account_and_login(sim: Simulator, wire: Wire) -> None:
    other = await Wire(sim, wire.session).login("trader2", "key-2")
    sim.faults.add(effects.HttpStatus(500), path="Position/*", account=102)
    sim.faults.add(effects.HttpStatus(503), login="trader2")
    assert (await wire.request("Position/searchOpen", {"accountId": 101}))[0] == 200
    assert (await wire.request("Position/searchOpen", {"accountId": 102}))[0] == 500
    assert (await wire.request("Order/searchOpen", {"accountId": 102}))[0] == 200
    assert (await wire.request("Order/v2/query", {"filter": {"accountId": 102}, "pageSize": 1, "pageOffset": 0}))[
        0
    ] == 200
    assert (await other.request("Order/searchOpen", {"accountId": 201}))[0] == 503
    sim.faults.clear()
    assert (await other.request("Order/searchOpen", {"accountId": 201}))[0] == 200


async def test_skip_count_and_lifetime(sim: Simulator, wire: Wire) -> None:
    fault = sim.faults.add(effects.HttpStatus(500), path="Account/search", skip=1, count=2)
    statuses = [(await wire.request("Account/search", {}))[0] for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]
    assert fault.hits == 2
    assert sim.faults.active == []
    sim.faults.add(effects.HttpStatus(500), path="Account/search", seconds=30)
    assert (await wire.request("Account/search", {}))[0] == 500
    sim.clock.advance(31)
    assert (await wire.request("Account/search", {}))[0] == 200


async def test_probability_is_seeded(sim: Simulator, wire: Wire) -> None:
    runs = []
    for _ in range(2):
        async with Simulator() as again:
            again.faults.add(effects.HttpStatus(500), path="Account/search", probability=0.5)
            client = await Wire(again, wire.session).login()
            runs.append([(await client.request("Account/search", {}))[0] for _ in range(40)])
    assert runs[0] == runs[1]
    assert 5 < runs[0].count(500) < 35


async def test_removed_fault_is_gone(sim: Simulator, wire: Wire) -> None:
    fault = sim.faults.add(effects.HttpStatus(500))
    sim.faults.remove(fault)
    sim.faults.remove(fault)
    assert (await wire.request("Account/search", {}))[0] == 200


@pytest.mark.parametrize("name", sorted(effects.EFFECTS))
def test_every_effect_can_be_made_from_plain_data(name: str) -> None:
    fault = fault_from({"effect": name, "count": 2, "label": "x"})
    assert isinstance(fault.effect, Effect)
    assert type(fault.effect) is effects.EFFECTS[name]
    assert fault.describe()["effect"] == name


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "effect: None is unknown"),
        ({"effect": "explode"}, "effect: 'explode' is unknown; use one of account_list"),
        ({"effect": "reset", "status": 500}, "status: no such key for the effect reset; it takes account"),
        ({"effect": "http_status", "status": "500"}, "status: '500' is not"),
        ({"effect": "http_status", "status": True}, "status: True is not"),
        ({"effect": "delay", "seconds": "soon"}, "seconds: 'soon' is not"),
        ({"effect": "account_list", "mode": "sideways"}, "mode: 'sideways' is not"),
        ({"effect": "reset", "account": "101"}, "account: '101' is not"),
    ],
)
def test_wrong_fault_data_are_refused_with_the_key(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + message):
        fault_from(data)
