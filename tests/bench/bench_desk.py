"""A full desk: 20 accounts with 3 positions each, every rule on, 200 quotes a second. The figures of `bench_wire` and
`bench_daemon` there, beside the same limits.

Run with: uv run python -m tests.bench.bench_desk
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import tempfile
import time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil

from daemon.simulator import Account, Login, RequestRecord, SentFrame, Simulator, SimulatorConfig
from shared.config_fields import DAYS
from shared.rpc_client import RpcClient
from tests.bench.bench_core import EVERY_RULE
from tests.bench.bench_daemon import CPU_LIMIT, IDLE_SECONDS, MEMORY_LIMIT_MB, START_LIMIT_S
from tests.bench.bench_wire import P50_LIMIT_MS, P99_LIMIT_MS, percentiles
from tests.bench.daemon_process import end, ready, start, write_home

ACCOUNTS = range(101, 121)
HELD = ("MNQ", "ES", "NQ")
QUOTES_PER_SECOND = 200
BREACHES = 500
PER_LOGIN = 5
PAUSE_S = 0.25
"""Between two breaches: the daemon keeps every login within the gateway's 200 requests a minute."""


def every_rule(now: dt.datetime) -> dict[str, Any]:
    """All rules at limits that nothing reaches, at any hour: sessions that are open, a flatten in three days."""
    far = now.astimezone(ZoneInfo("America/New_York")) + dt.timedelta(days=3)
    rules = {key: dict(value) for key, value in EVERY_RULE.items()}
    rules["session_block_outside"] = {
        "global_session": {"start": "00:00", "end": "23:59", "days": list(DAYS)},
        "respect_holidays": False,
    }
    rules["scheduled_flatten"] = {"time": "12:00", "days": [DAYS[far.weekday()]]}
    return {"rules": rules}


class Desk:
    """The simulated desk, and the daemon that watches it."""

    def __init__(self, simulator: Simulator, process: psutil.Process) -> None:
        self.simulator = simulator
        self.process = process

    async def breaches(self) -> list[float]:
        """Milliseconds from the event that an account may not trade to the first of its three closes."""
        sent = 0
        closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def on_sent(frame: SentFrame) -> None:
            nonlocal sent
            if frame.kind == "account":
                sent = frame.sent_ns

        def on_request(record: RequestRecord) -> None:
            if record.path == "Position/closeContract" and not closed.done():
                closed.set_result(record.received_ns - sent)

        self.simulator.on_sent(on_sent)
        self.simulator.on_request(on_request)
        taken = []
        for number in range(BREACHES):
            account = ACCOUNTS[number % len(ACCOUNTS)]
            closed = asyncio.get_running_loop().create_future()
            self.simulator.set_can_trade(account, False)
            taken.append(await asyncio.wait_for(closed, 10) / 1e6)
            while self.simulator.positions(account):  # noqa: ASYNC110 - until another process has closed them
                await asyncio.sleep(0.002)
            self.simulator.set_can_trade(account, True)
            await asyncio.sleep(0.02)
            hold(self.simulator, account)
            await asyncio.sleep(PAUSE_S)
        self.simulator.on_sent(None)
        self.simulator.on_request(None)
        return taken

    async def load(self, seconds: float) -> float:
        """Per cent of a core."""
        before, at = self.process.cpu_times(), time.monotonic()
        await asyncio.sleep(seconds)
        after, passed = self.process.cpu_times(), time.monotonic() - at
        return (after.user + after.system - before.user - before.system) / passed * 100


def hold(simulator: Simulator, account: int) -> None:
    """Open the three positions of an account."""
    for symbol in HELD:
        simulator.trader(account).buy(symbol, 1)


async def healthy(home: Any) -> int:
    """Wait until all accounts are watched; returns how many."""
    client = RpcClient(home.endpoint)
    await client.connect()
    try:
        async with asyncio.timeout(60):
            while True:
                status: Any = await client.call("get_status")
                if status["status"] == "healthy":
                    return len(status["accounts"])
                await asyncio.sleep(0.02)
    finally:
        await client.close()


async def measure() -> int:
    """Print each figure beside its limit; 1 if one is missed."""
    # The simulated gateway keeps a record of all requests: collecting it is its own pause, not the daemon's.
    gc.disable()
    logins = [
        Login(f"trader{first}", "key", [Account(account) for account in range(first, first + PER_LOGIN)])
        for first in ACCOUNTS[::PER_LOGIN]
    ]
    config = SimulatorConfig(logins=logins, rate_limit=None, symbols=HELD, quotes_per_second=QUOTES_PER_SECOND)
    async with Simulator(config) as simulator:
        with tempfile.TemporaryDirectory() as folder:
            for account in ACCOUNTS:
                hold(simulator, account)
            home = write_home(Path(folder) / "home", simulator, every_rule(dt.datetime.now(dt.UTC)))
            began = time.monotonic()
            process = start(home)
            try:
                await ready(home, process)
                accounts = await healthy(home)
                seconds = time.monotonic() - began
                desk = Desk(simulator, psutil.Process(process.pid))
                await asyncio.sleep(5)
                busy = await desk.load(IDLE_SECONDS)
                p50, p99 = percentiles(await desk.breaches())
                memory = desk.process.memory_info().rss / 2**20
                simulator.set_quotes_per_second(0)
                await asyncio.sleep(75)  # until stale quotes have been told, and no entry is of the last minute
                idle = await desk.load(IDLE_SECONDS)
            finally:
                await end(process)
    print(f"{accounts} accounts x {len(HELD)} positions, all rules, {QUOTES_PER_SECOND} quotes/s, {len(logins)} logins")
    print(f"start to monitoring: {seconds:.2f} s (limit {START_LIMIT_S})")
    print(
        f"wire to wire, {BREACHES} breaches: p50 {p50:.2f} ms (limit {P50_LIMIT_MS}), p99 {p99:.2f} ms"
        f" (limit {P99_LIMIT_MS})"
    )
    print(f"resident memory: {memory:.0f} MiB (limit {MEMORY_LIMIT_MB})")
    print(
        f"CPU at {QUOTES_PER_SECOND} quotes/s: {busy:.2f} % of a core; without quotes {idle:.2f} % (limit {CPU_LIMIT})"
    )
    missed = (
        seconds > START_LIMIT_S,
        p50 > P50_LIMIT_MS,
        p99 > P99_LIMIT_MS,
        memory > MEMORY_LIMIT_MB,
        idle > CPU_LIMIT,
    )
    return 1 if any(missed) else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(measure()))
