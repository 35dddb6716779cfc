"""What is read again and again beside the events, because streams freeze while 'connected' and some stops are never
pushed.

Each account's positions and orders in turn, spread so that all of a login's polls stay within their share of the
request budget: 20 accounts at 90 requests a minute are read every 27 seconds, five every 15. Trades are read far more
rarely, because a fill is three pushes and the loss of one shows. Not so while the user hub is down, and not when a
balance has moved that no push told of: then nothing but the trades themselves tells a loss.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from daemon.broker import GatewayError
from daemon.gateway.account import MonitoredAccount, Reconciler
from daemon.gateway.limiter import Priority
from daemon.gateway.mirror import Surprise
from daemon.gateway.timings import Timings

_log = logging.getLogger(__name__)


class PolledLogin(Protocol):
    """What the poller needs of its login."""

    @property
    def monitored(self) -> dict[int, MonitoredAccount]:
        """Accounts by id."""

    @property
    def user_hub_up(self) -> bool:
        """Whether pushes arrive."""

    async def relist(self) -> None:
        """Read the account list. Raises GatewayError."""

    async def keep_warm(self) -> None:
        """Keep a connection open."""

    def gap_found(self, account: MonitoredAccount, surprises: list[Surprise]) -> None:
        """Something had not been pushed, and was not within the time allowed either."""


def poll_interval(accounts: int, interval: float, requests_per_minute: int, requests: int = 2) -> float:
    """Seconds between two polls of the same account: `interval`, or longer if its requests need more."""
    return max(interval, accounts * requests * 60 / requests_per_minute)


class Poller:
    """Polls one login.

    Args:
        login: whose.
        reconciler: reads and delivers.
        timings: intervals.
    """

    def __init__(self, login: PolledLogin, reconciler: Reconciler, timings: Timings) -> None:
        self._login = login
        self._reconciler = reconciler
        self._timings = timings
        self._due: dict[int, float] = {}
        self._trades_due: dict[int, float] = {}
        self._trades_read: dict[int, float] = {}
        self._judging: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll for ever."""
        loop = asyncio.get_running_loop()
        relist_due = loop.time() + self._timings.poll
        while True:
            now = loop.time()
            interval = self._interval()
            for account_id in self._login.monitored:
                # Those that are new are spread over the interval.
                self._due.setdefault(account_id, now + interval * (len(self._due) % 7 + 1) / 7)
                self._trades_due.setdefault(account_id, now + self._timings.trades_poll)
            for account_id in self._due.keys() - self._login.monitored.keys():
                del self._due[account_id], self._trades_due[account_id]
                self._trades_read.pop(account_id, None)
            step: Callable[[], Awaitable[None]] | None = None
            next_at = min([relist_due, *self._due.values()])
            if next_at > now:
                await self._login.keep_warm()
                await asyncio.sleep(min(next_at - now, 1.0))
                continue
            if relist_due <= now:
                relist_due = now + self._timings.poll
                step = self._login.relist
            else:
                account_id = min(self._due, key=lambda key: self._due[key])
                # From the due time, so that all keep their distance; not from long ago, after an outage.
                self._due[account_id] = max(self._due[account_id] + interval, now + interval / 2)
                account = self._login.monitored[account_id]
                step = partial(self._poll, account, now)
            try:
                await step()
            except GatewayError as error:
                _log.info("A poll failed: %s", error)
                await asyncio.sleep(max(error.retry_after, min(1.0, self._timings.poll)))

    def poll_after(self, account_id: int, seconds: float) -> None:
        """Poll an account next in that many seconds. Asked for again meanwhile: that many from then."""
        due = asyncio.get_running_loop().time() + seconds
        self._due[account_id] = due
        self._trades_due.setdefault(account_id, due + self._timings.trades_poll)

    def balance_moved(self, account_id: int) -> None:
        """The account list has another balance than was pushed: read the trades, but not for every list anew."""
        now = asyncio.get_running_loop().time()
        due = max(now, self._trades_read.get(account_id, -1e9) + self._timings.balance_apart)
        self._trades_due[account_id] = min(due, self._trades_due.get(account_id, due))
        if self._trades_due[account_id] <= now:
            self._due[account_id] = min(now, self._due.get(account_id, now))

    async def close(self) -> None:
        """Give up what is waiting to be judged."""
        for task in list(self._judging):
            task.cancel()
        if self._judging:
            await asyncio.wait(list(self._judging), timeout=1)

    def _interval(self) -> float:
        up = self._login.user_hub_up
        wished = self._timings.poll if up else self._timings.poll_hub_down
        accounts = len(self._login.monitored)
        return poll_interval(accounts, wished, self._timings.poll_requests_per_minute, 2 if up else 3)

    async def _poll(self, account: MonitoredAccount, now: float) -> None:
        reads = [
            self._reconciler.positions(account, Priority.POLL),
            self._reconciler.orders(account, Priority.POLL),
        ]
        results = await asyncio.gather(*reads, return_exceptions=True)
        surprises: list[Surprise] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            surprises.extend(result)
        if surprises and self._login.user_hub_up and account.reconciled:
            task = asyncio.create_task(self._judge(account, surprises), name=f"judge {account.account_id}")
            self._judging.add(task)
            task.add_done_callback(self._judging.discard)
        if self._trades_due[account.account_id] <= now or not self._login.user_hub_up:
            self._trades_due[account.account_id] = now + self._timings.trades_poll
            self._trades_read[account.account_id] = now
            await self._reconciler.trades(account, Priority.POLL)

    async def _judge(self, account: MonitoredAccount, surprises: list[Surprise]) -> None:
        await asyncio.sleep(self._timings.announce)
        missed = [s for s in surprises if not account.mirror.pushed_since(s.key, s.started_at)]
        if missed:
            self._login.gap_found(account, missed)
