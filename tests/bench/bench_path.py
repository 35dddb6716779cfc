"""Events a second through the whole event path with production logging: judged, kept, shown in the replica.

The mix of `bench_core`, one account with two positions; no journal. Run with: uv run python -m tests.bench.bench_path
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from daemon import logs
from daemon.announcer import Announcer
from daemon.dispatcher import Dispatcher
from daemon.store import Store
from daemon.view import View
from tests.bench.bench_core import prepared, stream

LIMIT = 30_000
EVENTS = 150_000
BURST = 500
"""Events delivered between two turns of the event loop."""


async def measure() -> int:
    """Print the figure beside its limit; 1 if it is missed."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        written = logs.setup(root / "logs", level="INFO", public=root / "public")
        store = await asyncio.to_thread(Store.open, root / "data" / "state.db", on_alert=print)
        view = View(root / "public", root / "data" / "state.db")
        store.mirror_to(view)
        engine, at = prepared(1, 2)
        row: dict[str, Any] = {}
        announcer = Announcer(engine, store, replica=view, activity=logs.activity, account_row=lambda account: row)
        dispatcher = Dispatcher(engine, store, listeners=[announcer])
        dispatcher.start()
        events = stream(EVENTS, 1, 2, at)
        started = time.perf_counter()
        for number, event in enumerate(events):
            dispatcher.deliver(event)
            if number % BURST == 0:
                await asyncio.sleep(0)
        await store.flush()
        rate = EVENTS / (time.perf_counter() - started)
        await dispatcher.stop()
        announcer.close()
        await store.close()
        view.close()
        written.close()
    print(f"event path, eight rules, logs and database on disk: {rate:,.0f} events/s (limit {LIMIT:,})")
    return 1 if rate < LIMIT else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(measure()))
