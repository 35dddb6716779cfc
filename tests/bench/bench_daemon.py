"""Start-up, memory and idle load of a real daemon with ten accounts, beside their limits.

Run with: uv run python -m tests.bench.bench_daemon
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from daemon.simulator import Account, Login, Simulator, SimulatorConfig
from shared.rpc_client import RpcClient
from tests.bench.bench_core import CONFIG
from tests.bench.daemon_process import end, ready, start, write_home

START_LIMIT_S = 3.0
MEMORY_LIMIT_MB = 140
CPU_LIMIT = 1.0
IDLE_SECONDS = 30
"""Two rounds of polls, whenever it begins."""


async def measure() -> int:
    """Print each figure beside its limit; 1 if one is missed."""
    logins = [
        Login("trader1", "key-1", [Account(101 + number) for number in range(5)]),
        Login("trader2", "key-2", [Account(201 + number) for number in range(5)]),
    ]
    async with Simulator(SimulatorConfig(logins=logins)) as simulator:
        with tempfile.TemporaryDirectory() as folder:
            home = write_home(Path(folder), simulator, CONFIG)
            began = time.monotonic()
            process = start(home)
            try:
                await ready(home, process)
                client = RpcClient(home.endpoint)
                await client.connect()
                status: Any = {}
                while status.get("status") != "healthy":
                    await asyncio.sleep(0.02)
                    status = await client.call("get_status")
                seconds = time.monotonic() - began
                await client.close()
                await asyncio.sleep(5)
                watched = psutil.Process(process.pid)
                before, at = watched.cpu_times(), time.monotonic()
                await asyncio.sleep(IDLE_SECONDS)
                after, passed = watched.cpu_times(), time.monotonic() - at
                cpu = (after.user + after.system - before.user - before.system) / passed * 100
                memory = watched.memory_info().rss / 2**20
            finally:
                await end(process)
    print(f"start to monitoring {len(status['accounts'])} accounts: {seconds:.2f} s (limit {START_LIMIT_S})")
    print(f"resident memory: {memory:.0f} MiB (limit {MEMORY_LIMIT_MB})")
    print(f"idle CPU over {IDLE_SECONDS} s: {cpu:.2f} % of a core (limit {CPU_LIMIT})")
    return 1 if seconds > START_LIMIT_S or memory > MEMORY_LIMIT_MB or cpu > CPU_LIMIT else 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(measure()))
