"""Open positions and working orders, live."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSplitter

from gui.models.positions import orders_model, positions_model
from gui.views.page import Context, Page
from gui.views.tokens import GRID
from gui.views.trader.overview import say_no_positions
from gui.views.widgets.basic import Card, EmptyState, label, set_text, vbox
from gui.views.widgets.figure import Figure
from gui.views.widgets.table import DataTable, TableOrEmpty


class PositionsPage(Page):
    """See the module."""

    key = "positions"
    title = "Positions"
    icon_name = "layers"
    topics = frozenset({"positions", "orders", "pnl", "accounts", "link", "lockouts"})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.positions = positions_model(self.state, self)
        self.orders = orders_model(self.state, self)
        self.positions_table = DataTable(self.positions, "Open positions")
        self.orders_table = DataTable(self.orders, "Working orders")
        self.unrealized = Figure("Unrealized", size=15)
        self.count = label("", "muted")
        self._flat = EmptyState("layers", "No open positions", "You are flat.")
        self._idle = EmptyState("inbox", "No working orders", "Stops and limits appear here as soon as they work.")
        top = Card("Open positions")
        top.add_action(label("Unrealized", "caption"))
        top.add_action(self.unrealized)
        top.body.addWidget(TableOrEmpty(self.positions_table, self._flat), 1)
        bottom = Card("Working orders")
        bottom.add_action(self.count)
        bottom.body.addWidget(TableOrEmpty(self.orders_table, self._idle), 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(top)
        split.addWidget(bottom)
        split.setHandleWidth(2 * GRID)
        split.setChildrenCollapsible(False)
        split.setStyleSheet("QSplitter::handle { background: transparent; }")
        self.setLayout(vbox(split, margins=(24, 20, 24, 24)))

    def refresh_all(self) -> None:
        view = self.account
        if view is None:
            return
        say_no_positions(self._flat, known=view.positions is not None)
        if view.orders is None:
            self._idle.say("hourglass", "Orders are not known yet", "They come with the next report of the daemon.")
        else:
            self._idle.say("inbox", "No working orders", "Stops and limits appear here as soon as they work.")
        self.positions.set_rows(view.positions or [])
        self.orders.set_rows(view.orders or [])
        self.unrealized.set_money(view.pnl.unrealized, flash=self.state.live)
        set_text(self.count, f"{len(view.orders)} working" if view.orders else "")
