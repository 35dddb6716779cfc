"""RULE-014 and RULE-018 while an exit's messages are on the way: it counts once, in whatever order they come."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.events import (
    AccountUpdate,
    ConnectionChanged,
    PositionsSnapshot,
    TradeRecord,
    TradesSnapshot,
)
from daemon.core.units import SECOND_US, money_to_micros
from shared.config import RiskConfig
from shared.models import Side
from tests.core.desk import ES, MNQ, Desk, rules

TOTAL = rules(daily_total_loss={"limit": -500})


def balance(desk: Desk, dollars: Decimal | str | float) -> None:
    desk.at += 1000
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", True, money_to_micros(Decimal(str(dollars)))))


def holding(desk: Desk, points: float, size: int = 2, entry: float = 21000) -> Desk:
    """2 MNQ, so many points better than their entry: four dollars a point."""
    desk.enter(MNQ, size, entry)
    price = entry + points * (1 if size > 0 else -1)
    desk.quote(MNQ, price if size > 0 else price - 0.25, price + 0.25 if size > 0 else price)
    return desk


def total_of(desk: Desk) -> str:
    return desk.gauge("RULE-014").value


ORDERS = list(permutations(("fill", "position")))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [2, -2])
def test_exit_of_a_loser_counts_once(order: tuple[str, ...], size: int) -> None:
    desk = holding(Desk(TOTAL), -100, size)
    assert total_of(desk) == "-400.00"
    messages: dict[str, Callable[[], Any]] = {
        "fill": lambda: desk.trade(MNQ, -size, "-400"),
        "position": lambda: desk.position(MNQ, 0),
    }
    for name in order:
        messages[name]()
        assert desk.locks() == []
        assert total_of(desk) == "-400.00"
    desk.wait(5)
    assert total_of(desk) == "-400.00"
    desk.trade(ES, -1, "-99.99")
    assert desk.locks() == []
    desk.trade(ES, -1, "-0.01")
    assert desk.locks() == ["RULE-014"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [2, -2])
def test_exit_of_a_winner_takes_nothing_away(order: tuple[str, ...], size: int) -> None:
    desk = holding(Desk(TOTAL), 100, size)
    desk.trade(ES, -1, "-700")
    assert total_of(desk) == "-300.00"
    for name in order:
        if name == "fill":
            desk.trade(MNQ, -size, "400")
        else:
            desk.position(MNQ, 0)
        assert desk.locks() == []
        assert total_of(desk) == "-300.00"


@pytest.mark.parametrize("order", ORDERS)
def test_exit_in_parts_counts_each_part_once(order: tuple[str, ...]) -> None:
    desk = holding(Desk(TOTAL), -100)
    for left in (1, 0):
        for name in order:
            if name == "fill":
                desk.trade(MNQ, -1, "-200")
            else:
                desk.position(MNQ, left, 21000)
            assert total_of(desk) == "-400.00"
    assert desk.locks() == []


@pytest.mark.parametrize("points", [-100, 100])
@pytest.mark.parametrize(
    "order", ["ffp", "fpf", "pff", "f1fp", "1ffp", "1fpf", "ff1p", "1pff", "fpfp"], ids=lambda order: order
)
def test_fills_of_an_exit_and_its_positions_may_be_mixed(order: str, points: float) -> None:
    """f: a fill of one of the two, 1: one is left, p: none is left."""
    desk = holding(Desk(TOTAL), points)
    desk.trade(ES, -1, "-50" if points < 0 else "-850")
    total = "-450.00"
    for name in order:
        if name == "f":
            desk.trade(MNQ, -1, str(points * 2))
        elif name == "1":
            desk.position(MNQ, 1, 21000)
        else:
            desk.position(MNQ, 0)
        assert (total_of(desk), desk.locks()) == (total, []), name
    desk.wait(5)
    assert (total_of(desk), desk.locks()) == (total, [])


@pytest.mark.parametrize("order", ORDERS)
def test_exit_matched_first_in_first_out_counts_once(order: tuple[str, ...]) -> None:
    """One from 21,000 and one from 20,900: what is left after the first is sold has another average."""
    desk = Desk(TOTAL)
    desk.enter(MNQ, 1, 21000)
    desk.enter(MNQ, 1, 20950)
    desk.quote(MNQ, 20850, "20850.25")  # -300 and -100
    assert total_of(desk) == "-400.00"
    for name in order:
        if name == "fill":
            desk.trade(MNQ, -1, "-300")
        else:
            desk.position(MNQ, 1, 20900)
        assert total_of(desk) == "-400.00"


@pytest.mark.parametrize("order", [("close", "open", "position"), ("position", "close", "open")])
def test_reversal_counts_its_closing_part_once(order: tuple[str, ...]) -> None:
    desk = holding(Desk(TOTAL), -100)
    for name in order:
        if name == "close":
            desk.trade(MNQ, -2, "-400", order_id=9)
        elif name == "open":
            desk.trade(MNQ, -1, order_id=9)
        else:
            desk.position(MNQ, -1, 20900)
        assert desk.locks() == []


def test_breach_is_seen_while_an_exit_is_on_the_way() -> None:
    desk = holding(Desk(TOTAL), -100)
    desk.enter(ES, 1, 6000)
    desk.quote(ES, 6000, "6000.25")
    desk.trade(MNQ, -2, "-400")
    desk.quote(ES, "5998.25", "5998.50")
    assert desk.locks() == []
    desk.quote(ES, 5998, "5998.25")
    assert desk.locks() == ["RULE-014"]
    first = holding(Desk(TOTAL), -100)
    first.enter(ES, 1, 6000)
    first.quote(ES, 6000, "6000.25")
    first.position(MNQ, 0)
    first.quote(ES, 5998, "5998.25")
    assert first.locks() == ["RULE-014"]


def test_half_that_stays_alone_is_given_up_on_time() -> None:
    lost = holding(Desk(TOTAL), -100)
    lost.trade(MNQ, -2, "-400")  # the position never tells: it is held as far as is known, and the loss is booked
    assert lost.engine.next_due == lost.at + 2 * SECOND_US
    lost.wait(1.999)
    assert lost.locks() == []
    lost.wait(0.001)
    assert lost.locks() == ["RULE-014"]
    gone = holding(Desk(TOTAL), 100)
    gone.trade(ES, -1, "-700")
    gone.position(MNQ, 0)
    gone.wait(1.999)
    assert gone.locks() == []
    gone.wait(0.001)
    assert gone.locks() == ["RULE-014"]


def test_repeated_messages_change_nothing() -> None:
    desk = holding(Desk(TOTAL), -100)
    desk.trade(MNQ, -2, "-400", trade_id=7, at=desk.at)
    desk.trade(MNQ, -2, "-400", trade_id=7, at=desk.at - 1000)
    assert total_of(desk) == "-400.00"
    desk.position(MNQ, 0)
    desk.position(MNQ, 0)
    assert total_of(desk) == "-400.00"


def test_loss_of_a_position_that_is_not_known_counts_at_once() -> None:
    desk = Desk(TOTAL)
    desk.trade(MNQ, -2, "-500")
    assert desk.locks() == ["RULE-014"]


def test_exit_missed_in_a_gap_waits_for_the_trades_of_the_same_reading() -> None:
    desk = holding(Desk(TOTAL), 100)
    desk.trade(ES, -1, "-700")
    desk.feed(ConnectionChanged(desk.at, "trader1", "user", False))
    desk.wait(60)
    desk.quote(MNQ, 21100, "21100.25")
    desk.at += 1000
    desk.feed(PositionsSnapshot(desk.at, 101, desk.at, ()))
    assert desk.locks() == []
    known = tuple(desk.engine.account(101).ledger.trades.values())
    sold = TradeRecord(8, MNQ, desk.at - SECOND_US, 0, money_to_micros(400), 0, Side.SELL, 2, False, 8)
    desk.wait(4)
    assert desk.locks() == []
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, desk.engine.view.day_start, (*known, sold)))
    assert desk.locks() == []
    assert total_of(desk) == "-300.00"


def test_trades_that_are_not_read_for_long_are_not_waited_for() -> None:
    desk = holding(Desk(TOTAL), 100)
    desk.trade(ES, -1, "-700")
    desk.wait(60)
    desk.feed(PositionsSnapshot(desk.at, 101, desk.at, ()))
    desk.wait(9.9)
    assert desk.locks() == []
    desk.wait(0.2)
    assert desk.locks() == ["RULE-014"]


# ---- RULE-018


def drawdown(**config: Any) -> RiskConfig:
    return rules(trailing_drawdown={"amount": 1000, "start_balance": 50_000, **config})


EXIT = list(permutations(("fill", "position", "balance")))


@pytest.mark.parametrize("order", EXIT)
@pytest.mark.parametrize("size", [2, -2])
def test_winner_that_is_closed_does_not_reach_the_floor(order: tuple[str, ...], size: int) -> None:
    desk = Desk(drawdown())
    balance(desk, 49_500)
    holding(desk, 250, size)  # a thousand
    balance(desk, 48_900)  # a loss elsewhere: below the floor but for what is open
    desk.wait(3)
    assert desk.locks() == []
    for name in order:
        if name == "fill":
            desk.trade(MNQ, -size, "1000", fees="1.48")
        elif name == "position":
            desk.position(MNQ, 0)
        else:
            balance(desk, "49898.52")
        assert desk.locks() == [], name
    desk.wait(5)
    assert desk.locks() == []
    assert desk.gauge("RULE-018").value == "49898.52"


@pytest.mark.parametrize("order", EXIT)
def test_loser_that_is_closed_beside_a_winner_makes_no_new_highest(order: tuple[str, ...]) -> None:
    desk = Desk(drawdown(mode="intraday"))
    balance(desk, 50_000)
    holding(desk, -100)
    desk.enter(ES, 1, 6000)
    desk.quote(ES, 6010, "6010.25")  # 500: equity 50,100
    assert desk.gauge("RULE-018").worst == "highest 50100.00"
    for name in order:
        if name == "fill":
            desk.trade(MNQ, -2, "-400")
        elif name == "position":
            desk.position(MNQ, 0)
        else:
            balance(desk, 49_600)
        assert desk.gauge("RULE-018").worst == "highest 50100.00", name
        assert desk.locks() == []
    desk.wait(5)
    assert desk.gauge("RULE-018").worst == "highest 50100.00"
    assert desk.gauge("RULE-018").value == "50100.00"


@pytest.mark.parametrize("order", EXIT)
def test_loser_that_is_closed_is_not_counted_twice(order: tuple[str, ...]) -> None:
    desk = Desk(drawdown())
    balance(desk, 50_000)
    holding(desk, -200)
    assert desk.gauge("RULE-018").value == "49200.00"
    for name in order:
        if name == "fill":
            desk.trade(MNQ, -2, "-800")
        elif name == "position":
            desk.position(MNQ, 0)
        else:
            balance(desk, 49_200)
        assert desk.locks() == [], name
    desk.wait(5)
    assert desk.locks() == []
    balance(desk, 49_000)
    assert desk.locks() == ["RULE-018"]


def test_balance_that_is_not_told_again_is_carried_on_by_the_fills() -> None:
    desk = Desk(drawdown())
    balance(desk, 50_000)
    holding(desk, -200)
    desk.trade(MNQ, -2, "-800")
    desk.position(MNQ, 0)
    desk.wait(30)
    assert desk.gauge("RULE-018").value == "49200.00"
    desk.trade(ES, -1, "-200")
    assert desk.locks() == ["RULE-018"]


def test_balance_that_falls_without_any_fill_counts_two_seconds_later_while_something_is_open() -> None:
    desk = Desk(drawdown())
    balance(desk, 50_000)
    holding(desk, 0)
    balance(desk, 48_000)  # a payout
    assert desk.locks() == []
    desk.wait(2)
    assert desk.locks() == ["RULE-018"]
    flat = Desk(drawdown())
    balance(flat, 50_000)
    balance(flat, 49_000)
    assert flat.locks() == ["RULE-018"]


@pytest.mark.parametrize("mode", ["end_of_day", "intraday"])
def test_change_of_the_configuration_while_the_balance_is_on_its_way_forgets_no_fill(mode: str) -> None:
    desk = Desk(drawdown(mode=mode))
    balance(desk, 50_000)
    holding(desk, -200)
    desk.trade(MNQ, -2, "-800")
    desk.position(MNQ, 0)
    desk.configure(rules(trailing_drawdown={"amount": 1000, "start_balance": 50_000, "mode": mode}, auth_loss_guard={}))
    assert desk.gauge("RULE-018").value == "49200.00"
    desk.trade(ES, -1, "-200")
    assert desk.locks() == ["RULE-018"]


@pytest.mark.parametrize("late", [0.1, 1.9, 2.1, 30])
@pytest.mark.parametrize("flat", [False, True])
def test_fill_told_long_after_its_balance_is_in_it(late: float, flat: bool) -> None:
    desk = Desk(drawdown())
    balance(desk, 50_000)
    holding(desk, -150)
    if flat:
        desk.position(MNQ, 0)
    balance(desk, 49_400)
    desk.position(MNQ, 0)
    desk.wait(late)
    desk.trade(MNQ, -2, "-600")
    assert desk.gauge("RULE-018").value == "49400.00"
    desk.wait(3)
    assert desk.gauge("RULE-018").value == "49400.00"
    desk.trade(ES, -1, "-100")
    assert desk.gauge("RULE-018").value == "49300.00"
    assert desk.locks() == []


def test_trades_that_are_read_again_are_in_the_balance_already() -> None:
    desk = Desk(drawdown(), accounts=())
    balance(desk, 49_200)
    desk.read_positions((ES, 1))
    lost = TradeRecord(8, MNQ, desk.at - SECOND_US, 0, money_to_micros(-800), 0, Side.SELL, 2, False, 8)
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, desk.engine.view.day_start, (lost,)))
    assert desk.locks() == []
    assert desk.gauge("RULE-018").value == "49200.00"


# ---- any stream


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.integers(-40, 40), st.sampled_from([-2, -1, 1, 2]), st.permutations(["fill", "position", "balance"])
        ),
        max_size=12,
    )
)
def test_messages_in_any_order_decide_what_the_truth_decides(steps: list[tuple[int, int, list[str]]]) -> None:
    """Against the broker's own reckoning: locked if, and only if, a limit was reached by what it knows."""
    config = rules(
        daily_total_loss={"limit": -120}, trailing_drawdown={"amount": 150, "mode": "intraday", "start_balance": 50_000}
    )
    desk = Desk(config)
    balance(desk, 50_000)
    price, held, entry, cash, realized = Decimal(20_000), 0, Decimal(0), Decimal(50_000), Decimal(0)
    highest = Decimal(50_000)
    must: set[str] = set()
    desk.quote(MNQ, str(price), str(price))
    for ticks, size, order in steps:
        price += ticks * Decimal("0.25")
        desk.quote(MNQ, str(price), str(price))
        open_pnl = (price - entry) * held * 2
        highest = max(highest, cash + open_pnl)
        must |= {"RULE-014"} if realized + open_pnl <= -120 else set()
        must |= {"RULE-018"} if cash + open_pnl <= highest - 150 else set()
        assert set(desk.locks()) == must
        if must:
            return
        if held * size < 0 and abs(size) <= abs(held):
            pnl = (price - entry) * -size * 2
            cash, realized, held = cash + pnl, realized + pnl, held + size
        elif held == 0:
            pnl, held, entry = None, size, price
        else:
            continue
        for name in order:
            if name == "fill":
                desk.trade(MNQ, size, None if pnl is None else str(pnl))
            elif name == "position":
                desk.at += 1000
                desk.position(MNQ, held, str(entry))
            elif pnl is not None:
                balance(desk, cash)
            assert desk.locks() == []
        desk.wait(0.5)
