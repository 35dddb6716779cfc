"""Puts the program together: application, state, client, window, tray. The only place where they meet."""

from __future__ import annotations

import asyncio
import sys
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication, QMessageBox

from gui import autostart, elevation
from gui.app_state import AppState
from gui.commands import LateClient
from gui.event_loop import EndSignals, run_program
from gui.settings import Settings, is_usual
from gui.single_instance import SingleInstance, server_name
from gui.views import icons
from gui.views.frame import to_front
from gui.views.page import Context
from gui.views.theme import ThemeChoice, theme
from gui.views.trader.lock_dialog import LockChoice
from gui.views.trader.window import TraderWindow
from gui.views.tray import Tray
from shared.paths import Home

OFFER_AUTOSTART_MS = 4_000


def program_version() -> str:
    """The version of the installed distribution; "0" from a tree that was never installed."""
    try:
        return version("risk-manager")
    except PackageNotFoundError:
        return "0"


def make_application(settings: Settings) -> QApplication:
    """The QApplication with name, icon, fonts and theme."""
    existing = QApplication.instance()
    app = existing if isinstance(existing, QApplication) else QApplication(sys.argv[:1])
    app.setApplicationName("Risk Manager")
    app.setApplicationVersion(program_version())
    app.setDesktopFileName("risk-manager")
    app.setWindowIcon(icons.app_icon())
    theme().install(app, ThemeChoice(settings.theme))
    return app


class TrayApp(QObject):
    """The trader's program: tray and window over one state. `start` in a running loop, `close` before it ends."""

    def __init__(self, app: QApplication, home: Home, settings: Settings) -> None:
        super().__init__()
        self.app, self.home, self.settings = app, home, settings
        self.state = AppState(time.monotonic)
        self.client = LateClient(home, self.state)
        self.window = TraderWindow(Context(self.state, self.client, settings), program_version())
        self.tray = Tray(self.state, settings, self)
        self.done = asyncio.Event()
        self._opening: asyncio.Future[None] | None = None
        self.tray.open_asked.connect(self.raise_window)
        self.tray.quit_asked.connect(self.quit)
        self.tray.about_asked.connect(self._about)
        self.tray.admin_asked.connect(self._admin)
        self.tray.lock_asked.connect(self._lock)

    def start(self, *, minimized: bool) -> None:
        """Show what is to be shown and connect."""
        with_tray = self.tray.available
        if with_tray:
            self.tray.show()
        self.window.keep_in_tray = with_tray
        self.app.setQuitOnLastWindowClosed(False)
        self.app.lastWindowClosed.connect(self._last_window_closed)
        self.app.commitDataRequest.connect(lambda _: self.settings.sync())
        # Without a tray a hidden window could never be found again.
        if not minimized or not with_tray:
            self.window.show()
        self.client.start()
        if with_tray and self._may_offer_autostart():
            QTimer.singleShot(OFFER_AUTOSTART_MS, self._offer_autostart)

    async def close(self) -> None:
        """End the connection, save what is to be saved."""
        self.window.keep_in_tray = False
        self.window.close()
        self.window.refresher.close()
        self.tray.close()
        await self.client.close()
        self.settings.sync()

    def raise_window(self) -> None:
        """Show the window in front of all others."""
        to_front(self.window)

    def quit(self) -> None:
        """End the program; the daemon goes on."""
        self.done.set()

    def _last_window_closed(self) -> None:
        if not self.window.keep_in_tray:
            self.quit()

    def _about(self) -> None:
        self.raise_window()
        self.window.go_to("settings")

    def _lock(self, account_id: int, choice: str) -> None:
        self.raise_window()
        self.window.show_account(account_id)
        self.window.ask_lock(account_id, LockChoice(choice))

    def _admin(self) -> None:
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(self._open_admin())

    async def _open_admin(self) -> None:
        # Windows' question may stay unanswered for minutes; locks and warnings are shown all the while.
        outcome, words = await asyncio.to_thread(elevation.open_admin, self.home)
        if outcome is not elevation.Outcome.STARTED:
            self._say("Admin window", words)

    def _may_offer_autostart(self) -> bool:
        # The entry starts the program with the usual home folder: a demonstration's or a second one is not meant.
        return is_usual(self.home) and not self.settings.autostart_offered and not autostart.enabled()

    def _offer_autostart(self) -> None:
        if not self._may_offer_autostart() or not self.window.isVisible():
            return
        self.settings.autostart_offered = True
        box = QMessageBox(self.window)
        box.setWindowTitle("Start with sign-in?")
        box.setText("Show Risk Manager in the tray whenever you sign in?")
        box.setInformativeText(
            "You then see locks and warnings at once. The daemon protects your accounts either way. "
            "You can change this under Settings."
        )
        yes = box.addButton("Start with sign-in", QMessageBox.ButtonRole.AcceptRole)
        box.addButton("Not now", QMessageBox.ButtonRole.RejectRole)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.buttonClicked.connect(lambda button: self._autostart() if button is yes else None)
        box.open()

    def _autostart(self) -> None:
        try:
            autostart.set_enabled(True)
        except OSError as error:
            self._say("Start with sign-in", f"The entry could not be written: {error}.")

    def _say(self, title: str, words: str) -> None:
        box = QMessageBox(self.window)
        box.setWindowTitle(title)
        box.setText(words)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()


async def run_trader(
    app: QApplication, home: Home, settings: Settings, instance: SingleInstance, minimized: bool
) -> None:
    """The tray program until the user quits."""
    program = TrayApp(app, home, settings)
    instance.raised.connect(program.raise_window)
    app.aboutToQuit.connect(program.done.set)
    program.start(minimized=minimized)
    try:
        await program.done.wait()
    finally:
        await program.close()


async def run_admin(app: QApplication, home: Home, settings: Settings, instance: SingleInstance) -> None:
    """The admin window until it is closed. `gui.views.admin` is loaded here and nowhere else."""
    admin = import_module("gui.views.admin")
    await admin.run(app, home, settings, instance)


def main_loop(home: Home, *, minimized: bool = False, admin: bool = False) -> int:
    """Run the program; its exit code. A second start raises the first's window and returns 0."""
    settings = Settings.of(home)
    app = make_application(settings)
    # From here on, so that a signal is never answered by the system's default in the middle of a start.
    with EndSignals(app.quit) as signals:
        instance = SingleInstance(server_name(home, "admin" if admin else "trader"))
        if not instance.acquire():
            return 0
        work = (
            run_admin(app, home, settings, instance) if admin else run_trader(app, home, settings, instance, minimized)
        )
        try:
            run_program(app, work, signals)
        finally:
            instance.release()
    return 0
