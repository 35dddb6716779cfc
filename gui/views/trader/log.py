"""What was enforced and when the account was locked: history with filters."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QComboBox, QLineEdit, QSizePolicy, QTabWidget, QWidget

from gui import wording
from gui.app_state import AppState
from gui.models.history import enforcement_model, lockouts_model
from gui.records import Enforcement, Lockout, rule_title
from gui.views.page import Context, Page
from gui.views.tokens import GRID
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

OLDER = "Load older entries"


class Period(StrEnum):
    """How far back the log is shown."""

    DAY = "Trading day"
    WEEK = "Last 7 days"
    ALL = "All"


def since(period: Period, state: AppState, account_id: int | None) -> datetime | None:
    """The earliest time shown; None for all, and while trusted time is not known."""
    now = state.clock.now()
    if now is None or period is Period.ALL:
        return None
    if period is Period.WEEK:
        return now - timedelta(days=7)
    view = state.view(account_id)
    reset = view.pnl.next_reset if view is not None else None
    return reset - timedelta(days=1) if reset is not None else now - timedelta(days=1)


class LogPage(Page):
    """See the module."""

    key = "log"
    title = "Lockouts & log"
    icon_name = "scroll-text"
    topics = frozenset({"enforcement", "lockouts", "accounts", "link"})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._history: list[Lockout] = []
        self.scope = QComboBox()
        self.scope.addItem("This account", False)
        self.scope.addItem("All accounts", True)
        self.scope.setAccessibleName("Which accounts")
        self.rule = QComboBox()
        self.rule.setAccessibleName("Which rule")
        self.rule.addItem("All rules", "")
        self.period = QComboBox()
        self.period.setAccessibleName("Which time")
        for period in Period:
            self.period.addItem(period.value, period)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search…")
        self.search.setAccessibleName("Search the log")
        self.search.setClearButtonEnabled(True)
        self.count = label("", "muted")
        for box in (self.scope, self.rule, self.period):
            box.currentIndexChanged.connect(self._filtered)
        self.search.textChanged.connect(self._filtered)

        self.entries = enforcement_model(self.state, self)
        self.lockouts = lockouts_model(self.state, self)
        self.entries_table = DataTable(self.entries, "Enforcement log")
        self.lockouts_table = DataTable(self.lockouts, "Lockouts")
        self.older = Button(OLDER, "history", role="link", on_click=self._load_older)
        first = QWidget()
        nothing = EmptyState("shield-check", "Nothing enforced", "No entry matches these filters.")
        first.setLayout(vbox(TableOrEmpty(self.entries_table, nothing), hbox(self.older, None), spacing=4))
        second = QWidget()
        never = EmptyState("lock-open", "No lockouts", "No lockout matches these filters.")
        second.setLayout(vbox(TableOrEmpty(self.lockouts_table, never)))
        self.tabs = QTabWidget()
        self.tabs.addTab(first, "Enforcement")
        self.tabs.addTab(second, "Lockouts")
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        self.tabs.currentChanged.connect(self._count)
        card = Card()
        card.body.addLayout(hbox(self.scope, self.rule, self.period, self.search, spacing=GRID))
        card.body.addWidget(self.tabs, 1)
        self.setLayout(vbox(card, margins=(24, 20, 24, 24)))
        for box in (self.scope, self.rule, self.period):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
            box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.search.setMinimumWidth(90)
        self.count.setContentsMargins(0, 0, 0, 10)
        self.tabs.setCornerWidget(self.count)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def show_account(self, account_id: int | None) -> None:
        set_text(self.older, OLDER)
        super().show_account(account_id)
        self.context.commands.spawn(self.load_history())

    def refresh(self, changes: object) -> None:
        topics = {change.topic for change in changes}  # type: ignore[attr-defined]
        if "lockouts" in topics or "link" in topics:
            self.context.commands.spawn(self.load_history())
        if topics & self.topics:
            self.refresh_all()

    def refresh_all(self) -> None:
        for table in (self.entries_table, self.lockouts_table):
            table.setColumnHidden(1, not self._everything)
        entries = self._chosen_entries()
        self._offer_rules(entries)
        self.entries.set_rows([entry for entry in entries if self._matches_entry(entry)])
        self.lockouts.set_rows([lock for lock in self._chosen_lockouts() if self._matches_lockout(lock)])
        self._count()

    def _filtered(self) -> None:
        set_text(self.older, OLDER)
        self.refresh_all()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        # What ended while another page was on screen is in the history alone.
        self.context.commands.spawn(self.load_history())

    @property
    def _everything(self) -> bool:
        return bool(self.scope.currentData())

    def _chosen_entries(self) -> list[Enforcement]:
        views = list(self.state.accounts.values()) if self._everything else [self.account]
        found = [entry for view in views if view is not None for entry in view.enforcement.values()]
        return sorted(found, key=lambda entry: entry.newness, reverse=True)

    def _chosen_lockouts(self) -> list[Lockout]:
        """History from the replica, corrected by what the daemon says is active now."""
        known = {lock.lockout_id: lock for lock in self._history}
        views = list(self.state.accounts.values()) if self._everything else [self.account]
        for view in views:
            if view is not None:
                known.update({lock.lockout_id: lock for lock in view.lockouts or ()})
        wanted = None if self._everything else self.account_id
        return sorted(
            (lock for lock in known.values() if wanted is None or lock.account_id == wanted),
            key=lambda lock: lock.lockout_id,
            reverse=True,
        )

    def _matches_entry(self, entry: Enforcement) -> bool:
        words = f"{entry.reason} {entry.action} {entry.symbol} {rule_title(entry.rule_id)}"
        return self._matches(entry.rule_id, entry.triggered_at, words)

    def _matches_lockout(self, lock: Lockout) -> bool:
        if lock.cleared_at is None:
            return self._matches(lock.rule_id, None, f"{lock.reason} {lock.symbol} {rule_title(lock.rule_id)}")
        return self._matches(lock.rule_id, lock.cleared_at, f"{lock.reason} {lock.symbol} {rule_title(lock.rule_id)}")

    def _matches(self, rule_id: str, at: datetime | None, words: str) -> bool:
        rule = self.rule.currentData()
        if rule and rule != rule_id:
            return False
        earliest = since(Period(self.period.currentData()), self.state, self.account_id)
        if earliest is not None and at is not None and at < earliest:
            return False
        needle = self.search.text().strip().casefold()
        return not needle or needle in words.casefold()

    def _offer_rules(self, entries: list[Enforcement]) -> None:
        wanted = sorted({entry.rule_id for entry in entries} | {lock.rule_id for lock in self._chosen_lockouts()})
        offered = [self.rule.itemData(number) for number in range(1, self.rule.count())]
        if wanted == offered:
            return
        chosen = self.rule.currentData()
        self.rule.blockSignals(True)
        self.rule.clear()
        self.rule.addItem("All rules", "")
        for rule_id in wanted:
            self.rule.addItem(rule_title(rule_id), rule_id)
        self.rule.setCurrentIndex(max(0, self.rule.findData(chosen)))
        self.rule.blockSignals(False)

    def _count(self) -> None:
        model = self.entries if self.tabs.currentIndex() == 0 else self.lockouts
        count = model.rowCount()
        set_text(self.count, wording.counted(count, "entry", "entries"))

    def _load_older(self) -> None:
        account_id = None if self._everything else self.account_id
        entries = self._chosen_entries()
        before = min((entry.entry_id for entry in entries if entry.entry_id is not None), default=None)
        self.older.setEnabled(False)
        self.context.commands.spawn(self._older(account_id, before))

    async def _older(self, account_id: int | None, before: int | None) -> None:
        try:
            came = await self.context.commands.older_entries(account_id, before)
        finally:
            self.older.setEnabled(True)
        set_text(self.older, OLDER if came else "There are no older entries")
        self.refresh_all()

    async def load_history(self) -> None:
        """Ask for past lockouts and show them."""
        self._history = await self.context.commands.lockout_history(None)
        self.refresh_all()
