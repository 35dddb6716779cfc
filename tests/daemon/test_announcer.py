"""What is told at once of an enforcement is the row of the log that can be asked for later."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
