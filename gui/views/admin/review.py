"""The list of changes before they are applied: what tightens now, what loosens and when."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from PySide6.QtWidgets import QWidget

from gui.admin_words import apply_words, effect_words, review_words, setting_name, value_words
from gui.change_review import TAKEN_BACK, WAITS, Review, told_apart
from gui.models.table import Column, TableModel
from gui.views.admin.dialogs import AnswerDialog
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, hbox, label, vbox
from gui.views.widgets.table import DataTable

Row = Mapping[str, Any]
_LOOKS = {
    "tightens": (Tone.POSITIVE, "shield-check"),
    "loosens": (Tone.WARNING, "shield-alert"),
    TAKEN_BACK: (Tone.POSITIVE, "undo-2"),
    WAITS: (Tone.MUTED, "hourglass"),
}


async def look_at(page: AdminPage, preview: Sequence[Row], files: Collection[str]) -> Review:
    """Tell what a change of `files` adds from what waits already. Raises AdminError."""
    return told_apart(preview, rows_of(await page.session.call("get_pending_config")), files)


def change_columns(admin: AdminContext) -> list[Column[Row]]:
    """Columns for rows of `set_config`'s preview and of what waits."""
    names = admin.account_names

    def effect(row: Row) -> str:
        now = admin.state.clock.now()
        kind = str(row.get("standing") or row.get("effect", "loosens"))
        return effect_words(kind, row.get("effective_at"), admin.state.calendar, now)

    def look(row: Row) -> tuple[Tone, str]:
        return _LOOKS.get(str(row.get("standing") or row.get("effect", "loosens")), (Tone.NEUTRAL, "minus"))

    return [
        Column(
            "Setting",
            lambda row: setting_name(str(row["path"]), names()),
            stretch=True,
            sub=lambda row: (
                f"{value_words(str(row['path']), row.get('old'))}  →  {value_words(str(row['path']), row.get('new'))}"
            ),
        ),
        Column("Effect", effect, tone=lambda row: look(row)[0], icon=lambda row: look(row)[1]),
    ]


def _key(row: Row) -> tuple[object, ...]:
    return row.get("file"), row["path"], row.get("standing")


class ReviewDialog(AnswerDialog[bool]):
    """Shows the changes; the answer is True when they are to be applied."""

    def __init__(
        self, admin: AdminContext, review: Review, parent: QWidget | None = None, *, title: str = "Review the changes"
    ) -> None:
        super().__init__(parent, title)
        self.model = TableModel(change_columns(admin), _key)
        self.table = DataTable(self.model, "Changes", sortable=False)
        self.model.set_rows(review.rows)
        self.words = label(review_words(review), wrap=True)
        self.confirm = Button(
            apply_words(review.changes, admin.state.calendar, admin.state.clock.now()),
            "check",
            role="primary",
            on_click=self.accept,
        )
        self.confirm.setDefault(True)
        self.setLayout(
            vbox(
                label(title, "title"),
                self.words,
                self.table,
                hbox(None, Button("Back to editing", on_click=self.reject), self.confirm, spacing=GRID + 4),
                spacing=GRID + 4,
                margins=(24, 20, 24, 20),
            )
        )
        self.resize(760, 460)
        self.confirm.setEnabled(bool(review.changes))
        self.confirm.setFocus()

    def answer(self) -> bool:
        return True
