"""One monitored account: what the adapter keeps of it, and the reading anew after every gap."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from daemon.broker import GatewayError
from daemon.clock import Clock
from daemon.core.events import OrdersSnapshot, PositionsSnapshot, TradesSnapshot
from daemon.gateway.inbox import Inbox
from daemon.gateway.limiter import Priority
from daemon.gateway.mirror import AccountMirror, FillWatch, Surprise
from daemon.gateway.reads import AccountReads, contract_ids
from daemon.gateway.status import AccountStatus
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

    def status(self, login: str, connected: bool) -> AccountStatus:
        """Its state, for people."""
        return AccountStatus(
            account_id=self.account_id,
            login=login,
            name=self.name,
            can_trade=self.can_trade,
            listed=self.listed,
            connected=connected,
            reconciled=self.reconciled,
            last_event_at=self.last_event_at,
            last_read_at=self.last_read_at,
        )


Read = Callable[[MonitoredAccount, Priority], Awaitable[object]]


@dataclass(slots=True)
class _Track:
    """Reads of one account that are repeated together, and what of them is still to be done."""

    reads: tuple[Read, ...]
    apart: float
    missing: set[Read] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    started: float = -1e9


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
        self._tracks: dict[int, tuple[_Track, _Track]] = {}
        self._priceless: dict[int, MonitoredAccount] = {}
        self._pricing: dict[int, asyncio.Task[None]] = {}
        self._side_by_side = asyncio.Semaphore(timings.reconcile_at_once)

    def request(self, account: MonitoredAccount) -> list[asyncio.Task[None]]:
        """There was a gap: read positions, orders and trades until each has worked once from now on.

        Trades are read at most every few seconds: a hub that comes and goes must not use up the request budget.
        """
        account.reconciled = False
        tracks = self._tracks.get(account.account_id)
        if tracks is None:
            tracks = (
                _Track((self.positions, self.orders), 0.0),
                _Track((self.trades,), self._timings.trades_apart),
            )
            self._tracks[account.account_id] = tracks
        for track in tracks:
            track.missing = set(track.reads)
            if track.task is None or track.task.done():
                track.task = asyncio.create_task(
                    self._until_done(account, track), name=f"reconcile {account.account_id}"
                )
        return [track.task for track in tracks if track.task is not None]

    def price_missing(self, account: MonitoredAccount) -> None:
        """A position was pushed without an entry price: read the positions, at most every few seconds."""
        key = account.account_id
        self._priceless[key] = account
        if key not in self._pricing:
            self._pricing[key] = asyncio.create_task(self._read_prices(key), name=f"entry prices {key}")

    async def close(self) -> None:
        """Give up what is running."""
        tasks = [track.task for pair in self._tracks.values() for track in pair if track.task is not None]
        tasks.extend(self._pricing.values())
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
        account.fills.read_trades(snapshot.trades)
        self._take(account, snapshot, contract_ids(snapshot.trades))

    async def _read_prices(self, key: int) -> None:
        try:
            while (account := self._priceless.pop(key, None)) is not None:
                try:
                    await self.positions(account, Priority.RECONCILE)
                except GatewayError as error:
                    _log.warning("The entry prices of account %s could not be read: %s", key, error)
                    self._priceless[key] = account
                await asyncio.sleep(self._timings.trades_apart)
        finally:
            del self._pricing[key]

    def _take(
        self, account: MonitoredAccount, snapshot: PositionsSnapshot | OrdersSnapshot | TradesSnapshot, ids: set[str]
    ) -> None:
        account.last_read_at = snapshot.at
        self._inbox.emit(snapshot, ids)

    async def _until_done(self, account: MonitoredAccount, track: _Track) -> None:
        loop = asyncio.get_running_loop()
        pauses = self._timings.reconcile_backoff
        attempt = 0
        while track.missing:
            await asyncio.sleep(max(0.0, track.started + track.apart - loop.time()))
            async with self._side_by_side:
                track.started = loop.time()
                todo, track.missing = track.missing, set()
                failed = await self._try(account, todo)
            if not failed:
                continue
            # What has worked need not be read again, unless there was another gap meanwhile.
            track.missing.update(failed)
            error = next(iter(failed.values()))
            _log.warning("Account %s could not be read anew: %s", account.account_id, error)
            pause = pauses[min(attempt, len(pauses) - 1)]
            attempt += 1
            await asyncio.sleep(max(error.retry_after, pause))
        account.reconciled = all(
            other is track or (not other.missing and (other.task is None or other.task.done()))
            for other in self._tracks[account.account_id]
        )

    async def _try(self, account: MonitoredAccount, reads: set[Read]) -> dict[Read, GatewayError]:
        """Read side by side; returns what failed."""

        async def one(read: Read) -> GatewayError | None:
            try:
                await read(account, Priority.RECONCILE)
            except GatewayError as error:
                return error
            return None

        order = list(reads)
        errors = await asyncio.gather(*(one(read) for read in order))
        return {read: error for read, error in zip(order, errors, strict=True) if error is not None}
