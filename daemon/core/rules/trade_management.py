"""RULE-012: tightens the existing stop of a winning position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.events import Contract, OrderRecord, signed
from daemon.core.leftovers import CLOCK_SLACK_US
from daemon.core.rule import EVERY_QUOTE, NO_WATCH, NOTHING, Gauge, MoveStop, Rule, Trigger, Verdict, View, Watch
from daemon.core.state import AccountState, Position
from daemon.core.units import SECOND_US, nanos_to_price
from shared.config import TradeManagement
from shared.models import OrderStatus, OrderType

MOVE_EVERY_US = SECOND_US
REFUSED_PAUSE_US = 30 * SECOND_US
"""How long a price that the gateway refused is not tried again."""


_MEMORY = "best prices"


@dataclass(slots=True)
class _Followed:
    """A position: when it was opened at which average, its best exit price since (nanos), its stop's last move.

    `aim`: where a stop belongs by the best price, 0 while nothing has been reached.
    """

    opened_at: int
    average: int
    best: int
    moved_at: int = 0
    target: int = 0
    aim: int = 0


class TradeManagementRule(Rule):
    """Moves a stop to the entry at the trigger, then behind the best price; only tighter, at most once a second.

    What the best price asks for is kept over restarts and changes of the configuration: a stop that could not be moved
    yet, or is placed later, is moved all the same.
    """

    rule_id = "RULE-012"
    key = "trade_management"
    triggers = frozenset({Trigger.QUOTES, Trigger.ORDERS, Trigger.POSITIONS, Trigger.TIMER})
    needs = frozenset({Trigger.POSITIONS, Trigger.ORDERS})

    config: TradeManagement

    def __init__(self, config: TradeManagement) -> None:
        super().__init__(config)
        breakeven, trailing = config.auto_breakeven, config.trailing_stop
        self._trigger = breakeven.profit_trigger_ticks if breakeven is not None and breakeven.enabled else None
        self._trail = trailing if trailing is not None and trailing.enabled else None
        self._followed: dict[str, _Followed] = {}
        self._moving: list[MoveStop] = []
        self._recalled = self._changed = False

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if not self._recalled:
            self._recall(account)
        if not account.positions:
            if self._followed:
                self._followed.clear()
                self._keep(account, view)
            self._moving = []
            return NOTHING
        here = view.contract_id
        verdicts = [] if here is None else [move for move in self._moving if move.contract_id != here]
        if self._followed.keys() != account.positions.keys():
            for gone in self._followed.keys() - account.positions.keys():
                del self._followed[gone]
                self._changed = True
        for position in view.positions(account):
            contract = view.market.contracts.get(position.contract_id)
            price = view.market.price_of(position)
            if contract is None or price is None or contract.tick_size <= 0 or position.average_price <= 0:
                continue
            if position.contract_id in account.latches:
                continue  # it is being closed
            followed = self._follow(position, price)
            target = self._target(position, contract, followed)
            if target != (followed.aim or None):
                followed.aim, self._changed = target or 0, True
            stops = self._stops(account, position)
            if not stops:
                continue
            if target is None or (price - target) * position.size <= 0:
                continue  # nothing reached yet, or the market is beyond where the stop belongs
            verdicts += self._moves(account, position, stops, followed, target, view)
        self._moving = verdicts
        if self._changed:
            self._changed = False
            self._keep(account, view)
        return verdicts

    def _recall(self, account: AccountState) -> None:
        self._recalled = True
        for contract_id, kept in account.memory.get(_MEMORY, {}).items():
            position = account.positions.get(contract_id)
            if position is None or not isinstance(kept, list) or [type(value) for value in kept] != [int] * 6:
                continue
            direction, average, best, moved_at, target, at = kept
            if direction * position.size > 0 and position.created_at <= at + CLOCK_SLACK_US:  # else it is another one
                self._followed[contract_id] = _Followed(position.opened_at, average, best, moved_at, target)

    def _keep(self, account: AccountState, view: View) -> None:
        values: dict[str, object] = {}
        for contract_id, followed in self._followed.items():
            if followed.aim or followed.moved_at:
                direction = 1 if account.size(contract_id) > 0 else -1
                values[contract_id] = [
                    direction, followed.average, followed.best, followed.moved_at, followed.target, view.now,
                ]  # fmt: skip
        if values or account.memory.get(_MEMORY):
            account.remember(_MEMORY, values)

    def _follow(self, position: Position, price: int) -> _Followed:
        followed = self._followed.get(position.contract_id)
        if followed is None or followed.opened_at != position.opened_at:
            self._changed |= followed is not None
            followed = _Followed(position.opened_at, position.average_price, price)
            self._followed[position.contract_id] = followed
        elif followed.average != position.average_price:
            # More contracts at another price: how far it is in profit counts from here.
            followed.average, followed.best, self._changed = position.average_price, price, True
        followed.best = max(followed.best, price) if position.size > 0 else min(followed.best, price)
        return followed

    @staticmethod
    def _stops(account: AccountState, position: Position) -> list[OrderRecord]:
        return [
            order
            for order in account.orders_of(position.contract_id)
            if order.type == OrderType.STOP
            and order.status == OrderStatus.OPEN
            and order.stop_price is not None
            and signed(order.side, 1) * position.size < 0
        ]

    @staticmethod
    def _looser(stops: list[OrderRecord], position: Position, target: int) -> list[OrderRecord]:
        return [order for order in stops if (target - (order.stop_price or 0)) * position.size > 0]

    def _target(self, position: Position, contract: Contract, followed: _Followed) -> int | None:
        """Where the stop belongs, in nanos on the tick grid; None while nothing has been reached."""
        tick = contract.tick_size
        direction = 1 if position.size > 0 else -1
        gained = (followed.best - position.average_price) * direction
        candidates = []
        if self._trigger is not None and gained >= self._trigger * tick:
            candidates.append(position.average_price)
        if self._trail is not None and gained >= self._trail.activation_ticks * tick:
            candidates.append(followed.best - direction * self._trail.trail_distance_ticks * tick)
        if not candidates:
            return None
        if direction > 0:
            return -(-max(candidates) // tick) * tick  # rounded to the tighter tick
        return min(candidates) // tick * tick

    def _moves(  # noqa: PLR0917
        self,
        account: AccountState,
        position: Position,
        stops: list[OrderRecord],
        followed: _Followed,
        target: int,
        view: View,
    ) -> list[MoveStop]:
        early = 0 < view.now - followed.moved_at < MOVE_EVERY_US
        if early:
            target = followed.target
        movable = []
        for order in self._looser(stops, position, target):
            refused, at = account.refused_moves.get(order.order_id, (0, 0))
            if refused != target or view.now - at >= REFUSED_PAUSE_US:
                movable.append(order)
        fresh = [order for order in movable if order.order_id not in account.obligations]
        if early:
            # A move given up within this second, when the price fell back, waits: once a second is enough.
            movable = [order for order in movable if order not in fresh]
        elif fresh or (movable and target != followed.target):
            followed.target, followed.moved_at, self._changed = target, view.now, True
        symbol = view.market.symbol(position.contract_id)
        reason = f"Stop of {symbol} moved to {nanos_to_price(target)}."
        return [MoveStop(order.order_id, order.contract_id, target, reason) for order in movable]

    def next_due(self, account: AccountState, view: View) -> int | None:
        """When a move that came too soon after the last one, or was refused, may be made."""
        due = None
        for followed in self._followed.values():
            again = followed.moved_at + MOVE_EVERY_US
            if again > view.now and (due is None or again < due):
                due = again
        for _, refused_at in account.refused_moves.values():
            again = refused_at + REFUSED_PAUSE_US
            if again > view.now and (due is None or again < due):
                due = again
        return due

    def watch(self, account: AccountState, position: Position, view: View, level: int) -> Watch:
        """See `Rule.watch`."""
        contract = view.market.contracts.get(position.contract_id)
        followed = self._followed.get(position.contract_id)
        if contract is None or contract.tick_size <= 0 or position.contract_id in account.latches:
            return NO_WATCH
        price = view.market.price_of(position)
        if followed is None or followed.opened_at != position.opened_at or price is None:
            return EVERY_QUOTE  # its first price must be seen
        worth = contract.tick_value * position.size
        ticks = (followed.best - position.average_price) * (1 if position.size > 0 else -1) // contract.tick_size
        steps = []
        if self._trigger is not None and ticks < self._trigger:
            steps.append(self._trigger)
        if self._trail is not None:
            steps.append(max(self._trail.activation_ticks, ticks + 1))
        watch = Watch(gain_at=min(steps) * abs(worth)) if steps else Watch()
        target = self._target(position, contract, followed)
        if target is not None and self._looser(self._stops(account, position), position, target):
            # A stop is moved only while the market is on its right side.
            at = (target - position.average_price) * worth
            if (price - target) * position.size > 0:
                watch.loss_at = -(-at // contract.tick_size)
            else:
                back = at // contract.tick_size + 1
                watch.gain_at = back if watch.gain_at is None else min(watch.gain_at, back)
        return watch

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """What has been moved."""
        moved = [
            f"{view.market.symbol(contract_id)} {nanos_to_price(followed.target)}"
            for contract_id, followed in self._followed.items()
            if followed.target
        ]
        parts = []
        if self._trigger is not None:
            parts.append(f"entry at +{self._trigger} ticks")
        if self._trail is not None:
            parts.append(f"trail {self._trail.trail_distance_ticks} from +{self._trail.activation_ticks}")
        return Gauge(", ".join(moved) or "nothing moved", ", ".join(parts) or "nothing", None)
