"""The theme in force: palette, style sheet and fonts of the application, following the system or chosen by hand."""

from __future__ import annotations

import tempfile
from enum import StrEnum
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from gui.views.stylesheet import stylesheet
from gui.views.tokens import DARK, FONT, LIGHT, SIZE_BODY, Tokens
from shared.paths import shipped


class ThemeChoice(StrEnum):
    """What the user chose."""

    SYSTEM = "system"
    DARK = "dark"
    LIGHT = "light"


class Theme(QObject):
    """Holds the tokens in force; `changed` after every switch. One per application, see `theme()`."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.tokens: Tokens = DARK
        self.choice = ThemeChoice.SYSTEM
        self._app: QApplication | None = None
        self._dark_palette = True
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def install(self, app: QApplication, choice: ThemeChoice) -> None:
        """Load the fonts, set the look, follow the system's scheme from now on."""
        self._app = app
        self._dark_palette = app.palette().color(QPalette.ColorRole.Window).lightness() < 128
        app.setStyle("Fusion")
        for weight in ("Regular", "Medium", "SemiBold", "Bold"):
            QFontDatabase.addApplicationFont(str(shipped(f"resources/fonts/InterTabular-{weight}.otf")))
        font = QFont(FONT)
        font.setPixelSize(SIZE_BODY)
        app.setFont(font)
        app.styleHints().colorSchemeChanged.connect(self._follow)
        self.choose(choice)

    def choose(self, choice: ThemeChoice) -> None:
        """Switch to a theme, or to following the system."""
        self.choice = choice
        if self._app is not None:
            scheme = {
                ThemeChoice.SYSTEM: Qt.ColorScheme.Unknown,
                ThemeChoice.DARK: Qt.ColorScheme.Dark,
                ThemeChoice.LIGHT: Qt.ColorScheme.Light,
            }[choice]
            self._app.styleHints().setColorScheme(scheme)
        self._apply()

    def _follow(self) -> None:
        if self.choice is ThemeChoice.SYSTEM:
            self._apply()

    def _apply(self) -> None:
        if self._app is None:
            return
        dark = self._system_is_dark() if self.choice is ThemeChoice.SYSTEM else self.choice is ThemeChoice.DARK
        self.tokens = DARK if dark else LIGHT
        self._app.setPalette(_palette(self.tokens))
        self._app.setStyleSheet(stylesheet(self.tokens, *self._glyphs()))
        self.changed.emit()

    def _system_is_dark(self) -> bool:
        scheme = self._app.styleHints().colorScheme() if self._app is not None else Qt.ColorScheme.Unknown
        # A system that does not say is taken by the palette it started us with.
        return self._dark_palette if scheme == Qt.ColorScheme.Unknown else scheme == Qt.ColorScheme.Dark

    def _glyphs(self) -> tuple[str, str, str]:
        """Chevrons and check mark as files in the theme's colours: style sheets take no other source."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="riskgui-", ignore_cleanup_errors=True)
        paths = []
        muted = self.tokens.muted
        for name, color in (("chevron-down", muted), ("chevron-up", muted), ("check", "#ffffff")):
            target = Path(self._folder.name) / f"{name}-{self.tokens.name}.svg"
            svg = shipped(f"resources/icons/lucide/{name}.svg").read_text(encoding="utf-8")
            target.write_text(svg.replace("currentColor", color), encoding="utf-8")
            paths.append(target.as_posix())
        return paths[0], paths[1], paths[2]


def _palette(t: Tokens) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: t.window,
        QPalette.ColorRole.WindowText: t.text,
        QPalette.ColorRole.Base: t.surface,
        QPalette.ColorRole.AlternateBase: t.raised,
        QPalette.ColorRole.Text: t.text,
        QPalette.ColorRole.Button: t.raised,
        QPalette.ColorRole.ButtonText: t.text,
        QPalette.ColorRole.BrightText: t.negative,
        QPalette.ColorRole.Highlight: t.accent_hover,
        QPalette.ColorRole.HighlightedText: t.on_accent,
        QPalette.ColorRole.ToolTipBase: t.raised,
        QPalette.ColorRole.ToolTipText: t.text,
        QPalette.ColorRole.PlaceholderText: t.muted,
        QPalette.ColorRole.Link: t.accent,
        QPalette.ColorRole.Mid: t.border,
        QPalette.ColorRole.Accent: t.accent_hover,
    }
    for role, color in roles.items():
        palette.setColor(role, QColor(color))
    for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(t.muted))
    return palette


_theme: Theme | None = None


def theme() -> Theme:
    """The application's theme."""
    global _theme  # noqa: PLW0603 - one application, one theme
    if _theme is None:
        _theme = Theme()
    return _theme


def font(size: int, weight: int = 400) -> QFont:
    """The program's font for painting, `size` in px; figures are all of one width."""
    made = QFont(FONT)
    made.setPixelSize(size)
    made.setWeight(QFont.Weight(weight))
    return made
