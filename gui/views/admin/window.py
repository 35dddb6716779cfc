"""The admin's window: session in the header, pages below, locked when idle."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QEvent, QObject, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from gui.admin_session import AdminSession, SessionState
from gui.app_state import Change, Link
from gui.views.admin.accounts import AccountsPage
from gui.views.admin.alerts import AlertsPage
from gui.views.admin.audit import AuditPage
from gui.views.admin.backups import BackupsPage
from gui.views.admin.dialogs import Ask
from gui.views.admin.factor import FactorPage
from gui.views.admin.lockouts import LockoutsPage
from gui.views.admin.logs import LogsPage
from gui.views.admin.page import AdminContext, AdminPage
from gui.views.admin.rules import RulesPage
from gui.views.admin.service import ServicePage
from gui.views.admin.sessions import SessionsPage
from gui.views.admin.setup import SetupPage
from gui.views.admin.what_if import WhatIfPage
from gui.views.frame import NavWindow
from gui.views.refresher import Refresher
from gui.views.tokens import Tone
from gui.views.widgets.basic import Button, EmptyState, label, set_text, vbox
from gui.views.widgets.figure import Pill

_USED = frozenset({QEvent.Type.KeyPress, QEvent.Type.MouseButtonPress, QEvent.Type.Wheel, QEvent.Type.TouchBegin})


class _Activity(QObject):
    """`used` at every key press and click of this program."""

    used = Signal()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() in _USED:
            self.used.emit()
        return False


class AdminWindow(NavWindow):
    """`closed` when the person has closed it."""

    closed = Signal()

    def __init__(self, admin: AdminContext) -> None:
        self.admin = admin
        self.session: AdminSession = admin.session
        self.service = ServicePage(admin)
        self.accounts = AccountsPage(admin)
        self.rules = RulesPage(admin)
        self.what_if = WhatIfPage(admin)
        self.sessions = SessionsPage(admin)
        self.lockouts = LockoutsPage(admin)
        self.logs = LogsPage(admin)
        self.audit = AuditPage(admin)
        self.alerts = AlertsPage(admin)
        self.backups = BackupsPage(admin)
        self.factor = FactorPage(admin)
        self.setup = SetupPage(admin)
        self.admin_pages: tuple[AdminPage, ...] = (
            self.service,
            self.accounts,
            self.rules,
            self.what_if,
            self.sessions,
            self.lockouts,
            self.logs,
            self.audit,
            self.alerts,
            self.backups,
            self.factor,
            self.setup,
        )
        super().__init__("Risk Manager", list(self.admin_pages))
        self.setWindowTitle("Risk Manager Admin")
        self._first = True
        self.page_title = label("", "title")
        self.state_pill = Pill("Connecting", "plug", Tone.MUTED)
        self.lock_button = Button("Lock window", "lock-keyhole", name="Lock this window", on_click=self.session.lock)
        self.header_row.addWidget(self.page_title)
        self.header_row.addStretch(1)
        self.header_row.addWidget(self.state_pill)
        self.header_row.addWidget(self.lock_button)
        # In place of the pages while there is no session: nothing of them is to be read or used then.
        self.unlock = Button("Unlock", "lock-open", role="primary", on_click=self.session.unlock)
        self.why = EmptyState("plug", "Connecting", "", self.unlock)
        self.curtain = QWidget()
        self.curtain.setObjectName("page")
        self.curtain.setLayout(vbox(self.why, margins=(24, 24, 24, 24)))
        root: Any = self.centralWidget()
        central = root.layout()
        central.itemAt(1).layout().addWidget(self.curtain, 1)
        self.current_changed.connect(self._page_changed)
        self.session.changed.connect(self._session_changed)
        self.session.ask_code = self._ask_code
        self.refresher = Refresher(admin.state, self)
        self.refresher.refreshed.connect(self._refresh)
        self.refresher.tick.connect(lambda: self.current.tick() if self.session.open else None)
        self._activity = _Activity(self)
        self._activity.used.connect(self.session.touched)
        app = QApplication.instance()
        assert app is not None
        app.installEventFilter(self._activity)
        self.rules.try_asked.connect(self._try)
        self.what_if.back_asked.connect(lambda: self.go_to("rules"))
        self.setup.page_asked.connect(self.go_to)
        geometry = admin.settings.geometry("admin")
        if geometry is not None:
            self.restoreGeometry(geometry)
        set_text(self.page_title, self.current.title)
        self._session_changed()

    # ---- session

    async def _ask_code(self, error: str) -> str | None:
        return await Ask(
            self,
            "Second factor",
            "Give the code that the authenticator shows now, or a recovery code.",
            yes="Go on",
            icon_name="shield-check",
            field="Code",
            error=error,
        ).ask()

    def _session_changed(self) -> None:
        session = self.session
        is_open = session.open
        self.stack.setVisible(is_open)
        self.curtain.setVisible(not is_open)
        self.sidebar.setEnabled(is_open)
        self.lock_button.setVisible(is_open)
        self.unlock.setVisible(session.state is SessionState.IDLE)
        pill, icon_name, tone, heading = {
            SessionState.OPEN: ("Session open", "shield-check", Tone.POSITIVE, ""),
            SessionState.IDLE: ("Locked", "lock", Tone.WARNING, "This window is locked"),
            SessionState.REFUSED: (
                "No session",
                "shield-off",
                Tone.NEGATIVE,
                "This window can't administer the daemon",
            ),
            SessionState.CONNECTING: ("Connecting", "plug", Tone.MUTED, "Waiting for the daemon"),
        }[session.state]
        self.state_pill.show_state(pill, icon_name, tone)
        if is_open:
            if self._first:
                self._first = False
                self.current.work(self._choose_first())  # type: ignore[attr-defined]
            self.current.refresh_all()
            return
        words = session.words
        if session.state is SessionState.CONNECTING:
            words += " The window goes on as soon as the daemon answers. If it does not run, start the service."
        self.why.say(icon_name, heading, words)
        if session.state is SessionState.IDLE:
            # A question left open would go on showing what it asks, and what was typed.
            for dialog in self.findChildren(QDialog):
                if dialog.isVisible():
                    dialog.reject()
        for page in self.admin_pages:
            page.hush()

    async def _choose_first(self) -> None:
        """A home without any login begins with the set-up."""
        if await self.setup.needed():
            self.go_to("setup")

    # ---- pages

    def _page_changed(self) -> None:
        set_text(self.page_title, self.current.title)
        if self.session.open:
            self.current.refresh_all()

    def _refresh(self, changes: Iterable[Change]) -> None:
        if self.isVisible() and self.session.open:
            self.current.refresh(changes)

    def _try(self, request: object) -> None:
        self.what_if.set_request(request)
        self.go_to("what_if")

    @property
    def online(self) -> bool:
        """Whether the daemon is connected."""
        return self.admin.state.link is Link.ONLINE

    # ---- window

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self.refresher.set_watching(True)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        self.refresher.set_watching(False)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        self.admin.settings.set_geometry("admin", self.saveGeometry())
        super().closeEvent(event)
        self.closed.emit()

    def end(self) -> None:
        """Let go of everything; the window is not used any more."""
        self.refresher.close()
        app = QApplication.instance()
        if app is not None:
            app.removeEventFilter(self._activity)
        for page in self.admin_pages:
            page.close_tasks()
