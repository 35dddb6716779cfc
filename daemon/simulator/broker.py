"""The simulated broker: accounts, order life cycle, brackets, half-turns and what they do to positions and balances.

Pure: time comes in as an argument, events go out through one callback, nothing is read from the machine. When and at
which price orders fill is the `Exchange`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from daemon.simulator.admission import objection
from daemon.simulator.clock import SECOND
from daemon.simulator.contracts import Contract, ContractTable
from daemon.simulator.exchange import Exchange, FillPlan, Outcome
from daemon.simulator.ledger import HalfTurn, Holding, SimAccount
from daemon.simulator.orders import (
    STOPS,
    WORKING,
    Brackets,
    Order,
    OrderRequest,
    OrderStatus,
    OrderType,
    Reason,
    Refusal,
    Side,
)
from daemon.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True)
class BrokerEvent:
    """Something a subscriber may see.

    `kind`: order, position, trade, account. `payload` is a snapshot of the wire fields.
    """

    kind: str
    at: int
    account_id: int
    symbol: str
    payload: dict[str, object]
    closed: bool = False
    silent: bool = False


@dataclass(slots=True)
class BrokerSettings:
    """What is unknown of the real broker, or differs between brokers.

    `closed_type`: position type in the event of a closed position (None: the side it had). `reduce_only_closes`: a
    close order never reverses the position. `wrong_side_stops`: "reject" or "rest". `cancel_brackets_when_flat`:
    closing the position cancels its bracket legs (in the field it does not). `commission`: micro-dollars per contract
    and side.
    """

    closed_type: int | None = None
    reduce_only_closes: bool = True
    wrong_side_stops: str = "reject"
    cancel_brackets_when_flat: bool = False
    commission: int = 0
    plan: FillPlan = field(default_factory=FillPlan)


class Broker:
    """All accounts' orders, positions and trades.

    Refused requests raise `Refusal`; everything else emits `BrokerEvent`s.
    """

    def __init__(
        self,
        contracts: ContractTable,
        schedule: Schedule,
        settings: BrokerSettings,
        emit: Callable[[BrokerEvent], None],
        at: int,
    ) -> None:
        self.contracts = contracts
        self.settings = settings
        self.accounts: dict[int, SimAccount] = {}
        self.orders: dict[int, Order] = {}
        self.trades: dict[int, list[HalfTurn]] = {}
        outcome = Outcome(filled=self._fill, ended=self._end, moved=self._emit_order, room=self._room)
        self.exchange = Exchange(contracts, schedule, outcome, at)
        self.exchange.fill_plan = lambda order: self.settings.plan
        self.books = self.exchange.books
        self._owned: dict[int, list[Order]] = {}
        self._working: dict[int, dict[int, Order]] = {}
        self._holdings: dict[tuple[int, str], Holding] = {}
        self._schedule = schedule
        self._emit = emit
        self._last_id = {"order": 100_000, "trade": 500_000, "position": 900_000}

    # --- accounts ---------------------------------------------------------------------------------

    def add_account(self, account: SimAccount, at: int) -> None:
        """Open an account. ValueError if the id is taken."""
        if account.id in self.accounts:
            raise ValueError(f"account {account.id} exists already")
        self.accounts[account.id] = account
        self.trades[account.id], self._owned[account.id], self._working[account.id] = [], [], {}
        self._emit_account(account, at)

    def account(self, account_id: int) -> SimAccount:
        """The account. Refusal (ACCOUNT_NOT_FOUND) if there is none."""
        account = self.accounts.get(account_id)
        if account is None:
            raise Refusal(Reason.ACCOUNT_NOT_FOUND, "Account not found.")
        return account

    def touch_account(self, account_id: int, at: int) -> None:
        """Send the account's present state, after its flags were changed."""
        self._emit_account(self.account(account_id), at)

    # --- reading ----------------------------------------------------------------------------------

    def positions(self, account_id: int) -> list[Holding]:
        """The account's open positions, in the order in which the contracts were first traded."""
        return [h for (owner, _), h in self._holdings.items() if owner == account_id and h.net]

    def holding(self, account_id: int, contract: Contract) -> Holding:
        """The account's position in a contract, flat if there has never been one."""
        key = (account_id, contract.id)
        holding = self._holdings.get(key)
        if holding is None:
            holding = self._holdings[key] = Holding(account_id, contract)
        return holding

    def account_orders(self, account_id: int, statuses: Iterable[int] | None = None) -> list[Order]:
        """The account's orders, oldest first, of the given statuses (None: all)."""
        wanted = None if statuses is None else frozenset(statuses)
        if wanted is None:
            return list(self._owned[account_id])
        orders: Iterable[Order] = self._working[account_id].values() if wanted <= WORKING else self._owned[account_id]
        return [order for order in orders if order.status in wanted]

    def working_orders(self, account_id: int) -> list[Order]:
        """The account's orders that can still fill, suspended ones included, oldest first."""
        return list(self._working[account_id].values())

    # --- placing ----------------------------------------------------------------------------------

    def place(self, request: OrderRequest, at: int) -> Order:
        """Place an order; marketable ones fill before this returns (unless a plan delays them). Refusal if refused."""
        account = self.account(request.account_id)
        limit, stop = self.exchange.first_prices(request)
        order = Order(
            id=self._next_id("order"),
            account_id=account.id,
            contract=request.contract,
            type=request.type,
            side=request.side,
            size=request.size,
            created_at=at,
            updated_at=at,
            limit=limit,
            stop=stop,
            trail=request.trail if request.type is OrderType.TRAILING_STOP else None,
            tag=request.tag,
            silent=request.silent,
            reduce_only=request.reduce_only,
        )
        self._register(order)
        refusal = objection(
            account,
            request,
            order,
            held=self.holding(account.id, request.contract).net,
            is_open=self.books[request.contract.id].is_open,
            wrong_side=self.exchange.stop_reached(order) and not self._may_rest(request),
        )
        if refusal is not None:
            self._end(order, OrderStatus.REJECTED, at)
            raise refusal
        if request.type in STOPS and self.exchange.stop_reached(order):
            order.armed = False
        legs = self._suspended_legs(order, request.brackets, at) if request.brackets else []
        self._emit_order(order, at)
        for leg in legs:
            self._emit_order(leg, at)
        self.exchange.enter(order, at)
        return order

    def reject(self, request: OrderRequest, at: int) -> int:
        """Record an order as rejected unseen and return its id (the gateway gives rejected orders one)."""
        order = Order(
            self._next_id("order"),
            request.account_id,
            request.contract,
            request.type,
            request.side,
            request.size,
            at,
            at,
        )
        self._register(order)
        self._end(order, OrderStatus.REJECTED, at)
        return order.id

    def _register(self, order: Order) -> None:
        self.orders[order.id] = order
        self._owned[order.account_id].append(order)
        self._working[order.account_id][order.id] = order

    def spend_order_id(self) -> int:
        """Take an order id that no order will ever have."""
        return self._next_id("order")

    def _may_rest(self, request: OrderRequest) -> bool:
        return request.unchecked or self.settings.wrong_side_stops == "rest"

    def _suspended_legs(self, entry: Order, brackets: Brackets, at: int) -> list[Order]:
        sign, legs = entry.side.sign, []
        wanted = ((brackets.stop_loss, brackets.stop_type, -sign), (brackets.take_profit, OrderType.LIMIT, sign))
        for distance, kind, direction in wanted:
            if distance is None:
                continue
            leg = Order(
                self._next_id("order"), entry.account_id, entry.contract, kind, entry.side.opposite, entry.size, at, at
            )
            leg.status, leg.parent_id, leg.silent = OrderStatus.SUSPENDED, entry.id, entry.silent
            leg.leg_offset = direction * distance
            if kind is OrderType.TRAILING_STOP:
                leg.trail = distance
            self._register(leg)
            entry.leg_ids.append(leg.id)
            legs.append(leg)
        if len(legs) == 2:
            legs[0].linked_id, legs[1].linked_id = legs[1].id, legs[0].id
        return legs

    # --- changing and cancelling ------------------------------------------------------------------

    def owned_order(self, account_id: int, order_id: int) -> Order:
        """The account's order. Refusal (ORDER_NOT_FOUND) if it is not there or another account's."""
        self.account(account_id)
        order = self.orders.get(order_id)
        if order is None or order.account_id != account_id:
            raise Refusal(Reason.ORDER_NOT_FOUND, "Order not found.")
        return order

    def cancel(self, account_id: int, order_id: int, at: int, delay: float = 0.0) -> None:
        """Cancel a working order; with a delay (seconds) it is PendingCancellation meanwhile and may still fill.
        Refusal.
        """
        order = self.owned_order(account_id, order_id)
        if self.accounts[account_id].restricted:
            raise Refusal(Reason.ACCOUNT_REJECTED, "Account is restricted from cancelling orders through the API.")
        if not order.working:
            raise Refusal(Reason.REJECTED, f"Order is already {order.status.name.lower()}.")
        if delay > 0:
            order.status, order.updated_at = OrderStatus.PENDING_CANCELLATION, at
            self._emit_order(order, at)
            self._schedule.at(at + round(delay * SECOND), lambda due: self._end(order, OrderStatus.CANCELLED, due))
        else:
            self._end(order, OrderStatus.CANCELLED, at)

    def force_fill(self, order_id: int, at: int) -> None:
        """Fill the rest of a working order at its own price, or the market's if it has none, whatever the market is."""
        order = self.orders[order_id]
        if order.working and order.status is not OrderStatus.SUSPENDED:
            price = order.limit if order.limit is not None else order.stop
            self._fill(order, order.remaining, price if price is not None else self.exchange.market_price(order), at)

    def modify(
        self,
        account_id: int,
        order_id: int,
        at: int,
        *,
        size: int | None = None,
        limit: int | None = None,
        stop: int | None = None,
        trail: int | None = None,
    ) -> None:
        """Change what is given of a working order.

        Refusal if it is not working or the result would not be a valid order.
        """
        order = self.owned_order(account_id, order_id)
        account = self.accounts[account_id]
        if account.restricted:
            raise Refusal(Reason.ACCOUNT_REJECTED, "Account is restricted from changing orders through the API.")
        if order.status not in (OrderStatus.OPEN, OrderStatus.SUSPENDED):
            raise Refusal(Reason.REJECTED, f"Order is {order.status.name.lower()}.")
        if size is not None and size <= order.filled:
            raise Refusal(Reason.REJECTED, "Invalid order size.")
        if any(price is not None and price <= 0 for price in (limit, stop, trail)):
            raise Refusal(Reason.REJECTED, "Invalid price.")
        old = (order.size, order.limit, order.stop, order.trail, order.armed)
        order.size = order.size if size is None else size
        if order.limit is not None and limit is not None:
            order.limit = limit
        if order.type in STOPS and stop is not None:
            order.stop = stop
        if order.type is OrderType.TRAILING_STOP and trail is not None:
            order.trail = trail
            if stop is None:
                order.stop = self.exchange.trailing_stop(order.contract, order.side, trail)
        if order.type in STOPS and stop is not None and order.status is OrderStatus.OPEN and not order.triggered:
            reached = self.exchange.stop_reached(order)
            if reached and self.settings.wrong_side_stops != "rest":
                order.size, order.limit, order.stop, order.trail, order.armed = old
                raise Refusal(Reason.REJECTED, "Invalid stop price. Price is on the wrong side of the market.")
            order.armed = not reached
        order.updated_at = at
        self._emit_order(order, at)
        self.exchange.consider(order, at, resting=False)

    def _end(self, order: Order, status: OrderStatus, at: int) -> None:
        """Take an order out of the market without (further) fills; its suspended legs go with it."""
        if not order.working:
            return
        order.status, order.updated_at = status, at
        self._working[order.account_id].pop(order.id, None)
        self.exchange.leave(order)
        self._emit_order(order, at)
        for leg_id in order.leg_ids:
            leg = self.orders[leg_id]
            if leg.status is OrderStatus.SUSPENDED:
                self._end(leg, OrderStatus.CANCELLED, at)

    # --- closing ----------------------------------------------------------------------------------

    def close(self, account_id: int, contract: Contract, at: int, size: int | None = None) -> Order:
        """Close a position, or `size` contracts of it, with a market order of the broker's. Refusal."""
        account = self.account(account_id)
        if account.restricted:
            raise Refusal(Reason.ACCOUNT_REJECTED, "Account is restricted from closing positions through the API.")
        net = self.holding(account_id, contract).net
        if net == 0:
            raise Refusal(Reason.POSITION_NOT_FOUND, "Position not found.")
        if size is not None and not 0 < size <= abs(net):
            raise Refusal(Reason.INVALID_SIZE, "Invalid close size.")
        side = Side.SELL if net > 0 else Side.BUY
        request = OrderRequest(account_id, contract, OrderType.MARKET, side, size or abs(net), reduce_only=True)
        order = self.place(request, at)
        order.reduce_only = self.settings.reduce_only_closes
        return order

    def _room(self, order: Order) -> int:
        """How many contracts the order can take off without reversing the position."""
        return max(0, -self.holding(order.account_id, order.contract).net * order.side.sign)

    # --- fills ------------------------------------------------------------------------------------

    def _fill(self, order: Order, size: int, price: int, at: int) -> None:
        """Fill `size` contracts at `price`: order, half-turns, position, balance, then the order's legs."""
        order.filled += size
        order.cost += size * price
        order.updated_at = at
        if order.remaining == 0:
            order.status = OrderStatus.FILLED
            self._working[order.account_id].pop(order.id, None)
            self.exchange.leave(order)
        self._emit_order(order, at)
        self._book(order, size, price, at)
        if order.leg_ids:
            self._activate_legs(order, at)
        if order.parent_id is not None:
            self._settle_linked(order, size, at)

    def _book(self, order: Order, size: int, price: int, at: int) -> None:
        account, contract = self.accounts[order.account_id], order.contract
        holding = self.holding(account.id, contract)
        signed = order.side.sign * size
        closing = min(size, abs(holding.net)) if holding.net * signed < 0 else 0
        opening = size - closing
        positions: list[tuple[dict[str, object], bool]] = []
        if closing:
            before = holding.payload()
            pnl = holding.close(closing, price) * contract.tick_value
            self._record(order, price, closing, pnl, at)
            if holding.net == 0:
                kept = before["type"] if self.settings.closed_type is None else self.settings.closed_type
                positions.append(({**before, "size": 0, "type": kept}, True))
        if opening:
            if holding.net == 0:
                holding.id, holding.opened_at = self._next_id("position"), at
            holding.open(order.side.sign * opening, price)
            self._record(order, price, opening, None, at)
        if holding.net:
            positions.append((holding.payload(), False))
        for payload, closed in positions:
            self._emit(BrokerEvent("position", at, account.id, contract.symbol, payload, closed))
        self._emit_account(account, at)
        if holding.net == 0 and self.settings.cancel_brackets_when_flat:
            for leg in self.working_orders(account.id):
                if leg.parent_id is not None and leg.contract is contract:
                    self._end(leg, OrderStatus.CANCELLED, at)

    def _record(self, order: Order, price: int, size: int, pnl: int | None, at: int) -> None:
        contract = order.contract
        trade = HalfTurn(
            id=self._next_id("trade"),
            account_id=order.account_id,
            contract=contract,
            created_at=at,
            price=price,
            pnl=pnl,
            fees=contract.fee * size,
            commissions=self.settings.commission * size,
            side=int(order.side),
            size=size,
            order_id=order.id,
        )
        self.add_trade(trade, at)

    def _activate_legs(self, entry: Order, at: int) -> None:
        """Bring the legs into the market for what has been filled of the entry."""
        average = round(entry.cost / entry.filled)
        for leg_id in entry.leg_ids:
            leg = self.orders[leg_id]
            if not leg.working:
                continue
            leg.size, leg.updated_at = max(entry.filled, leg.filled + 1), at
            price = average + leg.leg_offset
            if leg.type is OrderType.LIMIT:
                leg.limit = price
            else:
                leg.stop = price
            leg.status = OrderStatus.OPEN
            self._emit_order(leg, at)
        for leg_id in entry.leg_ids:
            if self.orders[leg_id].working:
                self.exchange.enter(self.orders[leg_id], at, resting=True)

    def _settle_linked(self, leg: Order, size: int, at: int) -> None:
        """One cancels the other: a filled leg ends its sibling, a partly filled one makes it smaller."""
        sibling = self.orders.get(leg.linked_id) if leg.linked_id is not None else None
        if sibling is None or not sibling.working:
            return
        if leg.status is OrderStatus.FILLED or sibling.remaining <= size:
            self._end(sibling, OrderStatus.CANCELLED, at)
        else:
            sibling.size, sibling.updated_at = sibling.size - size, at
            self._emit_order(sibling, at)

    # --- trades -----------------------------------------------------------------------------------

    def add_trade(self, trade: HalfTurn, at: int, event: bool = True) -> None:
        """Put a half-turn into the history and the balance; send it unless `event` is False."""
        account = self.account(trade.account_id)
        self.trades[account.id].append(trade)
        account.balance += (trade.pnl or 0) - trade.fees - trade.commissions
        self._emit(BrokerEvent("trade", at, account.id, trade.contract.symbol, trade.payload(), silent=not event))

    def next_trade_id(self) -> int:
        return self._next_id("trade")

    def void(self, account_id: int, trade_id: int, at: int) -> HalfTurn:
        """Bust a trade: its P&L and fees are taken back, the position stays.

        KeyError if the account has no such trade.
        """
        account = self.account(account_id)
        for trade in self.trades[account_id]:
            if trade.id == trade_id:
                break
        else:
            raise KeyError(f"account {account_id} has no trade {trade_id}")
        if not trade.voided:
            trade.voided = True
            account.balance -= (trade.pnl or 0) - trade.fees - trade.commissions
            self._emit(BrokerEvent("trade", at, account_id, trade.contract.symbol, trade.payload()))
            self._emit_account(account, at)
        return trade

    # --- events -----------------------------------------------------------------------------------

    def _next_id(self, kind: str) -> int:
        self._last_id[kind] += 1
        return self._last_id[kind]

    def _emit_order(self, order: Order, at: int) -> None:
        symbol = order.contract.symbol
        self._emit(BrokerEvent("order", at, order.account_id, symbol, order.payload(), silent=order.silent))

    def _emit_account(self, account: SimAccount, at: int) -> None:
        self._emit(BrokerEvent("account", at, account.id, "", account.payload()))
