"""The trader's window and its pages over a real state: what is on screen, what the keyboard reaches, what it costs."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QTableView, QWidget

from gui.app_state import AppState, Link
from gui.records import CurvePoint, DeskTime, Rule
from gui.settings import Settings
from gui.views.page import Context
from gui.views.theme import ThemeChoice, theme
from gui.views.tokens import Tone
from gui.views.trader.curve import level_range, level_step, limit_lines, steps, tick_step
from gui.views.trader.log import LogPage, Period
from gui.views.trader.overview import OverviewPage, desk_total, value_of_limit
from gui.views.trader.pnl import PnlPage, guarded
from gui.views.trader.positions import PositionsPage
from gui.views.trader.rules import RulesPage
from gui.views.trader.settings import SettingsPage
from gui.views.trader.welcome import WelcomePage
from gui.views.trader.window import TraderWindow
from gui.wording import MINUS
from tests.gui import sample
from tests.gui.sample import APEX, STEP, HandClock
from tests.gui.scenes import SilentCommands


def _page[P: QWidget](window: TraderWindow, kind: type[P]) -> P:
    return next(page for page in window.pages if isinstance(page, kind))


def _settle(window: TraderWindow) -> None:
    window.refresher.flush()
    QApplication.processEvents()


def test_overview_when_shown_has_the_days_figures(window: TraderWindow) -> None:
    page = _page(window, OverviewPage)
    assert page.realized.figure.words == f"▼ {MINUS}318.26"
    assert page.unrealized.figure.words == "▲ +26.00"
    assert page.total.figure.words == f"▼ {MINUS}292.26"
    assert page.balance.figure.words == "50,842.16"
    assert page.realized.figure.accessibleName() == f"Realized today: {MINUS}318.26 dollars"
    assert page.realized.figure.tone is Tone.NEGATIVE


def test_overview_when_a_figure_changes_follows_within_the_refresh(window: TraderWindow, state: AppState) -> None:
    state.apply_event("pnl", APEX, sample.pnl("-400.00", None, 10))
    _settle(window)
    page = _page(window, OverviewPage)
    assert page.realized.figure.words == f"▼ {MINUS}400.00"
    assert page.unrealized.figure.words == "–"
    assert page.total.figure.words == "–"


def test_overview_when_another_account_changes_is_not_touched(window: TraderWindow, state: AppState) -> None:
    state.apply_event("pnl", STEP, sample.pnl("-1.00", "0", 10))
    _settle(window)
    assert _page(window, OverviewPage).realized.figure.words == f"▼ {MINUS}318.26"


def test_overview_when_nothing_was_heard_does_not_say_flat(window: TraderWindow, state: AppState) -> None:
    state.accounts[APEX].positions = None
    window.current.refresh_all()
    assert _page(window, OverviewPage)._flat.heading.text() == "Positions are not known yet"


def test_window_when_locked_shows_reason_and_countdown_at_once(
    window: TraderWindow, state: AppState, hand: HandClock, qtbot: object
) -> None:
    sample.lock(state)
    QApplication.processEvents()
    assert not window.lock_banner.isHidden()
    assert window.lock_banner.headline.text() == (
        f"Locked until 17:00 New York: daily loss {MINUS}510.74 reached the limit of {MINUS}500.00."
    )
    assert window.lock_banner.sentence.text().startswith("One position is being closed, one order cancelled.")
    assert window.lock_banner.clock.words == "02:27:55"
    hand.seconds += 61
    window.refresher.tick.emit()
    assert window.lock_banner.clock.words == "02:26:54"
    assert window.state_pill.words == "Locked"


def test_window_when_lock_ends_says_so_only_after_the_daemon(
    window: TraderWindow, state: AppState, hand: HandClock
) -> None:
    sample.lock(state)
    QApplication.processEvents()
    hand.seconds += 100_000
    window.refresher.tick.emit()
    assert window.lock_banner.clock.words == "00:00:00"
    assert window.lock_banner.clock_caption.text() == "waiting for the daemon"
    assert not window.lock_banner.isHidden()
    state.apply_event("lockouts", APEX, [])
    QApplication.processEvents()
    assert window.lock_banner.isHidden()


def test_window_when_cooling_down_says_what_is_allowed(window: TraderWindow, state: AppState) -> None:
    state.apply_event("lockouts", APEX, [sample.lockout(1, kind="cooldown", reason="third entry in 60 s")])
    QApplication.processEvents()
    assert window.state_pill.words == "Cooling down"
    assert "may stay, shrink and be protected" in window.lock_banner.sentence.text()


def test_window_when_symbol_is_blocked_keeps_the_account_free(window: TraderWindow, state: AppState) -> None:
    state.apply_event("lockouts", APEX, [sample.lockout(1, kind="symbol", symbol="RTY", expires_at=None)])
    QApplication.processEvents()
    assert window.lock_banner.isHidden()
    assert window.symbol_banner.headline.text().startswith("RTY is blocked")


def test_window_when_daemon_goes_away_keeps_figures_and_says_their_age(window: TraderWindow, state: AppState) -> None:
    state.set_link(Link.OFFLINE, "gone")
    QApplication.processEvents()
    assert "14:32:05 New York" in window.link_banner.sentence.text()
    assert window.link_pill.words == "Daemon not reachable"
    assert not window.lock_button.isEnabled()
    assert _page(window, OverviewPage).realized.figure.words == f"▼ {MINUS}318.26"
    state.set_link(Link.ONLINE)
    QApplication.processEvents()
    assert window.link_banner.isHidden()
    assert window.lock_button.isEnabled()


def test_window_when_clock_is_suspect_says_locks_follow_the_broker(window: TraderWindow, state: AppState) -> None:
    state.apply_event("status", None, sample.status(clock_suspect=True))
    _settle(window)
    assert "clock" in window.link_banner.headline.text()


def test_window_when_hidden_paints_nothing_and_catches_up(window: TraderWindow, state: AppState) -> None:
    window.hide()
    state.apply_event("pnl", APEX, sample.pnl("-1.00", "0", 10))
    _settle(window)
    page = _page(window, OverviewPage)
    assert page.realized.figure.words == f"▼ {MINUS}318.26"
    window.show()
    assert page.realized.figure.words == f"▼ {MINUS}1.00"


def test_window_when_account_is_switched_shows_the_other_and_remembers_it(
    window: TraderWindow, settings: Settings
) -> None:
    window.show_account(STEP)
    assert _page(window, OverviewPage).realized.figure.words == "▲ +412.18"
    assert settings.account == STEP


def test_licences_when_the_program_is_installed_open_from_the_settings_and_are_named_if_they_do_not(
    look: QApplication, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    desktop = SimpleNamespace(openUrl=lambda url: opened.append(url.toLocalFile()))  # None: it could not
    monkeypatch.setattr("gui.views.trader.settings.QDesktopServices", desktop)
    assert SettingsPage(context, "1").licences.isHidden(), "a source tree has none"
    program = tmp_path / "gui" / "RiskManager.exe"
    (tmp_path / "licenses").mkdir()
    monkeypatch.setattr("sys.frozen", True, raising=False)
    monkeypatch.setattr("sys.executable", str(program))
    page = SettingsPage(context, "1")
    assert not page.licences.isHidden()
    page.licences.click()

    assert opened == [str(tmp_path / "licenses")]
    assert str(tmp_path / "licenses") in page._licences_said.text() and not page._licences_said.isHidden()


def test_window_when_closed_with_a_tray_hides_and_remembers_its_place(window: TraderWindow, settings: Settings) -> None:
    window.keep_in_tray = True
    window.close()
    assert not window.isVisible()
    assert settings.geometry("trader") is not None
    window.keep_in_tray = False


def test_window_when_new_starts_where_it_was(look: QApplication, context: Context, settings: Settings) -> None:
    first = TraderWindow(context, "0")
    # No wider than the screen of the offscreen platform, else the place is corrected.
    first.resize(900, 666)
    first.go_to("rules")
    first.close()
    second = TraderWindow(context, "0")
    assert (second.width(), second.height()) == (900, 666)
    assert second.current.key == "rules"
    for made in (first, second):
        made.refresher.close()
        made.deleteLater()
    look.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_positions_when_shown_lists_both_tables(window: TraderWindow) -> None:
    window.go_to("positions")
    page = _page(window, PositionsPage)
    assert (page.positions.rowCount(), page.orders.rowCount()) == (2, 3)
    assert page.unrealized.words == "▲ +26.00"


def test_rules_when_shown_explain_themselves_and_what_is_pending(window: TraderWindow) -> None:
    window.go_to("rules")
    rows = {row.title.text(): row for row in _page(window, RulesPage).rows}
    loss = rows["Daily realized loss"]
    assert loss.value.text() == f"{MINUS}318.26 of {MINUS}500.00"
    assert loss.share.text() == "64%"
    assert loss.pending.text() == "From Fri 20 Nov, 17:00 New York: limit \u2212500 becomes \u2212750."
    assert loss.bar.accessibleName() == "Daily realized loss: 64% of the limit used"
    assert rows["Max contracts per instrument"].pill.words == "Full"
    assert rows["Trade management"].pill.words == "Off"
    assert "RULE-003" in loss.reset.text()
    assert not _page(window, RulesPage).pending.isHidden()


def test_rules_when_one_can_not_be_judged_says_so(window: TraderWindow, state: AppState) -> None:
    window.go_to("rules")
    broken = sample.rules()[0] | {"failed": True, "sentence": "This rule cannot be judged at present; see the log."}
    state.apply_event("rules", APEX, [broken])
    _settle(window)
    row = _page(window, RulesPage).rows[0]
    assert row.pill.words == "Not judged"
    assert "cannot be judged" in row.sentence.text()


def test_log_when_filtered_shows_what_matches(window: TraderWindow) -> None:
    window.go_to("log")
    page = _page(window, LogPage)
    assert page.entries.rowCount() == 6
    page.search.setText("rty")
    assert page.entries.rowCount() == 1
    page.search.clear()
    page.rule.setCurrentIndex(page.rule.findData("RULE-006"))
    assert page.entries.rowCount() == 2
    assert page.count.text() == "2 entries"


def test_log_when_period_is_short_leaves_out_older_entries(window: TraderWindow, state: AppState) -> None:
    state.apply_event("enforcement", APEX, sample.enforcement(2, 3 * 86_400))
    window.go_to("log")
    page = _page(window, LogPage)
    assert page.entries.rowCount() == 6
    page.period.setCurrentIndex(page.period.findData(Period.WEEK))
    assert page.entries.rowCount() == 7


def test_log_when_lockouts_are_shown_has_history_and_what_is_active(window: TraderWindow, state: AppState) -> None:
    sample.lock(state)
    window.go_to("log")
    page = _page(window, LogPage)
    page.tabs.setCurrentIndex(1)
    page.period.setCurrentIndex(page.period.findData(Period.ALL))
    states = [page.lockouts.data(page.lockouts.index(row, 3)) for row in range(page.lockouts.rowCount())]
    assert states == ["Active", "Ended", "Ended"]


def test_pnl_when_exported_writes_the_trades(window: TraderWindow, tmp_path: Path) -> None:
    window.go_to("pnl")
    page = _page(window, PnlPage)
    page.export_to(tmp_path / "trades.csv")
    with (tmp_path / "trades.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 1 + 18
    assert page.said.text() == "Saved trades.csv"


def test_pnl_when_file_can_not_be_written_says_why(window: TraderWindow, tmp_path: Path) -> None:
    window.go_to("pnl")
    page = _page(window, PnlPage)
    page.export_to(tmp_path / "no" / "such" / "trades.csv")
    assert page.said.text().startswith("trades.csv could not be written")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("-5.00", "-5.00"), ("-cmd", "'-cmd"), ("+5", "+5"), ("", ""), ("MNQ", "MNQ")],
)
def test_export_when_cell_looks_like_a_formula_is_defused(cell: str, expected: str) -> None:
    assert guarded([[cell]]) == [[expected]]


def test_curve_when_stepping_holds_each_figure_until_the_next() -> None:
    assert steps([0, 1, 2, 3], [5, 5, 7, 7]) == ([0, 2, 2, 3], [5, 5, 7, 7])
    assert steps([], []) == ([], [])


def test_curve_when_scaled_has_round_times_with_room() -> None:
    assert tick_step(6 * 3600, 800) == 3600
    assert tick_step(60, 800) == 15
    assert tick_step(10**7, 100) == 14_400


@pytest.mark.parametrize(
    ("span", "height", "step"), [(1500, 300, 500), (100, 300, 20), (10, 400, 2), (3, 10_000, 0.02), (7, 300, 2)]
)
def test_curve_when_scaled_has_round_amounts_with_room(span: float, height: float, step: float) -> None:
    assert level_step(span, height) == pytest.approx(step)


def test_curve_when_target_is_far_does_not_flatten_the_day_but_shows_the_loss_limit() -> None:
    low, high = level_range([-100.0, 50.0], [-500.0, 1000.0])
    assert low < -500
    assert 50 < high < 200
    assert level_range([0.0, 250.0], [1000.0])[1] > 1000
    assert level_range([], []) == (-10.0, 10.0)


def test_curve_when_mouse_is_over_it_tells_the_figures_of_that_moment(window: TraderWindow) -> None:
    window.go_to("pnl")
    _settle(window)
    plot = _page(window, PnlPage).curve.plot
    first, last = plot._points[0], plot._points[-1]
    assert plot._point_at(plot._area.left()) == first
    assert plot._point_at(plot._area.right() + 1) == last
    QTest.mouseMove(plot, plot._area.center().toPoint())
    assert plot._mouse is not None
    assert "realized now" in _page(window, PnlPage).curve.accessibleDescription()


def test_curve_when_the_total_after_trades_is_not_known_is_drawn_without_these(window: TraderWindow) -> None:
    window.go_to("pnl")
    _settle(window)
    page = _page(window, PnlPage)
    start = datetime(2026, 11, 18, 15, tzinfo=UTC)
    figures = [("0", "40"), ("-10", None), ("-10", "25"), ("-30", None)]
    points = [
        CurvePoint(start + timedelta(minutes=number), Decimal(realized), None if total is None else Decimal(total))
        for number, (realized, total) in enumerate(figures)
    ]
    page.curve.show_curve(points, [], page.state.calendar)
    assert [total for _, total in page.curve.plot._total] == [40.0, 25.0]
    assert page.curve.plot._realized == [0.0, -10.0, -10.0, -30.0]
    page.curve.plot._mouse = page.curve.plot._area.right()
    assert not page.curve.plot.grab().isNull()
    assert page.curve.accessibleDescription().endswith("realized now −30.00, total –.")
    for point in points:
        assert CurvePoint.read([point.at.isoformat(), str(point.realized), point.total]) == point


def test_curve_when_limits_are_known_draws_those_of_the_day(state: AppState) -> None:
    lines = limit_lines(state.accounts[APEX].rules or [])
    assert [(title, str(level)) for title, level in lines] == [
        ("Daily realized loss", "-500"),
        ("Daily realized profit", "1000"),
    ]


def test_desk_when_open_counts_up_to_now() -> None:
    desk = [DeskTime(sample.NOW - timedelta(hours=2), None, None, None)]
    assert desk_total(desk, sample.NOW) == "2 h 00 min"
    assert desk_total(desk, None) == "–"


# -- first run -------------------------------------------------------------------------------------------------------


def _bare(look: QApplication, state: AppState, settings: Settings) -> TraderWindow:
    window = TraderWindow(Context(state, SilentCommands(), settings), "0")
    window.show()
    _settle(window)
    return window


def _end(look: QApplication, window: TraderWindow) -> None:
    window.refresher.close()
    window.close()
    window.deleteLater()
    look.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def test_first_run_when_no_daemon_explains_what_to_do(look: QApplication, settings: Settings, hand: HandClock) -> None:
    state = AppState(hand)
    window = _bare(look, state, settings)
    page = _page(window, WelcomePage)
    assert window.current is page
    assert page.heading.text() == "Connecting to the daemon…"
    state.set_link(Link.OFFLINE, "The daemon has not run yet.")
    QApplication.processEvents()
    assert page.heading.text() == "The daemon is not running"
    assert page.command.text() == "riskd run"
    assert "The daemon has not run yet." in page.detail.text()
    page.copy.click()
    assert QApplication.clipboard().text() == page.command.text()
    state.apply_snapshot(sample.snapshot())
    state.set_link(Link.ONLINE)
    _settle(window)
    # Several accounts and nothing remembered: all of them are shown.
    assert window.current.key == "accounts"
    _end(look, window)


def test_window_when_accounts_come_late_opens_the_page_of_last_time(
    look: QApplication, settings: Settings, hand: HandClock
) -> None:
    settings.page = "rules"
    state = AppState(hand)
    window = _bare(look, state, settings)
    assert window.current.key == "welcome"
    state.apply_snapshot(sample.snapshot())
    state.set_link(Link.ONLINE)
    _settle(window)
    assert window.current.key == "rules"
    assert settings.page == "rules"
    _end(look, window)


def test_first_run_when_there_are_no_accounts_says_how_to_add_them(
    look: QApplication, settings: Settings, hand: HandClock
) -> None:
    state = AppState(hand)
    state.apply_snapshot({"status": sample.status(accounts={}), "accounts": {}})
    state.set_link(Link.ONLINE)
    window = _bare(look, state, settings)
    assert _page(window, WelcomePage).heading.text() == "No accounts yet"
    _end(look, window)


# -- keyboard and screen readers -------------------------------------------------------------------------------------


def _reachable(window: TraderWindow) -> list[QWidget]:
    """Widgets that Tab goes through, in order, once round."""
    found: list[QWidget] = []
    widget: QWidget | None = window.centralWidget()
    assert widget is not None
    start = widget
    while True:
        following = widget.nextInFocusChain()
        if following is None or following is start:
            return found
        widget = following
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus and widget.isVisibleTo(window) and widget.isEnabled():
            found.append(widget)


@pytest.mark.parametrize("page", ["overview", "pnl", "positions", "rules", "log", "accounts", "settings"])
def test_keyboard_when_on_a_page_reaches_every_control_and_each_has_a_name(window: TraderWindow, page: str) -> None:
    window.go_to(page)
    _settle(window)
    reachable = _reachable(window)
    controls = [
        widget
        for widget in window.findChildren(QWidget)
        if isinstance(widget, QAbstractButton | QComboBox | QLineEdit | QTableView)
        and widget.isVisibleTo(window)
        and widget.isEnabled()
        and not widget.objectName().startswith("qt_")
        and not isinstance(widget.parent(), QLineEdit | QTableView)
    ]
    assert controls
    for control in controls:
        assert control in reachable, control
        name = control.accessibleName() or (control.text() if isinstance(control, QAbstractButton) else "")
        assert name, control


def test_keyboard_when_a_number_is_pressed_with_control_changes_the_page(window: TraderWindow) -> None:
    window.activateWindow()
    QTest.keyClick(window, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    assert window.current.key == "rules"


def test_table_when_copied_gives_plain_text(window: TraderWindow) -> None:
    window.go_to("positions")
    table = _page(window, PositionsPage).positions_table
    table.selectRow(0)
    table.setFocus()
    QTest.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    cells = QApplication.clipboard().text().split("\t")
    assert cells[:5] == ["MNQZ6", "Long", "2", "21034.25", "-61.50"]


# -- theme -----------------------------------------------------------------------------------------------------------


def test_theme_when_chosen_by_hand_is_kept_and_applied(window: TraderWindow, settings: Settings) -> None:
    window.settings_page._choose(ThemeChoice.LIGHT)
    assert theme().tokens.name == "light"
    assert settings.theme == "light"
    window.settings_page._choose(ThemeChoice.DARK)
    assert theme().tokens.name == "dark"


def test_theme_when_following_the_system_changes_with_it(look: QApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    system = {"dark": True}
    monkeypatch.setattr(theme(), "_system_is_dark", lambda: system["dark"])
    theme().choose(ThemeChoice.SYSTEM)
    for dark, name in ((False, "light"), (True, "dark")):
        system["dark"] = dark
        look.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark if dark else Qt.ColorScheme.Light)
        assert theme().tokens.name == name
    theme().choose(ThemeChoice.LIGHT)
    look.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert theme().tokens.name == "light"
    theme().choose(ThemeChoice.DARK)


@pytest.mark.parametrize(
    ("key", "value", "limit", "words"),
    [
        ("daily_realized_loss", "-318.26", "-500.00", f"{MINUS}318.26 of {MINUS}500.00"),
        ("trade_frequency_limit", "5", "10 entries", "5 of 10 entries"),
        ("session_block_outside", "open", "until 16:00 New York", "Open, until 16:00 New York"),
        ("no_stop_loss_grace", "12 s without a stop", "60 s", "12 s without a stop"),
        ("auth_loss_guard", "allowed", "allowed", "Allowed"),
        ("symbol_blocks", "none held", "BTC, RTY", "None held"),
    ],
)
def test_value_when_beside_its_limit_reads_as_a_sentence(key: str, value: str, limit: str, words: str) -> None:
    row = sample.rule("RULE-00X", key, "A rule", value=value, limit=limit)
    rule = Rule.read(row)
    assert rule is not None and value_of_limit(rule) == words


def test_lock_banner_when_all_accounts_are_shown_names_the_account(window: TraderWindow) -> None:
    sample.lock(window.state)
    window.refresher.flush()
    window.go_to("overview")
    assert window.lock_banner.headline.text().startswith("Locked until")
    window.go_to("accounts")
    assert window.lock_banner.headline.text().startswith("50KTC-V2-1042: Locked until")


def test_link_banner_when_the_daemon_is_degraded_says_why(window: TraderWindow) -> None:
    why = ["trader2 could not log in: the API key was refused.", "Account 900 is not known yet."]
    window.state.apply_event("status", None, sample.status(status="degraded", problems=why))
    window.refresher.flush()
    assert not window.link_banner.isHidden()
    assert window.link_banner.sentence.text() == (
        "trader2 could not log in: the API key was refused. Account 900 is not known yet."
    )
    window.state.apply_event("status", None, sample.status(status="degraded", problems=[f"No. {n}" for n in range(5)]))
    window.refresher.flush()
    assert window.link_banner.sentence.text().endswith("And 2 more.")
    window.state.apply_event("status", None, sample.status())
    window.refresher.flush()
    assert window.link_banner.isHidden()
