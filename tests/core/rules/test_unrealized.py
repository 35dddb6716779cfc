"""RULE-004 and RULE-005: open loss and profit of one position."""

from __future__ import annotations

import pytest

from daemon.core.events import Contract, ContractSeen
from daemon.core.units import money_to_micros, price_to_nanos
from shared.models import OrderStatus, OrderType
from tests.core.desk import ES, MNQ, NQ, Desk, rules

LOSS = rules(daily_unrealized_loss={"limit": -300})
PROFIT = rules(max_unrealized_profit={"target": 300})


@pytest.mark.parametrize(
    ("config", "size", "bid", "ask", "wanted"),
    [
        # worked case 3: 2 MNQ from 21000, a tick is 0.50 for each
        (LOSS, 2, "20925.25", "20925.50", {}),
        (LOSS, 2, "20925.00", "20925.25", {MNQ: 0}),
        (LOSS, 2, "20924.75", "20925.00", {MNQ: 0}),
        (LOSS, -2, "21074.50", "21074.75", {}),
        (LOSS, -2, "21074.75", "21075.00", {MNQ: 0}),
        (LOSS, -2, "21075.00", "21075.25", {MNQ: 0}),
        (LOSS, 2, "21500", "21500.25", {}),
        (PROFIT, 2, "21074.75", "21075.00", {}),
        (PROFIT, 2, "21075.00", "21075.25", {MNQ: 0}),
        (PROFIT, 2, "21075.25", "21075.50", {MNQ: 0}),
        (PROFIT, -2, "20925.00", "20925.25", {}),
        (PROFIT, -2, "20924.75", "20925.00", {MNQ: 0}),
        (PROFIT, -2, "20924.50", "20924.75", {MNQ: 0}),
    ],
)
def test_position_when_the_limit_is_reached_is_closed_alone(
    config: object, size: int, bid: str, ask: str, wanted: dict[str, int]
) -> None:
    desk = Desk(config)  # type: ignore[arg-type]
    desk.position(ES, 1, 6000)
    desk.quote(ES, 6000, "6000.25")
    desk.position(MNQ, size, 21000)
    desk.quote(MNQ, bid, ask)
    assert desk.wanted() == wanted
    assert desk.locks() == []


def test_working_orders_of_the_contract_are_cancelled_and_others_are_left() -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, 2, 21000)
    stop = desk.order(MNQ, -2, kind=OrderType.STOP, stop=20900)
    other = desk.order(ES, 1)
    desk.quote(MNQ, 20925, "20925.25")
    assert desk.wanted() == {MNQ: 0, stop: 0}
    late = desk.order(MNQ, 1)
    assert desk.wanted() == {MNQ: 0, stop: 0, late: 0}
    desk.position(MNQ, 0)
    assert desk.wanted() == {stop: 0, late: 0}
    assert other not in desk.wanted()
    free = desk.order(MNQ, 1)
    assert free not in desk.wanted()


def test_target_cancels_the_orders_of_its_contract_and_leaves_others() -> None:
    desk = Desk(PROFIT)
    desk.position(MNQ, 2, 21000)
    desk.position(ES, 1, 6000)
    stop = desk.order(MNQ, -2, kind=OrderType.STOP, stop=20900)
    other = desk.order(ES, 1)
    desk.quote(MNQ, 21075, "21075.25")
    assert desk.wanted() == {MNQ: 0, stop: 0}, other
    desk.quote(MNQ, 21000, "21000.25")
    assert desk.wanted() == {MNQ: 0, stop: 0}
    desk.position(MNQ, 0)
    desk.order(MNQ, -2, order_id=stop, status=OrderStatus.CANCELLED)
    desk.position(MNQ, 1, 21000)
    assert desk.wanted() == {}


def test_accounts_are_judged_by_their_own_entries() -> None:
    desk = Desk(LOSS, accounts=(101, 102))
    desk.position(MNQ, 2, 21000, account=101)
    desk.position(MNQ, 2, 20900, account=102)
    desk.quote(MNQ, 20925, "20925.25")
    assert desk.wanted(101) == {MNQ: 0}
    assert desk.wanted(102) == {}


def test_close_stands_though_the_price_comes_back() -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 20925, "20925.25")
    desk.quote(MNQ, 21100, "21100.25")
    assert desk.wanted() == {MNQ: 0}
    desk.position(MNQ, -1, 21100)  # the trader turned it round himself: another position
    assert desk.wanted() == {}


@pytest.mark.parametrize(("bid", "ask"), [("0", "0"), ("-5", "-5"), ("20900", "20800"), ("0", "20950")])
def test_quote_when_zero_negative_or_crossed_closes_nothing(bid: str, ask: str) -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 21000, "21000.25")
    desk.quote(MNQ, bid, ask)
    if ask == "20950":  # the bid cannot be above the new offer: -50 * 2 * 2 = -200
        assert desk.engine.market.books[MNQ].bid == price_to_nanos(20950)
    assert desk.wanted() == {}


def test_last_price_counts_only_without_bid_and_ask() -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 0, 0, 20925)
    assert desk.wanted() == {MNQ: 0}
    quoted = Desk(LOSS)
    quoted.position(MNQ, 2, 21000)
    quoted.quote(MNQ, 21000, "21000.25")
    quoted.quote(MNQ, 0, 0, 20000)
    assert quoted.wanted() == {}


def test_one_sided_quote_pushes_the_other_side_and_forgets_no_price() -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, -2, 21000)
    desk.quote(MNQ, "20999.75", 21000)
    desk.quote(MNQ, 21075, 0)  # whoever bids 21075 leaves no offer at 21000
    assert desk.wanted() == {MNQ: 0}


def test_contract_without_data_is_judged_when_its_data_comes() -> None:
    new = "CON.F.US.NEW.Z26"
    desk = Desk(LOSS)
    desk.position(new, 1, 100)
    desk.quote(new, 1, 2)
    assert desk.wanted() == {}
    desk.feed(ContractSeen(desk.at, Contract(new, "NEWZ6", price_to_nanos(1), money_to_micros(10))))
    assert desk.wanted() == {new: 0}


def test_position_is_judged_by_the_price_known_before_it_and_at_the_start() -> None:
    desk = Desk(LOSS)
    desk.quote(MNQ, 20925, "20925.25")
    desk.read_positions((MNQ, 2), price=21000)
    assert desk.wanted() == {MNQ: 0}


def test_average_between_ticks_is_compared_exactly() -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, 3, "21000.083333333")  # 3 MNQ: 6 dollars a point
    desk.quote(MNQ, "20950.25", "20950.50")  # -299.0
    assert desk.wanted() == {}
    desk.position(MNQ, 3, "21000.000000001")
    desk.quote(MNQ, "20950.00", "20950.25")  # -300.000000006
    assert desk.wanted() == {MNQ: 0}
    short_of_it = Desk(LOSS)
    short_of_it.position(MNQ, 3, "20999.999999999")
    short_of_it.quote(MNQ, "20950.00", "20950.25")  # -299.999999994
    assert short_of_it.wanted() == {}


def test_warnings_and_gauges_are_of_the_worst_and_the_best_position() -> None:
    desk = Desk(rules(daily_unrealized_loss={"limit": -300}, max_unrealized_profit={"target": 300}))
    desk.position(MNQ, 2, 21000)
    desk.position(ES, 1, 6000)
    desk.position(NQ, -1, 21000)
    desk.quote(ES, 6003, "6003.25")
    desk.quote(NQ, "20999.75", 21000)
    assert desk.of() == []
    desk.quote(MNQ, "20962.75", 20963)
    assert [warn.rule_id for warn in desk.warnings()] == ["RULE-005"]
    desk.quote(MNQ, "20962.50", 20963)
    assert [(warn.rule_id, warn.level, warn.text) for warn in desk.warnings()] == [
        ("RULE-005", 50, "Unrealized profit of a position at 50 % of the limit: 150.00 of 300.00 (ES)."),
        ("RULE-004", 50, "Unrealized loss of a position at 50 % of the limit: -150.00 of -300.00 (MNQ)."),
    ]
    loss, profit = desk.gauge("RULE-004"), desk.gauge("RULE-005")
    assert (loss.value, loss.percent, loss.worst) == ("-150.00", 50, "MNQ")
    assert (profit.value, profit.percent, profit.worst) == ("150.00", 50, "ES")
    desk.quote(MNQ, 20925, "20925.25")
    desk.quote(MNQ, "20932.50", 20933)  # back at 90 % while it is being closed: no warning any more
    assert len(desk.warnings()) == 2


def test_stale_quotes_of_a_held_contract_are_told_once() -> None:
    desk = Desk(LOSS)
    desk.position(MNQ, 2, 21000)
    desk.quote(MNQ, 21000, "21000.25")
    desk.wait(10)
    assert desk.warnings() == []
    desk.wait(1)
    desk.wait(1)
    assert [warn.contract_id for warn in desk.warnings()] == [MNQ]
    assert desk.engine.stale_contracts() == {MNQ}
    assert desk.wanted() == {}
    desk.quote(MNQ, 0, 0)
    desk.wait(1)
    assert desk.engine.stale_contracts() == {MNQ}
    desk.quote(MNQ, 21000, "21000.25")
    desk.wait(1)
    assert desk.engine.stale_contracts() == set()
    desk.wait(11)
    assert len(desk.warnings()) == 2
