"""Controls of a form made of others: lists with rows, groups, what can be left out; and which control edits what."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QLineEdit,
    QWidget,
)

from gui.models.admin_fields import Field, FieldKind, fields_of, plain, starting_value
from gui.views.admin.controls import (
    ChoiceControl,
    Control,
    DaysControl,
    FlagControl,
    MoneyControl,
    TextControl,
    TimeControl,
    WholeControl,
    WordsControl,
    ZoneControl,
)
from gui.views.tokens import GRID
from gui.views.widgets.basic import Button, hbox, label, vbox


class RowsControl(Control):
    """A list whose rows can be added and removed: models, or a word with a number or a model."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self._field = field
        self._rows: list[tuple[QWidget, QLineEdit | None, Control]] = []
        self._list = vbox(spacing=GRID)
        word = "symbol" if field.kind in (FieldKind.NUMBERS, FieldKind.GROUPS) else "step"
        add = Button(f"Add a {word}", "plus", name=f"{field.label}: add a {word}", on_click=self._add)
        self.setLayout(vbox(self._list, hbox(add, None), spacing=GRID))

    def _item(self) -> Control:
        field = self._field
        if field.kind is FieldKind.NUMBERS:
            whole = Field(field.label, field.label, "", FieldKind.WHOLE, field.unit, low=field.low, high=field.high)
            return WholeControl(whole)
        assert field.model is not None
        return GroupControl(field.model, side_by_side=field.kind is FieldKind.TABLE)

    def _append(self, key: str | None, value: Any) -> QLineEdit | None:
        control = self._item()
        control.set_value(value)
        control.edited.connect(self.edited)
        name: QLineEdit | None = None
        parts: list[QWidget] = []
        if key is not None:
            name = QLineEdit(key)
            name.setPlaceholderText("Symbol")
            name.setFixedWidth(96)
            name.setAccessibleName(f"{self._field.label}: symbol")
            name.textEdited.connect(lambda _: self.edited.emit())
            parts.append(name)
        row = QWidget()
        remove = Button("", "trash-2", name=f"{self._field.label}: remove {key or 'this step'}")
        remove.clicked.connect(lambda _=False: self._remove(row))
        line = hbox(*parts, control, remove, None, spacing=GRID)
        line.setAlignment(remove, Qt.AlignmentFlag.AlignTop)
        if name is not None:
            line.setAlignment(name, Qt.AlignmentFlag.AlignTop)
        row.setLayout(line)
        self._rows.append((row, name, control))
        self._list.addWidget(row)
        return name

    def _add(self) -> None:
        field = self._field
        keyed = field.kind in (FieldKind.NUMBERS, FieldKind.GROUPS)
        value: Any = 1 if field.kind is FieldKind.NUMBERS else starting_value(field.model) if field.model else None
        name = self._append("" if keyed else None, value)
        if name is not None:
            name.setFocus()
        self.edited.emit()

    def _remove(self, row: QWidget) -> None:
        self._rows = [entry for entry in self._rows if entry[0] is not row]
        row.setParent(None)
        row.deleteLater()
        self.edited.emit()

    def value(self) -> Any:
        if self._field.kind is FieldKind.TABLE:
            return [control.value() for _, _, control in self._rows]
        return {name.text().strip().upper(): control.value() for _, name, control in self._rows if name is not None}

    def set_value(self, value: Any) -> None:
        if self._rows and self.value() == value:
            return
        for row, _, _ in self._rows:
            row.setParent(None)
            row.deleteLater()
        self._rows = []
        if isinstance(value, dict):
            for key, item in value.items():
                self._append(str(key), item)
        elif isinstance(value, list | tuple):
            for item in value:
                self._append(None, item)


_OF_A_SPAN = frozenset({FieldKind.TIME, FieldKind.ZONE})


class GroupControl(Control):
    """A model inside a model."""

    def __init__(self, model: Any, *, side_by_side: bool = False) -> None:
        super().__init__()
        self._controls: dict[str, OptionalControl | Control] = {}
        self._rest: dict[str, Any] = {}
        parts: list[QWidget] = []
        for field in fields_of(model):
            control = control_for(field)
            control.edited.connect(self.edited)
            self._controls[field.key] = control
            part = QWidget()
            part.setLayout(vbox(label(field.label, "caption"), control, spacing=2))
            part.setToolTip(field.help)
            parts.append(part)
        if side_by_side:
            self.setLayout(hbox(*parts, None, spacing=2 * GRID))
            return
        column = vbox(spacing=GRID)
        kinds = [field.kind for field in fields_of(model)]
        for number, part in enumerate(parts):
            # From, until and their time zone are read as one.
            if kinds[number] in _OF_A_SPAN and number and kinds[number - 1] in _OF_A_SPAN:
                continue
            last = number + 1
            while kinds[number] in _OF_A_SPAN and last < len(parts) and kinds[last] in _OF_A_SPAN:
                last += 1
            column.addLayout(hbox(part, *parts[number + 1 : last], None, spacing=2 * GRID))
        self.setLayout(column)

    def value(self) -> Any:
        found = {key: control.value() for key, control in self._controls.items()}
        return {key: value for key, value in found.items() if value is not None}

    def set_value(self, value: Any) -> None:
        known = value if isinstance(value, dict) else {}
        for key, control in self._controls.items():
            control.set_value(known.get(key))


class OptionalControl(Control):
    """A control that can be left out."""

    def __init__(self, field: Field, inner: Control) -> None:
        super().__init__()
        self._field = field
        self._inner = inner
        self.box = QCheckBox("Set")
        self.box.setAccessibleName(f"{field.label}: set")
        self.box.clicked.connect(self._clicked)
        inner.edited.connect(self.edited)
        deep = field.kind in (FieldKind.GROUP, FieldKind.GROUPS, FieldKind.TABLE)
        self.setLayout(vbox(self.box, inner, spacing=4) if deep else hbox(self.box, inner, None, spacing=GRID))

    def _clicked(self, on: bool) -> None:
        if on and self._inner.value() in (None, {}, []):
            example = starting_value(self._field.model) if self._field.model is not None else self._field.low
            self._inner.set_value(plain(example))
        self._inner.setVisible(on)
        self.edited.emit()

    def value(self) -> Any:
        return self._inner.value() if self.box.isChecked() else None

    def set_value(self, value: Any) -> None:
        self.box.setChecked(value is not None)
        self._inner.setVisible(value is not None)
        if value is not None:
            self._inner.set_value(value)


_SIMPLE: dict[FieldKind, type[Any]] = {
    FieldKind.FLAG: FlagControl,
    FieldKind.WHOLE: WholeControl,
    FieldKind.MONEY: MoneyControl,
    FieldKind.CHOICE: ChoiceControl,
    FieldKind.TIME: TimeControl,
    FieldKind.ZONE: ZoneControl,
    FieldKind.DAYS: DaysControl,
    FieldKind.WORDS: WordsControl,
    FieldKind.TEXT: TextControl,
    FieldKind.TABLE: RowsControl,
    FieldKind.NUMBERS: RowsControl,
    FieldKind.GROUPS: RowsControl,
}


def control_for(field: Field) -> Control:
    """The control that edits a setting."""
    control: Control
    if field.kind is FieldKind.GROUP and field.model is not None:
        control = GroupControl(field.model)
    else:
        control = _SIMPLE[field.kind](field)
    return OptionalControl(field, control) if field.optional else control
