"""RULE-018: account equity against its highest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.core.decisions import Remember
from daemon.core.engine import Engine
from daemon.core.events import AccountUpdate
from daemon.core.units import SECOND_US, from_micros, money_to_micros
from shared.config import RiskConfig
from tests.core.desk import MNQ, Desk, rules


def drawdown(**config: Any) -> RiskConfig:
    return rules(trailing_drawdown={"amount": 1000, **config})


def balance(desk: Desk, dollars: str) -> None:
    desk.at += 1000
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", True, money_to_micros(dollars)))


def loses(desk: Desk, ticks: float, entry: float = 21000) -> None:
    """Two MNQ from 21000: a dollar a tick."""
    desk.quote(MNQ, entry - ticks * 0.25, entry - ticks * 0.25 + 0.25)


@pytest.mark.parametrize(("ticks", "locked"), [(999, False), (1000, True), (1001, True)])
@pytest.mark.parametrize("mode", ["intraday", "end_of_day"])
def test_equity_at_the_floor_locks_to_the_reset(mode: str, ticks: int, locked: bool) -> None:
    desk = Desk(drawdown(mode=mode))
    balance(desk, "50000")
    desk.position(MNQ, 2, 21000)
    loses(desk, 0)
    loses(desk, ticks)
    assert desk.locks() == (["RULE-018"] if locked else [])
    if locked:
        assert desk.wanted() == {MNQ: 0}
        assert from_micros(desk.lock_decisions()[0].lockout.expires_at or 0) == datetime(2026, 11, 18, 22, tzinfo=UTC)


def test_intraday_floor_follows_the_highest_equity_to_the_tick() -> None:
    desk = Desk(drawdown(mode="intraday"))
    balance(desk, "50000")
    desk.position(MNQ, 2, 21000)
    loses(desk, 0)
    for gain in range(1, 400):  # every tick of the way up counts
        loses(desk, -gain)
    loses(desk, 600)
    assert desk.locks() == []
    loses(desk, 601)
    assert desk.locks() == ["RULE-018"]
    assert "49399.00" in desk.lock_decisions()[0].lockout.reason


def test_end_of_day_floor_follows_the_balance_at_the_reset_only() -> None:
    desk = Desk(drawdown(), at=datetime(2026, 11, 18, 21, 50, tzinfo=UTC))
    balance(desk, "50000")
    balance(desk, "50800")
    assert desk.gauge("RULE-018").limit == "floor 49000.00"
    desk.wait(601)
    assert desk.gauge("RULE-018").limit == "floor 49800.00"
    balance(desk, "49800.50")
    assert desk.locks() == []
    balance(desk, "49800")
    assert desk.locks() == ["RULE-018"]


def test_floor_stops_where_it_is_locked() -> None:
    desk = Desk(drawdown(mode="intraday", lock_at=50_100))
    balance(desk, "50000")
    balance(desk, "55000")
    balance(desk, "50100.50")
    assert desk.locks() == []
    balance(desk, "50100")
    assert desk.locks() == ["RULE-018"]


def test_start_balance_is_the_first_highest() -> None:
    desk = Desk(drawdown(start_balance=50_000))
    balance(desk, "49000.50")
    assert desk.locks() == []
    balance(desk, "49000")
    assert desk.locks() == ["RULE-018"]


def test_highest_survives_a_restart() -> None:
    desk = Desk(drawdown(mode="intraday"))
    balance(desk, "50000")
    balance(desk, "52000")
    engine = Engine(drawdown(mode="intraday"), desk.engine.calendar)
    engine.restore(
        desk.at, memories={(d.account_id, d.key): d.values for d in desk.decisions if isinstance(d, Remember)}
    )
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    other.read_positions()
    balance(other, "51000")
    assert other.locks() == ["RULE-018"]


def test_drawdown_without_a_balance_judges_nothing() -> None:
    desk = Desk(drawdown())
    desk.position(MNQ, 2, 21000)
    loses(desk, 5000)
    assert desk.locks() == []
    assert desk.gauge("RULE-018").value == "balance not known"


def test_drawdown_warns_and_shows_its_share() -> None:
    desk = Desk(drawdown())
    balance(desk, "50000")
    balance(desk, "49500.50")
    assert desk.warnings() == []
    balance(desk, "49500")
    assert [(warn.level, warn.text) for warn in desk.warnings()] == [
        (50, "Trailing drawdown at 50 % of the limit: 49500.00 of floor 49000.00 (highest 50000.00).")
    ]
    assert desk.gauge("RULE-018").percent == 50
