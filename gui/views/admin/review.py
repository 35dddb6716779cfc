"""The list of changes before they are applied: what tightens now, what loosens and when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QDialog, QWidget

from gui.admin_words import apply_words, effect_words, setting_name, value_words
from gui.models.table import Column, TableModel
from gui.views.admin.page import AdminContext
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, hbox, label, vbox
from gui.views.widgets.table import DataTable

Row = Mapping[str, Any]


def change_columns(admin: AdminContext) -> list[Column[Row]]:
    """Columns for rows of `set_config`'s preview and of what waits."""
    names = admin.account_names

    def effect(row: Row) -> str:
        now = admin.state.clock.now()
        return effect_words(str(row.get("effect", "loosens")), row.get("effective_at"), admin.state.calendar, now)

    def tone(row: Row) -> str | None:
        return {"tightens": Tone.POSITIVE, "loosens": Tone.WARNING}.get(str(row.get("effect", "loosens")))

    def icon(row: Row) -> str | None:
        return {"tightens": "shield-check", "loosens": "shield-alert"}.get(str(row.get("effect", "loosens")), "minus")

    return [
        Column(
            "Setting",
            lambda row: setting_name(str(row["path"]), names()),
            stretch=True,
            sub=lambda row: (
                f"{value_words(str(row['path']), row.get('old'))}  →  {value_words(str(row['path']), row.get('new'))}"
            ),
        ),
        Column("Effect", effect, tone=tone, icon=icon),
    ]


class ReviewDialog(QDialog):
    """Shows the changes; `ask` gives True when they are to be applied."""

    def __init__(
        self, admin: AdminContext, changes: Sequence[Row], parent: QWidget | None = None, *, title: str = "Review"
    ) -> None:
        super().__init__(parent)
        self.setModal(True)
        self.setWindowTitle(title)
        self.model = TableModel(change_columns(admin), lambda row: (row.get("file"), row["path"]))
        self.table = DataTable(self.model, "Changes", sortable=False)
        self.model.set_rows(list(changes))
        loosening = sum(1 for change in changes if change.get("effect") == "loosens")
        later = any(change.get("effective_at") for change in changes)
        words = f"{len(changes)} change{'' if len(changes) == 1 else 's'}."
        if loosening and later:
            words += (
                " What weakens the protection waits for the reset and can be taken back until then; all else applies"
                " now."
            )
        elif loosening:
            words += " The policy lets what weakens the protection take effect at once."
        self._answer: asyncio.Future[bool] = asyncio.get_event_loop().create_future()
        self.confirm = Button(
            apply_words(changes, admin.state.calendar, admin.state.clock.now()),
            "check",
            role="primary",
            on_click=self.accept,
        )
        self.confirm.setDefault(True)
        self.setLayout(
            vbox(
                label(title, "title"),
                label(words, wrap=True),
                self.table,
                hbox(None, Button("Back to editing", on_click=self.reject), self.confirm, spacing=GRID + 4),
                spacing=GRID + 4,
                margins=(24, 20, 24, 20),
            )
        )
        self.resize(760, 460)
        self.confirm.setEnabled(bool(changes))
        self.finished.connect(self._finished)
        self.confirm.setFocus()

    def _finished(self, result: int) -> None:
        if not self._answer.done():
            self._answer.set_result(result == QDialog.DialogCode.Accepted)

    async def ask(self) -> bool:
        """Show it and wait for the answer."""
        self.open()
        try:
            return await self._answer
        finally:
            self.deleteLater()
