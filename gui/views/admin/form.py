"""Forms made from `gui.models.admin_fields`: one control for each kind of setting, none for any one setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import (
    QSizePolicy,
    QWidget,
)

from gui.admin_words import number_words, value_words
from gui.models.admin_fields import Field, FieldKind
from gui.views.admin.controls import is_number
from gui.views.admin.nested_controls import control_for
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, hbox, label, restyle, set_text, vbox


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
            number = is_number(field.default)
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
