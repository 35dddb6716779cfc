"""Rules: forms made from the models, overrides of single accounts, the YAML itself, presets, and what waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPlainTextEdit,
    QSplitter,
    QTabWidget,
    QWidget,
)

from gui.admin_session import AdminError
from gui.admin_words import SECTION_NAMES, value_words
from gui.change_review import newly_waiting, told_apart
from gui.models.admin_draft import SECTIONS, Draft, rule_fields, section_fields
from gui.models.table import TableModel
from gui.views import icons
from gui.views.admin.dialogs import Ask
from gui.views.admin.form import Form
from gui.views.admin.page import AdminContext, AdminPage, Notes, rows_of
from gui.views.admin.review import ReviewDialog, Row, change_columns
from gui.views.theme import theme
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, scrolled, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty
from shared.config import RULE_IDS, RULE_MODELS

FORM, YAML, PENDING = 0, 1, 2
FILE = "risk_config.yaml"


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
        self._text = ""
        self._loaded = False
        self._presets: list[dict[str, Any]] = []
        self._form: Form | None = None
        self._chosen = ""

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

        self.list = QListWidget()
        self.list.setAccessibleName("Rules and settings")
        self.list.setMinimumWidth(230)
        self.list.setIconSize(QSize(16, 16))
        self.list.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.currentItemChanged.connect(self._item_changed)
        self.heading = label("", "heading", wrap=True)
        self.about = label("", "muted", wrap=True)
        self.switch = QCheckBox("On")
        self.switch.clicked.connect(self._switched)
        self.own = label("", "caption")
        self.place = vbox(spacing=0)
        holder = QWidget()
        head = hbox(self.heading, self.switch, spacing=2 * GRID)
        head.setStretch(0, 1)
        holder.setLayout(
            vbox(head, self.about, self.own, GRID, self.place, None, spacing=4, margins=(2 * GRID, 0, GRID, 0))
        )
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.addWidget(self.list)
        self.split.addWidget(scrolled(holder))
        self.split.setStretchFactor(1, 1)
        self.split.setSizes([240, 640])
        self.split.setChildrenCollapsible(False)

        self.yaml = QPlainTextEdit()
        self.yaml.setAccessibleName("risk_config.yaml as text")
        self.yaml.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.yaml.setStyleSheet(
            'font-family: "Cascadia Mono", "Consolas", "DejaVu Sans Mono", "Liberation Mono", monospace;'
        )
        self.yaml.textChanged.connect(self._yaml_edited)
        self.yaml_notes = Notes("What is wrong with the text")
        yaml_page = QWidget()
        yaml_page.setLayout(
            vbox(
                label("The file itself, comments included. It is checked while you type.", "muted", wrap=True),
                self.yaml,
                self.yaml_notes,
                spacing=GRID,
                margins=(0, GRID, 0, 0),
            )
        )
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(400)
        self._check_timer.timeout.connect(self._check_yaml)

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
        self.tabs.addTab(self.split, "Form")
        self.tabs.addTab(yaml_page, "YAML")
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
        theme().changed.connect(self._draw_list)
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
        edited = self.draft.changed or self._yaml_changed
        if not edited or not self._loaded:
            self.draft.reset(wished)
            self._set_text(text)
        self._loaded = True
        self.pending.set_rows([row for row in rows_of(config["pending"]) if row.get("file") == FILE])
        count = self.pending.rowCount()
        self.tabs.setTabText(PENDING, f"Waiting ({count})" if count else "Waiting")
        self._fill_scope()
        self._fill_list()
        self._show_form(rebuild=True)

    def _set_text(self, text: str) -> None:
        self._text = text
        self.yaml.blockSignals(True)
        self.yaml.setPlainText(text)
        self.yaml.blockSignals(False)
        self.yaml_notes.show_lines([])

    @property
    def _yaml_changed(self) -> bool:
        return self.yaml.toPlainText() != self._text

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

    def _fill_list(self) -> None:
        chosen = self._chosen or next(iter(RULE_MODELS))
        self.list.blockSignals(True)
        self.list.clear()
        for key, model in RULE_MODELS.items():
            item = QListWidgetItem(model.title)
            item.setSizeHint(QSize(200, 32))
            item.setData(Qt.ItemDataRole.UserRole, key)
            self.list.addItem(item)
        if self.account is None:
            for key in SECTIONS:
                item = QListWidgetItem(SECTION_NAMES[key])
                item.setSizeHint(QSize(200, 32))
                item.setData(Qt.ItemDataRole.UserRole, f"/{key}")
                self.list.addItem(item)
        self._draw_list()
        keys = [self.list.item(n).data(Qt.ItemDataRole.UserRole) for n in range(self.list.count())]
        self.list.setCurrentRow(keys.index(chosen) if chosen in keys else 0)
        self._chosen = keys[self.list.currentRow()]
        self.list.blockSignals(False)

    def _draw_list(self) -> None:
        tokens = theme().tokens
        wrong = {path[1] for path in self.draft.errors() if path[:1] == ("rules",) and len(path) > 1}
        for number in range(self.list.count()):
            item = self.list.item(number)
            key = str(item.data(Qt.ItemDataRole.UserRole))
            if key.startswith("/"):
                item.setIcon(icons.icon("settings", tokens.muted))
                continue
            on = self.draft.enabled(key, self.account)
            name = "circle-alert" if key in wrong else "circle-check" if on else "minus"
            color = tokens.negative if key in wrong else tokens.positive if on else tokens.muted
            item.setIcon(icons.icon(name, color))
            own = self.account is not None and key in self.draft.overrides(self.account)
            item.setText(RULE_MODELS[key].title + (" · own" if own else ""))
            item.setToolTip(f"{RULE_IDS[key]}, {'on' if on else 'off'}{', with values of its own' if own else ''}")
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{RULE_MODELS[key].title}, {'on' if on else 'off'}")

    # ---- the form

    def _scope_changed(self) -> None:
        self._fill_list()
        self._show_form(rebuild=True)

    def _item_changed(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self._chosen = str(item.data(Qt.ItemDataRole.UserRole))
            self._show_form(rebuild=True)

    def choose(self, key: str) -> None:
        """Put a rule, or "/reset", "/policy", on screen."""
        for number in range(self.list.count()):
            if self.list.item(number).data(Qt.ItemDataRole.UserRole) == key:
                self.list.setCurrentRow(number)

    @property
    def form(self) -> Form | None:
        """The form on screen."""
        return self._form

    def _show_form(self, *, rebuild: bool = False) -> None:
        key = self._chosen
        if not key or not self._loaded:
            return
        section = key.startswith("/")
        if rebuild:
            self._build_form(key)
        assert self._form is not None
        account = self.account
        if section:
            self._form.set_values(self.draft.get((key[1:],)) or {})
            self.switch.hide()
            self.own.hide()
        else:
            on = self.draft.enabled(key, account)
            self.switch.show()
            self.switch.setChecked(on)
            self.switch.setText("On" if on else "Off")
            self.switch.setAccessibleName(f"{RULE_MODELS[key].title}: enforced")
            rule = self.draft.rule(key, account)
            self._form.set_values(rule or {})
            self._form.setVisible(rule is not None)
            self.own.setVisible(account is not None)
            self._show_origins(key, account)
        self._show_errors()
        self._show_state()

    def _build_form(self, key: str) -> None:
        if self._form is not None:
            self._form.setParent(None)
            self._form.deleteLater()
        if key.startswith("/"):
            self.heading.setText(SECTION_NAMES[key[1:]])
            set_text(self.about, "For all accounts.")
            self._form = Form(section_fields(key[1:]))
        else:
            model = RULE_MODELS[key]
            self.heading.setText(model.title)
            set_text(self.about, f"{RULE_IDS[key]}. {(model.__doc__ or '').strip().splitlines()[0]}")
            self._form = Form(rule_fields(key))
        self._form.edited.connect(self._edited)
        self._form.inherit_asked.connect(self._inherit)
        self.place.addWidget(self._form)

    def _show_origins(self, key: str, account: int | None) -> None:
        assert self._form is not None
        if account is None:
            for row in self._form.rows.values():
                row.hide_origin()
            return
        base = self.draft.rule(key) or {}
        own_switch = self.draft.overridden(account, (key, "enabled"))
        set_text(
            self.own, "Turned on or off for this account alone." if own_switch else "On or off as in the defaults."
        )
        for name, row in self._form.rows.items():
            own = self.draft.overridden(account, (key, name))
            row.set_origin(own, value_words(f"rules.{key}.{name}", base.get(name, row.field.default)))

    def _show_errors(self) -> None:
        assert self._form is not None
        key = self._chosen
        place: tuple[str, ...] = ("rules", key)
        if key.startswith("/"):
            place = (key[1:],)
        elif self.account is not None:
            place = ("accounts", str(self.account), "rules", key)
        found: dict[str, str] = {}
        general = ""
        for path, words in self.draft.errors().items():
            if path[: len(place)] != place:
                continue
            if len(path) > len(place) and path[len(place)] in self._form.rows:
                where = ".".join(path[len(place) + 1 :])
                found.setdefault(path[len(place)], f"{where} {words}".strip())
            else:
                general = words
        self._form.set_errors(found)
        if general:
            self.say(Tone.NEGATIVE, "circle-alert", "This rule is not complete", f"It {general}.")
        elif self.banner.headline.text() == "This rule is not complete":
            self.hush()

    def _place(self, key: str) -> tuple[str, ...]:
        if key.startswith("/"):
            return (key[1:],)
        return ("rules", key) if self.account is None else ("accounts", str(self.account), "rules", key)

    def _edited(self, name: str, value: Any) -> None:
        self.draft.set((*self._place(self._chosen), name), value)
        self._after_edit()

    def _inherit(self, name: str) -> None:
        self.draft.set((*self._place(self._chosen), name), None)
        self._after_edit()
        self._show_form()

    def _switched(self, on: bool) -> None:
        self.draft.switch(self._chosen, on, self.account)
        self._show_form()
        self._after_edit()

    def _after_edit(self) -> None:
        if not self._chosen.startswith("/"):
            self._show_origins(self._chosen, self.account)
        self._show_errors()
        self._draw_list()
        self._show_state()

    # ---- the text

    def _tab_changed(self, number: int) -> None:
        self._show_state()
        if number == YAML and self.draft.changed and not self._yaml_changed:
            self.say(
                Tone.ACCENT,
                "info",
                "The text is the file as it is",
                "Edits of the form are not in it yet. Apply or discard them before you edit the text.",
            )
        elif number == FORM and self._yaml_changed:
            self.say(
                Tone.ACCENT,
                "info",
                "The text has edits",
                "The form shows the file as it is. Apply or discard the text's edits before you edit the form.",
            )
        elif self.banner.headline.text() in ("The text is the file as it is", "The text has edits"):
            self.hush()

    def _yaml_edited(self) -> None:
        self._check_timer.start()
        self._show_state()

    def _check_yaml(self) -> None:
        if self.session.open and self._yaml_changed:
            self.work(self._judge_yaml(), failed=self._yaml_wrong)
        else:
            self.yaml_notes.show_lines([])

    async def _judge_yaml(self) -> None:
        await self._preview()

    def _yaml_wrong(self, error: AdminError) -> None:
        lines = [
            words if line is None or f"line {line}" in words else f"Line {line}: {words}"
            for line, _, words in error.lines
        ]
        self.yaml_notes.show_lines(lines or [str(error)], Tone.NEGATIVE.value)

    async def _preview(self) -> list[dict[str, Any]]:
        answer = await self.session.call("set_config", {**self._request(), "file": FILE, "dry_run": True})
        self.yaml_notes.show_lines([])
        return rows_of(answer["changes"])

    def _request(self) -> dict[str, Any]:
        if self._yaml_changed:
            return {"yaml": self.yaml.toPlainText()}
        return {"patch": self.draft.patch()}

    # ---- the bar below

    def _show_state(self) -> None:
        if self._yaml_changed:
            words = "The text was edited."
        else:
            count = len(self.draft.patch()) if self.draft.changed else 0
            words = f"{count} edit{'' if count == 1 else 's'} not applied." if count else "No edits."
        wrong = 0 if self._yaml_changed else len(self.draft.errors())
        if wrong:
            words += f" {wrong} value{'' if wrong == 1 else 's'} to mend first."
        set_text(self.said, words)
        edited = self._yaml_changed or self.draft.changed
        for button in (self.discard, self.try_out):
            button.setEnabled(edited)
        self.review.setEnabled(edited and not wrong)
        self.take_back.setEnabled(bool(self.pending_table.selectionModel().selectedRows()))
        both_ways = self._yaml_changed
        self.split.setEnabled(not both_ways)
        self.yaml.setReadOnly(self.draft.changed)

    def _discard(self) -> None:
        self.draft.reset()
        self._set_text(self._text)
        self.hush()
        self._fill_list()
        self._show_form(rebuild=True)

    def _review(self) -> None:
        self.work(self._apply(), busy=self.review, failed=self._refused)

    def _refused(self, error: AdminError) -> None:
        self._yaml_wrong(error)
        self.say_error(str(error))
        self._show_state()

    async def _apply(self) -> None:
        request = self._request()
        changes = await self._preview()
        before = rows_of(await self.session.call("get_pending_config"))
        if not changes and not self._yaml_changed:
            self.draft.reset()
            await self.load()
            self.say_done("Nothing changes", "The edits say the same as the configuration in force.")
            return
        review = told_apart(changes, before, (FILE,))
        if review.rows and not await ReviewDialog(self.admin, review, self).ask():
            return
        answer = await self.session.call("set_config", {**request, "file": FILE})
        self.draft.reset()
        self._set_text(self.yaml.toPlainText())
        applied, waiting = len(answer["applied"]), newly_waiting(before, rows_of(answer["pending"]))
        await self.load()
        words = f"{applied} in force now." if applied else "Nothing changed at once."
        if waiting:
            words += f" {waiting} wait{'s' if waiting == 1 else ''} for the reset, see Waiting."
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
        if (self.draft.changed or self._yaml_changed) and await Ask(
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
        self.yaml.setReadOnly(False)
        self.yaml.setPlainText(text)
        self._check_timer.stop()
        self._check_yaml()
        self._show_state()

    def _import(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Import", "", "YAML (*.yaml *.yml);;All files (*)")
        if name:
            try:
                self.take_text(Path(name).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                self.say_error(f"The file could not be read: {error}")

    def _export(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Export", FILE, "YAML (*.yaml *.yml)")
        if name:
            try:
                Path(name).write_text(self.yaml.toPlainText(), encoding="utf-8")
            except OSError as error:
                self.say_error(f"The file could not be written: {error}")
            else:
                self.say_done("Exported", name)
