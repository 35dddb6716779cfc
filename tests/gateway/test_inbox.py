"""Order of events, contracts first, nothing lost."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.broker import GatewayError
from daemon.clock import ManualClock
from daemon.core.events import (
    Contract,
    ContractSeen,
    Event,
    OrderUpdate,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    TradeUpdate,
)
from daemon.gateway.contracts import ContractBook
from daemon.gateway.inbox import Inbox
from tests.gateway.world import QUIET

KNOWN = Contract("CON.F.US.MNQ.Z26", "MNQZ6", 250_000_000, 500_000)


class Desk:
    """An inbox with everything around it."""

    def __init__(self, lookup: float | None = 0.0) -> None:
        self.events: list[Event] = []
        self.alerts: list[str] = []
        self.lost: list[int | None] = []
        self.fetched: list[str] = []
        self.lookup = lookup
        clock = ManualClock()
        book = ContractBook(
            [KNOWN],
            lambda contract: self.events.append(ContractSeen(clock.now(), contract)),
            lambda text, _detail: self.alerts.append(text),
            clock.monotonic,
            QUIET,
        )
        self.inbox = Inbox(
            clock=clock,
            deliver=self.events.append,
            book=book,
            fetch=self.fetch,
            timings=QUIET,
            on_alert=lambda text, _detail: self.alerts.append(text),
            on_account=lambda record: None,
            on_push=lambda event: event.account_id != 999,
            on_lost=self.lost.append,
            on_logout=lambda: self.lost.append(-1),
        )

    async def fetch(self, contract_id: str) -> object:
        self.fetched.append(contract_id)
        if self.lookup is None:
            raise GatewayError("no such contract")
        await asyncio.sleep(self.lookup)
        return {"id": contract_id, "name": "ESZ6", "tickSize": 0.25, "tickValue": 12.5}

    def position(self, contract: str, size: int, account: int = 101) -> None:
        record = {"accountId": account, "contractId": contract, "type": 1, "size": size, "averagePrice": 1}
        self.inbox.receive("GatewayUserPosition", (record,))

    def sizes(self, account: int = 101) -> list[int]:
        return [e.position.size for e in self.events if isinstance(e, PositionUpdate) and e.account_id == account]


async def test_event_when_contract_is_known_is_delivered_at_once() -> None:
    desk = Desk()
    desk.position(KNOWN.contract_id, 1)
    assert desk.sizes() == [1]


async def test_event_when_contract_is_unknown_comes_after_its_data_and_before_later_ones() -> None:
    desk = Desk(lookup=0.05)
    desk.position("ES", 1)
    desk.position(KNOWN.contract_id, 2)
    desk.inbox.receive("GatewayUserOrder", ({"accountId": 101, "id": 5, "contractId": "ES"},))
    desk.position("ES", 3)
    desk.position(KNOWN.contract_id, 9, account=102)
    assert [type(e) for e in desk.events] == [PositionUpdate]
    assert desk.sizes(102) == [9]
    await asyncio.sleep(0.2)
    assert [type(e) for e in desk.events[1:]] == [
        ContractSeen,
        PositionUpdate,
        PositionUpdate,
        OrderUpdate,
        PositionUpdate,
    ]
    assert desk.sizes() == [1, 2, 3]
    assert desk.fetched == ["ES"]


async def test_event_when_lookup_hangs_is_delivered_within_the_bound_in_order() -> None:
    desk = Desk(lookup=5.0)
    started = asyncio.get_running_loop().time()
    desk.position("ES", 1)
    desk.position("GC", 2)
    desk.position("CL", 3)
    while len(desk.sizes()) < 3:
        assert asyncio.get_running_loop().time() - started < QUIET.contract + 0.5
        await asyncio.sleep(0.01)
    assert desk.sizes() == [1, 2, 3]
    await desk.inbox.close()


async def test_event_when_lookup_fails_is_delivered_and_not_looked_up_again_at_once() -> None:
    desk = Desk(lookup=None)
    desk.position("ES", 1)
    await asyncio.sleep(0.05)
    desk.position("ES", 2)
    assert desk.sizes() == [1, 2]
    assert desk.fetched == ["ES"]
    assert any("its P&L is unknown" in text for text in desk.alerts)


async def test_inbox_when_closed_delivers_what_waits() -> None:
    desk = Desk(lookup=5.0)
    desk.position("ES", 1)
    desk.position("ES", 2)
    await desk.inbox.close()
    assert desk.sizes() == [1, 2]


async def test_snapshot_when_contract_is_unknown_keeps_its_place() -> None:
    desk = Desk(lookup=0.02)
    desk.position("ES", 1)
    desk.inbox.emit(PositionsSnapshot(0, 101, 0, ()), ())
    desk.position(KNOWN.contract_id, 2)
    await asyncio.sleep(0.1)
    assert [type(e) for e in desk.events] == [ContractSeen, PositionUpdate, PositionsSnapshot, PositionUpdate]


async def test_message_when_of_an_account_that_is_not_monitored_is_dropped() -> None:
    desk = Desk()
    desk.position(KNOWN.contract_id, 1, account=999)
    assert (desk.events, desk.lost) == ([], [])


async def test_message_when_unreadable_names_the_account_to_be_read() -> None:
    desk = Desk()
    desk.inbox.receive("GatewayUserPosition", ({"accountId": 101, "contractId": "ES", "size": None},))
    desk.inbox.receive("GatewayUserTrade", (17,))
    desk.inbox.receive("GatewayQuote", ())
    assert desk.lost == [101, None, None]
    assert len(desk.alerts) == 3


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    max_leaves=12,
)
keys = st.sampled_from(
    ["id", "accountId", "contractId", "size", "type", "status", "side", "data", "action", "profitAndLoss", "canTrade",
     "creationTimestamp", "averagePrice", "fees", "bestBid", "name", "balance", "limitPrice", "voided", "orderId"]
)  # fmt: skip
payloads = st.dictionaries(keys, junk | st.integers(0, 3), max_size=8) | junk
targets = st.sampled_from(
    ["GatewayUserPosition", "GatewayUserOrder", "GatewayUserTrade", "GatewayUserAccount", "GatewayQuote", "Nobody"]
)


@given(targets, st.lists(payloads, max_size=3))
def test_message_when_anything_at_all_never_raises(target: str, arguments: list[Any]) -> None:
    async def feed() -> None:
        desk = Desk(lookup=None)
        desk.inbox.receive(target, tuple(arguments))
        await desk.inbox.close()
        for event in desk.events:
            assert isinstance(event, PositionUpdate | OrderUpdate | TradeUpdate | Quote)

    asyncio.run(feed())
