"""From what a login's hubs and reads bring to events: in order, contracts first, nothing lost.

Events go straight through unless they name a contract whose data is unknown. Then they, and all later ones of the same
account, wait until the contract is looked up, but never longer than the bound from their own arrival.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from daemon.clock import Clock
from daemon.core.events import (
    Event,
    OrdersSnapshot,
    OrderUpdate,
    PositionsSnapshot,
    PositionUpdate,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.gateway.contracts import ContractBook, Fetch
from daemon.gateway.parsing import (
    AccountRecord,
    MalformedError,
    account_id_of,
    parse_account,
    parse_order,
    parse_position,
    parse_quote,
    parse_trade,
    unwrap,
)
from daemon.gateway.timings import Timings

_log = logging.getLogger(__name__)

AccountEvent = PositionUpdate | OrderUpdate | TradeUpdate | PositionsSnapshot | OrdersSnapshot | TradesSnapshot

Lane = deque[tuple[AccountEvent, tuple[str, ...], float]]


class Inbox:
    """Events of one login.

    Args:
        clock: trusted time, which is stamped on every event as it is delivered.
        deliver: takes events, in order; called on the event loop.
        book: contract data.
        fetch: looks up one contract.
        timings: the bound on waiting for a contract.
        on_alert: called with a sentence and the detail for what cannot be understood.
        on_account: called with every pushed account record.
        on_push: called with every event made from a push; returns whether the account is monitored.
        on_lost: called with the account (None: not known) when a push had to be dropped.
        on_logout: called when the gateway says that it ends the session.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        deliver: Callable[[Event], None],
        book: ContractBook,
        fetch: Fetch,
        timings: Timings,
        on_alert: Callable[[str, str], None],
        on_account: Callable[[AccountRecord], None],
        on_push: Callable[[PositionUpdate | OrderUpdate | TradeUpdate], bool],
        on_lost: Callable[[int | None], None],
        on_logout: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._deliver = deliver
        self._book = book
        self._fetch = fetch
        self._timings = timings
        self._on_alert = on_alert
        self._on_account = on_account
        self._on_push = on_push
        self._on_lost = on_lost
        self._on_logout = on_logout
        self._lanes: dict[int, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.quotes = 0

    def receive(self, target: str, arguments: tuple[Any, ...]) -> None:
        """One message of a hub. Never raises."""
        try:
            if target == "GatewayQuote":
                self._quotes(arguments)
            elif target == "GatewayLogout":
                self._on_logout()
            else:
                for argument in arguments:
                    for record in unwrap(argument):
                        self._record(target, record)
        except MalformedError as error:
            self._lost(target, None, error)
        except Exception as error:  # noqa: BLE001 - logged, and the rest goes on
            # Real money hangs on the next message: whatever is wrong with this one, go on.
            _log.exception("A message of the gateway could not be taken in")
            self._lost(target, None, error)

    def bad_line(self, detail: str) -> None:
        """A line of a hub that is no message of the protocol: something may have been lost with it."""
        self._on_alert("The gateway sent something that is not a message; everything is read anew.", detail)
        self._on_lost(None)

    def emit(self, event: AccountEvent, contract_ids: Iterable[str]) -> None:
        """Deliver an event of an account in its turn, after the data of its contracts when they can be had in time."""
        wanted = tuple(name for name in contract_ids if self._book.worth_waiting(name))
        lane = self._lanes.get(event.account_id)
        if lane is None:
            if not wanted:
                self._put(event)
                return
            lane = self._lanes[event.account_id] = deque()
            task = asyncio.create_task(self._drain(event.account_id, lane), name=f"inbox {event.account_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.append((event, wanted, asyncio.get_running_loop().time() + self._timings.contract))

    async def close(self) -> None:
        """Deliver at once what still waits."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1)
        for lane in list(self._lanes.values()):
            while lane:
                self._put(lane.popleft()[0])
        self._lanes.clear()

    def _put(self, event: AccountEvent) -> None:
        event.at = self._clock.now()
        self._deliver(event)

    async def _drain(self, account_id: int, lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        while lane:
            _, wanted, deadline = lane[0]
            lookups = [
                asyncio.ensure_future(self._book.look_up(name, self._fetch))
                for name in wanted
                if self._book.worth_waiting(name)
            ]
            if lookups:
                await asyncio.wait(lookups, timeout=max(0.0, deadline - loop.time()))
                for lookup in lookups:
                    lookup.cancel()
            self._put(lane.popleft()[0])
        del self._lanes[account_id]

    def _quotes(self, arguments: tuple[Any, ...]) -> None:
        contract_id, data = arguments if len(arguments) == 2 else (None, None)
        now = self._clock.now()
        for item in data if isinstance(data, list) else (data,):
            quote = parse_quote(contract_id, item, now)
            if quote is None:
                raise MalformedError("a quote without contract or data")
            self.quotes += 1
            self._deliver(quote)

    def _record(self, target: str, record: dict[str, Any]) -> None:
        account_id: int | None = None
        try:
            if target == "GatewayUserAccount":
                account = parse_account(record)
                account_id = account.account_id
                self._on_account(account)
                return
            account_id = account_id_of(record)
            now = self._clock.now()
            event: PositionUpdate | OrderUpdate | TradeUpdate
            if target == "GatewayUserPosition":
                position = parse_position(record)
                event, contract_id = PositionUpdate(now, account_id, position), position.contract_id
            elif target == "GatewayUserOrder":
                order = parse_order(record)
                self._clock.observe_event(order.updated_at)
                event, contract_id = OrderUpdate(now, account_id, order), order.contract_id
            elif target == "GatewayUserTrade":
                trade = parse_trade(record, now)
                self._clock.observe_event(trade.created_at)
                event, contract_id = TradeUpdate(now, account_id, trade), trade.contract_id
            else:
                return
        except MalformedError as error:
            self._lost(target, account_id, error)
            return
        if self._on_push(event):
            self.emit(event, (contract_id,))

    def _lost(self, target: str, account_id: int | None, error: Exception) -> None:
        whom = f"account {account_id}" if account_id is not None else "an account"
        self._on_alert(f"A {target} message for {whom} cannot be understood; the account is read anew.", str(error))
        self._on_lost(account_id)
