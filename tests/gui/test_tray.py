"""The tray: icon, menu, toasts and their sound."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QMenu

from gui.app_state import AppState, Link, NoticeKind, Protection
from gui.settings import Settings
from gui.views import icons
from gui.views.tray import Tray, toasts_of
from tests.gui import sample
from tests.gui.sample import APEX, STEP


@pytest.fixture
def sounds() -> list[NoticeKind]:
    return []


@pytest.fixture
def tray(look: QApplication, state: AppState, settings: Settings, sounds: list[NoticeKind]) -> Iterator[Tray]:
    made = Tray(state, settings, sound=sounds.append)
    yield made
    made.close()


def _texts(menu: QMenu) -> list[str]:
    return [action.text() for action in menu.actions() if not action.isSeparator()]


def test_icon_when_state_changes_follows_at_once(tray: Tray, state: AppState, look: QApplication) -> None:
    shown = [tray.state_shown]
    sample.lock(state)
    look.processEvents()
    shown.append(tray.state_shown)
    state.set_link(Link.OFFLINE)
    look.processEvents()
    shown.append(tray.state_shown)
    assert shown == [Protection.WARNING, Protection.LOCKED, Protection.UNREACHABLE]


def _ink(state: Protection, size: int) -> QImage:
    return icons.tray_icon(state).pixmap(QSize(size, size), 1.0).toImage().convertToFormat(QImage.Format.Format_ARGB32)


@pytest.mark.parametrize("size", [16, 32])
def test_icons_when_colour_is_ignored_have_different_outlines(look: QApplication, size: int) -> None:
    shapes = {}
    for state in Protection:
        image = _ink(state, size)
        shapes[state] = {(x, y) for x in range(size) for y in range(size) if image.pixelColor(x, y).alpha() > 127}
        assert shapes[state], state
    states = list(Protection)
    for number, one in enumerate(states):
        for other in states[number + 1 :]:
            differing = len(shapes[one] ^ shapes[other])
            assert differing >= 0.12 * size * size, (one, other, differing)


@pytest.mark.parametrize("ground", ["#101010", "#f0f0f0"])
def test_icons_when_on_dark_and_light_bars_can_be_seen(look: QApplication, ground: str) -> None:
    back = int(ground[1:3], 16) / 255
    for state in Protection:
        image = _ink(state, 16)
        strong = 0
        for x in range(16):
            for y in range(16):
                color = image.pixelColor(x, y)
                light = 0.2126 * color.redF() ** 2.2 + 0.7152 * color.greenF() ** 2.2 + 0.0722 * color.blueF() ** 2.2
                seen = light * color.alphaF() + back**2.2 * (1 - color.alphaF())
                bright, dark = max(seen, back**2.2), min(seen, back**2.2)
                strong += (bright + 0.05) / (dark + 0.05) >= 2.0
        assert strong >= 30, (state, ground, strong)


def test_menu_when_opened_lists_accounts_with_state_and_time(tray: Tray, state: AppState) -> None:
    sample.lock(state)
    tray.fill_menu()
    texts = _texts(tray.menu)
    assert texts[0] == "Open Risk Manager"
    assert "50KTC-V2-1042: Locked, 02:27:55 left" in texts
    assert texts[-3:] == ["Admin…", "About", "Quit"]


def test_menu_when_lock_is_chosen_asks_for_that_account(tray: Tray, state: AppState) -> None:
    asked: list[tuple[int, str]] = []
    tray.lock_asked.connect(lambda account, choice: asked.append((account, choice)))
    tray.fill_menu()
    lock = next(action.menu() for action in tray.menu.actions() if action.text() == "Lock me")
    assert isinstance(lock, QMenu)
    second = lock.actions()[1].menu()
    assert isinstance(second, QMenu)
    assert _texts(second) == ["15 minutes…", "1 hour…", "Until the reset…", "Until a time…"]
    second.actions()[1].trigger()
    assert asked == [(STEP, "1 hour")]


def test_menu_when_daemon_is_away_can_not_lock(tray: Tray, state: AppState) -> None:
    state.set_link(Link.OFFLINE)
    tray.fill_menu()
    lock = next(action.menu() for action in tray.menu.actions() if action.text() == "Lock me")
    assert isinstance(lock, QMenu)
    assert not lock.isEnabled()
    assert "Daemon not reachable" in _texts(tray.menu)


def test_menu_when_account_has_an_ampersand_shows_it(tray: Tray, state: AppState) -> None:
    state.apply_event("accounts", APEX, sample.account(APEX, "A & B"))
    tray.fill_menu()
    assert any(text.startswith("A && B:") for text in _texts(tray.menu))


def test_tooltip_when_many_accounts_fits_into_what_windows_shows(tray: Tray, state: AppState) -> None:
    for number in range(200, 230):
        state.apply_event("accounts", number, sample.account(number, f"ACCOUNT-WITH-A-LONG-NAME-{number}"))
    tray.refresh()
    assert len(tray.icon.toolTip()) <= 127


def test_toasts_when_a_breach_closes_several_things_is_one_with_the_lock_first(
    tray: Tray, state: AppState, sounds: list[NoticeKind]
) -> None:
    sample.lock(state)
    tray._show_notices()
    assert [toast.title for toast in tray.last_toasts] == ["50KTC-V2-1042 is locked"]
    assert tray.last_toasts[0].words.startswith("Locked until 17:00 New York: daily loss")
    assert "Closed position ES" in tray.last_toasts[0].words
    assert sounds == [NoticeKind.LOCKOUT]


def test_toasts_when_muted_are_silent(
    tray: Tray, state: AppState, settings: Settings, sounds: list[NoticeKind]
) -> None:
    settings.sounds = False
    sample.lock(state)
    tray._show_notices()
    assert tray.last_toasts
    assert sounds == []


def test_toasts_when_one_of_two_locks_ends_say_it_stays_locked(state: AppState) -> None:
    state.apply_event("lockouts", APEX, [sample.lockout(1), sample.lockout(2, kind="manual")])
    heard: list[object] = []
    state.listen_notices(heard.append)
    state.apply_event("lockouts", APEX, [sample.lockout(2, kind="manual")])
    toasts = toasts_of(heard, state)  # type: ignore[arg-type]
    assert [toast.title for toast in toasts] == ["50KTC-V2-1042 stays locked"]
    state.apply_event("lockouts", APEX, [])
    assert [toast.title for toast in toasts_of(heard[1:], state)] == ["50KTC-V2-1042 is free again"]  # type: ignore[arg-type]


def test_toasts_when_warning_comes_say_which_limit(state: AppState) -> None:
    heard: list[object] = []
    state.listen_notices(heard.append)
    state.apply_event("warnings", APEX, {"level": 90, "text": "Daily realized loss at 90 % of the limit"})
    toast = toasts_of(heard, state)[0]  # type: ignore[arg-type]
    assert toast.title == "50KTC-V2-1042: close to a limit"
    assert toast.words == "Daily realized loss at 90 % of the limit."
