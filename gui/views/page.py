"""What every page of a window is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtWidgets import QWidget

from gui.app_state import AccountView, AppState, Change
from gui.commands import Commands
from gui.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """What a page needs: the state to show, the daemon to ask, the user's settings."""

    state: AppState
    commands: Commands
    settings: Settings


class Page(QWidget):
    """One page. A window calls `show_account`, `refresh` and `tick`, and only while the page is on screen.

    `key` names it in the settings, `topics` are the changes it cares for.
    """

    key = ""
    title = ""
    icon_name = "info"
    topics: frozenset[str] = frozenset()

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("page")
        self.context = context
        self.state = context.state
        self.account_id: int | None = None

    @property
    def account(self) -> AccountView | None:
        """The account shown; None while there is none."""
        return self.state.view(self.account_id)

    def show_account(self, account_id: int | None) -> None:
        """Switch to another account and show all of it."""
        self.account_id = account_id
        self.refresh_all()

    def refresh(self, changes: Iterable[Change]) -> None:
        """Show what changed; the default shows everything when any of it concerns this page."""
        for change in changes:
            if change.topic in self.topics and change.account_id in (None, self.account_id):
                self.refresh_all()
                return

    def refresh_all(self) -> None:
        """Show everything anew."""

    def tick(self) -> None:
        """Twice a second while the page is on screen: countdowns and ages."""
