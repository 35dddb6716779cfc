"""Columns that several tables have: amounts of dollars, sides, moments."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from gui import wording
from gui.app_state import AppState
from gui.models.table import Column
from shared.models import Side

SIDE_ICONS = {Side.BUY: "arrow-up-right", Side.SELL: "arrow-down-right"}


def money_tone(value: Decimal | None) -> str | None:
    """Tone of an amount; the sign says the same."""
    if value is None:
        return "muted"
    return None if value == 0 else "positive" if value > 0 else "negative"


def arrowed(value: Decimal | None) -> str:
    """ "▲ +120.00", "▼ −41.50", "–"."""
    return f"{wording.trend(value)} {wording.amount(value)}".strip()


def money_column[T](
    heading: str, get: Callable[[T], Decimal | None], *, unknown: str = "", flash: bool = True
) -> Column[T]:
    """Dollars with sign, arrow and colour; `unknown` is said where there is no amount."""
    return Column(
        heading,
        lambda row: unknown if unknown and get(row) is None else arrowed(get(row)),
        sort=get,
        tone=lambda row: money_tone(get(row)),
        plain=lambda row: wording.amount(get(row), plain=True),
        right=True,
        flash=flash,
    )


def side_column[T](get: Callable[[T], Side | None]) -> Column[T]:
    """Buy or sell, in a word and an arrow."""

    def icon(row: T) -> str | None:
        side = get(row)
        return None if side is None else SIDE_ICONS[side]

    return Column("Side", lambda row: wording.side_word(get(row)), icon=icon)


def moment_column[T](heading: str, state: AppState, get: Callable[[T], datetime | None]) -> Column[T]:
    """Day and time in the zone of the reset; in files as ISO-8601 in UTC."""

    def plain(row: T) -> str:
        at = get(row)
        return "" if at is None else at.isoformat()

    return Column(heading, lambda row: state.calendar.stamp(get(row)), sort=get, plain=plain)
