"""'Lock me': the one command of the trader, confirmed once, said to be final."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from PySide6.QtCore import QEvent, Qt, QTime
from PySide6.QtWidgets import QApplication

from gui.app_state import AppState, Link
from gui.commands import CommandError
from gui.views.trader.lock_dialog import LockChoice, LockDialog, consequences, next_occurrence
from gui.views.trader.window import TraderWindow
from tests.gui import sample
from tests.gui.sample import APEX, FUNDED, HandClock
from tests.gui.scenes import SilentCommands


@pytest.fixture
def dialog(look: QApplication, state: AppState, commands: SilentCommands) -> Iterator[LockDialog]:
    made = LockDialog(state, commands, APEX)
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    made.show()
    yield made
    made.close()
    made.deleteLater()
    look.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _choose(dialog: LockDialog, choice: LockChoice) -> None:
    dialog._radios[choice].setChecked(True)


@pytest.mark.parametrize(
    ("choice", "words", "sent"),
    [
        (LockChoice.QUARTER, "Lock for 15 minutes", (APEX, 15, None)),
        (LockChoice.HOUR, "Lock for 1 hour", (APEX, 60, None)),
        (LockChoice.RESET, "Lock until 17:00 New York", (APEX, None, sample.RESET)),
        (LockChoice.TIME, "Lock until 16:30 New York", (APEX, None, datetime(2026, 11, 20, 21, 30, tzinfo=UTC))),
    ],
)
def test_dialog_when_confirmed_sends_what_its_button_says(
    dialog: LockDialog, commands: SilentCommands, choice: LockChoice, words: str, sent: tuple[object, ...]
) -> None:
    dialog.time.setTime(QTime(16, 30))
    _choose(dialog, choice)
    assert dialog.confirm.text() == words
    dialog.confirm.click()
    assert commands.locks == [sent]
    assert dialog.result() == LockDialog.DialogCode.Accepted


def test_dialog_when_open_says_it_is_final_and_what_is_closed(dialog: LockDialog) -> None:
    assert dialog.warning.headline.text() == "You can't undo this"
    words = dialog.warning.sentence.text()
    assert words.startswith("Your 2 open positions will be closed at market now, all 3 working orders cancelled.")
    assert "can't be undone" in dialog.confirm.accessibleName()


def test_dialog_when_cancelled_sends_nothing(dialog: LockDialog, commands: SilentCommands) -> None:
    dialog.cancel.click()
    assert commands.locks == []


def test_dialog_when_opened_has_the_harmless_button_in_focus(dialog: LockDialog, look: QApplication) -> None:
    dialog.activateWindow()
    look.processEvents()
    assert dialog.focusWidget() is dialog.cancel
    assert not dialog.confirm.autoDefault()


def test_dialog_when_daemon_refuses_stays_open_with_the_reason(
    dialog: LockDialog, commands: SilentCommands, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(account_id: int, **_: object) -> None:
        raise CommandError("The account was not locked: there is no account 101 here.")

    monkeypatch.setattr(commands, "lock_account", refuse)
    dialog.confirm.click()
    assert dialog.isVisible()
    assert dialog.error.text() == "The account was not locked: there is no account 101 here."
    assert dialog.confirm.isEnabled()


def test_dialog_when_reset_is_unknown_does_not_offer_it(
    look: QApplication, state: AppState, commands: SilentCommands
) -> None:
    state.apply_event("pnl", APEX, {**sample.pnl("0", "0", 0), "next_reset": None})
    dialog = LockDialog(state, commands, APEX)
    assert not dialog._radios[LockChoice.RESET].isEnabled()
    dialog.close()


def test_next_occurrence_when_time_is_past_means_tomorrow(state: AppState) -> None:
    assert next_occurrence(14, 32, state) == datetime(2026, 11, 21, 19, 32, tzinfo=UTC)
    assert next_occurrence(14, 33, state) == datetime(2026, 11, 20, 19, 33, tzinfo=UTC)


def test_next_occurrence_when_trusted_time_is_unknown_is_none(hand: HandClock) -> None:
    assert next_occurrence(17, 0, AppState(hand)) is None


def test_consequences_when_flat_promise_no_closing(state: AppState) -> None:
    words = consequences(state.accounts[FUNDED])
    assert words.startswith("Until then everything new is closed")


def test_window_when_daemon_is_away_does_not_ask(window: TraderWindow, state: AppState) -> None:
    state.set_link(Link.OFFLINE)
    assert window.ask_lock() is None
