"""RULE-007: cooldown after a losing exit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.core.engine import Engine
from daemon.core.events import ClearRequested, TradesSnapshot
from daemon.core.units import SECOND_US
from shared.config import RiskConfig
from tests.core.desk import ES, MNQ, Desk, rules

STEPS = [{"loss_amount": -100, "cooldown_duration": 300}, {"loss_amount": -200, "cooldown_duration": 900}]
CONFIG = rules(cooldown_after_loss={"loss_thresholds": STEPS})


def ends(desk: Desk) -> list[int]:
    """Seconds from its begin to the end of each cooldown."""
    return [((d.lockout.expires_at or 0) - d.lockout.locked_at) // SECOND_US for d in desk.lock_decisions()]


@pytest.mark.parametrize(
    ("pnl", "fees", "expected"),
    [
        ("-99.50", "0", []),
        ("-100", "0", [300]),
        ("-100.50", "0", [300]),
        ("-199.50", "0", [300]),
        ("-200", "0", [900]),
        ("-200.50", "0", [900]),
        ("-99.50", "0.50", [300]),
        ("250", "0", []),
    ],
)
def test_exit_when_a_threshold_is_reached_brings_its_cooldown(pnl: str, fees: str, expected: list[int]) -> None:
    desk = Desk(CONFIG)
    desk.position(ES, 1)
    order = desk.order(MNQ, 1)
    desk.trade(MNQ, -1, pnl, fees=fees)
    assert ends(desk) == expected
    assert desk.wanted() == ({ES: 0, order: 0} if expected else {})


def test_gross_basis_leaves_fees_out() -> None:
    desk = Desk(RiskConfig.model_validate(CONFIG.model_dump(exclude_none=True) | {"policy": {"pnl_basis": "gross"}}))
    desk.trade(MNQ, -1, "-99.99", fees="50")
    assert desk.locks() == []


def test_order_of_the_thresholds_in_the_file_does_not_matter() -> None:
    desk = Desk(rules(cooldown_after_loss={"loss_thresholds": list(reversed(STEPS))}))
    desk.trade(MNQ, -1, "-210")
    assert ends(desk) == [900]


def test_worst_threshold_counts_though_its_cooldown_is_shorter() -> None:
    steps = [{"loss_amount": -100, "cooldown_duration": 300}, {"loss_amount": -200, "cooldown_duration": 60}]
    desk = Desk(rules(cooldown_after_loss={"loss_thresholds": steps}))
    desk.trade(MNQ, -1, "-210")
    assert ends(desk) == [60]


def test_later_fill_of_the_same_order_lengthens_and_never_shortens() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-60", order_id=7)
    desk.trade(MNQ, -1, "-55", order_id=7)
    desk.wait(10)
    desk.trade(MNQ, -1, "-20", order_id=7)
    assert ends(desk) == [300]
    desk.trade(MNQ, -1, "-70", order_id=7)
    assert ends(desk) == [300, 900]
    desk.trade(MNQ, -1, "500", order_id=7)
    assert len(desk.locks()) == 2
    desk.wait(301)
    assert len(desk.locks()) == 1
    desk.wait(600)
    assert desk.locks() == []


def test_worked_case_seven_as_it_is_written() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-60", order_id=7)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-55", order_id=7)
    assert ends(desk) == [300]
    desk.trade(MNQ, -1, "-210", order_id=8)
    assert ends(desk) == [300, 900]


def test_exit_that_wins_in_the_end_keeps_the_cooldown_of_its_first_part() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-110", order_id=7)
    assert ends(desk) == [300]
    desk.trade(MNQ, -1, "400", order_id=7)
    assert desk.locks() == ["RULE-007"]
    desk.wait(301)
    assert desk.locks() == [] and ends(desk) == [300], "an exit that has won brings no other"


def test_exits_of_different_orders_are_not_summed() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-60")
    desk.trade(MNQ, -1, "-60")
    assert desk.locks() == []


def test_shorter_cooldown_during_a_longer_one_changes_nothing() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-210")
    desk.wait(10)
    desk.trade(MNQ, -1, "-110")
    assert ends(desk) == [900]
    desk.wait(860)
    desk.trade(MNQ, -1, "-110")
    desk.wait(40)
    assert desk.locks() == ["RULE-007"]


def test_new_exposure_during_the_cooldown_is_closed() -> None:
    desk = Desk(CONFIG)
    desk.close(MNQ, -1, "-110")
    desk.position(MNQ, 0)
    desk.enter(ES, 1)
    assert desk.wanted()[ES] == 0


@pytest.mark.parametrize(("later", "locked"), [(1, True), (299, True), (301, False)])
def test_trades_read_anew_give_the_same_cooldown(later: int, locked: bool) -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-110")
    live = desk.lock_decisions()[0].lockout
    other = Desk(accounts=(), engine=Engine(CONFIG, desk.engine.calendar))
    other.at = desk.at + later * SECOND_US
    trades = tuple(desk.engine.account(101).ledger.trades.values())
    other.feed(TradesSnapshot(other.at, 101, other.at, desk.engine.view.day_start, trades))
    assert bool(other.locks()) == locked
    if locked:
        again = other.lock_decisions()[0].lockout
        assert abs((again.expires_at or 0) - (live.expires_at or 0)) <= 5 * SECOND_US


@pytest.mark.parametrize("late", [0, 4.9, 5.0, 5.1, 60])
def test_cooldown_begins_now_unless_its_loss_is_old(late: float) -> None:
    desk = Desk(CONFIG)
    desk.wait(120)
    made = desk.at - round(late * SECOND_US)
    desk.at -= 1000
    desk.trade(MNQ, -1, "-110", at=made)
    lock = desk.lock_decisions()[0].lockout
    begun = desk.at if late <= 5 else made
    assert (lock.locked_at, lock.expires_at) == (begun, begun + 300 * SECOND_US)


def test_losses_of_the_next_trading_day_count_as_those_of_the_first() -> None:
    desk = Desk(CONFIG, at=datetime(2026, 11, 18, 21, 50, tzinfo=UTC))
    for _ in range(3):
        desk.trade(MNQ, -1, "-10")
    desk.trade(MNQ, -1, "-110")
    desk.wait(900)  # over the reset at 22:00, and the end of the cooldown
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-210")
    assert desk.locks() == ["RULE-007"]
    assert ends(desk) == [300, 900]


def test_only_the_account_that_lost_is_cooled_down() -> None:
    desk = Desk(CONFIG, accounts=(101, 102))
    desk.trade(MNQ, -1, "-110", account=102)
    assert (desk.locks(101), desk.locks(102)) == ([], ["RULE-007"])


def test_share_is_of_the_first_threshold_and_none_of_a_profit() -> None:
    steps = [*STEPS, {"loss_amount": -50, "cooldown_duration": 60}]
    desk = Desk(rules(cooldown_after_loss={"loss_thresholds": steps}))
    desk.trade(MNQ, -1, "-25")
    gauge = desk.gauge("RULE-007")
    assert (gauge.value, gauge.limit, gauge.percent) == ("-25.00", "-50.00", 50)
    assert [warn.level for warn in desk.warnings()] == [50]
    desk.trade(MNQ, -1, "70")
    gauge = desk.gauge("RULE-007")
    assert (gauge.value, gauge.percent) == ("0.00", 0)


def test_loss_that_was_cleared_does_not_lock_again_after_a_restart() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-110")
    lock = desk.lock_decisions()[0].lockout
    desk.feed(ClearRequested(desk.at, lock.id, desk.at, "phone call", "admin"))
    assert desk.locks() == []
    engine = Engine(CONFIG, desk.engine.calendar)
    engine.restore(desk.at, lockouts=[lock])
    other = Desk(accounts=(), engine=engine)
    other.at = desk.at + SECOND_US
    trades = tuple(desk.engine.account(101).ledger.trades.values())
    other.feed(TradesSnapshot(other.at, 101, other.at, desk.engine.view.day_start, trades))
    assert other.locks() == []


def test_warnings_and_gauge_are_of_the_last_exit() -> None:
    desk = Desk(CONFIG)
    desk.trade(MNQ, -1, "-49.99", order_id=7)
    assert desk.warnings() == []
    desk.trade(MNQ, -1, "-0.01", order_id=7)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Cooldown after a loss at 50 % of the limit: -50.00 of -100.00 (last exit).")
    ]
    desk.trade(MNQ, -1, "20")
    gauge = desk.gauge("RULE-007")
    assert (gauge.value, gauge.limit, gauge.percent) == ("0.00", "-100.00", 0)
