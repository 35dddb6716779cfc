"""The trading day over the wire: the broker's clock is moved on, the daemon follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.gateway.world import FAST
from tests.scenarios.world import World, accounts, broker, eventually, running, world

LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}


async def test_reset_begins_a_new_day_and_frees_the_account(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.travel_to(datetime(2026, 12, 2, 21, 59, 50, tzinfo=UTC))
        assert here.locks() == {"RULE-003": "hard"}
        await here.travel(15)
        await eventually(lambda: here.locks() == {}, "free")
        pnl = await here.call("get_pnl", account_id=101)
        assert (pnl["realized"], pnl["trade_count"], pnl["trading_day"]) == ("0.00", 0, "2026-12-03")
        assert pnl["next_reset"] == "2026-12-03T22:00:00.000000Z"
        (lockout,) = await here.rows("SELECT cleared_at, cleared_by FROM lockouts")
        assert lockout["cleared_by"] == "time" and lockout["cleared_at"] >= "2026-12-02T22:00:00.000000Z"
        await eventually(lambda: not here.service.dispatcher.untold, "all are told")
        days = await here.rows("SELECT trading_day, realized_pnl, trade_count FROM daily_pnl ORDER BY trading_day")
        assert [(row["trading_day"], row["trade_count"]) for row in days] == [("2026-12-02", 1), ("2026-12-03", 0)]
        # Trades of the new day are counted, and reach the limit by themselves.
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.service.engine.account(101).positions, "held")
        here.sim.inject_trade(101, "NQ", "-499.99")
        await eventually(lambda: here.service.engine.account(101).ledger.count == 2)
        assert here.locks() == {} and here.held() == {"MNQ": 1}
        here.sim.inject_trade(101, "NQ", "-0.01")
        await here.locked("RULE-003")
        await eventually(here.flat, "flat")


async def test_trade_of_yesterday_that_comes_late_is_not_of_today(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        await here.travel_to(datetime(2026, 12, 2, 22, 0, 5, tzinfo=UTC))
        yesterday = int(datetime(2026, 12, 2, 21, 59, 59, tzinfo=UTC).timestamp() * 1_000_000)
        here.sim.inject_trade(101, "NQ", -900, at=yesterday)
        here.sim.inject_trade(101, "NQ", -1)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        assert here.locks() == {}
        assert (await here.call("get_pnl", account_id=101))["realized"] == "-1.00"


@pytest.mark.parametrize(
    ("start", "reset"),
    [
        # Friday to Saturday, Saturday to Sunday: there is a reset every day.
        (datetime(2026, 12, 4, 20, 0, tzinfo=UTC), datetime(2026, 12, 4, 22, 0, tzinfo=UTC)),
        (datetime(2026, 12, 5, 20, 0, tzinfo=UTC), datetime(2026, 12, 5, 22, 0, tzinfo=UTC)),
        # Clocks go forward in New York on 14 March 2027: 17:00 is 22:00 UTC the day before, 21:00 on the day itself.
        (datetime(2027, 3, 13, 20, 0, tzinfo=UTC), datetime(2027, 3, 13, 22, 0, tzinfo=UTC)),
        (datetime(2027, 3, 14, 19, 0, tzinfo=UTC), datetime(2027, 3, 14, 21, 0, tzinfo=UTC)),
        # And back on 7 November 2027.
        (datetime(2027, 11, 6, 19, 0, tzinfo=UTC), datetime(2027, 11, 6, 21, 0, tzinfo=UTC)),
        (datetime(2027, 11, 7, 20, 0, tzinfo=UTC), datetime(2027, 11, 7, 22, 0, tzinfo=UTC)),
    ],
)
async def test_lockout_ends_at_seventeen_new_york_on_weekends_and_when_clocks_change(
    tmp_path: Path, start: datetime, reset: datetime
) -> None:
    async with world(tmp_path, LOSS, config=broker(accounts(101), start)) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        (lockout,) = await here.rows("SELECT expires_at FROM lockouts")
        assert datetime.fromisoformat(lockout["expires_at"]) == reset
        await here.travel((reset - here.sim.clock.utc()).total_seconds() - 5)
        assert here.locks() == {"RULE-003": "hard"}
        await here.travel(8)
        await eventually(lambda: here.locks() == {}, "free")
        assert (await here.call("get_pnl", account_id=101))["realized"] == "0.00"


async def test_reset_that_passes_while_the_daemon_is_off_is_made_up_for_at_the_start(tmp_path: Path) -> None:
    made = World(tmp_path, LOSS, timings=replace(FAST, token_margin=0.0))
    async with running(made) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.stop()
        here.sim.clock.advance(8 * 3600)
        here.trader().buy("MNQ", 1)
        await here.start()
        await eventually(lambda: here.locks() == {}, "free")
        pnl = await here.call("get_pnl", account_id=101)
        assert (pnl["realized"], pnl["trade_count"]) == ("0.00", 1)
        assert here.held() == {"MNQ": 1}, "nothing closed that no rule forbids"


async def test_cooldown_ends_by_the_brokers_time(tmp_path: Path) -> None:
    risk = {"rules": {"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 300}]}}}
    async with world(tmp_path, risk) as here:
        here.sim.inject_trade(101, "NQ", -100)
        await here.locked("RULE-007")
        await here.travel(290)
        assert here.locks() == {"RULE-007": "cooldown"}
        await here.travel(12)
        await eventually(lambda: here.locks() == {}, "free")
