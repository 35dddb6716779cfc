"""What to do when there is nothing to show yet: connecting, no daemon, no account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget

from gui import no_daemon
from gui.app_state import Change, Link
from gui.views.page import Context, Page
from gui.views.tokens import GRID, Tone
from gui.views.widgets.basic import Button, Card, IconLabel, hbox, label, scrolled, set_text, vbox


class WelcomePage(Page):
    """See the module."""

    key = "welcome"
    title = "Welcome"
    icon_name = "shield"
    topics = frozenset({"link", "accounts", "status"})

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.icon = IconLabel("shield", Tone.ACCENT, 44)
        self.heading = label("", "title", wrap=True)
        self.words = label("", "muted", wrap=True)
        self.steps = Card()
        self._step_labels = [label("", wrap=True) for _ in range(3)]
        self._numbers = []
        for number, step in enumerate(self._step_labels, start=1):
            mark = label(f"{number}.", "strong")
            self._numbers.append(mark)
            row = hbox(mark, step, spacing=GRID + 4)
            row.setStretch(1, 1)
            row.setAlignment(mark, Qt.AlignmentFlag.AlignTop)
            self.steps.body.addLayout(row)
        self.command = label("", "code")
        self.command.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.copy = Button("Copy", "copy", name="Copy the command", on_click=self._copy)
        self._command_row = QWidget()
        self._command_row.setLayout(hbox(self.command, self.copy, None, margins=(26, 0, 0, 0)))
        self.steps.body.addWidget(self._command_row)
        self.demo = label("", "muted", wrap=True)
        self.detail = label("", "muted", wrap=True)
        column = vbox(
            self.icon, self.heading, self.words, GRID, self.steps, self.demo, self.detail, None, spacing=GRID + 4
        )
        column.setContentsMargins(48, 56, 48, 32)
        content = QWidget()
        content.setLayout(column)
        content.setMaximumWidth(760)
        outer = QWidget()
        outer.setLayout(hbox(content, None))
        outer.layout().setStretch(0, 10)  # type: ignore[union-attr]
        self.setLayout(vbox(scrolled(outer)))
        self.refresh_all()

    def refresh(self, changes: Iterable[Change]) -> None:
        if any(change.topic in self.topics for change in changes):
            self.refresh_all()

    def refresh_all(self) -> None:
        state = self.state
        if state.link is Link.OFFLINE:
            self._say_no_daemon()
        elif state.link is Link.CONNECTING or not state.accounts_known:
            self._say("refresh-cw", "Connecting to the daemon…", "Accounts appear as soon as it answers.", [], "")
        else:
            self._say(
                "users",
                "No accounts yet",
                "The daemon runs, but no account is set up, so nothing is watched.",
                [
                    "Ask your administrator to choose Admin… in the tray's menu, and to add a login in Set-up.",
                    "The accounts then appear here.",
                ],
                "",
            )
        away = state.link is Link.OFFLINE
        set_text(self.detail, f"What was found: {state.link_detail}" if away and state.link_detail else "")
        self.detail.setVisible(bool(self.detail.text()))
        self.demo.setVisible(away)

    def _say_no_daemon(self) -> None:
        advice = no_daemon.advice_here()
        self._say(
            "wifi-off",
            "The daemon is not running",
            "It is the part that watches the accounts and enforces the rules. This window only shows what it reports, "
            "and connects by itself as soon as it is there.",
            advice.steps,
            advice.command,
        )
        set_text(self.demo, advice.demo)

    def _say(self, icon_name: str, heading: str, words: str, steps: Sequence[str], command: str) -> None:
        self.icon.set_icon(icon_name, Tone.ACCENT)
        set_text(self.heading, heading)
        set_text(self.words, words)
        self.steps.setVisible(bool(steps))
        for number, step in enumerate(self._step_labels):
            shown = number < len(steps)
            step.setVisible(shown)
            self._numbers[number].setVisible(shown and len(steps) > 1)
            set_text(step, steps[number] if shown else "")
        set_text(self.command, command)
        self._command_row.setVisible(bool(command))

    def _copy(self) -> None:
        QApplication.clipboard().setText(self.command.text())
        set_text(self.copy, "Copied")
