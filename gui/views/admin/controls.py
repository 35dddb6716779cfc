"""Controls of a form that edit one value each: a flag, a number, an amount, a time, words."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, QTime, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QCompleter,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QTimeEdit,
    QWidget,
)

from gui.admin_words import unit_sign
from gui.models.admin_fields import Field, plain
from gui.views.widgets.basic import Button, hbox, label, padded
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
        words = "" if value is None else f"{Decimal(str(value)):f}" if is_number(value) else str(value)
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


def is_number(value: Any) -> bool:
    """Whether a value is a number, and not a flag."""
    return isinstance(value, int | float) and not isinstance(value, bool)
