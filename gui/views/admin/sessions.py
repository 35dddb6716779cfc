"""Trading hours and holidays, with a week view of when trading is allowed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from PySide6.QtCore import QDate, QRectF, QSize, Qt, QTime
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QComboBox,
    QDateEdit,
    QLineEdit,
    QSizePolicy,
    QTabWidget,
    QTimeEdit,
    QWidget,
)

from gui.admin_words import in_force_words
from gui.change_review import newly_waiting, told_apart
from gui.models.admin_draft import Draft, rule_fields
from gui.models.admin_week import Band, monday_of, week
from gui.models.table import Column, TableModel
from gui.views.admin.dialogs import EntryDialog
from gui.views.admin.form import Form
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.admin.review import ReviewDialog
from gui.views.theme import font, theme
from gui.views.tokens import GRID, SIZE_SMALL, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, padded, scrolled, set_text, vbox
from gui.views.widgets.table import DataTable, TableOrEmpty
from shared.config import HolidayCalendar, RiskConfig

Row = Mapping[str, Any]
RULE = "session_block_outside"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class WeekView(QWidget):
    """Seven days as columns of hours; what is allowed is filled. Read out as a sentence a day."""

    def __init__(self) -> None:
        super().__init__()
        self._days: list[list[Band]] = [[] for _ in range(7)]
        self._notes: dict[int, str] = {}
        self._monday = dt.date(2026, 1, 5)
        self._now: tuple[int, float] | None = None
        self.setMinimumHeight(190)
        self.setMaximumHeight(210)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        theme().changed.connect(self.update)

    def show_week(
        self, monday: dt.date, days: list[list[Band]], notes: dict[int, str], now: tuple[int, float] | None
    ) -> None:
        """`notes`: holidays by weekday; `now`: weekday and hour, if this week holds it."""
        self._monday, self._days, self._notes, self._now = monday, days, notes, now
        words = []
        for number, bands in enumerate(days):
            allowed = ", ".join(band.words for band in bands) or "no trading"
            words.append(f"{DAYS[number]}: {allowed}{f', {notes[number]}' if number in notes else ''}")
        self.setAccessibleName("When trading is allowed. " + ". ".join(words))
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(640, 260)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        tokens = theme().tokens
        left, top, bottom = 48.0, 26.0, 18.0
        width = (self.width() - left) / 7
        height = self.height() - top - bottom
        painter.setFont(font(SIZE_SMALL))
        for hour in range(0, 25, 6):
            y = top + height * hour / 24
            painter.setPen(QPen(QColor(tokens.border), 1))
            painter.drawLine(int(left), int(y), self.width(), int(y))
            painter.setPen(QColor(tokens.muted))
            flags = int((Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter).value)
            painter.drawText(QRectF(0, y - 10, left - 8, 20), flags, f"{hour:02d}:00")
        for number, bands in enumerate(self._days):
            x = left + number * width
            day = self._monday + dt.timedelta(days=number)
            painter.setPen(QColor(tokens.warning if number in self._notes else tokens.text))
            painter.setFont(font(SIZE_SMALL, 600))
            painter.drawText(
                QRectF(x, 0, width, 20), int(Qt.AlignmentFlag.AlignCenter.value), f"{DAYS[number]} {day.day}"
            )
            column = QRectF(x + 4, top, width - 8, height)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.raised))
            painter.drawRoundedRect(column, 6, 6)
            for band in bands:
                block = QRectF(x + 4, top + height * band.start / 24, width - 8, height * (band.end - band.start) / 24)
                painter.setPen(QPen(QColor(tokens.positive), 1))
                painter.setBrush(QColor(tokens.positive_soft))
                painter.drawRoundedRect(block.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
                self._write(painter, block, band.words, tokens.positive)
            if not bands:
                self._write(painter, column, self._notes.get(number, "No trading"), tokens.muted)
        if self._now is not None:
            x, y = left + self._now[0] * width, top + height * self._now[1] / 24
            painter.setPen(QPen(QColor(tokens.accent), 2))
            painter.drawLine(int(x) + 4, int(y), int(x + width) - 4, int(y))

    @staticmethod
    def _write(painter: QPainter, block: QRectF, words: str, color: str) -> None:
        painter.setFont(font(SIZE_SMALL, 500))
        painter.setPen(QColor(color))
        flags = int((Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap).value)
        needed = painter.boundingRect(block.adjusted(4, 0, -4, 0), flags, words)
        if needed.height() <= block.height() and needed.width() <= block.width():
            painter.drawText(block.adjusted(4, 0, -4, 0), flags, words)


class HolidayDialog(EntryDialog[tuple[str, dict[str, Any]]]):
    """One day of the calendar. `ask` gives (ISO date, value), or None."""

    def __init__(self, parent: QWidget | None, day: str | None, present: Row | None) -> None:
        super().__init__(parent, "Edit the day" if day else "Add a day", confirm="Keep")
        self.day = QDateEdit(QDate.fromString(day, Qt.DateFormat.ISODate) if day else QDate.currentDate())
        self.day.setDisplayFormat("yyyy-MM-dd")
        self.day.setCalendarPopup(True)
        self.day.setEnabled(day is None)
        self.day.setAccessibleName("Day")
        self.day.setMinimumHeight(32)
        padded(self.day)
        self.what = QComboBox()
        self.what.setAccessibleName("What happens")
        self.what.addItem("No trading", "closed")
        self.what.addItem("Closes early", "early")
        self.close_at = QTimeEdit(QTime(12, 0))
        self.close_at.setDisplayFormat("HH:mm")
        self.close_at.setAccessibleName("Closes at")
        padded(self.close_at)
        self.name = QLineEdit(str((present or {}).get("name", "")))
        self.name.setMaxLength(200)
        self.name.setAccessibleName("Name")
        early = (present or {}).get("early_close")
        if early:
            self.what.setCurrentIndex(1)
            self.close_at.setTime(QTime.fromString(str(early)[:5], "HH:mm"))
        self.what.currentIndexChanged.connect(self._show)
        self.lay_out(
            label("Day", "caption"),
            self.day,
            label("What happens", "caption"),
            hbox(self.what, self.close_at, None),
            label("Name", "caption"),
            self.name,
            width=420,
        )
        self._show()

    def _show(self) -> None:
        self.close_at.setVisible(self.what.currentData() == "early")

    def answer(self) -> tuple[str, dict[str, Any]]:
        value: dict[str, Any] = {"closed": True}
        if self.what.currentData() == "early":
            value = {"early_close": self.close_at.time().toString("HH:mm")}
        if self.name.text().strip():
            value["name"] = self.name.text().strip()
        return self.day.date().toString(Qt.DateFormat.ISODate), value


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
        words = f"{count} edit{'' if count == 1 else 's'} not applied." if count else "No edits."
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
