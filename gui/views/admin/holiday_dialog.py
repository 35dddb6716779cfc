"""A day of the calendar, to be added or changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import QDate, Qt, QTime
from PySide6.QtWidgets import (
    QComboBox,
    QDateEdit,
    QLineEdit,
    QTimeEdit,
    QWidget,
)

from gui.views.admin.dialogs import EntryDialog
from gui.views.widgets.basic import hbox, label, padded

Row = Mapping[str, Any]


class HolidayDialog(EntryDialog[tuple[str, dict[str, Any]]]):
    """One day of the calendar. `ask` gives (ISO date, value), or None."""

    def __init__(self, parent: QWidget | None, day: str | None, present: Row | None) -> None:
        super().__init__(parent, "Edit the day" if day else "Add a day", confirm="Keep")
        self.day = QDateEdit(QDate.fromString(day, Qt.DateFormat.ISODate) if day else QDate.currentDate())
        self.day.setDisplayFormat("yyyy-MM-dd")
        self.day.setCalendarPopup(True)
        self.day.setEnabled(day is None)
        self.day.setAccessibleName("Day")
        self.day.setMinimumHeight(32)
        padded(self.day)
        self.what = QComboBox()
        self.what.setAccessibleName("What happens")
        self.what.addItem("No trading", "closed")
        self.what.addItem("Closes early", "early")
        self.close_at = QTimeEdit(QTime(12, 0))
        self.close_at.setDisplayFormat("HH:mm")
        self.close_at.setAccessibleName("Closes at")
        padded(self.close_at)
        self.name = QLineEdit(str((present or {}).get("name", "")))
        self.name.setMaxLength(200)
        self.name.setAccessibleName("Name")
        early = (present or {}).get("early_close")
        if early:
            self.what.setCurrentIndex(1)
            self.close_at.setTime(QTime.fromString(str(early)[:5], "HH:mm"))
        self.what.currentIndexChanged.connect(self._show)
        self.lay_out(
            label("Day", "caption"),
            self.day,
            label("What happens", "caption"),
            hbox(self.what, self.close_at, None),
            label("Name", "caption"),
            self.name,
            width=420,
        )
        self._show()

    def _show(self) -> None:
        self.close_at.setVisible(self.what.currentData() == "early")

    def answer(self) -> tuple[str, dict[str, Any]]:
        value: dict[str, Any] = {"closed": True}
        if self.what.currentData() == "early":
            value = {"early_close": self.close_at.time().toString("HH:mm")}
        if self.name.text().strip():
            value["name"] = self.name.text().strip()
        return self.day.date().toString(Qt.DateFormat.ISODate), value
