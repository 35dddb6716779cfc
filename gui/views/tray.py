"""The tray icon: state at a glance, menu, toasts with sounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from gui import wording
from gui.app_state import AppState, Link, Notice, NoticeKind, Protection
from gui.models.accounts import account_state
from gui.records import Enforcement, Lockout, Warn
from gui.settings import Settings
from gui.views import icons
from gui.views.refresher import Refresher
from gui.views.sounds import play
from gui.views.trader.lock_dialog import LockChoice

GATHER_MS = 400
"""A breach closes and cancels several things at once: one toast for all of it."""
AWAY_MS = 5_000
"""A short interruption of the connection is no news."""

STATE_WORDS = {
    Protection.PROTECTED: "Protected",
    Protection.WARNING: "Needs attention",
    Protection.LOCKED: "Locked",
    Protection.UNREACHABLE: "Daemon not reachable",
}


@dataclass(frozen=True, slots=True)
class Toast:
    """What is shown: kind (and sound), title, words."""

    kind: NoticeKind
    title: str
    words: str


_ORDER = (NoticeKind.LOCKOUT, NoticeKind.ENFORCEMENT, NoticeKind.UNLOCK, NoticeKind.WARNING)


def toasts_of(notices: list[Notice], state: AppState) -> list[Toast]:
    """One toast an account for what came together: the gravest gives the title, the rest is counted or listed."""
    made = []
    for account_id in dict.fromkeys(notice.account_id for notice in notices):
        mine = [notice for notice in notices if notice.account_id == account_id]
        mine.sort(key=lambda notice: _ORDER.index(notice.kind))
        view = state.view(account_id)
        name = view.account.name if view is not None else str(account_id)
        kind = mine[0].kind
        still = kind is NoticeKind.UNLOCK and view is not None and view.locked
        title = {
            NoticeKind.LOCKOUT: f"{name} is locked",
            NoticeKind.UNLOCK: f"{name} stays locked" if still else f"{name} is free again",
            NoticeKind.ENFORCEMENT: f"{name}: rule enforced",
            NoticeKind.WARNING: f"{name}: close to a limit",
        }[kind]
        if kind is NoticeKind.LOCKOUT and isinstance(mine[0].subject, Lockout) and mine[0].subject.symbol:
            title = f"{name}: {mine[0].subject.symbol} is blocked"
        sentences = list(dict.fromkeys(_words(notice, state) for notice in mine))
        words = " ".join(sentences[:3])
        if len(sentences) > 3:
            words += f" And {len(sentences) - 3} more."
        made.append(Toast(kind, title, words))
    return made


def _words(notice: Notice, state: AppState) -> str:
    subject = notice.subject
    if isinstance(subject, Lockout):
        if notice.kind is NoticeKind.UNLOCK:
            what = f"{subject.symbol} is free" if subject.symbol else "The lock has ended"
            return f"{what}."
        return wording.lockout_sentence(subject, state.calendar, state.clock.now())
    if isinstance(subject, Enforcement):
        return wording.enforcement_sentence(subject)
    assert isinstance(subject, Warn)
    return wording.sentence_case(subject.message)


def _plain(words: str) -> str:
    """An ampersand in an account's name is no shortcut."""
    return words.replace("&", "&&")


class Tray(QObject):
    """Needs a window system with a tray for its icon; without one (`available` False) toasts are not shown."""

    open_asked = Signal()
    lock_asked = Signal(int, str)
    admin_asked = Signal()
    about_asked = Signal()
    quit_asked = Signal()

    def __init__(
        self,
        state: AppState,
        settings: Settings,
        parent: QObject | None = None,
        *,
        sound: Callable[[NoticeKind], None] = play,
    ) -> None:
        super().__init__(parent)
        self._state, self._settings, self._sound = state, settings, sound
        self.icon = QSystemTrayIcon(self)
        self.menu = QMenu()
        self.icon.setContextMenu(self.menu)
        self.menu.aboutToShow.connect(self.fill_menu)
        self.icon.activated.connect(self._activated)
        self.icon.messageClicked.connect(self.open_asked)
        self._shown: Protection | None = None
        self._notices: list[Notice] = []
        self._gather = QTimer(self)
        self._gather.setSingleShot(True)
        self._gather.setInterval(GATHER_MS)
        self._gather.timeout.connect(self._show_notices)
        self._away = QTimer(self)
        self._away.setSingleShot(True)
        self._away.setInterval(AWAY_MS)
        self._away.timeout.connect(self._say_away)
        self._was_online = False
        self._refresher = Refresher(state, self)
        self._refresher.refreshed.connect(self.refresh)
        self._stop = state.listen_notices(self._noticed)
        self.last_toasts: list[Toast] = []
        self.refresh()
        self.fill_menu()

    @property
    def available(self) -> bool:
        """Whether the desktop shows tray icons at all."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    @property
    def state_shown(self) -> Protection | None:
        """The state whose icon is shown."""
        return self._shown

    def show(self) -> None:
        self.icon.show()

    def close(self) -> None:
        """Take the icon away and listen no more."""
        self._stop()
        self._refresher.close()
        self._gather.stop()
        self._away.stop()
        self.icon.hide()
        self.menu.deleteLater()

    def refresh(self) -> None:
        """Icon and tooltip for the state now."""
        protection = self._state.protection
        if protection is not self._shown:
            self._shown = protection
            self.icon.setIcon(icons.tray_icon(protection))
        words = self._tooltip(protection)
        if words != self.icon.toolTip():
            self.icon.setToolTip(words)
        online = self._state.link is Link.ONLINE
        if online:
            self._was_online = True
            self._away.stop()
        elif self._was_online and not self._away.isActive():
            self._was_online = False
            self._away.start()

    def _tooltip(self, protection: Protection) -> str:
        lines = [f"Risk Manager: {STATE_WORDS[protection]}"]
        views = list(self._state.accounts.values())
        # Windows cuts a tooltip at 127 characters.
        for view in views[:3]:
            lines.append(f"{view.account.name}: {account_state(self._state, view).line}")
        if len(views) > 3:
            lines.append(f"and {len(views) - 3} more")
        words = "\n".join(lines)
        return words if len(words) <= 127 else words[:126] + "…"

    # -- menu --------------------------------------------------------------------------------------------------------

    def fill_menu(self) -> None:
        """Build the menu for the state now; called each time it opens."""
        menu = self.menu
        menu.clear()
        first = menu.addAction("Open Risk Manager", self.open_asked.emit)
        menu.setDefaultAction(first)
        menu.addSeparator()
        views = list(self._state.accounts.values())
        if self._state.link is not Link.ONLINE:
            self._note(STATE_WORDS[Protection.UNREACHABLE])
        for view in views:
            self._note(f"{view.account.name}: {account_state(self._state, view).line}")
        if not views:
            self._note("No accounts")
        menu.addSeparator()
        lock = menu.addMenu("Lock me")
        lock.setEnabled(bool(views) and self._state.link is Link.ONLINE)
        for view in views:
            target = lock if len(views) == 1 else lock.addMenu(_plain(view.account.name))
            for choice in LockChoice:
                action = QAction(f"{choice.value}…", target)
                action.triggered.connect(lambda _=False, a=view.account_id, c=choice: self.lock_asked.emit(a, c.value))
                target.addAction(action)
        menu.addSeparator()
        menu.addAction("Admin…", self.admin_asked.emit)
        menu.addAction("About", self.about_asked.emit)
        menu.addAction("Quit", self.quit_asked.emit)

    def _note(self, words: str) -> None:
        self.menu.addAction(_plain(words)).setEnabled(False)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self.open_asked.emit()

    # -- toasts ------------------------------------------------------------------------------------------------------

    def _noticed(self, notice: Notice) -> None:
        self._notices.append(notice)
        if not self._gather.isActive():
            self._gather.start()

    def _show_notices(self) -> None:
        notices, self._notices = self._notices, []
        self.last_toasts = toasts_of(notices, self._state)
        for toast in self.last_toasts:
            self._show(toast)
        if self.last_toasts and self._settings.sounds:
            self._sound(min((toast.kind for toast in self.last_toasts), key=_ORDER.index))

    def _show(self, toast: Toast) -> None:
        if not self._settings.toasts:
            return
        state = {
            NoticeKind.LOCKOUT: Protection.LOCKED,
            NoticeKind.UNLOCK: Protection.PROTECTED,
        }.get(toast.kind, Protection.WARNING)
        self.icon.showMessage(toast.title, toast.words, icons.tray_icon(state), 8_000)

    def _say_away(self) -> None:
        if self._state.link is not Link.ONLINE and self._settings.toasts:
            self.icon.showMessage(
                "The daemon can't be reached",
                "Its state is not known. Locks stay in force; this program keeps trying to reach it.",
                icons.tray_icon(Protection.UNREACHABLE),
                8_000,
            )
