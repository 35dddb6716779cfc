"""The trader at another device: places, changes, cancels and closes at the broker, past REST and its limits."""

from __future__ import annotations

from collections.abc import Callable

from daemon.simulator.broker import Broker
from daemon.simulator.contracts import Contract, ContractTable, Number
from daemon.simulator.orders import Brackets, OrderRequest, OrderType, Side

KINDS = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_limit": OrderType.STOP_LIMIT,
    "trailing_stop": OrderType.TRAILING_STOP,
    "join_bid": OrderType.JOIN_BID,
    "join_ask": OrderType.JOIN_ASK,
}


class Trader:
    """One account's owner.

    Prices are in price units and must be multiples of the tick (ValueError); `Refusal` if refused.
    """

    def __init__(self, account_id: int, broker: Broker, contracts: ContractTable, now: Callable[[], int]) -> None:
        self.account_id = account_id
        self._broker = broker
        self._contracts = contracts
        self._now = now

    def buy(
        self,
        symbol: str,
        size: int,
        *,
        kind: str = "market",
        limit: Number | None = None,
        stop: Number | None = None,
        trail: Number | None = None,
        brackets: Brackets | None = None,
        tag: str | None = None,
        silent: bool = False,
        unchecked: bool = False,
    ) -> int:
        """Place a buy order and return its id.

        `kind`: market, limit, stop, stop_limit, trailing_stop, join_bid, join_ask; `trail` is a distance in price
        units; `silent`: its order events are not sent; `unchecked`: a stop may rest on the wrong side of the market.
        """
        prices = (limit, stop, trail)
        return self._place(
            Side.BUY, symbol, size, kind, prices=prices, brackets=brackets, tag=tag, silent=silent, unchecked=unchecked
        )

    def sell(
        self,
        symbol: str,
        size: int,
        *,
        kind: str = "market",
        limit: Number | None = None,
        stop: Number | None = None,
        trail: Number | None = None,
        brackets: Brackets | None = None,
        tag: str | None = None,
        silent: bool = False,
        unchecked: bool = False,
    ) -> int:
        """Place a sell order and return its id; see `buy`."""
        prices = (limit, stop, trail)
        return self._place(
            Side.SELL, symbol, size, kind, prices=prices, brackets=brackets, tag=tag, silent=silent, unchecked=unchecked
        )

    def cancel(self, order_id: int, *, delay: float = 0.0) -> None:
        """Cancel an order; with a delay (seconds of broker time) it is PendingCancellation meanwhile."""
        self._broker.cancel(self.account_id, order_id, self._now(), delay)

    def cancel_all(self) -> int:
        """Cancel every working order; returns how many there were."""
        hits = self._broker.working_orders(self.account_id)
        for order in hits:
            if order.working:
                self._broker.cancel(self.account_id, order.id, self._now())
        return len(hits)

    def modify(
        self,
        order_id: int,
        *,
        size: int | None = None,
        limit: Number | None = None,
        stop: Number | None = None,
        trail: Number | None = None,
    ) -> None:
        """Change an order's size or prices."""
        contract = self._broker.owned_order(self.account_id, order_id).contract
        self._broker.modify(
            self.account_id,
            order_id,
            self._now(),
            size=size,
            limit=_ticks(contract, limit),
            stop=_ticks(contract, stop),
            trail=_ticks(contract, trail),
        )

    def close(self, symbol: str, size: int | None = None) -> int:
        """Close the position in a contract, or `size` contracts of it; returns the closing order's id."""
        return self._broker.close(self.account_id, self._contracts[symbol], self._now(), size).id

    def _place(
        self,
        side: Side,
        symbol: str,
        size: int,
        kind: str,
        *,
        prices: tuple[Number | None, Number | None, Number | None],
        brackets: Brackets | None,
        tag: str | None,
        silent: bool,
        unchecked: bool,
    ) -> int:
        if kind not in KINDS:
            raise ValueError(f"kind: {kind!r} is unknown; use one of {', '.join(KINDS)}")
        contract = self._contracts[symbol]
        limit, stop, trail = (_ticks(contract, price) for price in prices)
        request = OrderRequest(
            self.account_id,
            contract,
            KINDS[kind],
            side,
            size,
            limit=limit,
            stop=stop,
            trail=trail,
            tag=tag,
            brackets=brackets,
            silent=silent,
            unchecked=unchecked,
        )
        return self._broker.place(request, self._now()).id


def _ticks(contract: Contract, price: Number | None) -> int | None:
    if price is None:
        return None
    ticks = contract.ticks(price)
    if ticks is None:
        raise ValueError(f"{price} is not a multiple of {contract.symbol}'s tick size {contract.tick_size}")
    return ticks
