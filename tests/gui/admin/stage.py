"""A real daemon on a simulated gateway, and the admin window on it, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QDialog

from daemon.simulator import Account, Login
from gui.admin_session import AdminSession
from gui.app_state import AppState
from gui.client import DaemonClient
from gui.settings import Settings
from gui.state_reader import StateReader
from gui.views.admin.page import AdminContext
from gui.views.admin.window import AdminWindow
from shared.rpc_client import RpcClient
from tests.scenarios.world import World, broker

RULES: dict[str, Any] = {
    "rules": {
        "max_contracts": {"limit": 5},
        "max_contracts_per_instrument": {"limits": {"MNQ": 2, "ES": 1}},
        "daily_realized_loss": {"limit": -500},
        "daily_unrealized_loss": {"limit": -300},
        "trade_frequency_limit": {"limits": {"per_minute": 3, "per_hour": 10}},
        "cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 300}]},
        "no_stop_loss_grace": {"enabled": False, "grace_period_seconds": 10},
        "session_block_outside": {
            "global_session": {"start": "09:30", "end": "16:00", "days": ["mon", "tue", "wed", "thu", "fri"]}
        },
        "symbol_blocks": {"blocked_symbols": ["RTY"]},
    },
    "accounts": {101: {"rules": {"daily_realized_loss": {"limit": -250}}}},
}


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A key store that ends with the test. `locked` makes every call fail."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def _check(self) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        self.kept.pop((service, username), None)


@contextlib.contextmanager
def key_store() -> Any:
    """Have the daemon use a key store in memory."""
    before = keyring.get_keyring()
    store = MemoryKeyring()
    keyring.set_keyring(store)
    try:
        yield store
    finally:
        keyring.set_keyring(before)


async def login(world: World) -> RpcClient:
    """A connection with an admin session; the caller closes it."""
    client = RpcClient(world.home.endpoint)
    await client.connect()
    await client.authenticate(world.home.admin_key.read_bytes())
    return client


@asynccontextmanager
async def daemon(
    folder: Path, risk: Mapping[str, Any] | None = None, *, accounts: tuple[int, ...] = (101, 102)
) -> AsyncIterator[World]:
    """A broker with accounts and a daemon on it."""
    logins = [Login("trader1", "key-of-trader1", [Account(number, f"50K-{number}") for number in accounts])]
    world = World(folder / "home", RULES if risk is None else risk, config=broker(logins))
    await world.open()
    try:
        await world.start()
        yield world
    finally:
        try:
            await world.stop()
        finally:
            await world.sim.stop()


@dataclass
class Stage:
    """The daemon and the window."""

    world: World
    window: AdminWindow
    session: AdminSession
    client: DaemonClient
    state: AppState
    app: QApplication
    keys: MemoryKeyring

    async def until(self, holds: Callable[[], Any], what: str = "", seconds: float = 10.0) -> Any:
        """Let Qt and the loop work until the condition is true; its value."""
        deadline = time.monotonic() + seconds
        while True:
            self.app.processEvents()
            value = holds()
            if value:
                return value
            if time.monotonic() > deadline:
                said = self.window.current.banner  # type: ignore[attr-defined]
                raise AssertionError(
                    f"not within {seconds} s: {what or holds}; banner: {said.headline.text()} {said.sentence.text()}"
                )
            await asyncio.sleep(0.005)

    async def settled(self) -> None:
        """Wait until the page on screen has nothing under way."""
        await asyncio.sleep(0)
        await self.until(lambda: not self.window.current.busy, "the page is idle")  # type: ignore[attr-defined]
        self.app.processEvents()

    async def go(self, key: str) -> Any:
        """Put a page on screen, loaded; the page."""
        self.window.go_to(key)
        await self.settled()
        return self.window.current

    async def dialog(self, kind: type[QDialog] = QDialog) -> Any:
        """The dialog that is on screen."""

        def shown() -> QDialog | None:
            found = [
                widget for widget in QApplication.topLevelWidgets() if isinstance(widget, kind) and widget.isVisible()
            ]
            return found[-1] if found else None

        return await self.until(shown, f"a {kind.__name__} is shown")

    def said(self) -> str:
        """What the banner of the page says."""
        banner = self.window.current.banner  # type: ignore[attr-defined]
        return "" if banner.isHidden() else f"{banner.headline.text()} {banner.sentence.text()}".strip()


@asynccontextmanager
async def stage(
    folder: Path, app: QApplication, risk: Mapping[str, Any] | None = None, **more: Any
) -> AsyncIterator[Stage]:
    """A daemon, and the window on it with its session open."""
    with key_store() as keys:
        async with daemon(folder, risk, **more) as world:
            state = AppState(time.monotonic)
            client = DaemonClient(world.home, state, StateReader(world.home))
            session = AdminSession(world.home, client.rpc)
            settings = Settings(folder / "settings.ini")
            window = AdminWindow(AdminContext(state, session, client, settings))
            made = Stage(world, window, session, client, state, app, keys)
            window.show()
            client.start()
            session.start()
            try:
                await made.until(lambda: session.open and state.accounts, "the session is open")
                await made.settled()
                yield made
            finally:
                window.end()
                window.close()
                await session.close()
                await client.close()
                window.deleteLater()
                app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
                app.processEvents()
