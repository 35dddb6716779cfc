"""RULE-020: a time of day from which nothing is held."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.core.units import SECOND_US, from_micros, to_micros
from shared.config import RiskConfig
from tests.core.desk import ES, MNQ, Desk, rules


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def flat(time: str = "15:55", **more: Any) -> RiskConfig:
    return rules(scheduled_flatten={"time": time, **more})


@pytest.mark.parametrize(
    ("moment", "locked"),
    [
        (at(2026, 11, 18, 20, 54, 59), False),
        (at(2026, 11, 18, 20, 55), True),
        (at(2026, 11, 18, 21, 59), True),
        (at(2026, 11, 18, 22), False),  # the reset frees
        (at(2026, 7, 15, 19, 54, 59), False),
        (at(2026, 7, 15, 19, 55), True),
        (at(2026, 3, 8, 19, 55), True),  # on the day the clocks go forward
        (at(2026, 11, 1, 20, 54), False),  # and back
        (at(2026, 11, 1, 20, 55), True),
    ],
)
def test_account_is_locked_from_the_time_to_the_reset(moment: datetime, locked: bool) -> None:
    desk = Desk(flat(), at=moment)
    desk.position(MNQ, 1)
    assert desk.wanted() == ({MNQ: 0} if locked else {})


def test_time_comes_without_any_event_and_frees_at_the_reset() -> None:
    desk = Desk(flat(), at=at(2026, 11, 18, 20, 40))
    desk.position(MNQ, 1)
    order = desk.order(ES, 1)
    desk.wait(61)  # the wait for the first read of the trades has ended
    assert desk.engine.next_due == to_micros(at(2026, 11, 18, 20, 50))
    desk.wait((to_micros(at(2026, 11, 18, 20, 50)) - desk.at) / SECOND_US)
    told = [warn.text for warn in desk.warnings() if warn.rule_id]
    assert told == ["Everything is closed at 15:55 New York."]
    desk.wait(60)
    assert len([warn for warn in desk.warnings() if warn.rule_id]) == 1
    desk.wait(240)
    assert desk.wanted() == {MNQ: 0, order: 0}
    lock = desk.lock_decisions()[0].lockout
    assert from_micros(lock.expires_at or 0) == at(2026, 11, 18, 22)
    desk.position(MNQ, 0)
    desk.wait(3600 + 300)
    assert desk.locks() == []


def test_flat_account_is_not_warned() -> None:
    desk = Desk(flat(), at=at(2026, 11, 18, 20, 49))
    desk.wait(62)
    assert desk.warnings() == []


def test_position_opened_within_the_warning_is_warned_at_once() -> None:
    desk = Desk(flat(warn_minutes=30), at=at(2026, 11, 18, 20, 24))
    desk.position(MNQ, 1)
    assert [warn.text for warn in desk.warnings()] == []
    desk.position(MNQ, 0)
    desk.wait(90)
    assert [warn.text for warn in desk.warnings()] == []
    desk.position(ES, 1)
    desk.position(MNQ, 1)
    assert [warn.text for warn in desk.warnings()] == ["Everything is closed at 15:55 New York."]


def test_time_that_the_clocks_leave_out_comes_when_they_go_forward() -> None:
    desk = Desk(flat("02:30"), at=at(2026, 3, 8, 6, 59))
    assert desk.locks() == []
    desk.wait(60)
    assert desk.locks() == ["RULE-020"]  # 03:00 in New York is 07:00 UTC then


def test_time_that_comes_twice_counts_the_first_time() -> None:
    desk = Desk(flat("01:30"), at=at(2026, 11, 1, 5, 29))
    assert desk.locks() == []
    desk.wait(60)
    assert desk.locks() == ["RULE-020"]


def test_days_that_are_not_chosen_are_left_alone() -> None:
    desk = Desk(flat(days=["mon", "tue"]), at=at(2026, 11, 18, 20, 56))
    assert desk.locks() == []
    desk = Desk(flat(days=["wed"]), at=at(2026, 11, 18, 20, 56))
    assert desk.locks() == ["RULE-020"]


def test_time_zone_is_its_own_and_a_time_after_the_reset_is_of_the_new_day() -> None:
    desk = Desk(flat("22:00", timezone="America/Chicago"), at=at(2026, 11, 19, 3, 59))
    assert desk.locks() == []
    desk.wait(60)
    assert desk.locks() == ["RULE-020"]
    assert from_micros(desk.lock_decisions()[0].lockout.expires_at or 0) == at(2026, 11, 19, 22)


def test_every_day_anew() -> None:
    desk = Desk(flat(), at=at(2026, 11, 18, 20, 56))
    for _ in range(3):
        desk.wait(86_400)
    assert len(desk.lock_decisions()) == 4
    assert len(desk.unlocks()) == 3


def test_gauge_says_when() -> None:
    desk = Desk(flat(), at=at(2026, 11, 18, 15))
    assert desk.gauge("RULE-020").value == "15:55 New York"
    late = Desk(flat(), at=at(2026, 11, 18, 21))
    assert late.gauge("RULE-020").value == "not again today"
