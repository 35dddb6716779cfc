"""The broker alone: no wire, no clock, no simulator around it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from daemon.simulator import BrokerSettings, ContractTable, Side
from daemon.simulator.broker import Broker, BrokerEvent
from daemon.simulator.clock import SECOND, to_us
from daemon.simulator.contracts import MICRO, Contract
from daemon.simulator.ledger import SimAccount
from daemon.simulator.orders import Brackets, Order, OrderRequest, OrderStatus, OrderType
from daemon.simulator.schedule import Schedule

START = to_us(dt.datetime(2026, 11, 2, 14, 30, tzinfo=dt.UTC))
ACCOUNT = 101


class Desk:
    """One account of 50,000 dollars trading MNQ (and whatever is named); the market stands at 100000/100001 ticks."""

    def __init__(self, settings: BrokerSettings | None = None, fees: str = "0") -> None:
        self.contracts = ContractTable(dt.date(2026, 11, 2), dict.fromkeys(("MNQ", "ES"), fees))
        self.schedule = Schedule()
        self.events: list[BrokerEvent] = []
        self.broker = Broker(self.contracts, self.schedule, settings or BrokerSettings(), self.events.append, START)
        self.broker.add_account(SimAccount(ACCOUNT, "A", "trader1", 50_000 * MICRO), START)
        self.now = START
        self.events.clear()

    @property
    def mnq(self) -> Contract:
        return self.contracts["MNQ"]

    def order(self, side: Side, size: int, kind: OrderType = OrderType.MARKET, **more: Any) -> Order:
        return self.broker.place(
            OrderRequest(ACCOUNT, more.pop("contract", self.mnq), kind, side, size, **more), self.now
        )

    def buy(self, size: int, kind: OrderType = OrderType.MARKET, **more: Any) -> Order:
        return self.order(Side.BUY, size, kind, **more)

    def sell(self, size: int, kind: OrderType = OrderType.MARKET, **more: Any) -> Order:
        return self.order(Side.SELL, size, kind, **more)

    def entry(self, side: Side, size: int, stop: int | None, target: int | None) -> tuple[Order, Order, Order]:
        """A market entry with both legs: (entry, stop, target)."""
        entry = self.order(side, size, brackets=Brackets(stop, target))
        stop_leg, target_leg = (self.broker.orders[leg] for leg in entry.leg_ids)
        return entry, stop_leg, target_leg

    def market(self, bid: int, ask: int | None = None) -> None:
        self.broker.books[self.mnq.id].move(bid, bid + 1 if ask is None else ask, bid, self.now)
        self.broker.exchange.match(self.mnq, self.now)

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)
        self.schedule.run_until(self.now)

    @property
    def net(self) -> int:
        return self.broker.holding(ACCOUNT, self.mnq).net

    @property
    def balance(self) -> int:
        return self.broker.accounts[ACCOUNT].balance

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def statuses(self, order: Order) -> list[OrderStatus]:
        """The statuses that went out for an order, in their order."""
        payloads = [event.payload for event in self.events if event.kind == "order"]
        return [OrderStatus(int(str(p["status"]))) for p in payloads if p["id"] == order.id]
