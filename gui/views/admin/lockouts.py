"""Lockouts, active and past; locking one account or all; ending one early under the policy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from PySide6.QtCore import QTime, Signal
from PySide6.QtWidgets import QComboBox, QLineEdit, QSpinBox, QTabWidget, QTimeEdit, QWidget

from gui import wording
from gui.models.table import Column, TableModel
from gui.records import Kind, Lockout, moment, rule_title
from gui.views.admin.dialogs import Ask
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, padded, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty

MINUTES, TIME, RESET = "minutes", "time", "reset"


class LockoutsPage(AdminPage):
    """`count_changed` with the number of active lockouts."""

    key = "lockouts"
    title = "Lockouts"
    icon_name = "lock"
    topics = frozenset({"lockouts", "link"})
    count_changed = Signal(int)

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self._policy: dict[str, Any] = {}
        self._due: dict[int, datetime] = {}
        self.account_box = QComboBox()
        self.account_box.setAccessibleName("Account to lock")
        self.account_box.setMinimumWidth(180)
        self.how = QComboBox()
        self.how.setAccessibleName("How long")
        for words, data in (("for minutes", MINUTES), ("until a time", TIME), ("until the reset", RESET)):
            self.how.addItem(words, data)
        self.how.currentIndexChanged.connect(self._how_changed)
        self.minutes = QSpinBox()
        self.minutes.setRange(1, 366 * 24 * 60)
        self.minutes.setValue(60)
        self.minutes.setSuffix(" min")
        self.minutes.setAccessibleName("Minutes")
        self.time = QTimeEdit(QTime(17, 0))
        self.time.setDisplayFormat("HH:mm")
        self.time.setAccessibleName("Time of day in the zone of the reset")
        padded(self.minutes)
        padded(self.time)
        self.reason = QLineEdit()
        self.reason.setMaxLength(300)
        self.reason.setPlaceholderText("Reason, for the trader and the audit log")
        self.reason.setAccessibleName("Reason")
        self.reason.setMinimumWidth(160)
        self.lock = Button("Lock…", "lock", role="danger", name="Lock the account", on_click=self._lock)
        card = Card("Lock")
        self.how.setMinimumWidth(130)
        card.body.addLayout(hbox(self.account_box, self.how, self.minutes, self.time, None, spacing=GRID))
        card.body.addLayout(hbox(self.reason, self.lock, spacing=GRID))
        card.body.addWidget(
            label(
                "All positions are closed at market and all orders cancelled, at once and until the end. "
                "Ending it early is subject to the policy below.",
                "muted",
                wrap=True,
            )
        )

        columns: list[Column[Lockout]] = [
            Column("Account", self._account_name),
            Column(
                "Lockout",
                lambda lock: f"{rule_title(lock.rule_id)}{f', {lock.symbol}' if lock.symbol else ''}",
                icon=lambda lock: "hourglass" if lock.kind is Kind.COOLDOWN else "lock",
                tone=lambda lock: None if lock.cleared_at else Tone.LOCKED,
                sub=lambda lock: wording.sentence_case(lock.reason),
                stretch=True,
            ),
        ]
        self.active = TableModel[Lockout](
            [*columns, Column("Ends", self._ends, sub=self._clearing)],
            lambda lock: lock.lockout_id,
        )
        self.past = TableModel[Lockout](
            [
                *columns,
                Column("Ended", lambda lock: self.state.calendar.stamp(lock.cleared_at), sub=self._ended_by),
            ],
            lambda lock: lock.lockout_id,
        )
        self.active_table = DataTable(self.active, "Active lockouts", sortable=False)
        self.past_table = DataTable(self.past, "Past lockouts")
        self.active_table.selectionModel().selectionChanged.connect(self._show_clear)
        self.clear = Button("End early…", "lock-open", name="End the chosen lockout early", on_click=self._clear)
        self.policy = label("", "muted", wrap=True)
        active_page = QWidget()
        foot = hbox(self.policy, self.clear, spacing=2 * GRID)
        foot.setStretch(0, 1)
        active_page.setLayout(
            vbox(
                TableOrEmpty(
                    self.active_table, EmptyState("lock-open", "No account is locked", "Nothing is locked now.")
                ),
                foot,
                spacing=GRID,
                margins=(0, GRID, 0, 0),
            )
        )
        self.tabs = QTabWidget()
        self.tabs.addTab(active_page, "Active")
        past_page = QWidget()
        past_page.setLayout(
            vbox(
                TableOrEmpty(self.past_table, EmptyState("history", "No lockout has ended yet")),
                margins=(0, GRID, 0, 0),
            )
        )
        self.tabs.addTab(past_page, "Past")
        lists = Card()
        lists.body.addWidget(self.tabs)
        self.body.addWidget(card)
        self.body.addWidget(lists, 1)
        self._how_changed()
        self._show_clear()

    # ---- what is shown

    async def load(self) -> None:
        config = await self.session.call("get_config")
        self._policy = config["active"]["risk_config.yaml"].get("policy", {}).get("admin_unlock", {})
        await self._load_locks()

    async def _load_locks(self) -> None:
        rows = rows_of(await self.session.call("get_lockouts"))
        self._due = {int(row["id"]): due for row in rows if (due := moment(row.get("clear_due_at"))) is not None}
        active = [lock for lock in map(Lockout.read, rows) if lock is not None]
        history = rows_of(await self.session.call("get_lockout_history"))
        past = [lock for lock in map(Lockout.read, history) if lock is not None and lock.cleared_at is not None]
        self.active.set_rows(active)
        self.past.set_rows(past)
        self.tabs.setTabText(0, f"Active ({len(active)})" if active else "Active")
        self.count_changed.emit(len(active))
        self._fill_accounts()
        self._show_policy()
        self._show_clear()

    def refresh(self, changes: Any) -> None:
        if self.session.open and any(change.topic in self.topics for change in changes):
            self.work(self._load_locks())

    def tick(self) -> None:
        self.active.set_rows(list(self.active.rows))

    def _fill_accounts(self) -> None:
        wanted: list[tuple[str, int | None]] = [
            (view.account.name, view.account_id) for view in self.state.accounts.values()
        ]
        if len(wanted) != 1:
            wanted.insert(0, ("All accounts", None))
        if wanted == [
            (self.account_box.itemText(n), self.account_box.itemData(n)) for n in range(self.account_box.count())
        ]:
            return
        chosen = self.account_box.currentData()
        self.account_box.clear()
        for words, number in wanted:
            self.account_box.addItem(words, number)
        self.account_box.setCurrentIndex(max(0, self.account_box.findData(chosen)))

    def _account_name(self, lock: Lockout) -> str:
        view = self.state.view(lock.account_id)
        return view.account.name if view is not None else str(lock.account_id)

    def _ends(self, lock: Lockout) -> str:
        if lock.expires_at is None:
            return "When its condition ends"
        left = self.state.remaining(lock)
        at = self.state.calendar.until(lock.expires_at, self.state.clock.now())
        return at if left is None else f"{at}, in {wording.duration(left)}"

    def _clearing(self, lock: Lockout) -> str:
        due = self._due.get(lock.lockout_id)
        now = self.state.clock.now()
        if due is None:
            return ""
        if now is None or due <= now:
            return "Being ended early now."
        return f"Ends early in {wording.duration(due - now)}, asked for by the admin."

    def _ended_by(self, lock: Lockout) -> str:
        by = str(getattr(lock, "cleared_by", "") or "")
        return wording.sentence_case(by) if by else ""

    def _show_policy(self) -> None:
        if not self._policy.get("allowed", True):
            words = "The policy allows no lockout to be ended early: each ends by itself."
        else:
            delay = self._policy.get("delay_minutes", 15)
            words = (
                f"Ending a lockout early needs a reason, is noted in the audit log and takes effect after {delay} min."
            )
        set_text(self.policy, words)

    def _chosen(self) -> Lockout | None:
        return self.active_table.chosen_row()

    def _show_clear(self) -> None:
        lock = self._chosen()
        allowed = bool(self._policy.get("allowed", True))
        self.clear.setEnabled(lock is not None and allowed and lock.kind is not Kind.API)
        self.clear.setToolTip(
            "It ends when the broker allows the account to trade again."
            if lock is not None and lock.kind is Kind.API
            else "Choose one lockout."
            if lock is None
            else ""
        )

    def _how_changed(self) -> None:
        how = self.how.currentData()
        self.minutes.setVisible(how == MINUTES)
        self.time.setVisible(how == TIME)

    # ---- what is done

    def _lock(self) -> None:
        self.work(self._ask_lock(), busy=self.lock)

    async def _ask_lock(self) -> None:
        number = self.account_box.currentData()
        name = self.account_box.currentText() if number is not None else "all accounts"
        end, words = self._end()
        params: dict[str, Any] = {"reason": self.reason.text().strip() or "Locked by the administrator.", **end}
        if number is not None:
            params["account_ids"] = [number]
        held = sum(len(view.positions or ()) for view in self._chosen_views(number))
        working = sum(len(view.orders or ()) for view in self._chosen_views(number))
        answer = await Ask(
            self,
            f"Lock {name} {words}?",
            f"Open positions now: {held}. Working orders now: {working}.",
            yes=f"Lock {name} {words}",
            danger=True,
            icon_name="lock",
            warning="All positions are closed at market and all orders cancelled at once. Until the end everything new "
            "is closed and cancelled, from any device.",
        ).ask()
        if answer is None:
            return
        locked = rows_of(await self.session.call("lock_accounts", params))
        self.reason.clear()
        await self._load_locks()
        count = len({row["account_id"] for row in locked})
        self.say_done("Locked", f"{wording.counted(count, 'account')} {words}.")

    def _chosen_views(self, number: int | None) -> list[Any]:
        return [view for view in self.state.accounts.values() if number is None or view.account_id == number]

    def _end(self) -> tuple[dict[str, Any], str]:
        how = self.how.currentData()
        now = self.state.clock.now()
        if how == MINUTES or now is None:
            return {"minutes": self.minutes.value()}, f"for {_span(self.minutes.value())}"
        local = self.state.calendar.local(now)
        if how == RESET:
            resets = [view.pnl.next_reset for view in self.state.accounts.values() if view.pnl.next_reset is not None]
            end = min(resets) if resets else local + timedelta(hours=12)
        else:
            at = self.time.time()
            end = local.replace(hour=at.hour(), minute=at.minute(), second=0, microsecond=0)
            if end <= local:
                end = (local + timedelta(days=1)).replace(hour=at.hour(), minute=at.minute(), second=0, microsecond=0)
        until = end.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"until": until}, f"until {self.state.calendar.until(end, now)}"

    def _clear(self) -> None:
        lock = self._chosen()
        if lock is not None:
            self.work(self._ask_clear(lock), busy=self.clear)

    async def _ask_clear(self, lock: Lockout) -> None:
        delay = self._policy.get("delay_minutes", 15)
        reason = await Ask(
            self,
            f"End the lockout of {self._account_name(lock)} early?",
            f"{wording.sentence_case(lock.reason)} It ends in {delay} minutes; until then all stays as it is. "
            "The reason is kept in the audit log.",
            yes=f"End it in {delay} min" if delay else "End it now",
            icon_name="lock-open",
            field="Reason",
        ).ask()
        if reason is None:
            return
        answer = await self.session.call("clear_lockout", {"id": lock.lockout_id, "reason": reason})
        at = moment(answer.get("effective_at"))
        await self._load_locks()
        when = self.state.calendar.until(at, self.state.clock.now()) if at is not None else "soon"
        self.say(Tone.ACCENT, "hourglass", "The delay is running", f"The lockout ends at {when}.")


def _span(minutes: int) -> str:
    """ "45 min", "1 h", "1 h 30 min"."""
    hours, rest = divmod(minutes, 60)
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)
