"""The user's own preferences, and what this program is."""

from __future__ import annotations

from PySide6.QtCore import QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QButtonGroup, QCheckBox, QWidget

from gui import autostart, licences
from gui.app_state import NoticeKind
from gui.views.page import Context, Page
from gui.views.sounds import play
from gui.views.theme import ThemeChoice, theme
from gui.views.tokens import GRID
from gui.views.widgets.basic import Button, Card, hbox, label, scrolled, set_text, vbox


class SettingsPage(Page):
    """`changed` after each change; nothing here touches what protects the account."""

    key = "settings"
    title = "Settings"
    icon_name = "settings"
    topics = frozenset({"status", "link"})
    changed = Signal()

    def __init__(self, context: Context, version: str) -> None:
        super().__init__(context)
        settings = context.settings
        look = Card("Look")
        self._themes = QButtonGroup(self)
        row = hbox(spacing=GRID)
        for choice, words, icon_name in (
            (ThemeChoice.SYSTEM, "As the system", "monitor"),
            (ThemeChoice.DARK, "Dark", "moon"),
            (ThemeChoice.LIGHT, "Light", "sun"),
        ):
            button = Button(words, icon_name, role="segment", name=f"Theme: {words}")
            button.make_checkable()
            button.setChecked(settings.theme == choice.value)
            button.clicked.connect(lambda _=False, c=choice: self._choose(c))
            self._themes.addButton(button)
            row.addWidget(button)
        row.addStretch(1)
        look.body.addWidget(label("Theme", "caption"))
        look.body.addLayout(row)

        notices = Card("Notices")
        self.toasts = QCheckBox("Show a notice for warnings, enforcement, lockout and unlock")
        self.toasts.setChecked(settings.toasts)
        self.toasts.toggled.connect(self._set_toasts)
        self.sounds = QCheckBox("Play a sound with them")
        self.sounds.setChecked(settings.sounds)
        self.sounds.toggled.connect(self._set_sounds)
        notices.body.addWidget(self.toasts)
        notices.body.addLayout(
            hbox(
                self.sounds,
                Button("Try it", "volume-2", name="Play the lockout sound", on_click=lambda: play(NoticeKind.LOCKOUT)),
                None,
                spacing=2 * GRID,
            )
        )
        notices.body.addWidget(
            label(
                "Muting changes nothing about protection: the daemon enforces without this window.", "muted", wrap=True
            )
        )

        start = Card("Start")
        self.autostart = QCheckBox("Start with my sign-in, in the tray")
        self.autostart.setChecked(autostart.enabled())
        self.autostart.toggled.connect(self._set_autostart)
        self._start_said = label("", "muted", wrap=True)
        if autostart.for_everyone():
            self.autostart.setEnabled(False)
            set_text(self._start_said, "It starts for every user of this computer; the administrator has set that.")
        else:
            self._start_said.hide()
        start.body.addWidget(self.autostart)
        start.body.addWidget(self._start_said)

        about = Card("About")
        about.body.addWidget(label(f"Risk Manager {version}"))
        self._daemon = label("", "muted", wrap=True)
        about.body.addWidget(self._daemon)
        about.body.addWidget(
            label(
                "Type: Inter (SIL Open Font License). Icons: Lucide (ISC License). Made with Qt (LGPL).",
                "muted",
                wrap=True,
            )
        )
        self.licences = Button("Open-source licences", "folder-open", on_click=self._open_licences)
        self._licences_said = label("", "muted", wrap=True)
        about.body.addLayout(hbox(self.licences, None))
        about.body.addWidget(self._licences_said)
        self._licences_said.hide()
        if licences.folder() is None:
            self.licences.hide()
        content = QWidget()
        content.setLayout(vbox(look, notices, start, about, None, spacing=2 * GRID, margins=(24, 20, 24, 24)))
        self.setLayout(vbox(scrolled(content)))
        self.refresh_all()

    def show_account(self, account_id: int | None) -> None:
        self.account_id = account_id
        self.refresh_all()

    def refresh_all(self) -> None:
        health = self.state.health
        if self.state.live and health is not None:
            words = f"Daemon {health.version or 'of unknown version'}, {health.status}."
        else:
            words = "The daemon is not connected."
        set_text(self._daemon, words)

    def _open_licences(self) -> None:
        folder = licences.folder()
        if folder is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(folder)):
            set_text(self._licences_said, f"The folder could not be opened; it is {folder}")
            self._licences_said.show()

    def _choose(self, choice: ThemeChoice) -> None:
        self.context.settings.theme = choice.value
        theme().choose(choice)
        self.changed.emit()

    def _set_toasts(self, on: bool) -> None:
        self.context.settings.toasts = on
        self.changed.emit()

    def _set_sounds(self, on: bool) -> None:
        self.context.settings.sounds = on
        self.changed.emit()

    def _set_autostart(self, on: bool) -> None:
        self.context.settings.autostart_offered = True
        try:
            autostart.set_enabled(on)
        except OSError as error:
            set_text(self._start_said, f"The entry could not be written: {error}. Ask your administrator.")
            self._start_said.show()
            self.autostart.blockSignals(True)
            self.autostart.setChecked(autostart.enabled())
            self.autostart.blockSignals(False)
        self.changed.emit()
