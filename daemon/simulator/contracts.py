"""The ten simulated contracts: true tick sizes and values, gateway ids with their odd roots, and front months.

Tick sizes and values are CME Group's contract specifications. The roots inside the gateway's ids (``EP`` for ES,
``ENQ`` for NQ, ``GCE`` for GC, ``CLE`` for CL, ``MCLE`` for MCL) are the ones public ProjectX clients use; the micros
of the index futures, RTY and MGC keep their exchange symbol.

Prices are whole ticks (``int``) everywhere inside the simulator; money is whole micro-dollars (``int``).
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

MONTH_CODES = "FGHJKMNQUVXZ"
MICRO = 1_000_000

Number = int | float | str | Decimal


def micro_dollars(dollars: Number) -> int:
    """Dollars as whole micro-dollars.

    Floats are read by their shortest decimal form. ValueError if not a finite number.
    """
    try:
        value = Decimal(str(dollars)) * MICRO
    except InvalidOperation as error:
        raise ValueError(f"{dollars!r} is not an amount of dollars") from error
    if not value.is_finite() or value != value.to_integral_value():
        raise ValueError(f"{dollars!r} is not a whole number of micro-dollars")
    return int(value)


@dataclass(frozen=True, slots=True)
class ContractSpec:
    """What stays the same for every month of a future."""

    symbol: str
    root: str
    title: str
    tick_size: Decimal
    tick_value: Decimal
    cycle: str
    first_price: Decimal
    fee: Decimal
    walk: int
    """Largest step of the random walk, in ticks."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One listed month of a future, as ``Contract/search`` shows it.

    ``tick_value`` and ``fee`` (per contract and side) are micro-dollars; prices are ticks.
    """

    symbol: str
    id: str
    name: str
    description: str
    symbol_id: str
    tick_size: Decimal
    tick_value: int
    numerator: int
    denominator: int
    first_price: int
    fee: int
    walk: int
    active: bool = True

    def price(self, ticks: int) -> float:
        """The JSON number nearest to a price in ticks."""
        return ticks * self.numerator / self.denominator

    def average(self, cost: int, size: int) -> float:
        """The JSON number nearest to ``cost`` (sum of ticks times contracts) over ``size`` contracts."""
        return cost * self.numerator / (size * self.denominator)

    def ticks(self, price: Number) -> int | None:
        """A price in ticks, or None when it is not a finite multiple of the tick size."""
        try:
            ratio = Fraction(Decimal(str(price))) * self.denominator / self.numerator
        except (InvalidOperation, ValueError, OverflowError):
            return None
        return ratio.numerator if ratio.denominator == 1 else None

    def payload(self) -> dict[str, object]:
        """The contract's JSON fields (gateway fact: id, name, description, tickSize, tickValue, activeContract,
        symbolId).
        """
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "tickSize": float(self.tick_size),
            "tickValue": self.tick_value / MICRO,
            "activeContract": self.active,
            "symbolId": self.symbol_id,
        }


_TABLE = """
ES  | EP   | E-Mini S&P 500           | 0.25 | 12.5 | quarterly | 6800  | 1.40 | 2
MES | MES  | Micro E-mini S&P 500     | 0.25 | 1.25 | quarterly | 6800  | 0.37 | 2
NQ  | ENQ  | E-mini NASDAQ-100        | 0.25 | 5    | quarterly | 25000 | 1.40 | 6
MNQ | MNQ  | Micro E-mini Nasdaq-100  | 0.25 | 0.5  | quarterly | 25000 | 0.37 | 6
RTY | RTY  | E-mini Russell 2000      | 0.1  | 5    | quarterly | 2500  | 1.40 | 3
M2K | M2K  | Micro E-mini Russell 2000| 0.1  | 0.5  | quarterly | 2500  | 0.37 | 3
CL  | CLE  | Crude Light              | 0.01 | 10   | oil       | 60    | 1.52 | 2
MCL | MCLE | Micro Crude Oil          | 0.01 | 1    | oil       | 60    | 0.52 | 2
GC  | GCE  | Gold                     | 0.1  | 10   | gold      | 4000  | 1.62 | 4
MGC | MGC  | Micro Gold               | 0.1  | 1    | gold      | 4000  | 0.62 | 4
"""
# symbol | root in gateway ids | description | tick size | tick value | cycle | first price | fee per side | walk


def _specs() -> tuple[ContractSpec, ...]:
    specs = []
    for line in _TABLE.strip().splitlines():
        symbol, root, title, size, value, cycle, price, fee, walk = (cell.strip() for cell in line.split("|"))
        money = (Decimal(size), Decimal(value))
        specs.append(ContractSpec(symbol, root, title, *money, cycle, Decimal(price), Decimal(fee), int(walk)))
    return tuple(specs)


SPECS = _specs()


def _third_friday(year: int, month: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(4 - first.weekday()) % 7 + 14)


def front_month(cycle: str, day: dt.date) -> tuple[int, int]:
    """(year, month) of the front contract on a day.

    quarterly: March cycle, rolled on the Monday of the week of the third Friday. gold: February, April, June, August,
    October, December, rolled on the 24th of the month before delivery. oil: every month, rolled on the 18th of the
    month before.
    """
    year, month = day.year, day.month
    for _ in range(24):
        previous = (year, month - 1) if month > 1 else (year - 1, 12)
        if cycle == "quarterly":
            listed, last = month % 3 == 0, _third_friday(year, month) - dt.timedelta(days=4)
        elif cycle == "gold":
            listed, last = month % 2 == 0, dt.date(*previous, 24)
        else:
            listed, last = True, dt.date(*previous, 18)
        if listed and day < last:
            return year, month
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    raise AssertionError("no front month within two years")


class ContractTable:
    """The listed contracts, found by symbol, gateway id or name.

    Built for one day: months do not roll while running.
    """

    def __init__(self, day: dt.date, fees: dict[str, Number] | None = None) -> None:
        fees = fees or {}
        self._all: list[Contract] = []
        for spec in SPECS:
            year, month = front_month(spec.cycle, day)
            code = MONTH_CODES[month - 1]
            step = Fraction(spec.tick_size)
            self._all.append(
                Contract(
                    symbol=spec.symbol,
                    id=f"CON.F.US.{spec.root}.{code}{year % 100:02d}",
                    name=f"{spec.symbol}{code}{year % 10}",
                    description=f"{spec.title}: {calendar.month_name[month]} {year}",
                    symbol_id=f"F.US.{spec.root}",
                    tick_size=spec.tick_size,
                    tick_value=micro_dollars(spec.tick_value),
                    numerator=step.numerator,
                    denominator=step.denominator,
                    first_price=int(spec.first_price / spec.tick_size),
                    fee=micro_dollars(fees.get(spec.symbol, spec.fee)),
                    walk=spec.walk,
                )
            )
        self.by_id = {contract.id: contract for contract in self._all}
        self._by_key = {key: c for c in self._all for key in (c.id, c.symbol, c.name, c.symbol_id)}

    def __iter__(self) -> Iterator[Contract]:
        return iter(self._all)

    def get(self, key: str) -> Contract | None:
        """By symbol ("MNQ"), gateway id, name ("MNQZ6") or symbol id; None when unknown."""
        return self._by_key.get(key)

    def __getitem__(self, key: str) -> Contract:
        """As `get`; KeyError with the known symbols when unknown."""
        contract = self._by_key.get(key)
        if contract is None:
            raise KeyError(f"unknown contract {key!r}; known symbols: {', '.join(c.symbol for c in self._all)}")
        return contract

    def search(self, text: str) -> list[Contract]:
        """Contracts whose name, symbol or description holds the text, at most 20 (gateway fact), best match first."""
        wanted = text.strip().upper()
        hits = [c for c in self._all if wanted in c.name or wanted in c.description.upper() or wanted in c.symbol_id]
        return sorted(hits, key=lambda c: (c.symbol != wanted, not c.name.startswith(wanted)))[:20]
