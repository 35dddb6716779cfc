"""The day's P&L curve, painted by hand: a plotting library would cost 45 MB for two lines and a grid."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from gui import wording
from gui.records import CurvePoint, Rule, money
from gui.views.theme import font, theme
from gui.views.tokens import SIZE_SMALL
from gui.views.widgets.basic import EmptyState, vbox

LIMIT_KEYS = ("daily_realized_loss", "daily_total_loss", "daily_realized_profit")
"""Rules whose limit is a horizontal line of the day's P&L."""

TICK_STEPS = (5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14_400)
TICK_ROOM = 84
"""Least distance of two times on the axis in px."""
LINE_ROOM = 44
"""Least distance of two amounts on the axis in px."""


def limit_lines(rules: Sequence[Rule]) -> list[tuple[str, Decimal]]:
    """Title and dollars of the limits that the curve can reach."""
    lines = []
    for rule in rules:
        if rule.key in LIMIT_KEYS and rule.enabled:
            level = money(rule.params.get("limit", rule.params.get("target")))
            if level is not None:
                lines.append((rule.title, level))
    return lines


def tick_step(span: float, width: float) -> float:
    """Seconds between two times of day on an axis of `span` seconds and `width` px: round, with room to read."""
    for step in TICK_STEPS:
        if span / step * TICK_ROOM <= width:
            return float(step)
    return float(TICK_STEPS[-1])


def level_step(span: float, height: float) -> float:
    """Dollars between two lines of the grid: 1, 2 or 5 times a power of ten, with room to read."""
    least = span * LINE_ROOM / max(1.0, height)
    power = 10.0 ** math.floor(math.log10(max(least, 1e-9)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)


def level_range(values: Sequence[float], limits: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest dollars to show.

    All figures and zero; a limit as soon as the figures have gone a fifth of the way to it (always the nearest one
    below), so that a distant target does not flatten the day.
    """
    low, high = min([0.0, *values]), max([0.0, *values])
    for limit in limits:
        reached = low if limit < 0 else high
        if limit < 0 or reached >= 0.2 * limit:
            low, high = min(low, limit), max(high, limit)
    room = max(10.0, (high - low) * 0.08)
    return low - room, high + room


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


class Plot(QWidget):
    """Grid, limits, curves, and under the mouse the figures of that moment."""

    def __init__(self) -> None:
        super().__init__()
        self._points: list[CurvePoint] = []
        self._seconds: list[float] = []
        self._realized: list[float] = []
        self._total: list[tuple[float, float]] = []
        self._limits: list[tuple[str, Decimal]] = []
        self._calendar = wording.Calendar()
        self._low, self._high = -1.0, 1.0
        self._mouse: float | None = None
        self.setMouseTracking(True)
        self.setMinimumHeight(160)
        theme().changed.connect(self.update)

    def set_data(
        self, points: Sequence[CurvePoint], limits: list[tuple[str, Decimal]], calendar: wording.Calendar
    ) -> None:
        """Take over points in time order (two at least), limits in dollars, the zone of the axis."""
        self._points = list(points)
        self._seconds = [point.at.timestamp() for point in points]
        self._realized = [float(point.realized) for point in points]
        pairs = zip(self._seconds, points, strict=True)
        self._total = [(at, float(point.total)) for at, point in pairs if point.total is not None]
        self._limits, self._calendar = limits, calendar
        values = self._realized + [total for _, total in self._total]
        self._low, self._high = level_range(values, [float(level) for _, level in limits])
        self.update()

    # -- geometry ----------------------------------------------------------------------------------------------------

    @property
    def _area(self) -> QRectF:
        return QRectF(self.rect()).adjusted(64, 6, -6, -26)

    @property
    def _span(self) -> tuple[float, float]:
        first = self._seconds[0]
        return first, max(self._seconds[-1], first + 60)

    def _x(self, at: float) -> float:
        first, last = self._span
        return self._area.left() + (at - first) / (last - first) * self._area.width()

    def _y(self, level: float) -> float:
        area = self._area
        return area.bottom() - (level - self._low) / (self._high - self._low) * area.height()

    def _line(self, across: Sequence[float], up: Sequence[float]) -> QPolygonF:
        return QPolygonF([QPointF(self._x(at), self._y(level)) for at, level in zip(across, up, strict=True)])

    # -- painting ----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        if len(self._points) < 2:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(font(SIZE_SMALL))
        self._draw_grid(painter)
        self._draw_curves(painter)
        self._draw_limits(painter)
        if self._mouse is not None:
            self._draw_moment(painter, self._mouse)

    def _draw_grid(self, painter: QPainter) -> None:
        tokens, area = theme().tokens, self._area
        step = level_step(self._high - self._low, area.height())
        level = math.ceil(self._low / step) * step
        right = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
        while level <= self._high:
            y = self._y(level)
            painter.setPen(QPen(QColor(tokens.strong_border if abs(level) < step / 2 else tokens.border), 1))
            painter.drawLine(QLineF(area.left(), y, area.right(), y))
            painter.setPen(QColor(tokens.muted))
            words = f"{level:,.0f}".replace("-0", "0") if abs(level) < step / 2 else f"{level:,.0f}"
            painter.drawText(QRectF(0, y - 10, area.left() - 10, 20), right, words.replace("-", wording.MINUS))
            level += step
        first, last = self._span
        stride = tick_step(last - first, area.width())
        # Round times of the zone, which may lie an odd quarter of an hour from UTC.
        shift = (self._calendar.local(self._points[0].at).utcoffset() or timedelta(0)).total_seconds()
        at = math.ceil((first + shift) / stride) * stride - shift
        form = "%H:%M" if stride >= 60 else "%H:%M:%S"
        centre = int(Qt.AlignmentFlag.AlignCenter.value)
        while at <= last:
            x = self._x(at)
            if area.left() + 16 <= x <= area.right() - 16:
                words = self._calendar.local(datetime.fromtimestamp(at, UTC)).strftime(form)
                painter.drawText(QRectF(x - 40, area.bottom() + 6, 80, 20), centre, words)
            at += stride

    def _draw_curves(self, painter: QPainter) -> None:
        tokens = theme().tokens
        outline = self._line(*steps(self._seconds, self._realized))
        ground = QPainterPath()
        ground.addPolygon(outline)
        zero = self._y(0.0)
        ground.lineTo(outline.last().x(), zero)
        ground.lineTo(outline.first().x(), zero)
        ground.closeSubpath()
        fill = QColor(tokens.accent)
        fill.setAlpha(30)
        painter.fillPath(ground, fill)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if len(self._total) > 1:
            painter.setPen(QPen(QColor(tokens.muted), 1.3))
            painter.drawPolyline(self._line([at for at, _ in self._total], [level for _, level in self._total]))
        painter.setPen(QPen(QColor(tokens.accent), 2))
        painter.drawPolyline(outline)

    def _draw_limits(self, painter: QPainter) -> None:
        tokens, area = theme().tokens, self._area
        painter.setFont(font(SIZE_SMALL, 600))
        metrics = QFontMetricsF(painter.font())
        for title, level in self._limits:
            if not self._low <= float(level) <= self._high:
                continue
            color = QColor(tokens.negative if level < 0 else tokens.positive)
            y = self._y(float(level))
            painter.setPen(QPen(color, 1.5, Qt.PenStyle.DashLine))
            painter.drawLine(QLineF(area.left(), y, area.right(), y))
            words = f"{title} {wording.amount(level)}"
            # Inside: below a target, above a loss limit.
            top = y + 4 if level > 0 else y - 22
            box = QRectF(area.left() + 10, top, metrics.horizontalAdvance(words) + 12, 18)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.surface))
            painter.drawRoundedRect(box, 4, 4)
            painter.setPen(color)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter.value), words)
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _draw_moment(self, painter: QPainter, mouse: float) -> None:
        tokens, area = theme().tokens, self._area
        point = self._point_at(mouse)
        x = self._x(point.at.timestamp())
        painter.setPen(QPen(QColor(tokens.strong_border), 1))
        painter.drawLine(QLineF(x, area.top(), x, area.bottom()))
        lines = [
            f"{self._calendar.clock(point.at)} {self._calendar.zone_name}",
            f"Realized {wording.amount(point.realized)}",
            f"Total {wording.amount(point.total)}",
        ]
        painter.setFont(font(SIZE_SMALL, 500))
        metrics = QFontMetricsF(painter.font())
        width = max(metrics.horizontalAdvance(line) for line in lines) + 24
        left = x + 12 if x + 12 + width < area.right() else x - 12 - width
        box = QRectF(left, area.top() + 8, width, 3 * 18 + 14)
        painter.setPen(QPen(QColor(tokens.strong_border), 1))
        painter.setBrush(QColor(tokens.raised))
        painter.drawRoundedRect(box, 6, 6)
        painter.setPen(QColor(tokens.text))
        for number, line in enumerate(lines):
            place = QRectF(left + 12, box.top() + 7 + 18 * number, width - 24, 18)
            painter.drawText(place, int(Qt.AlignmentFlag.AlignVCenter.value), line)

    def _point_at(self, mouse: float) -> CurvePoint:
        first, last = self._span
        at = first + (mouse - self._area.left()) / max(1.0, self._area.width()) * (last - first)
        # What held at that moment: the last point before it.
        return self._points[max(0, bisect.bisect_right(self._seconds, at) - 1)]

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        inside = self._area.left() <= event.position().x() <= self._area.right()
        self._mouse = event.position().x() if inside and len(self._points) >= 2 else None
        self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        self._mouse = None
        self.update()


class CurveView(QWidget):
    """The plot, or why there is none yet."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Curve of the day's profit and loss")
        self.empty = EmptyState("chart-line", "No curve yet", "It starts with the first trade of the trading day.")
        self.plot = Plot()
        self.plot.hide()
        self.setLayout(vbox(self.empty, self.plot))
        self.setMinimumHeight(200)

    def show_curve(
        self, points: Sequence[CurvePoint], limits: list[tuple[str, Decimal]], calendar: wording.Calendar
    ) -> None:
        """Realized P&L as a step line, the total (with unrealized) as a thin line, limits as dashed lines."""
        enough = len(points) >= 2
        self.empty.setVisible(not enough)
        self.plot.setVisible(enough)
        if not enough:
            return
        self.plot.set_data(points, limits, calendar)
        first, last = points[0], points[-1]
        self.setAccessibleDescription(
            f"From {calendar.clock(first.at)} to {calendar.clock(last.at)} {calendar.zone_name}; "
            f"realized now {wording.amount(last.realized)}, total {wording.amount(last.total)}."
        )
