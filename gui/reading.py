"""Reading single values of the daemon's rows: forgiving, exact, and None for what can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from shared.models import RULE_BY_ID, Side

type Row = Mapping[str, Any]


def money(value: object) -> Decimal | None:
    """A decimal string or number as Decimal; None for what is no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def whole(value: object) -> int | None:
    """An integer given as number or text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return int(str(value))
    except ValueError:
        number = money(value)
        return int(number) if number is not None and number == int(number) else None


def moment(value: object) -> datetime | None:
    """ISO-8601 text (a `Z` or an offset; without one it is UTC) or integer microseconds as an aware UTC time."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int):
            return datetime.fromtimestamp(value / 1_000_000, UTC)
        parsed = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def text(value: object) -> str:
    """Text; None becomes empty."""
    return "" if value is None else str(value)


def flag(value: object, *, unknown: bool) -> bool:
    """A boolean, also as SQLite's 0 and 1; `unknown` for None."""
    return unknown if value is None else bool(value)


def root_of(contract_id: str) -> str:
    """The symbol part of a contract id ("CON.F.US.MNQ.Z25" -> "MNQ"); the id itself when it has another form.

    Only for display where the daemon gave no symbol: ids may use other roots than names (ENQ for NQ).
    """
    parts = contract_id.split(".")
    return parts[-2] if len(parts) >= 3 else contract_id


def read_side(value: object) -> Side | None:
    """The gateway's code or the words buy and sell."""
    number = whole(value)
    if number is not None:
        return Side(number) if number in Side else None
    word = text(value).lower()
    return {"buy": Side.BUY, "sell": Side.SELL}.get(word)


def rule_title(rule_id: str) -> str:
    """A rule's title for people; the id itself when it is unknown."""
    name = RULE_BY_ID.get(rule_id)
    if name is not None:
        return name.title
    return "Manual lock" if rule_id == "MANUAL" else rule_id
