"""Contracts and prices, the same for all accounts, and what a position is worth by them.

Sizes are signed contracts, prices nanos, money micro-dollars, times microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.core import symbols
from daemon.core.events import Contract, Quote
from daemon.core.units import SECOND_US

FRESH_US = 2 * SECOND_US
"""A quote at most this much older than a position still tells what it is worth."""

STALE_QUOTE_US = 10 * SECOND_US
"""A held contract without a quote for so long has a stale price: no increase is valued by it."""


@dataclass(slots=True)
class Position:
    """One open position. `read_at` is the start of the read that `size` stems from, 0 when it was pushed.

    `increase_rank` orders positions by their last increase: first those that the first read found, by the times and ids
    of their last opening fills, then the others, as they were told of.
    """

    contract_id: str
    size: int
    average_price: int
    position_id: int
    created_at: int
    opened_at: int
    increased_at: int
    increase_rank: tuple[int, int, int]
    updated_at: int
    read_at: int = 0

    def copy(self) -> Position:
        """The position as it is now; `dataclasses.replace` costs six times as much."""
        return Position(
            self.contract_id,
            self.size,
            self.average_price,
            self.position_id,
            self.created_at,
            self.opened_at,
            self.increased_at,
            self.increase_rank,
            self.updated_at,
            self.read_at,
        )


@dataclass(slots=True)
class Book:
    """Last usable prices of a contract; 0 = none yet. `at` is the time of the last usable one."""

    bid: int = 0
    ask: int = 0
    last: int = 0
    at: int = 0


@dataclass(slots=True)
class Market:
    """Contracts and prices, the same for all accounts."""

    contracts: dict[str, Contract] = field(default_factory=dict)
    books: dict[str, Book] = field(default_factory=dict)
    _symbols: dict[str, str] = field(default_factory=dict)
    _names: dict[str, frozenset[str]] = field(default_factory=dict)

    def learn(self, contract: Contract) -> None:
        """Take a contract's data in."""
        self.contracts[contract.contract_id] = contract
        self._symbols.pop(contract.contract_id, None)
        self._names.pop(contract.contract_id, None)

    def symbol(self, contract_id: str) -> str:
        """Root of the contract's name, or of its id when the name is unknown."""
        known = self._symbols.get(contract_id)
        if known is None:
            known = self._symbols[contract_id] = symbols.symbol_of(contract_id, self.contracts.get(contract_id))
        return known

    def names(self, contract_id: str) -> frozenset[str]:
        """Every root by which a configuration may name the contract."""
        known = self._names.get(contract_id)
        if known is None:
            known = self._names[contract_id] = symbols.names_of(contract_id, self.contracts.get(contract_id))
        return known

    def quote(self, quote: Quote) -> None:
        """Take prices in. Zero, missing, negative and crossed ones are ignored."""
        book = self.books.get(quote.contract_id)
        if book is None:
            book = self.books[quote.contract_id] = Book()
        bid, ask = quote.bid, quote.ask
        if bid > 0 and ask > 0:
            if bid > ask:
                bid = ask = 0
            else:
                book.bid, book.ask = bid, ask
        elif bid > 0:
            book.bid = bid
            if 0 < book.ask < bid:
                book.ask = bid  # the offer cannot be below it; a price that is too good is kept for nobody
        elif ask > 0:
            book.ask = ask
            book.bid = min(book.bid, ask)
        if quote.last > 0:
            book.last = quote.last
        if bid > 0 or ask > 0 or quote.last > 0:
            book.at = quote.at

    def price_of(self, position: Position) -> int | None:
        """Price at which a position could be closed now: bid for a long, ask for a short, else the last trade's.

        None while the last quote is from long before the position's last entry: quotes are only sent for contracts that
        are held, and what is known from an earlier time may be hours old.
        """
        book = self.books.get(position.contract_id)
        if book is None:
            return None
        at = book.at
        if at + FRESH_US < position.opened_at or at + STALE_QUOTE_US < position.increased_at:
            return None
        price = book.bid if position.size > 0 else book.ask
        return price or book.last or None

    def unrealized(self, position: Position) -> int | None:
        """Unrealized P&L in micro-dollars, rounded down; None without a price, an entry price or contract data."""
        parts = self.unrealized_exactly(position)
        return None if parts is None else parts[0] // parts[1]

    def unrealized_exactly(self, position: Position) -> tuple[int, int] | None:
        """Unrealized P&L in micro-dollars as a fraction (numerator, denominator > 0): an average price may lie
        between ticks. signed ticks x tickValue x size, by the gateway's contract data.
        """
        contract = self.contracts.get(position.contract_id)
        price, average = self.price_of(position), position.average_price
        if price is None or contract is None or average <= 0:
            return None
        tick = contract.tick_size
        return ((price - average) * contract.tick_value * position.size, tick) if tick > 0 else None

    def unrealized_by_contract(self, positions: Iterable[Position]) -> dict[str, tuple[int, int]]:
        """`unrealized_exactly` of every position that has a price, by contract id."""
        found = {}
        for position in positions:
            if (parts := self.unrealized_exactly(position)) is not None:
                found[position.contract_id] = parts
        return found


def total_of(fractions: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The exact sum of fractions (numerator, denominator > 0)."""
    total, common = 0, 1
    for amount, scale in fractions:
        if scale == common:
            total += amount
        elif common == 1:
            total, common = total * scale + amount, scale
        else:
            total, common = total * scale + amount * common, common * scale
    return total, common
