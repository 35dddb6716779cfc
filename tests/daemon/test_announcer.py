"""What is told at once of an enforcement is the row of the log that can be asked for later."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.alarms import Alarms
from daemon.announcer import GAUGE_SECONDS, Announcer
from daemon.core.events import (
    ConnectionChanged,
    OrdersSnapshot,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    Tick,
)
from daemon.core.events import Event as CoreEvent
from daemon.core.units import price_to_nanos
from shared.config import RiskConfig
from shared.rpc_client import Event
from tests.core.desk import MNQ, NQ, Desk, rules
from tests.daemon import virtual_time
from tests.scenarios.world import eventually, world


async def test_events_of_an_enforcement_are_the_rows_of_the_log(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        heard: list[dict[str, Any]] = []

        def hear(message: object) -> None:
            if isinstance(message, Event):
                assert isinstance(message.data, dict)
                heard.append(message.data)

        await here.client.subscribe(["enforcement"], hear)
        here.trader().buy("MNQ", 2)
        await eventually(lambda: here.service.engine.account(101).positions)
        await here.call("lock_account", account_id=101, minutes=1, reason="enough")
        await eventually(here.flat, "closed")
        await here.enforced()
        await here.travel(61)
        await eventually(lambda: not here.locks(), "the lock ends")
        await eventually(lambda: any(row["result"] and row["action"] == "close_position" for row in heard), "told")
        await eventually(lambda: {row["action"] for row in heard} >= {"lockout_set", "lockout_cleared"}, "told")

        page = {row["id"]: row for row in await here.call("get_enforcement_log", account_id=101, limit=100)}
        last = {row["id"]: row for row in heard}
        assert None not in last and set(last) == set(page)
        for number, row in last.items():
            assert {key: value for key, value in row.items() if key != "ms"} == page[number]
        closes = [row for row in heard if row["action"] == "close_position"]
        # By the time people are told of a close its confirmation may have come.
        assert {row["id"] for row in closes} == {closes[-1]["id"]} and closes[-1]["result"] == "confirmed"
        assert closes[-1]["attempts"] == 1 and closes[-1]["ms"] >= 0 and closes[-1]["confirmed_at"] is not None
        assert {row["symbol"] for row in closes} == {"MNQ"}
        (ended,) = [row for row in heard if row["action"] == "lockout_cleared"]
        assert ended["reason"].startswith("Locked by hand: lockout ended"), ended["reason"]


async def test_locks_by_hand_when_repeated_do_not_flood_who_is_alerted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(Alarms, "send", lambda self, kind, text: told.append((kind, text)))
    async with world(tmp_path, {"rules": {"daily_realized_loss": {"limit": -500}}}) as here:
        for number in range(4):
            await here.call("lock_account", account_id=101, minutes=1, reason=f"number {number}")
            await here.travel(61)
            await eventually(lambda: not here.locks(), "the lock ends")
        here.sim.inject_trade(101, "NQ", -600)
        await eventually(here.locks, "the loss locks")
        (real,) = here.service.engine.account(101).locks.values()
        await eventually(lambda: any(real.reason in text for _, text in told), "the real one is told")
        by_hand = [(kind, text) for kind, text in told if "by hand" in text or "Locked by you" in text]
        assert [kind for kind, _ in by_hand] == ["lockout", "unlock"] and "number 0" in by_hand[0][1]
    (last,) = [text for kind, text in told if kind == "lockout" and "number 3" in text]
    assert last.endswith("(3 times of late; this is the latest)")


class Heard:
    """An outlet and a store that keep what is published, with the time of the loop."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, str, int | None, Any]] = []

    def wanted(self, topic: str) -> bool:
        return True

    def publish(self, topic: str, account_id: int | None, data: object) -> None:
        self.rows.append((asyncio.get_running_loop().time(), topic, account_id, data))

    def record_pnl(self, *_: object) -> None: ...

    def record_reset(self, *_: object) -> None: ...

    def log_entry(self, decision: object) -> None: ...

    def of(self, topic: str, account_id: int = 101) -> list[tuple[float, Any]]:
        return [(at, data) for at, name, account, data in self.rows if (name, account) == (topic, account_id)]


class Shown:
    """A desk of two accounts whose events an announcer tells of; 101 is long two MNQ at 100."""

    def __init__(self, config: RiskConfig) -> None:
        self.desk = Desk(config, accounts=(101, 102))
        self.heard = Heard()
        self.announcer = Announcer(self.desk.engine, self.heard, account_row=lambda account_id: {})
        self.announcer.outlet = self.heard
        self.desk.read_positions((MNQ, 2))
        self.desk.read_positions(account=102)

    async def quote(self, price: float) -> None:
        self.desk.quote(MNQ, price, price)
        at, nanos = self.desk.engine.now, price_to_nanos(str(price))
        self.announcer.happened(Quote(at, MNQ, nanos, nanos, nanos))
        await asyncio.sleep(0.05)
        self.desk.wait(0.05)


GAUGED = rules(daily_total_loss={"limit": -500}, trailing_drawdown={"amount": 1000, "start_balance": 50_000})


def test_gauges_when_only_prices_move_are_sent_once_a_second_and_end_as_the_state_is() -> None:
    async def main() -> None:
        here = Shown(GAUGED)
        for number in range(60):
            await here.quote(100 - number * 0.25)
        await asyncio.sleep(2 * GAUGE_SECONDS)
        sent = here.heard.of("rules")
        assert here.heard.of("rules", 102) == []
        assert 3 <= len(sent) <= 4
        assert all(later - earlier >= GAUGE_SECONDS for (earlier, _), (later, _) in itertools.pairwise(sent))
        (loss,) = [row for row in sent[-1][1] if row["rule_id"] == "RULE-014"]
        assert Decimal(loss["value"]) == Decimal("-59.00")
        assert Decimal(here.heard.of("pnl")[-1][1]["unrealized"]) == Decimal("-59.00")

    virtual_time.run(main)


def test_gauges_when_sent_for_another_reason_are_not_sent_once_more() -> None:
    async def main() -> None:
        here = Shown(GAUGED)
        await here.quote(99)
        here.announcer.refresh(101)
        await asyncio.sleep(3 * GAUGE_SECONDS)
        assert len(here.heard.of("rules")) == 1

    virtual_time.run(main)


def test_gauges_when_the_announcer_closes_are_sent_as_they_are() -> None:
    async def main() -> None:
        here = Shown(GAUGED)
        await here.quote(99)
        here.announcer.close()
        told = len(here.heard.rows)
        assert len(here.heard.of("rules")) == 1
        await asyncio.sleep(3 * GAUGE_SECONDS)
        assert len(here.heard.rows) == told

    virtual_time.run(main)


def test_curve_when_a_trade_is_made_has_a_point_with_the_total_at_once() -> None:
    async def main() -> None:
        here = Shown(GAUGED)
        await here.quote(99)
        await asyncio.sleep(0.2)
        here.desk.wait(0.2)
        here.desk.trade(MNQ, 1, pnl="-5")
        here.announcer.refresh(101)
        await asyncio.sleep(0.2)
        assert [(point[1], point[2]) for point in here.announcer.curve(101)] == [("0.00", "-4.00"), ("-5.00", "-9.00")]

    virtual_time.run(main)


def test_read_that_shows_nothing_new_is_only_told_as_heard_of() -> None:
    async def main() -> None:
        here = Shown(GAUGED)

        async def told_of(*events: CoreEvent) -> set[str]:
            here.heard.rows.clear()
            for event in events:
                here.desk.feed(event)
                here.announcer.happened(event)
            await asyncio.sleep(0.2)
            return {topic for _, topic, account_id, _ in here.heard.rows if account_id == 101}

        def read() -> PositionsSnapshot:
            at = here.desk.engine.now
            return PositionsSnapshot(at, 101, at, (PositionRecord(MNQ, 2, price_to_nanos("100"), 1, at0),))

        def orders() -> OrdersSnapshot:
            return OrdersSnapshot(here.desk.engine.now, 101, here.desk.engine.now, ())

        at0 = here.desk.engine.now
        everything = {"accounts", "positions", "pnl", "rules"}
        assert await told_of(read()) == everything
        assert await told_of(read()) == {"accounts"}
        pushed = PositionUpdate(at0, 101, PositionRecord(MNQ, 2, price_to_nanos("100"), 1, at0))
        assert await told_of(pushed, read()) == everything
        assert await told_of(orders()) == {"orders", "rules"}
        assert await told_of(orders()) == {"accounts"}
        lost = ConnectionChanged(here.desk.engine.now, "trader1", "user", False, "closed")
        assert await told_of(lost, read(), orders()) == everything | {"orders"}

    virtual_time.run(main)


async def ticks(here: Shown, seconds: int, every: int = 1) -> list[dict[str, Any]]:
    """Let time pass, and nothing else; the rules of account 101 by id, as often as they were sent."""
    here.heard.rows.clear()
    for _ in range(0, seconds, every):
        here.desk.wait(every)
        here.announcer.happened(Tick(here.desk.engine.now))
        await asyncio.sleep(every)
    return [{row["rule_id"]: row for row in rows} for _, rows in here.heard.of("rules")]


def test_gauges_when_only_time_passes_are_sent_when_they_change() -> None:
    """From 10:00 New York on: three entries, then nothing but ticks, until the session is over."""
    config = rules(
        trade_frequency_limit={"limits": {"per_minute": 6, "per_hour": 20, "per_session": 60}},
        session_block_outside={
            "global_session": {"start": "09:30", "end": "10:30"},
            "lockout_outside_session": False,
            "respect_holidays": False,
        },
        scheduled_flatten={"time": "15:55"},
    )

    async def main() -> None:
        here = Shown(config)
        for contract in (MNQ, MNQ, NQ):
            here.desk.trade(contract, 1)
        here.announcer.refresh(101)
        (first,) = await ticks(here, 2)
        assert first["RULE-006"]["sentence"] == "3 of 6 entries (this minute)."
        assert first["RULE-009"]["value"] == "open"
        assert await ticks(here, 50) == []
        left = await ticks(here, 10)
        assert left[-1]["RULE-006"]["sentence"] == "3 of 20 entries (this hour)."
        (over,) = await ticks(here, 30 * 60, every=20)
        assert over["RULE-009"]["value"] == "closed"
        assert over["RULE-006"]["sentence"] == "3 of 20 entries (this hour)."
        later = await ticks(here, 40 * 60, every=20)
        assert later[-1]["RULE-006"]["sentence"] == "3 of 60 entries (this session)."

    virtual_time.run(main)


@pytest.mark.parametrize("grace", [20, 100])
def test_gauge_of_a_position_without_a_stop_goes_on_without_quotes(grace: int) -> None:
    async def main() -> None:
        here = Shown(rules(no_stop_loss_grace={"grace_period_seconds": grace}))
        here.announcer.refresh(101)
        sent = await ticks(here, grace)
        shares = [rows["RULE-008"]["share"] for rows in sent]
        assert shares == sorted(shares)
        assert shares[-1] >= 0.9
        # Each twentieth, and what is told with warnings.
        assert 18 <= len(shares) <= 26

    virtual_time.run(main)
