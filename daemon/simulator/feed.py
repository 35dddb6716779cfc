"""The market feed: the random walk in its turn, prices set by hand, and their way to matching, log and subscribers."""

from __future__ import annotations

from daemon.simulator.clock import SECOND, SimClock
from daemon.simulator.config import SimulatorConfig
from daemon.simulator.connection import HubConnection
from daemon.simulator.contracts import Contract, Number
from daemon.simulator.eventlog import EventLog
from daemon.simulator.exchange import Exchange
from daemon.simulator.hubs import Event, Hubs
from daemon.simulator.market import Book, RandomWalk
from daemon.simulator.schedule import Schedule


class MarketFeed:
    """Moves the books. Every quote goes to the log, then to the subscribers, then working orders are matched."""

    def __init__(
        self,
        config: SimulatorConfig,
        clock: SimClock,
        schedule: Schedule,
        *,
        exchange: Exchange,
        hubs: Hubs,
        log: EventLog,
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._exchange = exchange
        self._hubs = hubs
        self._log = log
        self._seed = config.seed
        self._walks: dict[str, RandomWalk] = {}
        self._order = [b.contract for b in exchange.books.values() if b.contract.symbol in config.symbols]
        self._turn = 0
        self._interval = 0

    def set_rate(self, rate: float, at: int) -> None:
        """Quotes per second of the random walk, over all its contracts together; 0 stops it."""
        self._schedule.remove(self._walk)
        if rate > 0 and self._order:
            self._interval = max(1, round(SECOND / rate))
            self._schedule.at(at + self._interval, self._walk)

    def _step(self, contract: Contract, at: int) -> None:
        walk = self._walks.get(contract.id)
        if walk is None:
            walk = self._walks[contract.id] = RandomWalk(contract, self._seed)
        book = self._exchange.books[contract.id]
        if book.is_open:
            self._moved(book, walk.step(book, at), at)

    def _walk(self, at: int) -> None:
        """One step of the random walk; the contracts take turns."""
        self._step(self._order[self._turn % len(self._order)], at)
        self._turn += 1
        following = at + self._interval
        if not self._clock.manual and following < self._clock.now() - SECOND:
            following = self._clock.now()  # after a jump in broker time: no quotes for the time skipped
        self._schedule.at(following, self._walk)

    def burst(self, contract: Contract, count: int, at: int) -> None:
        """So many steps of the random walk at once."""
        for _ in range(count):
            self._step(contract, at)

    def set_quote(
        self, contract: Contract, bid: Number | None, ask: Number | None, last: Number | None, at: int
    ) -> None:
        """Move one market by hand; prices that are no market are only sent. ValueError if one is off the tick."""
        book = self._exchange.books[contract.id]
        low, high, traded = (self._ticks(contract, price) for price in (bid, ask, bid if last is None else last))
        if low is None or high is None or traded is None or low <= 0 or high < low:
            quote = book.payload()
            for key, price in (("bestBid", bid), ("bestAsk", ask), ("lastPrice", last)):
                quote[key] = None if price is None else float(price)
            self._log.write(at, "quote", quote)
            self._publish(contract, quote, None)
            return
        book.move(low, high, traded if traded > 0 else book.last, at)
        self._moved(book, show_last=traded > 0, at=at)

    @staticmethod
    def _ticks(contract: Contract, price: Number | None) -> int | None:
        ticks = None if price is None else contract.ticks(price)
        if price is not None and ticks is None:
            raise ValueError(f"{price} is not a multiple of {contract.symbol}'s tick size {contract.tick_size}")
        return ticks

    def send_present(self, contract: Contract, connection: HubConnection) -> None:
        """Send the market as it stands to one new subscriber."""
        quote = self._exchange.books[contract.id].payload()
        self._hubs.publish(self._event("quote", contract, quote), connection)

    def _moved(self, book: Book, show_last: bool, at: int) -> None:
        quote = book.payload(show_last)
        self._log.write(at, "quote", quote)
        if self._hubs.connections:
            self._publish(book.contract, quote, book)
        self._exchange.match(book.contract, at)

    def _publish(self, contract: Contract, quote: dict[str, object], book: Book | None) -> None:
        self._hubs.publish(self._event("quote", contract, quote))
        if book is None:
            return
        if self._hubs.wanted(("market_trade", contract.id)):
            trade = {
                "symbolId": contract.symbol_id,
                "price": contract.price(book.last),
                "timestamp": quote["timestamp"],
                "type": int(book.last <= book.bid),
                "volume": 1,
            }
            self._hubs.publish(self._event("market_trade", contract, trade))
        if self._hubs.wanted(("depth", contract.id)):
            for kind, price in ((4, book.bid), (3, book.ask)):
                level = {
                    "timestamp": quote["timestamp"],
                    "type": kind,
                    "price": contract.price(price),
                    "volume": 10,
                    "currentVolume": 10,
                }
                self._hubs.publish(self._event("depth", contract, level))

    @staticmethod
    def _event(kind: str, contract: Contract, payload: dict[str, object]) -> Event:
        return Event(kind, (kind, contract.id), None, contract.symbol, [contract.id, payload])
