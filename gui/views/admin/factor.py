"""The second factor: enrolling an authenticator, recovery codes shown once, turning it off."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import segno
from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit

from gui import wording
from gui.views.admin.dialogs import Ask
from gui.views.admin.page import AdminContext, AdminPage, copy_text
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, hbox, label, set_text, vbox

Row = Mapping[str, Any]
QR_SIZE = 208


def qr_pixmap(uri: str, ratio: float) -> QPixmap:
    """The QR code of an address; dark on white in both themes, or authenticators do not read it."""
    buffer = io.BytesIO()
    code = segno.make(uri, error="m")
    side = code.symbol_size(scale=1, border=4)[0]
    code.save(buffer, kind="png", scale=max(2, int(QR_SIZE * ratio) // side), border=4, dark="#000", light="#fff")
    pixmap = QPixmap()
    pixmap.loadFromData(QByteArray(buffer.getvalue()))
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


class FactorPage(AdminPage):
    """What was shown once is forgotten when the page is left."""

    key = "factor"
    title = "Second factor"
    icon_name = "shield-check"

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin)
        self._reading = False
        self.state_words = label("", "heading", wrap=True)
        self.about = label(
            "With it, what weakens the protection, ending a lockout early, keys, stopping, restarting, upgrading and "
            "uninstalling need a code that an authenticator app shows. Let the partner or the desk hold the "
            "authenticator: then nobody can undo his own limits alone, administrator of this computer or not.",
            "muted",
            wrap=True,
        )
        self.enroll = Button("Enroll…", "shield-check", role="primary", on_click=self._begin)
        self.give = Button("Give the code", "key-round", name="Give the code for this session", on_click=self._give)
        self.turn_off = Button("Turn off…", "shield-off", role="danger", on_click=self._disable)
        card = Card("Second factor")
        card.body.addWidget(self.state_words)
        card.body.addWidget(self.about)
        card.body.addLayout(hbox(self.enroll, self.give, self.turn_off, None, spacing=GRID))

        self.picture = QLabel()
        self.picture.setAccessibleName("QR code for the authenticator")
        self.picture.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.secret = label("", "code")
        self.secret.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.codes = label("", "code")
        self.codes.setTextInteractionFlags(self.secret.textInteractionFlags())
        self.code = QLineEdit()
        self.code.setMaxLength(16)
        self.code.setFixedWidth(140)
        self.code.setPlaceholderText("123456")
        self.code.setAccessibleName("Code that the authenticator shows")
        self.code.returnPressed.connect(self._confirm)
        self.confirm = Button("Confirm", "check", role="primary", on_click=self._confirm)
        self.forget = Button("Cancel", on_click=self._forget)
        self.copy = Button("Copy codes", "copy", on_click=lambda: copy_text(self.codes.text()))
        self.save = Button("Save codes…", "save", on_click=self._save)
        once = Card("Shown this once")
        once.body.addWidget(
            label(
                "1. Scan the code with the authenticator (or type the secret). 2. Keep the recovery codes away from "
                "this computer: each opens once, if the authenticator is lost. 3. Give the code it shows now.",
                wrap=True,
            )
        )
        left = vbox(self.picture, None)
        right = vbox(
            label("Secret", "caption"),
            hbox(self.secret, None),
            label("Recovery codes", "caption"),
            hbox(self.codes, None),
            hbox(self.copy, self.save, None, spacing=GRID),
            label("Code that the authenticator shows now", "caption"),
            hbox(self.code, self.confirm, self.forget, None, spacing=GRID),
            None,
            spacing=GRID,
        )
        row = hbox(spacing=3 * GRID)
        row.addLayout(left)
        row.addLayout(right, 1)
        once.body.addLayout(row)
        self.once = once
        self.once.hide()
        self.body.addWidget(card)
        self.body.addWidget(self.once)
        self.body.addStretch(1)

    async def load(self) -> None:
        self._show(await self.session.call("get_second_factor"))

    def tick(self) -> None:
        if self._reading and not self.busy:
            self.refresh_all()

    def _show(self, state: Row) -> None:
        enrolled, broken = bool(state["enrolled"]), state.get("broken")
        self.session.factor_enrolled = enrolled
        self._reading = bool(state["reading"])
        if self._reading:
            words = "Not known yet: the daemon is still reading the key store."
        elif broken:
            words = "The second factor can't be read: nothing that weakens protection is accepted."
            self.say(Tone.NEGATIVE, "shield-alert", "The second factor can't be used", str(broken))
        elif enrolled:
            left = int(state["recovery_codes_left"])
            words = f"Enrolled. {wording.counted(left, 'recovery code')} left."
            if state.get("given"):
                words += " The code was given in this session."
            if left <= 2:
                self.say(
                    Tone.WARNING,
                    "triangle-alert",
                    "Few recovery codes are left",
                    "Enroll again to get new ones; the authenticator has to be set up anew then.",
                )
        else:
            words = "Not enrolled: an administrator of this computer can weaken the protection alone."
        set_text(self.state_words, words)
        set_text(self.enroll, "Enroll again…" if enrolled and not self._reading else "Enroll…")
        self.enroll.setEnabled(not broken)
        self.turn_off.setVisible(enrolled and not self._reading)
        self.turn_off.setEnabled(not broken)
        self.give.setVisible(enrolled and not broken and not state.get("given"))

    def _begin(self) -> None:
        self.work(self._enroll(), busy=self.enroll)

    async def _enroll(self) -> None:
        answer = await self.session.call("second_factor_enroll")
        self.picture.setPixmap(qr_pixmap(str(answer["uri"]), self.devicePixelRatioF()))
        set_text(self.secret, " ".join(_groups(str(answer["secret"]), 4)))
        set_text(self.codes, "\n".join(map(str, answer["recovery_codes"])))
        self.code.clear()
        self.once.show()
        self.code.setFocus()

    def _forget(self) -> None:
        self.picture.clear()
        for part in (self.secret, self.codes):
            part.clear()
        self.code.clear()
        self.once.hide()

    def hideEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        if not event.spontaneous():
            self._forget()

    def _confirm(self) -> None:
        self.work(self._send(), busy=self.confirm)

    async def _send(self) -> None:
        await self.session.call("second_factor_confirm", {"code": self.code.text().strip()})
        self._forget()
        await self.load()
        self.say_done("The second factor is enrolled", "It is asked for from now on; begin with Give the code.")

    def _give(self) -> None:
        self.work(self._give_code(), busy=self.give)

    async def _give_code(self) -> None:
        code = await self.session.ask_code("") if self.session.ask_code is not None else None
        if code is not None:
            await self.session.call("auth_second_factor", {"code": code})
            await self.load()

    def _disable(self) -> None:
        self.work(self._ask_disable(), busy=self.turn_off)

    async def _ask_disable(self) -> None:
        answer = await Ask(
            self,
            "Turn the second factor off?",
            "Whoever is administrator of this computer can then weaken the protection alone. The secret and the "
            "recovery codes are deleted; they can't be brought back.",
            yes="Turn off and delete the secret",
            danger=True,
            icon_name="shield-off",
        ).ask()
        if answer is not None:
            await self.session.call("second_factor_disable")
            await self.load()
            self.say(Tone.WARNING, "shield-off", "The second factor is off")

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the recovery codes", "recovery-codes.txt", "Text (*.txt)")
        if name:
            try:
                Path(name).write_text(f"Risk Manager, recovery codes\n\n{self.codes.text()}\n", encoding="utf-8")
            except OSError as error:
                self.say_error(f"The file could not be written: {error.strerror}.")


def _groups(words: str, size: int) -> list[str]:
    return [words[start : start + size] for start in range(0, len(words), size)]
