"""The unmodified project-x-py against the simulator."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from project_x_py import ProjectX, ProjectXConfig
from project_x_py.exceptions import OrderSubmissionUncertainError, ProjectXError
from project_x_py.order_manager import OrderManager
from project_x_py.realtime import ProjectXRealtimeClient

from daemon.simulator import Brackets, Simulator, effects

from .wire import eventually


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("project_x_py").setLevel(logging.CRITICAL)


def config_for(sim: Simulator) -> ProjectXConfig:
    return ProjectXConfig(api_url=sim.api_url, user_hub_url=sim.user_hub_url, market_hub_url=sim.market_hub_url)


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[Client]:
    async with ProjectX(username="trader1", api_key="key-1", config=config_for(sim)) as client:
        await client.authenticate()
        yield client


# The SDK types its mixins against a protocol that its own class does not match.
type Client = Any


class Realtime:
    """The SDK's realtime client with everything it received, by kind."""

    KINDS = ("account_update", "position_update", "order_update", "trade_execution", "quote_update", "market_trade")

    def __init__(self, client: ProjectXRealtimeClient) -> None:
        self.client = client
        self.got: dict[str, list[Any]] = {kind: [] for kind in self.KINDS}

    def sink(self, kind: str) -> Any:
        def receive(data: Any) -> None:
            self.got[kind].append(data)

        return receive


@asynccontextmanager
async def realtime_for(sim: Simulator, client: Client, account: int = 101) -> AsyncIterator[Realtime]:
    sdk = ProjectXRealtimeClient(client.session_token, str(account), config=config_for(sim))
    sdk.stale_feed_seconds = float("inf")
    realtime = Realtime(sdk)
    for kind in Realtime.KINDS:
        await sdk.add_callback(kind, realtime.sink(kind))
    try:
        assert await sdk.connect()
        assert await sdk.subscribe_user_updates()
        await eventually(lambda: len(sim.connections("user")[0].topics) == 4)
        yield realtime
    finally:
        await sdk.disconnect()


async def test_sdk_logs_in_and_lists(client: Client) -> None:
    assert client.account_info is not None
    assert client.account_info.id == 101
    assert [a.id for a in await client.list_accounts()] == [101, 102]
    assert await client.ping() == "pong"


@pytest.mark.parametrize("symbol", ["ES", "MES", "NQ", "MNQ", "RTY", "M2K", "CL", "MCL", "GC", "MGC"])
async def test_sdk_finds_every_contract(sim: Simulator, client: Client, symbol: str) -> None:
    instrument = await client.get_instrument(symbol)
    assert instrument.id == sim.contract(symbol).id
    assert (await client.get_instrument(instrument.id)).tickSize == float(sim.contract(symbol).tick_size)


async def test_sdk_reads_positions_and_trades(sim: Simulator, client: Client) -> None:
    sim.trader(101).sell("MNQ", 2)
    (position,) = await client.search_open_positions()
    assert (position.signed_size, position.averagePrice) == (-2, 25_000.0)
    (trade,) = await client.search_trades()
    assert (trade.size, trade.profitAndLoss, trade.fees) == (2, None, 0.74)


async def test_sdk_refuses_a_wrong_key(sim: Simulator) -> None:
    async with ProjectX(username="trader1", api_key="wrong", config=config_for(sim)) as client:
        with pytest.raises(ProjectXError):
            await client.authenticate()
    assert [r.path for r in sim.requests][:2] == ["Auth/loginKey", "Account/search"]
    assert sim.requests[1].status == 401


async def test_sdk_refreshes_its_session(sim: Simulator, client: Client) -> None:
    before = client.session_token
    assert await client.validate_session()
    assert client.session_token != before
    assert await client.logout()


async def test_sdk_order_manager_places_changes_cancels_and_queries(sim: Simulator, client: Client) -> None:
    orders = OrderManager(client, event_bus=None)
    mnq = sim.contract("MNQ").id
    placed = await orders.place_limit_order(mnq, 0, 1, 24_990.0)
    assert placed.success
    assert await orders.modify_order(placed.orderId, size=2, limit_price=24_995.0)
    (order,) = await orders.search_open_orders()
    assert (order.size, order.limitPrice, order.is_working) == (2, 24_995.0, True)
    assert await orders.cancel_order(placed.orderId)
    sim.config.broker.plan = type(sim.config.broker.plan)(hold=True)
    sim.trader(101).buy("MNQ", 1, brackets=Brackets(20, 40))
    assert [o.status for o in await orders.query_orders(statuses=[1, 6, 7, 8])] == [1, 8, 8]
    stop = await orders.place_stop_order(mnq, 1, 1, 24_900.0)
    trailing = await orders.place_trailing_stop_order(mnq, 1, 1, 25.0)
    placed_stops = [o for o in sim.working_orders(101) if o.id in (stop.orderId, trailing.orderId)]
    assert [o.payload()["stopPrice"] for o in placed_stops] == [24_900.0, 24_975.0]


async def test_sdk_mutation_that_is_reset_is_uncertain(sim: Simulator, client: Client) -> None:
    sim.trader(101).buy("MNQ", 2)
    body = {"accountId": 101, "contractId": sim.contract("MNQ").id}
    sim.faults.add(effects.Reset(), path="Position/closeContract", count=1)
    with pytest.raises(OrderSubmissionUncertainError):
        await client._make_request("POST", "/Position/closeContract", data=body)
    assert sim.net(101, "MNQ") == 2
    sim.faults.add(effects.Reset(after_effect=True), path="Position/closeContract", count=1)
    with pytest.raises(OrderSubmissionUncertainError):
        await client._make_request("POST", "/Position/closeContract", data=body)
    assert sim.net(101, "MNQ") == 0


async def test_sdk_receives_every_kind_of_event(sim: Simulator, client: Client) -> None:
    async with realtime_for(sim, client) as realtime:
        assert await realtime.client.subscribe_market_data([sim.contract("MNQ").id])
        await eventually(lambda: len(sim.connections("market")[0].topics) == 3)
        sim.trader(101).buy("MNQ", 2)
        sim.set_quote("MNQ", 25_010, 25_010.25)
        sim.trader(101).close("MNQ")
        got = realtime.got
        await eventually(lambda: len(got["trade_execution"]) == 2 and got["quote_update"] and got["market_trade"])
        await eventually(lambda: len(got["account_update"]) == 2)
        assert [p["size"] for p in got["position_update"]] == [2, 0]
        assert [t["profitAndLoss"] for t in got["trade_execution"]] == [None, 39.0]
        assert [o["status"] for o in got["order_update"]] == [1, 2, 1, 2]
        assert got["account_update"][-1]["balance"] == 50_000 + 39.0 - 1.48
        assert got["quote_update"][-1]["contract_id"] == sim.contract("MNQ").id


@pytest.mark.parametrize("code", [1001, 1006])
async def test_sdk_reconnects_by_itself_after_a_close(sim: Simulator, client: Client, code: int) -> None:
    async with realtime_for(sim, client) as realtime:
        (old,) = sim.connections("user")
        sim.faults.add(effects.Close(code), hub="user")
        await eventually(lambda: sim.connections("user") and sim.connections("user")[0] is not old)
        await eventually(lambda: ("position", 101) in sim.connections("user")[0].topics)
        sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: realtime.got["position_update"])


async def test_sdk_client_task_dies_of_an_extra_key(sim: Simulator, client: Client) -> None:
    async with realtime_for(sim, client) as realtime:
        task: Any = realtime.client.user_connection._run_task
        sim.faults.add(effects.ExtraKey(), event="position", count=1)
        sim.trader(101).buy("MNQ", 1)
        await eventually(task.done)
        assert realtime.client.user_connected
        assert task.exception() is not None


async def test_sdk_survives_gateway_logout_and_unknown_methods(sim: Simulator, client: Client) -> None:
    async with realtime_for(sim, client) as realtime:
        sim.gateway_logout("trader1")
        sim.faults.add(effects.Retarget(), event="order", count=1)
        sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: realtime.got["account_update"])
        assert len(realtime.got["order_update"]) == 1
