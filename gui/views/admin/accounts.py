"""Logins and their accounts: add, edit, enable, disable, the key, and a test of every step of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from PySide6.QtWidgets import QComboBox, QLineEdit, QTabWidget, QWidget

from gui import wording
from gui.models.table import Column, TableModel
from gui.views.admin.dialogs import Ask, EntryDialog
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.admin.review import ReviewDialog, look_at
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

Row = Mapping[str, Any]
FILE = "accounts.yaml"


class LoginDialog(EntryDialog[dict[str, Any]]):
    """A login: name, which accounts, for a new one the key. `ask` gives the values, or None."""

    def __init__(self, parent: QWidget | None, present: Row | None = None) -> None:
        title = f"Edit {present['username']}" if present else "Add a login"
        super().__init__(parent, title, confirm="Go on" if present else "Add")
        self.username = QLineEdit(str(present["username"]) if present else "")
        self.username.setAccessibleName("User name")
        self.username.setEnabled(present is None)
        self.which = QComboBox()
        self.which.setAccessibleName("Accounts protected")
        self.which.addItem("All accounts of the login, later ones too", "all")
        self.which.addItem("Only these", "some")
        self.numbers = QLineEdit()
        self.numbers.setPlaceholderText("Account ids with commas between, such as 101, 102")
        self.numbers.setAccessibleName("Account ids")
        if present is not None and present["accounts"] != "all":
            self.which.setCurrentIndex(1)
            self.numbers.setText(", ".join(map(str, present["accounts"])))
        self.api_key = QLineEdit()
        self.api_key.setEchoMode(QLineEdit.EchoMode.Password)
        self.api_key.setMaxLength(1280)
        self.api_key.setAccessibleName("API key")
        self.api_key.setPlaceholderText("Paste it from the broker's page")
        key_part = QWidget()
        key_part.setLayout(
            vbox(
                label("API key", "caption"),
                self.api_key,
                label("The daemon keeps it in the system's key store. It is never shown again.", "muted", wrap=True),
                spacing=4,
            )
        )
        key_part.setVisible(present is None)
        self.lay_out(
            label("User name at the broker", "caption"),
            self.username,
            label("Accounts protected", "caption"),
            self.which,
            self.numbers,
            key_part,
            width=520,
        )
        self.which.currentIndexChanged.connect(self._show)
        self._show()

    def _show(self) -> None:
        self.numbers.setVisible(self.which.currentData() == "some")
        self.adjustSize()

    def answer(self) -> dict[str, Any]:
        name = self.username.text().strip()
        if not name:
            raise ValueError("Give the user name of the login.")
        accounts: Any = "all"
        if self.which.currentData() == "some":
            words = [word for word in self.numbers.text().replace(";", ",").replace(" ", ",").split(",") if word]
            if not words or not all(word.isdecimal() and int(word) > 0 for word in words):
                raise ValueError("Give account ids as numbers with commas between, such as 101, 102.")
            accounts = [int(word) for word in dict.fromkeys(words)]
        return {"username": name, "accounts": accounts, "api_key": self.api_key.text().strip()}

    def forget(self) -> None:
        self.api_key.clear()


def step_columns() -> list[Column[Row]]:
    """Columns for the steps of a connection test."""
    names = {"database": "Database", "rest": "REST interface", "user_hub": "User hub", "market_hub": "Market hub"}
    return [
        Column(
            "Step",
            lambda row: names.get(
                str(row["name"]), str(row["name"]).replace("_", " ").capitalize().replace("Rest ", "REST ")
            ),
            icon=lambda row: "circle-check" if row["ok"] else "circle-x",
            tone=lambda row: Tone.POSITIVE if row["ok"] else Tone.NEGATIVE,
        ),
        Column(
            "Result",
            lambda row: wording.sentence_case(str(row["detail"])),
            sub=lambda row: wording.sentence_case(str(row.get("mend") or "")),
            stretch=True,
        ),
        Column("Time", lambda row: f"{float(row['ms']):.0f} ms", right=True),
    ]


class AccountsPage(AdminPage):
    """accounts.yaml, without keys."""

    key = "accounts"
    title = "Accounts"
    icon_name = "users"
    topics = frozenset({"accounts", "config"})

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self._test: asyncio.Task[None] | None = None
        self.model = TableModel[Row](
            [
                Column("Login", lambda row: str(row["username"]), icon=lambda row: "user"),
                Column(
                    "State",
                    self._state,
                    tone=self._tone,
                    icon=lambda row: "circle-check" if row["enabled"] else "minus",
                ),
                Column("Accounts", self._accounts, sub=self._found, stretch=True),
                Column(
                    "API key",
                    self._key,
                    tone=lambda row: None if row["key_set"] and row["key_place"] != "file" else Tone.WARNING,
                    tip=lambda row: "Set key… moves it to the key store." if row["key_place"] == "file" else "",
                ),
            ],
            lambda row: row["username"],
        )
        self.table = DataTable(self.model, "Logins", sortable=False)
        self.table.selectionModel().selectionChanged.connect(self._show_buttons)
        self.add = Button("Add…", "user-plus", role="primary", name="Add a login", on_click=self._add)
        self.edit = Button("Edit…", "pencil", name="Edit the login", on_click=self._edit)
        self.set_key = Button("Set key…", "key-round", name="Set the login's API key", on_click=self._set_key)
        self.toggle = Button("Disable…", "power", name="Enable or disable the login", on_click=self._toggle)
        self.remove = Button("Remove…", "trash-2", name="Remove the login", on_click=self._remove)
        self.test = Button("Test", "plug", name="Test the login's connection", on_click=self._start_test)
        self.stop_test = Button("Cancel test", "x", on_click=self._end_test)
        self.stop_test.hide()
        logins = Card("Logins")
        logins.body.addWidget(
            TableOrEmpty(
                self.table,
                EmptyState("users", "No login yet", "Add the login whose accounts are to be protected."),
            ),
            1,
        )
        logins.body.addLayout(hbox(self.add, self.edit, self.set_key, self.toggle, self.remove, None, spacing=GRID))

        self.steps = TableModel[Row](step_columns(), lambda row: row["name"])
        self.steps_table = DataTable(self.steps, "Connection test", sortable=False)
        self.test_empty = EmptyState("plug", "Not tested yet", "Choose a login and test it: database, REST, both hubs.")
        tests = QWidget()
        tests.setLayout(
            vbox(
                TableOrEmpty(self.steps_table, self.test_empty),
                hbox(self.test, self.stop_test, None, spacing=GRID),
                spacing=GRID,
                margins=(0, GRID, 0, 0),
            )
        )
        self.accounts = TableModel[Row](
            [
                Column(
                    "Account", lambda row: str(row["name"]), sub=lambda row: f"Id {row['account_id']}", stretch=True
                ),
                Column("Login", lambda row: str(row["login"])),
                Column(
                    "Connection",
                    lambda row: "Connected" if row["connected"] else "Not connected",
                    tone=lambda row: Tone.POSITIVE if row["connected"] else Tone.WARNING,
                    icon=lambda row: "radio" if row["connected"] else "unplug",
                ),
                Column(
                    "Lockout",
                    lambda row: "Locked" if row["locked"] else "Free",
                    tone=lambda row: Tone.LOCKED if row["locked"] else None,
                    icon=lambda row: "lock" if row["locked"] else "lock-open",
                ),
            ],
            lambda row: row["account_id"],
        )
        found = QWidget()
        found.setLayout(
            vbox(
                TableOrEmpty(
                    DataTable(self.accounts, "Accounts found"),
                    EmptyState("wallet", "No account found", "The daemon lists accounts once a login works."),
                ),
                margins=(0, GRID, 0, 0),
            )
        )
        self.tabs = QTabWidget()
        self.tabs.addTab(found, "Accounts found")
        self.tabs.addTab(tests, "Connection test")
        below = Card()
        below.body.addWidget(self.tabs)
        self.body.addWidget(logins, 1)
        self.body.addWidget(below, 1)
        self._show_buttons()

    async def load(self) -> None:
        rows = rows_of(await self.session.call("get_logins"))
        self.model.set_rows(rows)
        self.accounts.set_rows([{**account, "login": row["username"]} for row in rows for account in row["found"]])
        if self._chosen() is None and rows:
            self.table.selectRow(0)
        self._show_buttons()

    # ---- cells

    @staticmethod
    def _state(row: Row) -> str:
        if row.get("leaving"):
            return "Removed at the reset"
        if row["enabled"]:
            return "Enabled"
        return "Disabled at the reset" if row["active"] else "Disabled"

    @staticmethod
    def _tone(row: Row) -> str | None:
        if row["enabled"]:
            return Tone.POSITIVE
        return Tone.WARNING if row["active"] else Tone.MUTED

    @staticmethod
    def _accounts(row: Row) -> str:
        return "All" if row["accounts"] == "all" else ", ".join(map(str, row["accounts"])) or "None"

    @staticmethod
    def _found(row: Row) -> str:
        found = row["found"]
        if not found:
            return "None found yet." if row["enabled"] else ""
        return f"Found: {', '.join(str(account['name']) for account in found)}"

    @staticmethod
    def _key(row: Row) -> str:
        if row["key_place"] == "file":
            return "In the file, unsafe"
        return {True: "Set", False: "Not set", None: "Key store does not answer"}[row["key_set"]]

    def _chosen(self) -> Row | None:
        return self.table.chosen_row()

    def _show_buttons(self) -> None:
        row = self._chosen()
        for button in (self.edit, self.set_key, self.toggle, self.remove):
            button.setEnabled(row is not None and not row.get("leaving"))
        self.test.setEnabled(row is not None and self._test is None)
        set_text(self.toggle, "Disable…" if row is not None and row["enabled"] else "Enable")

    # ---- changes

    async def _change(self, patch: list[dict[str, Any]], *, title: str) -> bool:
        request = {"patch": patch, "file": FILE}
        preview = await self.session.call("set_config", {**request, "dry_run": True})
        review = await look_at(self, rows_of(preview["changes"]), (FILE,))
        # What only tightens is done at once: it can be taken back by the opposite change.
        if review.loosens and not await ReviewDialog(self.admin, review, self, title=title).ask():
            return False
        answer = await self.session.call("set_config", request)
        await self.load()
        waiting = [row for row in rows_of(answer["pending"]) if row.get("file") == FILE]
        if review.loosens and waiting:
            self.say(
                Tone.WARNING,
                "hourglass",
                "It waits for the reset",
                "Until then the accounts stay protected. Under Rules, Waiting, it can be taken back.",
            )
        else:
            self.say_done("Done")
        return True

    def _add(self) -> None:
        self.work(self._ask_add(), busy=self.add)

    async def _ask_add(self) -> None:
        values = await LoginDialog(self).ask()
        if values is not None:
            await self.add_login(values)

    async def add_login(self, values: Mapping[str, Any]) -> None:
        """Add a login and hand its key over; the key never touches a file."""
        name = str(values["username"])
        if any(str(row["username"]).casefold() == name.casefold() for row in self.model.rows):
            self.say_error(f"There is a login {name} already; edit that one.")
            return
        if values["api_key"]:
            await self.session.call("set_credential", {"username": name, "api_key": values["api_key"]})
        entry = {"api_key": "keyring", "accounts": values["accounts"]}
        await self._change([{"path": ["logins", name], "value": entry}], title=f"Add {name}")

    def _edit(self) -> None:
        row = self._chosen()
        if row is not None:
            self.work(self._ask_edit(row), busy=self.edit)

    async def _ask_edit(self, row: Row) -> None:
        values = await LoginDialog(self, row).ask()
        if values is not None and values["accounts"] != row["accounts"]:
            name = str(row["username"])
            await self._change(
                [{"path": ["logins", name, "accounts"], "value": values["accounts"]}], title=f"Edit {name}"
            )

    def _toggle(self) -> None:
        row = self._chosen()
        if row is not None:
            name = str(row["username"])
            step = {"path": ["logins", name, "enabled"], "value": not row["enabled"]}
            self.work(self._change([step], title=f"Disable {name}"), busy=self.toggle)  # type: ignore[arg-type]

    def _remove(self) -> None:
        row = self._chosen()
        if row is not None:
            name = str(row["username"])
            step = {"path": ["logins", name], "value": None}
            self.work(self._change([step], title=f"Remove {name}"), busy=self.remove)  # type: ignore[arg-type]

    def _set_key(self) -> None:
        row = self._chosen()
        if row is not None:
            self.work(self._ask_key(row), busy=self.set_key)

    async def _ask_key(self, row: Row) -> None:
        name = str(row["username"])
        key = await Ask(
            self,
            f"API key of {name}",
            "The daemon keeps it in the system's key store and logs in with it at once. It is never shown again; the "
            "one before is replaced.",
            yes="Replace the key" if row["key_set"] else "Store the key",
            icon_name="key-round",
            field="API key",
            secret=True,
        ).ask()
        if key is None:
            return
        await self.session.call("set_credential", {"username": name, "api_key": key})
        if row["key_place"] == "file":
            await self._change([{"path": ["logins", name, "api_key"], "value": "keyring"}], title=f"Key of {name}")
        await self.load()
        self.say_done("The key is stored", "Test the connection to see that it works.")

    # ---- test

    def _start_test(self) -> None:
        row = self._chosen()
        if row is not None and self._test is None:
            self.tabs.setCurrentIndex(1)
            self._test = self.work(self._run_test(str(row["username"])))

    async def _run_test(self, username: str) -> None:
        self.steps.set_rows([])
        self.test_empty.say("hourglass", f"Testing {username}", "Database, REST, both hubs; up to a minute.")
        self.stop_test.show()
        self.test.setEnabled(False)
        try:
            rows = rows_of(await self.session.call("test_connection", {"username": username}, timeout=100.0))
            self.steps.set_rows(rows)
            failed = [row for row in rows if not row["ok"]]
            if failed:
                self.say(
                    Tone.NEGATIVE,
                    "circle-x",
                    f"{username}: {len(failed)} of {len(rows)} steps failed",
                    wording.sentence_case(str(failed[0].get("mend") or failed[0]["detail"])),
                )
            else:
                self.say_done(f"{username} works", f"All {len(rows)} steps are fine.")
        except asyncio.CancelledError:
            self.test_empty.say("x", "The test was cancelled", "Nothing was changed.")
        finally:
            self._test = None
            self.stop_test.hide()
            self._show_buttons()

    def _end_test(self) -> None:
        if self._test is not None:
            self._test.cancel()
