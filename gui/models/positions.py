"""Open positions and working orders as tables."""

from __future__ import annotations

from PySide6.QtCore import QObject

from gui import wording
from gui.app_state import AppState
from gui.models.columns import money_column, side_column
from gui.models.table import Column, TableModel
from gui.records import Order, Position
from shared.models import OrderStatus, PositionType


def quote_state(position: Position) -> str:
    """How fresh the figure is, in words."""
    if position.quote_age_ms is None:
        return "no quote"
    if position.stale:
        return f"stale, {wording.age(position.quote_age_ms / 1000)}"
    return "live"


def _side_icon(position: Position) -> str | None:
    return {PositionType.LONG: "arrow-up-right", PositionType.SHORT: "arrow-down-right"}.get(
        position.side or PositionType.FLAT
    )


def positions_model(state: AppState, parent: QObject | None = None) -> TableModel[Position]:
    """Symbol, direction, size, average price, unrealized dollars, freshness of the quote, opening time."""
    columns: list[Column[Position]] = [
        Column("Symbol", lambda p: p.name, tip=lambda p: p.contract_id),
        Column("Side", lambda p: wording.side_word(p.side), icon=_side_icon),
        Column("Size", lambda p: str(p.size), sort=lambda p: p.size, right=True, flash=True),
        Column(
            "Average price",
            lambda p: wording.price(p.average_price),
            sort=lambda p: p.average_price,
            plain=lambda p: "" if p.average_price is None else f"{p.average_price:f}",
            right=True,
            flash=True,
        ),
        money_column("Unrealized", lambda p: p.unrealized),
        Column(
            "Quote",
            quote_state,
            sort=lambda p: p.quote_age_ms,
            tone=lambda p: "warning" if p.stale else "muted",
            icon=lambda p: "triangle-alert" if p.stale else None,
        ),
        Column("Opened", lambda p: state.calendar.clock(p.opened_at), sort=lambda p: p.opened_at, optional=True),
    ]
    return TableModel(columns, lambda p: p.key, parent)


def order_price(order: Order) -> str:
    """The price that matters for the type: stop, limit, both, or none."""
    parts = []
    if order.stop_price is not None:
        parts.append(wording.price(order.stop_price))
    if order.limit_price is not None:
        parts.append(wording.price(order.limit_price))
    if not parts and order.trail_price is not None:
        parts.append(f"trail {wording.price(order.trail_price)}")
    return " / ".join(parts) or wording.UNKNOWN


def orders_model(state: AppState, parent: QObject | None = None) -> TableModel[Order]:
    """Symbol, side, type, size with what is filled, price, state, time."""
    columns: list[Column[Order]] = [
        Column("Symbol", lambda o: o.name, tip=lambda o: o.contract_id),
        side_column(lambda o: o.side),
        Column("Type", lambda o: wording.ORDER_TYPES[o.type]),
        Column(
            "Size",
            lambda o: f"{o.filled} of {o.size}" if o.filled else str(o.size),
            sort=lambda o: o.size,
            right=True,
            flash=True,
        ),
        Column("Price", order_price, sort=lambda o: o.stop_price or o.limit_price, right=True, flash=True),
        Column(
            "State",
            lambda o: wording.ORDER_STATES[o.status],
            tone=lambda o: "warning" if o.status in (OrderStatus.SUSPENDED, OrderStatus.NONE) else None,
        ),
        Column("Placed", lambda o: state.calendar.clock(o.created_at), sort=lambda o: o.created_at, optional=True),
    ]
    return TableModel(columns, lambda o: o.order_id, parent)
