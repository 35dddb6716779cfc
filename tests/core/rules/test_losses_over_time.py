"""RULE-014 daily total loss, 015 give-back, 016 weekly loss, 017 consecutive losses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.core.engine import Engine
from daemon.core.events import TradeRecord, TradesSnapshot
from daemon.core.units import SECOND_US, from_micros, money_to_micros, to_micros
from shared.config import RiskConfig
from tests.core.desk import ES, MNQ, NQ, Desk, rules

TOTAL = rules(daily_total_loss={"limit": -500})
WEEK = rules(weekly_loss={"limit": -1000})
ROW = rules(consecutive_losses={"limit": 3, "cooldown_duration": 600})


# ---- RULE-014


@pytest.mark.parametrize("size", [2, -2])
@pytest.mark.parametrize(
    ("realized", "ticks", "locked"),
    [
        ("-300", 199, False),
        ("-300", 200, True),
        ("-300", 201, True),
        ("-500", 0, True),
        ("100", 599, False),
        ("100", 600, True),
        ("-499.50", 0, False),
        ("-600", -101, False),  # what is open makes up for it
        ("-600", -100, True),
    ],
)
def test_realized_and_open_loss_together_lock(size: int, realized: str, ticks: int, locked: bool) -> None:
    desk = Desk(TOTAL)
    desk.position(MNQ, size, 21000)  # two contracts: a dollar a tick
    order = desk.order(ES, 1)
    direction = 1 if size > 0 else -1
    price = 21000 - ticks * 0.25 * direction
    if realized == "100":
        desk.trade(ES, -1, realized)
    desk.quote(MNQ, price if size > 0 else price - 0.25, price if size < 0 else price + 0.25)
    if realized != "100":
        desk.trade(ES, -1, realized)
    assert desk.locks() == (["RULE-014"] if locked else [])
    assert desk.wanted() == ({MNQ: 0, order: 0} if locked else {})


@pytest.mark.parametrize("realized", ["-300", "-60", "250"])
@pytest.mark.parametrize("size", [2, -2])
def test_quote_that_reaches_the_limit_is_seen_whatever_was_realized_before(size: int, realized: str) -> None:
    desk = Desk(TOTAL)
    desk.position(MNQ, size, 21000)
    desk.quote(MNQ, 21000 if size > 0 else "20999.75", "21000.25" if size > 0 else 21000)
    desk.trade(ES, -1, realized)
    room = 500 + int(realized)
    for ticks in (room // 2, room - 1, room):
        assert desk.locks() == []
        price = 21000 - ticks * 0.25 * (1 if size > 0 else -1)
        desk.quote(MNQ, price if size > 0 else price - 0.25, price if size < 0 else price + 0.25)
    assert desk.locks() == ["RULE-014"]


def test_losses_of_several_positions_are_summed_by_their_quotes() -> None:
    desk = Desk(TOTAL)
    desk.position(MNQ, 2, 21000)
    desk.position(ES, 1, 6000)
    desk.position(NQ, -1, 21000)
    desk.quote(NQ, "20999.75", 21000)
    desk.quote(ES, 5996, "5996.25")  # -200
    desk.quote(MNQ, 20950, "20950.25")  # -200
    assert desk.locks() == []
    desk.quote(NQ, "21004.50", "21004.75")  # -95
    assert desk.locks() == []
    desk.quote(NQ, "21004.75", 21005)  # -100
    assert desk.locks() == ["RULE-014"]
    assert desk.lock_decisions()[0].lockout.reason == (
        "Total loss of the day -500.00 (realized 0.00) reached the limit of -500.00; locked until 17:00 New York."
    )


def test_breach_on_a_quote_that_comes_with_a_timer_is_seen() -> None:
    desk = Desk(rules(daily_total_loss={"limit": -500}, no_stop_loss_grace={"grace_period_seconds": 4}))
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 21000, "21000.25")
    desk.at = desk.engine.account(101).positions[MNQ].opened_at + 2 * SECOND_US - 1000
    desk.quote(MNQ, 20000, "20000.25")
    assert desk.locks() == ["RULE-014"]


def test_total_loss_at_the_start_locks() -> None:
    desk = Desk(TOTAL)
    desk.quote(MNQ, 20750, "20750.25")
    desk.read_positions((MNQ, 2), price=21000)
    assert desk.locks() == ["RULE-014"]


def test_total_warns_on_the_way() -> None:
    desk = Desk(TOTAL)
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, "20937.75", 20938)
    assert desk.warnings() == []
    desk.quote(MNQ, "20937.50", 20938)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Daily total loss at 50 % of the limit: -250.00 of -500.00.")
    ]
    assert desk.gauge("RULE-014").percent == 50


# ---- RULE-015


@pytest.mark.parametrize(
    ("config", "trades", "locked"),
    [
        ({"amount": 300}, ["1000", "-299.50"], False),
        ({"amount": 300}, ["1000", "-300"], True),
        ({"amount": 300}, ["1000", "-300.50"], True),
        ({"amount": 300}, ["400", "600", "-100", "-199.50"], False),
        ({"amount": 300}, ["400", "600", "-100", "-200"], True),
        ({"amount": 300}, ["-300"], False),  # nothing had been won
        ({"amount": 300}, ["-300", "-300"], False),
        ({"percent": 50}, ["1000", "-499.50"], False),
        ({"percent": 50}, ["1000", "-500"], True),
        ({"percent": 33.3}, ["100", "-33.29"], False),
        ({"percent": 33.3}, ["100", "-33.3"], True),
        ({"amount": 300, "percent": 50}, ["400", "-200"], True),
        ({"amount": 300, "percent": 50}, ["1000", "-300"], True),
        ({"amount": 300, "min_peak": 500}, ["499.50", "-400"], False),
        ({"amount": 300, "min_peak": 500}, ["500", "-300"], True),
    ],
)
def test_profit_given_back_locks(config: dict[str, float], trades: list[str], locked: bool) -> None:
    desk = Desk(rules(profit_give_back=config))
    for pnl in trades:
        desk.trade(MNQ, -1, pnl)
    assert desk.locks() == (["RULE-015"] if locked else [])


def test_peak_is_found_in_the_order_of_the_trades_not_of_their_messages() -> None:
    desk = Desk(rules(profit_give_back={"amount": 300}))
    start = desk.at
    desk.trade(MNQ, -1, "-200", at=start + 2)
    desk.trade(MNQ, -1, "500", at=start + 3)
    desk.trade(MNQ, -1, "-100", at=start + 1)
    assert desk.engine.account(101).ledger.peak(net=True) == money_to_micros(200)
    desk.trade(MNQ, -1, "-300", at=start + 4)
    assert desk.locks() == ["RULE-015"]


def test_peak_goes_when_its_trade_is_voided_and_with_the_day() -> None:
    desk = Desk(rules(profit_give_back={"amount": 300}), at=datetime(2026, 11, 18, 21, 50, tzinfo=UTC))
    desk.trade(MNQ, -1, "1000", trade_id=1)
    desk.trade(MNQ, -1, "1000", trade_id=1, voided=True)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "900")
    desk.wait(601)
    desk.trade(MNQ, -1, "-800")
    assert desk.locks() == []


# ---- RULE-016


@pytest.mark.parametrize(("last", "locked"), [("-399.50", False), ("-400", True), ("-400.50", True)])
def test_days_of_the_week_are_summed(last: str, locked: bool) -> None:
    desk = Desk(WEEK, at=datetime(2026, 11, 16, 15, tzinfo=UTC))
    desk.trade(MNQ, -1, "-600")
    desk.wait(2 * 86_400)
    desk.trade(MNQ, -1, last)
    assert desk.locks() == (["RULE-016"] if locked else [])
    if locked:
        lock = desk.lock_decisions()[0].lockout
        assert from_micros(lock.expires_at or 0) == datetime(2026, 11, 20, 22, tzinfo=UTC)
        assert "Fri 20 Nov 17:00 New York" in lock.reason


def test_week_begins_anew_on_friday_also_when_the_clocks_change() -> None:
    desk = Desk(WEEK, at=datetime(2026, 10, 30, 20, 59, tzinfo=UTC))  # Friday, 16:59 in New York
    desk.trade(MNQ, -1, "-900")
    desk.wait(120)
    desk.trade(MNQ, -1, "-900")
    assert desk.locks() == []
    desk.wait(3 * 86_400)
    desk.trade(MNQ, -1, "-100")
    lock = desk.lock_decisions()[0].lockout
    assert from_micros(lock.expires_at or 0) == datetime(2026, 11, 6, 22, tzinfo=UTC)
    assert desk.gauge("RULE-016").value == "-1000.00"


def test_week_is_rebuilt_from_the_trades_that_are_read() -> None:
    desk = Desk(WEEK)
    monday = to_micros(datetime(2026, 11, 16, 15, tzinfo=UTC))
    before = to_micros(datetime(2026, 11, 13, 21, tzinfo=UTC))
    trades = tuple(
        TradeRecord(number, MNQ, at, 0, money_to_micros(-500), 0, 1, 1, False, number)
        for number, at in enumerate((before, monday, desk.at), start=1)
    )
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, before, trades[:2]))
    assert desk.locks() == []
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, before, trades))
    assert desk.locks() == ["RULE-016"]


# ---- RULE-017


@pytest.mark.parametrize(
    ("exits", "locked"),
    [
        (["-1", "-1"], False),
        (["-1", "-1", "-1"], True),
        (["-1", "1", "-1", "-1"], False),
        (["-1", "0", "-1", "-1"], False),
        (["5", "-1", "-1", "-1"], True),
    ],
)
def test_losing_exits_in_a_row_bring_a_cooldown(exits: list[str], locked: bool) -> None:
    desk = Desk(ROW)
    desk.position(ES, 1)
    for pnl in exits:
        desk.trade(MNQ, -1, pnl)
    assert desk.locks() == (["RULE-017"] if locked else [])
    assert desk.wanted() == {}
    if locked:
        lock = desk.lock_decisions()[0].lockout
        assert (lock.expires_at or 0) - lock.locked_at == 600 * SECOND_US
        desk.position(ES, 2)
        assert desk.wanted() == {ES: 1}


def test_fills_of_one_exit_are_one_and_each_further_loss_begins_anew() -> None:
    desk = Desk(ROW)
    for order in (1, 1, 2, 2):
        desk.trade(MNQ, -1, "-1", order_id=order)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-1", order_id=3)
    desk.wait(300)
    desk.trade(MNQ, -1, "-1", order_id=4)
    ends = [d.lockout.expires_at or 0 for d in desk.lock_decisions()]
    assert len(ends) == 2
    assert ends[1] - ends[0] >= 300 * SECOND_US


def test_exit_filled_in_three_parts_is_one_loss_of_the_row() -> None:
    desk = Desk(ROW)
    for order in (1, 2):
        for _ in range(3):
            desk.trade(MNQ, -1, "-1", order_id=order)
            assert desk.gauge("RULE-017").value == str(order)
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-1", order_id=3)
    assert desk.locks() == ["RULE-017"]
    for _ in range(2):
        desk.trade(MNQ, -1, "-1", order_id=3)
    assert len(desk.lock_decisions()) == 1, "further fills of the exit that brought it bring no other"


def test_exit_that_later_fills_turn_counts_no_more_but_its_cooldown_stays() -> None:
    desk = Desk(ROW)
    desk.trade(MNQ, -1, "-1", order_id=1)
    desk.trade(MNQ, -1, "-1", order_id=2)
    desk.trade(MNQ, -1, "5", order_id=2)
    assert desk.gauge("RULE-017").value == "0" and desk.locks() == []
    for order in (3, 4, 5):
        desk.trade(MNQ, -1, "-1", order_id=order)
    assert desk.locks() == ["RULE-017"]
    desk.trade(MNQ, -1, "5", order_id=5)
    assert desk.gauge("RULE-017").value == "0"
    assert desk.locks() == ["RULE-017"], "only its time ends it"


@pytest.mark.parametrize(("later", "locked"), [(1, True), (590, True), (601, False)])
def test_row_read_anew_gives_the_same_cooldown(later: int, locked: bool) -> None:
    desk = Desk(ROW)
    for _ in range(3):
        desk.trade(MNQ, -1, "-1")
    live = desk.lock_decisions()[0].lockout.expires_at or 0
    other = Desk(accounts=(), engine=Engine(ROW, desk.engine.calendar))
    other.at = desk.at + later * SECOND_US
    other.read_positions()
    trades = tuple(reversed(desk.engine.account(101).ledger.trades.values()))
    other.feed(TradesSnapshot(other.at, 101, other.at, desk.engine.view.day_start, trades))
    assert bool(other.locks()) == locked
    if locked:
        assert abs((other.lock_decisions()[0].lockout.expires_at or 0) - live) <= 5 * SECOND_US


@pytest.mark.parametrize("late", [0, 4.9, 5.0, 5.1, 60])
def test_cooldown_of_a_row_begins_now_unless_its_last_loss_is_old(late: float) -> None:
    desk = Desk(rules(consecutive_losses={"limit": 1, "cooldown_duration": 600}))
    desk.wait(120)
    made = desk.at - round(late * SECOND_US)
    desk.at -= 1000
    desk.trade(MNQ, -1, "-1", at=made)
    lock = desk.lock_decisions()[0].lockout
    begun = desk.at if late <= 5 else made
    assert (lock.locked_at, lock.expires_at) == (begun, begun + 600 * SECOND_US)


def test_row_is_counted_within_a_trading_day_and_for_each_account_alone() -> None:
    desk = Desk(ROW, at=datetime(2026, 11, 18, 21, 59, tzinfo=UTC), accounts=(101, 102))
    desk.trade(MNQ, -1, "-1")
    desk.trade(MNQ, -1, "-1")
    desk.trade(MNQ, -1, "-1", account=102)
    assert desk.locks(101) == desk.locks(102) == []
    desk.wait(61)
    desk.trade(MNQ, -1, "-1")
    desk.trade(MNQ, -1, "-1")
    assert desk.locks() == []
    desk.trade(MNQ, -1, "-1")
    assert desk.locks() == ["RULE-017"]


@pytest.mark.parametrize(
    ("config", "exits"),
    [
        (TOTAL, ["-300", "-200"]),
        (WEEK, ["-600", "-400"]),
        (rules(profit_give_back={"amount": 300}), ["400", "-300"]),
    ],
)
def test_accounts_are_judged_by_their_own_figures(config: RiskConfig, exits: list[str]) -> None:
    desk = Desk(config, accounts=(101, 102))
    desk.trade(MNQ, -1, exits[0], account=101)
    for pnl in exits:
        desk.trade(MNQ, -1, pnl, account=102)
    desk.trade(MNQ, -1, "0", account=101)
    assert desk.locks(101) == []
    assert len(desk.locks(102)) == 1


def test_row_with_fees_depends_on_the_basis() -> None:
    gross = RiskConfig.model_validate(ROW.model_dump(exclude_none=True) | {"policy": {"pnl_basis": "gross"}})
    for config, locked in ((ROW, ["RULE-017"]), (gross, [])):
        desk = Desk(config)
        for _ in range(3):
            desk.trade(MNQ, -1, "0.50", fees="0.74")
        assert desk.locks() == locked


def test_row_warns_and_shows_its_length() -> None:
    desk = Desk(rules(consecutive_losses={"limit": 4, "cooldown_duration": 60}))
    desk.trade(MNQ, -1, "-1")
    desk.trade(MNQ, -1, "-1")
    assert [warn.level for warn in desk.warnings()] == [50]
    gauge = desk.gauge("RULE-017")
    assert (gauge.value, gauge.limit, gauge.percent) == ("2", "4 in a row", 50)
