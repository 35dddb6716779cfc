"""A trader who does anything: every kind of order on several accounts, while the market and the connection misbehave.

Each step draws from a generator of its own (`seed:step`), so that what one step meets does not change the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from daemon.simulator import Refusal, Simulator, effects
from daemon.simulator.orders import Brackets, OrderType

SYMBOLS = {"MNQ": 24, "ES": 8, "NQ": 16, "MGC": 10, "CL": 12, "RTY": 6}
"""Symbols traded, and how many ticks a price may jump between two steps. RTY is blocked."""

REORDERS_APART = 12
"""Steps between two events that change places with the next."""


class RandomTrader:
    """Trades several accounts at the broker, as from a telephone. Nothing here waits."""

    def __init__(self, sim: Simulator, accounts: tuple[int, ...], seed: int) -> None:
        self._sim = sim
        self._accounts = accounts
        self._seed = seed
        self._chance = random.Random(seed)
        self._steps = 0
        self._reordered_in = -REORDERS_APART
        self.refused = 0
        self.done: dict[str, int] = {}

    def step(self, number: int) -> float:
        """Move a market or two and do something; returns the seconds of broker time until the next step."""
        self._steps = number
        chance = self._chance = random.Random(f"{self._seed}:{number}")
        for symbol in chance.sample(list(SYMBOLS), chance.randint(1, 3)):
            self._move(symbol)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            account = chance.choice(self._accounts)
            deed = chance.choices([deed for deed, _ in self._deeds], [weight for _, weight in self._deeds])[0]
            symbol = chance.choices(list(SYMBOLS), (6, 4, 4, 3, 3, 1))[0]
            try:
                deed(account, symbol)
            except (Refusal, ValueError):
                self.refused += 1
            else:
                name = deed.__name__.removeprefix("_")
                self.done[name] = self.done.get(name, 0) + 1
        return chance.choice((0.0, 1.0, 5.0, 20.0, 45.0, 70.0, 100.0)) * (0.5 + chance.random())

    def quote_all(self) -> None:
        """Every market says its prices once more."""
        for symbol in SYMBOLS:
            bid, ask = self._sim.quote(symbol)
            self._sim.set_quote(symbol, bid, ask)

    def calm(self) -> None:
        """End all disturbances."""
        self._sim.faults.clear()
        for account in self._accounts:
            if not self._sim.broker.account(account).can_trade:
                self._sim.set_can_trade(account, True)

    # ---- the market

    def _price(self, symbol: str, ticks: int) -> Decimal:
        """So many ticks from the present bid."""
        contract = self._sim.contract(symbol)
        return (self._sim.broker.books[contract.id].bid + ticks) * contract.tick_size

    def _move(self, symbol: str) -> None:
        moved = self._chance.randint(-SYMBOLS[symbol], SYMBOLS[symbol])
        self._sim.set_quote(symbol, self._price(symbol, moved), self._price(symbol, moved + self._chance.randint(1, 2)))

    # ---- deeds

    @property
    def _deeds(self) -> list[tuple[Callable[[int, str], None], int]]:
        return [
            (self._market, 26), (self._close, 14), (self._close_part, 7), (self._reverse, 8), (self._limit, 9),
            (self._marketable_limit, 6), (self._stop, 8), (self._stop_limit, 4), (self._trailing_stop, 5),
            (self._join, 5), (self._bracket, 8), (self._cancel_one, 7), (self._cancel_all, 3), (self._modify, 6),
            (self._slow_fills, 5), (self._silent_stop, 4), (self._void, 2), (self._no_trading, 1), (self._trading, 3),
            (self._disturb_events, 3), (self._cut_user_hub, 2), (self._cut_market_hub, 2), (self._outage, 1),
        ]  # fmt: skip

    def _size(self) -> int:
        return self._chance.choice((1, 1, 1, 2, 2, 3))

    def _place(self, account: int, symbol: str, **order: object) -> int:
        trader = self._sim.trader(account)
        side = trader.buy if self._chance.random() < 0.5 else trader.sell
        return side(symbol, self._size(), **order)  # type: ignore[arg-type]

    def _market(self, account: int, symbol: str) -> None:
        self._place(account, symbol)

    def _close(self, account: int, symbol: str) -> None:
        self._sim.trader(account).close(symbol)

    def _close_part(self, account: int, symbol: str) -> None:
        self._sim.trader(account).close(symbol, 1)

    def _reverse(self, account: int, symbol: str) -> None:
        held = self._sim.net(account, symbol)
        if not held:
            raise ValueError("nothing to reverse")
        trader = self._sim.trader(account)
        (trader.sell if held > 0 else trader.buy)(symbol, abs(held) + self._size())

    def _limit(self, account: int, symbol: str) -> None:
        trader, away = self._sim.trader(account), self._chance.randint(4, 60)
        if self._chance.random() < 0.5:
            trader.buy(symbol, self._size(), kind="limit", limit=self._price(symbol, -away))
        else:
            trader.sell(symbol, self._size(), kind="limit", limit=self._price(symbol, away))

    def _marketable_limit(self, account: int, symbol: str) -> None:
        trader = self._sim.trader(account)
        if self._chance.random() < 0.5:
            trader.buy(symbol, self._size(), kind="limit", limit=self._price(symbol, 4))
        else:
            trader.sell(symbol, self._size(), kind="limit", limit=self._price(symbol, -4))

    def _stop(self, account: int, symbol: str) -> None:
        trader, away = self._sim.trader(account), self._chance.randint(6, 60)
        held = self._sim.net(account, symbol)
        selling = held > 0 if held else self._chance.random() < 0.5
        size = abs(held) or self._size()
        (trader.sell if selling else trader.buy)(
            symbol, size, kind="stop", stop=self._price(symbol, -away if selling else away)
        )

    def _stop_limit(self, account: int, symbol: str) -> None:
        trader, away = self._sim.trader(account), self._chance.randint(6, 40)
        stop, limit = self._price(symbol, away), self._price(symbol, away + 3)
        trader.buy(symbol, self._size(), kind="stop_limit", stop=stop, limit=limit)

    def _trailing_stop(self, account: int, symbol: str) -> None:
        trail = self._chance.randint(5, 40) * self._sim.contract(symbol).tick_size
        self._place(account, symbol, kind="trailing_stop", trail=trail)

    def _join(self, account: int, symbol: str) -> None:
        if self._chance.random() < 0.5:
            self._sim.trader(account).buy(symbol, self._size(), kind="join_bid")
        else:
            self._sim.trader(account).sell(symbol, self._size(), kind="join_ask")

    def _bracket(self, account: int, symbol: str) -> None:
        kind = self._chance.choice((OrderType.STOP, OrderType.TRAILING_STOP))
        legs = Brackets(self._chance.randint(6, 30), self._chance.choice((None, self._chance.randint(6, 40))), kind)
        resting = self._chance.random() < 0.4
        order = {"kind": "limit", "limit": self._price(symbol, -self._chance.randint(3, 20))} if resting else {}
        self._sim.trader(account).buy(symbol, self._size(), brackets=legs, **order)  # type: ignore[arg-type]

    def _silent_stop(self, account: int, symbol: str) -> None:
        """Placed in the broker's own program: no event tells of it."""
        stop = self._price(symbol, -self._chance.randint(6, 60))
        self._sim.trader(account).sell(symbol, self._size(), kind="stop", stop=stop, silent=True)

    def _some_order(self, account: int) -> int:
        working = self._sim.working_orders(account)
        if not working:
            raise ValueError("nothing is working")
        return self._chance.choice(working).id

    def _cancel_one(self, account: int, symbol: str) -> None:
        self._sim.trader(account).cancel(self._some_order(account), delay=self._chance.choice((0.0, 0.0, 4.0)))

    def _cancel_all(self, account: int, symbol: str) -> None:
        self._sim.trader(account).cancel_all()

    def _modify(self, account: int, symbol: str) -> None:
        order = self._sim.broker.orders[self._some_order(account)]
        step = self._chance.randint(-3, 3) * order.contract.tick_size
        limit = None if order.limit is None else order.limit * order.contract.tick_size + step
        stop = None if order.stop is None else order.stop * order.contract.tick_size + step
        self._sim.trader(account).modify(order.id, size=order.size + self._chance.randint(0, 1), limit=limit, stop=stop)

    def _slow_fills(self, account: int, symbol: str) -> None:
        """The next two orders of the account fill one contract at a time, seconds apart."""
        fills = effects.Fills(
            delay=self._chance.choice((0.0, 2.0)), chunk=1, interval=self._chance.choice((1.0, 5.0, 15.0))
        )
        self._sim.faults.add(fills, account=account, count=2)

    def _void(self, account: int, symbol: str) -> None:
        trades = self._sim.trades(account)
        if not trades:
            raise ValueError("nothing was traded")
        self._sim.void_trade(account, self._chance.choice(trades[-8:]).id)

    def _no_trading(self, account: int, symbol: str) -> None:
        self._sim.set_can_trade(account, False)

    def _trading(self, account: int, symbol: str) -> None:
        self._sim.set_can_trade(account, True)

    # ---- the connection

    def _disturb_events(self, account: int, symbol: str) -> None:
        """The next events come twice, late, in another order or not at all."""
        effect = self._chance.choice((effects.Duplicate(2), effects.Late(0.15), effects.Reorder(), effects.Drop()))
        event = self._chance.choice(("position", "order")) if isinstance(effect, effects.Drop) else "[opta]*"
        # Of two events in a row that are to change places, the simulator loses the first.
        count = 1 if isinstance(effect, effects.Reorder) else self._chance.randint(1, 6)
        if isinstance(effect, effects.Reorder) and self._steps - self._reordered_in < REORDERS_APART:
            raise ValueError("one is under way")
        if isinstance(effect, effects.Reorder):
            self._reordered_in = self._steps
        self._sim.faults.add(effect, hub="user", event=event, count=count)

    def _cut_user_hub(self, account: int, symbol: str) -> None:
        self._sim.faults.add(effects.Close(), hub="user", count=2)

    def _cut_market_hub(self, account: int, symbol: str) -> None:
        self._sim.faults.add(effects.Close(), hub="market", count=2)

    def _outage(self, account: int, symbol: str) -> None:
        self._sim.faults.add(effects.Down(self._chance.choice((3.0, 30.0))), hub="user", count=2)
