"""The gateway's REST endpoints over the broker: a path, a login and a JSON body in, a JSON answer out.

No HTTP in here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from daemon.simulator.auth import LoginState
from daemon.simulator.broker import Broker
from daemon.simulator.clock import parse_stamp
from daemon.simulator.codes import code_of
from daemon.simulator.contracts import Contract, ContractTable
from daemon.simulator.orders import Brackets, Order, OrderRequest, OrderStatus, OrderType, Reason, Refusal, Side

Body = dict[str, Any]
Answer = dict[str, Any]


class BadRequest(Exception):  # noqa: N818 - named after the HTTP status it becomes
    """The body lacks a field or has one of the wrong type: HTTP 400 with the field's name."""


def success(**fields: Any) -> Answer:
    """The envelope of a successful answer."""
    return {**fields, "success": True, "errorCode": 0, "errorMessage": None}


def failure(code: int, message: str | None, **fields: Any) -> Answer:
    """The envelope of a business error (gateway fact: HTTP 200)."""
    return {**fields, "success": False, "errorCode": code, "errorMessage": message}


def _integer(body: Body, key: str) -> int:
    value = body.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequest(key)
    return value


def _text(body: Body, key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str):
        raise BadRequest(key)
    return value


def _optional_integer(body: Body, key: str) -> int | None:
    return None if body.get(key) is None else _integer(body, key)


def _number(body: Body, key: str) -> float | None:
    value = body.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise BadRequest(key)
    return value


def _moment(body: Body, key: str, default: int) -> int:
    value = body.get(key)
    if value is None:
        return default
    try:
        return parse_stamp(_text(body, key))
    except ValueError as error:
        raise BadRequest(key) from error


EMPTY: dict[str, Answer] = {
    "Account/search": {"accounts": []},
    "Contract/search": {"contracts": []},
    "Contract/available": {"contracts": []},
    "Contract/searchById": {"contract": None},
    "Position/searchOpen": {"positions": []},
    "Order/searchOpen": {"orders": []},
    "Order/search": {"orders": []},
    "Order/v2/query": {"orders": []},
    "Order/searchById": {"order": None},
    "Trade/search": {"trades": []},
}
"""What an endpoint's answer holds beside the envelope when there is nothing: [] and never null, or the SDK raises."""

FOREVER = 1 << 62


class Endpoints:
    """Dispatches authenticated requests. `handle` raises BadRequest for HTTP 400 and KeyError for an unknown path."""

    def __init__(self, broker: Broker, contracts: ContractTable) -> None:
        self._broker = broker
        self._contracts = contracts
        self._routes: dict[str, Callable[[LoginState, Body, int], Answer]] = {
            "Account/search": self._accounts,
            "Contract/search": self._search_contracts,
            "Contract/searchById": self._contract,
            "Contract/available": self._available,
            "Position/searchOpen": self._positions,
            "Position/closeContract": self._close,
            "Position/partialCloseContract": self._partial_close,
            "Order/searchOpen": self._open_orders,
            "Order/search": self._search_orders,
            "Order/searchById": self._order,
            "Order/v2/query": self._query,
            "Order/cancel": self._cancel,
            "Order/modify": self._modify,
            "Order/place": self._place,
            "Trade/search": self._trades,
        }

    def knows(self, path: str) -> bool:
        return path in self._routes

    def handle(self, path: str, login: LoginState, body: Body, at: int) -> Answer:
        """Carry out one request at a time and answer it."""
        try:
            return self._routes[path](login, body, at)
        except Refusal as refusal:
            extra = dict(EMPTY.get(path, {}))
            if path == "Order/place":
                extra["orderId"] = refusal.order_id or 0
            return failure(code_of(path, refusal.reason), refusal.message, **extra)

    # --- helpers of the requests ------------------------------------------------------------------

    def _account_id(self, login: LoginState, body: Body) -> int:
        account_id = _integer(body, "accountId")
        if account_id not in login.account_ids:
            raise Refusal(Reason.ACCOUNT_NOT_FOUND, "Account not found.")
        return account_id

    def _contract_of(self, body: Body) -> Contract:
        contract = self._contracts.by_id.get(_text(body, "contractId"))
        if contract is None:
            raise Refusal(Reason.CONTRACT_NOT_FOUND, "Contract not found.")
        return contract

    @staticmethod
    def _orders(orders: Iterable[Order]) -> list[dict[str, object]]:
        return [order.payload() for order in orders]

    # --- accounts and contracts -------------------------------------------------------------------

    def _accounts(self, login: LoginState, body: Body, at: int) -> Answer:
        accounts = [self._broker.accounts[account_id] for account_id in login.account_ids]
        only_active = bool(body.get("onlyActiveAccounts"))
        return success(accounts=[a.payload() for a in accounts if a.active or not only_active])

    def _search_contracts(self, login: LoginState, body: Body, at: int) -> Answer:
        return success(contracts=[c.payload() for c in self._contracts.search(_text(body, "searchText"))])

    def _contract(self, login: LoginState, body: Body, at: int) -> Answer:
        return success(contract=self._contract_of(body).payload())

    def _available(self, login: LoginState, body: Body, at: int) -> Answer:
        return success(contracts=[c.payload() for c in self._contracts.by_id.values()])

    # --- positions --------------------------------------------------------------------------------

    def _positions(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id = self._account_id(login, body)
        positions = [
            {**holding.payload(), "contractDisplayName": holding.contract.name}
            for holding in self._broker.positions(account_id)
        ]
        return success(positions=positions)

    def _close(self, login: LoginState, body: Body, at: int) -> Answer:
        self._broker.close(self._account_id(login, body), self._contract_of(body), at)
        return success()

    def _partial_close(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id, contract, size = self._account_id(login, body), self._contract_of(body), _integer(body, "size")
        self._broker.close(account_id, contract, at, size)
        return success()

    # --- reading orders and trades ----------------------------------------------------------------

    def _open_orders(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id = self._account_id(login, body)
        return success(orders=self._orders(self._broker.account_orders(account_id, (OrderStatus.OPEN,))))

    def _search_orders(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id = self._account_id(login, body)
        _text(body, "startTimestamp")
        start, end = _moment(body, "startTimestamp", 0), _moment(body, "endTimestamp", FOREVER)
        orders = self._broker.account_orders(account_id)
        return success(orders=self._orders(o for o in orders if start <= o.created_at <= end))

    def _order(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id, order_id = self._account_id(login, body), _integer(body, "orderId")
        return success(order=self._broker.owned_order(account_id, order_id).payload())

    def _query(self, login: LoginState, body: Body, at: int) -> Answer:
        wanted = body.get("filter")
        if not isinstance(wanted, dict):
            raise BadRequest("filter")
        account_id = self._account_id(login, wanted)
        statuses = wanted.get("statuses")
        if statuses is not None and not (isinstance(statuses, list) and all(isinstance(s, int) for s in statuses)):
            raise BadRequest("filter.statuses")
        size, offset = _integer(body, "pageSize"), _integer(body, "pageOffset")
        if not 1 <= size <= 1000 or offset < 0:
            raise BadRequest("pageSize" if offset >= 0 else "pageOffset")
        after, before = _moment(wanted, "createdAfter", 0), _moment(wanted, "createdBefore", FOREVER)
        contract_id = wanted.get("contractId")
        hits = [
            order
            for order in self._broker.account_orders(account_id, statuses or None)
            if contract_id in (None, order.contract.id) and after <= order.created_at <= before
        ]
        extra = {"totalCount": len(hits)} if body.get("includeTotalCount") else {}
        return success(orders=self._orders(hits[offset : offset + size]), **extra)

    def _trades(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id = self._account_id(login, body)
        _text(body, "startTimestamp")
        start, end = _moment(body, "startTimestamp", 0), _moment(body, "endTimestamp", FOREVER)
        trades = self._broker.trades[account_id]
        return success(trades=[t.payload(commissions=True) for t in trades if start <= t.created_at <= end])

    # --- changing orders --------------------------------------------------------------------------

    def _cancel(self, login: LoginState, body: Body, at: int) -> Answer:
        self._broker.cancel(self._account_id(login, body), _integer(body, "orderId"), at)
        return success()

    def _modify(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id, order_id = self._account_id(login, body), _integer(body, "orderId")
        order = self._broker.owned_order(account_id, order_id)
        prices = [self._ticks(order.contract, body, key) for key in ("limitPrice", "stopPrice")]
        trail = self._trail(order.contract, body)
        size = _optional_integer(body, "size")
        self._broker.modify(account_id, order_id, at, size=size, limit=prices[0], stop=prices[1], trail=trail)
        return success()

    def _place(self, login: LoginState, body: Body, at: int) -> Answer:
        account_id, size = self._account_id(login, body), _integer(body, "size")
        kind, side, tag = _integer(body, "type"), _integer(body, "side"), body.get("customTag")
        if kind not in set(OrderType) or side not in (0, 1):
            raise BadRequest("type" if side in (0, 1) else "side")
        contract = self._contract_of(body)
        request = OrderRequest(account_id, contract, OrderType(kind), Side(side), size, tag=tag)
        try:
            request = OrderRequest(
                account_id,
                contract,
                request.type,
                request.side,
                size,
                limit=self._ticks(contract, body, "limitPrice"),
                stop=self._ticks(contract, body, "stopPrice"),
                trail=self._trail(contract, body) if request.type is OrderType.TRAILING_STOP else None,
                tag=tag,
                brackets=_brackets(body, request.side),
            )
        except Refusal as refusal:
            refusal.order_id = self._broker.reject(request, at)
            raise
        return success(orderId=self._broker.place(request, at).id)

    def _ticks(self, contract: Contract, body: Body, key: str) -> int | None:
        price = _number(body, key)
        if price is None:
            return None
        ticks = contract.ticks(price)
        if ticks is None:
            raise Refusal(Reason.REJECTED, f"Invalid {key}. Price is not aligned to tick size.")
        return ticks

    def _trail(self, contract: Contract, body: Body) -> int | None:
        """trailPrice as a distance in ticks. Undocumented upstream: a distance or a price; a value of more than half
        the market's price is taken as the first stop price."""
        ticks = self._ticks(contract, body, "trailPrice")
        if ticks is None:
            return None
        book = self._broker.books[contract.id]
        return abs(book.bid - ticks) if ticks > book.bid // 2 else ticks


def _brackets(body: Body, side: Side) -> Brackets | None:
    """The request's brackets. Field fact: ticks are signed offsets from the entry, and unsigned ones are refused."""
    legs: dict[str, tuple[int, int] | None] = {}
    for key in ("stopLossBracket", "takeProfitBracket"):
        bracket = body.get(key)
        if bracket is None:
            legs[key] = None
        elif isinstance(bracket, dict):
            legs[key] = _integer(bracket, "ticks"), _integer(bracket, "type")
        else:
            raise BadRequest(key)
    stop, profit = legs["stopLossBracket"], legs["takeProfitBracket"]
    if stop is None and profit is None:
        return None
    verb = "longing" if side is Side.BUY else "shorting"
    distances: list[int | None] = [None, None]
    for index, (leg, what, direction) in enumerate(((stop, "stop loss", -1), (profit, "take profit", 1))):
        if leg is None:
            continue
        distances[index] = leg[0] * direction * side.sign
        if distances[index] <= 0:  # type: ignore[operator]
            needed = "less" if direction * side.sign < 0 else "greater"
            text = f"Invalid {what} ticks ({leg[0]}). Ticks should be {needed} than zero when {verb}."
            raise Refusal(Reason.REJECTED, text)
    if stop is not None and stop[1] not in (OrderType.STOP, OrderType.TRAILING_STOP):
        raise Refusal(Reason.REJECTED, f"Invalid stop loss type ({stop[1]}).")
    if profit is not None and profit[1] != OrderType.LIMIT:
        raise Refusal(Reason.REJECTED, f"Invalid take profit type ({profit[1]}).")
    stop_type = OrderType(stop[1]) if stop is not None else OrderType.STOP
    return Brackets(distances[0], distances[1], stop_type)
