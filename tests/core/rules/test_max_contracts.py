"""RULE-001: contracts held in the whole account."""

from __future__ import annotations

import pytest

from tests.core.desk import ES, MNQ, NQ, RTY, Desk, rules


@pytest.mark.parametrize(
    ("count_type", "held", "limit", "wanted"),
    [
        ("net", [(MNQ, 4)], 5, {}),
        ("net", [(MNQ, 5)], 5, {}),
        ("net", [(MNQ, 6)], 5, {MNQ: 5}),
        ("net", [(MNQ, -6)], 5, {MNQ: 5}),
        ("net", [(MNQ, 3), (ES, 3)], 5, {ES: 2}),
        ("net", [(MNQ, 1), (ES, 6)], 1, {ES: 0}),
        ("net", [(MNQ, 6), (ES, -4)], 5, {MNQ: 5}),  # the 6 were too many before the hedge came; see below
        ("net", [(ES, -4), (MNQ, 6)], 5, {}),
        ("net", [(ES, -4), (MNQ, 9)], 4, {MNQ: 8}),
        ("net", [(ES, 4), (MNQ, -10)], 5, {MNQ: 9}),
        ("gross", [(ES, -4), (MNQ, 5)], 9, {}),
        ("gross", [(ES, -4), (MNQ, 6)], 9, {MNQ: 5}),
        ("gross", [(ES, 6), (MNQ, -4)], 9, {MNQ: 3}),
        ("long", [(ES, -20), (MNQ, 5)], 5, {}),
        ("long", [(ES, -20), (MNQ, 6)], 5, {MNQ: 5}),
        ("short", [(MNQ, 20), (ES, -5)], 5, {}),
        ("short", [(MNQ, 20), (ES, -6)], 5, {ES: 5}),
        ("net", [(MNQ, 1)], 0, {MNQ: 0}),
    ],
)
def test_count_when_at_the_limit_is_left_and_above_it_is_reduced(
    count_type: str, held: list[tuple[str, int]], limit: int, wanted: dict[str, int]
) -> None:
    desk = Desk(rules(max_contracts={"limit": limit, "count_type": count_type}))
    for contract, size in held:
        desk.position(contract, size)
    if held == [(MNQ, 6), (ES, -4)]:
        assert desk.acts()[0].action.target == 5
        wanted = {}  # with the hedge the net is 2: nothing is asked for any more
        assert desk.settled()[0].result == "superseded"
    assert desk.wanted() == wanted
    assert desk.locks() == []


def test_reduction_takes_the_last_increased_position_first_and_goes_on_with_the_next() -> None:
    desk = Desk(rules(max_contracts={"limit": 4}))
    desk.position(NQ, 2)
    desk.position(ES, 1)
    desk.position(MNQ, 1)
    desk.read_positions((NQ, 2), (ES, 1), (MNQ, 1))
    desk.position(ES, 3)
    assert desk.wanted() == {ES: 1}
    desk.position(MNQ, 2)
    assert desk.wanted() == {MNQ: 0, ES: 2}


def test_reduction_when_another_rule_closes_already_counts_what_is_left() -> None:
    desk = Desk(rules(max_contracts={"limit": 3}, daily_unrealized_loss={"limit": -300}))
    desk.position(MNQ, 2)
    desk.position(ES, 1)
    desk.quote(ES, 99.75, 100)
    desk.quote(ES, 90, 90.25)
    assert desk.wanted() == {ES: 0}
    desk.position(RTY, 1)  # 4 held, but one is on its way out
    assert desk.wanted() == {ES: 0}
    desk.position(ES, 0)
    assert desk.wanted() == {}


def test_close_all_closes_every_position_and_goes_on_though_the_count_falls() -> None:
    desk = Desk(rules(max_contracts={"limit": 5, "close_all": True}))
    desk.position(MNQ, 3)
    desk.position(ES, 2)
    assert desk.wanted() == {}
    desk.position(ES, 3)
    assert desk.wanted() == {MNQ: 0, ES: 0}
    desk.position(ES, 0)
    assert desk.wanted() == {MNQ: 0}
    desk.position(MNQ, 0)
    assert desk.wanted() == {}
    assert {settle.result for settle in desk.settled()} == {"confirmed"}
    desk.position(MNQ, 1)
    assert desk.wanted() == {}


def test_unknown_contract_counts_and_can_be_closed() -> None:
    desk = Desk(rules(max_contracts={"limit": 1}))
    desk.position("CON.F.US.NEW.Z26", 3)
    assert desk.wanted() == {"CON.F.US.NEW.Z26": 1}


def test_position_past_the_limit_at_the_start_is_reduced() -> None:
    desk = Desk(rules(max_contracts={"limit": 2}))
    desk.read_positions((MNQ, 3))
    assert desk.wanted() == {MNQ: 2}


def test_override_of_an_account_counts_for_it_alone() -> None:
    config = rules(max_contracts={"limit": 5})
    config = config.model_validate(
        config.model_dump(exclude_none=True) | {"accounts": {102: {"rules": {"max_contracts": {"limit": 1}}}}}
    )
    desk = Desk(config, accounts=(101, 102))
    desk.position(MNQ, 3, account=101)
    desk.position(MNQ, 3, account=102)
    assert desk.wanted(101) == {}
    assert desk.wanted(102) == {MNQ: 1}


def test_warnings_come_once_a_level_and_a_breach_is_none() -> None:
    desk = Desk(rules(max_contracts={"limit": 4}))
    desk.position(MNQ, 1)
    desk.position(MNQ, 2)
    desk.position(MNQ, 1)
    desk.position(MNQ, 2)
    desk.position(MNQ, 3)
    desk.position(MNQ, 4)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Max contracts at 50 % of the limit: 2 of 4 net."),
        (75, "Max contracts at 75 % of the limit: 3 of 4 net."),
        (90, "Max contracts at 100 % of the limit: 4 of 4 net."),
    ]
    over = Desk(rules(max_contracts={"limit": 4}))
    over.position(MNQ, 5)
    assert over.warnings() == []


def test_gauge_shows_held_of_allowed() -> None:
    desk = Desk(rules(max_contracts={"limit": 4, "count_type": "gross"}))
    desk.position(MNQ, 3)
    gauge = desk.gauge("RULE-001")
    assert (gauge.value, gauge.limit, gauge.percent) == ("3", "4 gross", 75)
