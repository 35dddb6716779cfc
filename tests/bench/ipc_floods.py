"""What a neighbour on the same machine costs protection: enforcement beside floods of the socket.

    uv run python -m tests.bench.ipc_floods [--seconds S] [FLOOD ...]

The daemon, the flood and the simulated broker are a process each. Printed for each flood: the time from a forbidden
fill until the broker has closed the position, as its ratio to the time without a flood, and how long another program,
which asks four times a second and connects anew once a second, waits for its answers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from daemon.simulator import Account, Login, Simulator, SimulatorConfig
from shared.paths import Home
from shared.protocol import MAX_LINE, RpcError
from shared.rpc_client import RpcClient, UnreachableError
from shared.rpc_methods import PUBLIC_TOPICS
from tests.bench import daemon_process

TRADES = 400
ENFORCED = range(201, 213)
"""Accounts that buy in turn what is forbidden. Each has a login of its own, for the gateway bounds requests a login."""
TURN = itertools.cycle(ENFORCED)
RISK = {"rules": {"daily_realized_loss": {"limit": -50_000}, "symbol_blocks": {"blocked_symbols": ["RTY"]}}}


def call(method: str, params: dict[str, Any] | None = None, *, notify: bool = False) -> bytes:
    """A request's line."""
    head: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return json.dumps(head if notify else {**head, "id": 1}).encode() + b"\n"


OF_101 = {"account_id": 101}
LINES: dict[str, bytes] = {
    "get_status": call("get_status"),
    "get_trades": call("get_trades", OF_101),
    "get_trades, no id": call("get_trades", OF_101, notify=True),
    "get_pnl_curve": call("get_pnl_curve", OF_101),
    "get_rules": call("get_rules", OF_101),
    "get_enforcement_log": call("get_enforcement_log", {"limit": 1000}),
    "get_lockout_history": call("get_lockout_history"),
    "subscribe to all": call("subscribe", {"topics": list(PUBLIC_TOPICS)}),
    "lines of 1 MiB": b'{"a":[' + b"[]," * 19_000 + b'"' + b"x" * (MAX_LINE - 60_000) + b'"]}\n',
    "deep nesting": b"[" * 1000 + b"]" * 1000 + b"\n",
    "nonsense": b"x\n" * 200,
}
"""What is sent over each of eight connections, twenty times in 20 ms."""
OTHERS = ("lock_account", "connections", "26 subscribers", "a busy core")
"""The last one does not touch the socket: it shows what any busy program on the machine costs."""


async def flood(host: str, port: int, kind: str, seconds: float) -> None:
    """In the process of its own."""
    stop = time.monotonic() + seconds
    count = 0

    async def connection(lines: Callable[[], bytes], pause: float) -> None:
        while time.monotonic() < stop:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(host, port, limit=2**24)

                async def read(reader: asyncio.StreamReader = reader) -> None:
                    while await reader.read(2**20):
                        pass

                reading = asyncio.create_task(read())
                try:
                    while time.monotonic() < stop and not reading.done():
                        writer.write(lines())
                        await writer.drain()
                        await asyncio.sleep(pause)
                finally:
                    reading.cancel()
                    writer.transport.abort()
            await asyncio.sleep(0.01)

    async def connecting() -> None:
        while time.monotonic() < stop:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.transport.abort()

    def locks() -> bytes:
        nonlocal count
        count += 1
        until = datetime(2027, 1, 4, tzinfo=UTC) + timedelta(seconds=count)
        return call("lock_account", {"account_id": 103, "until": until.isoformat(), "reason": "x" * 500}, notify=True)

    if kind == "a busy core":
        while time.monotonic() < stop:
            pass
    elif kind == "connections":
        await asyncio.gather(*(connecting() for _ in range(8)))
    elif kind == "26 subscribers":
        await asyncio.gather(*(connection(lambda: LINES["subscribe to all"], 3600.0) for _ in range(26)))
    elif kind == "lock_account":
        await asyncio.gather(*(connection(locks, 0.002) for _ in range(8)))
    else:
        await asyncio.gather(*(connection(lambda: LINES[kind] * 20, 0.02) for _ in range(8)))


async def eventually(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Waits until it holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.0005)


async def closes(simulator: Simulator, stop: float) -> list[float]:
    """Buys what is forbidden again and again; seconds until the broker has closed it."""
    took = []
    while time.monotonic() < stop:
        account = next(TURN)
        began = time.perf_counter()
        simulator.trader(account).buy("RTY", 1)
        await eventually(partial(_flat, simulator, account))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.15)
    return took


def _flat(simulator: Simulator, account: int) -> bool:
    return not simulator.positions(account)


async def answers(home: Home, stop: float) -> tuple[list[float], list[float], list[float]]:
    """Seconds until a program that behaves was answered: a call, a new connection with subscription, an admin's."""
    asked: list[float] = []
    connected: list[float] = []
    signed: list[float] = []

    async def timed(into: list[float], once: Callable[[], Awaitable[object]]) -> None:
        began = time.perf_counter()
        with contextlib.suppress(RpcError, TimeoutError, OSError):
            await once()
        into.append(time.perf_counter() - began)

    async with contextlib.AsyncExitStack() as stack:
        tray, admin = RpcClient(home.endpoint), RpcClient(home.endpoint)
        for client in (tray, admin):
            client.start()
            stack.push_async_callback(client.close)
            await client.wait_connected(20.0)
        await admin.authenticate(home.admin_key.read_bytes())
        await tray.subscribe(["accounts"], lambda _: None)

        async def anew() -> None:
            while True:
                client = RpcClient(home.endpoint)
                try:
                    await client.connect()
                    await client.subscribe(list(PUBLIC_TOPICS), lambda _: None)
                    return
                except UnreachableError:  # it had to give way while its place was contested: a tray tries again
                    await asyncio.sleep(0.05)
                finally:
                    await client.close()

        number = 0
        while time.monotonic() < stop:
            await timed(asked, lambda: tray.call("get_pnl", OF_101))
            await timed(signed, lambda: admin.call("get_config"))
            if number % 4 == 0:
                await timed(connected, anew)
            number += 1
            await asyncio.sleep(0.25)
    return asked, connected, signed


def span(samples: list[float]) -> str:
    """Median and worst, milliseconds."""
    return f"{statistics.median(samples) * 1e3:6.0f} / {max(samples) * 1e3:5.0f}" if samples else f"{'-':>14}"


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, start_new_session=True)


async def measured(kinds: list[str], seconds: float) -> None:
    """Prints a row for each flood."""
    logins = [Login("trader", "key", [Account(number, f"ACC-{number}") for number in (101, 103)])]
    logins += [Login(f"trader{number}", "key", [Account(number, f"ACC-{number}")]) for number in ENFORCED]
    simulator = Simulator(SimulatorConfig(logins=logins, rate_limit=None, start=datetime.now(UTC)))
    await simulator.start()
    with tempfile.TemporaryDirectory() as folder:
        home = daemon_process.write_home(Path(folder), simulator, RISK)
        process = daemon_process.start(home)
        try:
            endpoint = await daemon_process.ready(home, process)
            client = RpcClient(home.endpoint)
            client.start()
            await client.wait_connected(20.0)
            for _ in range(TRADES):
                simulator.inject_trade(101, "NQ", 1)

            async def count() -> int:
                row: Any = await client.call("get_pnl", OF_101)
                return int(row["trade_count"])

            async with asyncio.timeout(60):
                while await count() < TRADES:  # noqa: ASYNC110 - another process is asked
                    await asyncio.sleep(0.1)
            await client.close()
            print(
                "beside                 fill -> closed, median / worst        tray's call   new tray     admin's call"
            )
            base: list[float] = []
            for kind in ["nothing", *kinds]:
                words = [sys.executable, "-m", "tests.bench.ipc_floods", "--at", endpoint["host"]]
                words += ["--port", str(endpoint["port"]), "--seconds", str(seconds + 2), kind]
                flooding = None if kind == "nothing" else await asyncio.to_thread(_start, words)
                try:
                    if flooding is not None:
                        await asyncio.sleep(1.5)
                    stop = time.monotonic() + seconds
                    took, (asked, anew, signed) = await asyncio.gather(closes(simulator, stop), answers(home, stop))
                finally:
                    if flooding is not None:
                        flooding.kill()
                        flooding.wait(10)
                base = base or took
                ratios = f"x {statistics.median(took) / statistics.median(base):4.1f} / {max(took) / max(base):4.1f}"
                row = f"{kind:<21}{span(took)} ms   {ratios}   {span(asked)} {span(anew)} {span(signed)} ms"
                print(row, flush=True)
                await asyncio.sleep(0.5)
        finally:
            await daemon_process.end(process)
            await simulator.stop()


def main() -> int:
    """Both ends: without --at, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("floods", nargs="*", choices=[[], *LINES, *OTHERS], metavar="FLOOD", help="default: all")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each flood")
    parser.add_argument("--at", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.at is not None:
        asyncio.run(flood(options.at, options.port, options.floods[0], options.seconds))
    else:
        asyncio.run(measured(options.floods or [*LINES, *OTHERS], options.seconds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
