"""Exact numbers inside the core: integers, converted to and from Decimal at its edges.

Money is an integer number of micro-dollars, a price an integer number of nanos (price * 1e9, rounded half-even to that
grid), a time an integer number of microseconds since 1970-01-01 UTC. Sums and comparisons of integers are exact, which
is what "three trades of -166.67, -166.67, -166.66 are -500.00" asks for; binary floating point is not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

MICROS = 1_000_000
NANOS = 1_000_000_000
SECOND_US = 1_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = Decimal(1)


def money_to_micros(amount: Decimal | float | int | str) -> int:
    """Dollars to micro-dollars. A float is read by its shortest decimal text, as the gateway wrote it.

    Raises:
        ValueError: not a finite number.
    """
    return _scaled(amount, MICROS)


def micros_to_money(micros: int) -> Decimal:
    """Micro-dollars to dollars, with at least two and at most six decimals."""
    amount = Decimal(micros).scaleb(-6)
    return amount.quantize(Decimal("0.01")) if micros % 10_000 == 0 else amount.normalize()


def price_to_nanos(price: Decimal | float | int | str) -> int:
    """A price to nanos. Raises ValueError when it is not a finite number."""
    return _scaled(price, NANOS)


def nanos_to_price(nanos: int) -> Decimal:
    """Nanos to a price without superfluous zeros."""
    price = Decimal(nanos).scaleb(-9)
    return price.quantize(_ONE) if price == price.to_integral_value() else price.normalize()


def _scaled(value: Decimal | float | int | str, scale: int) -> int:
    if isinstance(value, int):
        return value * scale
    if isinstance(value, float):
        # Prices and money from the wire have few decimals: the nearest grid point of the float is the written number.
        scaled = value * scale
        if -9e15 < scaled < 9e15:
            return round(scaled)
        value = repr(value)
    try:
        number = Decimal(value)
        return int((number * scale).quantize(_ONE, rounding=ROUND_HALF_EVEN))
    except ArithmeticError as error:
        raise ValueError(f"not a finite number: {value!r}") from error


def to_micros(moment: datetime) -> int:
    """An aware datetime to microseconds since the epoch, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * MICROS + delta.microseconds


def from_micros(at: int) -> datetime:
    """Microseconds since the epoch to an aware UTC datetime."""
    seconds, micros = divmod(at, MICROS)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=micros)


def to_iso(at: int) -> str:
    """Microseconds since the epoch to fixed-width ISO-8601 UTC text, which sorts as the times do."""
    return from_micros(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> int:
    """ISO-8601 text with an offset to microseconds since the epoch. A time without an offset is taken as UTC.

    Raises:
        ValueError: not ISO-8601.
    """
    moment = datetime.fromisoformat(text)
    return to_micros(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


def dollars(micros: int) -> str:
    """Micro-dollars as people read them: -510.74."""
    sign = "-" if micros < 0 else ""
    cents, rest = divmod(abs(micros), 10_000)
    text = f"{sign}{cents // 100}.{cents % 100:02d}"
    return text if not rest else f"{text}{rest:04d}".rstrip("0")
