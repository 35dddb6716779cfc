"""What is known of each account, and how an event changes it. No judgement in here.

Sizes are signed contracts, prices nanos, money micro-dollars, times microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.core.events import (
    AccountUpdate,
    OrderRecord,
    OrdersSnapshot,
    PositionRecord,
    PositionsSnapshot,
    TradeRecord,
    TradesSnapshot,
    signed,
)
from daemon.core.ledger import Ledger
from daemon.core.market import Book, Market, Position
from daemon.core.sessions import Sessions
from daemon.core.units import SECOND_US

if TYPE_CHECKING:
    from daemon.core.closings import ClosingsInFlight
    from daemon.core.decisions import Action, Lockout

__all__ = ["AccountState", "Book", "Growth", "Latch", "Market", "Position"]

SETTLING_US = 2 * SECOND_US
"""A fill and the position update it causes come at most this far apart; see `AccountState.unseen_fills`."""

TOMBSTONE_US = 600 * SECOND_US
"""How long it is remembered that an order ended, so that an older message cannot bring it back."""

REVIVED_US = 5 * SECOND_US
"""A read begun this much later than the message of an order's end is right when it shows the order working."""

_NO_ORDERS: dict[int, OrderRecord] = {}


@dataclass(slots=True)
class Latch:
    """A position that must go, whatever the price does meanwhile, until it is flat or turned round by the trader."""

    rule_id: str
    reason: str
    direction: int
    cancel_orders: bool = False


@dataclass(slots=True)
class Growth:
    """The entry that made a cooldown: what of it is filled counts as held, however late its fills are told.

    `counted`: contracts of it that the cooldown's baseline holds. `until`: later fills are further exposure.
    """

    order_id: int
    contract_id: str
    direction: int
    counted: int
    until: int


@dataclass(slots=True)
class _Unmatched:
    """Signed sizes that only fills, or only position updates, have told of so far. `at`: time of the last of them."""

    fills: int = 0
    updates: int = 0
    at: int = 0

    def add_fill(self, size: int) -> None:
        common = _common(size, self.updates)
        self.updates -= common
        self.fills += size - common

    def add_update(self, change: int) -> None:
        common = _common(change, self.fills)
        self.fills -= common
        self.updates += change - common


def _common(one: int, other: int) -> int:
    """What two signed sizes share: 0 when they are of different signs."""
    if one * other <= 0:
        return 0
    return min(one, other) if one > 0 else max(one, other)


@dataclass(slots=True)
class AccountState:
    """Everything known of one account."""

    account_id: int
    login: str = ""
    name: str = ""
    can_trade: bool = True
    balance: int | None = None
    listed: bool = True
    known: bool = False
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[int, OrderRecord] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    sessions: Sessions | None = None
    positions_read_at: int = 0
    orders_read_at: int = 0
    trades_read_at: int = 0
    first_read_at: int = 0
    trades_given_up: bool = False
    gap_at: int = 0
    last_event_at: int = 0
    first_action_at: int = 0
    last_action_at: int = 0
    locks: dict[int, Lockout] = field(default_factory=dict)
    latches: dict[str, Latch] = field(default_factory=dict)
    order_latches: dict[int, Latch] = field(default_factory=dict)
    obligations: dict[str | int, Action] = field(default_factory=dict)
    causes: dict[tuple[str, str | None, str], int] = field(default_factory=dict)
    refused_moves: dict[int, tuple[int, int]] = field(default_factory=dict)
    memory: dict[str, dict[str, object]] = field(default_factory=dict)
    unsaved_memory: set[str] = field(default_factory=set)
    _position_events: dict[str, int] = field(default_factory=dict)
    _position_reads: dict[str, int] = field(default_factory=dict)
    _order_events: dict[int, int] = field(default_factory=dict)
    _ended_orders: dict[int, int] = field(default_factory=dict)
    leftovers: list[Action] = field(default_factory=list)
    growths: dict[int, Growth] = field(default_factory=dict)
    closings: ClosingsInFlight | None = None
    filled: dict[int, int] = field(default_factory=dict)
    _unmatched: dict[str, _Unmatched] = field(default_factory=dict)
    _sequence: int = 0
    _orders_of: dict[str, dict[int, OrderRecord]] = field(default_factory=dict)

    @property
    def reconciled(self) -> bool:
        """Whether positions, orders and trades have each been read since the last gap."""
        return min(self.positions_read_at, self.orders_read_at, self.trades_read_at) > self.gap_at

    def realized(self, *, net: bool) -> int:
        """Realized P&L of the trading day, micro-dollars."""
        return self.ledger.net if net else self.ledger.gross

    def size(self, contract_id: str) -> int:
        """Signed size held, 0 when flat."""
        position = self.positions.get(contract_id)
        return position.size if position is not None else 0

    def orders_of(self, contract_id: str) -> Collection[OrderRecord]:
        """The working orders of one contract."""
        return self._orders_of.get(contract_id, _NO_ORDERS).values()

    def contracts_with_orders(self) -> Collection[str]:
        """Contracts in which orders work."""
        return self._orders_of.keys()

    def position_read_at(self, contract_id: str) -> int:
        """Start of the read that the current size stems from; 0 when it was pushed, or never read."""
        return self._position_reads.get(contract_id, 0)

    def unseen_fills(self, contract_id: str, now: int) -> int:
        """Signed size traded but not yet in a position update.

        Fills and position updates of one trade come as separate messages in either order, within `SETTLING_US`.
        """
        known = self._unmatched.get(contract_id)
        return known.fills if known is not None and now - known.at <= SETTLING_US else 0

    def unexplained_update(self, contract_id: str, now: int) -> int:
        """Signed change of the position that no fill has explained yet."""
        known = self._unmatched.get(contract_id)
        return known.updates if known is not None and now - known.at <= SETTLING_US else 0

    def settled(self, contract_id: str, now: int) -> bool:
        """Whether the size of a position can be relied on: fills explain it, or a read has shown it.

        A pushed size that no fill explains may be an old message come twice.
        """
        known = self._unmatched.get(contract_id)
        if known is None or (known.fills and now - known.at <= SETTLING_US):
            return known is None
        return not known.updates or self.position_read_at(contract_id) > 0

    def remember(self, key: str, values: dict[str, object]) -> None:
        """Keep a rule's own figures of this account; stored with it, restored at start. JSON-able values."""
        if self.memory.get(key) != values:
            self.memory[key] = values
            self.unsaved_memory.add(key)

    def contracts_with_unseen_fills(self) -> list[str]:
        """Contracts in which fills and position updates have lately not matched."""
        return [contract_id for contract_id, known in self._unmatched.items() if known.fills]

    def apply_account(self, event: AccountUpdate) -> None:
        """Take an account message in."""
        self.login = event.login or self.login
        self.name = event.name or self.name
        self.can_trade = event.can_trade
        self.listed = self.known = True
        if event.balance is not None:
            self.balance = event.balance
        self.last_event_at = event.at

    def apply_position(self, record: PositionRecord, at: int) -> None:
        """Take a pushed position in. A late message of the position before the present one says nothing of this one."""
        known = self.positions.get(record.contract_id)
        if known is not None and 0 < record.created_at < known.created_at:
            return
        self._position_events[record.contract_id] = at
        self._position_reads[record.contract_id] = 0
        self.last_event_at = at
        self._set_position(record, at, 0)

    def apply_positions(self, event: PositionsSnapshot) -> None:
        """Take a read of all positions in; a contract whose own event is newer than the read keeps its value."""
        started = min(event.started_at, event.at)
        if started < self.positions_read_at:
            return  # a newer read is known
        found = {record.contract_id: record for record in event.positions}
        for contract_id in [*found, *(held for held in self.positions if held not in found)]:
            if self._position_events.get(contract_id, -1) >= started:
                continue
            self._position_reads[contract_id] = started
            known = self._unmatched.get(contract_id)
            if known is not None and known.at < started:
                del self._unmatched[contract_id]  # the read knows of all that came before it
            self._set_position(found.get(contract_id) or PositionRecord(contract_id, 0, 0), event.at, started)
        for contract_id, read_at in self._position_reads.items():
            # Contracts that are flat by an event before the read, and by the read.
            if read_at < started and self._position_events.get(contract_id, -1) < started:
                self._position_reads[contract_id] = started
        if not self.positions_read_at:
            self._rank_found(found)
        self.positions_read_at = max(self.positions_read_at, started)
        self.first_read_at = self.first_read_at or self.positions_read_at

    def _rank_found(self, contract_ids: Iterable[str]) -> None:
        """Order positions that were there before the daemon by their last opening fills, as far as these are known."""
        last: dict[tuple[str, int], tuple[int, int]] = {}
        for trade in (*self.ledger.history.values(), *self.ledger.trades.values()):
            if trade.pnl is None and not trade.voided:
                key = (trade.contract_id, signed(trade.side, 1))
                last[key] = max(last.get(key, (0, 0)), (trade.created_at, trade.trade_id))
        for contract_id in contract_ids:
            position = self.positions.get(contract_id)
            if position is not None and self.position_read_at(contract_id):
                opened = (position.created_at, 0)
                filled = last.get((contract_id, 1 if position.size > 0 else -1), opened)
                position.increase_rank = (0, *max(filled, opened))

    def apply_order(self, order: OrderRecord, at: int) -> None:
        """Take a pushed order in. An order that has ended never works again."""
        self.last_event_at = self.last_action_at = at
        self.first_action_at = self.first_action_at or at
        self._order_events[order.order_id] = at
        self._set_order(order, at)

    def apply_orders(self, event: OrdersSnapshot) -> None:
        """Take a read of all working orders in; an order whose own event is newer keeps the event's value."""
        started = min(event.started_at, event.at)
        if started < self.orders_read_at:
            return  # a newer read is known
        found = {order.order_id: order for order in event.orders}
        for order_id in [held for held in self.orders if held not in found]:
            if self._order_events.get(order_id, -1) < started:
                self._drop_order(order_id)
                self._order_events.pop(order_id, None)
                self.refused_moves.pop(order_id, None)
        for order_id, order in found.items():
            ended_at = self._ended_orders.get(order_id)
            if ended_at is not None and started > ended_at + REVIVED_US:
                del self._ended_orders[order_id]  # the gateway still has it: the message of its end was wrong
                ended_at = None
            if self._order_events.get(order_id, -1) < started and ended_at is None:
                self._set_order(order, event.at)
        self.orders_read_at = max(self.orders_read_at, started)
        if self._ended_orders:
            horizon = event.at - TOMBSTONE_US
            self._ended_orders = {key: at for key, at in self._ended_orders.items() if at >= horizon}
            self.filled = {
                key: size for key, size in self.filled.items() if key in self.orders or key in self._ended_orders
            }

    def apply_trade(self, trade: TradeRecord, at: int) -> bool:
        """Take a pushed trade in. Returns whether the day's figures changed."""
        self.last_event_at = at
        fresh = trade.trade_id not in self.ledger.trades and trade.trade_id not in self.ledger.history
        changed = self.ledger.add(trade)
        if fresh and not trade.voided:
            self._unmatched_now(trade.contract_id, at).add_fill(signed(trade.side, trade.size))
        return changed

    def apply_trades(self, event: TradesSnapshot) -> bool:
        """Take a read of the day's trades in. Returns whether the day's figures changed."""
        changed = False
        self.trades_given_up = False
        for trade in event.trades:
            changed |= self.ledger.add(trade)
        if not self.trades_read_at and not self.obligations:  # a close on its way is not followed by another's
            self._rank_found([held for held, position in self.positions.items() if not position.increase_rank[0]])
        self.trades_read_at = max(self.trades_read_at, min(event.started_at, event.at))
        return changed

    def begin_gap(self, at: int) -> None:
        """Events may have been lost up to now: the account is reconciled again once all has been read anew."""
        self.gap_at = max(self.gap_at, at)

    def _set_position(self, record: PositionRecord, at: int, read_at: int) -> None:
        contract_id, size = record.contract_id, record.size
        known = self.positions.get(contract_id)
        before = known.size if known is not None else 0
        if size != before and (not read_at or contract_id in self._unmatched):
            self._unmatched_now(contract_id, at).add_update(size - before)
        if size == 0:
            self.positions.pop(contract_id, None)
            self.latches.pop(contract_id, None)
            return
        latch = self.latches.get(contract_id)
        if latch is not None and latch.direction * size < 0:
            del self.latches[contract_id]
        increased = abs(size) > abs(before) or size * before < 0
        if increased:
            self._sequence += 1
        rank = (1, self._sequence, 0)
        if known is None or size * before < 0:
            self.positions[contract_id] = Position(
                contract_id,
                size,
                record.average_price,
                record.position_id,
                record.created_at,
                at,
                at,
                rank,
                at,
                read_at,
            )
            return
        known.size = size
        known.average_price = record.average_price or known.average_price
        known.position_id = record.position_id or known.position_id
        known.created_at = record.created_at or known.created_at
        known.updated_at = at
        known.read_at = read_at
        if increased:
            known.increased_at = at
            known.increase_rank = rank

    def _set_order(self, order: OrderRecord, at: int) -> None:
        if order.fill_volume > self.filled.get(order.order_id, 0):
            self.filled[order.order_id] = order.fill_volume
        if not order.working:
            self._drop_order(order.order_id)
            self._ended_orders[order.order_id] = at
            self._order_events.pop(order.order_id, None)
            self.order_latches.pop(order.order_id, None)
            self.refused_moves.pop(order.order_id, None)
        elif order.order_id not in self._ended_orders:
            known = self.orders.get(order.order_id)
            if known is not None and known.contract_id != order.contract_id:
                self._drop_order(order.order_id)
            self.orders[order.order_id] = order
            self._orders_of.setdefault(order.contract_id, {})[order.order_id] = order

    def _drop_order(self, order_id: int) -> None:
        order = self.orders.pop(order_id, None)
        if order is None:
            return
        same = self._orders_of[order.contract_id]
        del same[order_id]
        if not same:
            del self._orders_of[order.contract_id]

    def _unmatched_now(self, contract_id: str, at: int) -> _Unmatched:
        known = self._unmatched.get(contract_id)
        if known is None or at - known.at > SETTLING_US:
            known = self._unmatched[contract_id] = _Unmatched()
        known.at = at
        return known
