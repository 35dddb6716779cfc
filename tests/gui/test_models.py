"""Item models: what is in the cells, what lights up, what is announced to the view."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester

from gui.app_state import AppState, Link
from gui.models.accounts import account_state, accounts_model
from gui.models.history import enforcement_model, lockouts_model, trades_model
from gui.models.positions import orders_model, positions_model
from gui.models.table import FLASH_ROLE, FLASH_SECONDS, SORT_ROLE, TONE_ROLE, Column, TableModel
from gui.records import Lockout
from tests.gui import sample
from tests.gui.sample import APEX, STEP, HandClock


@dataclass(frozen=True)
class Row:
    key: int
    value: Decimal


def _model(hand: HandClock) -> TableModel[Row]:
    columns = [
        Column[Row]("Key", lambda r: str(r.key)),
        Column[Row]("Value", lambda r: str(r.value), sort=lambda r: r.value, right=True, flash=True),
    ]
    return TableModel(columns, lambda r: r.key, monotonic=hand)


def _cells[T](model: TableModel[T], row: int) -> list[str]:
    return [str(model.data(model.index(row, column))) for column in range(model.columnCount())]


def test_model_when_checked_by_qts_own_tester_keeps_the_contract(look: object, hand: HandClock) -> None:
    model = _model(hand)
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    for rows in ([1], [1, 2], [3, 1, 2], [3, 1, 2], [2], []):
        model.set_rows([Row(key, Decimal(key)) for key in rows])
    assert tester is not None


def test_model_when_a_value_changes_lights_that_cell_and_only_for_a_moment(hand: HandClock) -> None:
    model = _model(hand)
    model.set_rows([Row(1, Decimal(5)), Row(2, Decimal(6))])
    assert not model.flashing
    model.set_rows([Row(1, Decimal(7)), Row(2, Decimal(6))])
    lit = [model.data(model.index(row, column), FLASH_ROLE) for row in (0, 1) for column in (0, 1)]
    assert lit == [False, True, False, False]
    hand.seconds += FLASH_SECONDS + 0.01
    assert not model.flashing
    assert model.data(model.index(0, 1), FLASH_ROLE) is False


def test_model_when_a_value_changes_all_the_time_rests_between_flashes(hand: HandClock) -> None:
    model = _model(hand)
    lit = 0
    for number in range(100):
        model.set_rows([Row(1, Decimal(number))])
        lit += bool(model.data(model.index(0, 1), FLASH_ROLE))
        hand.seconds += 0.1
    assert 20 <= lit <= 45


def test_model_when_nothing_changes_announces_nothing(hand: HandClock) -> None:
    model = _model(hand)
    model.set_rows([Row(1, Decimal(5))])
    heard: list[object] = []
    model.dataChanged.connect(lambda *_: heard.append("data"))
    model.modelReset.connect(lambda: heard.append("reset"))
    model.set_rows([Row(1, Decimal(5))])
    assert heard == []


def test_model_when_rows_are_added_at_the_top_inserts_and_keeps_the_rest(hand: HandClock) -> None:
    model = _model(hand)
    model.set_rows([Row(1, Decimal(5))])
    heard: list[str] = []
    model.rowsInserted.connect(lambda *_: heard.append("inserted"))
    model.modelReset.connect(lambda: heard.append("reset"))
    model.set_rows([Row(2, Decimal(6)), Row(1, Decimal(5))])
    assert heard == ["inserted"]
    assert _cells(model, 0) == ["2", "6"]


def test_model_when_sorted_compares_amounts_and_puts_unknown_last(state: AppState) -> None:
    model = positions_model(state)
    model.set_rows(list(state.accounts[APEX].positions or []))
    values = [model.data(model.index(row, 4), SORT_ROLE) for row in range(2)]
    assert values == [-61.5, 87.5]


def test_positions_when_shown_have_side_sign_and_freshness(state: AppState) -> None:
    model = positions_model(state)
    model.set_rows(list(state.accounts[APEX].positions or []))
    assert _cells(model, 0)[:6] == ["MNQZ6", "Long", "2", "21,034.25", "▼ \u221261.50", "live"]
    assert _cells(model, 1)[:6] == ["ESZ6", "Short", "1", "5,988.50", "▲ +87.50", "live"]
    assert model.data(model.index(0, 4), TONE_ROLE) == "negative"
    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
    assert model.data(model.index(0, 4), Qt.ItemDataRole.TextAlignmentRole) == int(right.value)
    said = model.data(model.index(0, 4), Qt.ItemDataRole.AccessibleTextRole)
    assert said == "Unrealized: ▼ \u221261.50"


def test_positions_when_quote_is_stale_say_so_in_words(state: AppState) -> None:
    state.apply_event("positions", APEX, [sample.positions()[0] | {"quote_age_ms": 42_000, "unrealized": None}])
    model = positions_model(state)
    model.set_rows(list(state.accounts[APEX].positions or []))
    assert _cells(model, 0)[4:6] == ["–", "stale, 42 s ago"]


def test_orders_when_shown_have_the_price_that_matters(state: AppState) -> None:
    model = orders_model(state)
    model.set_rows(list(state.accounts[APEX].orders or []))
    assert [_cells(model, row)[2] for row in range(3)] == ["Stop", "Limit", "Stop"]
    assert [_cells(model, row)[4] for row in range(3)] == ["21,004.25", "21,094.25", "5,996.75"]


def test_trades_when_exported_are_plain_numbers_and_utc(state: AppState) -> None:
    model = trades_model(state)
    trades = sorted((state.accounts[APEX].trades or {}).values(), key=lambda trade: trade.trade_id)
    model.set_rows(trades)
    rows = model.csv_rows()
    assert rows[0] == ["Time", "Symbol", "Side", "Size", "Price", "P&L", "Fees", "Net"]
    total = sum((Decimal(row[7]) for row in rows[1:] if row[7]), Decimal(0))
    assert total == Decimal("-302.50") - 18 * Decimal("0.87")
    assert rows[1][0].endswith("+00:00")


def test_enforcement_when_shown_says_what_why_and_how_long(state: AppState) -> None:
    model = enforcement_model(state)
    model.set_rows(state.accounts[APEX].enforcement_log)
    assert _cells(model, 0) == [
        "Fri 20 Nov 14:21:55",
        "50KTC-V2-1042",
        "Reduced position MNQ × 2",
        "Confirmed",
        "1.30 s",
    ]


def test_lockouts_when_active_show_what_is_left(state: AppState) -> None:
    lock = Lockout.read(sample.lockout(4))
    assert lock is not None
    model = lockouts_model(state)
    model.set_rows([lock])
    assert _cells(model, 0)[3:] == ["Active", "2 h 27 min left"]


def test_accounts_when_shown_side_by_side_have_their_states(state: AppState) -> None:
    sample.lock(state)
    model = accounts_model(state)
    reached = sample.rule("RULE-004", "daily_unrealized_loss", "Unrealized loss", share=1.0)
    state.apply_event("rules", STEP, [reached])
    model.set_rows(list(state.accounts.values()))
    assert [_cells(model, row)[1] for row in range(3)] == ["Locked", "At a limit", "Protected"]
    assert account_state(state, state.accounts[APEX]).line == "Locked, 02:27:55 left"


@pytest.mark.parametrize(
    ("topic", "data", "words"),
    [
        ("accounts", sample.account(STEP, "S", connected=False), "Not connected"),
        ("accounts", sample.account(STEP, "S", monitored=False), "Being checked"),
        ("accounts", sample.account(STEP, "S", can_trade=False), "No trading"),
        ("lockouts", [sample.lockout(9, kind="symbol", symbol="RTY", account_id=STEP)], "Symbol blocked"),
        ("rules", [sample.rule("RULE-003", "daily_realized_loss", "Loss", share=0.8)], "Near a limit"),
        ("rules", [sample.rule("RULE-002", "max_contracts_per_instrument", "Max", share=1.5)], "At a limit"),
        # All that is allowed is allowed.
        ("rules", [sample.rule("RULE-002", "max_contracts_per_instrument", "Max", share=1.0)], "Protected"),
        ("positions", [sample.positions()[0] | {"quote_age_ms": None}], "No fresh quotes"),
        ("lockouts", [sample.lockout(9, kind="cooldown", account_id=STEP)], "Cooling down"),
    ],
)
def test_account_state_when_something_is_amiss_names_it(state: AppState, topic: str, data: object, words: str) -> None:
    state.apply_event(topic, STEP, data)
    assert account_state(state, state.accounts[STEP]).words == words


def test_account_state_when_daemon_is_away_still_says_locked(state: AppState) -> None:
    sample.lock(state)
    state.set_link(Link.OFFLINE)
    assert account_state(state, state.accounts[APEX]).words == "Locked"
    assert account_state(state, state.accounts[STEP]).words == "State not known"
