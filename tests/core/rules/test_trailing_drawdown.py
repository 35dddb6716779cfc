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


def restarted(desk: Desk, config: RiskConfig, later: float = 1) -> Desk:
    """Another daemon with what the first remembered, which has read that nothing is held."""
    engine = Engine(config, desk.engine.calendar)
    engine.restore(
        desk.at, memories={(d.account_id, d.key): d.values for d in desk.decisions if isinstance(d, Remember)}
    )
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + round(later * SECOND_US)
    other.read_positions()
    return other


@pytest.mark.parametrize("ticks", [1, 3, 7, 399])
def test_highest_is_kept_to_the_tick_over_a_restart_and_a_change_of_the_configuration(ticks: int) -> None:
    desk = Desk(drawdown(mode="intraday"))
    balance(desk, "50000.37")
    desk.position(MNQ, 1, 21000)
    for gain in range(ticks + 1):  # fifty cents a tick
        loses(desk, -gain)
    highest = f"highest {50000.37 + ticks * 0.5:.2f}"
    assert desk.gauge("RULE-018").worst == highest
    desk.configure(rules(trailing_drawdown={"amount": 1000, "mode": "intraday"}, weekly_loss={"limit": -99}))
    assert desk.gauge("RULE-018").worst == highest
    other = restarted(desk, drawdown(mode="intraday"))
    balance(other, f"{50000.37 + ticks * 0.5 - 999.99:.2f}")
    assert other.gauge("RULE-018").worst == highest
    assert other.locks() == []
    balance(other, f"{50000.37 + ticks * 0.5 - 1000:.2f}")
    assert other.locks() == ["RULE-018"]


def test_balance_at_the_reset_counts_though_the_daemon_was_away_then() -> None:
    desk = Desk(drawdown(), at=datetime(2026, 11, 18, 21, 0, tzinfo=UTC))
    balance(desk, "50000")
    balance(desk, "50300")
    other = restarted(desk, drawdown(), later=7200)
    balance(other, "50700")  # won while nobody looked
    assert other.gauge("RULE-018").limit == "floor 49700.00"
    balance(other, "51000")  # won since: counts at the next reset
    assert other.gauge("RULE-018").limit == "floor 49700.00"
    lost = restarted(desk, drawdown(), later=7200)
    balance(lost, "50100")
    assert lost.gauge("RULE-018").limit == "floor 49300.00"
    same_day = restarted(desk, drawdown(), later=60)
    balance(same_day, "50700")
    assert same_day.gauge("RULE-018").limit == "floor 49000.00"


def test_other_start_balance_begins_anew_and_nothing_else_does() -> None:
    desk = Desk(drawdown(start_balance=500_000, mode="intraday"))  # a slip of the pen
    balance(desk, "50000")
    assert desk.locks() == ["RULE-018"]
    desk.configure(drawdown(start_balance=50_000, mode="intraday"))
    assert desk.gauge("RULE-018").worst == "highest 50000.00"
    balance(desk, "50500")
    balance(desk, "50100")
    for config in (
        drawdown(start_balance=50_000, mode="intraday", lock_at=50_000),
        drawdown(start_balance=50_000),
        drawdown(start_balance=50_000, mode="intraday"),
        drawdown(mode="intraday"),
    ):
        desk.configure(config)
        assert desk.gauge("RULE-018").worst == "highest 50500.00"
    other = restarted(desk, drawdown(mode="intraday"))
    balance(other, "50000")
    assert other.gauge("RULE-018").worst == "highest 50500.00"


@pytest.mark.parametrize("kept", [{"high": "x"}, {"high": None, "day": 5}, {}, {"high": 50_000_000_000, "net": "x"}])
def test_memory_that_makes_no_sense_begins_with_the_balance(kept: dict[str, object]) -> None:
    engine = Engine(drawdown(), Desk().engine.calendar)
    engine.restore(1, memories={(101, "drawdown"): kept})
    desk = Desk(engine=engine)
    balance(desk, "50000")
    assert desk.gauge("RULE-018").limit == "floor 49000.00"


def test_accounts_have_their_own_highest() -> None:
    desk = Desk(drawdown(), accounts=(101, 102))
    balance(desk, "50000")
    desk.feed(AccountUpdate(desk.at, 102, "trader1", "B", True, money_to_micros(100_000)))
    assert desk.gauge("RULE-018", 102).limit == "floor 99000.00"
    assert desk.gauge("RULE-018").limit == "floor 49000.00"
    desk.feed(AccountUpdate(desk.at, 102, "trader1", "B", True, money_to_micros(99_000)))
    assert (desk.locks(101), desk.locks(102)) == ([], ["RULE-018"])


def test_account_below_its_floor_is_locked_every_day_anew() -> None:
    desk = Desk(drawdown())
    balance(desk, "50000")
    balance(desk, "48000")
    for _ in range(3):
        desk.wait(86_400)
        assert desk.locks() == ["RULE-018"]
    assert len(desk.lock_decisions()) == 4


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
