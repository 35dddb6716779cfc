"""RULE-019: adding to a losing position."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from daemon.core.engine import Engine
from daemon.core.events import OrderRecord, OrderUpdate, PositionRecord, PositionsSnapshot, TradeRecord, TradesSnapshot
from daemon.core.units import SECOND_US, price_to_nanos, to_micros
from shared.config import RiskConfig
from shared.models import OrderStatus, OrderType, Side
from tests.core.desk import ES, MNQ, Desk, rules


def adds(count: int) -> RiskConfig:
    return rules(losing_position_adds={"max_adds": count})


def losing(count: int, size: int = 1) -> Desk:
    """A desk with a position from 100 that could be closed at 90 only, opened by order 1."""
    desk = Desk(adds(count))
    desk.quote(MNQ, 90, 90.25)
    fill(desk, size, order=1, price=100)
    return desk


def fill(desk: Desk, size: int, *, order: int, price: float = 95, position_first: bool = False) -> None:
    """A fill of an order and the position after it, as two messages in either order."""
    held = desk.engine.account(101).size(MNQ)
    if position_first:
        desk.position(MNQ, held + size, price)
        desk.trade(MNQ, size, order_id=order)
    else:
        desk.trade(MNQ, size, order_id=order)
        desk.position(MNQ, held + size, price)


def restarted(desk: Desk, config: RiskConfig, *, later: float = 1, size: int, created: int | None = None) -> Desk:
    """Another daemon with the memory of the first, which reads this position and the day's trades."""
    engine = Engine(config, desk.engine.calendar)
    memory = {(101, key): values for key, values in desk.engine.account(101).memory.items()}
    engine.restore(desk.at, memories=memory)
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + round(later * SECOND_US)
    other.skip_ids_of(desk)
    other.quote(MNQ, 90, 90.25)
    opened = desk.engine.account(101).positions[MNQ].created_at if created is None else created
    held = PositionRecord(MNQ, size, price_to_nanos(95), 1, opened)
    other.feed(PositionsSnapshot(other.at, 101, other.at, (held,)))
    trades = tuple(desk.engine.account(101).ledger.trades.values())
    other.feed(TradesSnapshot(other.at, 101, other.at, desk.engine.view.day_start, trades))
    return other


@pytest.mark.parametrize("direction", [1, -1])
def test_add_to_a_loser_beyond_the_allowed_is_taken_back(direction: int) -> None:
    desk = Desk(adds(1))
    desk.enter(MNQ, direction, 100)
    desk.quote(MNQ, 99 if direction > 0 else 100.75, 99.25 if direction > 0 else 101)
    desk.enter(MNQ, direction, 99.5 if direction > 0 else 100.5)
    assert desk.wanted() == {}
    desk.quote(MNQ, 98 if direction > 0 else 101.75, 98.25 if direction > 0 else 102)
    desk.enter(MNQ, 2 * direction, 99 if direction > 0 else 101)
    assert desk.wanted() == {MNQ: 2}
    assert desk.locks() == []
    assert desk.acts()[0].action.reason == (
        "MNQ was losing and enlarged 2 times, 1 are allowed; the increase to 4 is taken back."
    )
    desk.position(MNQ, 2 * direction, 99.5 if direction > 0 else 100.5)
    assert desk.wanted() == {}
    assert desk.settled()[0].result == "confirmed"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_each_further_order_counts(count: int) -> None:
    desk = losing(count)
    for number in range(count):
        fill(desk, 1, order=10 + number)
        assert desk.wanted() == {}
    fill(desk, 1, order=99)
    assert desk.wanted() == {MNQ: 1 + count}


@pytest.mark.parametrize(("bid", "wanted"), [("99.75", {MNQ: 1}), ("100.00", {}), ("100.25", {})])
def test_add_counts_only_while_the_position_loses(bid: str, wanted: dict[str, int]) -> None:
    desk = Desk(adds(0))
    desk.enter(MNQ, 1, 100)
    desk.quote(MNQ, bid, float(bid) + 0.25)
    desk.enter(MNQ, 1, 100)
    assert desk.wanted() == wanted


@pytest.mark.parametrize(("ask", "wanted"), [("100.25", {MNQ: 1}), ("100.00", {}), ("99.75", {})])
def test_short_is_judged_by_the_ask(ask: str, wanted: dict[str, int]) -> None:
    desk = Desk(adds(0))
    desk.enter(MNQ, -1, 100)
    desk.quote(MNQ, float(ask) - 0.25, ask)
    desk.enter(MNQ, -1, 100)
    assert desk.wanted() == wanted


def test_without_a_price_what_was_paid_tells() -> None:
    for direction, paid in ((1, 99), (-1, 101)):
        desk = Desk(adds(0))
        desk.enter(MNQ, direction, 100)
        desk.enter(MNQ, direction, paid)
        assert desk.wanted() == {MNQ: 1}
        winner = Desk(adds(0))
        winner.enter(MNQ, direction, 100)
        winner.enter(MNQ, direction, 200 - paid)
        assert winner.wanted() == {}


def test_exit_and_other_positions_are_left_and_a_new_position_begins_anew() -> None:
    desk = Desk(adds(0))
    desk.quote(MNQ, 90, 90.25)
    desk.enter(MNQ, 3, 100)
    desk.close(MNQ, -1, "-1")
    desk.enter(ES, 1)
    assert desk.wanted() == {}
    desk.position(MNQ, 2, 100)
    desk.enter(MNQ, 1, 97)
    assert desk.wanted() == {MNQ: 2}
    desk.close(MNQ, -3, "-1")
    desk.enter(MNQ, 3, 90.5)
    assert desk.wanted() == {}


def test_reversal_is_a_new_position() -> None:
    desk = losing(0)
    desk.trade(MNQ, -1, "-20", order_id=2)
    desk.trade(MNQ, -2, order_id=2)
    desk.position(MNQ, -2, 80)
    assert desk.wanted() == {}
    desk.trade(MNQ, -1, order_id=3)
    desk.position(MNQ, -3, 82)
    assert desk.wanted() == {MNQ: 2}


# ---- one order is one add


@pytest.mark.parametrize("position_first", [False, True])
@pytest.mark.parametrize("pause", [0, 1, 600])
def test_fills_of_one_order_are_one_add(position_first: bool, pause: float) -> None:
    desk = losing(1)
    for _ in range(4):
        fill(desk, 1, order=2, position_first=position_first)
        desk.wait(pause)
        desk.quote(MNQ, 90, 90.25)
        assert desk.wanted() == {}
    assert desk.gauge("RULE-019").value == "1"
    fill(desk, 1, order=3, position_first=position_first)
    assert desk.wanted() == {MNQ: 5}


@pytest.mark.parametrize("position_first", [False, True])
def test_order_that_opened_the_position_goes_on_filling_while_it_loses(position_first: bool) -> None:
    desk = Desk(adds(0))
    desk.quote(MNQ, 90, 90.25)
    for _ in range(3):
        fill(desk, 1, order=1, price=100, position_first=position_first)
        desk.wait(300)
    assert desk.wanted() == {}
    assert desk.gauge("RULE-019").value == "0"
    fill(desk, 1, order=2)
    assert desk.wanted() == {MNQ: 3}


def test_order_that_enlarged_a_winner_goes_on_filling_while_it_loses() -> None:
    desk = Desk(adds(0))
    desk.quote(MNQ, 110, 110.25)
    fill(desk, 1, order=1, price=100)
    fill(desk, 1, order=2, price=104)
    desk.quote(MNQ, 90, 90.25)
    fill(desk, 1, order=2, price=104)
    assert desk.wanted() == {}
    fill(desk, 1, order=3, price=104)
    assert desk.wanted() == {MNQ: 3}


def test_orders_that_fill_by_turns_are_as_many_adds_as_there_are_orders() -> None:
    desk = losing(2)
    for order in (2, 3, 2, 3, 2):
        fill(desk, 1, order=order)
        assert desk.wanted() == {}
    fill(desk, 1, order=4)
    assert desk.wanted() == {MNQ: 6}
    fill(desk, 1, order=2)  # allowed, and what order 4 added is too much still
    assert desk.wanted() == {MNQ: 7}


def test_two_orders_shown_by_one_position_update_are_two_adds() -> None:
    desk = losing(1)
    desk.trade(MNQ, 1, order_id=2)
    desk.trade(MNQ, 1, order_id=3)
    desk.position(MNQ, 3, 95)
    assert desk.wanted() == {MNQ: 2}


def test_refused_order_stays_refused_and_its_rest_is_cancelled() -> None:
    desk = losing(0)
    other = desk.order(MNQ, 1, limit=80)
    stop = desk.order(MNQ, -1, kind=OrderType.STOP, stop=70)
    partly = OrderRecord(2, MNQ, OrderStatus.OPEN, OrderType.LIMIT, Side.BUY, 5, limit_price=1, fill_volume=1)
    desk.feed(OrderUpdate(desk.at, 101, partly))
    fill(desk, 1, order=2)
    assert desk.wanted() == {MNQ: 1, 2: 0}, (other, stop)
    fill(desk, 1, order=2)
    assert desk.wanted() == {MNQ: 1, 2: 0}
    assert desk.gauge("RULE-019").value == "1"
    desk.order(MNQ, 5, order_id=2, status=OrderStatus.CANCELLED)
    desk.position(MNQ, 1, 100)
    assert desk.wanted() == {}


def test_rest_of_an_allowed_order_goes_on_working_beside_a_refused_one() -> None:
    desk = losing(1)
    for order in (2, 3):
        record = OrderRecord(order, MNQ, OrderStatus.OPEN, OrderType.LIMIT, Side.BUY, 5, limit_price=1, fill_volume=1)
        desk.feed(OrderUpdate(desk.at, 101, record))
        fill(desk, 1, order=order)
    assert desk.wanted() == {MNQ: 2, 3: 0}
    fill(desk, 1, order=2)
    assert desk.wanted() == {MNQ: 3, 3: 0}


def test_order_that_comes_after_a_refused_one_while_the_position_wins_is_allowed_whole() -> None:
    desk = losing(0)
    fill(desk, 1, order=2)
    desk.position(MNQ, 1, 100)  # taken back
    desk.quote(MNQ, 120, 120.25)
    fill(desk, 1, order=3, price=105)
    assert desk.wanted() == {}
    desk.quote(MNQ, 90, 90.25)
    fill(desk, 1, order=3, price=105)
    assert desk.wanted() == {}


def test_increase_of_a_winner_whose_fill_never_comes_is_no_add() -> None:
    desk = Desk(adds(0))
    desk.quote(MNQ, 120, 120.25)
    desk.enter(MNQ, 1, 100)
    desk.position(MNQ, 3, 110)
    desk.wait(3)
    assert desk.wanted() == {}
    assert desk.gauge("RULE-019").value == "0"


def test_increase_that_goes_again_before_it_is_judged_is_no_add() -> None:
    desk = losing(0)
    desk.position(MNQ, 3, 95)
    desk.position(MNQ, 1, 100)
    desk.wait(3)
    assert desk.wanted() == {}
    assert desk.gauge("RULE-019").value == "0"


def test_part_that_goes_again_is_taken_off_what_waits() -> None:
    desk = losing(1, size=2)
    desk.position(MNQ, 4, 95)
    desk.position(MNQ, 3, 95)
    desk.wait(3)
    assert desk.wanted() == {}
    desk.position(MNQ, 4, 94)
    desk.wait(3)
    assert desk.wanted() == {MNQ: 3}


def test_paid_just_the_average_without_a_price_is_not_losing() -> None:
    desk = Desk(adds(0))
    desk.enter(MNQ, 1, 100)
    desk.enter(MNQ, 1, 100)
    assert desk.wanted() == {}


def test_memory_stays_small_and_the_latest_orders_are_in_it() -> None:
    desk = losing(1000)
    for order in range(100, 140):
        fill(desk, 1, order=order)
    (kept,) = desk.engine.account(101).memory["adds"].values()
    assert isinstance(kept, list)
    assert [order for order, _ in kept[1]] == list(range(124, 140))
    assert desk.gauge("RULE-019").value == "40"


def test_increase_whose_fill_never_comes_is_judged_by_itself() -> None:
    desk = losing(1)
    desk.position(MNQ, 2, 95)
    desk.position(MNQ, 3, 93)
    assert desk.wanted() == {}
    desk.wait(1.9)
    assert desk.wanted() == {}
    desk.wait(0.2)
    assert desk.wanted() == {MNQ: 2}
    assert desk.engine.next_due > desk.at + 60 * SECOND_US


def test_increase_is_judged_on_time_without_any_event() -> None:
    desk = losing(0)
    desk.position(MNQ, 2, 95)
    assert desk.engine.next_due == desk.at + 2 * SECOND_US
    desk.at = desk.engine.next_due
    desk.wait(0)
    assert desk.wanted() == {MNQ: 1}


def test_old_fill_explains_no_later_increase() -> None:
    desk = losing(0)
    desk.trade(MNQ, 1, order_id=1)  # the opening order, but no position update shows it
    desk.wait(3)
    fill(desk, 1, order=2)
    assert desk.wanted() == {MNQ: 1}


def test_fills_in_another_contract_or_direction_or_closing_ones_explain_nothing() -> None:
    desk = losing(0)
    desk.trade(ES, 1, order_id=1)
    desk.trade(MNQ, -1, order_id=1)
    desk.trade(MNQ, 1, "5", order_id=1)
    desk.position(MNQ, 2, 95)
    assert desk.wanted() == {}
    desk.wait(2.1)
    assert desk.wanted() == {MNQ: 1}


def test_messages_of_two_adds_in_any_order_come_to_the_same() -> None:
    for order in permutations(range(4)):
        desk = losing(1)
        messages = [
            lambda desk=desk: desk.trade(MNQ, 1, order_id=2),
            lambda desk=desk: desk.trade(MNQ, 1, order_id=3),
            lambda desk=desk: desk.position(MNQ, 2, 95),
            lambda desk=desk: desk.position(MNQ, 3, 93),
        ]
        if order.index(2) > order.index(3):
            continue  # of the positions the last one counts
        for number in order:
            messages[number]()
        assert desk.wanted() == {MNQ: 2}, order
        assert desk.gauge("RULE-019").value == "2"


def test_partial_exit_and_add_again_is_an_add() -> None:
    desk = losing(1, size=3)
    desk.close(MNQ, -1, "-20")
    desk.position(MNQ, 2, 100)
    fill(desk, 1, order=2)
    assert desk.wanted() == {}
    desk.close(MNQ, -1, "-20")
    desk.position(MNQ, 2, 100)
    fill(desk, 1, order=3)
    assert desk.wanted() == {MNQ: 2}


def test_order_over_the_reset_stays_one_add() -> None:
    desk = Desk(adds(1), at=datetime(2026, 11, 18, 21, 59, 50, tzinfo=UTC))
    desk.quote(MNQ, 90, 90.25)
    fill(desk, 1, order=1, price=100)
    fill(desk, 1, order=2)
    desk.wait(11)
    desk.quote(MNQ, 90, 90.25)
    fill(desk, 1, order=2)
    assert desk.wanted() == {}
    fill(desk, 1, order=3)
    assert desk.wanted() == {MNQ: 3}


def test_accounts_do_not_count_each_others_adds() -> None:
    desk = Desk(adds(1), accounts=(101, 102))
    desk.quote(MNQ, 90, 90.25)
    for account in (101, 102):
        desk.enter(MNQ, 1, 100, account)
        desk.enter(MNQ, 1, 95, account)
    assert desk.wanted(101) == desk.wanted(102) == {}
    desk.enter(MNQ, 1, 93, 102)
    assert desk.wanted(101) == {}
    assert desk.wanted(102) == {MNQ: 2}


# ---- restarts and configurations


def test_adds_survive_a_restart() -> None:
    desk = losing(1)
    fill(desk, 1, order=2)
    other = restarted(desk, adds(1), size=2)
    assert other.wanted() == {}
    fill(other, 1, order=2)
    assert other.wanted() == {}
    fill(other, 1, order=3)
    assert other.wanted() == {MNQ: 3}


def test_add_made_while_the_daemon_was_away_counts() -> None:
    desk = losing(1)
    fill(desk, 1, order=2)
    late = TradeRecord(77, MNQ, desk.at + 30 * SECOND_US, price_to_nanos(93), None, 0, Side.BUY, 1, False, 3)
    desk.engine.account(101).ledger.add(late)
    other = restarted(desk, adds(1), later=60, size=3)
    assert other.wanted() == {MNQ: 2}
    same = losing(1)
    fill(same, 1, order=2)
    rest = TradeRecord(77, MNQ, same.at + 30 * SECOND_US, price_to_nanos(93), None, 0, Side.BUY, 1, False, 2)
    same.engine.account(101).ledger.add(rest)
    again = restarted(same, adds(1), later=60, size=3)
    assert again.wanted() == {}
    fill(again, 1, order=3)
    assert again.wanted() == {MNQ: 3}


@pytest.mark.parametrize(
    "changes",
    [
        {"pnl": 5},
        {"side": Side.SELL},
        {"voided": True},
        {"contract_id": ES},
        {"created_at": 0},
    ],
)
def test_only_fills_made_since_that_could_have_enlarged_it_explain_what_is_found(changes: dict[str, Any]) -> None:
    desk = losing(1)
    fill(desk, 1, order=2)
    late = TradeRecord(77, MNQ, desk.at + 30 * SECOND_US, price_to_nanos(93), None, 0, Side.BUY, 1, False, 2)
    if "created_at" in changes:
        changes = {"created_at": desk.at - 60 * SECOND_US}  # before the last one that was judged
    desk.engine.account(101).ledger.add(replace(late, **changes))
    other = restarted(desk, adds(1), later=60, size=3)
    other.wait(3)
    assert other.wanted() == {MNQ: 2}


def test_another_position_opened_while_the_daemon_was_away_is_left() -> None:
    desk = losing(0)
    other = restarted(desk, adds(0), later=60, size=4, created=desk.at + 30 * SECOND_US)
    assert other.wanted() == {}
    other.wait(3)
    assert other.wanted() == {}


def test_position_found_at_a_first_start_may_stay_and_its_order_may_go_on() -> None:
    desk = losing(0)
    desk.engine.account(101).memory.clear()
    other = restarted(desk, adds(0), size=1)
    fill(other, 1, order=1)
    assert other.wanted() == {}
    fill(other, 1, order=2)
    assert other.wanted() == {MNQ: 2}


def test_add_is_taken_back_though_the_trades_of_the_day_cannot_be_read() -> None:
    desk = Desk(adds(0), accounts=())
    desk.read_positions((MNQ, 1))
    desk.wait(61)
    desk.quote(MNQ, 90, 90.25)
    desk.position(MNQ, 2, 95)
    desk.wait(2)
    assert desk.wanted() == {MNQ: 1}


@pytest.mark.parametrize("kept", [[1, 2, 3], "x", [[1, 2], [], []], [[1, 1, 5, 1, 0, 0, 0], [[1]], []], None])
def test_memory_that_makes_no_sense_is_as_none(kept: object) -> None:
    desk = losing(0)
    desk.engine.account(101).memory["adds"] = {MNQ: kept}
    other = restarted(desk, adds(0), size=1)
    fill(other, 1, order=2)
    assert other.wanted() == {MNQ: 1}


def test_change_of_the_configuration_begins_nothing_anew() -> None:
    unrelated = rules(losing_position_adds={"max_adds": 1}, max_contracts={"limit": 99})
    desk = losing(1)
    fill(desk, 1, order=2)
    desk.configure(unrelated)
    fill(desk, 1, order=2)
    assert desk.wanted() == {}
    desk.position(MNQ, 4, 93)
    desk.configure(adds(1))
    desk.trade(MNQ, 1, order_id=3)
    assert desk.wanted() == {MNQ: 3}
    desk.configure(unrelated)
    assert desk.wanted() == {MNQ: 3}


def test_fewer_allowed_adds_count_the_adds_that_were_made() -> None:
    desk = losing(3)
    fill(desk, 1, order=2)
    fill(desk, 1, order=3)
    desk.configure(adds(2))
    assert desk.wanted() == {}
    fill(desk, 1, order=4)
    assert desk.wanted() == {MNQ: 3}


def test_adds_warn_and_show_their_number() -> None:
    desk = Desk(adds(3))
    desk.quote(MNQ, 90, 90.25)
    for _ in range(3):
        desk.enter(MNQ, 1, 100)
    assert [warn.level for warn in desk.warnings()] == [50]
    gauge = desk.gauge("RULE-019")
    assert (gauge.value, gauge.limit, gauge.percent, gauge.worst) == ("2", "3 adds", 50, "MNQ")
    assert to_micros(datetime(2026, 11, 18, 15, tzinfo=UTC)) < desk.at
