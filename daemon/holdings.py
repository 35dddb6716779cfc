"""The core's state as the enforcer sees it: what is held, what is already being closed, and how fresh that is."""

from __future__ import annotations

from daemon.core.engine import Engine
from daemon.core.events import is_market_order, signed


class EngineHoldings:
    """Live answers out of an engine; see `daemon.enforcement_lane.Holdings`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def position_size(self, account_id: int, contract_id: str) -> int:
        """Signed contracts held, 0 when none is known."""
        return self._engine.account(account_id).size(contract_id)

    def closing_in_flight(self, account_id: int, contract_id: str) -> int:
        """Contracts that working market orders on the closing side have still to fill."""
        account = self._engine.account(account_id)
        held = account.size(contract_id)
        return sum(
            order.remaining
            for order in account.orders.values()
            if order.contract_id == contract_id and is_market_order(order) and signed(order.side, 1) * held < 0
        )

    def position_read_at(self, account_id: int, contract_id: str) -> int:
        """Start of the read the size stems from, microseconds UTC; 0 when it was pushed, or never read."""
        return self._engine.account(account_id).position_read_at(contract_id)

    def position_settled(self, account_id: int, contract_id: str) -> bool:
        """Whether fills explain the size, or a read has shown it."""
        return self._engine.account(account_id).settled(contract_id, self._engine.now)
