"""Icons: Lucide's outlines in any colour, the tray's own shapes, sharp at every scale."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from gui.app_state import Protection
from shared.paths import shipped


@lru_cache(maxsize=256)
def _source(relative: str) -> str:
    return shipped(relative).read_text(encoding="utf-8")


@lru_cache(maxsize=256)
def _renderer(relative: str, color: str, width: str) -> QSvgRenderer:
    svg = _source(relative).replace("currentColor", color)
    if width:
        svg = svg.replace('stroke-width="2"', f'stroke-width="{width}"')
    return QSvgRenderer(QByteArray(svg.encode()))


@lru_cache(maxsize=512)
def pixmap(name: str, color: str, size: int, scale: float = 1.0) -> QPixmap:
    """A Lucide icon of `size` logical px in a colour. Raises FileNotFoundError for a name that is not shipped."""
    return _draw(_renderer(f"resources/icons/lucide/{name}.svg", color, "1.75"), QSize(size, size), scale)


def _draw(renderer: QSvgRenderer, size: QSize, scale: float) -> QPixmap:
    image = QPixmap(size * scale)
    image.setDevicePixelRatio(scale)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter, QRectF(0, 0, size.width(), size.height()))
    painter.end()
    return image


def paint(painter: QPainter, name: str, color: str, rect: QRectF) -> None:
    """Draw a Lucide icon straight into a painter."""
    _renderer(f"resources/icons/lucide/{name}.svg", color, "1.75").render(painter, rect)


class _SvgEngine(QIconEngine):
    """Draws the SVG anew at every size and scale, so that nothing is blurred at 150 %."""

    def __init__(self, normal: QSvgRenderer, active: QSvgRenderer, disabled: QSvgRenderer) -> None:
        super().__init__()
        self._normal, self._active, self._disabled = normal, active, disabled

    def paint(self, painter: QPainter, rect: object, mode: QIcon.Mode, state: QIcon.State) -> None:
        chosen = self._active if state == QIcon.State.On else self._normal
        if mode == QIcon.Mode.Disabled:
            chosen = self._disabled
        area = QRectF(rect)  # type: ignore[call-overload]
        # Buttons ask for a wider icon than high: what is left over is the distance to their text.
        side = min(area.width(), area.height())
        chosen.render(painter, QRectF(area.left(), area.top() + (area.height() - side) / 2, side, side))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        image = QPixmap(size)
        image.fill(QColor(0, 0, 0, 0))
        painter = QPainter(image)
        self.paint(painter, QRectF(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return image

    def clone(self) -> QIconEngine:
        return _SvgEngine(self._normal, self._active, self._disabled)


def icon(name: str, color: str, checked_color: str | None = None, disabled_color: str | None = None) -> QIcon:
    """A Lucide icon as QIcon, with the colours of a button that is checked or disabled where they are others."""
    relative = f"resources/icons/lucide/{name}.svg"
    colors = (color, checked_color or color, disabled_color or color)
    return QIcon(_SvgEngine(*(_renderer(relative, chosen, "1.75") for chosen in colors)))


TRAY_SIZES = (16, 20, 24, 32, 40, 48, 64)


@lru_cache(maxsize=8)
def tray_icon(state: Protection) -> QIcon:
    """The tray's icon of a state; every state has its own outline, readable on dark and on light."""
    return _sized(f"resources/icons/tray/{state.value}.svg", TRAY_SIZES)


@lru_cache(maxsize=1)
def app_icon() -> QIcon:
    """The program's icon."""
    return _sized("resources/icons/app.svg", (16, 24, 32, 48, 64, 128, 256))


def _sized(relative: str, sizes: tuple[int, ...]) -> QIcon:
    # Pixmaps, not an engine: trays of other processes are handed pixels.
    renderer = _renderer(relative, "", "")
    result = QIcon()
    for size in sizes:
        result.addPixmap(_draw(renderer, QSize(size, size), 1.0))
    return result
