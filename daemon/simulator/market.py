"""Prices: one book top per contract, moved by hand or by a seeded random walk."""

from __future__ import annotations

import random
from dataclasses import dataclass

from daemon.simulator.clock import stamp
from daemon.simulator.contracts import Contract


@dataclass(slots=True)
class Book:
    """The top of one contract's book, in ticks. `last` is the last trade; `reference` the previous settlement."""

    contract: Contract
    bid: int
    ask: int
    last: int
    first: int
    high: int
    low: int
    reference: int
    volume: int = 0
    updated_at: int = 0
    is_open: bool = True

    def move(self, bid: int, ask: int, last: int, at: int, volume: int = 1) -> None:
        """Set the market. Prices must be sane: the caller has checked bid < ask or equal, both above 0."""
        self.bid, self.ask, self.last, self.updated_at = bid, ask, last, at
        self.high, self.low = max(self.high, last), min(self.low, last)
        self.volume += volume

    def payload(self, show_last: bool = True) -> dict[str, object]:
        """The gateway's quote fields; lastPrice is often 0 (gateway fact)."""
        contract, change = self.contract, self.last - self.reference
        when = stamp(self.updated_at)
        return {
            "symbol": contract.symbol_id,
            "symbolName": "/" + contract.symbol,
            "lastPrice": contract.price(self.last) if show_last else 0,
            "bestBid": contract.price(self.bid),
            "bestAsk": contract.price(self.ask),
            "change": contract.price(change),
            "changePercent": round(change / self.reference, 6),
            "open": contract.price(self.first),
            "high": contract.price(self.high),
            "low": contract.price(self.low),
            "volume": self.volume,
            "lastUpdated": when,
            "timestamp": when,
        }


def opening_book(contract: Contract, at: int) -> Book:
    """The market before anything has happened: one tick wide, at the contract's first price."""
    price = contract.first_price
    return Book(contract, price, price + 1, price, price, price, price, price, updated_at=at)


class RandomWalk:
    """Seeded steps for one contract: the same seed gives the same path in every process."""

    ZERO_LAST_SHARE = 0.4

    def __init__(self, contract: Contract, seed: int) -> None:
        # A string seed is hashed with SHA-512, not with the process's string hash.
        self._random = random.Random(f"{seed}:{contract.symbol}")
        self._walk = contract.walk

    def step(self, book: Book, at: int) -> bool:
        """Move the book by one step; returns whether the quote shows the last price."""
        draw = self._random.random
        bid = max(1, book.bid + int(draw() * (2 * self._walk + 1)) - self._walk)
        ask = bid + (1 if draw() < 0.9 else 2)
        book.move(bid, ask, bid if draw() < 0.5 else ask, at, 1 + int(draw() * 5))
        return draw() >= self.ZERO_LAST_SHARE
