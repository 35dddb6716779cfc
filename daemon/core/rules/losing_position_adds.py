"""RULE-019: adding to a losing position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from daemon.core.events import TradeRecord, signed
from daemon.core.leftovers import CLOCK_SLACK_US
from daemon.core.rule import NOTHING, CancelOrder, Gauge, Reduce, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import SETTLING_US, AccountState, Position
from shared.config import LosingPositionAdds

_MEMORY = "adds"
_KEPT_ORDERS = 16


@dataclass(slots=True)
class _Increase:
    """Contracts that no fill has explained so far. `until`: when they are judged as an order of their own."""

    contracts: int
    losing: bool
    until: int


@dataclass(slots=True)
class _Fill:
    """Contracts of an opening fill that no position update has shown so far; `came_at` is when it was told of."""

    order_id: int
    direction: int
    contracts: int
    filled_at: int
    came_at: int


@dataclass(slots=True)
class _Followed:
    """A position as last judged.

    `allowed`: contracts that may stay; `adds`: orders that enlarged it while it lost; `orders`: the latest orders that
    opened or enlarged it, and whether they were allowed to; `at`, `filled_at`: times of the last change and last fill.
    `kept`: all this as it is remembered, None after a change.
    """

    direction: int
    size: int
    average: int
    allowed: int
    adds: int
    at: int
    filled_at: int
    orders: dict[int, bool] = field(default_factory=dict)
    unexplained: list[_Increase] = field(default_factory=list)
    kept: list[object] | None = None

    def written(self) -> list[object]:
        """JSON-able; `_restored` reads it."""
        if self.kept is None:
            self.kept = [
                [self.direction, self.size, self.average, self.allowed, self.adds, self.at, self.filled_at],
                [[order_id, int(allowed)] for order_id, allowed in self.orders.items()],
                [[left.contracts, int(left.losing), left.until] for left in self.unexplained],
            ]
        return self.kept


class LosingPositionAddsRule(Rule):
    """Breached by an order that enlarges a losing position beyond the allowed number; what it added is taken back.

    A position loses when the price at which it could be closed is worse than its average before the increase. An order
    is one add and is judged by its first contract, however many fills it comes in and whenever they come. Fills and
    position updates come in either order: an increase is judged when its fill is known, or two seconds later.
    """

    rule_id = "RULE-019"
    key = "losing_position_adds"
    triggers = frozenset({Trigger.POSITIONS, Trigger.TRADES, Trigger.TIMER})
    needs = frozenset({Trigger.POSITIONS, Trigger.TRADES})
    partial = True

    config: LosingPositionAdds

    def __init__(self, config: LosingPositionAdds) -> None:
        super().__init__(config)
        self._followed: dict[str, _Followed] = {}
        self._fills: dict[str, list[_Fill]] = {}
        self._trades: dict[int, TradeRecord] | None = None
        self._seen = 0
        self._changed = False
        self._most_adds = 0
        self._verdicts: list[Reduce | CancelOrder] = []

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if self._trades is None:
            self._begin(account, view)
        elif self._trades is not account.ledger.trades or self._seen != len(self._trades):
            self._take_fills(account, view)
        if not account.positions and not self._followed:
            return NOTHING
        if self._followed.keys() != account.positions.keys():
            for gone in self._followed.keys() - account.positions.keys():
                del self._followed[gone]
                self._changed = True
        here = view.contract_id
        verdicts = [] if here is None else [verdict for verdict in self._verdicts if verdict.contract_id != here]
        for position in view.positions(account):
            self._judge_position(account, position, view, verdicts)
        self._verdicts = verdicts
        if self._changed:
            self._changed = False
            self._most_adds = max((known.adds for known in self._followed.values()), default=0)
            self._keep(account)
        return verdicts

    def _judge_position(
        self, account: AccountState, position: Position, view: View, verdicts: list[Reduce | CancelOrder]
    ) -> None:
        followed = self._follow(position, view)
        size = abs(position.size)
        if size <= followed.allowed or size <= followed.allowed + sum(
            increase.contracts for increase in followed.unexplained if increase.losing
        ):
            return
        symbol = view.market.symbol(position.contract_id)
        reason = (
            f"{symbol} was losing and enlarged {followed.adds} times, {self.config.max_adds} are allowed;"
            f" the increase to {size} is taken back."
        )
        verdicts.append(Reduce(position.contract_id, followed.allowed, reason))
        for order_id, allowed in followed.orders.items():
            order = account.orders.get(order_id)
            if not allowed and order is not None and signed(order.side, 1) == followed.direction:
                verdicts.append(CancelOrder(order_id, order.contract_id, reason))

    # ---- positions

    def _follow(self, position: Position, view: View) -> _Followed:
        direction, size = (1 if position.size > 0 else -1), abs(position.size)
        known = self._followed.get(position.contract_id)
        if known is None or known.direction != direction:
            known = _Followed(direction, 0, position.average_price, 0, 0, view.now, 0)
            self._followed[position.contract_id] = known
        if size > known.size:
            losing = known.size > 0 and self._was_losing(known, position, view)
            known.unexplained.append(_Increase(size - known.size, losing, view.now + SETTLING_US))
            if not losing:
                known.allowed += size - known.size
        elif size < known.size:
            self._shrink(known, size)
        if size != known.size or position.average_price != known.average:
            known.size, known.average, known.at = size, position.average_price, view.now
            self._change(known)
        if known.unexplained:
            self._explain(known, self._fills.get(position.contract_id, []), view)
        return known

    @staticmethod
    def _was_losing(known: _Followed, position: Position, view: View) -> bool:
        """By the price, or, without one, by what was paid for the increase."""
        price = view.market.price_of(position)
        if price is None:
            return (position.average_price - known.average) * known.direction < 0
        return (price - known.average) * known.direction < 0

    @staticmethod
    def _shrink(known: _Followed, size: int) -> None:
        known.allowed = min(known.allowed, size)
        room = size - known.allowed
        for increase in known.unexplained:
            if increase.losing:
                increase.contracts = min(increase.contracts, room)
                room -= increase.contracts

    def _explain(self, known: _Followed, fills: list[_Fill], view: View) -> None:
        """Find the orders of the increases, and judge them; one that is not found in time counts as another order."""
        for increase in known.unexplained:
            for fill in fills:
                common = min(increase.contracts, fill.contracts)
                if fill.direction == known.direction and common:
                    self._judge_order(known, fill, common, losing=increase.losing)
                    increase.contracts -= common
                    fill.contracts -= common
            if increase.contracts and increase.losing and increase.until <= view.now:
                known.adds += 1
                if known.adds <= self.config.max_adds:
                    known.allowed += increase.contracts
                self._change(known)
        known.unexplained = [left for left in known.unexplained if left.contracts and left.until > view.now]

    def _judge_order(self, known: _Followed, fill: _Fill, contracts: int, *, losing: bool) -> None:
        if fill.order_id not in known.orders:
            known.adds += losing
            known.orders[fill.order_id] = not losing or known.adds <= self.config.max_adds
            if len(known.orders) > _KEPT_ORDERS:
                del known.orders[next(iter(known.orders))]
        if losing and known.orders[fill.order_id]:
            known.allowed += contracts
        known.filled_at = max(known.filled_at, fill.filled_at)
        self._change(known)

    # ---- fills

    def _take_fills(self, account: AccountState, view: View) -> None:
        """The opening fills that are new; those that no position update showed in time are forgotten."""
        trades = account.ledger.trades
        if trades is not self._trades:
            self._trades, self._seen = trades, 0  # another trading day
        new = list(islice(reversed(trades.values()), len(trades) - self._seen))
        self._seen = len(trades)
        for contract_id, fills in list(self._fills.items()):
            self._fills[contract_id] = [fill for fill in fills if view.now - fill.came_at <= SETTLING_US]
            if not self._fills[contract_id]:
                del self._fills[contract_id]
        for trade in reversed(new):
            self._take_fill(trade, view)

    def _take_fill(self, trade: TradeRecord, view: View) -> None:
        if trade.pnl is None and not trade.voided:
            fill = _Fill(trade.order_id, signed(trade.side, 1), trade.size, trade.created_at, view.now)
            self._fills.setdefault(trade.contract_id, []).append(fill)

    # ---- over restarts and changes of the configuration

    def _begin(self, account: AccountState, view: View) -> None:
        """Take up the positions as they were left. Of one not known before, the day's orders have all been judged."""
        self._trades = account.ledger.trades
        self._seen = len(self._trades)
        self._recall(account)
        for trade in sorted(self._trades.values(), key=lambda trade: (trade.created_at, trade.trade_id)):
            position = account.positions.get(trade.contract_id)
            if position is None or signed(trade.side, 1) * position.size < 0 or trade.pnl is not None or trade.voided:
                continue
            followed = self._followed.get(trade.contract_id)
            if followed is not None and trade.created_at > followed.filled_at:
                self._take_fill(trade, view)
        for contract_id, position in account.positions.items():
            if contract_id not in self._followed:
                self._followed[contract_id] = self._found(contract_id, position, view)
                self._changed = True

    def _found(self, contract_id: str, position: Position, view: View) -> _Followed:
        direction, size = (1 if position.size > 0 else -1), abs(position.size)
        filled = [
            (trade.created_at, trade.order_id)
            for trade in (self._trades or {}).values()
            if trade.contract_id == contract_id and trade.pnl is None and signed(trade.side, 1) == direction
        ]
        orders = dict.fromkeys((order_id for _, order_id in sorted(filled)), True)
        latest = dict(list(orders.items())[-_KEPT_ORDERS:])
        return _Followed(
            direction, size, position.average_price, size, 0, view.now, max(filled)[0] if filled else 0, latest
        )

    def _recall(self, account: AccountState) -> None:
        for contract_id, kept in account.memory.get(_MEMORY, {}).items():
            followed, position = _restored(kept), account.positions.get(contract_id)
            if followed is None or position is None or followed.direction * position.size < 0:
                continue
            if position.created_at <= followed.at + CLOCK_SLACK_US:  # else it was opened since
                self._followed[contract_id] = followed

    def _change(self, known: _Followed) -> None:
        known.kept = None
        self._changed = True

    def _keep(self, account: AccountState) -> None:
        values: dict[str, object] = {contract_id: known.written() for contract_id, known in self._followed.items()}
        if values or _MEMORY in account.memory:
            account.remember(_MEMORY, values)

    # ---- for the engine and for people

    def next_due(self, account: AccountState, view: View) -> int | None:
        """When an increase that no fill has explained is judged by itself."""
        due = None
        for known in self._followed.values():
            for left in known.unexplained:
                if left.losing and (due is None or left.until < due):
                    due = left.until
        return due

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the adds that would be one too many, of the position with the most."""
        return percent_of(self._most_adds, self.config.max_adds + 1)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Adds to the position with the most."""
        worst = max(self._followed.items(), key=lambda item: item[1].adds, default=None)
        limit = f"{self.config.max_adds} adds"
        if worst is None:
            return Gauge("0", limit, 0)
        contract_id, known = worst
        share = percent_of(known.adds, self.config.max_adds + 1)
        return Gauge(f"{known.adds}", limit, min(share, 100), view.market.symbol(contract_id))


def _restored(kept: Any) -> _Followed | None:
    """A position as `_keep` wrote it; None for anything else."""
    try:
        figures, orders, unexplained = kept
        direction, size, average, allowed, adds, at, filled_at = (int(value) for value in figures)
        judged = {int(order_id): bool(allowed) for order_id, allowed in orders}
        waiting = [_Increase(int(contracts), bool(losing), int(until)) for contracts, losing, until in unexplained]
    except (TypeError, ValueError):
        return None
    return _Followed(direction, size, average, allowed, adds, at, filled_at, judged, waiting)
