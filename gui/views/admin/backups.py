"""Back-up and restore of configuration and state. Restoring never frees a locked account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gui.admin_words import in_force_words
from gui.change_review import newly_waiting, told_apart
from gui.models.table import Column, TableModel
from gui.records import moment
from gui.views.admin.dialogs import Ask
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.admin.review import ReviewDialog
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label
from gui.views.widgets.table import DataTable, TableOrEmpty

Row = Mapping[str, Any]
FILES = ("accounts.yaml", "risk_config.yaml", "holidays.yaml")
"""What a backup of the configuration holds."""


class BackupsPage(AdminPage):
    """The copies in data/backups."""

    key = "backups"
    title = "Backup"
    icon_name = "archive"

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self.model = TableModel[Row](
            [
                Column(
                    "Made",
                    lambda row: self.state.calendar.stamp(moment(row["at"])),
                    sort=lambda row: str(row["at"]),
                ),
                Column(
                    "Holds",
                    lambda row: str(row["what"]).capitalize(),
                    icon=lambda row: "database" if row["what"] == "state" else "sliders-horizontal",
                    sub=lambda row: str(row["note"]).capitalize(),
                ),
                Column("File", lambda row: str(row["file"]), stretch=True),
                Column("Size", lambda row: f"{row['bytes'] / 1024:,.0f} KB", sort=lambda row: row["bytes"], right=True),
            ],
            lambda row: row["file"],
        )
        self.table = DataTable(self.model, "Backups")
        self.table.selectionModel().selectionChanged.connect(self._show_buttons)
        self.make = Button("Back up now", "save", role="primary", on_click=self._make)
        self.restore = Button("Restore…", "history", name="Restore from the chosen backup", on_click=self._restore)
        card = Card("Backups")
        card.body.addWidget(
            label(
                "One a day by itself, and one before each change of the database. Restoring the configuration is a "
                "change like any other: what tightens applies now, what loosens at the reset. Restoring the state "
                "brings back what is missing and overwrites nothing: no lockout, trade or audit entry is undone.",
                "muted",
                wrap=True,
            )
        )
        card.body.addWidget(
            TableOrEmpty(self.table, EmptyState("archive", "No backup yet", "Make the first one now.")), 1
        )
        card.body.addLayout(hbox(self.make, self.restore, None, spacing=GRID))
        self.body.addWidget(card, 1)
        self._show_buttons()

    async def load(self) -> None:
        self.model.set_rows(rows_of(await self.session.call("list_backups")))
        self._show_buttons()

    def _chosen(self) -> Row | None:
        return self.table.chosen_row()

    def _show_buttons(self) -> None:
        self.restore.setEnabled(self._chosen() is not None)

    def _make(self) -> None:
        self.work(self._back_up(), busy=self.make)

    async def _back_up(self) -> None:
        answer = await self.session.call("backup_now", timeout=60.0)
        await self.load()
        self.say_done("Backed up", f"State: {answer['file']}. Configuration: {answer['configuration']}.")

    def _restore(self) -> None:
        row = self._chosen()
        if row is not None:
            self.work(self._ask(row), busy=self.restore)

    async def _ask(self, row: Row) -> None:
        params = {"file": row["file"]}
        if row["what"] == "configuration":
            preview = await self.session.call("restore_backup", {**params, "dry_run": True})
            before = rows_of(await self.session.call("get_pending_config"))
            review = told_apart(rows_of(preview["changes"]), before, FILES)
            if not review.changes:
                self.say_done("Nothing to restore", "The configuration in force says the same as the backup.")
                return
            if not await ReviewDialog(self.admin, review, self, title=f"Restore {row['file']}").ask():
                return
            answer = await self.session.call("restore_backup", params)
            waiting = newly_waiting(before, rows_of(answer.get("pending")))
            words = in_force_words(waiting)
            self.say_done("The configuration was restored", words)
            return
        answer = await Ask(
            self,
            f"Restore the state of {self.state.calendar.stamp(moment(row['at']))}?",
            "The daemon stops, adds what is missing, and is started again by the service; for a few seconds nothing is "
            "watched. Where both know something the present state stays as it is: every active lockout stays active.",
            yes="Restart and restore",
            icon_name="history",
        ).ask()
        if answer is None:
            return
        await self.session.call("restore_backup", params, timeout=60.0)
        self.say(Tone.ACCENT, "history", "The daemon restarts", "What came back is in the log after the start.")
