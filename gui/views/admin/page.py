"""What every page of the admin window is made from: calls with progress and errors in place, questions asked once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLineEdit, QProgressBar, QToolButton, QVBoxLayout, QWidget

from gui.admin_session import AdminError, AdminSession
from gui.app_state import AppState
from gui.commands import Commands
from gui.settings import Settings
from gui.views.page import Context, Page
from gui.views.tokens import GRID, Tone
from gui.views.widgets.banner import Banner
from gui.views.widgets.basic import label, scrolled, set_text, vbox


@dataclass(frozen=True, slots=True)
class AdminContext:
    """What an admin page needs: the state shown, the session to call through, the user's settings."""

    state: AppState
    session: AdminSession
    commands: Commands
    settings: Settings

    @property
    def base(self) -> Context:
        return Context(self.state, self.commands, self.settings)

    def account_names(self) -> dict[str, str]:
        """Names by account id as text."""
        return {str(view.account_id): view.account.name for view in self.state.accounts.values()}


class AdminPage(Page):
    """A page that asks the daemon. `load` fetches all it shows; it is called when the page comes on screen.

    `body` is where its parts go. `say` shows a banner at the top; `work` runs a call, shows that it runs, and shows its
    error.
    """

    def __init__(self, admin: AdminContext, *, scrolling: bool = True) -> None:
        super().__init__(admin.base)
        self.admin = admin
        self.session = admin.session
        self._tasks: set[asyncio.Task[None]] = set()
        self.banner = Banner()
        self.progress = QProgressBar()
        self.progress.setRange(0, 0)
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(4)
        self.progress.setAccessibleName("Working")
        self.progress.hide()
        self.body: QVBoxLayout = vbox(spacing=2 * GRID)
        column = vbox(self.progress, self.banner, spacing=GRID)
        column.addLayout(self.body, 1)
        if scrolling:
            content = QWidget()
            column.setContentsMargins(24, 16, 24, 24)
            content.setLayout(column)
            self.setLayout(vbox(scrolled(content)))
        else:
            column.setContentsMargins(24, 16, 24, 24)
            self.setLayout(column)

    # ---- calls

    async def load(self) -> None:
        """Fetch what is shown. Raises AdminError."""

    def refresh_all(self) -> None:
        """The page came on screen."""
        if self.session.open:
            self.work(self.load())

    def work(
        self, job: Awaitable[None], *, busy: QWidget | None = None, failed: Callable[[AdminError], None] | None = None
    ) -> asyncio.Task[None]:
        """Run a job beside: progress is shown, `busy` is disabled meanwhile, an error goes to the banner."""

        async def run() -> None:
            self.progress.show()
            focused = busy is not None and busy.hasFocus()
            if busy is not None:
                busy.setEnabled(False)
            try:
                await job
            except AdminError as error:
                if failed is not None:
                    failed(error)
                else:
                    self.say_error(str(error))
            finally:
                if busy is not None:
                    busy.setEnabled(True)
                    if focused:
                        # Disabled it lost the focus to whatever comes next in the window.
                        busy.setFocus()
                if len(self._tasks) <= 1:
                    self.progress.hide()

        task = asyncio.get_event_loop().create_task(run())
        self._tasks.add(task)

        def over(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            if asyncio.iscoroutine(job):
                job.close()  # one that was cancelled before it began

        task.add_done_callback(over)
        return task

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return bool(self._tasks)

    def close_tasks(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()

    # ---- telling

    def say(self, tone: Tone, icon_name: str, headline: str, sentence: str = "") -> None:
        """Show a banner at the top of the page."""
        self.banner.say(tone, icon_name, headline, sentence)

    def say_done(self, headline: str, sentence: str = "") -> None:
        self.say(Tone.POSITIVE, "circle-check", headline, sentence)

    def say_error(self, words: str) -> None:
        first, _, rest = words.partition(": ")
        headline, sentence = (first, rest) if rest and len(first) < 60 else ("That did not work", words)
        self.say(Tone.NEGATIVE, "circle-alert", headline, sentence)

    def hush(self) -> None:
        """Take the banner away."""
        self.banner.hide()


class Notes(QWidget):
    """A list of sentences, each with its own line, such as the errors of a text."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.words = label("", wrap=True)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setLayout(vbox(self.words))
        self.hide()

    def show_lines(self, lines: list[str], tone: str = "") -> None:
        """Show these sentences; none hides it."""
        set_text(self.words, "\n".join(lines))
        self.words.setProperty("tone", tone)
        self.words.style().unpolish(self.words)
        self.words.style().polish(self.words)
        self.setVisible(bool(lines))


def search_field(name: str) -> QLineEdit:
    """A field to find by, with a button that empties it."""
    made = QLineEdit()
    made.setPlaceholderText("Find")
    made.setAccessibleName(name)
    made.setClearButtonEnabled(True)
    for button in made.findChildren(QToolButton):
        button.setAccessibleName("Clear what is looked for")
    return made


def copy_text(words: str) -> None:
    """Put a text on the clipboard."""
    if QApplication.instance() is not None:
        QGuiApplication.clipboard().setText(words)


def rows_of(answer: Any) -> list[dict[str, Any]]:
    """The rows of an answer; nothing that is no row."""
    return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []
