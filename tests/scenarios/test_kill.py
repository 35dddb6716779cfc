"""kill -9 of a real daemon process during enforcements, and what the next start makes of it."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Account, Login, RequestRecord, Simulator
from shared.paths import Home
from tests.scenarios.fork_server import ForkServer, alive, fork_server
from tests.scenarios.world import broker, eventually, write_home

POINTS = 56
SIDE_BY_SIDE = 4
ACCOUNTS = (101, 102, 201)
RISK = {
    "rules": {"daily_realized_loss": {"limit": -500}, "max_contracts_per_instrument": {"limits": {"MNQ": 3, "ES": 1}}}
}
MUTATIONS = {"Position/closeContract", "Position/partialCloseContract", "Order/cancel"}


class Bed:
    """A broker, a home folder, and daemons on it one after the other."""

    def __init__(self, folder: Path, server: ForkServer) -> None:
        self.server = server
        logins = [
            Login("trader1", "key-1", [Account(101), Account(102)]),
            Login("trader2", "key-2", [Account(201)]),
        ]
        self.sim = Simulator(broker(logins))
        self.folder = folder
        self.home = Home(folder)
        self.pid = 0

    async def open(self) -> None:
        """Start the broker, write the home folder."""
        await self.sim.start()
        self.folder.mkdir()
        self.home = write_home(self.folder, self.sim, RISK)

    async def close(self) -> None:
        """End all."""
        self.server.kill(self.pid)
        await self.sim.stop()

    async def start(self, **order: Any) -> None:
        """A daemon that is connected to every account."""
        self.pid = await self.server.start(self.home, **order)

    def output(self) -> str:
        """What the daemons printed."""
        return (self.home.logs / "output.txt").read_text(encoding="utf-8")

    async def watching(self) -> None:
        """Wait until the daemon has published its endpoint."""

        def ready() -> bool:
            if not alive(self.pid):
                raise AssertionError(f"the daemon ended:\n{self.output()}")
            try:
                return bool(json.loads(self.home.endpoint.read_text(encoding="utf-8"))["pid"] == self.pid)
            except (OSError, ValueError):
                return False

        await eventually(ready, "the daemon is ready", 30)

    def trade(self) -> None:
        """Every account holds two positions and has two orders working; one holds more than its limit of MNQ."""
        bid = Decimal(str(self.sim.quote("MNQ")[0]))
        for account in ACCOUNTS:
            trader = self.sim.trader(account)
            trader.buy("MNQ", 3)
            trader.buy("ES", 1)
            trader.sell("MNQ", 3, kind="stop", stop=bid - 50)
            trader.buy("ES", 1, kind="limit", limit=Decimal(str(self.sim.quote("ES")[0])) - 40)

    def lose(self, account: int) -> None:
        """The account's day is lost."""
        self.sim.inject_trade(account, "NQ", -600)

    def flat(self, account: int) -> bool:
        """Nothing held, nothing working."""
        return not self.sim.positions(account) and not self.sim.working_orders(account)

    def locked(self) -> set[int]:
        """Accounts with a hard lockout on disk."""
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT account_id FROM lockouts WHERE kind = 'hard' AND cleared_at IS NULL")
            return {row[0] for row in rows}

    def check(self) -> None:
        """Never flipped, nothing closed twice, one lockout an account, the database whole."""
        for account in ACCOUNTS:
            assert self.sim.extremes(account, "MNQ") == (0, 3)
            assert self.sim.extremes(account, "ES") == (0, 1)
        with closing(sqlite3.connect(self.home.database)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("PRAGMA foreign_key_check").fetchall() == []
            locks = database.execute("SELECT account_id, rule_id FROM lockouts ORDER BY account_id").fetchall()
            assert locks == [(account, "RULE-003") for account in ACCOUNTS]


async def _one(folder: Path, server: ForkServer, seed: int) -> str:
    """Kill at a random moment of an enforcement of three accounts, start again; says how far it had come."""
    chance = random.Random(seed)
    bed = Bed(folder, server)
    await bed.open()
    try:
        await bed.start()
        await bed.watching()
        bed.trade()
        await asyncio.sleep(0.05)
        for account in chance.sample(ACCOUNTS, 3):
            bed.lose(account)
        await asyncio.sleep(chance.uniform(0.0, 0.015))
        server.kill(bed.pid)
        await server.killed(bed.pid)
        before = len(bed.locked())
        sent = sum(1 for request in bed.sim.requests if request.path in MUTATIONS)
        for request in bed.sim.requests:
            if request.path in MUTATIONS:
                # Law 2: whatever was sent, its lockout had been committed before.
                assert request.account_id in bed.locked()
        await bed.start()
        await eventually(lambda: all(map(bed.flat, ACCOUNTS)), f"flat after seed {seed}", 20)
        await eventually(lambda: bed.locked() == set(ACCOUNTS), f"locked after seed {seed}", 20)
        # What comes later is taken back too.
        await bed.watching()
        bed.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: bed.flat(101) and bed.sim.trades(101)[-1].pnl is not None, "flat again", 20)
        server.kill(bed.pid)
        await server.killed(bed.pid)
        bed.check()
        return f"{before} of 3 locked, {sent} requests sent"
    finally:
        await bed.close()


@pytest.mark.timeout(300)
async def test_daemon_killed_at_random_moments_is_flat_and_locked_after_the_next_start(tmp_path: Path) -> None:
    async with fork_server(tmp_path / "fork_server.txt") as server:
        places = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(seed: int) -> str:
            async with places:
                return await _one(tmp_path / f"home{seed}", server, seed)

        outcomes = await asyncio.gather(*(one(seed) for seed in range(POINTS)))
    assert len(outcomes) >= 50
    # The points must lie before, within and after the enforcement, or the test says nothing.
    assert len(set(outcomes)) >= 4, outcomes


async def test_case_9_daemon_killed_between_the_lockout_and_the_first_close_closes_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with fork_server(tmp_path / "fork_server.txt") as server:
        bed = Bed(tmp_path / "home", server)
        await bed.open()
        try:
            await bed.start(die_before_sending=True)
            await bed.watching()
            bed.trade()
            await asyncio.sleep(0.1)
            bed.lose(101)
            await server.killed(bed.pid)
            assert bed.locked() == {101}
            assert not [r for r in bed.sim.requests if r.path in MUTATIONS]
            assert {holding.symbol for holding in bed.sim.positions(101)} == {"MNQ", "ES"}
            seen: list[RequestRecord] = []
            bed.sim.on_request(seen.append)
            await bed.start()
            await eventually(lambda: bed.flat(101), "flat", 20)
            closes = [request for request in seen if request.path == "Position/closeContract"]
            assert {request.account_id for request in closes} == {101}
            assert not bed.flat(102), "another account is left alone"
            for account in (102, 201):
                bed.lose(account)
            await eventually(lambda: all(map(bed.flat, ACCOUNTS)), "all flat", 20)
            await eventually(lambda: bed.locked() == set(ACCOUNTS), "all locked", 20)
            server.kill(bed.pid)
            await server.killed(bed.pid)
            bed.check()
        finally:
            await bed.close()
