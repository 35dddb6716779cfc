"""RULE-003 and RULE-013: realized loss and profit of the trading day."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.core.events import ClearRequested, TradeRecord, TradesSnapshot
from daemon.core.units import SECOND_US, from_micros, money_to_micros, to_micros
from shared.config import RiskConfig
from tests.core.desk import ES, MNQ, OPEN, Desk, rules

LOSS = rules(daily_realized_loss={"limit": -500})
PROFIT = rules(daily_realized_profit={"target": 500})


def basis(config: RiskConfig, name: str) -> RiskConfig:
    return RiskConfig.model_validate(config.model_dump(exclude_none=True) | {"policy": {"pnl_basis": name}})


@pytest.mark.parametrize(
    ("config", "pnl", "fees", "locked"),
    [
        (LOSS, "-499.50", "0", []),  # a tick of MNQ short of it
        (LOSS, "-500.00", "0", ["RULE-003"]),
        (LOSS, "-500.50", "0", ["RULE-003"]),
        (LOSS, "-499.25", "0.74", []),
        (LOSS, "-499.26", "0.74", ["RULE-003"]),
        (LOSS, "500", "0", []),
        (basis(LOSS, "gross"), "-499.99", "0.74", []),
        (basis(LOSS, "gross"), "-500", "0.74", ["RULE-003"]),
        (PROFIT, "499.50", "0", []),
        (PROFIT, "500", "0", ["RULE-013"]),
        (PROFIT, "500.50", "0", ["RULE-013"]),
        (PROFIT, "500", "0.01", []),
        (PROFIT, "500.01", "0.01", ["RULE-013"]),
        (basis(PROFIT, "gross"), "500", "0.74", ["RULE-013"]),
        (PROFIT, "-500", "0", []),
    ],
)
def test_day_when_the_limit_is_reached_locks(config: RiskConfig, pnl: str, fees: str, locked: list[str]) -> None:
    desk = Desk(config)
    desk.position(ES, -2)
    working = desk.order(MNQ, 1)
    desk.trade(MNQ, -1, pnl, fees=fees)
    assert desk.locks() == locked
    assert desk.wanted() == ({ES: 0, working: 0} if locked else {})


def test_opening_half_turns_count_their_fees_only() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, 1, None, fees="499.99")
    assert desk.locks() == []
    desk.trade(MNQ, 1, None, fees="0.01")
    assert desk.locks() == ["RULE-003"]


def test_trade_that_comes_twice_counts_once_and_a_voided_one_is_taken_back() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-300", trade_id=1, at=desk.at)
    desk.trade(MNQ, -1, "-300", trade_id=1, at=desk.at - 1000)
    desk.trade(MNQ, -1, "-199", trade_id=2)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-300", trade_id=1, voided=True)
    assert desk.engine.account(101).realized(net=True) == money_to_micros("-199")
    desk.trade(MNQ, -1, "-300", trade_id=1)  # a late copy of it as it was
    assert desk.engine.account(101).realized(net=True) == money_to_micros("-199")
    desk.trade(MNQ, -1, "-301", trade_id=3)
    assert desk.locks() == ["RULE-003"]


def test_lockout_when_its_trade_is_voided_stays() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600", trade_id=1)
    desk.trade(MNQ, -1, "-600", trade_id=1, voided=True)
    assert desk.engine.account(101).realized(net=True) == 0
    assert desk.locks() == ["RULE-003"]


def test_lockout_ends_at_the_reset_and_the_new_day_begins_at_nothing() -> None:
    desk = Desk(LOSS, at=datetime(2026, 11, 18, 21, 59, tzinfo=UTC))
    desk.trade(MNQ, -1, "-600")
    desk.wait(59)
    assert desk.locks() == ["RULE-003"]
    desk.wait(1)
    assert desk.locks() == []
    assert desk.unlocks()[0].lockout.cleared_by == "time"
    desk.trade(MNQ, -1, "-499.99")
    assert desk.locks() == []


def test_new_position_during_the_lockout_is_closed_again_and_again() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600")
    for size in (1, -2, 3):
        desk.position(ES, size)
        assert desk.wanted() == {ES: 0}
        desk.position(ES, 0)
        assert desk.wanted() == {}
    order = desk.order(ES, 1)
    assert desk.wanted() == {order: 0}


def test_start_past_the_limit_locks_when_the_trades_are_read() -> None:
    desk = Desk(LOSS)
    trades = tuple(
        TradeRecord(number, MNQ, desk.at - 3600 * SECOND_US, 0, money_to_micros(-250), 0, 1, 1, False, number)
        for number in (1, 2)
    )
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, desk.engine.view.day_start, trades))
    assert desk.locks() == ["RULE-003"]


def test_account_is_not_judged_on_trades_before_they_are_read() -> None:
    desk = Desk(LOSS, accounts=())
    desk.trade(MNQ, -1, "-600")
    assert desk.locks() == []
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, desk.engine.view.day_start, ()))
    assert desk.locks() == ["RULE-003"]


def test_admins_clear_frees_until_one_more_trade() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600")
    lock = desk.lock_decisions()[0].lockout
    desk.feed(ClearRequested(desk.at, lock.id, desk.at + 900 * SECOND_US, "phone call", "admin"))
    desk.wait(899)
    assert desk.locks() == ["RULE-003"]
    desk.wait(1)
    assert desk.locks() == []
    desk.wait(60)
    desk.position(MNQ, 1)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-1")
    assert desk.locks() == ["RULE-003"]


def test_tighter_limit_locks_at_once_and_a_looser_one_frees_nobody() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-300")
    desk.configure(rules(daily_realized_loss={"limit": -250}))
    assert desk.locks() == ["RULE-003"]
    desk.configure(rules())
    assert desk.locks() == ["RULE-003"]


def test_moved_reset_neither_shortens_nor_ends_a_lockout() -> None:
    for reset in ({"time": "10:30"}, {"time": "17:00", "timezone": "Europe/London"}, {"time": "16:00"}):
        desk = Desk(LOSS)
        desk.trade(MNQ, -1, "-600")
        desk.configure(RiskConfig.model_validate({"reset": reset}))
        desk.wait(6.9 * 3600)  # 16:54 in New York
        assert desk.locks() == ["RULE-003"]
        desk.wait(600)
        assert desk.locks() == []


@pytest.mark.parametrize("config", [LOSS, PROFIT])
def test_accounts_are_judged_by_their_own_trades(config: RiskConfig) -> None:
    desk = Desk(config, accounts=(101, 102))
    sign = "-" if config is LOSS else ""
    desk.trade(MNQ, -1, f"{sign}300", account=101)
    desk.trade(MNQ, -1, f"{sign}300", account=102)
    assert desk.locks(101) == desk.locks(102) == []
    desk.trade(MNQ, -1, f"{sign}200", account=102)
    assert desk.locks(101) == []
    assert len(desk.locks(102)) == 1


def test_warnings_come_once_a_level_and_day() -> None:
    desk = Desk(LOSS, at=datetime(2026, 11, 18, 21, 50, tzinfo=UTC))
    for pnl in ("-249.99", "-0.01", "1", "-1", "-125", "-74.99"):
        desk.trade(MNQ, -1, pnl)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Daily realized loss at 50 % of the limit: -250.00 of -500.00."),
        (75, "Daily realized loss at 75 % of the limit: -375.00 of -500.00."),
    ]
    desk.trade(MNQ, -1, "-0.01")
    assert desk.warnings()[-1].level == 90
    desk.trade(MNQ, -1, "-100")
    assert len(desk.warnings()) == 3
    desk.wait(601)
    desk.trade(MNQ, -1, "-250")
    assert len(desk.warnings()) == 4


def test_gauges_show_dollars_and_share() -> None:
    desk = Desk(rules(daily_realized_loss={"limit": -500}, daily_realized_profit={"target": 1000}))
    desk.trade(MNQ, -1, "-125.50")
    loss, profit = desk.gauge("RULE-003"), desk.gauge("RULE-013")
    assert (loss.value, loss.limit, loss.percent) == ("-125.50", "-500.00", 25)
    assert (profit.value, profit.limit, profit.percent) == ("-125.50", "1000.00", 0)


def test_profit_lockout_lasts_to_the_reset_and_says_why() -> None:
    desk = Desk(PROFIT)
    desk.trade(MNQ, -1, "512.30")
    lock = desk.lock_decisions()[0].lockout
    assert from_micros(lock.expires_at or 0) == datetime(2026, 11, 18, 22, 0, tzinfo=UTC)
    assert lock.reason == "Daily profit 512.30 reached the target of 500.00; locked until 17:00 New York."


def test_trade_of_the_day_before_does_not_count() -> None:
    desk = Desk(LOSS)
    desk.trade(MNQ, -1, "-600", at=to_micros(datetime(2026, 11, 17, 21, 59, 59, tzinfo=UTC)))
    assert desk.locks() == []
    assert to_micros(OPEN) < desk.at
    desk.trade(MNQ, -1, "-600", at=to_micros(datetime(2026, 11, 17, 22, 0, tzinfo=UTC)))
    assert desk.locks() == ["RULE-003"]


def test_trade_that_comes_ahead_of_the_reset_counts_for_the_new_day() -> None:
    desk = Desk(LOSS, at=datetime(2026, 11, 18, 21, 59, 59, tzinfo=UTC))
    desk.trade(MNQ, -1, "-600", at=to_micros(datetime(2026, 11, 18, 22, 0, tzinfo=UTC)))
    assert desk.locks() == []
    desk.wait(1)
    lock = desk.lock_decisions()[0].lockout
    assert from_micros(lock.expires_at or 0) == datetime(2026, 11, 19, 22, 0, tzinfo=UTC)
