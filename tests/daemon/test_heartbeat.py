"""Every few seconds the daemon looks after itself; a thread of its own that has failed is told of in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon.core.units import SECOND_US
from daemon.heartbeat import Heartbeat
from daemon.known_time import CLOCK_KEY, KnownTime
from daemon.memory_watch import MemoryWatch
from daemon.thread_watch import ThreadWatch
from daemon.view import View
from tests.scenarios.world import eventually, world

AT = 1_796_000_000 * SECOND_US


class Parts:
    """What a heartbeat works on."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.shown: list[dict[str, Any]] = []
        self.alerts: list[str] = []
        self.row: dict[str, Any] = {"status": "healthy", "memory_usage_mb": 600.0}

    def put_state(self, key: str, value: object) -> None:
        self.kept[key] = value

    def status_changed(self, row: dict[str, Any]) -> None:
        self.shown.append(row)


def test_beat_shows_the_status_keeps_the_time_and_watches_the_memory() -> None:
    parts = Parts()
    heartbeat = Heartbeat(
        lambda: parts.row,
        time=KnownTime(AT),
        keeper=parts,
        announcer=parts,
        memory=MemoryWatch(lambda: None, parts.alerts.append),
        threads=ThreadWatch(parts.alerts.append),
    )
    heartbeat.beat()
    assert parts.shown == [parts.row]
    assert parts.kept[CLOCK_KEY] >= AT
    assert len(parts.alerts) == 1 and "600.0 MB" in parts.alerts[0]


async def test_failed_threads_of_a_daemon_are_told_and_protection_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, {"rules": {"daily_realized_loss": {"limit": -500}}}) as here:
        alerts: list[str] = []
        here.service.alarms.connect(lambda kind, text: alerts.append(text))
        writer, write = here.service.store._writer, View._write

        def fail_once(*_: Any, **__: Any) -> None:
            monkeypatch.undo()
            raise RuntimeError("a mistake of ours")

        monkeypatch.setattr(writer, "_transact", fail_once)
        await eventually(lambda: here.service.store.thread.failures == 1, "the store's thread fails", 10)
        monkeypatch.setattr(View, "_write", fail_once)
        await eventually(lambda: here.service.view.thread.failures == 1, "the replica's thread fails", 10)
        assert View._write is write
        (timers,) = [step.end.__self__ for step in here.service.shutdown.steps if step.name == "the timers"]  # type: ignore[attr-defined]
        timers._scheduler.modify_job("heartbeat", next_run_time=datetime.now(UTC))
        await eventually(lambda: len(alerts) >= 2, "told at the next heartbeat", 15)
        assert any(text.startswith("Writing the database failed") and "lockouts hold" in text for text in alerts)
        assert any(text.startswith("Writing the copy of the data") for text in alerts)
        here.trader().buy("MNQ", 1)
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await eventually(here.flat, "closed")
        assert await here.rows("SELECT rule_id FROM lockouts WHERE cleared_at IS NULL") == [{"rule_id": "RULE-003"}]
