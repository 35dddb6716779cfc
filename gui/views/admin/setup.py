"""The first run, step by step: login, test, accounts, a preset, review, protected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLineEdit, QRadioButton, QStackedWidget, QWidget

from gui import wording
from gui.admin_words import apply_words
from gui.change_review import newly_waiting
from gui.models.table import Column, TableModel
from gui.views.admin.accounts import step_columns
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.admin.review import Row, change_columns, look_at
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, IconLabel, hbox, label, restyle, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

STEPS = ("Login", "Test", "Accounts", "Preset", "Review", "Protected")


class SetupPage(AdminPage):
    """Each step says why the next one can't be taken yet. `page_asked` with the key of another page."""

    key = "setup"
    title = "Set-up"
    icon_name = "check-check"
    page_asked = Signal(str)

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self._username = ""
        self._presets: list[dict[str, Any]] = []
        self._preset: Mapping[str, Any] | None = None
        self._tested = False
        self._changes: list[Row] = []
        self.marks: list[tuple[IconLabel, Any]] = []
        track = hbox(spacing=GRID)
        for number, words in enumerate(STEPS):
            icon = IconLabel("circle-dot", Tone.MUTED, 18)
            name = label(f"{number + 1}. {words}", "muted")
            self.marks.append((icon, name))
            track.addWidget(icon)
            track.addWidget(name)
            track.addStretch(1)
        self.stack = QStackedWidget()
        for made in (
            self._login_step(),
            self._test_step(),
            self._accounts_step(),
            self._preset_step(),
            self._review_step(),
            self._done_step(),
        ):
            self.stack.addWidget(made)
        self.back = Button("Back", "chevron-left", on_click=self._back)
        self.next = Button("Next", "chevron-right", role="primary", on_click=self._next)
        card = Card()
        card.body.addLayout(track)
        card.body.addWidget(self.stack, 1)
        card.body.addLayout(hbox(self.back, None, self.next, spacing=GRID))
        self.body.addWidget(card, 1)
        self._show(0)

    # ---- steps

    def _login_step(self) -> QWidget:
        self.username = QLineEdit()
        self.username.setAccessibleName("User name at the broker")
        self.username.setMaximumWidth(420)
        self.api_key = QLineEdit()
        self.api_key.setEchoMode(QLineEdit.EchoMode.Password)
        self.api_key.setMaxLength(1280)
        self.api_key.setAccessibleName("API key")
        self.api_key.setMaximumWidth(420)
        for field in (self.username, self.api_key):
            field.textChanged.connect(lambda _: self._show(0))
        return _step(
            label("Which login is to be protected?", "heading"),
            label(
                "The user name of TopstepX (or of another firm on the ProjectX Gateway) and its API key. The daemon "
                "keeps the key in the system's key store; it is never shown again.",
                "muted",
                wrap=True,
            ),
            label("User name", "caption"),
            self.username,
            label("API key", "caption"),
            self.api_key,
            None,
        )

    def _test_step(self) -> QWidget:
        self.steps = TableModel[Row](step_columns(), lambda row: row["name"])
        self.steps_empty = EmptyState("plug", "Not tested yet", "Database, REST interface, both hubs.")
        self.test = Button("Test now", "plug", name="Test the connection", on_click=self._test)
        return _step(
            label("Does it work?", "heading"),
            TableOrEmpty(DataTable(self.steps, "Connection test", sortable=False), self.steps_empty),
            hbox(self.test, None),
        )

    def _accounts_step(self) -> QWidget:
        self.accounts = TableModel[Row](
            [
                Column(
                    "Account", lambda row: str(row["name"]), sub=lambda row: f"Id {row['account_id']}", stretch=True
                ),
                Column(
                    "Connection",
                    lambda row: "Connected" if row["connected"] else "Not connected yet",
                    tone=lambda row: Tone.POSITIVE if row["connected"] else Tone.WARNING,
                    icon=lambda row: "radio" if row["connected"] else "unplug",
                ),
            ],
            lambda row: row["account_id"],
        )
        self.look = Button("Look again", "refresh-cw", on_click=lambda: self.work(self._load_accounts()))
        return _step(
            label("Which accounts were found?", "heading"),
            label(
                "All of them are protected, and those opened later. To choose, edit the login under Accounts.",
                "muted",
                wrap=True,
            ),
            TableOrEmpty(
                DataTable(self.accounts, "Accounts found", sortable=False),
                EmptyState("wallet", "No account yet", "They are listed within a few seconds after the login."),
            ),
            hbox(self.look, None),
        )

    def _preset_step(self) -> QWidget:
        self.choices = vbox(spacing=4)
        self.own = QRadioButton("Keep the rules that are in the file now")
        self.own.setChecked(True)
        self.own.toggled.connect(self._chosen)
        self.choices.addWidget(self.own)
        self.notes = label("", "muted", wrap=True)
        return _step(
            label("Which limits?", "heading"),
            label("A preset is an example to begin with; compare it with your own agreement.", "muted", wrap=True),
            self.choices,
            self.notes,
            None,
        )

    def _review_step(self) -> QWidget:
        self.changes = TableModel[Row](change_columns(self.admin), lambda row: row["path"])
        return _step(
            label("This will change", "heading"),
            TableOrEmpty(
                DataTable(self.changes, "Changes", sortable=False),
                EmptyState("circle-check", "Nothing changes", "The rules stay as they are."),
            ),
        )

    def _done_step(self) -> QWidget:
        self.done = EmptyState("shield-check", "Protected", "")
        return _step(
            self.done,
            hbox(
                None,
                Button("Look at the rules", "list-checks", on_click=lambda: self.page_asked.emit("rules")),
                Button("Second factor", "shield-check", on_click=lambda: self.page_asked.emit("factor")),
                Button("Alerts", "bell", on_click=lambda: self.page_asked.emit("alerts")),
                None,
                spacing=GRID,
            ),
        )

    # ---- going on

    async def needed(self) -> bool:
        """Whether no login is set up yet."""
        rows = rows_of(await self.session.call("get_logins"))
        return not any(row["enabled"] for row in rows)

    async def load(self) -> None:
        if not self._presets:
            self._presets = rows_of(await self.session.call("get_presets"))
            for preset in self._presets:
                button = QRadioButton(str(preset["title"]))
                button.toggled.connect(self._chosen)
                button.setProperty("preset", preset["name"])
                self.choices.addWidget(button)
        rows = rows_of(await self.session.call("get_logins"))
        if rows and not self._username and self.stack.currentIndex() == 0 and not self.username.text():
            self.username.setText(str(rows[0]["username"]))
        self._show(self.stack.currentIndex())

    @property
    def step(self) -> int:
        return self.stack.currentIndex()

    def _show(self, number: int) -> None:
        if not hasattr(self, "next"):
            return
        self.stack.setCurrentIndex(number)
        for place, (icon, name) in enumerate(self.marks):
            done, here = place < number, place == number
            icon.set_icon(
                "circle-check" if done else "circle-dot", Tone.POSITIVE if done else Tone.ACCENT if here else Tone.MUTED
            )
            restyle(name, role="strong" if here else "muted")
        self.back.setVisible(0 < number < len(STEPS) - 1)
        self.next.setVisible(number < len(STEPS) - 1)
        words = {0: "Store and go on", 4: apply_words(self._changes, self.state.calendar, self.state.clock.now())}
        if number == 4 and not self._changes:
            words[4] = "Finish"
        set_text(self.next, words.get(number, "Next"))
        self.next.setAccessibleName(self.next.text())
        ready: dict[int, bool] = {
            0: bool(self.username.text().strip()),
            1: self._tested,
            2: self.accounts.rowCount() > 0,
        }
        self.next.setEnabled(ready.get(number, True))

    def _back(self) -> None:
        self.hush()
        self._show(max(0, self.step - 1))

    def _next(self) -> None:
        self.hush()
        work = {
            0: self._store_login,
            1: self._load_accounts,
            2: self._go_to_presets,
            3: self._preview,
            4: self._apply,
        }
        self.work(work[self.step](), busy=self.next)

    async def _store_login(self) -> None:
        name, key = self.username.text().strip(), self.api_key.text().strip()
        rows = rows_of(await self.session.call("get_logins"))
        known = next(
            (row for row in rows if str(row["username"]).casefold() == name.casefold() and not row.get("leaving")),
            None,
        )
        if key:
            await self.session.call("set_credential", {"username": name, "api_key": key})
            self.api_key.clear()
        elif known is None or not known["key_set"]:
            self.say(Tone.WARNING, "key-round", "The API key is missing", "Paste it from the broker's page.")
            return
        if known is None:
            value = {"api_key": "keyring", "accounts": "all"}
            step: dict[str, Any] = {"path": ["logins", name], "value": value}
            await self.session.call("set_config", {"patch": [step], "file": "accounts.yaml"})
        elif not known["enabled"]:
            step = {"path": ["logins", str(known["username"]), "enabled"], "value": True}
            await self.session.call("set_config", {"patch": [step], "file": "accounts.yaml"})
        self._username = str(known["username"]) if known is not None else name
        self._tested = False
        self.steps.set_rows([])
        self._show(1)
        self._test()

    def _test(self) -> None:
        self.work(self._run_test(), busy=self.test)

    async def _run_test(self) -> None:
        self.steps_empty.say("hourglass", f"Testing {self._username}", "Up to a minute.")
        rows = rows_of(await self.session.call("test_connection", {"username": self._username}, timeout=100.0))
        self.steps.set_rows(rows)
        failed = [row for row in rows if not row["ok"]]
        self._tested = bool(rows) and not failed
        if failed:
            words = wording.sentence_case(str(failed[0].get("mend") or failed[0]["detail"]))
            self.say(Tone.NEGATIVE, "circle-x", "Not yet", f"{words} Go back to change the login, or test again.")
        else:
            self.hush()
        self._show(self.step)

    async def _load_accounts(self) -> None:
        rows = rows_of(await self.session.call("get_logins"))
        found = [account for row in rows if row["username"] == self._username for account in row["found"]]
        self.accounts.set_rows(found)
        self._show(2)

    async def _go_to_presets(self) -> None:
        self._show(3)

    def _chosen(self) -> None:
        self._preset = None
        for number in range(self.choices.count()):
            item = self.choices.itemAt(number)
            button = item.widget() if item is not None else None
            if isinstance(button, QRadioButton) and button.isChecked() and button.property("preset"):
                name = button.property("preset")
                self._preset = next((preset for preset in self._presets if preset["name"] == name), None)
        set_text(self.notes, str(self._preset["notes"]) if self._preset is not None else "")

    async def _preview(self) -> None:
        self._changes = []
        if self._preset is not None:
            params = {"yaml": self._preset["yaml"], "file": "risk_config.yaml", "dry_run": True}
            preview = await self.session.call("set_config", params)
            review = await look_at(self, rows_of(preview["changes"]), ("risk_config.yaml",))
            self._changes = list(review.changes)
        self.changes.set_rows(self._changes)
        self._show(4)

    async def _apply(self) -> None:
        waiting = 0
        if self._preset is not None and self._changes:
            before = rows_of(await self.session.call("get_pending_config"))
            answer = await self.session.call("set_config", {"yaml": self._preset["yaml"], "file": "risk_config.yaml"})
            waiting = newly_waiting(before, rows_of(answer["pending"]))
        names = ", ".join(str(row["name"]) for row in self.accounts.rows)
        words = f"The daemon watches {names} around the clock."
        if waiting:
            one, many = "change that loosens the present rules waits", "changes that loosen the present rules wait"
            words += f" {wording.counted(waiting, one, many)} for the reset."
        self.done.say("shield-check", "Protected", words)
        self._show(5)


def _step(*parts: Any) -> QWidget:
    made = QWidget()
    made.setLayout(vbox(*parts, spacing=GRID, margins=(0, GRID, 0, 0)))
    return made
