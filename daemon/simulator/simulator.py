"""The simulated ProjectX gateway as one object: start it, connect the SDK, trade, break things, look inside."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from daemon.simulator import effects as fx
from daemon.simulator.auth import LoginState, RequestLimit, Sessions
from daemon.simulator.broker import Broker, BrokerEvent
from daemon.simulator.clock import SECOND, SimClock
from daemon.simulator.config import Account, Login, SimulatorConfig
from daemon.simulator.connection import HubConnection, Topic
from daemon.simulator.contracts import Contract, ContractTable, Number, micro_dollars
from daemon.simulator.control import Control
from daemon.simulator.endpoints import Endpoints
from daemon.simulator.eventlog import EventLog
from daemon.simulator.exchange import FillPlan
from daemon.simulator.faults import Fault, FaultBox
from daemon.simulator.feed import MarketFeed
from daemon.simulator.hubs import Event, Hubs
from daemon.simulator.ledger import HalfTurn, Holding, SimAccount
from daemon.simulator.orders import Order
from daemon.simulator.records import RequestRecord, SentFrame
from daemon.simulator.schedule import Schedule
from daemon.simulator.server import Gateway
from daemon.simulator.trader import Trader


class Simulator:
    """A ProjectX gateway on loopback. Not thread-safe: call everything from the event loop it was started in."""

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config: SimulatorConfig = config or SimulatorConfig()
        if not ipaddress.ip_address(self.config.host).is_loopback:
            raise ValueError(
                f"host: {self.config.host} is not a loopback address; the simulator serves this machine only"
            )
        self.clock: SimClock = SimClock(self.config.start, self.config.speed, self.config.manual_clock)
        self.schedule: Schedule = Schedule()
        self.log: EventLog = EventLog(self.config.log_lines)
        self.contracts: ContractTable = ContractTable(self.clock.utc().date(), self.config.fees)
        self.faults: FaultBox = FaultBox(self.config.seed, self.clock.wire)
        self.broker: Broker = Broker(
            self.contracts, self.schedule, self.config.broker, self._broker_event, self.clock.now()
        )
        self.broker.exchange.fill_plan = self._fill_plan
        self._sessions = Sessions(self.clock, self.config.token_ttl, self.config.seed)
        self._limit = RequestLimit(self.clock, self.config.rate_limit, self.config.rate_window)
        self._hubs = Hubs(self.config, self.clock, self.faults)
        self._hubs.on_subscribe = self._subscribed
        self._gateway = Gateway(
            config=self.config,
            clock=self.clock,
            schedule=self.schedule,
            sessions=self._sessions,
            limit=self._limit,
            broker=self.broker,
            endpoints=Endpoints(self.broker, self.contracts),
            faults=self.faults,
            hubs=self._hubs,
            control=Control(self).handle,
            now=self.now,
        )
        self.faults.on_hit = self._fault_hit
        self._port = 0
        self._runner: web.ServerRunner | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self.clock.on_advance = self._advanced
        self.schedule.on_earlier = self._wake.set
        for login in self.config.logins:
            self.add_login(login)
        exchange = self.broker.exchange
        self.feed: MarketFeed = MarketFeed(
            self.config, self.clock, self.schedule, exchange=exchange, hubs=self._hubs, log=self.log
        )
        self.feed.set_rate(self.config.quotes_per_second, self.clock.now())

    # --- running ----------------------------------------------------------------------------------

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; port 0 takes any free one. OSError if the port is taken."""
        server = web.Server(self._gateway.handle, access_log=None, keepalive_timeout=600.0)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, port)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            self._runner = None
            raise
        self._port = self._runner.addresses[0][1]
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._hubs.keep_alive())]

    async def stop(self) -> None:
        """Cut all connections and stop listening. Safe to call twice."""
        self._gateway.stop()
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        await self._hubs.close_all()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        return self._port

    @property
    def api_url(self) -> str:
        """For `ProjectXConfig.api_url`."""
        return f"http://{self.config.host}:{self._port}/api"

    @property
    def user_hub_url(self) -> str:
        """For `ProjectXConfig.user_hub_url`."""
        return f"http://{self.config.host}:{self._port}/hubs/user"

    @property
    def market_hub_url(self) -> str:
        """For `ProjectXConfig.market_hub_url`."""
        return f"http://{self.config.host}:{self._port}/hubs/market"

    @property
    def control_url(self) -> str:
        """Base of the HTTP control API."""
        return f"http://{self.config.host}:{self._port}/control"

    def now(self) -> int:
        """Broker time in microseconds, after doing what is due by then; within timed work, the time it was due."""
        if self.schedule.current is not None:
            return self.schedule.current
        now = self.clock.now()
        self.schedule.run_until(now)
        return now

    def _advanced(self) -> None:
        self.now()
        self._wake.set()

    async def _pump(self) -> None:
        """Do timed work as broker time passes; with a manual clock there is nothing to wait for."""
        while True:
            self.schedule.run_until(self.clock.now())
            due = self.schedule.next_due()
            wait = 1.0
            if due is not None and not self.clock.manual:
                # 2 ms at least, so that fast quotes are worked off in batches and not one wake-up each.
                wait = min(1.0, max(0.002, (due - self.clock.now()) / SECOND / self.clock.speed))
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)

    # --- events -----------------------------------------------------------------------------------

    def _broker_event(self, event: BrokerEvent) -> None:
        self.log.write(event.at, event.kind, event.payload)
        if not event.silent and self._hubs.connections:
            topic: Topic = (event.kind, None if event.kind == "account" else event.account_id)
            self._hubs.publish(Event(event.kind, topic, event.account_id, event.symbol, [event.payload], event.closed))

    def _fault_hit(self, fault: Fault) -> None:
        at = self.clock.now() if self.schedule.current is None else self.schedule.current
        self.log.write(at, "fault", {"effect": fault.effect.name, "hits": fault.hits, "label": fault.label})

    def _fill_plan(self, order: Order) -> FillPlan:
        if self.faults.any("fill"):
            fault = self.faults.fill(order.account_id, order.contract.symbol, int(order.side))
            effect = fault.effect if fault is not None else None
            if isinstance(effect, fx.Fills):
                return FillPlan(effect.delay, effect.chunk, effect.interval)
            if isinstance(effect, fx.NoFill):
                return FillPlan(hold=True)
            if isinstance(effect, fx.RejectLate):
                return FillPlan(reject=effect.message)
        return self.config.broker.plan

    def _subscribed(self, connection: HubConnection, topic: Topic) -> None:
        contract = self.contracts.by_id.get(str(topic[1]))
        if topic[0] == "quote" and contract is not None and self.config.quote_on_subscribe:
            self.feed.send_present(contract, connection)

    # --- the market -------------------------------------------------------------------------------

    def set_quote(self, symbol: str, bid: Number | None, ask: Number | None, last: Number | None = None) -> None:
        """Move a market by hand and match orders against it; `last` defaults to the bid, 0 is sent as 0.

        Zero, negative, crossed or null prices are sent as they are and leave the market where it was.
        """
        self.feed.set_quote(self.contracts[symbol], bid, ask, last, self.now())

    def quote(self, symbol: str) -> tuple[float, float]:
        """The present (bid, ask) of a market."""
        book = self.broker.books[self.contracts[symbol].id]
        return book.contract.price(book.bid), book.contract.price(book.ask)

    def burst(self, symbol: str, count: int) -> None:
        """Send `count` steps of the random walk at once."""
        self.feed.burst(self.contracts[symbol], count, self.now())

    def set_quotes_per_second(self, rate: float) -> None:
        """Change the pace of the random walk, over all its contracts together; 0 stops it."""
        self.feed.set_rate(rate, self.now())

    def set_market_open(self, is_open: bool, symbol: str | None = None) -> None:
        """Open or close the market of one contract, or of all: orders and closes are refused while it is closed."""
        self.now()
        for contract in self.contracts if symbol is None else (self.contracts[symbol],):
            self.broker.books[contract.id].is_open = is_open

    # --- logins and accounts ----------------------------------------------------------------------

    def add_login(self, login: Login) -> None:
        """Add a user. ValueError if the name or one of the accounts is taken."""
        if login.username in self._sessions.logins:
            raise ValueError(f"login {login.username} exists already")
        self._sessions.logins[login.username] = LoginState(login.username, login.api_key)
        for account in login.accounts:
            self.add_account(login.username, account)

    def add_account(self, username: str, account: Account) -> None:
        """Open an account for a login. KeyError for an unknown login, ValueError if the id is taken."""
        state = self._login(username)
        opened = SimAccount(
            id=account.id,
            name=account.name or f"SIM-{account.id}",
            login=username,
            balance=micro_dollars(account.balance),
            can_trade=account.can_trade,
            visible=account.visible,
            simulated=account.simulated,
            restricted=account.restricted,
            max_contracts=account.max_contracts,
        )
        self.broker.add_account(opened, self.now())
        state.account_ids.append(account.id)

    def _login(self, username: str) -> LoginState:
        if username not in self._sessions.logins:
            raise KeyError(f"unknown login {username!r}; known: {', '.join(self._sessions.logins)}")
        return self._sessions.logins[username]

    def set_login_refusal(self, username: str, code: int) -> None:
        """Let loginKey answer with an error code (gateway fact: 1, 2, 3, 7, 8, 9, 10); 0 lets the login in again."""
        self._login(username).refusal = code

    def revoke_tokens(self, username: str | None = None) -> int:
        """Make a login's tokens (or all) invalid at once; returns how many."""
        return self._sessions.revoke(username)

    def set_can_trade(self, account_id: int, can_trade: bool) -> None:
        """Switch an account's canTrade and send the account event."""
        self.broker.account(account_id).can_trade = can_trade
        self.broker.touch_account(account_id, self.now())

    def set_restricted(self, account_id: int, restricted: bool) -> None:
        """Let the broker refuse every order, close and cancel of an account, as for live and follower accounts."""
        self.broker.account(account_id).restricted = restricted

    # --- trading and looking ----------------------------------------------------------------------

    def trader(self, account_id: int) -> Trader:
        """The account's owner at another device. `Refusal` if there is no such account."""
        self.broker.account(account_id)
        return Trader(account_id, self.broker, self.contracts, self.now)

    def contract(self, symbol: str) -> Contract:
        """The listed contract of a symbol (or id, or name)."""
        return self.contracts[symbol]

    def positions(self, account_id: int) -> list[Holding]:
        """Open positions; `net` is signed contracts, `symbol` the contract's, `payload()` the wire fields."""
        self.now()
        return self.broker.positions(account_id)

    def net(self, account_id: int, symbol: str) -> int:
        """Signed contracts held."""
        self.now()
        return self.broker.holding(account_id, self.contracts[symbol]).net

    def working_orders(self, account_id: int) -> list[Order]:
        """Orders that are open, pending, being cancelled or suspended."""
        self.now()
        return self.broker.working_orders(account_id)

    def orders(self, account_id: int) -> list[Order]:
        """All orders ever, oldest first."""
        self.now()
        return self.broker.account_orders(account_id)

    def trades(self, account_id: int) -> list[HalfTurn]:
        """All half-turn trades, oldest first; `pnl` and `fees` in micro-dollars."""
        self.now()
        return list(self.broker.trades[account_id])

    def extremes(self, account_id: int, symbol: str) -> tuple[int, int]:
        """The lowest and highest signed position ever held: (0, 3) proves that a long of 3 was never flipped."""
        holding = self.broker.holding(account_id, self.contracts[symbol])
        return holding.lowest, holding.highest

    def void_trade(self, account_id: int, trade_id: int) -> None:
        """Bust a trade: its P&L and fees are taken back and the trade is sent again as voided. KeyError if unknown."""
        self.broker.void(account_id, trade_id, self.now())

    def inject_trade(
        self,
        account_id: int,
        symbol: str,
        pnl: Number | None,
        fees: Number = 0,
        *,
        commissions: Number = 0,
        size: int = 1,
        side: int = 1,
        price: Number | None = None,
        at: int | None = None,
        order_id: int | None = None,
        voided: bool = False,
        event: bool = True,
    ) -> int:
        """Put a half-turn with a given P&L (dollars; None: opening) into the history and return its id.

        `at`: broker time in microseconds (default now); positions are not touched; `event=False`: nothing is sent.
        """
        contract, now = self.contracts[symbol], self.now()
        ticks = self.broker.books[contract.id].bid if price is None else contract.ticks(price)
        if ticks is None:
            raise ValueError(f"{price} is not a multiple of {contract.symbol}'s tick size {contract.tick_size}")
        trade = HalfTurn(
            id=self.broker.next_trade_id(),
            account_id=account_id,
            contract=contract,
            created_at=now if at is None else at,
            price=ticks,
            pnl=None if pnl is None else micro_dollars(pnl),
            fees=micro_dollars(fees),
            commissions=micro_dollars(commissions),
            side=side,
            size=size,
            order_id=self.broker.spend_order_id() if order_id is None else order_id,
            voided=voided,
        )
        self.broker.add_trade(trade, now, event)
        return trade.id

    # --- the wire ---------------------------------------------------------------------------------

    @property
    def requests(self) -> deque[RequestRecord]:
        """Every HTTP request received, oldest first."""
        return self._gateway.requests

    @property
    def frames(self) -> deque[SentFrame]:
        """Every hub event sent, oldest first."""
        return self._hubs.frames

    def on_request(self, hook: Callable[[RequestRecord], None] | None) -> None:
        """Call `hook` with every request as soon as it is received."""
        self._gateway.on_request = hook

    def on_sent(self, hook: Callable[[SentFrame], None] | None) -> None:
        """Call `hook` with every hub event as soon as it is written."""
        self._hubs.on_sent = hook

    def connections(self, hub: str) -> list[HubConnection]:
        """The live connections of a hub ("user" or "market") that have finished their handshake."""
        return [c for c in self._hubs.connections if c.hub == hub and c.ready]

    def send_raw(self, data: bytes, hub: str = "*", login: str | None = None) -> int:
        """Send bytes as they are (end them with 0x1E) to live connections; returns to how many."""
        return self._hubs.send_raw(data, hub, login)

    def gateway_logout(self, login: str | None = None) -> int:
        """Send GatewayLogout to a login's connections, or all; returns to how many."""
        return self._hubs.send_raw(b'{"type":1,"target":"GatewayLogout","arguments":[]}\x1e', login=login)

    def state(self) -> dict[str, Any]:
        """Everything worth looking at, as plain data."""
        self.now()
        accounts = {}
        for account in self.broker.accounts.values():
            accounts[str(account.id)] = {
                **account.payload(),
                "login": account.login,
                "positions": [h.payload() for h in self.broker.positions(account.id)],
                "orders": [o.payload() for o in self.working_orders(account.id)],
                "trades": [t.payload(commissions=True) for t in self.broker.trades[account.id]],
                "extremes": {
                    c.symbol: self.extremes(account.id, c.symbol)
                    for c in self.contracts
                    if self.extremes(account.id, c.symbol) != (0, 0)
                },
            }
        return {
            "time": self.clock.utc().isoformat(),
            "accounts": accounts,
            "quotes": {b.contract.symbol: b.payload() for b in self.broker.books.values()},
            "faults": [fault.describe() for fault in self.faults.active],
            "connections": [
                {"hub": c.hub, "login": c.login.username, "topics": sorted(map(str, c.topics))}
                for c in self._hubs.connections
            ],
            "log": {"lines": self.log.count, "sha256": self.log.digest()},
        }
