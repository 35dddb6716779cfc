"""RULE-008: a position without a protecting stop."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.events import OrderRecord, signed
from daemon.core.leftovers import CLOCK_SLACK_US
from daemon.core.local_time import duration_text
from daemon.core.rule import WARNING_LEVELS, Flatten, Gauge, ReadOrders, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState, Market, Position
from daemon.core.units import SECOND_US
from shared.config import NoStopLossGrace
from shared.models import STOP_TYPES, OrderStatus

READ_PATIENCE_US = 5 * SECOND_US
"""How long a successful read of the open orders is waited for before the position is closed without one."""

READ_EVERY_US = SECOND_US // 2

_MEMORY = "unprotected"
_PROTECTING = frozenset({int(OrderStatus.OPEN), int(OrderStatus.PENDING)})
_STOPS = frozenset(int(kind) for kind in STOP_TYPES)


def protects(order: OrderRecord, position: Position, market: Market) -> bool:
    """Whether an order is a stop on the closing side of a position, on the losing side of the market."""
    if order.contract_id != position.contract_id or order.type not in _STOPS or order.status not in _PROTECTING:
        return False
    if signed(order.side, 1) * position.size >= 0:
        return False
    if order.stop_price is None:
        return True
    # Without any price yet the entry is the best that is known of the market.
    price = market.price_of(position) or position.average_price
    return order.stop_price < price if position.size > 0 else order.stop_price > price


def _is_same(position: Position | None, started: int) -> bool:
    """Whether a position, as it is found at a start, was there when its grace began."""
    return position is None or position.created_at <= started + CLOCK_SLACK_US


class NoStopLossGraceRule(Rule):
    """Breached when stops do not cover a position for the grace period; the orders are read once before it is closed.

    The grace begins when the position is first seen unprotected: opened, increased beyond its stops, or its stop gone.
    It does not begin anew with more contracts, nor with a restart of the daemon; a position opened while that was away
    has a grace of its own.
    """

    rule_id = "RULE-008"
    key = "no_stop_loss_grace"
    triggers = frozenset({Trigger.POSITIONS, Trigger.ORDERS, Trigger.TIMER})
    needs = frozenset({Trigger.POSITIONS, Trigger.ORDERS})

    config: NoStopLossGrace

    def __init__(self, config: NoStopLossGrace) -> None:
        super().__init__(config)
        self._grace = config.grace_period_seconds * SECOND_US
        self._steps = [-(-self._grace * level // 100) for level in (*reversed(WARNING_LEVELS), 100)]
        self._read: tuple[dict[str, object], dict[str, tuple[int, int]]] = ({}, {})
        self._begun = False
        self._planned: tuple[object, int] = (None, 0)

    @staticmethod
    def _covered(account: AccountState, position: Position, view: View) -> int:
        covered = 0
        for order in account.orders_of(position.contract_id):
            if order.type in _STOPS and protects(order, position, view.market):
                covered += order.remaining
        return covered

    def _since(self, account: AccountState) -> dict[str, tuple[int, int]]:
        """Since when each position has been unprotected, and its direction then."""
        kept = account.memory.get(_MEMORY)
        if not kept:
            return {}
        if kept is not self._read[0]:
            found = {}
            for contract_id, values in kept.items():
                if isinstance(values, list) and len(values) == 2 and all(isinstance(value, int) for value in values):
                    found[contract_id] = (values[0], values[1])
            self._read = (kept, found)
        return self._read[1]

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        since = self._since(account)
        if not account.positions and not since:
            return ()
        changes: dict[str, list[int] | None] = {}
        if not self._begun:
            self._begun = True
            others = [held for held, (at, _) in since.items() if not _is_same(account.positions.get(held), at)]
            changes = dict.fromkeys(others)
            since = {held: known for held, known in since.items() if held not in changes}
        if not since.keys() <= account.positions.keys():
            changes.update(dict.fromkeys(since.keys() - account.positions.keys()))
        verdicts: list[Verdict] = []
        for position in view.positions(account):
            contract_id = position.contract_id
            covered = self._covered(account, position, view)
            if covered >= abs(position.size):
                if contract_id in since:
                    changes[contract_id] = None
                continue
            direction = 1 if position.size > 0 else -1
            started, before = since.get(contract_id, (view.now, 0))
            if before != direction:  # new, or turned round: another position
                started = view.now
                changes[contract_id] = [started, direction]
            due = started + self._grace
            if view.now < due or contract_id in account.latches:
                continue
            if account.orders_read_at < due and view.now < due + READ_PATIENCE_US:
                # A stop placed in the broker's own window may come without any order event.
                verdicts.append(ReadOrders())
                continue
            symbol = view.market.symbol(contract_id)
            stops = f"stops for {covered} of {abs(position.size)}" if covered else "no stop"
            reason = (
                f"{symbol} had {stops} for {duration_text(self.config.grace_period_seconds)}; the position is closed."
            )
            verdicts.append(Flatten(contract_id, reason))
        if changes:
            self._keep(account, changes)
        return verdicts

    @staticmethod
    def _keep(account: AccountState, changes: dict[str, list[int] | None]) -> None:
        """Remember since when each position is unprotected; None: it is no longer."""
        kept = {held: values for held, values in account.memory.get(_MEMORY, {}).items() if held not in changes}
        kept.update({held: values for held, values in changes.items() if values is not None})
        account.remember(_MEMORY, kept)

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the grace that has passed for the position that has been without a stop longest."""
        oldest = view.now + 1
        for contract_id, (started, _) in self._since(account).items():
            if started < oldest and contract_id not in account.latches:
                oldest = started
        if oldest > view.now:
            return 0
        return percent_of(view.now - oldest, self._grace) if self._grace else 100

    def next_due(self, account: AccountState, view: View) -> int | None:
        """The next share of a grace to warn of, its end, the next try of the read.

        Without a price the side of a stop cannot be told: looked at again every second.
        """
        since = self._since(account)
        if self._planned[0] is since and view.now < self._planned[1]:
            moments = [self._planned[1]]
        else:
            moments = [
                self._next_step(started, view.now)
                for contract_id, (started, _) in since.items()
                if contract_id not in account.latches
            ]
            if moments:
                self._planned = (since, min(moments))
        for contract_id in account.contracts_with_orders():
            position = account.positions.get(contract_id)
            if (
                position is not None
                and view.market.price_of(position) is None
                and any(order.type in _STOPS for order in account.orders_of(contract_id))
            ):
                moments.append((view.now // SECOND_US + 1) * SECOND_US)
        return min(moments, default=None)

    def _next_step(self, started: int, now: int) -> int:
        passed = now - started
        for step in self._steps:
            if step > passed:
                return started + step
        return started + (passed // READ_EVERY_US + 1) * READ_EVERY_US

    def gauge_until(self, account: AccountState, view: View) -> int | None:
        """After another twentieth of the grace, at least a second."""
        step = max(SECOND_US, self._grace // 20)
        moments = [started + ((view.now - started) // step + 1) * step for started, _ in self._since(account).values()]
        return min(moments, default=None)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """How long the worst position has been without a stop."""
        since = self._since(account)
        limit = f"{self.config.grace_period_seconds} s"
        if not since:
            return Gauge("all protected" if account.positions else "no position", limit, 0)
        contract_id, (started, _) = min(since.items(), key=lambda item: item[1])
        seconds = max(0, (view.now - started) // SECOND_US)
        symbol = view.market.symbol(contract_id)
        return Gauge(f"{seconds} s without a stop", limit, min(100, self.percent(account, view) or 0), symbol)
