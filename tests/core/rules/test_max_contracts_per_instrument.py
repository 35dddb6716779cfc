"""RULE-002: contracts held in one symbol."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.events import Contract, ContractSeen
from daemon.core.units import money_to_micros, price_to_nanos
from tests.core.desk import ES, MNQ, NQ, Desk, rules

MARCH = "CON.F.US.MNQ.H27"


def desk_with(limits: dict[str, int], **more: Any) -> Desk:
    return Desk(rules(max_contracts_per_instrument={"limits": limits, **more}))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("size", "wanted"), [(1, {}), (2, {}), (3, {MNQ: 2}), (9, {MNQ: 2})])
def test_size_when_at_the_limit_is_left_and_above_it_is_reduced(sign: int, size: int, wanted: dict[str, int]) -> None:
    desk = desk_with({"MNQ": 2, "ES": 1})
    desk.position(ES, sign)
    desk.position(MNQ, sign * size)
    assert desk.wanted() == wanted
    assert desk.locks() == []


@pytest.mark.parametrize(
    ("action", "size", "wanted"),
    [
        ("block", 1, {NQ: 0}),
        ("close", 1, {NQ: 0}),
        ("allow", 99, {}),
        ("allow_with_limit:2", 2, {}),
        ("allow_with_limit:2", 3, {NQ: 2}),
        ("allow_with_limit:0", 1, {NQ: 0}),
    ],
)
def test_symbol_when_not_listed_follows_the_action(action: str, size: int, wanted: dict[str, int]) -> None:
    desk = desk_with({"MNQ": 2}, unknown_symbol_action=action)
    desk.position(NQ, size)
    assert desk.wanted() == wanted


@pytest.mark.parametrize("name", ["NQ", "ENQ"])
def test_limit_may_name_either_root(name: str) -> None:
    desk = desk_with({name: 1}, unknown_symbol_action="allow")
    desk.position(NQ, 2)
    assert desk.wanted() == {NQ: 1}


def test_limit_when_both_roots_are_named_is_the_stricter() -> None:
    desk = desk_with({"NQ": 3, "ENQ": 1})
    desk.position(NQ, 4)
    assert desk.wanted() == {NQ: 1}


def test_expiries_of_a_symbol_count_together_and_the_newest_goes_first() -> None:
    desk = desk_with({"MNQ": 2})
    march = Contract(MARCH, "MNQH7", price_to_nanos("0.25"), money_to_micros("0.50"))
    desk.feed(ContractSeen(desk.at, march))
    desk.position(MARCH, 2)
    assert desk.wanted() == {}
    desk.position(MNQ, -1)
    assert desk.wanted() == {MNQ: 0}


def test_close_all_closes_the_whole_symbol_and_no_other() -> None:
    desk = desk_with({"MNQ": 2, "ES": 1}, enforcement="close_all")
    desk.position(ES, 1)
    desk.position(MNQ, 3)
    assert desk.wanted() == {MNQ: 0}
    desk.position(MNQ, 1)
    assert desk.wanted() == {MNQ: 0}
    desk.position(MNQ, 0)
    assert desk.wanted() == {}


def test_contract_without_data_is_known_by_its_id() -> None:
    unknown = "CON.F.US.EP.H27"
    desk = desk_with({"ES": 1}, unknown_symbol_action="allow")
    desk.position(unknown, 2)
    assert desk.wanted() == {unknown: 1}


def test_other_contract_stays_when_data_of_its_symbol_comes_late() -> None:
    odd = "CON.F.US.QQQ.Z26"
    desk = desk_with({"AB": 1}, unknown_symbol_action="allow")
    desk.position(odd, 2)
    assert desk.wanted() == {}
    desk.feed(ContractSeen(desk.at, Contract(odd, "ABZ6", price_to_nanos(1), money_to_micros(1))))
    assert desk.wanted() == {odd: 1}


def test_warnings_and_gauge_are_of_the_symbol_nearest_to_its_limit() -> None:
    desk = desk_with({"MNQ": 4, "ES": 2})
    desk.position(MNQ, 1)
    desk.position(ES, 1)
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Max contracts per instrument at 50 % of the limit: 1 of 2 (ES).")
    ]
    desk.position(ES, 3)
    assert len(desk.warnings()) == 1
    gauge = desk.gauge("RULE-002")
    assert (gauge.value, gauge.limit, gauge.percent, gauge.worst) == ("3", "2", 150, "ES")


def test_breach_in_a_symbol_without_limit_warns_of_nothing() -> None:
    desk = desk_with({"MNQ": 4})
    desk.position(NQ, 1)
    assert desk.warnings() == []
    assert "has no limit" in desk.acts()[0].action.reason
