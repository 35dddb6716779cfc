"""A week as it is allowed: seven days as columns of hours."""

from __future__ import annotations

import datetime as dt

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QSizePolicy,
    QWidget,
)

from gui.models.admin_week import Band
from gui.views.theme import font, theme
from gui.views.tokens import SIZE_SMALL

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class WeekView(QWidget):
    """Seven days as columns of hours; what is allowed is filled. Read out as a sentence a day."""

    def __init__(self) -> None:
        super().__init__()
        self._days: list[list[Band]] = [[] for _ in range(7)]
        self._notes: dict[int, str] = {}
        self._monday = dt.date(2026, 1, 5)
        self._now: tuple[int, float] | None = None
        self.setMinimumHeight(190)
        self.setMaximumHeight(210)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)

    def show_week(
        self, monday: dt.date, days: list[list[Band]], notes: dict[int, str], now: tuple[int, float] | None
    ) -> None:
        """`notes`: holidays by weekday; `now`: weekday and hour, if this week holds it."""
        self._monday, self._days, self._notes, self._now = monday, days, notes, now
        words = []
        for number, bands in enumerate(days):
            allowed = ", ".join(band.words for band in bands) or "no trading"
            words.append(f"{DAYS[number]}: {allowed}{f', {notes[number]}' if number in notes else ''}")
        self.setAccessibleName("When trading is allowed. " + ". ".join(words))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(640, 260)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tokens = theme().tokens
        left, top, bottom = 48.0, 26.0, 18.0
        width = (self.width() - left) / 7
        height = self.height() - top - bottom
        painter.setFont(font(SIZE_SMALL))
        for hour in range(0, 25, 6):
            y = top + height * hour / 24
            painter.setPen(QPen(QColor(tokens.border), 1))
            painter.drawLine(int(left), int(y), self.width(), int(y))
            painter.setPen(QColor(tokens.muted))
            flags = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
            painter.drawText(QRectF(0, y - 10, left - 8, 20), flags, f"{hour:02d}:00")
        for number, bands in enumerate(self._days):
            x = left + number * width
            day = self._monday + dt.timedelta(days=number)
            painter.setPen(QColor(tokens.warning if number in self._notes else tokens.text))
            painter.setFont(font(SIZE_SMALL, 600))
            painter.drawText(
                QRectF(x, 0, width, 20), int(Qt.AlignmentFlag.AlignCenter.value), f"{DAYS[number]} {day.day}"
            )
            column = QRectF(x + 4, top, width - 8, height)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.raised))
            painter.drawRoundedRect(column, 6, 6)
            for band in bands:
                block = QRectF(x + 4, top + height * band.start / 24, width - 8, height * (band.end - band.start) / 24)
                painter.setPen(QPen(QColor(tokens.positive), 1))
                painter.setBrush(QColor(tokens.positive_soft))
                painter.drawRoundedRect(block.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
                self._write(painter, block, band.words, tokens.positive)
            if not bands:
                self._write(painter, column, self._notes.get(number, "No trading"), tokens.muted)
        if self._now is not None:
            x, y = left + self._now[0] * width, top + height * self._now[1] / 24
            painter.setPen(QPen(QColor(tokens.accent), 2))
            painter.drawLine(int(x) + 4, int(y), int(x + width) - 4, int(y))

    @staticmethod
    def _write(painter: QPainter, block: QRectF, words: str, color: str) -> None:
        painter.setFont(font(SIZE_SMALL, 500))
        painter.setPen(QColor(color))
        flags = int((Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap).value)
        needed = painter.boundingRect(block.adjusted(4, 0, -4, 0), flags, words)
        if needed.height() <= block.height() and needed.width() <= block.width():
            painter.drawText(block.adjusted(4, 0, -4, 0), flags, words)
