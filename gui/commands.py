"""What the windows ask of the daemon's client, and the client that is loaded once the window is up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from gui.app_state import AppState
from gui.records import Lockout
from gui.state_reader import StateReader
from shared.paths import Home

if TYPE_CHECKING:
    from gui.client import DaemonClient


class CommandError(Exception):
    """A command was not carried out, or it is not known whether it was; one plain sentence."""


class Commands(Protocol):
    """See `gui.client.DaemonClient`."""

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something beside; its failure to reach the daemon is shown by the connection's state, not twice."""

    async def watch(self, account_id: int) -> None:
        """Fetch what is only shown for the chosen account: the day's trades, its curve, desk time."""

    async def older_entries(self, account_id: int | None, before_id: int | None) -> int:
        """Fetch the page of the enforcement log before an id; how many entries came."""
        ...

    async def lockout_history(self, account_id: int | None) -> list[Lockout]:
        """Active and past lockouts, newest first, from the daemon or else the replica; empty if neither can tell."""
        ...

    async def lock_account(
        self, account_id: int, *, minutes: int | None = None, until: datetime | None = None, reason: str = ""
    ) -> None:
        """The trader locks himself: for some minutes, or until a time (UTC). Raises CommandError."""


def _client_class() -> type[DaemonClient]:
    from gui.client import DaemonClient  # here, because it is what takes long

    return DaemonClient


class LateClient:
    """`Commands` from the first moment; the protocol's modules (a third of a second) load beside the painted window.

    What is asked before waits for them.
    """

    def __init__(self, home: Home, state: AppState) -> None:
        self._home, self._state = home, state
        self._ready: asyncio.Future[DaemonClient] | None = None
        self._tasks: set[asyncio.Future[None]] = set()

    def start(self) -> None:
        """Load, connect and stay connected. In a running loop."""
        self._task(self._load())

    async def _load(self) -> None:
        made = await asyncio.to_thread(_client_class)
        client = made(self._home, self._state, StateReader(self._home))
        client.start()
        self._loaded.set_result(client)

    @property
    def _loaded(self) -> asyncio.Future[DaemonClient]:
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
        return self._ready

    async def client(self) -> DaemonClient:
        """The client, as soon as it is there."""
        return await asyncio.shield(self._loaded)

    async def close(self) -> None:
        """End the connection and all that is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ready is not None and self._ready.done():
            await self._ready.result().close()

    def _task(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something beside; a failure to reach the daemon is shown by the connection's state, not twice."""
        self._task(self._spawned(work))

    async def _spawned(self, work: Awaitable[None]) -> None:
        (await self.client()).spawn(work)

    async def watch(self, account_id: int) -> None:
        await (await self.client()).watch(account_id)

    async def older_entries(self, account_id: int | None, before_id: int | None) -> int:
        return await (await self.client()).older_entries(account_id, before_id)

    async def lockout_history(self, account_id: int | None) -> list[Lockout]:
        return await (await self.client()).lockout_history(account_id)

    async def lock_account(
        self, account_id: int, *, minutes: int | None = None, until: datetime | None = None, reason: str = ""
    ) -> None:
        await (await self.client()).lock_account(account_id, minutes=minutes, until=until, reason=reason)
