"""Trading hours and holidays, with a week view of when trading is allowed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from PySide6.QtWidgets import (
    QComboBox,
    QTabWidget,
    QWidget,
)

from gui import wording
from gui.admin_words import in_force_words
from gui.change_review import newly_waiting, told_apart
from gui.models.admin_draft import Draft, rule_fields
from gui.models.admin_week import monday_of, week
from gui.models.table import Column, TableModel
from gui.views.admin.form import Form
from gui.views.admin.holiday_dialog import HolidayDialog
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.admin.review import ReviewDialog
from gui.views.admin.week_view import WeekView
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, scrolled, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty
from shared.config import HolidayCalendar, RiskConfig

Row = Mapping[str, Any]
RULE = "session_block_outside"


class SessionsPage(AdminPage):
    """Edits the session rule of risk_config.yaml and the days of holidays.yaml."""

    key = "sessions"
    title = "Trading hours"
    icon_name = "calendar-clock"
    topics = frozenset({"config"})

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self.draft = Draft({})
        self._loaded = False
        self._calendar_base: dict[str, Any] = {}
        self._days: dict[str, dict[str, Any]] = {}
        self._monday: dt.date | None = None
        self.symbol = QComboBox()
        self.symbol.setAccessibleName("Show the hours of")
        self.symbol.setMinimumWidth(140)
        self.symbol.currentIndexChanged.connect(self._show_week)
        self.which = label("", "strong")
        before = Button("", "chevron-left", name="The week before", on_click=lambda: self._turn(-7))
        after = Button("", "chevron-right", name="The week after", on_click=lambda: self._turn(7))
        self.zone = label("", "muted")
        self.week = WeekView()
        view = Card("When trading is allowed")
        view.add_action(self.symbol)
        view.body.addLayout(hbox(before, after, self.which, None, self.zone, spacing=GRID))
        view.body.addWidget(self.week, 1)

        self.form = Form(rule_fields(RULE))
        self.form.edited.connect(self._edited)
        self.switch = Button("Turn on", "power", name="Turn the trading hours on or off", on_click=self._switch)
        self.off_words = label("", "muted")
        holder = QWidget()
        holder.setLayout(
            vbox(
                hbox(self.switch, self.off_words, None, spacing=2 * GRID),
                self.form,
                spacing=2 * GRID,
                margins=(0, GRID, GRID, 0),
            )
        )
        self.model = TableModel[Row](
            [
                Column(
                    "Day", lambda row: f"{dt.date.fromisoformat(row['day']):%a %d %b %Y}", sort=lambda row: row["day"]
                ),
                Column(
                    "What happens",
                    lambda row: f"Closes at {str(row['early_close'])[:5]}" if row.get("early_close") else "No trading",
                    icon=lambda row: "clock" if row.get("early_close") else "ban",
                ),
                Column("Name", lambda row: str(row.get("name", "")), stretch=True),
            ],
            lambda row: row["day"],
        )
        self.table = DataTable(self.model, "Holidays")
        self.table.selectionModel().selectionChanged.connect(self._show_state)
        self.add = Button("Add…", "plus", name="Add a day", on_click=lambda: self.work(self._ask_day(None)))
        self.edit = Button("Edit…", "pencil", name="Edit the day", on_click=self._edit)
        self.remove = Button("Remove", "trash-2", name="Remove the day", on_click=self._remove)
        self.calendar_zone = label("", "muted")
        days = QWidget()
        days.setLayout(
            vbox(
                TableOrEmpty(self.table, EmptyState("calendar", "No day is listed", "Every day follows the windows.")),
                hbox(self.add, self.edit, self.remove, None, self.calendar_zone, spacing=GRID),
                spacing=GRID,
                margins=(0, GRID, 0, 0),
            )
        )
        self.tabs = QTabWidget()
        self.tabs.addTab(holder, "Hours")
        self.tabs.addTab(days, "Holidays")
        card = Card()
        card.body.addWidget(self.tabs, 1)
        self.said = label("", "muted")
        self.discard = Button("Discard", "undo-2", name="Discard all edits", on_click=self._discard)
        self.review = Button("Review and apply…", "check", role="primary", on_click=self._review)
        content = QWidget()
        content.setLayout(vbox(view, card, spacing=2 * GRID, margins=(0, 0, 12, 0)))
        self.body.addWidget(scrolled(content), 1)
        self.body.addLayout(hbox(self.said, None, self.discard, self.review, 12, spacing=GRID))
        self._show_state()

    async def load(self) -> None:
        config = await self.session.call("get_config")
        if not self._loaded or not self.edited:
            self.draft.reset(config["wished"]["risk_config.yaml"])
            self._calendar_base = config["wished"]["holidays.yaml"]
            self._days = {str(day): dict(value) for day, value in self._calendar_base.get("dates", {}).items()}
        self._loaded = True
        if self._monday is None:
            now = self.state.clock.now()
            self._monday = monday_of((self.state.calendar.local(now) if now else dt.datetime.now(dt.UTC)).date())
        self._show_all()

    @property
    def edited(self) -> bool:
        """Whether anything is not applied."""
        return self.draft.changed or bool(self._calendar_patch())

    def _calendar_patch(self) -> list[dict[str, Any]]:
        old = self._calendar_base.get("dates", {})
        return [
            {"path": ["dates", day], "value": _tidy(self._days.get(day))}
            for day in sorted({*old, *self._days})
            if _tidy(old.get(day)) != _tidy(self._days.get(day))
        ]

    # ---- what is shown

    def _show_all(self) -> None:
        rule = self.draft.rule(RULE)
        on = self.draft.enabled(RULE)
        set_text(self.switch, "Turn off" if on else "Turn on")
        set_text(self.off_words, "" if on else "Trading hours are off: trading is allowed at any time.")
        self.form.setVisible(rule is not None)
        if rule is not None:
            self.form.set_values(rule)
        rows = [{"day": day, **value} for day, value in sorted(self._days.items())]
        self.model.set_rows(rows)
        set_text(self.calendar_zone, f"Early closes in {self._calendar_base.get('timezone', 'America/Chicago')} time")
        symbols = list(((rule or {}).get("per_instrument_sessions") or {}).get("sessions", {}))
        wanted: list[tuple[str, str | None]] = [("Account", None), *((symbol, symbol) for symbol in symbols)]
        if wanted != [(self.symbol.itemText(n), self.symbol.itemData(n)) for n in range(self.symbol.count())]:
            self.symbol.blockSignals(True)
            self.symbol.clear()
            for words, symbol in wanted:
                self.symbol.addItem(words, symbol)
            self.symbol.blockSignals(False)
        self._show_week()
        self._show_errors()
        self._show_state()

    def _show_week(self) -> None:
        if self._monday is None:
            return
        try:
            risk = RiskConfig.model_validate(self.draft.tree)
            calendar = HolidayCalendar.model_validate({**self._calendar_base, "dates": self._days})
        except ValidationError:
            return
        rule = risk.rules.session_block_outside
        zone = risk.reset.timezone
        days = week(rule, calendar, self._monday, zone, self.symbol.currentData())
        notes: dict[int, str] = {}
        if rule is not None and rule.enabled and rule.respect_holidays:
            for day, holiday in calendar.dates.items():
                number = (day - self._monday).days
                if 0 <= number < 7:
                    notes[number] = holiday.name or "Holiday"
        now = self.state.clock.now()
        mark = None
        if now is not None:
            local = self.state.calendar.local(now)
            number = (local.date() - self._monday).days
            if 0 <= number < 7:
                mark = (number, local.hour + local.minute / 60)
        self.week.show_week(self._monday, days, notes, mark)
        last = self._monday + dt.timedelta(days=6)
        set_text(self.which, f"{self._monday:%d %b} to {last:%d %b %Y}")
        set_text(self.zone, f"{zone.rpartition('/')[2].replace('_', ' ')} time")

    def _turn(self, days: int) -> None:
        if self._monday is not None:
            self._monday += dt.timedelta(days=days)
            self._show_week()

    def _show_errors(self) -> None:
        found: dict[str, str] = {}
        general = ""
        for path, words in self.draft.errors().items():
            if path[:2] == ("rules", RULE):
                if len(path) > 2 and path[2] in self.form.rows:
                    found.setdefault(path[2], f"{'.'.join(path[3:])} {words}".strip())
                else:
                    general = words
        self.form.set_errors(found)
        if general:
            self.say(Tone.NEGATIVE, "circle-alert", "The hours are not complete", f"The rule {general}.")
        elif self.banner.headline.text() == "The hours are not complete":
            self.hush()

    def _show_state(self) -> None:
        count = len(self.draft.patch()) + len(self._calendar_patch())
        wrong = len(self.draft.errors()) if self._loaded else 0
        words = f"{wording.counted(count, 'edit')} not applied." if count else "No edits."
        set_text(self.said, words)
        self.discard.setEnabled(count > 0)
        self.review.setEnabled(count > 0 and not wrong)
        chosen = self._chosen()
        self.edit.setEnabled(chosen is not None)
        self.remove.setEnabled(chosen is not None)

    # ---- editing

    def _edited(self, name: str, value: Any) -> None:
        self.draft.set(("rules", RULE, name), value)
        self._show_week()
        self._show_errors()
        self._show_state()

    def _switch(self) -> None:
        self.draft.switch(RULE, not self.draft.enabled(RULE))
        if self.draft.enabled(RULE) and not (self.draft.rule(RULE) or {}).get("global_session"):
            self.draft.set(
                ("rules", RULE, "global_session"),
                {"start": "09:30", "end": "16:00", "days": ["mon", "tue", "wed", "thu", "fri"]},
            )
        self._show_all()

    def _chosen(self) -> Row | None:
        return self.table.chosen_row()

    async def _ask_day(self, row: Row | None) -> None:
        answer = await HolidayDialog(self, str(row["day"]) if row else None, row).ask()
        if answer is not None:
            self._days[answer[0]] = answer[1]
            self._show_all()

    def _edit(self) -> None:
        row = self._chosen()
        if row is not None:
            self.work(self._ask_day(row))

    def _remove(self) -> None:
        row = self._chosen()
        if row is not None:
            self._days.pop(str(row["day"]), None)
            self._show_all()

    def _discard(self) -> None:
        self.draft.reset()
        self._days = {str(day): dict(value) for day, value in self._calendar_base.get("dates", {}).items()}
        self._show_all()

    def _review(self) -> None:
        self.work(self._apply(), busy=self.review)

    async def _apply(self) -> None:
        requests = []
        if self.draft.changed:
            requests.append({"patch": self.draft.patch(), "file": "risk_config.yaml"})
        if self._calendar_patch():
            requests.append({"patch": self._calendar_patch(), "file": "holidays.yaml"})
        changes: list[dict[str, Any]] = []
        for request in requests:
            preview = await self.session.call("set_config", {**request, "dry_run": True})
            changes += [{**change, "file": request["file"]} for change in rows_of(preview["changes"])]
        before = rows_of(await self.session.call("get_pending_config"))
        review = told_apart(changes, before, [str(request["file"]) for request in requests])
        if not await ReviewDialog(self.admin, review, self).ask():
            return
        waiting = 0
        for request in requests:
            answer = await self.session.call("set_config", request)
            waiting = newly_waiting(before, rows_of(answer["pending"]))
        self._discard()
        await self.load()
        self.say_done("Applied", in_force_words(waiting))


def _tidy(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A day without what says nothing, so that equal days compare equal."""
    if value is None:
        return None
    kept = {key: item for key, item in value.items() if item not in (None, False, "")}
    if "early_close" in kept:
        kept["early_close"] = str(kept["early_close"])[:5]
    return kept
