"""What is told at once of an enforcement is the row of the log that can be asked for later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.alarms import Alarms
from shared.rpc_client import Event
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
