"""One record that cannot be understood leaves all the others as they are, and makes nothing vanish."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.broker import GatewayError
from daemon.clock import ManualClock
from daemon.core.events import OrderRecord, PositionRecord, PositionsSnapshot
from daemon.gateway.limiter import Priority
from daemon.gateway.mirror import AccountMirror
from daemon.gateway.reads import AccountReads
from daemon.simulator import effects as fx
from shared.models import OrderStatus, OrderType, Side
from tests.gateway.world import QUIET, World, eventually, logins, world

LONG = {"id": 1, "accountId": 101, "contractId": "MNQ", "type": 1, "size": 5, "averagePrice": 21000.0}
RESTING = {"id": 11, "accountId": 101, "contractId": "MNQ", "status": 1, "type": 1, "side": 0, "size": 1}
TRADE = {"id": 21, "accountId": 101, "contractId": "MNQ", "profitAndLoss": -600, "side": 0, "size": 1}


class Answers:
    """A LoginRest that answers with these lists."""

    def __init__(self, **lists: list[Any]) -> None:
        self.lists = lists

    async def read(self, endpoint: str, body: dict[str, Any], priority: Priority) -> dict[str, Any]:
        return {"orders": self.lists["orders"], "totalCount": len(self.lists["orders"])}

    async def read_list(self, endpoint: str, body: dict[str, Any], key: str, priority: Priority) -> list[Any]:
        return self.lists[key]


class Desk:
    """Reads of answers, and what was told of them."""

    def __init__(self, **lists: list[Any]) -> None:
        self.clock = ManualClock()
        self.alerts: list[str] = []
        self.mirror = AccountMirror()
        self.reads = AccountReads(Answers(**lists), self.clock, lambda text, _: self.alerts.append(text))  # type: ignore[arg-type]

    async def positions(self) -> dict[str, tuple[int, int]]:
        snapshot = await self.reads.positions(101, self.mirror, Priority.READ)
        return {record.contract_id: (record.size, record.average_price) for record in snapshot.positions}

    async def orders(self) -> set[int]:
        return {order.order_id for order in (await self.reads.orders(101, self.mirror, Priority.READ)).orders}


def order(number: int, contract_id: str = "MNQ", kind: OrderType = OrderType.LIMIT, size: int = 1) -> OrderRecord:
    return OrderRecord(number, contract_id, OrderStatus.OPEN, kind, Side.BUY, size)


# --- accounts


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"balance": "n/a"}, (True, None)),
        ({"balance": True}, (True, None)),
        ({"canTrade": "yes"}, (None, 50_000_000_000)),
        ({"canTrade": 0, "balance": {}}, (None, None)),
    ],
)
async def test_accounts_when_one_is_odd_take_what_cannot_be_read_as_unknown(odd: dict[str, Any], told: object) -> None:
    good = {"id": 101, "name": "A", "balance": 50000.0, "canTrade": True}
    desk = Desk(accounts=[good, {**good, "id": 102, **odd}])
    first, second = await desk.reads.accounts(Priority.POLL)
    assert (first.account_id, first.can_trade, first.balance) == (101, True, 50_000_000_000)
    assert (second.account_id, (second.can_trade, second.balance)) == (102, told)
    assert len(desk.alerts) == 1
    assert "102" in desk.alerts[0]


@pytest.mark.parametrize("odd", [{"id": None}, {"id": "x"}, "?", None])
async def test_accounts_when_one_has_no_number_are_the_others(odd: Any) -> None:
    desk = Desk(accounts=[{"id": 101, "canTrade": True}, odd])
    assert [account.account_id for account in await desk.reads.accounts(Priority.POLL)] == [101]
    assert len(desk.alerts) == 1
    assert "not protected" in desk.alerts[0]


async def test_accounts_when_none_can_be_understood_fail() -> None:
    with pytest.raises(GatewayError, match="no account"):
        await Desk(accounts=[{"id": None}]).reads.accounts(Priority.POLL)


async def test_login_when_an_account_is_odd_from_the_start_protects_the_others() -> None:
    async with world(logins(1), timings=QUIET, started=False) as w:
        accounts = [{"id": 101, "name": "A", "balance": 1.0, "canTrade": True}, {"id": None}]
        w.sim.faults.add(fx.Patch({"accounts": accounts}), path="Account/search")
        await w.gateways.start()
        await eventually(lambda: set(w.gateways.status().accounts) == {101})
        assert w.of(PositionsSnapshot, 101)


# --- positions


@pytest.mark.parametrize(
    ("odd", "size"),
    [
        ({"type": 0, "size": 2}, 2),
        ({"type": 7, "size": 3}, 3),
        ({"type": 2, "size": "NaN"}, -1),
        ({"type": 2, "size": -4}, -4),
        ({"type": 1}, 1),
        ({}, 1),
        ({"type": 2, "size": 2, "averagePrice": "n/a"}, -2),
    ],
)
async def test_positions_when_one_is_odd_from_the_start_is_held_without_a_price(odd: dict[str, Any], size: int) -> None:
    desk = Desk(positions=[{"accountId": 101, "contractId": "ES", **odd}, LONG])
    assert await desk.positions() == {"ES": (size, 0), "MNQ": (5, 21_000_000_000_000)}
    assert len(desk.alerts) == 1
    assert "ES" in desk.alerts[0]


async def test_positions_when_a_known_one_is_odd_keep_it_as_it_was() -> None:
    desk = Desk(positions=[{"accountId": 101, "contractId": "ES", "type": 0, "size": 9}, LONG])
    desk.mirror.push_position(PositionRecord("ES", -2, 7), 0)
    assert (await desk.positions())["ES"] == (-2, 7)


@pytest.mark.parametrize("odd", ["?", None, {"type": 1, "size": 1}, {"contractId": 5, "type": 1, "size": 1}])
async def test_positions_when_one_names_no_contract_remove_nothing_that_is_known(odd: Any) -> None:
    closed = {"contractId": "NQ", "type": 0, "size": 0}
    desk = Desk(positions=[odd, LONG, closed])
    for contract_id in ("ES", "NQ"):
        desk.mirror.push_position(PositionRecord(contract_id, -2, 7), 0)
    assert await desk.positions() == {"ES": (-2, 7), "MNQ": (5, 21_000_000_000_000)}


async def test_positions_when_an_odd_one_comes_again_tell_of_it_once_a_day() -> None:
    desk = Desk(positions=[{"contractId": "ES", "type": 0, "size": 1}, {"contractId": "NQ", "type": 0, "size": 1}])
    for _ in range(3):
        await desk.positions()
    assert len(desk.alerts) == 2
    desk.clock.advance(86_400)
    await desk.positions()
    assert len(desk.alerts) == 4


@pytest.mark.parametrize("owner", [None, "101", 101.0, "?"])
async def test_positions_when_the_owner_is_written_oddly_are_taken(owner: Any) -> None:
    assert set(await Desk(positions=[{**LONG, "accountId": owner}]).positions()) == {"MNQ"}


# --- orders


@pytest.mark.parametrize(
    ("odd", "kept"),
    [
        ({"id": None, "contractId": "MNQ", "type": 1, "side": 0, "size": 1}, {11, 77}),
        ({"id": None, "contractId": "MNQ", "type": 4}, {11, 79}),
        ({"id": None, "contractId": "ES", "type": 1}, {11, 78}),
        ({"id": 78, "contractId": None, "type": 1}, {11, 78}),
        ({"id": None, "type": 1}, {11, 77, 78}),
        ({"id": None, "contractId": "NQ", "type": 1}, {11}),
    ],
)
async def test_orders_when_one_is_odd_keep_those_it_may_be(odd: dict[str, Any], kept: set[int]) -> None:
    desk = Desk(orders=[RESTING, odd])
    for known in (order(77), order(78, "ES"), order(79, kind=OrderType.STOP), order(80, kind=OrderType.MARKET)):
        desk.mirror.push_order(known, 0)
    assert await desk.orders() == kept
    assert len(desk.alerts) == 1


@pytest.mark.parametrize("odd", ["?", {"id": None, "type": 2}, {"id": None}, {"id": None, "type": "Market"}])
async def test_orders_when_an_odd_one_may_be_a_close_under_way_fail(odd: Any) -> None:
    with pytest.raises(GatewayError, match="cannot be understood"):
        await Desk(orders=[RESTING, odd]).orders()


# --- trades


@pytest.mark.parametrize("odd", [{"profitAndLoss": "n/a"}, {"id": None}, {"fees": []}, {"profitAndLoss": 1e300}])
async def test_trades_when_one_is_odd_are_the_others_and_the_gap_is_told(odd: dict[str, Any]) -> None:
    desk = Desk(trades=[{**TRADE, "id": 22, **odd}, TRADE, "?"])
    snapshot = await desk.reads.trades(101, 0, Priority.READ)
    assert [(trade.trade_id, trade.pnl) for trade in snapshot.trades] == [(21, -600_000_000)]
    assert desk.alerts == ["A trade of account 101 cannot be understood: its realized P&L is incomplete."]


# --- positions pushed without a price


async def pushed_without_a_price(w: World, price: object) -> list[float]:
    """Open a position whose pushes carry that price; the entry prices (nanos) of all snapshots from then on."""
    w.sim.faults.add(fx.Change({"averagePrice": price}), event="position")
    seen = len(w.of(PositionsSnapshot, 101))
    w.sim.trader(101).buy("MNQ", 2)
    await eventually(lambda: len(w.of(PositionsSnapshot, 101)) > seen)
    return [p.average_price for s in w.of(PositionsSnapshot, 101)[seen:] for p in s.positions]


@pytest.mark.parametrize("price", [None, 0, -1])
async def test_position_when_pushed_without_a_price_is_read(price: object) -> None:
    async with world(logins(1), timings=QUIET) as w:
        prices = await pushed_without_a_price(w, price)
        assert prices
        assert all(value > 0 for value in prices)


async def test_positions_when_pushed_without_a_price_again_and_again_are_read_no_oftener_than_allowed() -> None:
    async with world(logins(1), timings=QUIET) as w:
        await pushed_without_a_price(w, 0)
        start = len(w.sim.requests)
        for _ in range(30):
            w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: not w.gateways._sessions["trader1"].reconciler._pricing)
        assert 1 <= w.count("Position/searchOpen", start) <= 3
