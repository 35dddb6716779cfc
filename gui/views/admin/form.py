"""Forms made from `gui.models.admin_fields`: one control for each kind of setting, none for any one setting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTime, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QCompleter,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QTimeEdit,
    QWidget,
)

from gui.admin_words import number_words, unit_sign, value_words
from gui.models.admin_fields import Field, FieldKind, fields_of, plain, starting_value
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, hbox, label, padded, restyle, set_text, vbox
from shared.config_fields import time_zones

DAY_NAMES = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}
CONTROL_WIDTH = 130


class _NoWheel(QObject):
    """A form is scrolled with the wheel; that must not turn the numbers under the pointer."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


class Control(QWidget):
    """Edits one value. `edited` only when the person changed it. `set_value` shows one; `value` is as in the file."""

    edited = Signal()

    def value(self) -> Any:
        """The value, None for none."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value."""
        raise NotImplementedError

    def _calm(self, widget: QWidget) -> None:
        padded(widget)
        self._filter = _NoWheel(self)
        widget.installEventFilter(self._filter)
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


class FlagControl(Control):
    """A check box."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QCheckBox("On")
        self.box.setAccessibleName(field.label)
        self.box.toggled.connect(self._toggled)
        self.box.clicked.connect(lambda _: self.edited.emit())
        self.setLayout(hbox(self.box, None))

    def _toggled(self, on: bool) -> None:
        self.box.setText("On" if on else "Off")

    def value(self) -> Any:
        return self.box.isChecked()

    def set_value(self, value: Any) -> None:
        self.box.setChecked(value is True)
        self._toggled(value is True)


class WholeControl(Control):
    """A whole number with its unit."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QSpinBox()
        self.box.setRange(
            int(field.low) if field.low is not None else -1_000_000_000,
            int(field.high) if field.high is not None else 1_000_000_000,
        )
        self.box.setGroupSeparatorShown(True)
        self.box.setMinimumWidth(CONTROL_WIDTH)
        self.box.setAccessibleName(f"{field.label}{f', in {field.unit}' if field.unit else ''}")
        self._unit = unit_sign(field.unit)
        self.box.valueChanged.connect(self._changed)
        self._calm(self.box)
        self._quiet = False
        self._show_unit()
        self.setLayout(hbox(self.box, None))

    def _show_unit(self) -> None:
        one = self.box.value() == 1 and self._unit.endswith("s") and len(self._unit) > 1
        unit = self._unit.removesuffix("s") if one else self._unit
        self.box.setSuffix(f" {unit}" if unit else "")

    def _changed(self) -> None:
        self._show_unit()
        if not self._quiet:
            self.edited.emit()

    def value(self) -> Any:
        return self.box.value()

    def set_value(self, value: Any) -> None:
        self._quiet = True
        self.box.setValue(int(value) if isinstance(value, int | float) else self.box.minimum())
        self._quiet = False


class MoneyControl(Control):
    """An exact amount; a text field, because a spin box holds binary fractions."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QLineEdit()
        self.box.setMinimumWidth(CONTROL_WIDTH)
        self.box.setMaximumWidth(CONTROL_WIDTH)
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.box.setAccessibleName(f"{field.label}, in {field.unit or 'dollars'}")
        self.box.textEdited.connect(lambda _: self.edited.emit())
        self.setLayout(hbox(self.box, label(unit_sign(field.unit) or "$", "muted"), None))

    def value(self) -> Any:
        words = self.box.text().strip().replace(",", "").replace("\u2212", "-").removeprefix("$")
        if not words:
            return None
        try:
            return plain(Decimal(words))
        except (InvalidOperation, ValueError, OverflowError):
            # Kept as it is: the model says what is wrong with it.
            return words

    def set_value(self, value: Any) -> None:
        words = "" if value is None else f"{Decimal(str(value)):f}" if _is_number(value) else str(value)
        if self.box.text() != words and not (self.box.hasFocus() and self.value() == value):
            self.box.setText(words)


class ChoiceControl(Control):
    """One of a few words."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QComboBox()
        for choice in field.choices:
            self.box.addItem(choice.replace("_", " "), choice)
        self.box.setMinimumWidth(CONTROL_WIDTH)
        self.box.setAccessibleName(field.label)
        self.box.activated.connect(lambda _: self.edited.emit())
        self._calm(self.box)
        self.setLayout(hbox(self.box, None))

    def value(self) -> Any:
        return self.box.currentData()

    def set_value(self, value: Any) -> None:
        self.box.setCurrentIndex(self.box.findData(value))


class TimeControl(Control):
    """A time of day."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QTimeEdit()
        self.box.setDisplayFormat("HH:mm")
        self.box.setMinimumWidth(CONTROL_WIDTH)
        self.box.setAccessibleName(f"{field.label}, hours and minutes")
        self.box.timeChanged.connect(self._changed)
        self._calm(self.box)
        self._quiet = False
        self.setLayout(hbox(self.box, None))

    def _changed(self) -> None:
        if not self._quiet:
            self.edited.emit()

    def value(self) -> Any:
        return self.box.time().toString("HH:mm")

    def set_value(self, value: Any) -> None:
        self._quiet = True
        self.box.setTime(QTime.fromString(str(value or "00:00"), "HH:mm"))
        self._quiet = False


class TextControl(Control):
    """A word."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QLineEdit()
        self.box.setMinimumWidth(CONTROL_WIDTH + 60)
        self.box.setAccessibleName(field.label)
        self.box.textEdited.connect(lambda _: self.edited.emit())
        self.setLayout(hbox(self.box, None))

    def value(self) -> Any:
        return self.box.text().strip()

    def set_value(self, value: Any) -> None:
        if self.box.text().strip() != str(value or ""):
            self.box.setText(str(value or ""))


class ZoneControl(TextControl):
    """A time zone, found by typing a part of its name."""

    def __init__(self, field: Field) -> None:
        super().__init__(field)
        self.box.setAccessibleName(f"{field.label}, such as America/New_York")
        completer = QCompleter(sorted(time_zones()), self.box)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.box.setCompleter(completer)
        completer.activated.connect(lambda _: self.edited.emit())


class DaysControl(Control):
    """Days of the week."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self._buttons: dict[str, QPushButton] = {}
        row = hbox(spacing=4)
        for day, words in DAY_NAMES.items():
            button = Button(words, role="segment", name=f"{field.label}: {words}")
            button.setCheckable(True)
            button.setStyleSheet("min-width: 26px; padding: 0 5px;")
            button.clicked.connect(lambda _=False: self.edited.emit())
            self._buttons[day] = button
            row.addWidget(button)
        row.addStretch(1)
        self.setLayout(row)

    def value(self) -> Any:
        return [day for day, button in self._buttons.items() if button.isChecked()]

    def set_value(self, value: Any) -> None:
        chosen = value if isinstance(value, list | tuple) else list(DAY_NAMES)
        for day, button in self._buttons.items():
            button.setChecked(day in chosen)


class WordsControl(Control):
    """Words with commas between, such as symbols."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.box = QLineEdit()
        self.box.setMinimumWidth(2 * CONTROL_WIDTH)
        self.box.setPlaceholderText("Such as RTY, BTC")
        self.box.setAccessibleName(f"{field.label}, with commas between")
        self.box.textEdited.connect(lambda _: self.edited.emit())
        self.setLayout(hbox(self.box))

    def value(self) -> Any:
        return [word for word in re.split(r"[,;\s]+", self.box.text().strip()) if word]

    def set_value(self, value: Any) -> None:
        wanted = [str(item) for item in value] if isinstance(value, list | tuple) else []
        if self.value() != wanted:
            self.box.setText(", ".join(wanted))


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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class FieldRow(QWidget):
    """Label, control, help, error; for an account also whether the value is its own.

    `edited` with the new value; `inherit_asked` when the account is to take the default over again.
    """

    edited = Signal(object)
    inherit_asked = Signal()

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field
        self.control = control_for(field)
        self.control.edited.connect(lambda: self.edited.emit(self.control.value()))
        self.title = label(field.label, "strong", wrap=True)
        self.help = label(self._help(), "muted", wrap=True)
        self.error = label("", wrap=True, tone=Tone.NEGATIVE.value)
        self.error.hide()
        self.origin = label("", "caption")
        self.inherit = Button("Take the default", "undo-2", role="link", name=f"{field.label}: take the default")
        self.inherit.clicked.connect(lambda _=False: self.inherit_asked.emit())
        self.origin_row = QWidget()
        self.origin_row.setLayout(hbox(self.origin, self.inherit, None))
        self.origin_row.hide()
        self.setLayout(vbox(self.title, self.control, self.error, self.origin_row, self.help, spacing=4))

    def _help(self) -> str:
        field = self.field
        parts = [field.help]
        if field.kind is FieldKind.WHOLE and field.low is not None and field.high is not None:
            parts.append(f"From {number_words(field.low, '')} to {number_words(field.high, field.unit)}.")
        if field.default is not None and field.kind not in (FieldKind.GROUP, FieldKind.GROUPS):
            number = _is_number(field.default)
            shown = number_words(field.default, field.unit) if number else value_words("", field.default)
            parts.append(f"Usually {shown}.")
        return " ".join(part for part in parts if part)

    def set_value(self, value: Any) -> None:
        """Show a value; what is absent is shown as its default."""
        self.control.set_value(self.field.default if value is None and not self.field.optional else value)

    def set_error(self, words: str) -> None:
        """Show what is wrong; "" for nothing."""
        set_text(self.error, words[:1].upper() + words[1:] + ("." if words and words[-1] not in ".!?" else ""))
        self.error.setVisible(bool(words))

    def set_origin(self, own: bool, default: str) -> None:
        """For an account: whether the value is its own, and what the default is."""
        self.origin_row.show()
        set_text(self.origin, f"Own value; default {default}" if own else f"Inherited from the defaults ({default})")
        restyle(self.origin, tone="accent" if own else "")
        self.inherit.setVisible(own)

    def hide_origin(self) -> None:
        self.origin_row.hide()


class Form(QWidget):
    """The rows of some settings. `edited` with the key and the value, `inherit_asked` with the key."""

    edited = Signal(str, object)
    inherit_asked = Signal(str)

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__()
        self.rows: dict[str, FieldRow] = {}
        column = vbox(spacing=2 * GRID)
        for field in fields:
            row = FieldRow(field)
            row.edited.connect(lambda value, key=field.key: self.edited.emit(key, value))
            row.inherit_asked.connect(lambda key=field.key: self.inherit_asked.emit(key))
            self.rows[field.key] = row
            column.addWidget(row)
        column.addStretch(1)
        self.setLayout(column)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.MinimumExpanding)

    def set_values(self, values: dict[str, Any]) -> None:
        for key, row in self.rows.items():
            row.set_value(values.get(key))

    def set_errors(self, errors: dict[str, str]) -> None:
        """Errors by key; all other rows are fine."""
        for key, row in self.rows.items():
            row.set_error(errors.get(key, ""))

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(480, super().sizeHint().height())
