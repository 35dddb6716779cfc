"""Every hub fault and every event fault does over the wire what it says."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from daemon.simulator import Simulator, connection, effects

from .wire import HELLO, SEPARATOR, Wire, eventually, of


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_negotiate_fails(sim: Simulator, wire: Wire, status: int) -> None:
    sim.faults.add(effects.HttpStatus(status), path="hubs/user/negotiate", count=1)
    assert (await wire.negotiate("market"))[0] == 200
    assert (await wire.negotiate("user"))[0] == status
    assert (await wire.negotiate("user"))[0] == 200


@pytest.mark.parametrize("status", [404, 503])
async def test_upgrade_fails(sim: Simulator, wire: Wire, status: int) -> None:
    sim.faults.add(effects.HttpStatus(status), path="hubs/market", count=1)
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await wire.connect("market")
    assert error.value.status == status
    await wire.connect("market")


@pytest.mark.parametrize("effect", [effects.Reset(), effects.Hang(0.02)])
async def test_negotiate_is_cut(sim: Simulator, wire: Wire, effect: effects.Effect) -> None:
    sim.faults.add(effect, path="hubs/*", count=1)
    with pytest.raises(aiohttp.ClientError):
        await wire.negotiate("user")


async def test_handshake_is_never_answered(sim: Simulator, wire: Wire) -> None:
    sim.faults.add(effects.NoHandshake(), hub="user", count=1)
    hub = await wire.connect("user", handshake=False)
    await hub.ws.send_str(HELLO)
    with pytest.raises(TimeoutError):
        await hub.ws.receive(timeout=0.1)
    await hub.ws.close()
    assert await (await wire.connect("user")).drain() == []


async def test_handshake_error(sim: Simulator, wire: Wire) -> None:
    sim.faults.add(effects.HandshakeError("Sorry."), count=1)
    hub = await wire.connect("user", handshake=False)
    await hub.ws.send_str(HELLO)
    assert await hub.receive() == {"error": "Sorry."}
    assert await hub.close_code() == 1000


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1009, 1011])
async def test_close_codes_on_one_hub_only(sim: Simulator, wire: Wire, code: int) -> None:
    user, market = await wire.connect("user"), await wire.connect("market")
    sim.faults.add(effects.Close(code), hub="user")
    assert await user.close_code() == code
    assert await market.drain() == []
    assert await (await wire.connect("user")).drain() == []


async def test_close_of_one_login_only(sim: Simulator, wire: Wire) -> None:
    other = await Wire(sim, wire.session).login("trader2", "key-2")
    mine, theirs = await wire.connect("user"), await other.connect("user")
    sim.faults.add(effects.Close(1001), login="trader2")
    assert await theirs.close_code() == 1001
    assert await mine.drain() == []


@pytest.mark.parametrize("error", [None, "Connection closed with an error."])
@pytest.mark.parametrize("allow", [None, True])
async def test_close_message(sim: Simulator, wire: Wire, error: str | None, allow: bool | None) -> None:
    hub = await wire.connect("user")
    sim.faults.add(effects.CloseMessage(error, allow))
    message = await hub.receive()
    assert message["type"] == 7
    assert message.get("error") == error
    assert message.get("allowReconnect") == allow
    assert await hub.close_code() == 1000


async def test_a_dozen_closes_in_a_row(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("user")
    fault = sim.faults.add(effects.Close(1006), hub="user", count=12)
    for _ in range(12):
        assert await hub.close_code() == 1006
        hub = await wire.connect("user")
    assert fault.hits == 12
    assert await hub.drain() == []


async def test_hub_is_down_for_a_while(sim: Simulator, wire: Wire) -> None:
    user, market = await wire.connect("user"), await wire.connect("market")
    _, ready = await wire.negotiate("user")
    sim.faults.add(effects.Down(20), hub="user")
    assert await user.close_code() == 1006
    assert await market.drain() == []
    assert (await wire.negotiate("user"))[0] == 503
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await wire.upgrade("user", ready["connectionId"])
    assert error.value.status == 503
    assert (await wire.negotiate("market"))[0] == 200
    sim.clock.advance(19)
    assert (await wire.negotiate("user"))[0] == 503
    sim.clock.advance(2)
    assert await (await wire.connect("user")).drain() == []


async def test_pings_are_not_answered(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("user")
    fault = sim.faults.add(effects.NoPong(), hub="user")
    await hub.ws.ping()
    assert await hub.drain() == []
    sim.faults.remove(fault)
    await hub.ws.ping()
    assert (await hub.frame()).type is aiohttp.WSMsgType.PONG


async def test_revoked_token_is_refused_at_negotiate(sim: Simulator, wire: Wire) -> None:
    sim.revoke_tokens()
    assert (await wire.negotiate("user"))[0] == 401


async def test_dropped_events(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Drop(), event="position", account=101, count=1)
    sim.trader(101).buy("MNQ", 1)
    sim.trader(101).buy("MNQ", 1)
    messages = await hub.drain()
    assert [p["size"] for p in of(messages, "GatewayUserPosition")] == [2]
    assert len(of(messages, "GatewayUserTrade")) == 2


async def test_missing_close_event(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Drop(), event="position", closed=True)
    sim.trader(101).buy("MNQ", 1)
    sim.trader(101).close("MNQ")
    messages = await hub.drain()
    assert [p["size"] for p in of(messages, "GatewayUserPosition")] == [1]
    assert len(of(messages, "GatewayUserTrade")) == 2


async def test_duplicated_events(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Duplicate(2), event="trade", count=1)
    sim.trader(101).buy("MNQ", 1)
    trades = of(await hub.drain(), "GatewayUserTrade")
    assert len(trades) == 3
    assert trades[0] == trades[1] == trades[2]


async def test_reordered_events(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Reorder(), event="trade", count=1)
    sim.trader(101).buy("MNQ", 1)
    targets = [m["target"].removeprefix("GatewayUser") for m in await hub.drain()]
    assert targets == ["Order", "Order", "Position", "Trade", "Account"]


async def test_reordered_events_in_a_row_all_come(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Reorder(), event="trade", count=1)
    sim.faults.add(effects.Reorder(), event="position", count=1)
    sim.trader(101).buy("MNQ", 1)
    targets = [m["target"].removeprefix("GatewayUser") for m in await hub.drain()]
    assert sorted(targets) == ["Account", "Order", "Order", "Position", "Trade"]
    assert targets == ["Order", "Order", "Account", "Trade", "Position"]


async def test_late_events(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Late(0.1), event="position", count=1)
    sim.trader(101).buy("MNQ", 1)
    assert of(await hub.drain(), "GatewayUserPosition") == []
    assert (await hub.next("GatewayUserPosition"))[0]["size"] == 1


async def test_late_events_find_the_new_connection(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Late(1.0), event="position", count=1)
    sim.trader(101).buy("MNQ", 1)
    sim.faults.add(effects.Close(1006))
    await hub.close_code()
    again = await wire.subscribed(101)
    assert (await again.next("GatewayUserPosition"))[0]["size"] == 1


async def test_events_come_late_after_the_reconnect(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.UntilReconnect(), event="position", count=1)
    sim.trader(101).buy("MNQ", 1)
    sim.trader(101).buy("MNQ", 1)
    await hub.invoke("SubscribePositions", 101)
    assert [p["size"] for p in of(await hub.drain(), "GatewayUserPosition")] == [2]
    sim.faults.add(effects.Close(1006))
    await hub.close_code()
    again = await wire.connect("user")
    await again.invoke("SubscribePositions", 101)
    assert (await again.next("GatewayUserPosition"))[0]["size"] == 1


@pytest.mark.parametrize("wrapped", [True, False])
async def test_wrapped_and_bare(sim: Simulator, wire: Wire, wrapped: bool) -> None:
    sim.config.wrap_events = not wrapped
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Shape(wrapped), event="position", count=1)
    sim.trader(101).buy("MNQ", 1)
    sim.trader(101).buy("MNQ", 1)
    first, second = of(await hub.drain(), "GatewayUserPosition")
    assert ("data" in first, "data" in second) == (wrapped, not wrapped)
    assert (first["data"] if wrapped else first)["size"] == 1


@pytest.mark.parametrize("kind", [0, 1, 2])
async def test_closed_position_with_any_type(sim: Simulator, wire: Wire, kind: int) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Change({"type": kind}), event="position", closed=True)
    sim.trader(101).buy("MNQ", 1)
    sim.trader(101).close("MNQ")
    closed = of(await hub.drain(), "GatewayUserPosition")[-1]
    assert (closed["size"], closed["type"]) == (0, kind)


async def test_another_account_s_event(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.faults.add(effects.Change({"accountId": 999, "novelty": "x"}), event="position", count=1)
    sim.trader(101).buy("MNQ", 1)
    (position,) = of(await hub.drain(), "GatewayUserPosition")
    assert (position["accountId"], position["novelty"]) == (999, "x")


async def test_changed_quote_keeps_its_contract(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("market")
    mnq = sim.contract("MNQ").id
    await hub.invoke("SubscribeContractQuotes", mnq)
    await hub.next("GatewayQuote")
    sim.faults.add(effects.Change({"bestBid": None, "bestAsk": 0}), event="quote", symbol="MNQ", count=1)
    sim.set_quote("MNQ", 25_001, 25_001.25)
    contract_id, quote = await hub.next("GatewayQuote")
    assert (contract_id, quote["bestBid"], quote["bestAsk"]) == (mnq, None, 0)


async def test_silent_market(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("market")
    for symbol in ("MNQ", "ES"):
        await hub.invoke("SubscribeContractQuotes", sim.contract(symbol).id)
    await hub.settled()
    fault = sim.faults.add(effects.Drop(), event="quote", symbol="MNQ")
    sim.burst("MNQ", 10)
    sim.burst("ES", 1)
    (only,) = await hub.drain()
    assert only["arguments"][0] == sim.contract("ES").id
    assert fault.hits == 10


async def test_unknown_method_extra_key_bad_json_oversize(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    for effect in (effects.Retarget("GatewayUserSurprise"), effects.ExtraKey("sequence"), effects.Oversize()):
        sim.faults.add(effect, event="trade", count=1)
    for _ in range(3):
        sim.trader(101).buy("MNQ", 1)
    messages = await hub.drain()
    assert len([m for m in messages if m["target"] == "GatewayUserSurprise"]) == 1
    extra, large = (m for m in messages if m["target"] == "GatewayUserTrade")
    assert extra["sequence"] == 1
    assert len(large["arguments"][0]["padding"]) > 2**20
    sim.faults.add(effects.BadJson(), event="trade", count=1)
    sim.trader(101).buy("MNQ", 1)
    with pytest.raises(json.JSONDecodeError):
        await hub.drain()


async def test_faults_for_one_login_leave_the_others_alone(sim: Simulator, wire: Wire) -> None:
    other = await Wire(sim, wire.session).login("trader2", "key-2")
    mine, theirs = await wire.subscribed(101), await other.subscribed(201)
    sim.faults.add(effects.Drop(), login="trader1")
    for account in (101, 201):
        sim.trader(account).buy("MNQ", 1)
    assert await mine.drain() == []
    assert len(await theirs.drain()) == 5


async def test_order_placed_elsewhere_without_an_event(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.trader(101).sell("MNQ", 1, kind="stop", stop=24_900, silent=True)
    assert await hub.drain() == []
    (order,) = (await wire.post("Order/searchOpen", accountId=101))["orders"]
    assert order["stopPrice"] == 24_900.0


async def test_raw_frames_and_gateway_logout(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("user")
    assert sim.gateway_logout("trader2") == 0
    assert sim.gateway_logout("trader1") == 1
    assert sim.send_raw(b'{"type":1,"target":"A","arguments":[]}\x1e{"type":6}\x1e', hub="user") == 1
    assert [m.get("target") for m in await hub.drain()] == ["GatewayLogout", "A", None]


async def test_client_that_does_not_read_is_cut_off(
    sim: Simulator, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "QUEUE_LIMIT", 5)
    hub = await wire.connect("user")
    for _ in range(60):
        sim.send_raw(b"x" * 2**20)
    assert await hub.close_code() == 1006
    await eventually(lambda: not sim.connections("user"))


async def test_stop_cuts_everything_quickly(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("user")
    sim.faults.add(effects.Hang(), path="Account/search")
    hanging = asyncio.create_task(wire.request("Account/search", {}))
    await eventually(lambda: sim.requests[-1].path == "Account/search")
    async with asyncio.timeout(3):
        await sim.stop()
    assert await hub.close_code() == 1006
    with pytest.raises(aiohttp.ClientError):
        await hanging


def test_separator_is_signalr_s() -> None:
    assert HELLO.endswith(SEPARATOR)
