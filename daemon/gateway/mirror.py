"""What pushes and reads have told of one account, to tell a frozen stream from a quiet one.

Streams can stop for minutes while 'connected'. When a poll finds a position or order other than the last push or read
said, and no push says so within a few seconds either, the stream has missed it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.core.events import OrderRecord, PositionRecord, TradeRecord
from shared.models import STOP_TYPES


@dataclass(slots=True, frozen=True)
class Surprise:
    """A contract's position or an order that a poll found not as it was pushed, and when that read was begun."""

    key: str | int
    started_at: int
    text: str


ORDERS_KEPT = 5000


def _bound[V](orders: dict[int, V]) -> int | None:
    """Drop the oldest beyond the number kept, and give its number."""
    if len(orders) <= ORDERS_KEPT:
        return None
    oldest = next(iter(orders))
    del orders[oldest]
    return oldest


@dataclass(slots=True)
class _Filled:
    """How much of an order was pushed as filled, when, and how much of that no read has a trade of."""

    contract_id: str
    volume: int
    at: int
    unknown: int = 0
    asked: bool = False


@dataclass(slots=True)
class FillWatch:
    """Whether the pushes of a fill come together: it fills an order, makes a trade and changes a position.

    A push that is missing, alone of its kind, leaves a P&L or a position wrong that no other push will put right.
    Times are trusted time.
    """

    _trades: dict[str, int] = field(default_factory=dict)
    _positions: dict[str, int] = field(default_factory=dict)
    _moved: dict[str, int] = field(default_factory=dict)
    """When a fill of the contract was last told of, by its order or by its trade."""
    _filled: dict[int, _Filled] = field(default_factory=dict)
    _missing: dict[int, _Filled] = field(default_factory=dict)
    """Those of `_filled` whose trades are not all known."""
    _traded: dict[int, dict[int, int]] = field(default_factory=dict)

    def push_trade(self, trade: TradeRecord, at: int) -> None:
        """A trade was pushed."""
        self._trades[trade.contract_id] = at
        if trade.trade_id not in self._traded.get(trade.order_id, {}):
            self._moved[trade.contract_id] = at
        self._count(trade)

    def push_order(self, order: OrderRecord, at: int) -> bool:
        """An order was pushed; returns whether more of it is filled than was pushed before."""
        known = self._filled.get(order.order_id)
        if order.fill_volume <= (known.volume if known is not None else 0):
            return False
        self._moved[order.contract_id] = at
        unknown = known.unknown if known is not None else 0
        self._filled[order.order_id] = _Filled(order.contract_id, order.fill_volume, at, unknown)
        dropped = _bound(self._filled)
        if dropped is not None:
            self._missing.pop(dropped, None)
        self._settle(order.order_id)
        return True

    def read_trades(self, trades: Iterable[TradeRecord]) -> None:
        """Take in a read. What it lacks of orders it was asked for is older than what is read, and not missed again."""
        for trade in trades:
            self._count(trade)
        for order_id, filled in list(self._missing.items()):
            if filled.asked:
                filled.unknown = max(0, filled.volume - self._sum(order_id))
                filled.asked = False
                self._settle(order_id)

    def short(self, contract_id: str) -> list[int]:
        """When orders of the contract were pushed as filled by more than their trades; none of those asked for."""
        return [filled.at for filled in self._short(contract_id)]

    def unmoved(self, contract_id: str, lead: int) -> int | None:
        """When a fill was last told of, if no position was from `lead` microseconds before it on; else None."""
        moved = self._moved.get(contract_id)
        return None if moved is None or self._positions.get(contract_id, -1) >= moved - lead else moved

    def ask(self, contract_id: str) -> None:
        """Trades and positions will be read: what they lack then is not worth another read."""
        self._moved.pop(contract_id, None)
        for filled in self._short(contract_id):
            filled.asked = True

    def _short(self, contract_id: str) -> list[_Filled]:
        return [filled for filled in self._missing.values() if filled.contract_id == contract_id and not filled.asked]

    def _settle(self, order_id: int) -> None:
        """Note whether trades of an order are missing, after one of both was told of."""
        filled = self._filled.get(order_id)
        if filled is None:
            return
        gap = max(0, filled.volume - self._sum(order_id))
        filled.unknown = min(filled.unknown, gap)
        if filled.unknown < gap:
            self._missing[order_id] = filled
        else:
            self._missing.pop(order_id, None)

    def _sum(self, order_id: int) -> int:
        return sum(self._traded.get(order_id, {}).values())

    def _count(self, trade: TradeRecord) -> None:
        # A voided trade is counted as well: it did fill the order.
        self._traded.setdefault(trade.order_id, {})[trade.trade_id] = trade.size
        _bound(self._traded)
        self._settle(trade.order_id)

    def push_position(self, contract_id: str, at: int) -> None:
        """A position was pushed."""
        self._positions[contract_id] = at

    def complete(self, contract_id: str, since: int) -> bool:
        """Whether both a trade and a position of the contract have been pushed since a time."""
        return self._trades.get(contract_id, -1) >= since and self._positions.get(contract_id, -1) >= since


@dataclass(slots=True)
class AccountMirror:
    """Positions by contract and working orders by id, each with the time of its last push. Times are trusted time."""

    positions: dict[str, PositionRecord] = field(default_factory=dict)
    orders: dict[int, OrderRecord] = field(default_factory=dict)
    _pushed: dict[str | int, int] = field(default_factory=dict)
    _positions_read: bool = False
    _orders_read: bool = False

    def push_position(self, record: PositionRecord, at: int) -> None:
        """A position was pushed."""
        self._pushed[record.contract_id] = at
        if record.size:
            self.positions[record.contract_id] = record
        else:
            self.positions.pop(record.contract_id, None)

    def push_order(self, record: OrderRecord, at: int) -> None:
        """An order was pushed."""
        self._pushed[record.order_id] = at
        if record.working:
            self.orders[record.order_id] = record
        else:
            self.orders.pop(record.order_id, None)

    def pushed_since(self, key: str | int, at: int) -> bool:
        """Whether that contract or order was pushed at or after a time."""
        return self._pushed.get(key, -1) >= at

    def read_positions(self, records: Iterable[PositionRecord], started_at: int) -> list[Surprise]:
        """Take in a read; returns what it shows differently. Values pushed after it was begun stay."""
        read = {record.contract_id: record for record in records if record.size}
        surprises = []
        for key in {*read, *self.positions}:
            if self.pushed_since(key, started_at):
                continue
            new, old = read.get(key), self.positions.get(key)
            if (new.size if new else 0) != (old.size if old else 0):
                text = f"{key}: {old.size if old else 0} contracts pushed, {new.size if new else 0} read"
                surprises.append(Surprise(key, started_at, text))
            if new:
                self.positions[key] = new
            else:
                self.positions.pop(key, None)
        known, self._positions_read = self._positions_read, True
        return surprises if known else []

    def read_orders(self, records: Iterable[OrderRecord], started_at: int) -> list[Surprise]:
        """As `read_positions`. New stops are no surprise: those placed in the broker's own UI are often not pushed."""
        read = {record.order_id: record for record in records if record.working}
        surprises = []
        for key in {*read, *self.orders}:
            if self.pushed_since(key, started_at):
                continue
            new, old = read.get(key), self.orders.get(key)
            if new is None:
                surprises.append(Surprise(key, started_at, f"order {key}: pushed as working, read as gone"))
                self.orders.pop(key, None)
            else:
                if old is None and new.type not in STOP_TYPES:
                    surprises.append(Surprise(key, started_at, f"order {key}: not pushed, read as working"))
                self.orders[key] = new
        known, self._orders_read = self._orders_read, True
        if len(self._pushed) > 2000:
            self._forget(started_at)
        return surprises if known else []

    def _forget(self, started_at: int) -> None:
        """Drop push times of what is long gone; they are needed for as long as a read may be under way."""
        horizon = started_at - 600_000_000
        self._pushed = {key: at for key, at in self._pushed.items() if at > horizon}
