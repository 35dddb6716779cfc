"""Orders in pages, whatever the gateway takes a page to be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.broker import GatewayError
from daemon.clock import ManualClock
from daemon.gateway.limiter import Priority
from daemon.gateway.mirror import AccountMirror
from daemon.gateway.parsing import parse_order
from daemon.gateway.reads import AccountReads
from daemon.gateway.rest import EndpointRejectedError


class Pages:
    """A LoginRest that answers Order/v2/query from a list, in one of the ways that the documentation leaves open."""

    def __init__(self, total: int, *, by_page: bool, largest: int, count: bool, status: int = 0) -> None:
        self.orders = [
            {"id": number, "accountId": 101, "contractId": "X", "status": 1} for number in range(1, total + 1)
        ]
        self.by_page = by_page
        self.largest = largest
        self.count = count
        self.status = status
        self.asked: list[str] = []

    async def read(self, endpoint: str, body: dict[str, Any], priority: Priority) -> dict[str, Any]:
        self.asked.append(endpoint)
        if endpoint == "/Order/searchOpen":
            return {"orders": self.orders}
        if self.status:
            raise EndpointRejectedError("refused", self.status)
        size = min(body["pageSize"], self.largest)
        start = body["pageOffset"] * (size if self.by_page else 1)
        answer: dict[str, Any] = {"orders": self.orders[start : start + size]}
        return answer | ({"totalCount": len(self.orders)} if self.count else {})

    async def read_list(self, endpoint: str, body: dict[str, Any], key: str, priority: Priority) -> list[Any]:
        records: list[Any] = (await self.read(endpoint, body, priority))[key]
        return records


def reads(pages: Pages, alerts: list[str] | None = None) -> AccountReads:
    told = [] if alerts is None else alerts
    return AccountReads(pages, ManualClock(), lambda text, _detail: told.append(text))  # type: ignore[arg-type]


@given(st.integers(0, 400), st.booleans(), st.sampled_from([(1000, True), (1000, False), (20, True), (7, True)]))
async def test_orders_when_in_pages_are_all_read(total: int, by_page: bool, habit: tuple[int, bool]) -> None:
    largest, count = habit
    pages = Pages(total, by_page=by_page, largest=largest, count=count)
    snapshot = await reads(pages).orders(101, AccountMirror(), Priority.READ)
    assert [order.order_id for order in snapshot.orders] == list(range(1, total + 1))


class Leaving(Pages):
    """After every answer so many of the first orders are gone."""

    def __init__(self, total: int, leave: list[int], *, by_page: bool) -> None:
        super().__init__(total, by_page=by_page, largest=1000, count=True)
        self.leave = leave

    async def read(self, endpoint: str, body: dict[str, Any], priority: Priority) -> dict[str, Any]:
        answer = await super().read(endpoint, body, priority)
        del self.orders[: self.leave.pop(0) if self.leave else 0]
        return answer


@given(st.integers(0, 200), st.lists(st.integers(0, 30), max_size=12), st.booleans())
async def test_orders_when_others_go_between_the_pages_are_not_missed(
    total: int, leave: list[int], by_page: bool
) -> None:
    pages, mirror = Leaving(total, leave, by_page=by_page), AccountMirror()
    for number in range(1, total + 1):
        mirror.push_order(parse_order({"id": number, "contractId": "X", "status": 1}), 0)
    snapshot = await reads(pages).orders(101, mirror, Priority.READ)
    assert {order.order_id for order in snapshot.orders} >= {order["id"] for order in pages.orders}


async def test_orders_when_one_went_between_the_pages_are_read_again() -> None:
    pages = Leaving(60, [1], by_page=False)
    snapshot = await reads(pages).orders(101, AccountMirror(), Priority.READ)
    assert {order.order_id for order in snapshot.orders} == set(range(2, 61))


async def test_orders_when_few_take_one_request() -> None:
    pages = Pages(49, by_page=True, largest=1000, count=True)
    await reads(pages).orders(101, AccountMirror(), Priority.READ)
    assert pages.asked == ["/Order/v2/query"]


async def test_orders_when_endless_fail() -> None:
    pages = Pages(5000, by_page=True, largest=1000, count=True)
    with pytest.raises(GatewayError, match="more than"):
        await reads(pages).orders(101, AccountMirror(), Priority.READ)


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_orders_when_the_query_is_refused_keep_what_is_known_to_be_suspended(status: int) -> None:
    alerts: list[str] = []
    pages = Pages(1, by_page=True, largest=10, count=True, status=status)
    mirror = AccountMirror()
    for number, state in ((77, 8), (78, 1), (79, 6)):
        mirror.push_order(parse_order({"id": number, "contractId": "X", "status": state}), 0)
    made = reads(pages, alerts)
    for _ in range(2):
        snapshot = await made.orders(101, mirror, Priority.READ)
        assert {order.order_id for order in snapshot.orders} == {77, 79, 1}
    assert pages.asked == ["/Order/v2/query", "/Order/searchOpen", "/Order/searchOpen"]
    assert len(alerts) == 1


async def test_orders_when_the_query_fails_otherwise_fail() -> None:
    pages = Pages(1, by_page=True, largest=10, count=True, status=403)
    with pytest.raises(GatewayError):
        await reads(pages).orders(101, AccountMirror(), Priority.READ)
