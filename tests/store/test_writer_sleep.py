"""The writer sleeps while nothing is pending, and no event finds it asleep for good."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

import pytest

from daemon.core.events import PositionUpdate
from tests.store.samples import NOW, open_store, position, query


async def test_event_when_it_comes_at_any_moment_is_written_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.writer._SLEEP_SECONDS", 3600.0)
    monkeypatch.setattr("daemon.store.writer.FLUSH_SECONDS", 0.004)
    store, random = open_store(tmp_path), Random(7)
    for number in range(1, 301):
        for _ in range(random.randrange(1, 4)):
            store.record_event(PositionUpdate(NOW, 101, position(number)))
            await asyncio.sleep(random.choice((0, 0, 0.001, 0.004, 0.006)))
        deadline = time.monotonic() + 10
        while query(store.path, "SELECT size FROM positions") != [(number,)]:
            assert time.monotonic() < deadline, f"event {number} is not written"
            await asyncio.sleep(0.001)
    assert await store.close()
