"""The reads of one account, as snapshots. A record that cannot be understood never makes a position or order vanish."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from daemon.broker import GatewayError
from daemon.clock import Clock
from daemon.core.events import (
    OrderRecord,
    OrdersSnapshot,
    PositionRecord,
    PositionsSnapshot,
    TradeRecord,
    TradesSnapshot,
)
from daemon.core.units import SECOND_US, to_iso
from daemon.gateway.limiter import Priority
from daemon.gateway.mirror import AccountMirror
from daemon.gateway.parsing import (
    AccountRecord,
    MalformedError,
    parse_account,
    parse_order,
    parse_position,
    parse_trade,
)
from daemon.gateway.rest import EndpointRejectedError, LoginRest
from shared.models import OrderStatus

_WORKING: Final = [OrderStatus.OPEN, OrderStatus.PENDING, OrderStatus.PENDING_CANCELLATION, OrderStatus.SUSPENDED]
_PAGE: Final = 50
"""Orders a page: the SDK's own default. The gateway's maximum is undocumented."""
_MAX_PAGES: Final = 60
_QUERY_RETRY_US: Final = 300 * SECOND_US
"""An Order/v2/query that is refused is tried again after this: a proxy may have said 404."""


class AccountReads:
    """Reads through one login.

    Args:
        rest: the login's requests.
        clock: gives `started_at` and `at`.
        on_alert: called with a sentence and the detail for records that cannot be understood.
    """

    def __init__(self, rest: LoginRest, clock: Clock, on_alert: Callable[[str, str], None]) -> None:
        self._rest = rest
        self._clock = clock
        self._on_alert = on_alert
        self._query_not_before = -(10**15)

    async def accounts(self, priority: Priority) -> list[AccountRecord]:
        """The login's active accounts (Account/search). Raises GatewayError, also if a record cannot be understood."""
        records = await self._rest.read_list("/Account/search", {"onlyActiveAccounts": True}, "accounts", priority)
        try:
            return [parse_account(record) for record in records]
        except MalformedError as error:
            raise GatewayError(f"/Account/search: an account cannot be understood ({error})") from None

    async def positions(self, account_id: int, mirror: AccountMirror, priority: Priority) -> PositionsSnapshot:
        """All open positions (Position/searchOpen).

        A record whose direction or size cannot be read is taken to be unchanged if the position is known from before;
        otherwise the read fails. Raises GatewayError.
        """
        started_at = self._clock.now()
        records = await self._rest.read_list("/Position/searchOpen", {"accountId": account_id}, "positions", priority)
        positions: list[PositionRecord] = []
        for record in records:
            _check_owner(record, account_id)
            try:
                position = parse_position(record)
            except MalformedError as error:
                self._on_alert(f"A position of account {account_id} cannot be understood.", str(error))
                known = mirror.positions.get(error.contract_id)
                if known is None:
                    raise GatewayError(f"a position of account {account_id} cannot be understood ({error})") from None
                position = known
            if position.size:
                positions.append(position)
        return PositionsSnapshot(self._clock.now(), account_id, started_at, tuple(positions))

    async def orders(self, account_id: int, mirror: AccountMirror, priority: Priority) -> OrdersSnapshot:
        """All working orders (Order/v2/query).

        Where that endpoint is missing, the open ones (Order/searchOpen) and those known to be pending or suspended.
        Raises GatewayError, also if an order has no id: it could not be cancelled.
        """
        started_at = self._clock.now()
        now = self._clock.monotonic()
        records: list[Any] | None = None
        if now >= self._query_not_before:
            try:
                records = await self._query(account_id, priority)
            except EndpointRejectedError as error:
                if error.status not in {400, 404, 405}:
                    raise
                self._query_not_before = now + _QUERY_RETRY_US
                self._on_alert(
                    "The gateway refuses Order/v2/query: suspended brackets cannot be seen until they are active.",
                    str(error),
                )
        orders: dict[int, OrderRecord] = {}
        if records is None:
            records = await self._rest.read_list("/Order/searchOpen", {"accountId": account_id}, "orders", priority)
            orders = {key: order for key, order in mirror.orders.items() if order.status != OrderStatus.OPEN}
        for record in records:
            _check_owner(record, account_id)
            try:
                order = parse_order(record)
            except MalformedError as error:
                self._on_alert(f"An order of account {account_id} cannot be understood.", str(error))
                raise GatewayError(f"an order of account {account_id} cannot be understood ({error})") from None
            if order.working:
                orders[order.order_id] = order
        return OrdersSnapshot(self._clock.now(), account_id, started_at, tuple(orders.values()))

    async def trades(self, account_id: int, since: int, priority: Priority) -> TradesSnapshot:
        """All trades since a time, microseconds UTC (Trade/search).

        Raises GatewayError, also for a trade that is none.
        """
        started_at = self._clock.now()
        body = {"accountId": account_id, "startTimestamp": to_iso(since)}
        trades: dict[int, TradeRecord] = {}
        for record in await self._rest.read_list("/Trade/search", body, "trades", priority):
            _check_owner(record, account_id)
            try:
                trade = parse_trade(record, started_at)
            except MalformedError as error:
                self._on_alert(f"A trade of account {account_id} cannot be understood.", str(error))
                raise GatewayError(f"a trade of account {account_id} cannot be understood ({error})") from None
            trades[trade.trade_id] = trade
        return TradesSnapshot(self._clock.now(), account_id, started_at, since, tuple(trades.values()))

    async def contract(self, contract_id: str, priority: Priority = Priority.RECONCILE) -> object:
        """One contract's record (Contract/searchById). Raises GatewayError."""
        return (await self._rest.read("/Contract/searchById", {"contractId": contract_id}, priority)).get("contract")

    async def contracts(self) -> list[Any]:
        """The records of all contracts that can be traded (Contract/available), of evaluation or else live data."""
        for live in (False, True):
            found = await self._rest.read_list("/Contract/available", {"live": live}, "contracts", Priority.RECONCILE)
            if found:
                return found
        return []

    async def _query(self, account_id: int, priority: Priority) -> list[Any]:
        """All pages of Order/v2/query.

        Undocumented, and therefore not relied upon: whether pageOffset counts pages or orders, and whether a page may
        come out smaller than asked for. totalCount tells whether there is more; without it, a page that is not full
        is the last.
        """
        collected: dict[Any, Any] = {}
        offset, by_order = 0, False
        for page in range(_MAX_PAGES):
            answer = await self._rest.read(
                "/Order/v2/query",
                {
                    "filter": {"accountId": account_id, "statuses": [int(status) for status in _WORKING]},
                    "pageSize": _PAGE,
                    "pageOffset": offset,
                    "includeTotalCount": True,
                },
                priority,
            )
            records, total = answer.get("orders"), answer.get("totalCount")
            if not isinstance(records, list):
                raise GatewayError("/Order/v2/query: the answer has no list of orders")
            keys = [record.get("id") if isinstance(record, dict) else None for record in records]
            by_order = by_order or any(key in collected for key in keys)
            before = len(collected)
            for index, (key, record) in enumerate(zip(keys, records, strict=True)):
                collected[(page, index) if key is None else key] = record
            whole = len(collected) >= total if isinstance(total, int) else len(records) < _PAGE
            if whole or len(collected) == before:
                return list(collected.values())
            offset = len(collected) if by_order else page + 1
        raise GatewayError(f"account {account_id} has more than {_PAGE * _MAX_PAGES} working orders")


def _check_owner(record: object, account_id: int) -> None:
    """A record of another account makes the whole answer unbelievable.

    One that names none is taken. Raises GatewayError.
    """
    other = record.get("accountId", account_id) if isinstance(record, dict) else account_id
    if other != account_id:
        raise GatewayError(f"asked for account {account_id}, the gateway answered with account {str(other)[:40]}")


def contract_ids(records: Iterable[PositionRecord | OrderRecord | TradeRecord]) -> set[str]:
    """The contracts named by records."""
    return {record.contract_id for record in records if record.contract_id}
