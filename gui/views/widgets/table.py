"""A table view in the program's look: quiet lines, flashing cells, bars, icons, and one click to copy."""

from __future__ import annotations

from typing import Any, override

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, QSortFilterProxyModel, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetricsF, QKeyEvent, QKeySequence, QPainter, QPen, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QStackedLayout,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from gui.models.table import FLASH_ROLE, ICON_ROLE, SHARE_ROLE, SORT_ROLE, TONE_ROLE, TableModel
from gui.views import icons
from gui.views.theme import font, theme
from gui.views.tokens import SIZE_BODY, Tone
from gui.views.widgets.basic import EmptyState
from gui.views.widgets.figure import draw_share

type Index = QModelIndex | QPersistentModelIndex

ROW_HEIGHT = 38
PADDING = 12


class CellDelegate(QStyledItemDelegate):
    """Paints a cell: ground (flash, selection), icon, text in its tone, or a bar with its percentage."""

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        tokens = theme().tokens
        rect: Any = option.rect  # type: ignore[attr-defined]
        state: Any = option.state  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(tokens.accent_soft))
        tone = Tone(index.data(TONE_ROLE) or Tone.NEUTRAL)
        if index.data(FLASH_ROLE):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.soft(tone) if tone is not Tone.NEUTRAL else tokens.accent_soft))
            painter.drawRoundedRect(QRectF(rect).adjusted(4, 5, -4, -5), 5, 5)
        painter.setPen(QPen(QColor(tokens.border), 1))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        inner = QRectF(rect).adjusted(PADDING, 0, -PADDING, 0)
        share = index.data(SHARE_ROLE)
        words = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        if share is not None:
            self._paint_share(painter, inner, share, words, tokens.text)
        else:
            name = index.data(ICON_ROLE)
            if name:
                icons.paint(painter, name, tokens.tone(tone), QRectF(inner.left(), inner.center().y() - 8, 16, 16))
                inner.setLeft(inner.left() + 24)
            painter.setFont(font(SIZE_BODY, 500 if tone is not Tone.NEUTRAL else 400))
            painter.setPen(QColor(tokens.tone(tone)))
            metrics = QFontMetricsF(painter.font())
            shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, inner.width())
            painter.drawText(inner, int(index.data(Qt.ItemDataRole.TextAlignmentRole)), shown)
        focused = state & QStyle.StateFlag.State_HasFocus
        if focused:
            painter.setPen(QPen(QColor(tokens.focus), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(rect).adjusted(2, 2, -2, -3), 4, 4)
        painter.restore()

    @staticmethod
    def _paint_share(painter: QPainter, inner: QRectF, share: float, words: str, color: str) -> None:
        painter.setFont(font(SIZE_BODY, 500))
        room = QFontMetricsF(painter.font()).horizontalAdvance("100 %") + 10
        bar = QRectF(inner.left(), inner.center().y() - 4, inner.width() - room, 8)
        draw_share(painter, bar, share)
        painter.setPen(QColor(color))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(inner.right() - room, inner.top(), room, inner.height()), int(right.value), words)

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        metrics = QFontMetricsF(font(SIZE_BODY, 500))
        width = metrics.horizontalAdvance(str(index.data(Qt.ItemDataRole.DisplayRole) or "")) + 2 * PADDING + 4
        if index.data(ICON_ROLE):
            width += 24
        if index.data(SHARE_ROLE) is not None:
            width += 110
        return QSize(int(width), ROW_HEIGHT)


class DataTable(QTableView):
    """Shows a `TableModel`, sorted by a click on a heading. Ctrl+C copies the selected rows as tab-separated text."""

    def __init__(self, model: TableModel[Any], name: str, *, sortable: bool = True) -> None:
        super().__init__()
        self.source = model
        self.proxy = QSortFilterProxyModel(self)
        self.proxy.setSortRole(SORT_ROLE)
        self.proxy.setSourceModel(model)
        self.setModel(self.proxy)
        self.setItemDelegate(CellDelegate(self))
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(56)
        for number, column in enumerate(model.columns):
            mode = QHeaderView.ResizeMode.Stretch if column.stretch else QHeaderView.ResizeMode.Interactive
            header.setSectionResizeMode(number, mode)
        if sortable:
            self.setSortingEnabled(True)
            # Until a heading is clicked the model's own order holds.
            self.proxy.sort(-1)
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        model.rowsInserted.connect(self._fit)
        model.modelReset.connect(self._fit)
        model.dataChanged.connect(self._changed)
        self._flash_timer = QTimer(self)
        self._flash_timer.setInterval(150)
        self._flash_timer.timeout.connect(self._fade)
        theme().changed.connect(self._retheme)

    def _retheme(self) -> None:
        self.viewport().update()

    def _changed(self) -> None:
        if self.source.flashing and not self._flash_timer.isActive() and self.isVisible():
            self._flash_timer.start()
        self._widen()

    def _fade(self) -> None:
        if not self.source.flashing:
            self._flash_timer.stop()
        self.viewport().update()

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Columns as wide as their widest of the first rows; they only grow later, so that nothing jumps."""
        header = self.horizontalHeader()
        for number, column in enumerate(self.source.columns):
            if not column.stretch:
                header.resizeSection(number, self._wanted(number))

    def _widen(self) -> None:
        header = self.horizontalHeader()
        for number, column in enumerate(self.source.columns):
            if not column.stretch:
                wanted = self._wanted(number)
                if wanted > header.sectionSize(number):
                    header.resizeSection(number, wanted)

    def _wanted(self, number: int) -> int:
        heading = QFontMetricsF(font(12, 600)).horizontalAdvance(self.source.columns[number].heading) + 2 * PADDING + 12
        return max(int(heading), self.sizeHintForColumn(number) if self.source.rowCount() else 0)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        super().keyPressEvent(event)

    def copy(self) -> None:
        """Put the selected rows on the clipboard."""
        lines = []
        for index in sorted(self.selectionModel().selectedRows(), key=lambda item: item.row()):
            row = self.source.row(self.proxy.mapToSource(index))
            if row is not None:
                lines.append("\t".join((column.plain or column.text)(row) for column in self.source.columns))
        if lines:
            QApplication.clipboard().setText("\n".join(lines))


class TableOrEmpty(QWidget):
    """A table, or what to say while it has no rows."""

    def __init__(self, table: DataTable, empty: EmptyState) -> None:
        super().__init__()
        self.table, self.empty = table, empty
        self._stack = QStackedLayout(self)
        self._stack.addWidget(empty)
        self._stack.addWidget(table)
        for signal in (table.proxy.rowsInserted, table.proxy.rowsRemoved, table.proxy.modelReset):
            signal.connect(self._switch)
        self._switch()

    def _switch(self) -> None:
        self._stack.setCurrentWidget(self.table if self.table.proxy.rowCount() else self.empty)
