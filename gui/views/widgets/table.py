"""A table view in the program's look: quiet lines, flashing cells, bars, icons, and one click to copy."""

from __future__ import annotations

from typing import Any, override

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, QSortFilterProxyModel, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QFontMetricsF,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPen,
    QResizeEvent,
    QShowEvent,
)
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

from gui.models.table import FLASH_ROLE, ICON_ROLE, SORT_ROLE, SUB_ROLE, TONE_ROLE, TableModel
from gui.views import icons
from gui.views.theme import font, theme
from gui.views.tokens import SIZE_BODY, SIZE_SMALL, Tone
from gui.views.widgets.basic import EmptyState

type Index = QModelIndex | QPersistentModelIndex

ROW_HEIGHT = 38
PADDING = 12
COLUMN_GAP = 20
"""More room between figures that end at the right and words that begin at the left."""
LINE_GAP = 9
"""Room above and below the text of a row with two lines."""


class CellDelegate(QStyledItemDelegate):
    """Paints a cell: ground (flash, selection), icon, text in its tone, or a bar with its percentage."""

    @override
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        tokens = theme().tokens
        rect: Any = option.rect
        state: Any = option.state
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
        inner = QRectF(rect).adjusted(PADDING + self._gap(index), 0, -PADDING, 0)
        words = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        name = index.data(ICON_ROLE)
        if name:
            icons.paint(painter, name, tokens.tone(tone), QRectF(inner.left(), inner.center().y() - 8, 16, 16))
            inner.setLeft(inner.left() + 24)
        painter.setFont(font(SIZE_BODY, 500 if tone is not Tone.NEUTRAL else 400))
        painter.setPen(QColor(tokens.tone(tone)))
        metrics = QFontMetricsF(painter.font())
        shown = metrics.elidedText(words, Qt.TextElideMode.ElideRight, inner.width())
        below = index.data(SUB_ROLE)
        if below:
            inner.adjust(0, LINE_GAP, 0, -LINE_GAP)
            painter.drawText(inner, int(Qt.AlignmentFlag.AlignTop.value), shown)
            painter.setFont(font(SIZE_SMALL))
            painter.setPen(QColor(tokens.muted))
            inner.setTop(inner.top() + metrics.height() + 2)
            painter.drawText(inner, int(Qt.TextFlag.TextWordWrap.value), below)
        else:
            painter.drawText(inner, int(index.data(Qt.ItemDataRole.TextAlignmentRole)), shown)
        focused = state & QStyle.StateFlag.State_HasFocus
        if focused:
            painter.setPen(QPen(QColor(tokens.focus), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(rect).adjusted(2, 2, -2, -3), 4, 4)
        painter.restore()

    @staticmethod
    def _gap(index: Index) -> int:
        proxy = index.model()
        table = proxy.sourceModel() if isinstance(proxy, QSortFilterProxyModel) else proxy
        return COLUMN_GAP if isinstance(table, TableModel) and table.gapped(index.column()) else 0

    @override
    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        metrics = QFontMetricsF(font(SIZE_BODY, 500))
        width = metrics.horizontalAdvance(str(index.data(Qt.ItemDataRole.DisplayRole) or "")) + 2 * PADDING + 4
        if index.data(ICON_ROLE):
            width += 24
        width += self._gap(index)
        return QSize(int(width), ROW_HEIGHT)

    @staticmethod
    def height_for(words: str, width: float) -> int:
        """Height of a row whose second line is `words`, wrapped at `width` px."""
        if not words:
            return ROW_HEIGHT
        area = QRectF(0, 0, max(60.0, width), 10_000)
        wrapped = QFontMetricsF(font(SIZE_SMALL)).boundingRect(area, int(Qt.TextFlag.TextWordWrap.value), words)
        first = QFontMetricsF(font(SIZE_BODY, 500)).height()
        return max(ROW_HEIGHT, int(first + 2 + wrapped.height() + 2 * LINE_GAP + 1))


class _Header(QHeaderView):
    """Headings stand above their cells, also where a column begins after a gap."""

    def __init__(self, model: TableModel[Any]) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self._model = model
        self.setSectionsClickable(True)
        self.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    @override
    def paintSection(self, painter: QPainter, rect: QRect, logicalIndex: int) -> None:
        if not self._model.gapped(logicalIndex):
            super().paintSection(painter, rect, logicalIndex)
            return
        tokens = theme().tokens
        gap = QRect(rect.left(), rect.top(), COLUMN_GAP, rect.height())
        painter.fillRect(gap, QColor(tokens.surface))
        painter.setPen(QPen(QColor(tokens.border), 1))
        painter.drawLine(gap.bottomLeft(), gap.bottomRight())
        super().paintSection(painter, rect.adjusted(COLUMN_GAP, 0, 0, 0), logicalIndex)


class DataTable[T](QTableView):
    """Shows a `TableModel`, sorted by a click on a heading. Ctrl+C copies the selected rows as tab-separated text."""

    def __init__(self, model: TableModel[T], name: str, *, sortable: bool = True) -> None:
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
        self.setHorizontalHeader(_Header(model))
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
        self._tall = next((number for number, column in enumerate(model.columns) if column.sub), None)
        self._dropped: set[int] = set()
        self._filling = all(not column.stretch for column in model.columns)
        model.rowsInserted.connect(self._fit)
        model.modelReset.connect(self._fit)
        if self._tall is not None:
            header.sectionResized.connect(self._fit_rows_soon)
            self.proxy.layoutChanged.connect(self._fit_rows_soon)
        model.dataChanged.connect(self._changed)
        self._widen_timer = QTimer(self)
        self._widen_timer.setSingleShot(True)
        self._widen_timer.setInterval(0)
        self._widen_timer.timeout.connect(self._widen)
        self._rows_timer = QTimer(self)
        self._rows_timer.setSingleShot(True)
        self._rows_timer.setInterval(0)
        self._rows_timer.timeout.connect(self._fit_rows)
        self._flash_timer = QTimer(self)
        self._flash_timer.setInterval(150)
        self._flash_timer.timeout.connect(self._fade)
        theme().changed.connect(self._retheme)

    def _retheme(self) -> None:
        self.viewport().update()

    def _changed(self) -> None:
        if self.source.flashing and not self._flash_timer.isActive() and self.isVisible():
            self._flash_timer.start()
        if not self._widen_timer.isActive():
            self._widen_timer.start()
        self._fit_rows_soon()

    def _fade(self) -> None:
        if not self.source.flashing:
            self._flash_timer.stop()
        self.viewport().update()

    @override
    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Columns as wide as their widest; room that is left over is shared out when no column takes it all."""
        self._drop_optional()
        header = self.horizontalHeader()
        numbers = [
            n for n, column in enumerate(self.source.columns) if not column.stretch and not self.isColumnHidden(n)
        ]
        wanted = {number: self._wanted(number) for number in numbers}
        rest = self.viewport().width() - sum(wanted.values())
        extra = max(0, rest // len(numbers)) if self._filling and numbers else 0
        for number in numbers:
            header.resizeSection(number, wanted[number] + extra)
        self._fit_rows_soon()

    def _fit_rows_soon(self) -> None:
        # After the scroll bar has come or gone, which changes the width once more.
        if self._tall is not None and not self._rows_timer.isActive():
            self._rows_timer.start()

    def _drop_optional(self) -> None:
        """Leave optional columns out, the last first, while the others need the room."""
        for number in self._dropped:
            self.setColumnHidden(number, False)
        self._dropped.clear()
        columns = list(enumerate(self.source.columns))
        need = sum(self._wanted(n) + (120 if c.stretch else 0) for n, c in columns if not self.isColumnHidden(n))
        for number, column in reversed(columns):
            if need <= self.viewport().width():
                return
            if column.optional and not self.isColumnHidden(number):
                need -= self._wanted(number)
                self.setColumnHidden(number, True)
                self._dropped.add(number)

    def _fit_rows(self) -> None:
        """Rows with a second line as high as it needs at the width it has."""
        if self._tall is None or not self.isVisible():
            return
        for row in range(self.proxy.rowCount()):
            index = self.proxy.index(row, self._tall)
            # Measured a little narrower than painted: a word at the very edge must not lose its line.
            room = self.columnWidth(self._tall) - 2 * PADDING - 4 - (24 if index.data(ICON_ROLE) else 0)
            height = CellDelegate.height_for(str(index.data(SUB_ROLE) or ""), room)
            if self.rowHeight(row) != height:
                self.setRowHeight(row, height)

    def _widen(self) -> None:
        if not self.isVisible():
            return
        header = self.horizontalHeader()
        for number, column in enumerate(self.source.columns):
            if not column.stretch:
                wanted = self._wanted(number)
                if wanted > header.sectionSize(number):
                    header.resizeSection(number, wanted)

    def _wanted(self, number: int) -> int:
        heading = QFontMetricsF(font(12, 600)).horizontalAdvance(self.source.columns[number].heading) + 2 * PADDING + 12
        heading += COLUMN_GAP if self.source.gapped(number) else 0
        return max(int(heading), self.sizeHintForColumn(number) if self.source.rowCount() else 0)

    @override
    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        super().keyPressEvent(event)

    def chosen_rows(self) -> list[T]:
        """The rows that are selected, from the top."""
        chosen = sorted(self.selectionModel().selectedRows(), key=lambda item: item.row())
        rows = (self.source.row(self.proxy.mapToSource(index)) for index in chosen)
        return [row for row in rows if row is not None]

    def chosen_row(self) -> T | None:
        """The row that is selected; None without one, and with several."""
        rows = self.chosen_rows()
        return rows[0] if len(rows) == 1 else None

    def copy(self) -> None:
        """Put the selected rows on the clipboard."""
        lines = []
        for row in self.chosen_rows():
            lines.append("\t".join((column.plain or column.text)(row) for column in self.source.columns))
        if lines:
            QApplication.clipboard().setText("\n".join(lines))


class TableOrEmpty(QWidget):
    """A table, or what to say while it has no rows."""

    def __init__(self, table: DataTable[Any], empty: EmptyState) -> None:
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
