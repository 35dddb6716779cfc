"""Quotes for the contracts that are held, over the market hub of one login."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from daemon.gateway.supervisor import HubError, HubSupervisor, Link
from daemon.gateway.timings import Timings


class QuoteFeed:
    """One login's market hub, with the subscriptions that are wanted.

    Args:
        name: the login, for logs.
        connect, on_up, on_down, on_unauthorized, timings, random: as in `HubSupervisor`.
        count: number of quotes received so far.
    """

    def __init__(
        self,
        name: str,
        *,
        connect: Callable[[], Awaitable[Link]],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        on_unauthorized: Callable[[], Awaitable[None]],
        count: Callable[[], int],
        timings: Timings,
        random: Random,
    ) -> None:
        self._count = count
        self._timings = timings
        self._on_up = on_up
        self._wanted: frozenset[str] = frozenset()
        self._subscribed: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.hub = HubSupervisor(
            f"market {name}",
            connect=connect,
            subscribe=self._subscribe,
            on_up=on_up,
            on_down=on_down,
            on_unauthorized=on_unauthorized,
            timings=timings,
            random=random,
        )

    def start(self) -> None:
        """Connect, and keep the subscriptions as wanted."""
        self.hub.start()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="quotes")

    async def stop(self) -> None:
        """Disconnect."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=1)
        await self.hub.stop()

    def want(self, contract_ids: frozenset[str]) -> None:
        """Have quotes of these contracts and no others."""
        if contract_ids != self._wanted:
            self._wanted = contract_ids
            self._changed.set()

    async def _subscribe(self, link: Link) -> None:
        self._subscribed = set()
        await self._adjust(link)

    async def _adjust(self, link: Link) -> None:
        for contract_id in sorted(self._wanted - self._subscribed):
            self._subscribed.add(contract_id)
            await link.send("SubscribeContractQuotes", [contract_id])
        for contract_id in sorted(self._subscribed - self._wanted):
            self._subscribed.discard(contract_id)
            await link.send("UnsubscribeContractQuotes", [contract_id])

    async def _run(self) -> None:
        """Adjust subscriptions when they change; connect anew when subscribed contracts are silent for long."""
        loop = asyncio.get_running_loop()
        allowed = self._timings.quote_silence
        seen, since = self._count(), loop.time()
        while True:
            try:
                async with asyncio.timeout(self._timings.quote_silence / 6):
                    await self._changed.wait()
            except TimeoutError:
                pass
            else:
                self._changed.clear()
                link = self.hub.link
                if link is not None:
                    try:
                        async with asyncio.timeout(self._timings.hub_subscribe):
                            await self._adjust(link)
                    except (HubError, TimeoutError):
                        self.hub.rebuild("a quote subscription could not be sent")
            now = loop.time()
            if self._count() != seen:
                seen, since, allowed = self._count(), now, self._timings.quote_silence
            elif not self._wanted or not self.hub.up:
                since = now
            elif now - since >= allowed:
                # A closed market is silent too: so ever more rarely.
                since, allowed = now, min(allowed * 2, self._timings.quote_silence * 20)
                self.hub.rebuild("no quotes")
