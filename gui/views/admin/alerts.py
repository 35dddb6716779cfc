"""Alerts: where they go, what of, and a test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QWidget

from gui import wording
from gui.models.table import Column, TableModel
from gui.views.admin.dialogs import Ask, EntryDialog
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

Row = Mapping[str, Any]
KINDS = {
    "lockout": "An account is locked",
    "unlock": "An account is free again",
    "enforcement": "A position or order was closed",
    "warning": "A limit comes near, a login failed",
    "error": "Something is broken",
}
SERVICES = (
    ("E-mail", "mailtos://user:password@mail.example.com?to=desk@example.com"),
    ("Telegram", "tgram://bot-token/chat-id"),
    ("Discord", "discord://webhook-id/webhook-token"),
    ("Slack", "slack://token-a/token-b/token-c/#channel"),
    ("Microsoft Teams", "workflows://host/workflow-id/signature"),
    ("Pushover", "pover://user-key@token"),
    ("ntfy", "ntfy://topic"),
    ("Another service of Apprise", "service://…"),
)


class TargetDialog(EntryDialog[dict[str, Any]]):
    """One target. `ask` gives name, kinds, enabled and address ("" : as it was), or None."""

    def __init__(self, parent: QWidget | None, present: Row | None = None) -> None:
        title = f"Edit {present['name']}" if present else "Add an alert target"
        super().__init__(parent, title, confirm="Save" if present else "Add")
        self._present = present
        self.name = QLineEdit(str(present["name"]) if present else "")
        self.name.setMaxLength(64)
        self.name.setEnabled(present is None)
        self.name.setAccessibleName("Name")
        self.service = QComboBox()
        self.service.setAccessibleName("Service")
        for words, example in SERVICES:
            self.service.addItem(words, example)
        self.address = QLineEdit()
        self.address.setEchoMode(QLineEdit.EchoMode.Password)
        self.address.setMaxLength(1280)
        self.address.setAccessibleName("Address")
        self.service.currentIndexChanged.connect(self._show_example)
        self.example = label("", "muted", wrap=True)
        self.kinds = {}
        chosen = set(present["kinds"]) if present else {"lockout", "enforcement", "error"}
        boxes = vbox(spacing=0)
        for kind, words in KINDS.items():
            box = QCheckBox(words)
            box.setChecked(kind in chosen)
            self.kinds[kind] = box
            boxes.addWidget(box)
        self.enabled = QCheckBox("Send to it")
        self.enabled.setChecked(present is None or bool(present["enabled"]))
        keep = " Leave it empty to keep the present one." if present else ""
        secret = f"Address; it is a secret, kept in the key store and never shown again.{keep}"
        self.lay_out(
            label("Name", "caption"),
            self.name,
            label("Service", "caption"),
            self.service,
            label(secret, "caption", wrap=True),
            self.address,
            self.example,
            label("Tell it when", "caption"),
            boxes,
            self.enabled,
            width=560,
            spacing=GRID - 2,
        )
        self._show_example()

    def _show_example(self) -> None:
        set_text(self.example, f"Such as {self.service.currentData()}")

    def answer(self) -> dict[str, Any]:
        kinds = [kind for kind, box in self.kinds.items() if box.isChecked()]
        found = {
            "name": self.name.text().strip(),
            "kinds": kinds,
            "enabled": self.enabled.isChecked(),
            "address": self.address.text().strip(),
        }
        if not found["name"]:
            raise ValueError("Give it a name, such as Desk.")
        if not kinds:
            raise ValueError("Choose at least one thing to be told of.")
        if not found["address"] and self._present is None:
            raise ValueError("Give the address that the service has shown you.")
        return found

    def forget(self) -> None:
        self.address.clear()


class AlertsPage(AdminPage):
    """Targets of alerts."""

    key = "alerts"
    title = "Alerts"
    icon_name = "bell"

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self.model = TableModel[Row](
            [
                Column(
                    "Target", lambda row: str(row["name"]), icon=lambda row: "bell" if row["enabled"] else "bell-off"
                ),
                Column("Told when", self._kinds, sub=self._fares, stretch=True),
                Column("State", self._state, tone=self._tone, icon=self._icon),
            ],
            lambda row: row["name"],
        )
        self.table = DataTable(self.model, "Alert targets", sortable=False)
        self.table.selectionModel().selectionChanged.connect(self._show_buttons)
        self.add = Button("Add…", "plus", role="primary", name="Add an alert target", on_click=self._add)
        self.edit = Button("Edit…", "pencil", name="Edit the target", on_click=self._edit)
        self.remove = Button("Remove…", "trash-2", name="Remove the target", on_click=self._remove)
        self.test = Button("Send a test", "send", name="Send a test message", on_click=self._test)
        self.said = label("", "muted", wrap=True)
        card = Card("Targets")
        card.body.addWidget(
            TableOrEmpty(
                self.table,
                EmptyState(
                    "bell-off", "No target yet", "Add e-mail or a messenger to be told of lockouts and trouble."
                ),
            ),
            1,
        )
        card.body.addLayout(hbox(self.add, self.edit, self.test, self.remove, None, spacing=GRID))
        card.body.addWidget(self.said)
        self.body.addWidget(card, 1)
        self._show_buttons()

    async def load(self) -> None:
        self._take(await self.session.call("get_alert_targets"))

    def _take(self, answer: Row) -> None:
        self.model.set_rows(rows_of(answer["targets"]))
        if self._chosen() is None and self.model.rowCount():
            self.table.selectRow(0)
        dropped = int(answer.get("dropped") or 0)
        lost = f"{wording.counted(dropped, 'alert was', 'alerts were')} dropped because too many waited."
        words = "Delivery never holds up the daemon: what fails is tried again after 5 s, 30 s, 2 min and 10 min."
        set_text(self.said, f"{words} {lost}" if dropped else words)
        self._show_buttons()

    @staticmethod
    def _kinds(row: Row) -> str:
        return ", ".join(KINDS[kind].lower() for kind in row["kinds"] if kind in KINDS).capitalize()

    @staticmethod
    def _fares(row: Row) -> str:
        parts = [f"{row['sent']} sent", f"{row['failed']} failed"]
        if row.get("waiting"):
            parts.append(f"{row['waiting']} waiting for another try")
        words = ", ".join(parts) + "."
        return (
            f"{words} Last error: {wording.sentence_case(str(row['last_error']))}" if row.get("last_error") else words
        )

    @staticmethod
    def _state(row: Row) -> str:
        if not row["enabled"]:
            return "Off"
        return "Last one failed" if row.get("last_error") else "Works" if row["sent"] else "Not used yet"

    def _tone(self, row: Row) -> str | None:
        return {"Works": Tone.POSITIVE, "Last one failed": Tone.NEGATIVE}.get(self._state(row), Tone.MUTED)

    def _icon(self, row: Row) -> str | None:
        return {"Works": "circle-check", "Last one failed": "circle-x"}.get(self._state(row), "minus")

    def _chosen(self) -> Row | None:
        return self.table.chosen_row()

    def _show_buttons(self) -> None:
        for button in (self.edit, self.remove, self.test):
            button.setEnabled(self._chosen() is not None)

    def _add(self) -> None:
        self.work(self._ask(None), busy=self.add)

    def _edit(self) -> None:
        self.work(self._ask(self._chosen()), busy=self.edit)

    async def _ask(self, present: Row | None) -> None:
        values = await TargetDialog(self, present).ask()
        if values is None:
            return
        address = values.pop("address")
        if address:
            values["address"] = address
        self._take(await self.session.call("set_alert_target", values))
        self.say_done(f"{values['name']} is kept", "Send a test to see that it arrives.")

    def _remove(self) -> None:
        row = self._chosen()
        if row is not None:
            self.work(self._ask_remove(row), busy=self.remove)

    async def _ask_remove(self, row: Row) -> None:
        answer = await Ask(
            self,
            f"Remove {row['name']}?",
            "Nothing is sent there any more. Its address is deleted from the key store; to use it again it has to be "
            "entered again.",
            yes="Remove and forget the address",
            danger=True,
            icon_name="trash-2",
        ).ask()
        if answer is not None:
            self._take(await self.session.call("remove_alert_target", {"name": row["name"]}))
            self.say_done("Removed")

    def _test(self) -> None:
        row = self._chosen()
        if row is not None:
            self.work(self._send_test(str(row["name"])), busy=self.test)

    async def _send_test(self, name: str) -> None:
        answer = await self.session.call("test_alert_target", {"name": name}, timeout=60.0)
        await self.load()
        if answer["delivered"]:
            self.say_done("The test was delivered", f"Look for it at {name}.")
        else:
            self.say(Tone.NEGATIVE, "circle-x", "The test was not delivered", wording.sentence_case(answer["error"]))
