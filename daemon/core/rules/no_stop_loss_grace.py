"""RULE-008: a position without a protecting stop."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.events import OrderRecord, signed
from daemon.core.local_time import duration_text
from daemon.core.rule import Flatten, Gauge, ReadOrders, Rule, Trigger, Verdict, View
from daemon.core.state import AccountState, Market, Position
from daemon.core.units import SECOND_US
from shared.config import NoStopLossGrace
from shared.models import STOP_TYPES, OrderStatus

READ_PATIENCE_US = 5 * SECOND_US
"""How long a successful read of the open orders is waited for before the position is closed without one."""

_MEMORY = "unprotected"
_PROTECTING = frozenset({int(OrderStatus.OPEN), int(OrderStatus.PENDING)})
_STOPS = frozenset(int(kind) for kind in STOP_TYPES)


def protects(order: OrderRecord, position: Position, market: Market) -> bool:
    """Whether an order is a stop on the closing side of a position, on the losing side of the market."""
    if order.contract_id != position.contract_id or order.type not in _STOPS or order.status not in _PROTECTING:
        return False
    if signed(order.side, 1) * position.size >= 0:
        return False
    price = market.exit_price(position.contract_id, position.size)
    if order.stop_price is None or price is None:
        return True
    return order.stop_price < price if position.size > 0 else order.stop_price > price


class NoStopLossGraceRule(Rule):
    """Breached when stops do not cover a position for the grace period; the orders are read once before it is closed.

    The grace begins when the position is first seen unprotected: opened, increased beyond its stops, or its stop gone.
    It does not begin anew with more contracts, nor with a restart of the daemon.
    """

    rule_id = "RULE-008"
    key = "no_stop_loss_grace"
    triggers = frozenset({Trigger.POSITIONS, Trigger.ORDERS, Trigger.TIMER})
    needs = frozenset({Trigger.POSITIONS, Trigger.ORDERS})

    config: NoStopLossGrace

    def __init__(self, config: NoStopLossGrace) -> None:
        super().__init__(config)
        self._grace = config.grace_period_seconds * SECOND_US

    @staticmethod
    def _covered(account: AccountState, position: Position, view: View) -> int:
        return sum(order.remaining for order in account.orders.values() if protects(order, position, view.market))

    @staticmethod
    def _since(account: AccountState) -> dict[str, int]:
        kept = account.memory.get(_MEMORY, {})
        return {contract_id: at for contract_id, at in kept.items() if isinstance(at, int)}

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        since = self._since(account)
        if not account.positions and not since:
            return ()
        verdicts: list[Verdict] = []
        now_unprotected: dict[str, object] = {}
        for position in account.positions.values():
            contract_id = position.contract_id
            covered = self._covered(account, position, view)
            if covered >= abs(position.size):
                continue
            started = since.get(contract_id, view.now)
            now_unprotected[contract_id] = started
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
        if now_unprotected != since:
            account.remember(_MEMORY, now_unprotected)
        return verdicts

    def next_due(self, account: AccountState, view: View) -> int | None:
        """The end of the next grace, or the next try of the read."""
        due = None
        for contract_id, started in self._since(account).items():
            if contract_id in account.latches:
                continue
            ends = started + self._grace
            at = ends if ends > view.now else view.now + SECOND_US // 2
            due = at if due is None else min(due, at)
        return due

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """How long the worst position has been without a stop."""
        since = self._since(account)
        limit = f"{self.config.grace_period_seconds} s"
        if not since:
            return Gauge("all protected" if account.positions else "no position", limit, None)
        contract_id, started = min(since.items(), key=lambda item: item[1])
        seconds = max(0, (view.now - started) // SECOND_US)
        return Gauge(f"{seconds} s without a stop", limit, None, view.market.symbol(contract_id))
