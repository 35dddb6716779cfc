"""The day's P&L curve. pyqtgraph is loaded when the page is first looked at: it costs half a second and 50 MB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from gui import wording
from gui.records import CurvePoint, Rule, money
from gui.views.theme import font, theme
from gui.views.widgets.basic import EmptyState, vbox

LIMIT_KEYS = ("daily_realized_loss", "daily_total_loss", "daily_realized_profit")
"""Rules whose limit is a horizontal line of the day's P&L."""


def limit_lines(rules: Sequence[Rule]) -> list[tuple[str, Decimal]]:
    """Title and dollars of the limits that the curve can reach."""
    lines = []
    for rule in rules:
        if rule.key in LIMIT_KEYS and rule.enabled:
            level = money(rule.params.get("limit", rule.params.get("target")))
            if level is not None:
                lines.append((rule.title, level))
    return lines


TICK_STEPS = (5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400)
TICK_ROOM = 84
"""Least distance of two times on the axis in px."""


def tick_step(span: float, width: float) -> float:
    """Seconds between two times of day on an axis of `span` seconds and `width` px: round, with room to read."""
    for step in TICK_STEPS:
        if span / step * TICK_ROOM <= width:
            return float(step)
    return float(TICK_STEPS[-1])


def steps(seconds: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """The corners of a step line: a realized figure holds until the next trade."""
    across = [seconds[0]] if seconds else []
    up = [values[0]] if values else []
    for number in range(1, len(seconds)):
        if values[number] != values[number - 1]:
            across += [seconds[number], seconds[number]]
            up += [values[number - 1], values[number]]
    if len(seconds) > 1:
        across.append(seconds[-1])
        up.append(values[-1])
    return across, up


class LineKey(QWidget):
    """The line beside its name: thick for realized, thin for the total."""

    def __init__(self, *, thick: bool) -> None:
        super().__init__()
        self._thick = thick
        self.setFixedSize(22, 16)
        theme().changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        tokens = theme().tokens
        painter = QPainter(self)
        painter.setPen(QPen(QColor(tokens.accent if self._thick else tokens.muted), 3 if self._thick else 1.5))
        painter.drawLine(0, 8, 22, 8)


class CurveView(QWidget):
    """Realized P&L as a step line, the total (with unrealized) as a thin line, limits as dashed lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Curve of the day's profit and loss")
        self._empty = EmptyState("chart-line", "No curve yet", "It starts with the first trade of the trading day.")
        self._layout = vbox(self._empty)
        self.setLayout(self._layout)
        self._plot: Any = None
        self._realized: Any = None
        self._total: Any = None
        self._limit_items: list[Any] = []
        self._limits: list[tuple[str, Decimal]] = []
        self._zone: wording.Calendar | None = None
        self.setMinimumHeight(200)
        theme().changed.connect(self._restyle)

    def show_curve(
        self, points: Sequence[CurvePoint], limits: list[tuple[str, Decimal]], calendar: wording.Calendar
    ) -> None:
        """Draw the points (in time order); with less than two there is no curve."""
        enough = len(points) >= 2
        self._empty.setVisible(not enough)
        if not enough:
            if self._plot is not None:
                self._plot.hide()
            return
        self._zone = calendar
        plot = self._ensure_plot()
        plot.show()
        seconds = [point.at.timestamp() for point in points]
        self._realized.setData(*steps(seconds, [float(point.realized) for point in points]))
        known = [(at, float(p.total)) for at, p in zip(seconds, points, strict=True) if p.total is not None]
        self._total.setData([at for at, _ in known], [total for _, total in known])
        if limits != self._limits:
            self._limits = limits
            self._draw_limits()
        levels = [float(level) for _, level in limits] + [0.0]
        values = [float(p.realized) for p in points] + [total for _, total in known]
        low, high = min(levels + values), max(levels + values)
        room = max(10.0, (high - low) * 0.08)
        plot.setYRange(low - room, high + room, padding=0)
        plot.setXRange(seconds[0], max(seconds[-1], seconds[0] + 60), padding=0.01)
        last = points[-1]
        self.setAccessibleDescription(
            f"From {calendar.clock(points[0].at)} to {calendar.clock(last.at)} {calendar.zone_name}; "
            f"realized now {wording.amount(last.realized)}, total {wording.amount(last.total)}."
        )

    def _ensure_plot(self) -> Any:
        if self._plot is not None:
            return self._plot
        import pyqtgraph as pg  # type: ignore[import-untyped]

        pg.setConfigOptions(antialias=True)
        view = self

        class ClockAxis(pg.AxisItem):  # type: ignore[misc]
            """Time of day in the zone of the reset."""

            def tickSpacing(self, low: float, high: float, size: float) -> list[tuple[float, float]]:  # noqa: N802
                return [(tick_step(high - low, size), 0.0)]

            def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
                if view._zone is None:
                    return []
                form = "%H:%M" if spacing >= 60 else "%H:%M:%S"
                return [view._zone.local(datetime.fromtimestamp(value, UTC)).strftime(form) for value in values]

        class MoneyAxis(pg.AxisItem):  # type: ignore[misc]
            """Dollars."""

            def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
                return [f"{value:,.0f}".replace("-", wording.MINUS) for value in values]

        plot = pg.PlotWidget(axisItems={"bottom": ClockAxis("bottom"), "left": MoneyAxis("left")})
        plot.setMenuEnabled(False)
        plot.setMouseEnabled(x=False, y=False)
        plot.hideButtons()
        plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        plot.setFrameShape(plot.Shape.NoFrame)
        plot.viewport().setAutoFillBackground(False)
        self._realized = plot.plot([], [])
        self._total = plot.plot([], [])
        self._plot = plot
        self._layout.addWidget(plot, 1)
        self._restyle()
        return plot

    def _restyle(self) -> None:
        if self._plot is None:
            return
        import pyqtgraph as pg

        t = theme().tokens
        self._plot.setBackground(t.surface)
        self._realized.setPen(pg.mkPen(t.accent, width=2))
        fill = QColor(t.accent)
        fill.setAlpha(28)
        self._realized.setFillLevel(0)
        self._realized.setBrush(fill)
        self._total.setPen(pg.mkPen(t.muted, width=1.2))
        for name in ("left", "bottom"):
            axis = self._plot.getAxis(name)
            axis.setPen(pg.mkPen(t.border))
            axis.setTextPen(pg.mkPen(t.muted))
            axis.setTickFont(font(12))
            axis.setStyle(tickLength=0, tickTextOffset=8)
        self._plot.showGrid(x=False, y=True, alpha=0.14)
        self._draw_limits()

    def _draw_limits(self) -> None:
        if self._plot is None:
            return
        import pyqtgraph as pg

        t = theme().tokens
        for item in self._limit_items:
            self._plot.removeItem(item)
        self._limit_items = [pg.InfiniteLine(0, angle=0, pen=pg.mkPen(t.strong_border, width=1))]
        for title, level in self._limits:
            color = t.negative if level < 0 else t.positive
            line = pg.InfiniteLine(
                float(level),
                angle=0,
                pen=pg.mkPen(color, width=1.5, style=Qt.PenStyle.DashLine),
                label=f"{title}  {wording.amount(level)}",
                labelOpts={"position": 0.03, "color": color, "anchors": [(0, 0), (0, 1)], "fill": QColor(t.surface)},
            )
            line.label.setFont(font(12, 500))
            self._limit_items.append(line)
        for item in self._limit_items:
            self._plot.addItem(item, ignoreBounds=True)
