"""Wire to wire: from the event as the simulated gateway sends it to the close request as it receives it.

500 breaches, each with a lockout committed to disk in between, against a real daemon in its own process; beside it, in
the same run, what an httpx POST and a durable commit cost here. Run with: uv run python -m tests.bench.bench_wire
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from daemon.simulator import Account, Login, RequestRecord, SentFrame, Simulator, SimulatorConfig
from tests.bench.daemon_process import running

BREACHES = 500
P50_LIMIT_MS = 3.0
P99_LIMIT_MS = 8.0
ACCOUNTS = range(101, 117)
"""One login each: the daemon keeps every login within the gateway's 200 requests a minute."""

REFERENCE = """
import asyncio, sys, time, httpx
async def main(url):
    async with httpx.AsyncClient() as client:
        taken = []
        for _ in range(400):
            started = time.perf_counter()
            await client.post(url, json={"userName": "nobody", "apiKey": "x"})
            taken.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.002)
        taken.sort()
        print(taken[200], taken[396])
asyncio.run(main(sys.argv[1]))
"""


def percentiles(taken: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    ordered = sorted(taken)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def durable_commit(folder: Path) -> tuple[float, float]:
    """p50 and p99 of a raw SQLite commit with synchronous=FULL, milliseconds."""
    connection = sqlite3.connect(folder / "reference.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t (a TEXT)")
    taken = []
    for number in range(500):
        started = time.perf_counter()
        connection.execute("BEGIN")
        connection.execute("INSERT INTO t VALUES (?)", (f"row {number}" * 20,))
        connection.execute("COMMIT")
        taken.append((time.perf_counter() - started) * 1000)
    connection.close()
    return percentiles(taken)


async def breaches(simulator: Simulator) -> list[float]:
    """Milliseconds of each breach."""
    loop = asyncio.get_running_loop()
    sent = 0
    closed: asyncio.Future[int] = loop.create_future()

    def on_sent(frame: SentFrame) -> None:
        nonlocal sent
        if frame.kind == "account":
            sent = frame.sent_ns

    def on_request(record: RequestRecord) -> None:
        if record.path == "Position/closeContract" and not closed.done():
            closed.set_result(record.received_ns - sent)

    simulator.on_sent(on_sent)
    simulator.on_request(on_request)
    taken = []
    for number in range(BREACHES):
        account = ACCOUNTS[number % len(ACCOUNTS)]
        closed = loop.create_future()
        simulator.trader(account).buy("MNQ", 1)
        await asyncio.sleep(0.02)
        simulator.set_can_trade(account, False)
        taken.append(await asyncio.wait_for(closed, 10) / 1e6)
        while simulator.positions(account):  # noqa: ASYNC110 - until another process has closed it
            await asyncio.sleep(0.002)
        simulator.set_can_trade(account, True)
        await asyncio.sleep(0.02)
    simulator.on_sent(None)
    simulator.on_request(None)
    return taken


async def measure() -> int:
    """Print each figure beside its limit; 1 if one is missed."""
    # The simulated gateway keeps a record of all requests: collecting it is its own pause, not the daemon's.
    gc.disable()
    logins = [Login(f"trader{account}", "key", [Account(account)]) for account in ACCOUNTS]
    config = SimulatorConfig(logins=logins, rate_limit=None)
    async with Simulator(config) as simulator:
        with tempfile.TemporaryDirectory() as folder:
            commit = durable_commit(Path(folder))
            url = f"{simulator.api_url}/Auth/loginKey"
            reference = await asyncio.create_subprocess_exec(
                sys.executable, "-c", REFERENCE, url, stdout=subprocess.PIPE
            )
            answer, _ = await asyncio.wait_for(reference.communicate(), 60)
            post = [float(part) for part in answer.split()]
            async with running(Path(folder) / "home", simulator, {"rules": {"auth_loss_guard": {"enabled": True}}}):
                p50, p99 = percentiles(await breaches(simulator))
    print(f"httpx POST alone:            p50 {post[0]:.2f} ms, p99 {post[1]:.2f} ms")
    print(f"durable commit alone:        p50 {commit[0]:.2f} ms, p99 {commit[1]:.2f} ms")
    print(
        f"wire to wire, {BREACHES} breaches:  p50 {p50:.2f} ms (limit {P50_LIMIT_MS}), p99 {p99:.2f} ms"
        f" (limit {P99_LIMIT_MS}); x {p50 / (post[0] + commit[0]):.2f} of POST + commit"
    )
    return 1 if p50 > P50_LIMIT_MS or p99 > P99_LIMIT_MS else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(measure()))
