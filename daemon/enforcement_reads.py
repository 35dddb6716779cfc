"""Reads of one account for all its lanes at once: repeated until one succeeds, judged by the core before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.backoff import CAP, Backoff
from daemon.broker import Broker, GatewayError
from daemon.enforcement_lane import AccountRead

if TYPE_CHECKING:
    from daemon.core.events import Event, OrdersSnapshot, PositionsSnapshot

LIMIT: Final = 60.0
"""Seconds for one read or one digestion. The broker bounds its calls itself; this is the belt to its braces."""
FRESH: Final = 0.05
"""A read that ended this many seconds ago still serves who asks now, if it began late enough for him."""
LOUD_AFTER: Final = 3
BLIND_AFTER: Final = 3
"""Failed reads of the orders, or of the positions, in a row after which the other serves who can do with that alone."""


@dataclass(slots=True)
class _Waiter:
    since: float
    newer_than: int
    closing: bool
    orders: bool
    positions: bool
    future: asyncio.Future[AccountRead]

    def served_by(self, read: AccountRead) -> bool:
        whole = (read.orders is not None or not self.orders) and (read.positions is not None or not self.positions)
        return whole and read.started >= self.since and read.number > self.newer_than


class SharedReads:
    """At most one read of the account is under way; whoever can use it shares it.

    A read is Order/v2/query and then Position/searchOpen: in this order an order that fills between the two is seen as
    working and in the position, which errs to closing too little; the other way round it would be seen in neither.
    """

    def __init__(
        self,
        account_id: int,
        broker: Broker,
        deliver: Callable[[Event], Awaitable[None]],
        alert: Callable[[int, str, str], None],
    ) -> None:
        """`deliver` returns when the core has judged the event and its decisions were carried out."""
        self._account_id = account_id
        self._broker = broker
        self._deliver = deliver
        self._alert = alert
        self._waiters: list[_Waiter] = []
        self._task: asyncio.Task[None] | None = None
        self._number = 0
        self._last: AccountRead | None = None
        self._last_ended = 0.0
        self._orders_failed = 0
        self._positions_failed = 0

    def request(
        self, since: float, newer_than: int, *, closing: bool = True, orders: bool = True, positions: bool = True
    ) -> asyncio.Future[AccountRead]:
        """A read begun at or after `since` and numbered above `newer_than`, when one succeeds; cancel it to give up.

        Args:
            since: monotonic seconds.
            newer_than: number of a read.
            closing: a close waits for it.
            orders: without the orders it is of no use.
            positions: without the positions it is of no use.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(since, newer_than, closing, orders, positions, loop.create_future())
        last = self._last
        if last is not None and loop.time() - self._last_ended <= FRESH and waiter.served_by(last):
            waiter.future.set_result(last)
            return waiter.future
        self._waiters.append(waiter)
        if self._task is None:
            self._task = loop.create_task(self._work(), name=f"read account {self._account_id}")
        return waiter.future

    @property
    def busy(self) -> bool:
        """Whether a read is under way."""
        return self._task is not None

    async def stop(self) -> None:
        """End what is under way; waiters are cancelled."""
        task = self._task
        for waiter in self._waiters:
            waiter.future.cancel()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _work(self) -> None:
        backoff = Backoff()
        try:
            while self._wanted():
                error = await self._try()
                if error is None:
                    backoff.reset()
                    continue
                told = error.retry_after if isinstance(error, GatewayError) else 0.0
                delay = max(backoff.next(), min(told, CAP))
                if backoff.failures == LOUD_AFTER:
                    text = (
                        f"Account {self._account_id}: positions and orders cannot be read; it is tried until it works."
                    )
                    self._alert(self._account_id, text, str(error) if isinstance(error, GatewayError) else repr(error))
                await asyncio.sleep(delay)
        finally:
            self._task = None

    def _wanted(self) -> bool:
        self._waiters = [waiter for waiter in self._waiters if not waiter.future.done()]
        return bool(self._waiters)

    async def _try(self) -> Exception | None:
        """One read. None when it succeeded, else what went wrong; a part may have been read all the same."""
        loop = asyncio.get_running_loop()
        self._number += 1
        number, started = self._number, loop.time()
        closing = any(waiter.closing for waiter in self._waiters)
        try:
            orders, failed = await self._part(self._broker.read_orders(self._account_id, closing=closing))
            self._orders_failed = _in_a_row(self._orders_failed, failed)
            if failed is not None and (self._orders_failed < BLIND_AFTER or all(w.orders for w in self._waiters)):
                return failed
            positions, missed = await self._part(self._broker.read_positions(self._account_id, closing=closing))
            self._positions_failed = _in_a_row(self._positions_failed, missed)
            if missed is not None and (self._positions_failed < BLIND_AFTER or orders is None):
                return missed
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RuntimeError("the read was cancelled from within")
        except Exception as error:  # noqa: BLE001 - whatever a read or its digestion raises, the next one may succeed
            return error
        read = self._last = AccountRead(number, started, orders, positions)
        self._last_ended = loop.time()
        for waiter in self._waiters:
            if not waiter.future.done() and waiter.served_by(read):
                waiter.future.set_result(read)
        return failed or missed

    async def _part[T: (OrdersSnapshot, PositionsSnapshot)](
        self, reading: Awaitable[T]
    ) -> tuple[T | None, GatewayError | None]:
        """A snapshot, judged by the core; or None and why it cannot be read."""
        try:
            async with asyncio.timeout(LIMIT):
                snapshot = await reading
        except GatewayError as error:
            return None, error
        async with asyncio.timeout(LIMIT):
            await self._deliver(snapshot)
        return snapshot, None


def _in_a_row(failures: int, error: GatewayError | None) -> int:
    """Failures so far. One that had no turn, or came too soon, says nothing about whether it can be read."""
    if error is None:
        return 0
    return failures + (error.retry_after <= 0)
