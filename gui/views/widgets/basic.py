"""Labels, buttons, cards, empty states: the plain parts every page is made of."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from gui.views import icons
from gui.views.theme import theme
from gui.views.tokens import GRID, Tone


def restyle(widget: QWidget, **properties: str) -> None:
    """Set style-sheet properties (`role`, `tone`) and let them take effect. Does nothing when none changes."""
    dirty = False
    for name, value in properties.items():
        if widget.property(name) != value:
            widget.setProperty(name, value)
            dirty = True
    if dirty and widget.testAttribute(Qt.WidgetAttribute.WA_WState_Polished):
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def label(words: str = "", role: str = "", *, wrap: bool = False, tone: str = "") -> QLabel:
    """A label of plain text. Roles: title, heading, caption, muted, strong, code."""
    made = QLabel(words)
    # What the daemon or the broker named is never read as markup.
    made.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        made.setProperty("role", role)
    if tone:
        made.setProperty("tone", tone)
    if wrap:
        made.setWordWrap(True)
        # A wrapped label asks for its real height at its width, else the last line is cut off.
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        made.setSizePolicy(policy)
    return made


def set_text(target: QLabel | QPushButton, words: str) -> None:
    """Set a text only when it differs: no needless layout, no needless repaint."""
    if target.text() != words:
        target.setText(words)


class IconLabel(QLabel):
    """A Lucide icon that follows the theme. It only decorates: the words beside it say the same."""

    def __init__(self, name: str, tone: Tone = Tone.MUTED, size: int = 18) -> None:
        super().__init__()
        self._name, self._tone, self._size = name, tone, size
        self.setFixedSize(size, size)
        theme().changed.connect(self._draw)
        self._draw()

    def set_icon(self, name: str, tone: Tone) -> None:
        if (name, tone) != (self._name, self._tone):
            self._name, self._tone = name, tone
            self._draw()

    def _draw(self) -> None:
        color = theme().tokens.tone(self._tone)
        self.setPixmap(icons.pixmap(self._name, color, self._size, self.devicePixelRatioF()))


class Button(QPushButton):
    """A push button with an icon in the theme's colours.

    Roles: "" (plain), primary, danger, link, menu. `name` is what a screen reader says where the text is not enough.
    """

    def __init__(
        self,
        words: str,
        icon_name: str = "",
        *,
        role: str = "",
        name: str = "",
        on_click: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(words)
        self._icon_name = icon_name
        if role:
            self.setProperty("role", role)
        self.setAccessibleName(name or words)
        if not words:
            self.setToolTip(name)
        self.setAutoDefault(False)
        self.set_icon_size(16)
        if on_click is not None:
            self.clicked.connect(lambda _checked=False: on_click())
        if icon_name:
            theme().changed.connect(self._draw)
            self._draw()

    def make_checkable(self) -> None:
        """Let it stay pressed; its icon takes the accent then."""
        self.setCheckable(True)
        self._draw()

    def set_icon_size(self, size: int) -> None:
        """Height of the icon in px; beside a text some room is added to its width."""
        self.setIconSize(QSize(size + 4 if self.text() else size, size))

    def _draw(self) -> None:
        t = theme().tokens
        role = self.property("role") or ""
        color = {"primary": t.on_accent, "danger": t.on_danger, "link": t.accent, "nav": t.muted}.get(role, t.text)
        checked = t.accent if self.isCheckable() else None
        self.setIcon(icons.icon(self._icon_name, color, checked, t.strong_border if role == "nav" else t.muted))


def hbox(
    *parts: QWidget | QLayout | int | None, spacing: int = GRID, margins: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> QHBoxLayout:
    """A row. None is a stretch, an int a space in px."""
    return _fill(QHBoxLayout(), parts, spacing, margins)


def vbox(
    *parts: QWidget | QLayout | int | None, spacing: int = GRID, margins: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> QVBoxLayout:
    """A column. None is a stretch, an int a space in px."""
    return _fill(QVBoxLayout(), parts, spacing, margins)


def _fill[L: (QHBoxLayout, QVBoxLayout)](
    layout: L, parts: tuple[QWidget | QLayout | int | None, ...], spacing: int, margins: tuple[int, int, int, int]
) -> L:
    layout.setContentsMargins(*margins)
    layout.setSpacing(spacing)
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, int):
            layout.addSpacing(part)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return layout


def padded(widget: QWidget) -> None:
    """Room before the text of a spin box: the style sheet's padding does not reach it."""
    if isinstance(widget, QAbstractSpinBox):
        widget.lineEdit().setTextMargins(8, 0, 0, 0)


class Card(QFrame):
    """A surface with a heading, things beside the heading, and a body."""

    def __init__(self, heading: str = "", *, padding: int = 2 * GRID, spacing: int = GRID + 4) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self.body = vbox(spacing=spacing, margins=(padding + 4, padding, padding + 4, padding))
        self.setLayout(self.body)
        self.bar = hbox(spacing=GRID)
        if heading:
            self.heading = label(heading, "heading")
            self.bar.addWidget(self.heading)
            self.bar.addStretch(1)
            self.body.addLayout(self.bar)
            self.setAccessibleName(heading)

    def add_action(self, widget: QWidget) -> None:
        """Put a widget at the right end of the heading's row."""
        self.bar.addWidget(widget)


class Line(QFrame):
    """A thin divider."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("role", "line")
        self.setFixedHeight(1)


class EmptyState(QWidget):
    """Says why there is nothing to see, and what to do about it."""

    def __init__(self, icon_name: str, heading: str, words: str = "", action: QWidget | None = None) -> None:
        super().__init__()
        self.icon = IconLabel(icon_name, Tone.MUTED, 32)
        self.heading = label(heading, "heading", wrap=True)
        self.words = label(words, "muted", wrap=True)
        for part in (self.heading, self.words):
            part.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            part.setMaximumWidth(460)
        column = vbox(None, spacing=GRID)
        column.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignHCenter)
        row = hbox(None, vbox(self.heading, self.words), None)
        row.setStretch(1, 8)
        column.addSpacing(4)
        column.addLayout(row)
        if action is not None:
            column.addSpacing(GRID)
            column.addWidget(action, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(1)
        column.setContentsMargins(GRID, GRID, GRID, GRID)
        self.setLayout(column)
        self.setAccessibleName(f"{heading}. {words}")

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        # In a low place the words matter more than the picture.
        self.icon.setVisible(event.size().height() >= 128)

    def say(self, icon_name: str, heading: str, words: str = "") -> None:
        """Change what it says."""
        self.icon.set_icon(icon_name, Tone.MUTED)
        set_text(self.heading, heading)
        set_text(self.words, words)
        self.words.setVisible(bool(words))
        self.setAccessibleName(f"{heading}. {words}")


def scrolled(content: QWidget) -> QScrollArea:
    """A page that scrolls up and down when the window is small, never sideways."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFrameShape(QFrame.Shape.NoFrame)
    content.setObjectName("scrolled")
    area.setWidget(content)
    layout = content.layout()
    if layout is not None:
        margins = layout.contentsMargins()
        bar = area.verticalScrollBar()

        def make_room(_low: int, high: int) -> None:
            # The scroll bar stands in the margin, so that what is below a banner lines up with it.
            right = margins.right() - (bar.sizeHint().width() if high > 0 else 0)
            layout.setContentsMargins(margins.left(), margins.top(), max(0, right), margins.bottom())

        bar.rangeChanged.connect(make_room)
    # The area itself is no stop for the tab key: what is inside scrolls into view when it gets the focus.
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return area
