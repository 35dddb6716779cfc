"""The file itself as text, checked while it is typed."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from gui.admin_session import AdminError
from gui.views.admin.page import Notes
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import label, vbox

CHECK_MS = 400


class YamlEditor(QWidget):
    """`edited` at every change, `check_asked` when there was none for a moment."""

    edited = Signal()
    check_asked = Signal()

    def __init__(self, file: str) -> None:
        super().__init__()
        self._loaded = ""
        self.field = QPlainTextEdit()
        self.field.setAccessibleName(f"{file} as text")
        self.field.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.field.setStyleSheet(
            'font-family: "Cascadia Mono", "Consolas", "DejaVu Sans Mono", "Liberation Mono", monospace;'
        )
        self.field.textChanged.connect(self._changed)
        self.notes = Notes("What is wrong with the text")
        words = "The file itself, comments included. It is checked while you type."
        self.setLayout(
            vbox(label(words, "muted", wrap=True), self.field, self.notes, spacing=GRID, margins=(0, GRID, 0, 0))
        )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(CHECK_MS)
        self._timer.timeout.connect(self.check_asked)

    def _changed(self) -> None:
        self._timer.start()
        self.edited.emit()

    @property
    def text(self) -> str:
        return self.field.toPlainText()

    @property
    def changed(self) -> bool:
        """Whether it is no longer what was loaded."""
        return self.text != self._loaded

    def load(self, text: str) -> None:
        """Show a text as the one that is not edited."""
        self._loaded = text
        self.field.blockSignals(True)
        self.field.setPlainText(text)
        self.field.blockSignals(False)
        self.notes.show_lines([])

    def reload(self) -> None:
        """Forget all edits."""
        self.load(self._loaded)

    def replace(self, text: str) -> None:
        """Put another text, as if it had been typed; it is to be checked at once."""
        self.field.setReadOnly(False)
        self.field.setPlainText(text)
        self._timer.stop()
        self.check_asked.emit()

    def show_wrong(self, error: AdminError) -> None:
        """Say below the text what is wrong with it, line by line."""
        lines = [
            words if line is None or f"line {line}" in words else f"Line {line}: {words}"
            for line, _, words in error.lines
        ]
        self.notes.show_lines(lines or [str(error)], Tone.NEGATIVE.value)
