"""What persistence costs, beside its limits: the durable commit, the event path, the journal, the start.

The figures that decided how the store writes (docs/decisions/0061) come from here: the raw driver, the driver through a
thread, SQLAlchemy Core and SQLModel sessions, and the store itself, all in one run. Run with:
    uv run python -m tests.bench.bench_store [--dir FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import queue
import random
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session

from daemon import logs
from daemon.core.decisions import Act, Decision, Lock
from daemon.core.events import Event, OrderUpdate, PositionUpdate, Quote, TradesSnapshot, TradeUpdate
from daemon.journal import Journal, read_journal
from daemon.migrations.run import upgrade
from daemon.store import SavedState, Store
from daemon.store.database import connect
from daemon.store.rows import lockout_row
from daemon.store.statements import STATEMENTS
from daemon.view import View
from shared.config import HolidayCalendar, RiskConfig
from shared.schema import LockoutRow
from tests.store.samples import ES, MNQ, NOW, action, lockout, order, position, trade

COMMITS = 500


def show(name: str, value: str, limit: str = "") -> None:
    print(f"{name:<66} {value:>24}  {limit}")


def milliseconds(times: list[float]) -> str:
    times = sorted(times)
    return f"p50 {times[len(times) // 2] * 1e3:.3f}  p99 {times[int(len(times) * 0.99)] * 1e3:.3f} ms"


def raw_driver(path: Path) -> Callable[[int], object]:
    connection = connect(path)
    statements = STATEMENTS["lockouts"]

    def step(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(statements.upsert, statements.bind(lockout_row(lockout(number))))
        connection.execute("COMMIT")

    return step


def core(path: Path) -> Callable[[int], object]:
    engine = _engine(path)
    statement: Any = insert(LockoutRow.__table__)  # type: ignore[attr-defined]
    statement = statement.on_conflict_do_update(
        index_elements=["id"], set_={name: statement.excluded[name] for name in STATEMENTS["lockouts"].columns[1:]}
    )
    connection = engine.connect()

    def step(number: int) -> None:
        with connection.begin():
            connection.execute(statement, lockout_row(lockout(number)))

    return step


def sessions(path: Path) -> Callable[[int], object]:
    engine = _engine(path)

    def step(number: int) -> None:
        with Session(engine) as session:
            session.add(LockoutRow(**lockout_row(lockout(number))))
            session.commit()

    return step


def _engine(path: Path) -> Any:
    engine = create_engine(f"sqlite:///{path}")

    @event.listens_for(engine, "connect")
    def full(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")

    return engine


class BareThread:
    """The least that handing a commit to a thread and hearing of its end can cost."""

    def __init__(self, step: Callable[[int], object]) -> None:
        self._items: queue.SimpleQueue[tuple[int, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._step = step
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (item := self._items.get()) is not None:
            self._step(item[0])
            item[1].get_loop().call_soon_threadsafe(item[1].set_result, None)

    async def commit(self, number: int) -> None:
        future = asyncio.get_running_loop().create_future()
        self._items.put((number, future))
        await future

    def stop(self) -> None:
        self._items.put(None)
        self._thread.join()


def at_once(step: Callable[[int], object]) -> Callable[[int], Awaitable[object]]:
    async def commit(number: int) -> None:
        step(number)

    return commit


def store_commit(store: Store, actions: int) -> Callable[[int], Awaitable[object]]:
    async def commit(number: int) -> None:
        decisions: list[Decision] = [Lock(lockout(number)), *(Act(action(number * 10 + n)) for n in range(actions))]
        assert await store.commit(decisions, NOW)

    return commit


def stream(count: int) -> Iterator[Event]:
    """90 % quotes, 6 % orders, 2 % positions, 2 % trades."""
    chance = random.Random(7)
    at = NOW
    for number in range(count):
        at += chance.randint(100, 5_000)
        kind = chance.random()
        price = 21_000_000_000_000 + chance.randint(-400, 400) * 250_000_000
        account = 101 + number % 10
        if kind < 0.90:
            yield Quote(at, chance.choice((MNQ, ES)), price, price + 250_000_000, 0)
        elif kind < 0.96:
            yield OrderUpdate(at, account, order(number, stop_price=price, created_at=at, updated_at=at))
        elif kind < 0.98:
            yield PositionUpdate(at, account, position(chance.randint(-3, 3)))
        else:
            yield TradeUpdate(at, account, trade(number, created_at=at))


def per_event(events: list[Event], step: Callable[[Event], object]) -> str:
    gc.collect()
    began = time.perf_counter()
    for one in events:
        step(one)
    return f"{(time.perf_counter() - began) / len(events) * 1e6:.3f} us"


async def commits(folder: Path) -> None:
    """Every way in turn, commit by commit, so that a noisy disk is as noisy for all of them."""
    stores = [Store.open(folder / name / "state.db", on_alert=lambda _: None) for name in "abc"]
    view = View(folder / "public", stores[0].path)
    stores[0].mirror_to(view)
    paths = [folder / f"{name}.db" for name in ("driver", "core", "session", "thread", "core-thread")]
    for path in paths:
        upgrade(path)
    threads = [BareThread(raw_driver(paths[3])), BareThread(core(paths[4]))]
    busy = list(stream(2_000))

    async def after_a_burst(number: int) -> None:
        await store_commit(stores[2], 1)(number)

    ways: dict[str, tuple[Callable[[int], Awaitable[object]], str]] = {
        "lockout committed (FULL): sqlite3 driver": (at_once(raw_driver(paths[0])), ""),
        "  SQLAlchemy Core": (at_once(core(paths[1])), ""),
        "  SQLModel session": (at_once(sessions(paths[2])), ""),
        "  driver through a bare thread": (threads[0].commit, ""),
        "  SQLAlchemy Core through a bare thread": (threads[1].commit, ""),
        "Store.commit, a lockout and its log entry": (store_commit(stores[0], 0), "limit: p50 0.6 ms"),
        "  with 5 actions": (store_commit(stores[1], 5), ""),
        "  right after 2,000 events": (after_a_burst, ""),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(1, COMMITS + 1):
        for name, (commit, _) in ways.items():
            if commit is after_a_burst:
                for one in busy:
                    stores[2].record_event(one)
            began = time.perf_counter()
            await commit(number)
            times[name].append(time.perf_counter() - began)
    for name, (_, limit) in ways.items():
        show(name, milliseconds(times[name]), limit)
    for thread in threads:
        thread.stop()
    for store in stores:
        await store.close()
    view.close()


def event_path(folder: Path) -> None:
    events = list(stream(200_000))
    store = Store.open(folder / "path" / "state.db", on_alert=lambda _: None)
    show("Store.record_event, all kinds, writer at work", per_event(events, store.record_event), "limit: 1 us")
    asyncio.run(store.close(60))
    journal = Journal(folder / "journal", version="bench", on_alert=print)
    journal.start("2026-11-21", RiskConfig(), HolidayCalendar(), SavedState(), NOW)
    show("Journal.append, writer at work", per_event(events, journal.append), "limit: 1 us")
    journal.close(60)
    written = logs.setup(folder / "logs")
    from loguru import logger

    some = events[:20_000]
    show("a log line that is written (queued to its thread)", per_event(some, lambda _: logger.info("Closed {}.", 2)))
    show("a log call below the level", per_event(some, lambda _: logger.debug("{}", 2)))
    written.close(60)


def journal_day(folder: Path, count: int) -> None:
    journal = Journal(folder / "day", version="bench", on_alert=print)
    journal.start("2026-11-21", RiskConfig(), HolidayCalendar(), SavedState(), NOW)
    for number, one in enumerate(stream(count)):
        journal.append(one)
        if number % 100_000 == 0:
            time.sleep(0.05)
    journal.close(120)
    path = folder / "day" / "2026-11-21.jsonl.gz"
    size = path.stat().st_size
    show(f"journal of {count:,} events: size", f"{size / 1e6:.1f} MB, {size / count:.1f} bytes/event")
    began = time.perf_counter()
    found = sum(1 for _ in read_journal(path))
    show("  read and decoded", f"{time.perf_counter() - began:.2f} s", "limit: 25 s for 1,000,000")
    assert found == count + 2


def start(folder: Path) -> None:
    began = time.perf_counter()
    store = Store.open(folder / "start" / "state.db", on_alert=lambda _: None)
    show("open, nothing there (with Alembic's import)", f"{(time.perf_counter() - began) * 1e3:.0f} ms")
    store.record_event(TradesSnapshot(NOW, 101, NOW, 0, tuple(trade(number) for number in range(100_000))))
    for number in range(10):
        store.record_event(PositionUpdate(NOW, 101 + number, position()))
    asyncio.run(store.close(60))
    began = time.perf_counter()
    store = Store.open(folder / "start" / "state.db", on_alert=lambda _: None)
    opened = time.perf_counter()
    state = store.load(0)
    show("open and check, 100,000 trades", f"{(opened - began) * 1e3:.0f} ms", "start to monitoring: 3 s")
    show("  load them all", f"{(time.perf_counter() - opened) * 1e3:.0f} ms")
    assert len(state.trades[101]) == 100_000
    view = View(folder / "start-public", store.path)
    began = time.perf_counter()
    assert view.wait_ready(30)
    show("  replica made anew", f"{(time.perf_counter() - began) * 1e3:.0f} ms", "in its own thread")
    asyncio.run(store.close(60))
    view.close()


def main() -> None:
    """Run everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--dir", type=Path, default=None, help="where to write; the disk decides the figures")
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the journal's day")
    arguments = parser.parse_args()
    show(f"Python {sys.version.split()[0]}", "measured")
    with tempfile.TemporaryDirectory(dir=arguments.dir) as scratch, contextlib.suppress(KeyboardInterrupt):
        folder = Path(scratch)
        asyncio.run(commits(folder))
        event_path(folder)
        journal_day(folder, arguments.events)
        start(folder)


if __name__ == "__main__":
    main()
