"""A window with a navigation at the left and pages at the right; the trader's and the admin's are built on it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QButtonGroup, QFrame, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from gui.views import icons
from gui.views.page import Page
from gui.views.tokens import GRID
from gui.views.widgets.basic import Button, hbox, label, vbox

SIDEBAR_WIDTH = 200
MINIMUM = QSize(900, 600)
DEFAULT = QSize(1180, 780)


class Sidebar(QFrame):
    """The navigation: a brand line, one button a page, things at the bottom. Ctrl+1 … Ctrl+9 choose a page."""

    chosen = Signal(int)

    def __init__(self, brand: str) -> None:
        super().__init__()
        self.setObjectName("sidebar")
        self.setFixedWidth(SIDEBAR_WIDTH)
        self.setAccessibleName("Navigation")
        mark = label()
        mark.setPixmap(icons.app_icon().pixmap(QSize(26, 26), self.devicePixelRatioF()))
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._group.idClicked.connect(self.chosen)
        self._pages = vbox(spacing=4)
        self.bottom = vbox(spacing=4)
        column = vbox(hbox(mark, label(brand, "heading"), None, spacing=10, margins=(8, 4, 0, 4)), GRID, spacing=GRID)
        column.addLayout(self._pages)
        column.addStretch(1)
        column.addLayout(self.bottom)
        column.setContentsMargins(12, 16, 12, 16)
        self.setLayout(column)

    def add(self, number: int, title: str, icon_name: str, *, at_bottom: bool = False) -> None:
        """Add a page's button."""
        # A lone ampersand would be taken for a shortcut.
        button = Button(title.replace("&", "&&"), icon_name, role="nav", name=title)
        button.make_checkable()
        button.set_icon_size(18)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        if number < 9:
            button.setToolTip(f"{title} (Ctrl+{number + 1})")
        self._group.addButton(button, number)
        (self.bottom if at_bottom else self._pages).addWidget(button)

    def set_current(self, number: int) -> None:
        button = self._group.button(number)
        if button is not None:
            button.setChecked(True)

    def set_shown(self, number: int, shown: bool) -> None:
        """Show or hide a page's button."""
        button = self._group.button(number)
        if button is not None:
            button.setVisible(shown)

    def set_enabled(self, number: int, enabled: bool) -> None:
        """Let a page be chosen, or not."""
        button = self._group.button(number)
        if button is not None:
            button.setEnabled(enabled)


def to_front(window: QMainWindow) -> None:
    """Show a window in front of all others, also one that was minimized or hidden."""
    window.setWindowState(window.windowState() & ~Qt.WindowState.WindowMinimized)
    window.show()
    window.raise_()
    window.activateWindow()


class NavWindow(QMainWindow):
    """Sidebar, header, banners, pages. Pages are given ready; `current_changed` tells which one is on screen."""

    current_changed = Signal(int)

    def __init__(self, brand: str, pages: Sequence[Page], *, bottom: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.setMinimumSize(MINIMUM)
        self.resize(DEFAULT)
        self.setWindowIcon(icons.app_icon())
        self.pages = tuple(pages)
        self.sidebar = Sidebar(brand)
        self.header = QFrame()
        self.header.setObjectName("header")
        self.header_row = hbox(spacing=GRID + 4, margins=(24, 12, 24, 12))
        self.header.setLayout(self.header_row)
        self.banners = QVBoxLayout()
        self.banners.setContentsMargins(24, 0, 24, 0)
        self.banners.setSpacing(GRID)
        self.stack = QStackedWidget()
        for number, page in enumerate(self.pages):
            self.sidebar.add(number, page.title, page.icon_name, at_bottom=page.key in bottom)
            self.stack.addWidget(page)
            shortcut = QShortcut(QKeySequence(f"Ctrl+{number + 1}"), self)
            shortcut.activated.connect(lambda n=number: self.go(n))
        self.sidebar.chosen.connect(self.go)
        root = QWidget()
        root.setObjectName("root")
        right = vbox(self.header, spacing=0)
        right.addLayout(self.banners)
        right.addWidget(self.stack, 1)
        row = hbox(self.sidebar, spacing=0)
        row.addLayout(right, 1)
        root.setLayout(row)
        self.setCentralWidget(root)
        close = QShortcut(QKeySequence.StandardKey.Close, self)
        close.activated.connect(self.close)
        close.setContext(Qt.ShortcutContext.WindowShortcut)
        self.sidebar.set_current(0)
        # No control has the focus until Tab is pressed: no ring that nobody asked for.
        root.setFocus()

    @property
    def current(self) -> Page:
        return self.pages[self.stack.currentIndex()]

    def go(self, number: int) -> None:
        """Put a page on screen."""
        if 0 <= number < len(self.pages) and number != self.stack.currentIndex():
            self.stack.setCurrentIndex(number)
            self.current_changed.emit(number)
        self.sidebar.set_current(self.stack.currentIndex())

    def go_to(self, key: str) -> None:
        """Put the page of that key on screen; an unknown key changes nothing."""
        for number, page in enumerate(self.pages):
            if page.key == key:
                self.go(number)
