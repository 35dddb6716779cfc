"""Figures, pills and bars that paint themselves: they change up to seven times a second and must stay cheap."""

from __future__ import annotations

from decimal import Decimal

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui import wording
from gui.records import Strain
from gui.views import icons
from gui.views.theme import font, theme
from gui.views.tokens import SIZE_FIGURE, SIZE_SMALL, Tone

FLASH_MS = 500
REST_MS = 1_000


class Figure(QWidget):
    """A number with sign, arrow and colour; its ground lights up for a moment when it changes."""

    def __init__(self, name: str, *, size: int = SIZE_FIGURE, weight: int = 600, align_right: bool = False) -> None:
        super().__init__()
        self._name, self._size, self._weight, self._right = name, size, weight, align_right
        self._text, self._arrow, self._tone = wording.UNKNOWN, "", Tone.MUTED
        self._flash = False
        self._known = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._end_flash)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"{name}: not known")
        theme().changed.connect(self.update)

    @property
    def words(self) -> str:
        """What is shown, arrow included."""
        return f"{self._arrow} {self._text}".strip()

    @property
    def tone(self) -> Tone:
        return self._tone

    def set_money(self, value: Decimal | None, *, signed: bool = True, flash: bool = True) -> None:
        """Show dollars; `signed` with sign, arrow and colour."""
        if value is None:
            self._show(wording.UNKNOWN, "", Tone.MUTED, flash=False, said="not known")
            return
        tone = Tone.NEUTRAL
        if signed and value:
            tone = Tone.POSITIVE if value > 0 else Tone.NEGATIVE
        words = wording.amount(value, signed=signed)
        self._show(words, wording.trend(value) if signed else "", tone, flash=flash, said=f"{words} dollars")

    def set_words(self, words: str, tone: Tone = Tone.NEUTRAL, *, flash: bool = False) -> None:
        """Show any text in the figure's size."""
        self._show(words, "", tone, flash=flash, said=words)

    def _show(self, words: str, arrow: str, tone: Tone, *, flash: bool, said: str) -> None:
        if (words, arrow, tone) == (self._text, self._arrow, self._tone):
            return
        wider = len(words) != len(self._text) or arrow != self._arrow
        if flash and self._known and not self._timer.isActive():
            self._flash = True
            self._timer.start(FLASH_MS)
        self._text, self._arrow, self._tone, self._known = words, arrow, tone, words != wording.UNKNOWN
        self.setAccessibleName(f"{self._name}: {said}")
        if wider:
            self.updateGeometry()
        self.update()

    def _end_flash(self) -> None:
        if self._flash:
            self._flash = False
            self.update()
            # What changes all the time is not news: it lights up again only after a rest.
            self._timer.start(REST_MS)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        metrics = QFontMetricsF(font(self._size, self._weight))
        arrow = QFontMetricsF(font(self._arrow_size)).horizontalAdvance(self._arrow) + 6 if self._arrow else 0
        return QSize(int(metrics.horizontalAdvance(self._text) + arrow) + 9, int(metrics.height()) + 4)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return self.sizeHint()

    @property
    def _arrow_size(self) -> int:
        return max(11, int(self._size * 0.55))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tokens = theme().tokens
        color = QColor(tokens.tone(self._tone))
        need = self.sizeHint().width()
        left = self.width() - need if self._right else 0
        if self._flash:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.soft(self._tone)))
            painter.drawRoundedRect(QRectF(left, 0, min(need, self.width()), self.height()), 5, 5)
        painter.setPen(color)
        x = float(left + 4)
        if self._arrow:
            small = font(self._arrow_size)
            painter.setFont(small)
            width = QFontMetricsF(small).horizontalAdvance(self._arrow)
            painter.drawText(QRectF(x, 0, width + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, self._arrow)
            x += width + 6
        painter.setFont(font(self._size, self._weight))
        painter.drawText(QRectF(x, 0, self.width() - x + 4, self.height()), Qt.AlignmentFlag.AlignVCenter, self._text)


class Pill(QWidget):
    """A state in a word with an icon of its own shape."""

    def __init__(self, words: str = "", icon_name: str = "circle-dot", tone: Tone = Tone.MUTED) -> None:
        super().__init__()
        self._words, self._icon, self._tone = words, icon_name, tone
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(words)
        theme().changed.connect(self.update)

    @property
    def words(self) -> str:
        return self._words

    def show_state(self, words: str, icon_name: str, tone: Tone) -> None:
        if (words, icon_name, tone) == (self._words, self._icon, self._tone):
            return
        wider = words != self._words
        self._words, self._icon, self._tone = words, icon_name, tone
        self.setAccessibleName(words)
        if wider:
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        metrics = QFontMetricsF(font(SIZE_SMALL, 600))
        return QSize(int(metrics.horizontalAdvance(self._words)) + 40, 26)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tokens = theme().tokens
        color = tokens.tone(self._tone)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.soft(self._tone)))
        painter.drawRoundedRect(QRectF(self.rect()), 13, 13)
        icons.paint(painter, self._icon, color, QRectF(10, (self.height() - 14) / 2, 14, 14))
        painter.setPen(QColor(color))
        painter.setFont(font(SIZE_SMALL, 600))
        painter.drawText(QRectF(29, 0, self.width() - 32, self.height()), Qt.AlignmentFlag.AlignVCenter, self._words)


STRAIN_TONES = {
    Strain.CALM: Tone.ACCENT,
    Strain.NEAR: Tone.WARNING,
    Strain.FULL: Tone.WARNING,
    Strain.REACHED: Tone.NEGATIVE,
}


class ShareBar(QWidget):
    """How much of a limit is used: a bar with marks at 50, 75 and 90 %, where warnings come; the number is beside."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._share: float | None = None
        self._strain = Strain.CALM
        self.setFixedHeight(10)
        self.setMinimumWidth(80)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    def set_name(self, name: str) -> None:
        """What the bar measures."""
        self._name = name

    def set_share(self, share: float | None, strain: Strain = Strain.CALM) -> None:
        """0 is nothing, 1 the limit; None is not measured. `strain` gives the colour."""
        if (share, strain) == (self._share, self._strain) and self.accessibleName():
            return
        self._share, self._strain = share, strain
        said = "not measured" if share is None else f"{share:.0%} of the limit used"
        self.setAccessibleName(f"{self._name}: {said}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _draw_share(painter, QRectF(0, 1, self.width(), 8), self._share, STRAIN_TONES[self._strain])


def _draw_share(painter: QPainter, rect: QRectF, share: float | None, tone: Tone) -> None:
    tokens = theme().tokens
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tokens.hover))
    radius = rect.height() / 2
    painter.drawRoundedRect(rect, radius, radius)
    if share is not None and share > 0:
        painter.setBrush(QColor(tokens.tone(tone)))
        filled = QRectF(rect)
        filled.setWidth(max(rect.height(), rect.width() * min(1.0, share)))
        painter.drawRoundedRect(filled, radius, radius)
    painter.setPen(QPen(QColor(tokens.surface), 1.5))
    for mark in (0.5, 0.75, 0.9):
        x = rect.left() + rect.width() * mark
        painter.drawLine(QPointF(x, rect.top()), QPointF(x, rect.bottom()))
