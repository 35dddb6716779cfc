"""A price from before a position's last entry values nothing: quotes are only sent for contracts that are held."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.desk import ES, MNQ, Desk, rules

LIMITS: list[dict[str, Any]] = [
    {"daily_unrealized_loss": {"limit": -300}},
    {"daily_total_loss": {"limit": -300}},
    {"max_unrealized_profit": {"target": 300}},
    {"trailing_drawdown": {"amount": 300}},
]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("moved", [300, -300])
@pytest.mark.parametrize("direction", [1, -1])
def test_position_opened_anew_is_not_judged_by_a_price_from_before(
    limit: dict[str, Any], moved: int, direction: int
) -> None:
    desk = Desk(rules(**limit))
    desk.enter(MNQ, 2 * direction, 21000)
    desk.quote(MNQ, 21000, 21000.25)
    desk.close(MNQ, -2 * direction, "0")
    desk.wait(3600)
    desk.enter(MNQ, 2 * direction, 21000 + moved)
    assert (desk.wanted(), desk.locks()) == ({}, [])
    desk.quote(MNQ, 21000 + moved, 21000.25 + moved)
    assert (desk.wanted(), desk.locks()) == ({}, [])


@pytest.mark.parametrize("limit", LIMITS[:2])
def test_its_first_quote_is_judged(limit: dict[str, Any]) -> None:
    desk = Desk(rules(**limit))
    desk.quote(MNQ, 21300, 21300.25)
    desk.wait(3600)
    desk.enter(MNQ, 2, 21300)
    desk.quote(MNQ, 21225, 21225.25)
    assert desk.wanted() == {MNQ: 0}


@pytest.mark.parametrize("limit", LIMITS[:2])
def test_position_enlarged_while_quotes_are_stale_waits_for_the_next(limit: dict[str, Any]) -> None:
    desk = Desk(rules(**limit))
    desk.enter(MNQ, 1, 21000)
    desk.quote(MNQ, 21000, 21000.25)
    desk.wait(60)
    desk.enter(MNQ, 2, 21300)
    desk.position(MNQ, 3, 21200)
    assert desk.wanted() == {}
    desk.quote(MNQ, 21150.25, 21150.5)
    assert desk.wanted() == {}
    desk.quote(MNQ, 21150, 21150.25)
    assert desk.wanted() == {MNQ: 0}


def test_quiet_market_still_values_a_position_that_did_not_change() -> None:
    desk = Desk(rules(daily_total_loss={"limit": -300}))
    desk.enter(MNQ, 2, 21000)
    desk.quote(MNQ, 20950, 20950.25)
    desk.wait(600)
    desk.close(ES, 0, "-97")
    assert desk.locks() == []
    desk.close(ES, 0, "-10")
    assert desk.locks() == ["RULE-014"]


def test_position_without_an_entry_price_has_no_profit_or_loss() -> None:
    desk = Desk(rules(daily_unrealized_loss={"limit": -300}, max_unrealized_profit={"target": 300}))
    desk.quote(MNQ, 21000, 21000.25)
    for size in (2, -2):
        desk.position(MNQ, size, 0)
        desk.quote(MNQ, 21000, 21000.25)
        assert desk.wanted() == {}
        desk.position(MNQ, 0)
    desk.position(MNQ, 2, 21150)
    desk.quote(MNQ, 21000, 21000.25)
    assert desk.wanted() == {MNQ: 0}
