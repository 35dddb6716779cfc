"""Keeps one hub connected, whatever breaks.

pysignalr's own reconnect re-uses a connection id that the gateway no longer knows, has a budget of ten for its whole
life, and can leave a dead task behind a flag that says 'connected'. So a connection that ends, falls silent or does
not come up in time is thrown away, and a new one is negotiated: the first at once, then with growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from random import Random
from typing import Any, Protocol

from daemon.gateway.timings import Timings

_log = logging.getLogger(__name__)


class HubKind(StrEnum):
    """The gateway's two hubs; also the `channel` of `ConnectionChanged`."""

    USER = "user"
    MARKET = "market"


class HubState(StrEnum):
    """Where a hub is."""

    OFF = "off"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    UP = "up"
    WAITING = "waiting"
    """Down; the next try is due after a pause."""


class HubError(Exception):
    """A hub could not be opened, or ended. `unauthorized`: the token was refused."""

    def __init__(self, message: str, *, unauthorized: bool = False) -> None:
        super().__init__(message)
        self.unauthorized = unauthorized


class Link(Protocol):
    """One connection attempt; see `projectx.HubLink`."""

    async def open(self) -> None:
        """Raises HubError."""

    async def send(self, method: str, arguments: list[Any]) -> None:
        """Raises HubError."""

    async def ended(self) -> HubError:
        """Why it ended, once it has."""

    def silent_for(self) -> float:
        """Seconds since the last frame."""

    async def close(self) -> None:
        """Never raises."""


class HubSupervisor:
    """Runs one hub.

    Args:
        name: for logs.
        connect: makes a new link with the token of the moment; may wait for one.
        subscribe: sends the subscriptions over a fresh link.
        on_up: called when subscriptions are sent.
        on_down: called with the reason when a hub that was up no longer is, and once when the first tries fail.
        on_unauthorized: awaited when the token was refused, before the next try.
        timings: bounds and pauses.
        random: for the jitter.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[], Awaitable[Link]],
        subscribe: Callable[[Link], Awaitable[None]],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_unauthorized: Callable[[], Awaitable[None]],
        timings: Timings,
        random: Random,
    ) -> None:
        self._name = name
        self._connect = connect
        self._subscribe = subscribe
        self._on_up = on_up
        self._on_down = on_down
        self._on_unauthorized = on_unauthorized
        self._timings = timings
        self._random = random
        self._task: asyncio.Task[None] | None = None
        self._rebuild: asyncio.Future[str] | None = None
        self._wake = asyncio.Event()
        self._stale = ""
        self._attempt = 0
        self._reported_down = False
        self.state = HubState.OFF
        self.reason = ""
        self.link: Link | None = None
        self.down_since: float | None = None

    @property
    def up(self) -> bool:
        """Whether it is connected and subscribed."""
        return self.state is HubState.UP

    @property
    def running(self) -> bool:
        """Whether it is to be connected at all."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start keeping it connected."""
        if not self.running:
            self._attempt = 0
            self._reported_down = False
            self.down_since = asyncio.get_running_loop().time()
            self._task = asyncio.create_task(self._run(), name=f"hub {self._name}")

    async def stop(self) -> None:
        """Disconnect and stay so."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=self._timings.hub_stop * 2)
        self.state = HubState.OFF

    def rebuild(self, reason: str) -> None:
        """Throw the connection away and make a new one at once."""
        self._attempt = 0
        self._stale = reason
        if self._rebuild is not None and not self._rebuild.done():
            self._rebuild.set_result(reason)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                await self._once()
            except Exception as error:  # noqa: BLE001 - logged, and the rest goes on
                # A fault of ours must not end the supervision of real money.
                _log.exception("The supervision of hub %s failed; it goes on", self._name)
                self._went_down(f"internal fault: {type(error).__name__}")
            await self._pause()

    async def _once(self) -> None:
        loop = asyncio.get_running_loop()
        self.state = HubState.CONNECTING
        self._wake.clear()
        self._stale = ""
        link = await self._connect()
        try:
            try:
                async with asyncio.timeout(self._timings.hub_open):
                    await link.open()
                self.state = HubState.SUBSCRIBING
                async with asyncio.timeout(self._timings.hub_subscribe):
                    await self._subscribe(link)
            except TimeoutError:
                what = "subscriptions were not taken" if self.state is HubState.SUBSCRIBING else "no handshake"
                self._went_down(f"{what} in time")
                return
            except HubError as error:
                self._went_down(str(error))
                if error.unauthorized:
                    await self._on_unauthorized()
                return
            self.state, self.reason, self.link = HubState.UP, "", link
            self._reported_down, self.down_since = False, None
            since = loop.time()
            self._on_up()
            reason = await self._until_down(link)
            self.link = None
            stable = loop.time() - since >= self._timings.hub_stable
            # One that comes up and drops again is worth trying again soon: each time it brings what has happened.
            self._attempt = 0 if stable else min(self._attempt, 4)
            self._went_down(str(reason))
            if isinstance(reason, HubError) and reason.unauthorized:
                await self._on_unauthorized()
        finally:
            self.link = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timings.hub_stop):
                    await link.close()

    async def _until_down(self, link: Link) -> HubError | str:
        """Wait until the link ends, falls silent, or is to be rebuilt."""
        if self._stale:
            # Asked for while connecting, perhaps because the token that was used is the old one.
            return self._stale
        rebuild: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._rebuild = rebuild
        ended = asyncio.ensure_future(link.ended())
        silence = self._timings.hub_silence
        try:
            while True:
                both: set[asyncio.Future[Any]] = {ended, rebuild}
                await asyncio.wait(
                    both,
                    timeout=max(0.05, silence - link.silent_for()),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if rebuild.done():
                    return rebuild.result()
                if ended.done():
                    return ended.result()
                if link.silent_for() >= silence:
                    return f"nothing received for {silence:.0f} s"
        finally:
            ended.cancel()
            self._rebuild = None

    def _went_down(self, reason: str) -> None:
        self.state, self.reason = HubState.WAITING, reason
        if self.down_since is None:
            self.down_since = asyncio.get_running_loop().time()
        if not self._reported_down:
            self._reported_down = True
            self._on_down(reason)

    async def _pause(self) -> None:
        pauses = self._timings.hub_backoff
        pause = pauses[min(self._attempt, len(pauses) - 1)] * (1 - self._random.random() / 3)
        self._attempt += 1
        self.state = HubState.WAITING
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        await asyncio.sleep(0)
