"""Qt without a screen, the program's look, and settings that belong to one test."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from gui.app_state import AppState
from gui.settings import Settings
from gui.views.page import Context
from gui.views.theme import ThemeChoice, theme
from gui.views.trader.window import TraderWindow
from tests.gui import sample
from tests.gui.scenes import SilentCommands


@pytest.fixture(scope="session")
def look(qapp: QApplication) -> QApplication:
    """The application with fonts and theme."""
    theme().install(qapp, ThemeChoice.DARK)
    return qapp


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "settings.ini")


@pytest.fixture
def hand() -> sample.HandClock:
    return sample.HandClock()


@pytest.fixture
def state(hand: sample.HandClock) -> AppState:
    """A connected day of trading; see `tests.gui.sample`."""
    return sample.make_state(hand)


@pytest.fixture
def commands() -> SilentCommands:
    return SilentCommands()


@pytest.fixture
def context(state: AppState, commands: SilentCommands, settings: Settings) -> Context:
    settings.account = sample.APEX
    return Context(state, commands, settings)


@pytest.fixture
def window(look: QApplication, context: Context) -> Iterator[TraderWindow]:
    """The trader's window on screen, showing account APEX."""
    made = TraderWindow(context, "0.1.0")
    made.show()
    made.refresher.flush()
    look.processEvents()
    yield made
    made.refresher.close()
    made.close()
    made.deleteLater()
    look.sendPostedEvents(None, QEvent.Type.DeferredDelete)
