"""One rule after the other as a form: the list of rules and settings, and the form of the one that is chosen."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QListWidget, QListWidgetItem, QSplitter, QWidget

from gui.admin_words import SECTION_NAMES, value_words
from gui.models.admin_draft import SECTIONS, Draft, rule_fields, section_fields
from gui.views import icons
from gui.views.admin.form import Form
from gui.views.theme import theme
from gui.views.tokens import GRID
from gui.views.widgets.basic import hbox, label, scrolled, set_text, vbox
from shared.config import RULE_IDS, RULE_MODELS


class RuleEditor(QSplitter):
    """Edits a draft: the defaults, or the overrides of an `account`.

    `edited` after each edit; `incomplete` with what is wrong with the rule as a whole, "" for nothing.
    """

    edited = Signal()
    incomplete = Signal(str)

    def __init__(self, draft: Draft) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        self.draft = draft
        self.account: int | None = None
        self._loaded = False
        self._form: Form | None = None
        self._chosen = ""
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
        self.addWidget(self.list)
        self.addWidget(scrolled(holder))
        self.setStretchFactor(1, 1)
        self.setSizes([240, 640])
        self.setChildrenCollapsible(False)
        theme().changed.connect(self._draw_list)

    def show_draft(self, account: int | None) -> None:
        """Show the draft anew for an account, or the defaults: it was loaded, or its edits were given up."""
        self._loaded = True
        self.account = account
        self._fill_list()
        self._show_form(rebuild=True)

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
        place = self._place(self._chosen)
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
        self.incomplete.emit(general)

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
        self.edited.emit()
