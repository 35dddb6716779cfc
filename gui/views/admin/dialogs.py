"""Questions of the admin window: dialogs whose answer is awaited once."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QLayout, QLineEdit, QWidget

from gui.views.tokens import GRID, Tone
from gui.views.widgets.banner import Banner
from gui.views.widgets.basic import Button, hbox, label, set_text, vbox


class AnswerDialog[T](QDialog):
    """`ask` shows it and gives `answer()` of what was entered, or None when it was cancelled."""

    def __init__(self, parent: QWidget | None, title: str) -> None:
        super().__init__(parent)
        self.setModal(True)
        self.setWindowTitle(title)
        self._answered: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self.finished.connect(self._finished)

    def answer(self) -> T:
        """What was entered. Raises ValueError with a sentence when it can't be taken."""
        raise NotImplementedError

    def forget(self) -> None:
        """Called when it is over: a secret that was entered goes."""

    def _finished(self, result: int) -> None:
        if not self._answered.done():
            self._answered.set_result(self.answer() if result == QDialog.DialogCode.Accepted else None)
        self.forget()

    async def ask(self) -> T | None:
        """Show it and wait for the answer."""
        given = self.testAttribute(Qt.WidgetAttribute.WA_Resized)
        self.open()
        if not given:
            # Only on screen is it known how high wrapped words are.
            self.adjustSize()
        try:
            return await self._answered
        finally:
            self.deleteLater()


class EntryDialog[T](AnswerDialog[T]):
    """Values to enter; what can't be taken is said in place, and the dialog stays."""

    def __init__(self, parent: QWidget | None, title: str, *, confirm: str) -> None:
        super().__init__(parent, title)
        self.error = label("", wrap=True, tone=Tone.NEGATIVE.value)
        self.error.hide()
        self.confirm = Button(confirm, "check", role="primary", on_click=self._accept)
        self.confirm.setDefault(True)

    def lay_out(self, *parts: QWidget | QLayout, width: int, spacing: int = GRID) -> None:
        """Title, these parts, the error, and the buttons below."""
        buttons = hbox(None, Button("Cancel", on_click=self.reject), self.confirm, spacing=GRID + 4)
        title = label(self.windowTitle(), "title")
        self.setLayout(vbox(title, *parts, self.error, GRID, buttons, spacing=spacing, margins=(24, 20, 24, 20)))
        self.setMinimumWidth(width)

    def _accept(self) -> None:
        try:
            self.answer()
        except ValueError as error:
            set_text(self.error, str(error))
            self.error.show()
            self.adjustSize()
            return
        self.accept()


class Ask(AnswerDialog[str]):
    """A question with one field at most. The answer is the field's text, "" without a field."""

    def __init__(
        self,
        parent: QWidget | None,
        title: str,
        words: str,
        *,
        yes: str,
        danger: bool = False,
        field: str = "",
        secret: bool = False,
        required: bool = True,
        icon_name: str = "",
        error: str = "",
        warning: str = "",
    ) -> None:
        super().__init__(parent, title)
        self.field = QLineEdit()
        self.field.setVisible(bool(field))
        self.field.setAccessibleName(field or title)
        self.field.setMaxLength(1280)
        if secret:
            self.field.setEchoMode(QLineEdit.EchoMode.Password)
        self._required = bool(field) and required
        self.confirm = Button(yes, icon_name, role="danger" if danger else "primary", on_click=self.accept)
        self.cancel = Button("Cancel", on_click=self.reject)
        self.error = label(error, wrap=True, tone=Tone.NEGATIVE.value)
        self.error.setVisible(bool(error))
        self.warning = Banner()
        caption = label(field, "caption")
        caption.setVisible(bool(field))
        self.setLayout(
            vbox(
                label(title, "title", wrap=True),
                label(words, wrap=True),
                self.warning,
                caption,
                self.field,
                self.error,
                GRID,
                hbox(None, self.cancel, self.confirm, spacing=GRID + 4),
                spacing=GRID + 2,
                margins=(24, 20, 24, 20),
            )
        )
        if warning:
            self.warning.say(Tone.WARNING, "triangle-alert", "This can't be undone", warning)
        self.setMinimumWidth(520)
        self.confirm.setDefault(True)
        self.field.textChanged.connect(self._judge)
        self._judge()
        (self.field if field else self.cancel).setFocus()

    def _judge(self) -> None:
        self.confirm.setEnabled(not self._required or bool(self.field.text().strip()))

    def answer(self) -> str:
        return self.field.text().strip()
