"""Law 9: a rule that raises, an account that fails, an odd event: all else goes on. Law 10: money is exact."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Alert
from daemon.core.events import (
    AccountListed,
    ConnectionChanged,
    Event,
    MoveRefused,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.core.rules import RULES
from daemon.core.units import SECOND_US, money_to_micros
from shared.config import RiskConfig
from tests.core.desk import CONTRACTS, ES, MNQ, NQ, RTY, Desk, rules
from tests.core.test_laws import EVERYTHING, HOURS

ALL_RULES = EVERYTHING | HOURS
BREAKS = ("judge", "percent", "gauge", "watch", "next_due")


def busy(desk: Desk) -> None:
    """A day that touches every part of every rule."""
    desk.quote(MNQ, 21000, "21000.25")
    desk.enter(MNQ, 2, 21000)
    desk.order(MNQ, -2, order_id=7)
    desk.quote(MNQ, 20950, "20950.25")
    desk.close(MNQ, -1, "-60")
    for _ in range(4):
        desk.wait(3)


def broken(config: dict[str, Any], rule_id: str, part: str) -> Desk:
    desk = Desk(rules(**config))

    def fails(*_: object) -> object:
        raise ZeroDivisionError("on purpose")

    for state in desk.engine.rule_states(101):
        if state.rule.rule_id == rule_id:
            setattr(state.rule, part, fails)
    return desk


@pytest.mark.parametrize("rule_id", [rule.rule_id for rule in RULES])
@pytest.mark.parametrize("part", BREAKS)
def test_rule_that_raises_keeps_no_other_from_its_work(rule_id: str, part: str) -> None:
    other = "RULE-013" if rule_id == "RULE-003" else "RULE-003"
    desk = broken(ALL_RULES, rule_id, part)
    busy(desk)
    desk.trade(MNQ, -1, "-600" if other == "RULE-003" else "2000")
    desk.position(ES, 1)
    assert other in desk.locks()
    assert desk.wanted()[ES] == 0
    told = [alert for alert in desk.of(Alert) if rule_id in alert.text]
    assert len(told) <= 1
    assert len(desk.of(Alert)) == len(told)
    if told:
        assert told[0].detail == "ZeroDivisionError: on purpose"


@pytest.mark.parametrize("part", ["percent", "gauge"])
def test_rule_that_cannot_say_its_share_is_enforced_all_the_same(part: str) -> None:
    desk = broken({"daily_realized_loss": {"limit": -500}, "daily_realized_profit": {"target": 9000}}, "RULE-003", part)
    desk.trade(MNQ, -1, "-300")
    desk.trade(MNQ, -1, "-300")
    assert desk.locks() == ["RULE-003"]
    assert len(desk.of(Alert)) == 1


def test_rule_that_cannot_say_what_to_watch_sees_every_quote() -> None:
    desk = broken({"daily_unrealized_loss": {"limit": -300}}, "RULE-004", "watch")
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 21000, "21000.25")
    desk.quote(MNQ, 20925, "20925.25")
    assert desk.wanted() == {MNQ: 0}
    assert len(desk.of(Alert)) == 1


def test_rule_that_cannot_say_when_is_judged_every_second() -> None:
    desk = broken({"no_stop_loss_grace": {"grace_period_seconds": 3}}, "RULE-008", "next_due")
    desk.position(MNQ, 2)
    assert desk.engine.next_due <= desk.at + SECOND_US
    for _ in range(4):
        desk.wait(1)
    desk.read_orders()
    assert desk.wanted() == {MNQ: 0}


def test_failure_is_told_again_the_next_day() -> None:
    desk = broken({"daily_realized_loss": {"limit": -500}}, "RULE-003", "judge")
    desk.trade(MNQ, -1, "-1")
    desk.trade(MNQ, -1, "-1")
    assert len(desk.of(Alert)) == 1
    desk.wait(86_400)
    assert len(desk.of(Alert)) == 2


def test_account_whose_timers_fail_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(rules(scheduled_flatten={"time": "15:55"}), accounts=(101, 102))
    desk.position(MNQ, 1, account=102)

    def fails(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(type(desk.engine.account(101).ledger), "begin_day", fails)
    desk.engine.account(101).ledger.day_end = desk.at
    desk.wait(6 * 3600)
    desk.wait(1)
    desk.wait(1)
    assert desk.wanted(102) == {MNQ: 0}
    assert len(desk.of(Alert)) == 1
    monkeypatch.undo()
    desk.engine.account(101).ledger.day_end = desk.engine.view.day_end
    desk.wait(1)
    assert desk.locks(101) == ["RULE-020"]


# ---- odd events

ids = st.integers(-2, 6)
contracts = st.sampled_from([MNQ, ES, NQ, RTY, "CON.F.US.NEW.Z26", "", "odd"])
prices = st.sampled_from([-1, 0, 1, 20_000 * 10**9, 1 << 70])
sizes = st.integers(-5, 5)
when = st.integers(-10, 10**16)
optional_price = st.none() | prices
order_records = st.builds(
    OrderRecord,
    ids,
    contracts,
    st.integers(-1, 12),
    st.integers(-1, 12),
    st.integers(-1, 3),
    sizes,
    optional_price,
    optional_price,
    fill_volume=sizes,
    created_at=when,
)
position_records = st.builds(PositionRecord, contracts, sizes, prices, ids, when)
trade_records = st.builds(
    TradeRecord,
    ids,
    contracts,
    when,
    prices,
    st.none() | st.integers(-(10**9), 10**9),
    st.integers(-(10**7), 10**7),
    st.integers(-1, 2),
    sizes,
    st.booleans(),
    ids,
)
accounts = st.sampled_from([101, 102, 999, 0])
at = st.just(0)
odd: st.SearchStrategy[Event] = st.one_of(
    st.builds(PositionUpdate, at, accounts, position_records),
    st.builds(OrderUpdate, at, accounts, order_records),
    st.builds(TradeUpdate, at, accounts, trade_records),
    st.builds(PositionsSnapshot, at, accounts, when, st.lists(position_records, max_size=3).map(tuple)),
    st.builds(OrdersSnapshot, at, accounts, when, st.lists(order_records, max_size=3).map(tuple)),
    st.builds(TradesSnapshot, at, accounts, when, when, st.lists(trade_records, max_size=3).map(tuple)),
    st.builds(Quote, at, contracts, prices, prices, prices),
    st.builds(MoveRefused, at, accounts, ids, prices),
    st.builds(AccountListed, at, st.just("trader1"), st.lists(accounts, max_size=3).map(tuple)),
    st.builds(ConnectionChanged, at, st.just("trader1"), st.sampled_from(["user", "rest", "x"]), st.booleans()),
)


@settings(max_examples=120, deadline=None)
@given(events=st.lists(odd, min_size=5, max_size=40))
def test_odd_events_break_nothing_and_the_next_breach_is_enforced(events: list[Event]) -> None:
    desk = Desk(rules(**ALL_RULES), accounts=(101, 102))
    for event in events:
        desk.at += 1000
        event.at = desk.at
        desk.feed(event)
    desk.wait(1)
    desk.read_positions((ES, 1), account=102)
    desk.trade(MNQ, -1, "-90000", account=102, trade_id=777_777)
    assert desk.wanted(102)[ES] == 0
    assert not [alert for alert in desk.of(Alert) if "could not be judged" in alert.text]


def test_unknown_symbol_is_closed_like_any_other() -> None:
    desk = Desk(rules(daily_realized_loss={"limit": -500}))
    desk.position("CON.F.US.NEW.Z26", 1)
    desk.position("", 1)
    desk.trade(MNQ, -1, "-600")
    assert desk.wanted() == {"CON.F.US.NEW.Z26": 0, "": 0}


# ---- exact money


def test_three_losses_make_exactly_the_limit() -> None:
    for losses in itertools.permutations(("-166.67", "-166.67", "-166.66")):
        desk = Desk(rules(daily_realized_loss={"limit": -500}))
        for loss in losses[:2]:
            desk.trade(MNQ, -1, loss)
        assert desk.locks() == []
        desk.trade(MNQ, -1, losses[2])
        assert desk.locks() == ["RULE-003"]


@settings(max_examples=80, deadline=None)
@given(
    trades=st.lists(st.tuples(st.decimals(-200, 200, places=2), st.decimals(0, 5, places=2)), min_size=1, max_size=20),
    off=st.sampled_from([Decimal("-0.01"), Decimal(0), Decimal("0.01")]),
)
def test_sum_of_the_day_is_compared_to_the_cent(trades: list[tuple[Decimal, Decimal]], off: Decimal) -> None:
    total = sum((pnl - fees for pnl, fees in trades), Decimal(0))
    limit = min(total + off, Decimal("-0.01"))
    config = RiskConfig.model_validate({"rules": {"daily_realized_loss": {"limit": str(limit)}}})
    desk = Desk(rules())
    for pnl, fees in trades:
        desk.trade(MNQ, -1, str(pnl), fees=str(fees))
    assert desk.engine.account(101).realized(net=True) == money_to_micros(total)
    desk.configure(config)
    assert bool(desk.locks()) == (total <= limit)
    assert len(CONTRACTS) == 4
