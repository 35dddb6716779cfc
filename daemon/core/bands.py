"""Which quotes matter: price bands around the open positions, so that a quote inside its band touches no account.

A rule names the unrealized P&L at which it must be judged (`Watch`); here that becomes a price. Per contract the tightest
band of all holders counts. The cost of a quote inside it is the same for one account as for twenty.
"""

from __future__ import annotations

from dataclasses import dataclass

from daemon.core.events import Contract
from daemon.core.rule import Watch
from daemon.core.state import Position

NEVER_LOW = -1
NEVER_HIGH = 1 << 62


@dataclass(slots=True)
class Band:
    """Prices in nanos strictly between which nothing has to be judged: bids for longs, asks for shorts."""

    bid_low: int = NEVER_LOW
    bid_high: int = NEVER_HIGH
    ask_low: int = NEVER_LOW
    ask_high: int = NEVER_HIGH

    def take_in(self, position: Position, contract: Contract, watch: Watch) -> None:
        """Narrow the band to what a rule wants to see of a position."""
        low, high = prices_for(position, contract, watch)
        if position.size > 0:
            self.bid_low = max(self.bid_low, low)
            self.bid_high = min(self.bid_high, high)
        else:
            self.ask_low = max(self.ask_low, low)
            self.ask_high = min(self.ask_high, high)


def prices_for(position: Position, contract: Contract, watch: Watch) -> tuple[int, int]:
    """Price at or below which, and price at or above which, a position's P&L is at or beyond what is watched."""
    low, high = NEVER_LOW, NEVER_HIGH
    per_nano = contract.tick_value * abs(position.size)
    if per_nano <= 0 or contract.tick_size <= 0:
        return low, high
    if watch.loss_at is not None:
        move = watch.loss_at * contract.tick_size // per_nano  # rounded down: towards the loss
        if position.size > 0:
            low = position.average_price + move
        else:
            high = position.average_price - move
    if watch.gain_at is not None:
        move = -(-watch.gain_at * contract.tick_size // per_nano)  # rounded up: towards the gain
        if position.size > 0:
            high = position.average_price + move
        else:
            low = position.average_price - move
    return low, high
