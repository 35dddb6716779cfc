"""A real daemon in a process of its own, on a home folder made for it, against a simulator in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from daemon.simulator import Simulator
from shared.paths import Home


def write_home(folder: Path, simulator: Simulator, risk: Mapping[str, Any]) -> Home:
    """A home folder whose logins are the simulator's."""
    home = Home(folder)
    home.create()
    accounts = {
        "gateway": {
            "api_url": simulator.api_url,
            "user_hub_url": simulator.user_hub_url,
            "market_hub_url": simulator.market_hub_url,
        },
        "logins": [{"username": login.username, "api_key": login.api_key} for login in simulator.config.logins],
    }
    for path, content in (
        (home.accounts_file, accounts),
        (home.risk_config_file, {"ipc": {"port": 0}, **risk}),
        (home.holidays_file, {"dates": {}}),
    ):
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        path.chmod(0o600)
    return home


def start(home: Home, *words: str) -> subprocess.Popen[bytes]:
    """`riskd run` in its own session, output to a file in the logs folder."""
    output = (home.logs / "output.txt").open("ab")
    with output:
        return subprocess.Popen(
            [sys.executable, "-m", "daemon", "run", "--home", str(home.root), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "RISK_MANAGER_REQUIRE_LOOPBACK": "1"},
        )


async def ready(home: Home, process: subprocess.Popen[bytes], seconds: float = 30.0) -> dict[str, Any]:
    """The endpoint of this process, once it is published."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline:
        with contextlib.suppress(OSError, ValueError):
            endpoint: dict[str, Any] = json.loads(home.endpoint.read_text(encoding="utf-8"))
            if endpoint["pid"] == process.pid:
                return endpoint
        if process.poll() is not None:
            break
        await asyncio.sleep(0.01)
    raise RuntimeError(f"The daemon is not ready:\n{(home.logs / 'output.txt').read_text(encoding='utf-8')}")


async def end(process: subprocess.Popen[bytes], seconds: float = 20.0) -> int:
    """Ask it to stop, wait, and kill it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return await asyncio.to_thread(process.wait, seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return await asyncio.to_thread(process.wait)


@contextlib.asynccontextmanager
async def running(folder: Path, simulator: Simulator, risk: Mapping[str, Any]) -> AsyncIterator[tuple[Home, int]]:
    """A ready daemon; gives its home and its process id."""
    home = write_home(folder, simulator, risk)
    process = start(home)
    try:
        await ready(home, process)
        yield home, process.pid
    finally:
        await end(process)
