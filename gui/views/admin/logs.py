"""The daemon's logs: follow, level, text, copy, open the folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QCheckBox, QComboBox

from gui import wording
from gui.models.table import Column, TableModel
from gui.records import moment
from gui.views.admin.page import AdminContext, AdminPage, copy_text, rows_of, search_field
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text
from gui.views.widgets.table import DataTable, TableOrEmpty
from shared.protocol import RpcError
from shared.rpc_client import ClientError, Event, Snapshot, Subscription

Row = Mapping[str, Any]
FILES = {
    "daemon": "Daemon",
    "enforcement": "Enforcement",
    "api": "Gateway",
    "error": "Errors",
    "activity": "Activity (the trader's)",
    "service": "Service host",
}
LEVELS = ("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
KEPT = 2000
LINES = 500


class LogsPage(AdminPage):
    """Newest at the bottom, as in the file."""

    key = "logs"
    title = "Logs"
    icon_name = "file-text"

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self._number = 0
        self._folder = ""
        self._subscription: Subscription | None = None
        self.file = QComboBox()
        self.file.setAccessibleName("Log")
        for key, words in FILES.items():
            self.file.addItem(words, key)
        self.file.currentIndexChanged.connect(self.refresh_all)
        self.level = QComboBox()
        self.level.setAccessibleName("Least level")
        self.level.addItem("All levels", None)
        for level in LEVELS[1:]:
            self.level.addItem(f"{level.capitalize()} and above", level)
        self.level.currentIndexChanged.connect(self.refresh_all)
        self.search = search_field("Find in the log")
        self._search_timer = QTimer(self)
        self._search_timer.setSingleShot(True)
        self._search_timer.setInterval(300)
        self._search_timer.timeout.connect(self.refresh_all)
        self.search.textChanged.connect(lambda _: self._search_timer.start())
        self.follow = QCheckBox("Follow")
        self.follow.setChecked(True)
        self.follow.toggled.connect(lambda _: self.work(self._subscribe()))
        self.copy = Button("Copy", "copy", name="Copy what is shown", on_click=self._copy)
        self.folder = Button("Open folder", "folder-open", name="Open the folder of the logs", on_click=self._open)
        self.model = TableModel[Row](
            [
                Column("Time", lambda row: self.state.calendar.clock_ms(moment(row["at"]))),
                Column("Level", lambda row: str(row["level"] or "").capitalize(), tone=_tone, icon=_icon),
                Column("Entry", lambda row: str(row["origin"] or ""), sub=lambda row: str(row["text"]), stretch=True),
            ],
            lambda row: row["number"],
        )
        self.table = DataTable(self.model, "Log entries", sortable=False)
        self.empty = EmptyState("file-text", "No entry", "Nothing in this log fits the level and the text.")
        self.said = label("", "muted")
        card = Card()
        row = hbox(self.file, self.level, self.search, spacing=GRID)
        row.setStretch(2, 1)
        card.body.addLayout(row)
        card.body.addWidget(TableOrEmpty(self.table, self.empty), 1)
        card.body.addLayout(hbox(self.said, None, self.follow, self.copy, self.folder, spacing=GRID))
        self.body.addWidget(card, 1)

    async def load(self) -> None:
        params: dict[str, Any] = {"file": self.file.currentData(), "lines": LINES, "text": self.search.text().strip()}
        if self.level.currentData():
            params["level"] = self.level.currentData()
        answer = await self.session.call("get_log", params)
        self._folder = str(answer["folder"])
        self.model.set_rows([self._numbered(row) for row in rows_of(answer["lines"])])
        more = " The file has older ones." if answer["more"] else ""
        set_text(self.said, f"{wording.counted(self.model.rowCount(), 'entry', 'entries')} of {answer['file']}.{more}")
        self._to_end()
        await self._subscribe()

    def _numbered(self, row: Row) -> Row:
        self._number += 1
        return {**row, "number": self._number}

    def _to_end(self) -> None:
        if self.follow.isChecked():
            QTimer.singleShot(0, self.table.scrollToBottom)

    # ---- following

    async def _subscribe(self) -> None:
        rpc = getattr(self.admin.commands, "rpc", None)
        if rpc is None:
            return
        try:
            if self.follow.isChecked() and self._subscription is None:
                self._subscription = await rpc.subscribe(["log"], self._heard)
            elif not self.follow.isChecked() and self._subscription is not None:
                gone, self._subscription = self._subscription, None
                await rpc.unsubscribe(gone)
        except (ClientError, RpcError):
            self._subscription = None

    def _heard(self, message: Snapshot | Event) -> None:
        if isinstance(message, Snapshot) or not isinstance(message.data, dict) or not self.isVisible():
            return
        chosen = self.file.currentData()
        fresh = [row for row in rows_of(message.data.get("lines")) if self._wanted(row, chosen)]
        if fresh:
            self.model.set_rows([*self.model.rows, *map(self._numbered, fresh)][-KEPT:])
            self._to_end()

    def _wanted(self, row: Row, chosen: str) -> bool:
        level = str(row.get("level"))
        source = str(row.get("file"))
        severe = level in ("ERROR", "CRITICAL")
        belongs = (
            source == chosen
            or (chosen == "daemon" and source == "enforcement")
            or (chosen == "error" and severe and source != "activity")
        )
        least = self.level.currentData()
        if not belongs or (least and level in LEVELS and LEVELS.index(level) < LEVELS.index(least)):
            return False
        needle = self.search.text().strip().casefold()
        return not needle or needle in f"{row.get('origin')} {row.get('text')}".casefold()

    # ---- what is done

    def _copy(self) -> None:
        rows = self.table.selectionModel().selectedRows()
        if rows:
            self.table.copy()
            self.say_done("Copied", f"{wording.counted(len(rows), 'chosen entry', 'chosen entries')}.")
            return
        copy_text("\n".join(f"{row['at']} {row['level']} {row['origin']}: {row['text']}" for row in self.model.rows))
        self.say_done("Copied", f"{wording.counted(self.model.rowCount(), 'entry', 'entries')}.")

    def _open(self) -> None:
        if not self._folder or not Path(self._folder).is_dir():
            self.say_error(f"The folder {self._folder or 'of the logs'} is not on this computer.")
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(self._folder)):
            copy_text(self._folder)
            self.say(Tone.ACCENT, "folder-open", "The folder's path was copied", self._folder)


def _tone(row: Row) -> str | None:
    return {"WARNING": Tone.WARNING, "ERROR": Tone.NEGATIVE, "CRITICAL": Tone.NEGATIVE, "DEBUG": Tone.MUTED}.get(
        str(row["level"])
    )


def _icon(row: Row) -> str | None:
    return {"WARNING": "triangle-alert", "ERROR": "circle-x", "CRITICAL": "octagon-x"}.get(str(row["level"]))
