"""One monitored account: what the adapter keeps of it, and the reading anew after every gap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.broker import GatewayError
from daemon.clock import Clock
from daemon.core.events import OrdersSnapshot, PositionsSnapshot, TradesSnapshot
from daemon.gateway.inbox import Inbox
from daemon.gateway.limiter import Priority
from daemon.gateway.mirror import AccountMirror, FillWatch, Surprise
from daemon.gateway.reads import AccountReads, contract_ids
from daemon.gateway.timings import Timings

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class MonitoredAccount:
    """State of one account.

    Times are trusted time, microseconds UTC; `pushed_at` is when the account itself was pushed.
    """

    account_id: int
    name: str
    can_trade: bool
    balance: int | None
    listed: bool = True
    reconciled: bool = False
    pushed_at: int = -1
    last_event_at: int | None = None
    last_read_at: int | None = None
    mirror: AccountMirror = field(default_factory=AccountMirror)
    fills: FillWatch = field(default_factory=FillWatch)
    watched: set[str] = field(default_factory=set)


class Reconciler:
    """Reads accounts and puts what was read into the inbox.

    Args:
        reads: the login's reads.
        inbox: where snapshots go.
        clock: trusted time.
        day_start: gives the start of the trading day at a time, both microseconds UTC.
        timings: pauses between tries.
    """

    def __init__(
        self, reads: AccountReads, inbox: Inbox, clock: Clock, day_start: Callable[[int], int], timings: Timings
    ) -> None:
        self._reads = reads
        self._inbox = inbox
        self._clock = clock
        self._day_start = day_start
        self._timings = timings
        self._running: dict[int, asyncio.Task[None]] = {}
        self._again: set[int] = set()
        self._side_by_side = asyncio.Semaphore(timings.reconcile_at_once)

    def request(self, account: MonitoredAccount) -> asyncio.Task[None]:
        """There was a gap: read positions, orders and trades until that has worked once from now on."""
        account.reconciled = False
        task = self._running.get(account.account_id)
        if task is not None and not task.done():
            self._again.add(account.account_id)
            return task
        task = asyncio.create_task(self._until_done(account), name=f"reconcile {account.account_id}")
        self._running[account.account_id] = task
        return task

    async def close(self) -> None:
        """Give up what is running."""
        tasks = [task for task in self._running.values() if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    async def once(self, account: MonitoredAccount, priority: Priority = Priority.RECONCILE) -> None:
        """Positions, orders and trades, read side by side; each that could be read is delivered.

        Raises:
            GatewayError: the first of those that could not.
        """
        results = await asyncio.gather(
            self.positions(account, priority),
            self.orders(account, priority),
            self.trades(account, priority),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def positions(self, account: MonitoredAccount, priority: Priority) -> list[Surprise]:
        """Read and deliver the positions; returns what had not been pushed. Raises GatewayError."""
        snapshot = await self._reads.positions(account.account_id, account.mirror, priority)
        surprises = account.mirror.read_positions(snapshot.positions, snapshot.started_at)
        self._take(account, snapshot, contract_ids(snapshot.positions))
        return surprises

    async def orders(self, account: MonitoredAccount, priority: Priority) -> list[Surprise]:
        """Read and deliver the working orders; returns what had not been pushed. Raises GatewayError."""
        snapshot = await self._reads.orders(account.account_id, account.mirror, priority)
        surprises = account.mirror.read_orders(snapshot.orders, snapshot.started_at)
        self._take(account, snapshot, contract_ids(snapshot.orders))
        return surprises

    async def trades(self, account: MonitoredAccount, priority: Priority) -> None:
        """Read and deliver the trades of the trading day. Raises GatewayError."""
        since = self._day_start(self._clock.now())
        snapshot = await self._reads.trades(account.account_id, since, priority)
        self._take(account, snapshot, contract_ids(snapshot.trades))

    def _take(
        self, account: MonitoredAccount, snapshot: PositionsSnapshot | OrdersSnapshot | TradesSnapshot, ids: set[str]
    ) -> None:
        account.last_read_at = snapshot.at
        self._inbox.emit(snapshot, ids)

    async def _until_done(self, account: MonitoredAccount) -> None:
        pauses = self._timings.reconcile_backoff
        attempt = 0
        while True:
            self._again.discard(account.account_id)
            try:
                async with self._side_by_side:
                    await self.once(account)
            except GatewayError as error:
                pause = max(error.retry_after, pauses[min(attempt, len(pauses) - 1)])
                attempt += 1
                _log.warning("Account %s could not be read anew: %s", account.account_id, error)
                await asyncio.sleep(pause)
                continue
            if account.account_id in self._again:
                continue
            account.reconciled = True
            return
