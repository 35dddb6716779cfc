"""REST over the wire: envelopes, fields, codes, HTTP statuses."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.simulator import Account, Brackets, Simulator

from .wire import Wire

OK = {"success": True, "errorCode": 0, "errorMessage": None}


def contract_id(sim: Simulator, symbol: str = "MNQ") -> str:
    return sim.contract(symbol).id


def order_of(sim: Simulator, **fields: Any) -> dict[str, Any]:
    return {"accountId": 101, "contractId": contract_id(sim), "type": 2, "side": 0, "size": 1, **fields}


async def test_accounts_are_the_login_s_own(wire: Wire) -> None:
    answer = await wire.post("Account/search", onlyActiveAccounts=True)
    assert {**answer, "accounts": None} == {**OK, "accounts": None}
    assert [a["id"] for a in answer["accounts"]] == [101, 102]
    assert set(answer["accounts"][0]) == {"id", "name", "balance", "canTrade", "isVisible", "simulated"}


async def test_new_account_is_listed(sim: Simulator, wire: Wire) -> None:
    sim.add_account("trader1", Account(103, balance="25000.50"))
    accounts = (await wire.post("Account/search", onlyActiveAccounts=True))["accounts"]
    assert accounts[-1]["id"] == 103
    assert accounts[-1]["balance"] == 25_000.5


async def test_contracts_by_text_by_id_and_all(sim: Simulator, wire: Wire) -> None:
    found = (await wire.post("Contract/search", searchText="NQ", live=False))["contracts"]
    assert found[0]["id"] == contract_id(sim, "NQ")
    assert set(found[0]) == {"id", "name", "description", "tickSize", "tickValue", "activeContract", "symbolId"}
    one = await wire.post("Contract/searchById", contractId=contract_id(sim, "ES"))
    assert (one["contract"]["tickSize"], one["contract"]["tickValue"]) == (0.25, 12.5)
    assert len((await wire.post("Contract/available", live=False))["contracts"]) == 10
    unknown = await wire.post("Contract/searchById", contractId="CON.F.US.BTC.Z26")
    assert (unknown["success"], unknown["errorCode"], unknown["contract"]) == (False, 1, None)


async def test_ping_is_a_json_string(wire: Wire) -> None:
    assert await wire.request("Status/ping", method="GET") == (200, "pong")


async def test_order_becomes_position_and_trade(sim: Simulator, wire: Wire) -> None:
    placed = await wire.post("Order/place", **order_of(sim, size=2, customTag="mine"))
    assert placed["success"]
    (position,) = (await wire.post("Position/searchOpen", accountId=101))["positions"]
    assert (position["type"], position["size"], position["averagePrice"]) == (1, 2, 25_000.25)
    assert position["contractDisplayName"] == "MNQ" + contract_id(sim)[-3] + contract_id(sim)[-1]
    (trade,) = (await wire.post("Trade/search", accountId=101, startTimestamp="2020-01-01T00:00:00Z"))["trades"]
    assert trade["profitAndLoss"] is None
    assert (trade["fees"], trade["commissions"], trade["voided"]) == (0.74, 0.0, False)
    order = (await wire.post("Order/searchById", accountId=101, orderId=placed["orderId"]))["order"]
    assert (order["status"], order["fillVolume"], order["filledPrice"]) == (2, 2, 25_000.25)
    assert (order["customTag"], order["symbolId"]) == ("mine", "F.US.MNQ")


async def test_close_and_partial_close(sim: Simulator, wire: Wire) -> None:
    sim.trader(101).sell("MNQ", 3)
    ids = {"accountId": 101, "contractId": contract_id(sim)}
    assert (await wire.post("Position/partialCloseContract", **ids, size=2)) == OK
    assert sim.net(101, "MNQ") == -1
    assert (await wire.post("Position/closeContract", **ids)) == OK
    assert sim.net(101, "MNQ") == 0
    assert (await wire.post("Position/searchOpen", accountId=101))["positions"] == []


async def test_open_orders_leave_suspended_legs_out_and_the_query_has_them(sim: Simulator, wire: Wire) -> None:
    sim.config.broker.plan = type(sim.config.broker.plan)(hold=True)
    sim.trader(101).buy("MNQ", 1, brackets=Brackets(20, 40))
    orders = (await wire.post("Order/searchOpen", accountId=101))["orders"]
    assert [o["status"] for o in orders] == [1]
    query = {"filter": {"accountId": 101, "statuses": [1, 6, 7, 8]}, "pageSize": 50, "pageOffset": 0}
    answer = await wire.post("Order/v2/query", **query, includeTotalCount=True)
    assert [o["status"] for o in answer["orders"]] == [1, 8, 8]
    assert answer["totalCount"] == 3
    page = await wire.post("Order/v2/query", **{**query, "pageSize": 2, "pageOffset": 2})
    assert len(page["orders"]) == 1
    assert "totalCount" not in page


async def test_orders_and_trades_are_found_by_time(sim: Simulator, wire: Wire) -> None:
    sim.trader(101).buy("MNQ", 1)
    middle = sim.clock.utc().isoformat()
    sim.clock.advance(3600)
    sim.trader(101).sell("MNQ", 1)
    for path, key in (("Order/search", "orders"), ("Trade/search", "trades")):
        early = await wire.post(path, accountId=101, startTimestamp="2020-01-01T00:00:00Z", endTimestamp=middle)
        late = await wire.post(path, accountId=101, startTimestamp=middle)
        assert [o["side"] for o in early[key]] == [0]
        assert [o["side"] for o in late[key]] == [1]


async def test_cancel_and_modify(sim: Simulator, wire: Wire) -> None:
    placed = await wire.post("Order/place", **order_of(sim, type=1, limitPrice=24_990.0))
    ids = {"accountId": 101, "orderId": placed["orderId"]}
    assert (await wire.post("Order/modify", **ids, size=3, limitPrice=24_991.25)) == OK
    (order,) = sim.working_orders(101)
    assert (order.size, order.payload()["limitPrice"]) == (3, 24_991.25)
    assert (await wire.post("Order/cancel", **ids)) == OK
    assert sim.working_orders(101) == []


async def test_trailing_stop_takes_a_distance_or_a_price(sim: Simulator, wire: Wire) -> None:
    for trail in (10.0, 24_990.0):
        await wire.post("Order/place", **order_of(sim, type=5, side=1, trailPrice=trail))
    assert [o.payload()["stopPrice"] for o in sim.working_orders(101)] == [24_990.0, 24_990.0]
    assert [o.payload()["trailDistance"] for o in sim.working_orders(101)] == [10.0, 10.0]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("Position/searchOpen", {"accountId": 201}, 1),
        ("Position/searchOpen", {"accountId": 999}, 1),
        ("Order/searchOpen", {"accountId": 999}, 1),
        ("Order/search", {"accountId": 999, "startTimestamp": "2020-01-01T00:00:00Z"}, 1),
        ("Order/searchById", {"accountId": 101, "orderId": 1}, 2),
        ("Order/v2/query", {"filter": {"accountId": 999}, "pageSize": 5, "pageOffset": 0}, 1),
        ("Trade/search", {"accountId": 999, "startTimestamp": "2020-01-01T00:00:00Z"}, 1),
        ("Position/closeContract", {"accountId": 999, "contractId": "MNQ"}, 1),
        ("Position/closeContract", {"accountId": 101, "contractId": "MNQ"}, 2),
        ("Position/closeContract", {"accountId": 101, "contractId": "CON.X"}, 3),
        ("Position/partialCloseContract", {"accountId": 101, "contractId": "MNQ", "size": 1}, 2),
        ("Position/partialCloseContract", {"accountId": 101, "contractId": "ES", "size": 3}, 5),
        ("Order/cancel", {"accountId": 101, "orderId": 1}, 2),
        ("Order/cancel", {"accountId": 999, "orderId": 1}, 1),
        ("Order/modify", {"accountId": 101, "orderId": 1}, 2),
        ("Order/place", {"accountId": 999, "contractId": "MNQ", "type": 2, "side": 0, "size": 1}, 1),
        ("Order/place", {"accountId": 101, "contractId": "CON.X", "type": 2, "side": 0, "size": 1}, 8),
        ("Order/place", {"accountId": 101, "contractId": "MNQ", "type": 2, "side": 0, "size": 0}, 2),
        (
            "Order/place",
            {"accountId": 101, "contractId": "MNQ", "type": 1, "side": 0, "size": 1, "limitPrice": 24990.1},
            2,
        ),
        (
            "Order/place",
            {"accountId": 101, "contractId": "MNQ", "type": 4, "side": 1, "size": 1, "stopPrice": 26000},
            2,
        ),
        ("Order/place", {"accountId": 102, "contractId": "MNQ", "type": 2, "side": 0, "size": 1}, 4),
    ],
)
async def test_business_errors_are_http_200_with_the_endpoint_s_code(
    sim: Simulator, wire: Wire, path: str, body: dict[str, Any], code: int
) -> None:
    sim.trader(101).buy("ES", 2)
    sim.set_can_trade(102, False)
    if body.get("contractId") in ("MNQ", "ES"):
        body = {**body, "contractId": contract_id(sim, body["contractId"])}
    answer = await wire.post(path, **body)
    assert (answer["success"], answer["errorCode"]) == (False, code)
    for key in ("positions", "orders", "trades"):
        assert answer.get(key, []) == []
    if path == "Order/place":
        assert isinstance(answer["orderId"], int)


@pytest.mark.parametrize(
    ("path", "fields", "code"),
    [
        ("Order/place", {"type": 2, "side": 0, "size": 1}, 10),
        ("Order/cancel", {}, 6),
        ("Order/modify", {"size": 2}, 6),
        ("Position/closeContract", {}, 8),
        ("Position/partialCloseContract", {"size": 1}, 9),
    ],
)
async def test_restricted_account_is_refused_everywhere(
    sim: Simulator, wire: Wire, path: str, fields: dict[str, Any], code: int
) -> None:
    sim.trader(101).buy("MNQ", 1)
    resting = sim.trader(101).buy("MNQ", 1, kind="limit", limit=24_000)
    sim.set_restricted(101, True)
    body = {"accountId": 101, "contractId": contract_id(sim), "orderId": resting, **fields}
    assert (await wire.post(path, **body))["errorCode"] == code
    assert sim.net(101, "MNQ") == 1


@pytest.mark.parametrize(("path", "code"), [("Order/place", 5), ("Position/closeContract", 5)])
async def test_closed_market(sim: Simulator, wire: Wire, path: str, code: int) -> None:
    sim.trader(101).buy("MNQ", 1)
    sim.set_market_open(False, "MNQ")
    assert (await wire.post(path, **order_of(sim)))["errorCode"] == code
    sim.set_market_open(True)
    assert (await wire.post(path, **order_of(sim)))["errorCode"] == 0


async def test_rejected_order_has_an_id_and_is_on_record(sim: Simulator, wire: Wire) -> None:
    answer = await wire.post("Order/place", **order_of(sim, type=1, limitPrice=24_990.1))
    assert "not aligned to tick size" in answer["errorMessage"]
    record = await wire.post("Order/searchById", accountId=101, orderId=answer["orderId"])
    assert record["order"]["status"] == 5


@pytest.mark.parametrize(
    ("side", "stop", "target", "message"),
    [
        (
            0,
            {"ticks": 40, "type": 4},
            None,
            "Invalid stop loss ticks (40). Ticks should be less than zero when longing.",
        ),
        (
            1,
            {"ticks": -40, "type": 4},
            None,
            "Invalid stop loss ticks (-40). Ticks should be greater than zero when shorting.",
        ),
        (
            0,
            None,
            {"ticks": -8, "type": 1},
            "Invalid take profit ticks (-8). Ticks should be greater than zero when longing.",
        ),
        (0, {"ticks": -40, "type": 1}, None, "Invalid stop loss type (1)."),
        (0, None, {"ticks": 40, "type": 4}, "Invalid take profit type (4)."),
    ],
)
async def test_bracket_ticks_are_signed(
    sim: Simulator, wire: Wire, side: int, stop: object, target: object, message: str
) -> None:
    answer = await wire.post("Order/place", **order_of(sim, side=side, stopLossBracket=stop, takeProfitBracket=target))
    assert (answer["errorCode"], answer["errorMessage"]) == (2, message)
    assert sim.net(101, "MNQ") == 0


@pytest.mark.parametrize("side", [0, 1])
async def test_brackets_over_the_wire(sim: Simulator, wire: Wire, side: int) -> None:
    sign = -1 if side == 0 else 1
    legs = {"stopLossBracket": {"ticks": sign * 20, "type": 4}, "takeProfitBracket": {"ticks": -sign * 40, "type": 1}}
    await wire.post("Order/place", **order_of(sim, side=side, **legs))
    fill = 25_000.25 if side == 0 else 25_000.0
    stop, target = sim.working_orders(101)
    assert stop.payload()["stopPrice"] == fill + sign * 5
    assert target.payload()["limitPrice"] == fill - sign * 10


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Auth/loginKey", {"userName": "trader1"}),
        ("Auth/loginKey", {"userName": "trader1", "apiKey": None}),
        ("Position/searchOpen", {}),
        ("Position/searchOpen", {"accountId": "101"}),
        ("Position/searchOpen", {"accountId": True}),
        ("Order/search", {"accountId": 101}),
        ("Order/search", {"accountId": 101, "startTimestamp": "yesterday"}),
        ("Order/v2/query", {}),
        ("Order/v2/query", {"filter": {"accountId": 101}, "pageSize": 0, "pageOffset": 0}),
        ("Order/v2/query", {"filter": {"accountId": 101, "statuses": 1}, "pageSize": 5, "pageOffset": 0}),
        ("Order/place", {"accountId": 101, "contractId": 5, "type": 2, "side": 0, "size": 1}),
        ("Order/place", {"accountId": 101, "contractId": "x", "type": 99, "side": 0, "size": 1}),
        ("Order/place", {"accountId": 101, "contractId": "x", "type": 2, "side": 2, "size": 1}),
    ],
)
async def test_malformed_requests_are_http_400(wire: Wire, path: str, body: dict[str, Any]) -> None:
    status, _ = await wire.request(path, body)
    assert status == 400


async def test_body_that_is_not_json_is_http_400(sim: Simulator, wire: Wire) -> None:
    headers = {"Authorization": f"Bearer {wire.token}"}
    for data in (b"{", b"[]", b'"x"'):
        async with wire.session.post(f"{sim.api_url}/Position/searchOpen", data=data, headers=headers) as response:
            assert response.status == 400


@pytest.mark.parametrize("path", ["Order/nothing", "Nothing", "Auth/nothing"])
async def test_unknown_path_is_http_404(wire: Wire, path: str) -> None:
    status, _ = await wire.request(path, {})
    assert status == 404


async def test_date_header_is_broker_time(sim: Simulator, wire: Wire) -> None:
    sim.clock.advance(86_400 * 400)
    async with wire.session.get(f"{sim.api_url}/Status/ping") as response:
        assert response.headers["Date"] == sim.clock.http_date()
        assert str(sim.clock.utc().year) in response.headers["Date"]


async def test_requests_are_recorded_without_the_key(sim: Simulator, wire: Wire) -> None:
    sim.requests.clear()
    seen: list[str] = []
    sim.on_request(lambda record: seen.append(record.path))
    await wire.post("Auth/loginKey", userName="trader1", apiKey="key-1")
    await wire.post("Order/v2/query", filter={"accountId": 101}, pageSize=5, pageOffset=0)
    login, query = sim.requests
    assert seen == ["Auth/loginKey", "Order/v2/query"]
    assert (login.login, login.body, login.status) == ("trader1", {"userName": "trader1", "apiKey": "***"}, 200)
    assert (query.account_id, query.error_code) == (101, 0)
    assert 0 < query.received_ns < query.answered_ns
