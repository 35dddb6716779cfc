"""What if: an edited configuration over a recorded day, beside what was done on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox

from gui import wording
from gui.models.table import Column, TableModel
from gui.records import moment, money, rule_title
from gui.views.admin.page import AdminContext, AdminPage, rows_of
from gui.views.tokens import Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text
from gui.views.widgets.table import DataTable, TableOrEmpty

Row = Mapping[str, Any]


class WhatIfPage(AdminPage):
    """`back_asked`: to the edits."""

    key = "what_if"
    title = "What if"
    icon_name = "flask-conical"
    back_asked = Signal()

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self._request: str | list[dict[str, Any]] | dict[str, Any] | None = None
        self._waiting = False
        self.day = QComboBox()
        self.day.setAccessibleName("Recorded trading day")
        self.day.setMinimumWidth(180)
        self.start = Button("Run", "play", role="primary", name="Run the day through the edits", on_click=self._run)
        self.stop = Button("Cancel", "x", name="End the replay", on_click=self._cancel)
        self.stop.hide()
        self.back = Button("Back to the edits", "pencil", on_click=self.back_asked.emit)
        self.what = label("", "muted", wrap=True)
        card = Card("Run a recorded day through the edited rules")
        card.body.addWidget(self.what)
        card.body.addLayout(hbox(label("Trading day", "caption"), self.day, self.start, self.stop, None, self.back))
        self.summary = label("", "strong", wrap=True)
        self.limits = label("", "muted", wrap=True)
        self.model = TableModel[Row](
            [
                Column("Account", self._account),
                Column(
                    "What",
                    lambda row: f"{rule_title(str(row['rule_id']))}: {str(row['action']).replace('_', ' ')}",
                    sub=self._reason,
                    stretch=True,
                ),
                Column(
                    "Recorded rules: time, realized",
                    lambda row: self._side(row, "recorded"),
                    tone=lambda row: self._tone(row, "recorded"),
                ),
                Column(
                    "Edited rules: time, realized",
                    lambda row: self._side(row, "other"),
                    tone=lambda row: self._tone(row, "other"),
                ),
            ],
            lambda row: row["number"],
        )
        self.table = DataTable(self.model, "Decisions side by side", sortable=False)
        self.empty = EmptyState("flask-conical", "Nothing was run yet", "Choose a day and run it.")
        results = Card()
        results.body.addWidget(self.summary)
        results.body.addWidget(TableOrEmpty(self.table, self.empty), 1)
        results.body.addWidget(self.limits)
        self.body.addWidget(card)
        self.body.addWidget(results, 1)
        self._show_request()

    def set_request(self, request: object) -> None:
        """Take edits over: a text of the file, or the steps of a patch."""
        if isinstance(request, str | list | dict):
            self._request = request
            self.model.set_rows([])
            set_text(self.summary, "")
            set_text(self.limits, "")
            self._show_request()

    def _show_request(self) -> None:
        if isinstance(self._request, str):
            words = "With the text edited under Rules."
        elif self._request:
            count = len(self._request)
            words = (
                "With the edit made under Rules, not applied yet."
                if count == 1
                else f"With the {count} edits made under Rules, not applied yet."
            )
        else:
            words = (
                "With the rules as they are in the file now. Edit them under Rules and choose What if… to try edits."
            )
        set_text(self.what, words)

    async def load(self) -> None:
        days = [str(row["day"]) for row in rows_of(await self.session.call("get_journal_days"))]
        if days != [self.day.itemData(n) for n in range(self.day.count())]:
            self.day.clear()
            for day in days:
                self.day.addItem(day, day)
        self._show_buttons()
        if not days:
            self.empty.say(
                "archive", "No day is recorded yet", "The daemon records every trading day from its start on."
            )

    def _show_buttons(self) -> None:
        self.start.setEnabled(self.day.count() > 0 and not self._waiting)
        self.stop.setVisible(self._waiting)

    def _run(self) -> None:
        self.hush()
        self.work(self._replay())

    async def _replay(self) -> None:
        params: dict[str, Any] = {"day": self.day.currentData()}
        if isinstance(self._request, str):
            params["yaml"] = self._request
        else:
            params["patch"] = self._request if self._request is not None else []
        self._waiting = True
        self._show_buttons()
        try:
            answer = await self.session.call("what_if", params, timeout=130.0)
        finally:
            self._waiting = False
            self._show_buttons()
        self._show(answer)

    def _cancel(self) -> None:
        self.work(self._end())

    async def _end(self) -> None:
        await self.session.call("cancel_what_if")

    def _show(self, answer: Row) -> None:
        rows = [{**row, "number": number} for number, row in enumerate(rows_of(answer["rows"]))]
        self.model.set_rows(rows)
        if not rows:
            self.empty.say(
                "circle-check", "No rule would have acted", "Neither with the recorded rules nor with yours."
            )
        words = (
            f"{wording.counted(answer['events'], 'event')}. Both: {answer['both']}; "
            f"only the recorded rules: {answer['recorded_only']}; only the edited rules: {answer['other_only']}."
        )
        if answer.get("left_out"):
            words += f" {wording.counted(answer['left_out'], 'more is', 'more are')} not shown."
        if answer.get("gaps"):
            words += f" The recording has {wording.counted(answer['gaps'], 'gap')}."
        set_text(self.summary, words)
        set_text(self.limits, str(answer.get("limits", "")))

    # ---- cells

    def _account(self, row: Row) -> str:
        view = self.state.view(row["account_id"])
        return view.account.name if view is not None else str(row["account_id"])

    def _reason(self, row: Row) -> str:
        side = row["other"] or row["recorded"] or {}
        return wording.sentence_case(str(side.get("reason", "")))

    def _side(self, row: Row, which: str) -> str:
        side = row[which]
        if side is None:
            return "did not act"
        return f"{self.state.calendar.clock(moment(side['at']))}   {wording.amount(money(side['realized']))}"

    @staticmethod
    def _tone(row: Row, which: str) -> str | None:
        if row[which] is None:
            return Tone.MUTED
        return Tone.WARNING if row["other" if which == "recorded" else "recorded"] is None else None
