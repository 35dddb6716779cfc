"""A recorded day of 1,000,000 events of 20 accounts, all rules on, replayed twice by the command; beside the limit.

Run with: uv run python -m tests.bench.bench_replay
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

from daemon.core.events import ContractSeen, Event, OrderUpdate
from daemon.journal import Journal
from daemon.snapshot import events_of, state_of
from shared.config import RiskConfig
from shared.models import OrderStatus
from tests.bench.bench_core import EVERY_RULE, prepared, stream
from tests.core.desk import CONTRACTS

EVENTS = 1_000_000
ACCOUNTS = 20
LIMIT_S = 60.0


def record(folder: Path) -> Path:
    """Write the day's journal. Every other account has limits that its day reaches, so that there is much to decide."""
    engine, at = prepared(ACCOUNTS, 3, EVERY_RULE)
    content = engine.config.model_dump(mode="json", exclude_none=True)
    tight = {
        "daily_realized_loss": {"limit": -2_000},
        "daily_realized_profit": {"target": 2_000},
        "daily_unrealized_loss": {"limit": -300},
        "cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -85, "cooldown_duration": 30}]},
    }
    content["accounts"] = {account: {"rules": tight} for account in range(1, ACCOUNTS + 1, 2)}
    config = RiskConfig.model_validate(content)
    journal = Journal(folder, version="bench", on_alert=lambda text: print(text, file=sys.stderr))
    journal.start("2026-11-18", config, engine.calendar, state_of(engine), at)
    start: list[Event] = [ContractSeen(at, contract) for contract in CONTRACTS]
    events = chain(start, events_of(engine), with_orders_that_end(stream(EVENTS, ACCOUNTS, 3, at)))
    for number, event in enumerate(events):
        journal.append(event)
        if number % 100_000 == 99_999:
            time.sleep(1.5)  # a day's events do not come within a second: more than a million waiting would be dropped
    if not journal.close(300):
        raise SystemExit("The journal could not be written in time.")
    return folder / "2026-11-18.jsonl.gz"


def with_orders_that_end(events: list[Event]) -> Iterator[Event]:
    """The events, but each account has at most two orders working at a time, as a trader has: new, then filled."""
    working: dict[int, list[int]] = {}
    for number, event in enumerate(events):
        if isinstance(event, OrderUpdate):
            held = working.setdefault(event.account_id, [])
            if len(held) < 2:
                held.append(number + 1)
                event.order = replace(event.order, order_id=number + 1, status=OrderStatus.OPEN)
            else:
                event.order = replace(event.order, order_id=held.pop(0), status=OrderStatus.FILLED)
        yield event


def replayed(journal: Path) -> tuple[float, bytes]:
    """Seconds and output of `riskd replay`, the start of the program included."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "replay", str(journal)], capture_output=True, check=True, timeout=600
    )
    return time.monotonic() - began, done.stdout


def main() -> int:
    """Print the figures beside the limit; 1 if one is missed."""
    with tempfile.TemporaryDirectory() as folder:
        journal = record(Path(folder))
        size = journal.stat().st_size / 2**20
        runs = [replayed(journal) for _ in range(2)]
    slowest = max(seconds for seconds, _ in runs)
    same = runs[0][1] == runs[1][1]
    lines = runs[0][1].decode().splitlines()
    print(f"journal of {EVENTS:,} events: {size:.1f} MiB")
    print(f"replay: {slowest:.1f} s (limit {LIMIT_S:.0f}), {EVENTS / slowest:,.0f} events/s; {lines[-1]}")
    print(f"twice byte-identical: {same} (sha256 {hashlib.sha256(runs[0][1]).hexdigest()[:16]})")
    return 0 if slowest <= LIMIT_S and same and len(lines) > 10 else 1


if __name__ == "__main__":
    raise SystemExit(main())
