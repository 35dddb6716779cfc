"""A table model over rows of any kind, told apart by a key, that knows which cells changed just now."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, override

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

type Index = QModelIndex | QPersistentModelIndex

ROW_ROLE = int(Qt.ItemDataRole.UserRole)
"""The row itself."""
SORT_ROLE = ROW_ROLE + 1
"""What the column sorts by."""
TONE_ROLE = ROW_ROLE + 2
"""Name of a `Tone` for the text, or None."""
FLASH_ROLE = ROW_ROLE + 3
"""Whether the cell changed in the last `FLASH_SECONDS`."""
ICON_ROLE = ROW_ROLE + 4
"""Name of an icon before the text, or None."""
SUB_ROLE = ROW_ROLE + 5
"""A second, quieter text below the first; wrapped, never cut. "" for none."""

FLASH_SECONDS = 0.5
REST_SECONDS = 1.0
"""Least time between two flashes of a cell."""


@dataclass(frozen=True, slots=True)
class Column[T]:
    """One column: heading, text, and what goes with it.

    `sort` gives the value to sort by (default: the text). `tone` names a colour. `plain` is the text for files and the
    clipboard (default: the text). `flash` lights the cell up when its text changes. `sub` is a second line. `optional`:
    left out while the table is too narrow for all columns.
    """

    heading: str
    text: Callable[[T], str]
    sort: Callable[[T], Any] | None = None
    tone: Callable[[T], str | None] | None = None
    plain: Callable[[T], str] | None = None
    icon: Callable[[T], str | None] | None = None
    sub: Callable[[T], str] | None = None
    tip: Callable[[T], str] | None = None
    right: bool = False
    flash: bool = False
    stretch: bool = False
    optional: bool = False


class TableModel[T](QAbstractTableModel):
    """Rows replaced as a whole with `set_rows`; only what differs is announced, so selection and scrolling stay."""

    def __init__(
        self,
        columns: Sequence[Column[T]],
        key: Callable[[T], Hashable],
        parent: QObject | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._key = key
        self._rows: list[T] = []
        self._texts: dict[Hashable, tuple[str, ...]] = {}
        self._looks: dict[Hashable, tuple[object, ...]] = {}
        self._flashes: dict[tuple[Hashable, int], float] = {}
        self._monotonic = monotonic

    def gapped(self, number: int) -> bool:
        """Whether a column begins at the left right beside one that ends at the right: more room between them."""
        return number > 0 and self.columns[number - 1].right and not self.columns[number].right

    @property
    def rows(self) -> Sequence[T]:
        return self._rows

    def set_rows(self, rows: Sequence[T]) -> None:
        """Show these rows in this order."""
        old_keys = [self._key(row) for row in self._rows]
        new_keys = [self._key(row) for row in rows]
        new_texts = {key: self._row_texts(row) for key, row in zip(new_keys, rows, strict=True)}
        new_looks = {key: self._row_looks(row) for key, row in zip(new_keys, rows, strict=True)}
        old_looks, self._looks = self._looks, new_looks
        if old_keys == new_keys:
            old_texts, self._texts = self._texts, new_texts
            self._rows = list(rows)
            for number, key in enumerate(new_keys):
                if old_texts[key] != new_texts[key] or old_looks[key] != new_looks[key]:
                    self._announce(number, key, old_texts[key], new_texts[key])
            return
        if len(new_keys) > len(old_keys) and new_keys[len(new_keys) - len(old_keys) :] == old_keys:
            added = len(new_keys) - len(old_keys)
            self.beginInsertRows(QModelIndex(), 0, added - 1)
            old_texts, self._texts = self._texts, new_texts
            self._rows = list(rows)
            self.endInsertRows()
            for number, key in enumerate(old_keys, start=added):
                if old_texts[key] != new_texts[key] or old_looks[key] != new_looks[key]:
                    self._announce(number, key, old_texts[key], new_texts[key])
            return
        self.beginResetModel()
        self._remember_flashes(new_texts)
        self._rows = list(rows)
        self._texts = new_texts
        self.endResetModel()

    def _row_texts(self, row: T) -> tuple[str, ...]:
        return tuple(column.text(row) for column in self.columns)

    def _row_looks(self, row: T) -> tuple[object, ...]:
        """What can change without the text: colour, icon, second line."""
        return tuple(
            part(row) for column in self.columns for part in (column.tone, column.icon, column.sub) if part is not None
        )

    def _announce(self, number: int, key: Hashable, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        if old != new:
            self._light(key, old, new)
        first, last = self.index(number, 0), self.index(number, len(self.columns) - 1)
        self.dataChanged.emit(first, last)

    def _remember_flashes(self, new_texts: dict[Hashable, tuple[str, ...]]) -> None:
        for key, texts in new_texts.items():
            if key in self._texts:
                self._light(key, self._texts[key], texts)

    def _light(self, key: Hashable, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        now = self._monotonic()
        for number, column in enumerate(self.columns):
            if column.flash and old[number] != new[number]:
                lit = self._flashes.get((key, number))
                # What changes all the time is not news: it lights up again only after a rest.
                if lit is None or now > lit + REST_SECONDS:
                    self._flashes[key, number] = now + FLASH_SECONDS

    @property
    def flashing(self) -> bool:
        """Whether a cell is lit now; forgets those that are over."""
        now = self._monotonic()
        self._flashes = {cell: until for cell, until in self._flashes.items() if until + REST_SECONDS > now}
        return any(until > now for until in self._flashes.values())

    def row(self, index: Index) -> T | None:
        """The row of an index; None outside."""
        return self._rows[index.row()] if index.isValid() and 0 <= index.row() < len(self._rows) else None

    @override
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    @override
    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self.columns)

    @override
    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.heading
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column.right)
        return None

    @override
    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row(index)
        if row is None:
            return None
        column = self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._texts[self._key(row)][index.column()]
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column.right)
            case Qt.ItemDataRole.AccessibleTextRole:
                below = f". {column.sub(row)}" if column.sub else ""
                return f"{column.heading}: {self._texts[self._key(row)][index.column()]}{below}"
            case Qt.ItemDataRole.ToolTipRole:
                return column.tip(row) if column.tip else None
            case _ if role == ROW_ROLE:
                return row
            case _ if role == SORT_ROLE:
                return sortable(column.sort(row)) if column.sort else column.text(row).casefold()
            case _ if role == TONE_ROLE:
                return column.tone(row) if column.tone else None
            case _ if role == FLASH_ROLE:
                return self._flashes.get((self._key(row), index.column()), 0.0) > self._monotonic()
            case _ if role == ICON_ROLE:
                return column.icon(row) if column.icon else None
            case _ if role == SUB_ROLE:
                return column.sub(row) if column.sub else None
        return None

    def csv_rows(self) -> list[list[str]]:
        """Headings and rows as plain text for a CSV file."""
        lines = [[column.heading for column in self.columns]]
        lines += [[(column.plain or column.text)(row) for column in self.columns] for row in self._rows]
        return lines


def sortable(value: Any) -> Any:
    """A value Qt can compare: Decimal as float, a time as its seconds, None below everything."""
    if value is None:
        return float("-inf")
    if isinstance(value, Decimal):
        return float(value)
    stamp = getattr(value, "timestamp", None)
    return stamp() if callable(stamp) else value


def _alignment(right: bool) -> int:
    side = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    return int((side | Qt.AlignmentFlag.AlignVCenter).value)
