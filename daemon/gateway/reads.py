"""The reads of one account, as snapshots. Record by record: an odd one is told of and leaves the others as they are.

A record that cannot be understood never makes a position or order vanish: what is known of it stays as last known.
"""

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
    may_be_market_order,
    may_be_order,
    owner_of,
    parse_account,
    parse_order,
    parse_position,
    parse_trade,
    partial_account,
    unclear_position,
)
from daemon.gateway.rest import EndpointRejectedError, LoginRest
from shared.models import OrderStatus

_WORKING: Final = [OrderStatus.OPEN, OrderStatus.PENDING, OrderStatus.PENDING_CANCELLATION, OrderStatus.SUSPENDED]
_PAGE: Final = 50
"""Orders a page: the SDK's own default. The gateway's maximum is undocumented."""
_MAX_PAGES: Final = 60
_QUERY_RETRY_US: Final = 300 * SECOND_US
"""An Order/v2/query that is refused is tried again after this: a proxy may have said 404."""
_DAY_US: Final = 86_400 * SECOND_US


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
        self._told: dict[tuple[str, int], int] = {}

    async def accounts(self, priority: Priority) -> list[AccountRecord]:
        """The login's active accounts (Account/search).

        What cannot be read of an account is unknown; one without an id is left out. Raises GatewayError, also when not
        one of several can be understood.
        """
        records = await self._rest.read_list("/Account/search", {"onlyActiveAccounts": True}, "accounts", priority)
        found: list[AccountRecord] = []
        for record in records:
            try:
                found.append(parse_account(record))
            except MalformedError as error:
                account = partial_account(record)
                if account is None:
                    self._odd(
                        "account", 0, "The gateway lists an account without a number: it is not protected.", error
                    )
                    continue
                text = (
                    f"The gateway's balance or trading permission of account {account.account_id} cannot be understood."
                )
                self._odd("account", account.account_id, text, error)
                found.append(account)
        if records and not found:
            raise GatewayError("/Account/search: no account can be understood")
        return found

    async def positions(self, account_id: int, mirror: AccountMirror, priority: Priority) -> PositionsSnapshot:
        """All open positions (Position/searchOpen).

        A record that cannot be understood is taken to be unchanged if the position is known from before, else for what
        can be read of it (`unclear_position`). If it names no contract, all that is known stays. Raises GatewayError.
        """
        started_at = self._clock.now()
        records = await self._rest.read_list("/Position/searchOpen", {"accountId": account_id}, "positions", priority)
        found: dict[str, PositionRecord] = {}
        flat: set[str] = set()
        odd: list[tuple[object, MalformedError]] = []
        for record in records:
            _check_owner(record, account_id)
            try:
                position = parse_position(record)
            except MalformedError as error:
                odd.append((record, error))
                continue
            if position.size:
                found[position.contract_id] = position
            else:
                flat.add(position.contract_id)
        for record, why in odd:
            unclear = unclear_position(record)
            if unclear is None:
                text = f"A position of account {account_id} names no contract: look at it in the broker's platform."
                self._odd("nameless position", account_id, text, why)
                found = {key: known for key, known in mirror.positions.items() if key not in flat} | found
                continue
            contract_id = unclear.contract_id
            text = f"The position in {contract_id} of account {account_id} cannot be understood: its P&L is not known."
            self._odd(f"position {contract_id}", account_id, text, why)
            found.setdefault(contract_id, mirror.positions.get(contract_id, unclear))
        return PositionsSnapshot(self._clock.now(), account_id, started_at, tuple(found.values()))

    async def orders(self, account_id: int, mirror: AccountMirror, priority: Priority) -> OrdersSnapshot:
        """All working orders (Order/v2/query).

        Where that endpoint is missing, the open ones (Order/searchOpen) and those known to be pending or suspended.
        An order that cannot be understood leaves those it may be as last known, and so do pages between which orders
        came or went: what follows a gone one moves up, past the next page. Raises GatewayError, also if an order that
        cannot be understood may be a market order: a close beside one that is not known could turn the position round.
        """
        started_at = self._clock.now()
        now = self._clock.monotonic()
        records: list[Any] | None = None
        steady = True
        if now >= self._query_not_before:
            try:
                records, steady = await self._query(account_id, priority)
                if not steady:
                    records, steady = await self._query(account_id, priority)
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
        odd: list[object] = []
        for record in records:
            _check_owner(record, account_id)
            try:
                order = parse_order(record)
            except MalformedError as error:
                text = f"An order of account {account_id} cannot be understood: look at it in the broker's platform."
                self._odd("order", account_id, text, error)
                if may_be_market_order(record):
                    raise GatewayError(f"an order of account {account_id} cannot be understood ({error})") from None
                odd.append(record)
                continue
            if order.working:
                orders[order.order_id] = order
        for key, known in mirror.orders.items():
            if key not in orders and (not steady or any(may_be_order(record, known) for record in odd)):
                orders[key] = known
        return OrdersSnapshot(self._clock.now(), account_id, started_at, tuple(orders.values()))

    async def trades(self, account_id: int, since: int, priority: Priority) -> TradesSnapshot:
        """All trades since a time, microseconds UTC (Trade/search).

        A trade that cannot be understood is left out and told of. Raises GatewayError.
        """
        started_at = self._clock.now()
        body = {"accountId": account_id, "startTimestamp": to_iso(since)}
        trades: dict[int, TradeRecord] = {}
        for record in await self._rest.read_list("/Trade/search", body, "trades", priority):
            _check_owner(record, account_id)
            try:
                trade = parse_trade(record, started_at)
            except MalformedError as error:
                text = f"A trade of account {account_id} cannot be understood: its realized P&L is incomplete."
                self._odd("trade", account_id, text, error)
                continue
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

    def _odd(self, kind: str, account_id: int, text: str, error: MalformedError) -> None:
        """Tell of a record that cannot be understood, once a day for each kind and account: every read has it again."""
        day = self._clock.now() // _DAY_US
        if self._told.get((kind, account_id)) != day:
            self._told[kind, account_id] = day
            self._on_alert(text, str(error))

    async def _query(self, account_id: int, priority: Priority) -> tuple[list[Any], bool]:
        """All pages of Order/v2/query, and whether their total has stayed the same: else orders may be missing.

        Undocumented, and therefore not relied upon: whether pageOffset counts pages or orders, and whether a page may
        come out smaller than asked for. totalCount tells whether there is more; without it, a page that is not full
        is the last.
        """
        collected: dict[Any, Any] = {}
        offset, by_order = 0, False
        totals: set[int] = set()
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
            if isinstance(total, int):
                totals.add(total)
            whole = len(collected) >= total if isinstance(total, int) else len(records) < _PAGE
            if whole or len(collected) == before:
                return list(collected.values()), len(totals) <= 1
            offset = len(collected) if by_order else page + 1
        raise GatewayError(f"account {account_id} has more than {_PAGE * _MAX_PAGES} working orders")


def _check_owner(record: object, account_id: int) -> None:
    """A record of another account makes the whole answer unbelievable.

    One that names none is taken. Raises GatewayError.
    """
    other = owner_of(record)
    if other is not None and other != account_id:
        raise GatewayError(f"asked for account {account_id}, the gateway answered with account {other}")


def contract_ids(records: Iterable[PositionRecord | OrderRecord | TradeRecord]) -> set[str]:
    """The contracts named by records."""
    return {record.contract_id for record in records if record.contract_id}
