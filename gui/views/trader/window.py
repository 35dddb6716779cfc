"""The trader's window: header, banners, pages; shows what `AppState` holds and repaints no more than needed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QCloseEvent, QHideEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QMenu

from gui import wording
from gui.app_state import AccountView, Change, Link
from gui.models.accounts import account_state
from gui.records import Kind
from gui.views.frame import NavWindow
from gui.views.page import Context, Page
from gui.views.refresher import Refresher
from gui.views.tokens import Tone
from gui.views.trader.accounts import AccountsPage
from gui.views.trader.lock_dialog import LockChoice, LockDialog
from gui.views.trader.log import LogPage
from gui.views.trader.overview import OverviewPage
from gui.views.trader.pnl import PnlPage
from gui.views.trader.positions import PositionsPage
from gui.views.trader.rules import RulesPage
from gui.views.trader.settings import SettingsPage
from gui.views.trader.welcome import WelcomePage
from gui.views.widgets.banner import Banner
from gui.views.widgets.basic import Button
from gui.views.widgets.figure import Pill

PROBLEMS_SHOWN = 3


class TraderWindow(NavWindow):
    """`closed_to_tray` when the user closes it while a tray keeps the program running."""

    closed_to_tray = Signal()

    def __init__(self, context: Context, version: str) -> None:
        self.context = context
        self.state = context.state
        self.accounts_page = AccountsPage(context)
        self.settings_page = SettingsPage(context, version)
        self.welcome_page = WelcomePage(context)
        pages: list[Page] = [
            OverviewPage(context),
            PnlPage(context),
            PositionsPage(context),
            RulesPage(context),
            LogPage(context),
            self.accounts_page,
            self.settings_page,
            self.welcome_page,
        ]
        super().__init__("Risk Manager", pages, bottom=frozenset({"settings"}))
        self.setWindowTitle("Risk Manager")
        self.keep_in_tray = False
        self._account_id: int | None = None
        self._pages_shown: set[int] = set()

        self.switcher = QComboBox()
        self.switcher.setAccessibleName("Account")
        self.switcher.setToolTip("Account shown (Ctrl+L)")
        self.switcher.setMinimumWidth(180)
        self.switcher.setMaximumWidth(240)
        self.switcher.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.switcher.currentIndexChanged.connect(self._switched)
        self.state_pill = Pill()
        self.link_pill = Pill("Connecting", "plug", Tone.MUTED)
        self.lock_button = Button("Lock me", "lock", role="menu", name="Lock this account")
        self._lock_menu = QMenu(self.lock_button)
        for choice in LockChoice:
            action = self._lock_menu.addAction(f"{choice.value}…")
            action.triggered.connect(partial(self._ask_lock_of_shown, choice))
        self.lock_button.setMenu(self._lock_menu)
        self.header_row.addWidget(self.switcher)
        self.header_row.addWidget(self.state_pill)
        self.header_row.addStretch(1)
        self.header_row.addWidget(self.link_pill)
        self.header_row.addWidget(self.lock_button)

        self.link_banner = Banner()
        self.lock_banner = Banner()
        self.symbol_banner = Banner()
        for banner in (self.link_banner, self.lock_banner, self.symbol_banner):
            self.banners.addWidget(banner)

        self.welcome_number = len(pages) - 1
        self.sidebar.set_shown(self.welcome_number, False)
        self.sidebar.set_shown(pages.index(self.accounts_page), False)
        self.accounts_page.opened.connect(self._open_account)
        self.current_changed.connect(self._page_changed)
        self.refresher = Refresher(self.state, self)
        self.refresher.refreshed.connect(self._refresh)
        self.refresher.tick.connect(self._tick)
        geometry = context.settings.geometry("trader")
        if geometry is not None:
            self.restoreGeometry(geometry)
        self._fill_switcher()
        self._restore_page()
        self._show_header()
        self._show_welcome()

    # -- account -----------------------------------------------------------------------------------------------------

    @property
    def account_id(self) -> int | None:
        """The account on screen."""
        return self._account_id

    @property
    def account(self) -> AccountView | None:
        return self.state.view(self._account_id)

    def show_account(self, account_id: int) -> None:
        """Switch to an account."""
        position = self.switcher.findData(account_id)
        if position >= 0:
            self.switcher.setCurrentIndex(position)

    def _fill_switcher(self) -> None:
        wanted = [(view.account.name, view.account_id) for view in self.state.accounts.values()]
        shown = [(self.switcher.itemText(n), self.switcher.itemData(n)) for n in range(self.switcher.count())]
        if wanted == shown:
            return
        chosen = self._account_id if self._account_id in self.state.accounts else self.context.settings.account
        self.switcher.blockSignals(True)
        self.switcher.clear()
        for name, account_id in wanted:
            self.switcher.addItem(name, account_id)
        position = self.switcher.findData(chosen)
        self.switcher.setCurrentIndex(position if position >= 0 else 0)
        self.switcher.blockSignals(False)
        self.sidebar.set_shown(self.pages.index(self.accounts_page), len(wanted) > 1)
        self._switched()

    def _switched(self) -> None:
        account_id = self.switcher.currentData()
        if account_id == self._account_id:
            return
        self._account_id = account_id
        if account_id is not None:
            self.context.settings.account = account_id
            self.context.commands.spawn(self.context.commands.watch(account_id))
        self._pages_shown.clear()
        self._show_page()
        self._show_header()

    def _open_account(self, account_id: int) -> None:
        self.show_account(account_id)
        self.go_to("overview")

    # -- pages -------------------------------------------------------------------------------------------------------

    def _restore_page(self) -> None:
        wanted = self.context.settings.page
        if wanted and wanted != WelcomePage.key:
            self.go_to(wanted)

    def _page_changed(self) -> None:
        if self.current is not self.welcome_page:
            self.context.settings.page = self.current.key
        self._show_lock_banner(self.account)
        self._show_page()

    def _show_page(self) -> None:
        """Bring the page on screen up to date; the others are, when they come on screen."""
        number = self.stack.currentIndex()
        page = self.current
        if number not in self._pages_shown or page.account_id != self._account_id:
            self._pages_shown.add(number)
            page.show_account(self._account_id)
        else:
            page.refresh_all()

    def _show_welcome(self) -> None:
        """Without any account there is only one thing to say."""
        empty = not self.state.accounts
        if empty and self.current is not self.settings_page:
            self.go(self.welcome_number)
        elif not empty and self.current is self.welcome_page:
            # Nothing remembered: whoever has several accounts wants to see all of them first.
            wanted = self.context.settings.page or (AccountsPage.key if len(self.state.accounts) > 1 else "")
            self.go(0)
            self.go_to(wanted)
        self.switcher.setVisible(not empty)
        self.lock_button.setVisible(not empty)
        self.state_pill.setVisible(not empty)
        for number, page in enumerate(self.pages):
            if page not in (self.settings_page, self.welcome_page, self.accounts_page):
                self.sidebar.set_enabled(number, not empty)

    # -- refreshing --------------------------------------------------------------------------------------------------

    def _refresh(self, changes: Iterable[Change]) -> None:
        topics = {change.topic for change in changes}
        if topics & {"accounts", "status", "link"}:
            self._fill_switcher()
            self._show_welcome()
        if not self.isVisible() or self.isMinimized():
            return
        if topics & {"accounts", "status", "link", "lockouts", "positions", "orders", "rules"}:
            self._show_header()
        self.current.refresh(changes)

    def _tick(self) -> None:
        self._show_clocks()
        self.current.tick()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self._wake()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        self.refresher.set_watching(False)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        super().changeEvent(event)
        if event.type() == QEvent.Type.WindowStateChange:
            if self.isMinimized():
                self.refresher.set_watching(False)
            elif self.isVisible():
                self._wake()

    def _wake(self) -> None:
        self.refresher.set_watching(True)
        self._show_header()
        self._show_page()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        self.context.settings.set_geometry("trader", self.saveGeometry())
        if self.keep_in_tray:
            event.ignore()
            self.hide()
            self.closed_to_tray.emit()
            return
        super().closeEvent(event)

    # -- header and banners ------------------------------------------------------------------------------------------

    def _show_header(self) -> None:
        view = self.account
        if view is not None:
            now = account_state(self.state, view)
            self.state_pill.show_state(now.words, now.icon_name, Tone(now.tone))
            self.state_pill.setToolTip(now.line)
        self.lock_button.setEnabled(self.state.link is Link.ONLINE and view is not None)
        self._show_link_banner()
        self._show_lock_banner(view)
        self._show_symbol_banner(view)
        self._show_clocks()
        shown = any(not banner.isHidden() for banner in (self.link_banner, self.lock_banner, self.symbol_banner))
        self.banners.setContentsMargins(24, 16 if shown else 0, 24, 0)

    def _show_link_banner(self) -> None:
        state = self.state
        suspect = state.health is not None and state.health.clock_suspect
        if not state.accounts:
            self.link_banner.hide()
        elif state.link is Link.OFFLINE:
            when = f"the figures are from {state.calendar.stamp(state.as_of)} {state.calendar.zone_name}"
            known = when if state.as_of is not None else "the age of the figures is not known"
            self.link_banner.say(
                Tone.WARNING,
                "wifi-off",
                "The daemon can't be reached",
                f"{wording.sentence_case(known)} A lock stays in force whatever this window shows. "
                "It reconnects by itself; if this lasts, ask your administrator to restart the service.",
            )
        elif state.link is Link.CONNECTING:
            self.link_banner.hide()
        elif state.health is not None and state.health.status == "starting":
            self.link_banner.say(
                Tone.ACCENT,
                "refresh-cw",
                "The daemon is starting",
                "Until an account has been checked against the broker it counts as locked.",
            )
        elif suspect:
            self.link_banner.say(
                Tone.WARNING,
                "clock",
                "The computer's clock does not agree with the broker's",
                "Lockouts follow the broker's time and end no sooner. Have the computer's clock set right.",
            )
        elif state.health is not None and state.health.status == "degraded" and state.health.problems:
            problems = state.health.problems
            more = f" And {len(problems) - PROBLEMS_SHOWN} more." if len(problems) > PROBLEMS_SHOWN else ""
            self.link_banner.say(
                Tone.WARNING,
                "triangle-alert",
                "The daemon does not watch everything",
                " ".join(problems[:PROBLEMS_SHOWN]) + more,
            )
        else:
            self.link_banner.hide()

    def _show_lock_banner(self, view: AccountView | None) -> None:
        if view is None or not view.locked:
            self.lock_banner.hide()
            return
        now = self.state.clock.now()
        locks = view.account_lockouts
        if not locks:
            self.lock_banner.say(
                Tone.LOCKED, "lock", f"{view.account.name} is locked", "The daemon has not said why yet."
            )
            self.lock_banner.set_clock(None)
            return
        lock = locks[0]
        sentence = wording.lockout_sentence(lock, self.state.calendar, now)
        if self.current is self.accounts_page:
            # Beside the others it must be clear whose lock it is.
            sentence = f"{view.account.name}: {sentence}"
        means = wording.lockout_means(lock)
        if lock.kind is not Kind.COOLDOWN and self.state.link is Link.ONLINE:
            means = f"{wording.progress(len(view.positions or ()), len(view.orders or ()))} {means}"
        if len(locks) > 1:
            others = len(locks) - 1
            means += f" {wording.counted(others, 'more lock')}; the account is free when none is left."
        cooling = lock.kind is Kind.COOLDOWN
        tone = Tone.WARNING if cooling else Tone.LOCKED
        self.lock_banner.say(tone, "hourglass" if cooling else "lock", sentence, means)

    def _show_symbol_banner(self, view: AccountView | None) -> None:
        locks = view.symbol_lockouts if view is not None else []
        if not locks:
            self.symbol_banner.hide()
            return
        now = self.state.clock.now()
        sentences = " ".join(wording.lockout_sentence(lock, self.state.calendar, now) for lock in locks[:3])
        self.symbol_banner.say(Tone.WARNING, "ban", sentences, wording.lockout_means(locks[0]))

    def _show_clocks(self) -> None:
        self._show_link_pill()
        view = self.account
        locks = view.account_lockouts if view is not None else []
        if not locks:
            return
        left = self.state.remaining(locks[0])
        tone = Tone.WARNING if locks[0].kind is Kind.COOLDOWN else Tone.LOCKED
        if left is None:
            self.lock_banner.set_clock(None)
        elif left.total_seconds() <= 0:
            self.lock_banner.set_clock("00:00:00", "waiting for the daemon", tone)
        else:
            self.lock_banner.set_clock(wording.countdown(left), "left", tone)

    def _show_link_pill(self) -> None:
        state = self.state
        if state.link is Link.ONLINE:
            words, tone, icon_name = "Live", Tone.POSITIVE, "radio"
            view = self.account
            if view is not None and not view.account.connected:
                words, tone, icon_name = "Broker not connected", Tone.WARNING, "unplug"
            else:
                silence = state.silence()
                now = state.clock.now()
                if silence is not None and silence > 12:
                    words, tone, icon_name = f"Last report {wording.age(silence)}", Tone.WARNING, "hourglass"
                elif view is not None and view.last_event is not None and now is not None:
                    old = (now - view.last_event).total_seconds()
                    if old >= 5:
                        words = f"Live, last event {wording.age(old)}"
            self.link_pill.show_state(words, icon_name, tone)
        elif state.link is Link.CONNECTING:
            self.link_pill.show_state("Connecting…", "plug", Tone.MUTED)
        else:
            self.link_pill.show_state("Daemon not reachable", "wifi-off", Tone.WARNING)

    # -- locking -----------------------------------------------------------------------------------------------------

    def _ask_lock_of_shown(self, choice: LockChoice) -> None:
        self.ask_lock(choice=choice)

    def ask_lock(self, account_id: int | None = None, choice: LockChoice = LockChoice.QUARTER) -> LockDialog | None:
        """Open the confirmation for an account (default: the one on screen)."""
        chosen = self._account_id if account_id is None else account_id
        if chosen is None or chosen not in self.state.accounts or self.state.link is not Link.ONLINE:
            return None
        dialog = LockDialog(self.state, self.context.commands, chosen, choice, self if self.isVisible() else None)
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.open()
        return dialog
