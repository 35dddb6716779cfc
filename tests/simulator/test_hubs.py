"""SignalR on the wire, without the SDK."""

from __future__ import annotations

import aiohttp
import pytest

from daemon.simulator import Simulator, SimulatorConfig

from .wire import HELLO, Wire, eventually, of


async def test_negotiate_offers_websockets(wire: Wire) -> None:
    status, answer = await wire.negotiate("user")
    assert status == 200
    assert answer["negotiateVersion"] == 0
    assert answer["availableTransports"] == [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]


async def test_connection_id_works_once(wire: Wire) -> None:
    _, answer = await wire.negotiate("user")
    await wire.upgrade("user", answer["connectionId"])
    for stale in (answer["connectionId"], "made-up"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await wire.upgrade("user", stale)
        assert error.value.status == 404


async def test_connection_id_is_for_its_hub_alone(wire: Wire) -> None:
    _, answer = await wire.negotiate("user")
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await wire.upgrade("market", answer["connectionId"])


@pytest.mark.parametrize(
    "hello", ['{"protocol":"messagepack","version":1}', '{"protocol":"json","version":9}', "nonsense", "[]"]
)
async def test_bad_handshake_is_refused_with_an_error(wire: Wire, hello: str) -> None:
    hub = await wire.connect(handshake=False)
    await hub.ws.send_str(hello + "\x1e")
    assert "error" in await hub.receive()
    assert await hub.close_code() == 1000


async def test_handshake_and_first_call_may_share_a_frame(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect(handshake=False)
    await hub.ws.send_str(HELLO + '{"type":1,"target":"SubscribeOrders","arguments":[101]}\x1e')
    assert await hub.receive() == {}
    await hub.settled()
    sim.trader(101).buy("MNQ", 1)
    assert (await hub.next("GatewayUserOrder"))[0]["accountId"] == 101


async def test_events_go_to_those_who_subscribed_to_that_account(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    for account in (102, 201):
        sim.trader(account).buy("MNQ", 1)
    sim.trader(101).buy("MNQ", 2)
    messages = await hub.drain()
    assert {p["accountId"] for p in of(messages, "GatewayUserPosition")} == {101}
    assert {t["accountId"] for t in of(messages, "GatewayUserTrade")} == {101}
    assert {o["accountId"] for o in of(messages, "GatewayUserOrder")} == {101}
    assert {a["id"] for a in of(messages, "GatewayUserAccount")} == {101, 102}
    assert "contractDisplayName" not in of(messages, "GatewayUserPosition")[0]
    assert "commissions" not in of(messages, "GatewayUserTrade")[0]


async def test_other_logins_accounts_cannot_be_subscribed_and_nothing_says_so(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(201)
    sim.trader(201).buy("MNQ", 1)
    assert await hub.drain() == []


async def test_unsubscribe(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    await hub.invoke("UnsubscribePositions", 101)
    await hub.invoke("UnsubscribeAccounts")
    await hub.settled()
    sim.trader(101).buy("MNQ", 1)
    messages = await hub.drain()
    assert of(messages, "GatewayUserPosition") == of(messages, "GatewayUserAccount") == []
    assert len(of(messages, "GatewayUserTrade")) == 1


async def test_order_event_comes_before_trade_and_position(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.trader(101).buy("MNQ", 1)
    targets = [m["target"] for m in await hub.drain()]
    assert targets == [
        "GatewayUserOrder",
        "GatewayUserOrder",
        "GatewayUserTrade",
        "GatewayUserPosition",
        "GatewayUserAccount",
    ]


async def test_invocations_are_completed_only_when_they_have_an_id(wire: Wire) -> None:
    hub = await wire.connect()
    await hub.invoke("Heartbeat")
    await hub.invoke("SubscribeOrders", 101)
    assert await hub.drain() == []


async def test_market_subscriptions(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("market")
    mnq, es = sim.contract("MNQ").id, sim.contract("ES").id
    await hub.invoke("SubscribeContractQuotes", mnq)
    contract_id, quote = await hub.next("GatewayQuote")
    assert contract_id == mnq
    assert set(quote) == {
        "symbol", "symbolName", "lastPrice", "bestBid", "bestAsk", "change", "changePercent", "open", "high", "low",
        "volume", "lastUpdated", "timestamp",
    }  # fmt: skip
    assert (quote["symbol"], quote["symbolName"]) == ("F.US.MNQ", "/MNQ")
    sim.set_quote("ES", 6000, 6000.25)
    sim.set_quote("MNQ", 24_900, 24_900.5, 0)
    (only,) = await hub.drain()
    assert only["arguments"][0] == mnq
    assert only["arguments"][1] | {"lastPrice": 0, "bestBid": 24_900.0, "bestAsk": 24_900.5} == only["arguments"][1]
    await hub.invoke("UnsubscribeContractQuotes", mnq)
    await hub.invoke("SubscribeContractTrades", es)
    await hub.invoke("SubscribeContractMarketDepth", es)
    await hub.settled()
    sim.set_quote("MNQ", 24_000, 24_000.25)
    sim.set_quote("ES", 6001, 6001.25)
    assert [m["target"] for m in await hub.drain()] == ["GatewayTrade", "GatewayDepth", "GatewayDepth"]


async def test_market_falls_orders_fill_and_the_quote_comes_first(sim: Simulator, wire: Wire) -> None:
    market = await wire.connect("market")
    await market.invoke("SubscribeContractQuotes", sim.contract("MNQ").id)
    await market.next("GatewayQuote")
    sim.trader(101).buy("MNQ", 1, kind="limit", limit=24_990)
    sim.set_quote("MNQ", 24_980, 24_980.25)
    assert sim.net(101, "MNQ") == 1
    assert len(await market.drain()) == 1


@pytest.mark.parametrize(
    "prices", [(0, 0, 0), (None, None, None), (25_001, 25_000, 0), (-5, 25_000, 25_000), (None, 25_000, 1)]
)
async def test_prices_that_are_no_market_are_sent_and_move_nothing(
    sim: Simulator, wire: Wire, prices: tuple[float | None, ...]
) -> None:
    hub = await wire.connect("market")
    await hub.invoke("SubscribeContractQuotes", sim.contract("MNQ").id)
    await hub.next("GatewayQuote")
    resting = sim.trader(101).buy("MNQ", 1, kind="limit", limit=24_990)
    sim.set_quote("MNQ", *prices)
    _, quote = await hub.next("GatewayQuote")
    assert (quote["bestBid"], quote["bestAsk"], quote["lastPrice"]) == prices
    assert sim.quote("MNQ") == (25_000.0, 25_000.25)
    assert [o.id for o in sim.working_orders(101)] == [resting]


async def test_wrapped_events() -> None:
    async with Simulator(SimulatorConfig(wrap_events=True)) as sim, aiohttp.ClientSession() as session:
        wire = await Wire(sim, session).login()
        hub = await wire.subscribed(101)
        sim.trader(101).buy("MNQ", 1)
        (wrapped,) = of(await hub.drain(), "GatewayUserPosition")
        assert (wrapped["action"], wrapped["data"]["size"]) == (1, 1)


async def test_client_pings_are_answered(wire: Wire) -> None:
    hub = await wire.connect()
    await hub.ws.ping(b"hello")
    answer = await hub.frame()
    assert (answer.type, bytes(answer.data)) == (aiohttp.WSMsgType.PONG, b"hello")


async def test_server_pings_and_drops_silent_clients() -> None:
    config = SimulatorConfig(ping_interval=0.05, client_timeout=0.2)
    async with Simulator(config) as sim, aiohttp.ClientSession() as session:
        hub = await (await Wire(sim, session).login()).connect()
        assert await hub.receive() == {"type": 6}
        assert await hub.close_code() == 1000


async def test_client_close_message_and_garbage_end_the_connection(sim: Simulator, wire: Wire) -> None:
    for text, closing in (('{"type":7}\x1e', False), ("{garbage\x1e", True)):
        hub = await wire.connect()
        await hub.ws.send_str(text)
        if closing:
            assert (await hub.receive())["type"] == 7
        assert await hub.close_code() == 1000
    await eventually(lambda: not sim.connections("user"))


async def test_frames_are_recorded_when_sent(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    sim.frames.clear()
    seen: list[str] = []
    sim.on_sent(lambda sent: seen.append(sent.kind))
    sim.trader(101).buy("MNQ", 1)
    await hub.drain()
    assert [f.kind for f in sim.frames] == seen == ["order", "order", "trade", "position", "account"]
    assert all(f.key == 101 and f.hub == "user" and f.login == "trader1" for f in sim.frames)
    assert [f.sent_ns for f in sim.frames] == sorted(f.sent_ns for f in sim.frames)


async def test_a_thousand_quotes_arrive_in_order(sim: Simulator, wire: Wire) -> None:
    hub = await wire.connect("market")
    await hub.invoke("SubscribeContractQuotes", sim.contract("MNQ").id)
    await hub.next("GatewayQuote")
    sim.burst("MNQ", 1000)
    quotes = [m["arguments"][1] for m in await hub.drain()]
    volumes = [quote["volume"] for quote in quotes]
    assert len(quotes) == 1000
    assert volumes == sorted(set(volumes))
    assert 100 < sum(quote["lastPrice"] == 0 for quote in quotes) < 900


async def test_walk_goes_on_by_itself_in_real_time() -> None:
    config = SimulatorConfig(quotes_per_second=500, symbols=("MNQ",), quote_on_subscribe=False)
    async with Simulator(config) as sim, aiohttp.ClientSession() as session:
        hub = await (await Wire(sim, session).login()).connect("market")
        await hub.invoke("SubscribeContractQuotes", sim.contract("MNQ").id)
        for _ in range(20):
            await hub.next("GatewayQuote")
        sim.set_quotes_per_second(0)
        await hub.drain()
        sim.clock.advance(60)
        assert await hub.drain() == []
