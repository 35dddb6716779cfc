"""Rules: forms made from the models, overrides of single accounts, the YAML itself, presets, and what waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QMenu,
    QTabWidget,
    QWidget,
)

from gui import wording
from gui.admin_session import AdminError
from gui.change_review import newly_waiting, told_apart
from gui.models.admin_draft import Draft
from gui.models.table import TableModel
from gui.views.admin.dialogs import Ask
from gui.views.admin.form import Form
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.admin.review import ReviewDialog, Row, change_columns
from gui.views.admin.rule_editor import RuleEditor
from gui.views.admin.yaml_editor import YamlEditor
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

FORM, YAML, PENDING = 0, 1, 2
FILE = "risk_config.yaml"
IMPORT_BYTES = 256 * 1024
INCOMPLETE = "This rule is not complete"


class RulesPage(AdminPage):
    """Edits risk_config.yaml. `try_asked` with a patch or a text: run it over a recorded day before applying."""

    key = "rules"
    title = "Rules"
    icon_name = "list-checks"
    topics = frozenset({"config"})
    try_asked = Signal(object)

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self.draft = Draft({})
        self._loaded = False
        self._presets: list[dict[str, Any]] = []

        self.scope = QComboBox()
        self.scope.setAccessibleName("Edit the rules of")
        self.scope.setMinimumWidth(200)
        self.scope.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.scope.currentIndexChanged.connect(self._scope_changed)
        self.preset = Button("Preset", "layers", role="menu", name="Take over a preset")
        self.preset_menu = QMenu(self.preset)
        self.preset.setMenu(self.preset_menu)
        self.bring_in = Button("Import…", "upload", name="Import a YAML file", on_click=self._import)
        self.export = Button("Export…", "download", name="Export the YAML to a file", on_click=self._export)
        bar = hbox(
            label("Rules of", "caption"), self.scope, None, self.preset, self.bring_in, self.export, spacing=GRID
        )

        self.editor = RuleEditor(self.draft)
        self.editor.edited.connect(self._show_state)
        self.editor.incomplete.connect(self._say_incomplete)
        self.yaml = YamlEditor(FILE)
        self.yaml.edited.connect(self._show_state)
        self.yaml.check_asked.connect(self._check_yaml)

        self.pending = TableModel[Row](change_columns(admin), lambda row: row["id"])
        self.pending_table = DataTable(self.pending, "Changes that wait", sortable=False)
        self.take_back = Button("Take the change back", "undo-2", on_click=self._cancel_pending)
        pending_page = QWidget()
        pending_page.setLayout(
            vbox(
                label(
                    "What weakens the protection waits for the reset. Until then a change can be taken back, in the "
                    "file too.",
                    "muted",
                    wrap=True,
                ),
                TableOrEmpty(
                    self.pending_table,
                    EmptyState("circle-check", "Nothing waits", "All changes are in force."),
                ),
                hbox(None, self.take_back),
                spacing=GRID,
                margins=(0, GRID, 0, 0),
            )
        )
        self.tabs = QTabWidget()
        self.tabs.addTab(self.editor, "Form")
        self.tabs.addTab(self.yaml, "YAML")
        self.tabs.addTab(pending_page, "Waiting")
        self.tabs.currentChanged.connect(self._tab_changed)
        self.pending_table.selectionModel().selectionChanged.connect(self._show_state)

        self.said = label("", "muted")
        self.discard = Button("Discard", "undo-2", name="Discard all edits", on_click=self._discard)
        self.try_out = Button("What if…", "flask-conical", name="Try on a recorded day", on_click=self._try)
        self.review = Button("Review and apply…", "check", role="primary", on_click=self._review)
        self.body.addLayout(bar)
        card = Card()
        card.body.addWidget(self.tabs)
        self.body.addWidget(card, 1)
        self.body.addLayout(hbox(self.said, None, self.discard, self.try_out, self.review, spacing=GRID))
        self._show_state()

    # ---- loading

    async def load(self) -> None:
        config = await self.session.call("get_config")
        if not self._presets:
            self._presets = rows_of(await self.session.call("get_presets"))
            self._fill_presets()
        self._take(config)

    def _take(self, config: Any) -> None:
        wished = config["wished"][FILE]
        text = config["yaml"].get(FILE) or ""
        edited = self.draft.changed or self.yaml.changed
        if not edited or not self._loaded:
            self.draft.reset(wished)
            self.yaml.load(text)
        self._loaded = True
        self.pending.set_rows([row for row in rows_of(config["pending"]) if row.get("file") == FILE])
        count = self.pending.rowCount()
        self.tabs.setTabText(PENDING, f"Waiting ({count})" if count else "Waiting")
        self._fill_scope()
        self.editor.show_draft(self.account)
        self._show_state()

    def _fill_presets(self) -> None:
        self.preset_menu.clear()
        for preset in self._presets:
            action = self.preset_menu.addAction(str(preset["title"]).replace("&", "&&"))
            action.setToolTip(str(preset["notes"]))
            action.triggered.connect(lambda _=False, p=preset: self.work(self._ask_preset(p)))
        self.preset_menu.setToolTipsVisible(True)

    def _fill_scope(self) -> None:
        wanted: list[tuple[str, int | None]] = [("all accounts (defaults)", None)]
        known = {view.account_id: view.account.name for view in self.state.accounts.values()}
        for number in self.draft.get(("accounts",)) or {}:
            if str(number).isdecimal():
                known.setdefault(int(number), f"account {number}")
        wanted += [(f"{name}", number) for number, name in sorted(known.items())]
        shown = [(self.scope.itemText(n), self.scope.itemData(n)) for n in range(self.scope.count())]
        if wanted == shown:
            return
        chosen = self.scope.currentData()
        self.scope.blockSignals(True)
        self.scope.clear()
        for words, number in wanted:
            self.scope.addItem(words, number)
        self.scope.setCurrentIndex(max(0, self.scope.findData(chosen)))
        self.scope.blockSignals(False)

    @property
    def account(self) -> int | None:  # type: ignore[override]
        """The account whose overrides are edited; None: the defaults."""
        data = self.scope.currentData()
        return data if isinstance(data, int) else None

    def _scope_changed(self) -> None:
        if self._loaded:
            self.editor.show_draft(self.account)
        self._show_state()

    def choose(self, key: str) -> None:
        """Put a rule, or "/reset", "/policy", on screen."""
        self.editor.choose(key)

    @property
    def form(self) -> Form | None:
        """The form on screen."""
        return self.editor.form

    def _say_incomplete(self, words: str) -> None:
        if words:
            self.say(Tone.NEGATIVE, "circle-alert", INCOMPLETE, f"It {words}.")
        elif self.banner.headline.text() == INCOMPLETE:
            self.hush()

    # ---- the text

    def _tab_changed(self, number: int) -> None:
        self._show_state()
        if number == YAML and self.draft.changed and not self.yaml.changed:
            self.say(
                Tone.ACCENT,
                "info",
                "The text is the file as it is",
                "Edits of the form are not in it yet. Apply or discard them before you edit the text.",
            )
        elif number == FORM and self.yaml.changed:
            self.say(
                Tone.ACCENT,
                "info",
                "The text has edits",
                "The form shows the file as it is. Apply or discard the text's edits before you edit the form.",
            )
        elif self.banner.headline.text() in ("The text is the file as it is", "The text has edits"):
            self.hush()

    def _check_yaml(self) -> None:
        if self.session.open and self.yaml.changed:
            self.work(self._judge_yaml(), failed=self.yaml.show_wrong)
        else:
            self.yaml.notes.show_lines([])

    async def _judge_yaml(self) -> None:
        await self._preview()

    async def _preview(self) -> list[dict[str, Any]]:
        answer = await self.session.call("set_config", {**self._request(), "file": FILE, "dry_run": True})
        self.yaml.notes.show_lines([])
        return rows_of(answer["changes"])

    def _request(self) -> dict[str, Any]:
        if self.yaml.changed:
            return {"yaml": self.yaml.text}
        return {"patch": self.draft.patch()}

    # ---- the bar below

    def _show_state(self) -> None:
        if self.yaml.changed:
            words = "The text was edited."
        else:
            count = len(self.draft.patch()) if self.draft.changed else 0
            words = f"{wording.counted(count, 'edit')} not applied." if count else "No edits."
        wrong = 0 if self.yaml.changed else len(self.draft.errors())
        if wrong:
            words += f" {wording.counted(wrong, 'value')} to correct first."
        set_text(self.said, words)
        edited = self.yaml.changed or self.draft.changed
        for button in (self.discard, self.try_out):
            button.setEnabled(edited)
        self.review.setEnabled(edited and not wrong)
        self.take_back.setEnabled(bool(self.pending_table.selectionModel().selectedRows()))
        self.editor.setEnabled(not self.yaml.changed)
        self.yaml.field.setReadOnly(self.draft.changed)

    def _discard(self) -> None:
        self.draft.reset()
        self.yaml.reload()
        self.hush()
        self.editor.show_draft(self.account)
        self._show_state()

    def _review(self) -> None:
        self.work(self._apply(), busy=self.review, failed=self._refused)

    def _refused(self, error: AdminError) -> None:
        self.yaml.show_wrong(error)
        self.say_error(str(error))
        self._show_state()

    async def _apply(self) -> None:
        request = self._request()
        changes = await self._preview()
        before = rows_of(await self.session.call("get_pending_config"))
        if not changes and not self.yaml.changed:
            self.draft.reset()
            await self.load()
            self.say_done("Nothing changes", "The edits say the same as the configuration in force.")
            return
        review = told_apart(changes, before, (FILE,))
        if review.rows and not await ReviewDialog(self.admin, review, self).ask():
            return
        answer = await self.session.call("set_config", {**request, "file": FILE})
        self.draft.reset()
        self.yaml.load(self.yaml.text)
        applied, waiting = len(answer["applied"]), newly_waiting(before, rows_of(answer["pending"]))
        await self.load()
        words = f"{applied} in force now." if applied else "Nothing changed at once."
        if waiting:
            words += f" {wording.counted(waiting, 'waits', 'wait')} for the reset, see Waiting."
        self.say_done("Applied", words)

    def _try(self) -> None:
        request = self._request()
        self.try_asked.emit(request.get("yaml", request.get("patch")))

    def _cancel_pending(self) -> None:
        self.work(self._cancel([str(row["id"]) for row in self.pending_table.chosen_rows()]), busy=self.take_back)

    async def _cancel(self, ids: list[str]) -> None:
        for change_id in ids:
            await self.session.call("cancel_pending_config", {"id": change_id})
        self.draft.reset()
        await self.load()
        self.say_done("Taken back", "The protection stays as it is.")

    # ---- presets, files

    async def _ask_preset(self, preset: dict[str, Any]) -> None:
        if (self.draft.changed or self.yaml.changed) and await Ask(
            self,
            "Replace your edits?",
            "The preset takes the place of what you have edited and not applied.",
            yes="Replace my edits",
        ).ask() is None:
            return
        self.take_text(str(preset["yaml"]))
        self.say(
            Tone.WARNING,
            "triangle-alert",
            str(preset["title"]),
            f"{preset['notes']} Nothing is in force yet: review and apply it.",
        )

    def take_text(self, text: str) -> None:
        """Put a text in the editor, as if it had been typed."""
        self.draft.reset()
        self.tabs.setCurrentIndex(YAML)
        self.yaml.replace(text)
        self._show_state()

    def _import(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import", "", "YAML (*.yaml *.yml);;All files (*)")
        if name:
            try:
                if Path(name).stat().st_size > IMPORT_BYTES:
                    self.say_error(f"{Path(name).name} is larger than 256 KiB: that is no configuration.")
                    return
                self.take_text(Path(name).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                self.say_error(f"The file could not be read: {error}")

    def _export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export", FILE, "YAML (*.yaml *.yml)")
        if name:
            try:
                Path(name).write_text(self.yaml.text, encoding="utf-8")
            except OSError as error:
                self.say_error(f"The file could not be written: {error}")
            else:
                self.say_done("Exported", name)
