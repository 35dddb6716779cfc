"""All accounts side by side; Enter or a double click opens one."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from PySide6.QtCore import QModelIndex, Signal
from PySide6.QtWidgets import QWidget

from gui.app_state import Change, Link, Protection
from gui.models.accounts import accounts_model
from gui.views.page import Context, Page
from gui.views.tokens import GRID, SIZE_FIGURE, Tone
from gui.views.trader.overview import Tile
from gui.views.widgets.basic import Card, EmptyState, hbox, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty


class AccountsPage(Page):
    """`opened` with the account id that was chosen."""

    key = "accounts"
    title = "All accounts"
    icon_name = "users"
    topics = frozenset({"status", "accounts", "pnl", "positions", "rules", "lockouts", "link"})
    opened = Signal(int)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.model = accounts_model(self.state, self)
        self.table = DataTable(self.model, "All accounts")
        self.table.activated.connect(self._open)
        self.locked = Tile("Locked accounts")
        self.realized = Tile("Realized today, all")
        self.unrealized = Tile("Unrealized, all")
        for tile in (self.locked, self.realized, self.unrealized):
            tile.figure.setMinimumHeight(SIZE_FIGURE + 8)
        card = Card("Accounts", padding=2 * GRID)
        card.body.addWidget(
            TableOrEmpty(
                self.table, EmptyState("users", "No accounts yet", "The administrator adds them under Admin.")
            ),
            1,
        )
        content = QWidget()
        content.setLayout(
            vbox(
                hbox(self.locked, self.realized, self.unrealized, spacing=2 * GRID),
                card,
                spacing=2 * GRID,
                margins=(24, 20, 24, 24),
            )
        )
        content.layout().setStretch(1, 1)  # type: ignore[union-attr]
        self.setLayout(vbox(content))

    def _open(self, index: QModelIndex) -> None:
        view = self.model.row(self.table.proxy.mapToSource(index))
        if view is not None:
            self.opened.emit(view.account_id)

    def refresh(self, changes: Iterable[Change]) -> None:
        if any(change.topic in self.topics for change in changes):
            self.refresh_all()

    def refresh_all(self) -> None:
        views = list(self.state.accounts.values())
        self.model.set_rows(views)
        locked = sum(view.locked for view in views)
        online = self.state.link is Link.ONLINE
        self.locked.figure.set_words(f"{locked} of {len(views)}", Tone.LOCKED if locked else Tone.NEUTRAL)
        warned = sum(self.state.protection_of(view) is Protection.WARNING for view in views)
        if not online:
            note = "state of the last report"
        elif warned:
            note = f"{warned} need{'s' if warned == 1 else ''} attention"
        else:
            note = "all others protected" if views else ""
        set_text(self.locked.note, note)
        for tile, figures in (
            (self.realized, [view.pnl.realized for view in views]),
            (self.unrealized, [view.pnl.unrealized for view in views]),
        ):
            total, unknown = known_sum(figures)
            tile.figure.set_money(total)
            set_text(tile.note, f"without {unknown} not known" if unknown and total is not None else "US dollars")

    def tick(self) -> None:
        if any(view.locked for view in self.state.accounts.values()):
            self.model.set_rows(list(self.state.accounts.values()))


def known_sum(figures: list[Decimal | None]) -> tuple[Decimal | None, int]:
    """The sum of what is known (None: nothing is), and how many are not."""
    known = [figure for figure in figures if figure is not None]
    return (sum(known, Decimal(0)) if known else None), len(figures) - len(known)
