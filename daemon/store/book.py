"""The writer's picture of what the gateway said: turns gateway events into the rows that really changed.

Lives in the writer thread. Latest wins: a snapshot never overrides a contract's or an order's own event that came after
the snapshot's request was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from daemon.core.events import (
    AccountUpdate,
    ContractSeen,
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.store.rows import Change, Row, contract_row, order_row, position_row, trade_row

RECORDED: Final = frozenset(
    {
        PositionUpdate,
        PositionsSnapshot,
        OrderUpdate,
        OrdersSnapshot,
        TradeUpdate,
        TradesSnapshot,
        AccountUpdate,
        ContractSeen,
    }
)
"""Kinds of events that leave something in the database."""

_MOST_TRADES: Final = 500_000

Pending = dict[tuple[str, tuple[Any, ...]], Row | None]


class Book:
    """Positions, orders and trades as last written or about to be. `apply` fills `pending` with changed rows."""

    def __init__(self) -> None:
        self._positions: dict[int, dict[str, tuple[int, PositionRecord | None]]] = {}
        self._orders: dict[int, dict[int, tuple[int, OrderRecord | None]]] = {}
        self._positions_read_at: dict[int, int] = {}
        self._orders_read_at: dict[int, int] = {}
        self._trades: dict[tuple[int, int], int] = {}
        self._symbols: dict[str, str] = {}
        self._balances: dict[int, int] = {}

    def start_with(
        self,
        positions: Iterable[tuple[int, PositionRecord]],
        orders: Iterable[tuple[int, OrderRecord]],
        symbols: Iterable[tuple[str, str]],
        balances: Iterable[tuple[int, int | None]],
    ) -> None:
        """Take over what the database holds, each with its account id. It is older than anything that will come."""
        for account_id, position in positions:
            self._positions.setdefault(account_id, {})[position.contract_id] = (0, position)
        for account_id, order in orders:
            self._orders.setdefault(account_id, {})[order.order_id] = (0, order)
        self._symbols.update(symbols)
        self._balances.update((account, balance) for account, balance in balances if balance is not None)

    def everything(self) -> Iterator[Change]:
        """All positions and working orders, for a database that was made anew; trades come with the next full read."""
        self._trades.clear()
        for account_id, held in self._positions.items():
            for contract_id, (at, position) in held.items():
                if position is not None:
                    yield "positions", (account_id, contract_id), position_row(account_id, position, at)
        for account_id, working in self._orders.items():
            for order_id, (at, order) in working.items():
                if order is not None:
                    yield "orders", (account_id, order_id), self._order_row(account_id, order, at)

    def apply(self, event: Event, pending: Pending) -> None:
        """Put the rows that one event changes into `pending`."""
        match event:
            case PositionUpdate():
                self._position(event.account_id, event.position, event.at, pending)
            case OrderUpdate():
                self._order(event.account_id, event.order, event.at, pending)
            case TradeUpdate():
                self._trade(event.account_id, event.trade, pending)
            case PositionsSnapshot():
                self._positions_read(event, pending)
            case OrdersSnapshot():
                self._orders_read(event, pending)
            case TradesSnapshot():
                for trade in event.trades:
                    self._trade(event.account_id, trade, pending)
            case ContractSeen():
                contract = event.contract
                self._symbols[contract.contract_id] = contract.symbol_id
                pending["contract_cache", (contract.contract_id,)] = contract_row(contract, event.at)
            case AccountUpdate():
                if event.balance is not None:
                    self._balances[event.account_id] = event.balance
                pending["accounts", (event.account_id,)] = {
                    "account_id": event.account_id,
                    "login": event.login,
                    "name": event.name,
                    "can_trade": event.can_trade,
                    "balance": self._balances.get(event.account_id),
                    "updated_at": event.at,
                }

    def _position(self, account_id: int, position: PositionRecord, at: int, pending: Pending) -> None:
        key = "positions", (account_id, position.contract_id)
        held = self._positions.setdefault(account_id, {})
        if position.size:
            held[position.contract_id] = (at, position)
            pending[key] = position_row(account_id, position, at)
        else:
            held[position.contract_id] = (at, None)
            pending[key] = None

    def _positions_read(self, event: PositionsSnapshot, pending: Pending) -> None:
        held = self._positions.setdefault(event.account_id, {})
        seen = {position.contract_id: position for position in event.positions if position.size}
        for contract_id, (at, position) in list(held.items()):
            if at > event.started_at:
                seen.pop(contract_id, None)
            elif contract_id not in seen:
                del held[contract_id]
                if position is not None:
                    pending["positions", (event.account_id, contract_id)] = None
        if event.started_at < self._positions_read_at.get(event.account_id, 0):
            # Overtaken by a younger read: what that one did not show was gone by then.
            seen = {contract_id: position for contract_id, position in seen.items() if contract_id in held}
        else:
            self._positions_read_at[event.account_id] = event.started_at
        for contract_id, position in seen.items():
            known = held.get(contract_id)
            if known is None or known[1] != position:
                pending["positions", (event.account_id, contract_id)] = position_row(
                    event.account_id, position, event.at
                )
            held[contract_id] = (event.started_at, position)

    def _order(self, account_id: int, order: OrderRecord, at: int, pending: Pending) -> None:
        self._orders.setdefault(account_id, {})[order.order_id] = (at, order if order.working else None)
        pending["orders", (account_id, order.order_id)] = self._order_row(account_id, order, at)

    def _orders_read(self, event: OrdersSnapshot, pending: Pending) -> None:
        working = self._orders.setdefault(event.account_id, {})
        seen = {order.order_id: order for order in event.orders if order.working}
        for order_id, (at, order) in list(working.items()):
            if at > event.started_at:
                seen.pop(order_id, None)
            elif order_id not in seen:
                del working[order_id]
                if order is not None:
                    # It works no more and nobody said how it ended: better no row than a wrong one.
                    pending["orders", (event.account_id, order_id)] = None
        if event.started_at < self._orders_read_at.get(event.account_id, 0):
            seen = {order_id: order for order_id, order in seen.items() if order_id in working}
        else:
            self._orders_read_at[event.account_id] = event.started_at
        for order_id, order in seen.items():
            known = working.get(order_id)
            if known is None or known[1] != order:
                pending["orders", (event.account_id, order_id)] = self._order_row(event.account_id, order, event.at)
            working[order_id] = (event.started_at, order)

    def _order_row(self, account_id: int, order: OrderRecord, at: int) -> Row:
        return order_row(account_id, order, self._symbols.get(order.contract_id) or None, at)

    def _trade(self, account_id: int, trade: TradeRecord, pending: Pending) -> None:
        key = (account_id, trade.trade_id)
        content = hash((trade.pnl, trade.fees, trade.voided, trade.price, trade.size, trade.side, trade.created_at))
        if self._trades.get(key) == content:
            return
        if len(self._trades) >= _MOST_TRADES:
            self._trades.clear()
        self._trades[key] = content
        pending["trade_history", key] = trade_row(account_id, trade)
