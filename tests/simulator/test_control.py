"""The control API over HTTP."""

from __future__ import annotations

import pytest

from daemon.simulator import Simulator

from .wire import Wire, of


async def test_trading_and_reading_back(sim: Simulator, wire: Wire) -> None:
    hub = await wire.subscribed(101)
    status, answer = await wire.control("buy", account=101, symbol="MNQ", size=2, brackets={"stop_loss": 20})
    assert (status, answer["ok"]) == (200, True)
    assert of(await hub.drain(), "GatewayUserPosition")[0]["size"] == 2
    await wire.control("sell", account=101, symbol="ES", size=1, kind="limit", limit=6900)
    _, state = await wire.control("state")
    account = state["result"]["accounts"]["101"]
    assert [p["size"] for p in account["positions"]] == [2]
    assert len(account["orders"]) == 2
    assert account["extremes"] == {"MNQ": [0, 2]}
    await wire.control("modify", account=101, order=answer["result"] + 1, stop=24_900)
    assert sim.working_orders(101)[0].payload()["stopPrice"] == 24_900.0
    await wire.control("cancel", account=101, order=answer["result"] + 1)
    await wire.control("close", account=101, symbol="MNQ", size=1)
    assert sim.net(101, "MNQ") == 1
    assert (await wire.control("cancel_all", account=101))[1]["result"] == 1


async def test_market_accounts_faults_clock(sim: Simulator, wire: Wire) -> None:
    await wire.control("quote", symbol="MNQ", bid=24_000, ask="24000.25")
    assert sim.quote("MNQ") == (24_000.0, 24_000.25)
    await wire.control("quote", symbol="MNQ", bid=None, ask=None)
    await wire.control("burst", symbol="ES", count=3)
    await wire.control("market", open=False, symbol="ES")
    await wire.control("can_trade", account=101, value=False)
    assert (await wire.post("Account/search"))["accounts"][0]["canTrade"] is False
    await wire.control("account", login="trader1", id=109, balance=5)
    assert (await wire.post("Account/search"))["accounts"][-1]["id"] == 109
    await wire.control("fault", effect="http_status", status=503, path="Account/search", count=1)
    assert (await wire.request("Account/search", {}))[0] == 503
    await wire.control("fault", effect="html")
    await wire.control("clear_faults")
    assert (await wire.request("Account/search", {}))[0] == 200
    before = sim.clock.now()
    await wire.control("advance", seconds=3600)
    assert sim.clock.now() - before >= 3_600_000_000
    _, trade = await wire.control("trade", account=101, symbol="MNQ", pnl="-60", fees="0.74", event=False)
    await wire.control("void", account=101, trade=trade["result"])
    assert sim.trades(101)[0].voided
    await wire.control("login_refusal", login="trader1", code=7)
    assert (await wire.post("Auth/loginKey", userName="trader1", apiKey="key-1"))["errorCode"] == 7
    await wire.control("restricted", account=102, value=True)
    await wire.control("revoke", login="trader1")
    assert (await wire.request("Account/search", {}))[0] == 401


async def test_logs_of_requests_frames_and_events(sim: Simulator, wire: Wire) -> None:
    await wire.subscribed(101)
    sim.trader(101).buy("MNQ", 1)
    async with wire.session.get(f"{sim.control_url}/requests?last=1") as response:
        (request,) = (await response.json())["result"]
    assert request["path"] == "hubs/user"
    assert [f["kind"] for f in (await wire.control("frames", last=2))[1]["result"]] == ["position", "account"]
    (line,) = (await wire.control("log", last=1))[1]["result"]
    assert '"kind":"account"' in line


@pytest.mark.parametrize(
    ("action", "fields", "status", "message"),
    [
        ("explode", {}, 404, "no such action: explode; known: account, advance"),
        ("buy", {"account": 101}, 400, "symbol: missing; buy needs account, symbol, size"),
        ("buy", {"account": 101, "symbol": "X", "size": 1}, 400, "symbol: 'X' is unknown"),
        ("buy", {"account": 1, "symbol": "ES", "size": 1}, 400, "refused: Account not found."),
        ("close", {"account": 101, "symbol": "ES"}, 400, "refused: Position not found."),
        ("quote", {"symbol": "ES", "bid": 1.1, "ask": 2}, 400, "1.1 is not a multiple of ES's tick size 0.25"),
        ("void", {"account": 101, "trade": 5}, 404, "account 101 has no trade 5"),
        ("account", {"login": "nobody", "id": 5}, 404, "unknown login 'nobody'; known: trader1, trader2"),
        ("account", {"login": "trader1", "id": 101}, 400, "account 101 exists already"),
        ("advance", {"seconds": -1}, 400, "broker time only moves forward"),
        ("fault", {"effect": "boom"}, 400, "effect: 'boom' is unknown"),
    ],
)
async def test_errors_say_what_is_wrong(
    wire: Wire, action: str, fields: dict[str, object], status: int, message: str
) -> None:
    got, answer = await wire.control(action, **fields)
    assert (got, answer["ok"]) == (status, False)
    assert answer["error"].startswith(message)


async def test_changes_need_post_and_an_object(sim: Simulator, wire: Wire) -> None:
    async with wire.session.get(f"{sim.control_url}/clear_faults") as response:
        assert response.status == 400
    async with wire.session.post(f"{sim.control_url}/clear_faults", data=b"[]") as response:
        assert response.status == 400
