"""A real daemon over the simulated gateway, for tests of the GUI against the figures of both."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from daemon.simulator import Account, Login, Simulator, SimulatorConfig
from gui.app_state import AppState, Link
from gui.client import DaemonClient
from gui.settings import Settings
from gui.state_reader import StateReader
from gui.views.page import Context
from gui.views.trader.window import TraderWindow
from shared.paths import Home

START_SECONDS = 40.0

RULES: dict[str, Any] = {
    "max_contracts": {"limit": 5},
    "max_contracts_per_instrument": {"limits": {"MNQ": 2, "ES": 1, "NQ": 1}},
    "daily_realized_loss": {"limit": -500},
    "daily_unrealized_loss": {"limit": -300},
    "symbol_blocks": {"blocked_symbols": ["RTY"]},
    "daily_realized_profit": {"target": 100000},
}


@dataclass
class World:
    """The two programs and their home folder."""

    sim: Simulator
    home: Home
    process: subprocess.Popen[bytes]

    def stop_daemon(self) -> None:
        """End the daemon as its service would, and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def write_home(home: Home, sim: Simulator, login: Login, rules: dict[str, Any]) -> None:
    """Configuration that points at the simulator; port 0 so that tests never meet."""
    home.create()
    accounts = {
        "gateway": {"api_url": sim.api_url, "user_hub_url": sim.user_hub_url, "market_hub_url": sim.market_hub_url},
        "logins": [{"username": login.username, "api_key": login.api_key, "accounts": "all"}],
    }
    home.accounts_file.write_text(yaml.safe_dump(accounts), encoding="utf-8")
    risk = {"version": 1, "ipc": {"host": "127.0.0.1", "port": 0}, "rules": rules}
    home.risk_config_file.write_text(yaml.safe_dump(risk), encoding="utf-8")
    home.holidays_file.write_text("dates: {}\n", encoding="utf-8")


def start_daemon(home: Home) -> subprocess.Popen[bytes]:
    """`riskd run` in a session of its own, its output in `logs/console.txt`."""
    with (home.logs / "console.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "daemon", "run", "--home", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )


async def eventually(condition: Any, seconds: float = 10.0, what: str = "") -> None:
    """Wait until `condition()` is true. Raises AssertionError naming `what`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - conditions of other programs have no event
                await asyncio.sleep(0.01)
            return
    raise AssertionError(f"Not within {seconds} s: {what or condition}")


@asynccontextmanager
async def world(folder: Path, *, quotes_per_second: float = 20.0, rules: dict[str, Any] | None = None,
                accounts: int = 1) -> AsyncIterator[World]:  # fmt: skip
    """Simulator and daemon, ready to trade; both are ended afterwards."""
    login = Login("trader1", "key-1", [Account(101 + number) for number in range(accounts)])
    sim = Simulator(SimulatorConfig(seed=7, quotes_per_second=quotes_per_second, logins=[login]))
    await sim.start()
    home = Home(folder / "home")
    write_home(home, sim, login, RULES if rules is None else rules)
    process = start_daemon(home)
    made = World(sim, home, process)
    try:
        await eventually(
            lambda: home.endpoint.exists() or process.poll() is not None, START_SECONDS, "an endpoint file"
        )
        if process.poll() is not None:
            raise AssertionError((home.logs / "console.txt").read_text(encoding="utf-8")[-2000:])
        yield made
    finally:
        made.stop_daemon()
        await sim.stop()


class Desk:
    """A window and its client in the test's own loop: Qt's events are worked off by a task."""

    def __init__(self, home: Home, look: QApplication, settings: Settings, *, poll_seconds: float = 0.3) -> None:
        self.state = AppState(time.monotonic)
        self.client = DaemonClient(home, self.state, StateReader(home), poll_seconds=poll_seconds)
        self.window = TraderWindow(Context(self.state, self.client, settings), "0")
        self._look = look
        self._task: asyncio.Task[None] | None = None

    async def open(self, *accounts: int) -> None:
        """Show the window and wait until these accounts are watched by the daemon."""
        self.window.show()
        self.client.start()
        self._task = asyncio.create_task(self._pump())
        await eventually(lambda: self.state.link is Link.ONLINE, 20, "a connection")
        await eventually(lambda: all(self._watched(account) for account in accounts), 20, "watched accounts")

    def _watched(self, account: int) -> bool:
        view = self.state.view(account)
        return view is not None and view.account.monitored and view.lockouts is not None

    async def _pump(self) -> None:
        while True:
            self._look.processEvents()
            await asyncio.sleep(0.004)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self.client.close()
        self.window.refresher.close()
        self.window.close()
        self.window.deleteLater()
        self._look.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@asynccontextmanager
async def open_desk(
    home: Home, look: QApplication, settings: Settings, *accounts: int, poll_seconds: float = 0.3
) -> AsyncIterator[Desk]:
    """A window over the daemon of a home folder, connected, with these accounts watched; closed afterwards."""
    desk = Desk(home, look, settings, poll_seconds=poll_seconds)
    try:
        await desk.open(*accounts)
        yield desk
    finally:
        await desk.close()
