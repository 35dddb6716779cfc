"""A desk for tests of the core: an engine, a clock in seconds, and short words for what happens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from daemon.core.decisions import Act, Decision, Lock, Settle, Unlock, Warn
from daemon.core.engine import Engine
from daemon.core.events import (
    AccountUpdate,
    ConfigChanged,
    Contract,
    ContractSeen,
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    Tick,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.core.rule import Gauge
from daemon.core.units import SECOND_US, money_to_micros, price_to_nanos, to_micros
from shared.config import HolidayCalendar, RiskConfig
from shared.models import OrderStatus, OrderType, Side

MNQ = "CON.F.US.MNQ.Z26"
NQ = "CON.F.US.ENQ.Z26"
ES = "CON.F.US.EP.Z26"
RTY = "CON.F.US.RTY.Z26"

CONTRACTS = (
    Contract(MNQ, "MNQZ6", price_to_nanos("0.25"), money_to_micros("0.50")),
    Contract(NQ, "NQZ6", price_to_nanos("0.25"), money_to_micros(5)),
    Contract(ES, "ESZ6", price_to_nanos("0.25"), money_to_micros("12.50")),
    Contract(RTY, "RTYZ6", price_to_nanos("0.1"), money_to_micros(5)),
)

OPEN = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
"""A Wednesday, 10:00 in New York."""


def rules(**config: Any) -> RiskConfig:
    """A configuration with these rules and no others."""
    return RiskConfig.model_validate({"rules": config})


class Desk:
    """One engine and its accounts, all reconciled and flat at the start."""

    def __init__(
        self,
        config: RiskConfig | None = None,
        *,
        at: datetime = OPEN,
        accounts: tuple[int, ...] = (101,),
        calendar: HolidayCalendar | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.engine = engine or Engine(config or RiskConfig(), calendar or HolidayCalendar())
        self.at = to_micros(at)
        self.decisions: list[Decision] = []
        self._ids = 1000
        for contract in CONTRACTS:
            self.feed(ContractSeen(self.at, contract))
        for account in accounts:
            self.feed(AccountUpdate(self.at, account, "trader1", f"Account {account}", True, None))
            self.feed(PositionsSnapshot(self.at, account, self.at, ()))
            self.feed(OrdersSnapshot(self.at, account, self.at, ()))
            self.feed(TradesSnapshot(self.at, account, self.at, self.engine.view.day_start, ()))

    def feed(self, event: Event) -> list[Decision]:
        """Handle one event; what was decided is also kept in `decisions`."""
        decided = list(self.engine.handle(event))
        self.decisions += decided
        return decided

    def wait(self, seconds: float) -> list[Decision]:
        """Let time pass and a tick come."""
        self.at += round(seconds * SECOND_US)
        return self.feed(Tick(self.at))

    def configure(self, config: RiskConfig, calendar: HolidayCalendar | None = None) -> list[Decision]:
        """Another configuration takes effect."""
        self.at += 1000
        return self.feed(ConfigChanged(self.at, config, calendar or self.engine.calendar))

    def read_positions(self, *held: tuple[str, int], price: float | str = 100, account: int = 101) -> list[Decision]:
        """A read of all positions."""
        self.at += 1000
        records = tuple(
            PositionRecord(contract, size, price_to_nanos(str(price)), 1, self.at) for contract, size in held
        )
        return self.feed(PositionsSnapshot(self.at, account, self.at, records))

    def read_orders(self, *orders: OrderRecord, account: int = 101) -> list[Decision]:
        """A read of all working orders."""
        self.at += 1000
        return self.feed(OrdersSnapshot(self.at, account, self.at, orders))

    def gauge(self, rule_id: str, account: int = 101) -> Gauge:
        """The gauge of a rule."""
        states = self.engine.rule_states(account)
        state = next(state for state in states if state.rule.rule_id == rule_id)
        gauge = self.engine.gauge(self.engine.account(account), state)
        assert gauge is not None
        return gauge

    def new_id(self) -> int:
        """A number not used before."""
        self._ids += 1
        return self._ids

    def skip_ids_of(self, other: Desk) -> None:
        """Use no number that another desk has used."""
        self._ids = max(self._ids, other._ids) + 1000

    def position(self, contract: str, size: int, price: float | str = 100, account: int = 101) -> list[Decision]:
        """The gateway pushes a position of this signed size."""
        self.at += 1000
        record = PositionRecord(contract, size, price_to_nanos(str(price)), 1, self.at)
        return self.feed(PositionUpdate(self.at, account, record))

    def order(
        self,
        contract: str,
        size: int,
        *,
        kind: OrderType = OrderType.LIMIT,
        order_id: int | None = None,
        status: OrderStatus = OrderStatus.OPEN,
        stop: float | str | None = None,
        limit: float | str | None = None,
        account: int = 101,
    ) -> int:
        """The gateway pushes an order of this signed size; returns its id."""
        self.at += 1000
        record = OrderRecord(
            order_id or self.new_id(),
            contract,
            status,
            kind,
            Side.BUY if size > 0 else Side.SELL,
            abs(size),
            limit_price=None if limit is None else price_to_nanos(str(limit)),
            stop_price=None if stop is None else price_to_nanos(str(stop)),
            created_at=self.at,
        )
        self.feed(OrderUpdate(self.at, account, record))
        return record.order_id

    def trade(
        self,
        contract: str,
        size: int,
        pnl: str | None = None,
        *,
        fees: str = "0",
        order_id: int | None = None,
        account: int = 101,
        at: int | None = None,
        trade_id: int | None = None,
        voided: bool = False,
    ) -> list[Decision]:
        """The gateway pushes a half-turn; `pnl` None is an opening one."""
        self.at += 1000
        record = TradeRecord(
            trade_id or self.new_id(),
            contract,
            self.at if at is None else at,
            price_to_nanos(100),
            None if pnl is None else money_to_micros(Decimal(pnl)),
            money_to_micros(Decimal(fees)),
            Side.BUY if size > 0 else Side.SELL,
            abs(size),
            voided,
            order_id or self.new_id(),
        )
        return self.feed(TradeUpdate(self.at, account, record))

    def quote(self, contract: str, bid: float | str, ask: float | str, last: float | str = 0) -> list[Decision]:
        """A quote comes."""
        self.at += 1000
        return self.feed(
            Quote(self.at, contract, price_to_nanos(str(bid)), price_to_nanos(str(ask)), price_to_nanos(str(last)))
        )

    def enter(self, contract: str, size: int, price: float | str = 100, account: int = 101) -> int:
        """A market order is filled: fill, then position, as the gateway pushes them; returns the order's id."""
        order_id = self.new_id()
        self.trade(contract, size, order_id=order_id, account=account)
        held = self.engine.account(account).size(contract)
        self.position(contract, held + size, price, account)
        return order_id

    def close(self, contract: str, size: int, pnl: str, account: int = 101, order_id: int | None = None) -> int:
        """An exit of that signed size is filled, with its fill and its position; returns the order's id."""
        order_id = order_id or self.new_id()
        self.trade(contract, size, pnl, order_id=order_id, account=account)
        held = self.engine.account(account).size(contract)
        self.position(contract, held + size, account=account)
        return order_id

    def locks(self, account: int = 101) -> list[str]:
        """Rule ids of the active lockouts."""
        return [lock.rule_id for lock in self.engine.account(account).locks.values()]

    def wanted(self, account: int = 101) -> dict[str | int, int]:
        """What is to be done: contracts that may stay by contract id, 0 by order id."""
        return {key: action.target for key, action in self.engine.account(account).obligations.items()}

    def of(self, *kinds: type) -> list[Any]:
        """Decisions of these kinds so far."""
        return [decision for decision in self.decisions if isinstance(decision, kinds)]

    def acts(self) -> list[Act]:
        """Obligations begun so far."""
        return self.of(Act)

    def settled(self) -> list[Settle]:
        """Obligations ended so far."""
        return self.of(Settle)

    def lock_decisions(self) -> list[Lock]:
        """Lockouts begun so far."""
        return self.of(Lock)

    def unlocks(self) -> list[Unlock]:
        """Lockouts ended so far."""
        return self.of(Unlock)

    def warnings(self) -> list[Warn]:
        """Warnings so far."""
        return self.of(Warn)


def copy_config(config: RiskConfig, **changes: Any) -> RiskConfig:
    """The configuration with other values, validated."""
    return RiskConfig.model_validate({**config.model_dump(exclude_none=True), **changes})


__all__ = ["CONTRACTS", "ES", "MNQ", "NQ", "OPEN", "RTY", "Desk", "copy_config", "replace", "rules"]
