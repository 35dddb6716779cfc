"""The audit log: every admin action, and whether anything in it was changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gui import wording
from gui.models.table import Column, TableModel
from gui.records import moment
from gui.views.admin.page import AdminContext, AdminPage, rows_of, search_field
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, EmptyState, hbox, label, set_text
from gui.views.widgets.table import DataTable, TableOrEmpty

Row = Mapping[str, Any]
PAGE = 200
_HASHED = ("id", "at", "actor", "action", "params", "result", "previous_hash")


def first_break(rows: Sequence[Row]) -> int | None:
    """Check rows of the log (newest first, without gaps): the id of the first that is not as it was written.

    Each row's hash is SHA-256 over the row as compact JSON with sorted keys, its parameters as such text too, and the
    hash of the row before.
    """
    below: Row | None = None
    for row in reversed(rows):
        hashed = {name: row.get(name) for name in _HASHED} | {"params": _compact(row.get("params"))}
        if hashlib.sha256(_compact(hashed).encode()).hexdigest() != row.get("hash"):
            return int(row["id"])
        if below is not None and (row["previous_hash"] != below["hash"] or row["id"] != below["id"] + 1):
            return int(row["id"])
        below = row
    return None


def verdict(rows: Sequence[Row], *, intact: bool) -> tuple[Tone, str, str]:
    """Tone, headline and sentence: what the daemon found in the whole log, and this window in the rows it has loaded.

    `rows` newest first, without gaps; `intact`: the daemon's own check of every row and of the log's end mark.
    """
    if not rows:
        if intact:
            return Tone.NEUTRAL, "The audit log is empty", "Nothing has been done by an administrator yet."
        return Tone.NEGATIVE, _TAMPERED, f"The daemon misses rows that were written once. {_WHAT_TO_DO}"
    newest, oldest = int(rows[0]["id"]), int(rows[-1]["id"])
    loaded = f"row {newest}" if newest == oldest else f"rows {oldest} to {newest}"
    broken = first_break(rows)
    if broken is not None:
        daemon = "though the daemon calls the log whole" if intact else "and the daemon finds the chain broken too"
        words = f"Row {broken} is not as it was written, found by this window in the {loaded} it has loaded, {daemon}."
        return Tone.NEGATIVE, _TAMPERED, f"{words} {_WHAT_TO_DO}"
    if not intact:
        words = (
            f"The daemon has checked every row and finds the chain of hashes broken. The {loaded} loaded here fit "
            "together, so it is broken before them or at the log's end."
        )
        return Tone.NEGATIVE, _TAMPERED, f"{words} {_WHAT_TO_DO}"
    if oldest == 1:
        own = f"this window has checked all {newest} itself" if newest > 1 else "this window has checked it itself"
    else:
        own = f"this window itself the {loaded} that are loaded; load the older ones to have them checked here too"
    every = f"all {newest} rows" if newest > 1 else "its one row"
    return Tone.POSITIVE, "The audit log is whole", f"The daemon has checked {every}; {own}."


_TAMPERED = "The audit log was tampered with"
_WHAT_TO_DO = "Rows were changed or removed. Keep a copy of data/state.db, and find out who had access to it."


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _in_words(value: Any) -> str:
    """Parameters as people read them: "rules.max_contracts.limit 3", "lockout, error", "yes"."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    if isinstance(value, dict):
        return ", ".join(_leaves(value, ""))
    return "nothing" if value is None else str(value)


def _leaves(tree: Mapping[str, Any], above: str) -> Iterator[str]:
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield f"{name} {_in_words(value)}"


class AuditPage(AdminPage):
    """Shows the log page by page; each page is checked here, all of it by the daemon."""

    key = "audit"
    title = "Audit log"
    icon_name = "scroll-text"

    def __init__(self, admin: AdminContext) -> None:
        super().__init__(admin, scrolling=False)
        self._rows: list[Row] = []
        self.search = search_field("Find in the audit log")
        self.search.textChanged.connect(self._show)
        self.model = TableModel[Row](
            [
                Column("No.", lambda row: str(row["id"]), sort=lambda row: row["id"], right=True),
                Column(
                    "When", lambda row: self.state.calendar.stamp(moment(row["at"])), sort=lambda row: str(row["at"])
                ),
                Column("Who", lambda row: str(row["actor"])),
                Column(
                    "What",
                    lambda row: wording.sentence_case(str(row["action"]).replace("_", " ")).removesuffix("."),
                    sub=self._details,
                    stretch=True,
                ),
                Column("Result", self._result, tone=self._tone, icon=self._icon, tip=lambda row: str(row["result"])),
            ],
            lambda row: row["id"],
        )
        self.table = DataTable(self.model, "Audit log")
        self.older = Button("Older entries", "history", on_click=lambda: self.work(self._older(), busy=self.older))
        self.again = Button("Verify again", "refresh-cw", on_click=self.refresh_all)
        self.shown = label("", "muted")
        card = Card()
        card.body.addLayout(hbox(self.search, self.again, spacing=GRID))
        card.body.addWidget(TableOrEmpty(self.table, EmptyState("scroll-text", "Nothing was done yet")), 1)
        card.body.addLayout(hbox(self.shown, None, self.older))
        self.body.addWidget(card, 1)

    async def load(self) -> None:
        answer = await self.session.call("get_audit_log", {"limit": PAGE})
        self._rows = list(rows_of(answer["rows"]))
        self._judge(bool(answer["intact"]))
        self._show()

    async def _older(self) -> None:
        last = int(self._rows[-1]["id"]) if self._rows else None
        params: dict[str, Any] = {"limit": PAGE}
        if last is not None:
            params["before_id"] = last
        answer = await self.session.call("get_audit_log", params)
        self._rows += rows_of(answer["rows"])
        self._judge(bool(answer["intact"]))
        self._show()

    def _judge(self, intact: bool) -> None:
        tone, headline, sentence = verdict(self._rows, intact=intact)
        icon = {Tone.POSITIVE: "shield-check", Tone.NEGATIVE: "shield-alert"}.get(tone, "info")
        self.say(tone, icon, headline, sentence)

    def _show(self) -> None:
        needle = self.search.text().strip().casefold()
        rows = [row for row in self._rows if not needle or needle in json.dumps(row, default=str).casefold()]
        self.model.set_rows(rows)
        set_text(self.shown, f"{len(rows)} of {len(self._rows)} loaded")
        self.older.setEnabled(bool(self._rows) and int(self._rows[-1]["id"]) > 1)

    def _details(self, row: Row) -> str:
        params = row.get("params") or {}
        parts = []
        for name, value in params.items():
            if value in (None, False, "", [], {}):
                continue
            words = " ".join(_in_words(value).split())
            parts.append(f"{name.replace('_', ' ')}: {words[:160]}{'…' if len(words) > 160 else ''}")
        if str(row["result"]) not in ("done", "ok"):
            parts.append(wording.sentence_case(str(row["result"])))
        return "; ".join(parts)

    @staticmethod
    def _result(row: Row) -> str:
        result = str(row["result"])
        return "Done" if result in ("done", "ok") else "Refused" if result.startswith("refused") else "Noted"

    def _tone(self, row: Row) -> str | None:
        return {"Done": Tone.POSITIVE, "Refused": Tone.WARNING}.get(self._result(row))

    def _icon(self, row: Row) -> str | None:
        return {"Done": "check", "Refused": "ban"}.get(self._result(row), "info")
