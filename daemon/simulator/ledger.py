"""Positions, half-turn trades and account balances: exact integer arithmetic, no rules of the market.

Lots are matched first in, first out, so that every half-turn's P&L is a whole number of ticks times the tick value.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from daemon.simulator.clock import stamp
from daemon.simulator.contracts import MICRO, Contract


@dataclass(slots=True)
class SimAccount:
    """A trading account; `balance` in micro-dollars.

    `restricted`: every order, close and cancel through the API is refused.
    """

    id: int
    name: str
    login: str
    balance: int
    can_trade: bool = True
    visible: bool = True
    simulated: bool = True
    active: bool = True
    restricted: bool = False
    max_contracts: int | None = None

    def payload(self) -> dict[str, object]:
        """The gateway's account fields (gateway fact)."""
        return {
            "id": self.id,
            "name": self.name,
            "balance": self.balance / MICRO,
            "canTrade": self.can_trade,
            "isVisible": self.visible,
            "simulated": self.simulated,
        }


@dataclass(slots=True)
class HalfTurn:
    """One trade of the history. `pnl`, `fees`, `commissions` in micro-dollars; `pnl` None for an opening half-turn."""

    id: int
    account_id: int
    contract: Contract
    created_at: int
    price: int
    pnl: int | None
    fees: int
    commissions: int
    side: int
    size: int
    order_id: int
    voided: bool = False

    @property
    def symbol(self) -> str:
        return self.contract.symbol

    def payload(self, commissions: bool = False) -> dict[str, object]:
        """The gateway's trade fields; commissions only in REST answers (gateway fact)."""
        data: dict[str, object] = {
            "id": self.id,
            "accountId": self.account_id,
            "contractId": self.contract.id,
            "creationTimestamp": stamp(self.created_at),
            "price": self.contract.price(self.price),
            "profitAndLoss": None if self.pnl is None else self.pnl / MICRO,
            "fees": self.fees / MICRO,
            "side": self.side,
            "size": self.size,
            "voided": self.voided,
            "orderId": self.order_id,
        }
        if commissions:
            data["commissions"] = self.commissions / MICRO
        return data


@dataclass(slots=True)
class Holding:
    """An account's position in one contract, flat or not.

    `net` is signed contracts, `lots` pairs of (ticks, contracts).
    """

    account_id: int
    contract: Contract
    id: int = 0
    opened_at: int = 0
    net: int = 0
    lots: deque[tuple[int, int]] = field(default_factory=deque)
    lowest: int = 0
    highest: int = 0

    @property
    def symbol(self) -> str:
        return self.contract.symbol

    @property
    def cost(self) -> int:
        return sum(ticks * size for ticks, size in self.lots)

    def close(self, size: int, price: int) -> int:
        """Take `size` contracts off, oldest first, at `price`; returns the P&L in ticks. Needs abs(net) >= size."""
        direction = 1 if self.net > 0 else -1
        pnl, left = 0, size
        while left:
            ticks, held = self.lots[0]
            taken = min(left, held)
            pnl += direction * (price - ticks) * taken
            left -= taken
            if taken == held:
                self.lots.popleft()
            else:
                self.lots[0] = (ticks, held - taken)
        self.net -= direction * size
        self.lowest, self.highest = min(self.lowest, self.net), max(self.highest, self.net)
        return pnl

    def open(self, signed: int, price: int) -> None:
        """Add contracts in the direction of the position (or to a flat one)."""
        self.lots.append((price, abs(signed)))
        self.net += signed
        self.lowest, self.highest = min(self.lowest, self.net), max(self.highest, self.net)

    def payload(self) -> dict[str, object]:
        """The gateway's position fields: size is never negative, the direction is `type` (gateway fact)."""
        size = abs(self.net)
        return {
            "id": self.id,
            "accountId": self.account_id,
            "contractId": self.contract.id,
            "creationTimestamp": stamp(self.opened_at),
            "type": 1 if self.net > 0 else 2 if self.net < 0 else 0,
            "size": size,
            "averagePrice": self.contract.average(self.cost, size) if size else 0.0,
        }
