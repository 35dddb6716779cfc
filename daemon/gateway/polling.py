"""What is read again and again beside the events, because streams freeze while 'connected' and some stops are never
pushed.

Each account's positions and orders in turn, in rounds far enough apart that a login's polls stay within their share of
the request budget: 20 accounts at 90 requests a minute are read every 27 seconds, five every 15. The rounds of all
logins fall together: read one after another, an account costs a third of what it costs alone. Trades are read far more
rarely, because a fill is three pushes and the loss of one shows. Not so while the user hub is down, and not when a
balance has moved that no push told of: then nothing but the trades themselves tells a loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Awaitable, Callable, Iterable
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


def next_round(now: float, interval: float) -> float:
    """When the next round is, in half an interval at the earliest. Seconds of the event loop."""
    return math.ceil((now + interval / 2) / interval) * interval


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
        self._moved: dict[int, float] = {}
        self._urgent: set[int] = set()
        self._list_due = 0.0
        self._judging: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Poll for ever."""
        loop = asyncio.get_running_loop()
        self._list_due = next_round(loop.time(), self._wished())
        while True:
            self._news.clear()
            now = loop.time()
            interval = self._interval()
            relist_due = self._list_due = min(self._list_due, now + self._wished() * 1.5)
            for account_id in self._login.monitored:
                self._due.setdefault(account_id, next_round(now, interval))
                self._trades_due.setdefault(account_id, now + self._timings.trades_poll)
            for account_id in self._due.keys() - self._login.monitored.keys():
                del self._due[account_id], self._trades_due[account_id]
                self._moved.pop(account_id, None)
                self._urgent.discard(account_id)
            step: Callable[[], Awaitable[None]] | None = None
            next_at = min([relist_due, *self._due.values()])
            if next_at > now:
                await self._login.keep_warm()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(next_at - now, self._timings.warm / 4)):
                        await self._news.wait()
                continue
            if relist_due <= now:
                self._list_due = next_round(now, self._wished())
                step = self._login.relist
            else:
                due = [key for key, at in self._due.items() if at <= now]
                account_id = min(due, key=lambda key: (key not in self._urgent, self._due[key]))
                self._due[account_id] = next_round(now, interval)
                account = self._login.monitored[account_id]
                step = partial(self._poll, account, now)
            try:
                await step()
            except GatewayError as error:
                _log.info("A poll failed: %s", error)
                # Not for as long as polls have no turn: what is urgent may have one sooner. Asking costs no request.
                pause = max(error.retry_after, min(1.0, self._timings.poll))
                await asyncio.sleep(min(pause, self._timings.poll_hub_down))

    def poll_after(self, account_id: int, seconds: float) -> None:
        """Poll an account next in that many seconds. Asked for again meanwhile: that many from then."""
        due = asyncio.get_running_loop().time() + seconds
        self._due[account_id] = due
        self._trades_due.setdefault(account_id, due + self._timings.trades_poll)
        self._news.set()

    def settle(self, account_ids: Iterable[int]) -> None:
        """The hub came up. Subscriptions are not confirmed: what happened before they took effect is not pushed.

        So in a while all is read once more, as after a gap: positions and orders by account, and the account list,
        whose balances tell what was traded.
        """
        for account_id in account_ids:
            self.poll_after(account_id, self._timings.settle)
            self._urgent.add(account_id)
        self._list_due = min(self._list_due, asyncio.get_running_loop().time() + self._timings.settle)
        self._news.set()

    def balance_moved(self, account_id: int) -> None:
        """The account list has another balance than was pushed: there was a trade. Read the account, before others.

        At most every `balance_apart` seconds: asked for sooner, the trades are read with the first poll after those.
        """
        now = asyncio.get_running_loop().time()
        due = max(now, self._moved.get(account_id, -1e9) + self._timings.balance_apart)
        self._trades_due[account_id] = min(due, self._trades_due.get(account_id, due))
        if due <= now:
            self._moved[account_id] = now
            self._urgent.add(account_id)
            self._due[account_id] = min(now, self._due.get(account_id, now))
            self._news.set()

    async def close(self) -> None:
        """Give up what is waiting to be judged."""
        for task in list(self._judging):
            task.cancel()
        if self._judging:
            await asyncio.wait(list(self._judging), timeout=1)

    def _interval(self) -> float:
        requests = 2 if self._login.user_hub_up else 3
        accounts = len(self._login.monitored)
        return poll_interval(accounts, self._wished(), self._timings.poll_requests_per_minute, requests)

    def _wished(self) -> float:
        return self._timings.poll if self._login.user_hub_up else self._timings.poll_hub_down

    async def _poll(self, account: MonitoredAccount, now: float) -> None:
        account_id = account.account_id
        priority = Priority.RECONCILE if account_id in self._urgent else Priority.POLL
        # Side by side: what cannot be read keeps nothing else from being read, or from being compared.
        reads: list[Awaitable[list[Surprise] | None]] = [
            self._reconciler.positions(account, priority),
            self._reconciler.orders(account, priority),
        ]
        if self._trades_due[account_id] <= now or not self._login.user_hub_up:
            reads.insert(0, self._trades(account, priority, now))
        results = await asyncio.gather(*reads, return_exceptions=True)
        self._compare(account, [found for result in results if isinstance(result, list) for found in result])
        for result in results:
            if isinstance(result, BaseException):
                raise result
        self._urgent.discard(account_id)

    async def _trades(self, account: MonitoredAccount, priority: Priority, now: float) -> None:
        await self._reconciler.trades(account, priority)
        self._trades_due[account.account_id] = now + self._timings.trades_poll

    def _compare(self, account: MonitoredAccount, surprises: list[Surprise]) -> None:
        if surprises and self._login.user_hub_up and account.reconciled:
            task = asyncio.create_task(self._judge(account, surprises), name=f"judge {account.account_id}")
            self._judging.add(task)
            task.add_done_callback(self._judging.discard)

    async def _judge(self, account: MonitoredAccount, surprises: list[Surprise]) -> None:
        await asyncio.sleep(self._timings.announce)
        missed = [s for s in surprises if not account.mirror.pushed_since(s.key, s.started_at)]
        if missed:
            self._login.gap_found(account, missed)
