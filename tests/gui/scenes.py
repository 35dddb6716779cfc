"""Pages and states to draw, and how to tell a text that does not fit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QFontMetricsF, QImage
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QPushButton, QWidget

from gui.app_state import AppState, Link
from gui.models.table import ICON_ROLE, SUB_ROLE
from gui.records import Lockout
from gui.settings import Settings
from gui.views.page import Context
from gui.views.theme import ThemeChoice, font, theme
from gui.views.tokens import SIZE_BODY
from gui.views.trader.lock_dialog import LockChoice
from gui.views.trader.window import TraderWindow
from gui.views.widgets.figure import Figure, Pill
from gui.views.widgets.table import COLUMN_GAP, PADDING, CellDelegate, DataTable
from tests.gui import sample


class SilentCommands:
    """A client that is never asked for much: it answers with the sample's history."""

    def __init__(self) -> None:
        past = (
            sample.lockout(
                5, rule_id="RULE-006", kind="cooldown", locked_at=sample.ago(4210), cleared_at=sample.ago(4150),
                expires_at=sample.ago(4150), reason="third entry within 60 seconds, the limit is 3",
            ),
            sample.lockout(
                4, rule_id="RULE-011", kind="symbol", symbol="RTY", locked_at=sample.ago(5400),
                cleared_at=sample.ago(5000), expires_at=None, reason="RTY is a blocked symbol",
            ),
        )  # fmt: skip
        self.history = [lock for lock in map(Lockout.read, past) if lock is not None]
        self.locks: list[tuple[int, int | None, datetime | None]] = []

    def spawn(self, work: Awaitable[None]) -> None:
        coroutine = work
        try:
            coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return

    async def watch(self, account_id: int) -> None:
        return

    async def older_entries(self, account_id: int | None, before_id: int | None) -> int:
        return 0

    async def lockout_history(self, account_id: int | None) -> list[Lockout]:
        return self.history

    async def lock_account(
        self, account_id: int, *, minutes: int | None = None, until: datetime | None = None, reason: str = ""
    ) -> None:
        self.locks.append((account_id, minutes, until))


USUAL = QSize(1180, 780)
SMALL = QSize(900, 600)


@dataclass(frozen=True)
class Scene:
    """One picture: what the state is, which page is on screen, how large the window is."""

    name: str
    page: str
    prepare: Callable[[], AppState]
    size: QSize = USUAL
    dialog: LockChoice | None = None


def _normal() -> AppState:
    return sample.make_state()


def _locked() -> AppState:
    state = sample.make_state()
    sample.lock(state)
    return state


def _cooldown() -> AppState:
    state = sample.make_state()
    locks = [
        sample.lockout(
            8,
            rule_id="RULE-006",
            kind="cooldown",
            reason="tenth entry within the hour, the limit is 10",
            expires_at=sample.iso(sample.NOW + timedelta(seconds=1534)),
        ),
        sample.lockout(9, rule_id="RULE-011", kind="symbol", symbol="RTY", expires_at=None, reason="RTY is blocked"),
    ]
    state.apply_event("lockouts", sample.APEX, locks)
    return state


def _down() -> AppState:
    state = _locked()
    state.set_link(Link.OFFLINE, "Nothing answers on 127.0.0.1 port 5555 (connection refused).")
    return state


def _first_run() -> AppState:
    state = AppState(sample.HandClock())
    state.set_link(Link.OFFLINE, "The daemon is not running: there is no endpoint.json. Start it with: riskd run.")
    return state


def _loading() -> AppState:
    return AppState(sample.HandClock())


def _no_accounts() -> AppState:
    state = AppState(sample.HandClock())
    state.apply_snapshot({"status": {"": sample.status(accounts={})}, "accounts": {}})
    state.live = True
    state.set_link(Link.ONLINE)
    return state


def _empty() -> AppState:
    """Connected, but nothing has happened on the account yet."""
    state = AppState(sample.HandClock())
    state.apply_snapshot(
        {
            "status": {"": sample.status(status="starting")},
            "accounts": {sample.APEX: sample.account(sample.APEX, "50KTC-V2-1042", monitored=False)},
        }
    )
    state.live = True
    state.set_link(Link.ONLINE)
    return state


def _flat() -> AppState:
    state = _empty()
    state.apply_event("status", None, sample.status())
    state.apply_event("pnl", sample.APEX, sample.pnl("0.00", "0.00", 0))
    for topic in ("positions", "orders", "lockouts", "rules"):
        state.apply_event(topic, sample.APEX, [])
    state.set_trades(sample.APEX, [])
    return state


SCENES = (
    Scene("overview", "overview", _normal),
    Scene("pnl", "pnl", _normal),
    Scene("positions", "positions", _normal),
    Scene("rules", "rules", _normal),
    Scene("log", "log", _normal),
    Scene("accounts", "accounts", _locked),
    Scene("settings", "settings", _normal),
    Scene("overview-small", "overview", _normal, SMALL),
    Scene("pnl-small", "pnl", _normal, SMALL),
    Scene("positions-small", "positions", _locked, SMALL),
    Scene("rules-small", "rules", _normal, SMALL),
    Scene("log-small", "log", _normal, SMALL),
    Scene("overview-locked", "overview", _locked),
    Scene("overview-cooldown", "overview", _cooldown),
    Scene("overview-down", "overview", _down),
    Scene("first-run", "welcome", _first_run),
    Scene("loading", "welcome", _loading),
    Scene("no-accounts", "welcome", _no_accounts),
    Scene("overview-starting", "overview", _empty),
    Scene("overview-flat", "overview", _flat),
    Scene("pnl-empty", "pnl", _flat, SMALL),
    Scene("positions-unknown", "positions", _empty, SMALL),
    Scene("lock-dialog", "overview", _normal, dialog=LockChoice.RESET),
    Scene("lock-dialog-time", "overview", _normal, dialog=LockChoice.TIME),
)


class Stage:
    """Draws scenes in both themes. Scenes of the same state share a window: building and styling one is what costs."""

    def __init__(self, app: QApplication, settings: Settings) -> None:
        self._app, self._settings = app, settings

    def draw(self, scenes: Sequence[Scene]) -> Iterator[tuple[Scene, str, QImage, list[str]]]:
        """Scene, theme, picture and the texts that do not fit."""
        for prepare in dict.fromkeys(scene.prepare for scene in scenes):
            mine = [scene for scene in scenes if scene.prepare is prepare]
            self._settings.page = ""
            self._settings.account = sample.APEX
            theme().choose(ThemeChoice.DARK)
            window = TraderWindow(Context(prepare(), SilentCommands(), self._settings), "0.1.0")
            window.show()
            window.refresher.flush()
            for choice in (ThemeChoice.DARK, ThemeChoice.LIGHT):
                theme().choose(choice)
                for scene in mine:
                    shown = self._put_on(window, scene)
                    yield scene, choice.value, shown.grab().toImage(), texts_that_do_not_fit(shown)
                    if shown is not window:
                        shown.close()
            window.refresher.close()
            window.close()
            window.deleteLater()
            # Without a running loop nobody deletes what is to be deleted later, and every theme would restyle it again.
            self._app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            self._app.processEvents()

    def _put_on(self, window: TraderWindow, scene: Scene) -> QWidget:
        window.resize(scene.size)
        window.go_to(scene.page)
        for _ in range(4):
            self._app.processEvents()
        if scene.dialog is None:
            return window
        dialog = window.ask_lock(choice=scene.dialog)
        assert dialog is not None
        for _ in range(3):
            self._app.processEvents()
        return dialog


def _cells_that_do_not_fit(table: DataTable[Any]) -> list[str]:
    """Cells on screen whose text is cut, in width or, for the wrapped second line, in height."""
    cut = []
    metrics = QFontMetricsF(font(SIZE_BODY, 500))
    for row in range(table.proxy.rowCount()):
        if not 0 <= table.rowViewportPosition(row) < table.viewport().height():
            continue
        for column in range(table.proxy.columnCount()):
            if table.isColumnHidden(column):
                continue
            index = table.proxy.index(row, column)
            room = table.columnWidth(column) - 2 * PADDING - (24 if index.data(ICON_ROLE) else 0)
            room -= COLUMN_GAP if table.source.gapped(column) else 0
            words, below = str(index.data() or ""), str(index.data(SUB_ROLE) or "")
            if metrics.horizontalAdvance(words) > room + 1:
                cut.append(words)
            if below and CellDelegate.height_for(below, room) > table.rowHeight(row):
                cut.append(below)
    return cut


def texts_that_do_not_fit(root: QWidget) -> list[str]:
    """Visible labels, buttons, figures and pills whose text is larger than they are."""
    cut = []
    for box in root.findChildren(QComboBox):
        if box.isVisibleTo(root) and not box.visibleRegion().isEmpty():
            room = box.width() - 10 - 26
            if QFontMetricsF(box.font()).horizontalAdvance(box.currentText()) > room + 1:
                cut.append(box.currentText())
    for table in root.findChildren(DataTable):
        if table.isVisibleTo(root) and not table.visibleRegion().isEmpty():
            cut += _cells_that_do_not_fit(table)
    for widget in root.findChildren(QWidget):
        if not widget.isVisibleTo(root) or widget.visibleRegion().isEmpty():
            continue
        if isinstance(widget, QLabel) and widget.text():
            if widget.wordWrap():
                if widget.heightForWidth(widget.width()) > widget.height() + 1:
                    cut.append(widget.text())
            elif QFontMetricsF(widget.font()).horizontalAdvance(widget.text()) > widget.contentsRect().width() + 1:
                cut.append(widget.text())
        elif (isinstance(widget, QPushButton) and widget.text() and widget.sizeHint().width() > widget.width() + 1) or (
            isinstance(widget, Figure | Pill) and widget.sizeHint().width() > widget.width() + 1
        ):
            cut.append(widget.text() if isinstance(widget, QPushButton) else widget.words)
    return cut
