"""P&L of the day: the curve with its limits, the trades, their export."""

from __future__ import annotations

import csv
from pathlib import Path

from PySide6.QtCore import QElapsedTimer, Qt
from PySide6.QtWidgets import QFileDialog, QSplitter

from gui import wording
from gui.account_view import AccountView
from gui.models.history import trades_model
from gui.records import Trade
from gui.views.page import Context, Page
from gui.views.tokens import GRID, SIZE_LARGE, Tone
from gui.views.trader.curve import CurveView, LineKey, limit_lines
from gui.views.widgets.basic import Button, Card, EmptyState, label, set_text, vbox
from gui.views.widgets.figure import Figure
from gui.views.widgets.table import DataTable, TableOrEmpty

CURVE_MS = 900


class PnlPage(Page):
    """See the module."""

    key = "pnl"
    title = "P&L"
    icon_name = "chart-line"
    topics = frozenset({"pnl", "trades", "rules", "accounts", "link", "day"})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.curve = CurveView()
        self._drawn = QElapsedTimer()
        self._listed: tuple[object, object] | None = None
        self.realized = Figure("Realized today", size=SIZE_LARGE)
        self.total = Figure("Day total", size=SIZE_LARGE)
        curve_card = Card()
        curve_card.bar.addWidget(label("Day's P&L", "heading"))
        curve_card.bar.addStretch(1)
        for caption, figure in (("Realized", self.realized), ("Total with unrealized", self.total)):
            curve_card.bar.addWidget(LineKey(thick=figure is self.realized))
            curve_card.bar.addWidget(label(caption, "caption"))
            curve_card.bar.addWidget(figure)
        curve_card.body.addLayout(curve_card.bar)
        curve_card.body.addWidget(self.curve, 1)

        self.model = trades_model(self.state, self)
        self.table = DataTable(self.model, "Trades of the day")
        self.export = Button("Export CSV", "download", name="Export the trades to a CSV file", on_click=self._ask_file)
        self.sum = label("", "muted")
        self.said = label("", "muted")
        trades = Card("Trades")
        trades.bar.insertWidget(1, self.sum)
        trades.add_action(self.said)
        trades.add_action(self.export)
        self._empty = EmptyState("history", "No trades today", "Fills appear here as they happen.")
        trades.body.addWidget(TableOrEmpty(self.table, self._empty), 1)

        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(curve_card)
        split.addWidget(trades)
        split.setHandleWidth(2 * GRID)
        split.setChildrenCollapsible(False)
        curve_card.setMinimumHeight(280)
        trades.setMinimumHeight(190)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 2)
        split.setStyleSheet("QSplitter::handle { background: transparent; }")
        self.setLayout(vbox(split, margins=(24, 20, 24, 24)))

    def show_account(self, account_id: int | None) -> None:
        self._drawn.invalidate()
        super().show_account(account_id)

    def _show_curve(self) -> None:
        # Its points are a second apart: drawing all of them at every quote would show nothing more.
        view = self.account
        if view is None or (self._drawn.isValid() and self._drawn.elapsed() < CURVE_MS):
            return
        self._drawn.start()
        self.curve.show_curve(view.curve, limit_lines(view.rules or []), self.state.calendar)

    def tick(self) -> None:
        self._show_curve()

    def refresh_all(self) -> None:
        view = self.account
        if view is None:
            return
        self.realized.set_money(view.pnl.realized, flash=self.state.live)
        self.total.set_money(view.pnl.total, flash=self.state.live)
        self._show_curve()
        self._show_trades(view)

    def _show_trades(self, view: AccountView) -> None:
        # Never changed, only replaced: quotes, which come far more often, leave thousands of rows alone.
        listed = (view.trades, self.state.calendar)
        if self._listed is not None and all(now is then for now, then in zip(listed, self._listed, strict=True)):
            return
        self._listed = listed
        trades = sorted((view.trades or {}).values(), key=lambda trade: trade.trade_id, reverse=True)
        self.model.set_rows(trades)
        self.export.setEnabled(bool(trades))
        set_text(self.sum, summary(trades))
        if view.trades is None:
            self._empty.say("history", "Trades are being loaded", "")
        else:
            self._empty.say("history", "No trades today", "Fills appear here as they happen.")

    def _ask_file(self) -> None:
        view = self.account
        if view is None:
            return
        day = view.pnl.trading_day or "today"
        name, _ = QFileDialog.getSaveFileName(
            self, "Export trades", f"trades-{view.account.name}-{day}.csv", "CSV files (*.csv)"
        )
        if name:
            self.export_to(Path(name))

    def export_to(self, path: Path) -> None:
        """Write the trades shown as CSV (UTF-8, plain decimals, times in UTC) and say how it went."""
        try:
            with path.open("w", encoding="utf-8-sig", newline="") as file:
                csv.writer(file).writerows(guarded(self.model.csv_rows()))
        except OSError as error:
            self.said.setProperty("tone", Tone.NEGATIVE.value)
            set_text(self.said, f"{path.name} could not be written: {error.strerror}.")
            return
        set_text(self.said, f"Saved {path.name}")


def guarded(rows: list[list[str]]) -> list[list[str]]:
    """A cell that a spreadsheet would take for a formula gets an apostrophe; numbers keep their minus."""

    def guard(cell: str) -> str:
        if cell[:1] in ("=", "@", "\t", "\r") or (cell[:1] in "+-" and not cell[1:2].isdigit()):
            return f"'{cell}" if cell else cell
        return cell

    return [[guard(cell) for cell in row] for row in rows]


def summary(trades: list[Trade]) -> str:
    """ "12 fills, 5 won, 3 lost"."""
    if not trades:
        return ""
    closed = [trade for trade in trades if trade.pnl is not None and not trade.voided]
    won = sum(1 for trade in closed if trade.pnl is not None and trade.pnl > 0)
    lost = sum(1 for trade in closed if trade.pnl is not None and trade.pnl < 0)
    return f"{wording.counted(len(trades), 'fill')}, {won} won, {lost} lost"
