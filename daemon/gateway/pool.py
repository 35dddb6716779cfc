"""All logins as one gateway: the broker that the enforcer uses, and the source of all events.

gateways = Gateways(config, credentials, clock, deliver=put, on_alert=alert, day_start=start)
await gateways.start()      # returns when every login's first try is over
…
await gateways.stop()
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from random import Random
from types import ModuleType

from daemon.broker import Answer, AnswerKind, GatewayError
from daemon.clock import Clock
from daemon.core.events import (
    Contract,
    ContractSeen,
    Event,
    OrdersSnapshot,
    PositionsSnapshot,
    TradesSnapshot,
)
from daemon.core.units import SECOND_US, nanos_to_price
from daemon.gateway.contracts import ContractBook
from daemon.gateway.limiter import Priority, PriorityLimiter, RequestBudget
from daemon.gateway.login import LoginSession
from daemon.gateway.loopback import off_loopback
from daemon.gateway.probe import probe
from daemon.gateway.rest import LoginRest
from daemon.gateway.sleep_watch import SleepWatch
from daemon.gateway.status import GatewayStatus, StepResult
from daemon.gateway.succession import Succession
from daemon.gateway.timings import Timings
from shared.config import AccountsConfig, LoginConfig

_log = logging.getLogger(__name__)


def preload() -> ModuleType:
    """Import the SDK, which takes about a second. Call it in a thread while something else is being done."""
    from daemon.gateway import projectx

    return projectx


class Gateways:
    """Every account of every login. Implements `daemon.broker.Broker`.

    Args:
        config: addresses and logins; logins that are not enabled are left out.
        credentials: gives the API key for a user name. Called in a thread; may raise.
        clock: trusted time; it is told every Date header and event time.
        deliver: takes every event, in order, on the event loop. Must not block or raise.
        on_alert: takes a sentence for people and a technical detail (may be empty).
        day_start: start of the trading day that a time belongs to; both microseconds UTC.
        contracts: contract data of an earlier run.
        require_loopback: refuse any address that is not on this machine (demo, tests).
        timings: intervals and bounds.
        random: for the jitter of pauses.

    Raises:
        ValueError: an address is not on this machine although that is required.
    """

    def __init__(  # noqa: PLR0917 - what every use of it must say
        self,
        config: AccountsConfig,
        credentials: Callable[[str], str],
        clock: Clock,
        deliver: Callable[[Event], None],
        on_alert: Callable[[str, str], None],
        day_start: Callable[[int], int],
        *,
        contracts: Iterable[Contract] = (),
        require_loopback: bool = False,
        timings: Timings | None = None,
        random: Random | None = None,
    ) -> None:
        check_addresses(config, require_loopback=require_loopback)
        self._config = config
        self._credentials = credentials
        self._clock = clock
        self._deliver = deliver
        self._tell = on_alert
        self._told: dict[str, int] = {}
        self._day_start = day_start
        self._require_loopback = require_loopback
        self._timings = timings or Timings()
        self._random = random or Random()
        self._sessions: dict[str, LoginSession] = {}
        self._owners: dict[int, LoginSession] = {}
        self._succession = Succession(
            self._sessions,
            add=lambda login: self._add(preload(), login),
            remove=self._remove,
            check=self.check_login,
            first_tries=self._first_tries,
            alert=self._on_alert,
            timings=self._timings,
        )
        self._quoted: frozenset[str] = frozenset()
        self._leader: LoginSession | None = None
        self._led_since = 0.0
        self._steering: asyncio.Task[None] | None = None
        self._steer = asyncio.Event()
        self._book = ContractBook(
            contracts,
            lambda contract: deliver(ContractSeen(clock.now(), contract)),
            self._on_alert,
            clock.monotonic,
            self._timings,
        )

    # --- life --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start all logins at once; returns when the first try of each is over, or after `Timings.start`."""
        await asyncio.to_thread(preload)
        for login in self._config.logins:
            if login.enabled:
                self._succession.begin(login, self._config.gateway)
        self._steering = asyncio.create_task(self._steer_quotes(), name="quotes leader")
        await self._first_tries(self._sessions.values())

    async def stop(self) -> None:
        """Close all connections. Events may still be delivered until this returns, none after."""
        steering, self._steering = self._steering, None
        if steering is not None:
            steering.cancel()
            await asyncio.wait({steering}, timeout=1)
        await self._succession.stop()
        sessions = list(self._sessions.values())
        await asyncio.gather(*(session.stop() for session in sessions))
        await self._book.close()

    async def apply(self, config: AccountsConfig) -> None:
        """Take over a changed configuration; no login ends before the gateway has let in what replaces it.

        Raises:
            ValueError: as on construction; nothing is changed then.
        """
        check_addresses(config, require_loopback=self._require_loopback)
        await asyncio.to_thread(preload)
        self._config = config
        await self._succession.take_over(config)

    async def check_login(self, username: str, credentials: Callable[[str], str] | None = None) -> None:
        """Log in once, beside the running session if there is one; what it gave is not used.

        Args:
            username: need not be configured.
            credentials: gives the API key to try, as on construction; None takes the stored one.

        Raises:
            LoginError: refused, or not reached.
        """
        adapter = await asyncio.to_thread(preload)
        timings = self._timings
        addresses = _addresses(adapter, self._config)
        rest = LoginRest(
            username,
            credentials or self._credentials,
            adapter.RestClient(username, addresses, self._clock, timings.connect, timings.read),
            limiter=self._limiter(),
            clock=self._clock,
            timings=timings,
            on_health=lambda _up, _reason: None,
            on_token=lambda: None,
        )
        try:
            await rest.login()
        finally:
            await rest.close()

    async def renew_login(self, username: str) -> None:
        """The API key of a login has changed: log in with it at once. Unknown names are ignored."""
        session = self._sessions.get(username)
        if session is not None:
            session.retry_now()

    def status(self) -> GatewayStatus:
        """States of all logins, hubs and accounts."""
        return GatewayStatus(tuple(session.status() for session in self._sessions.values()))

    async def reconcile(self, account_id: int) -> None:
        """Read positions, orders and trades of an account and deliver them as snapshots. Raises GatewayError."""
        await self._owner(account_id).reconcile(account_id)

    def set_quoted_contracts(self, contract_ids: Iterable[str]) -> None:
        """Have quotes of these contracts, those of open positions, and of no others."""
        self._quoted = frozenset(contract_ids)
        for session in self._sessions.values():
            session.quotes.want(self._quoted)

    async def test_connection(self, username: str, api_key: str | None = None) -> list[StepResult]:
        """Try a login step by step, without touching the running one: REST login, accounts, user hub, market hub.

        Args:
            username: need not be configured.
            api_key: the key to try; None takes the stored one.
        """
        adapter = await asyncio.to_thread(preload)
        addresses = _addresses(adapter, self._config)

        def credentials(name: str) -> str:
            return self._credentials(name) if api_key is None else api_key

        return await probe(
            username,
            credentials,
            adapter.RestClient(username, addresses, self._clock, self._timings.connect, self._timings.read),
            lambda kind, token, take, bad: adapter.HubLink(kind, addresses, token, take, bad),
            limiter=self._limiter(),
            clock=self._clock,
            timings=self._timings,
        )

    # --- Broker ------------------------------------------------------------------------------------

    def turn_in(self, account_id: int, *, closing: bool) -> float:
        """Seconds until the account's login has room for a close, or else for a cancel or a stop move; 0: now."""
        session = self._owners.get(account_id)
        priority = Priority.CLOSE if closing else Priority.CANCEL
        return 0.0 if session is None else session.rest.turn_in(priority, account_id)

    async def close_position(self, account_id: int, contract_id: str) -> Answer:
        """Position/closeContract. One try."""
        return await self._mutate("/Position/closeContract", account_id, contractId=contract_id)

    async def reduce_position(self, account_id: int, contract_id: str, size: int) -> Answer:
        """Position/partialCloseContract. One try."""
        if size <= 0:
            return Answer(AnswerKind.REFUSED, message=f"cannot reduce by {size} contracts")
        return await self._mutate("/Position/partialCloseContract", account_id, contractId=contract_id, size=size)

    async def cancel_order(self, account_id: int, order_id: int) -> Answer:
        """Order/cancel. One try."""
        return await self._mutate("/Order/cancel", account_id, Priority.CANCEL, orderId=order_id)

    async def modify_stop(self, account_id: int, order_id: int, stop_price: int) -> Answer:
        """Order/modify with a new stop price in nanos. One try."""
        price = float(nanos_to_price(stop_price))
        return await self._mutate("/Order/modify", account_id, Priority.CANCEL, orderId=order_id, stopPrice=price)

    async def read_positions(self, account_id: int, *, closing: bool = True) -> PositionsSnapshot:
        """Position/searchOpen. Raises GatewayError. The snapshot is returned, not delivered."""
        session = self._owner(account_id)
        return await session.reads.positions(account_id, session.mirror(account_id), _read_priority(closing))

    async def read_orders(self, account_id: int, *, closing: bool = True) -> OrdersSnapshot:
        """Order/v2/query, working statuses. Raises GatewayError. The snapshot is returned, not delivered."""
        session = self._owner(account_id)
        return await session.reads.orders(account_id, session.mirror(account_id), _read_priority(closing))

    async def read_trades(self, account_id: int, since: int) -> TradesSnapshot:
        """Trade/search. Raises GatewayError. The snapshot is returned, not delivered."""
        return await self._owner(account_id).reads.trades(account_id, since, Priority.READ)

    async def _mutate(
        self, endpoint: str, account_id: int, priority: Priority = Priority.CLOSE, **fields: object
    ) -> Answer:
        session = self._owners.get(account_id)
        if session is None:
            return Answer(AnswerKind.NOT_SENT, message=f"no login that is online has account {account_id}")
        still = session.unchanged(account_id, fields.get("contractId"), whole="size" not in fields)
        return await session.rest.mutate(endpoint, {"accountId": account_id, **fields}, priority, still)

    def _owner(self, account_id: int) -> LoginSession:
        session = self._owners.get(account_id)
        if session is None:
            raise GatewayError(f"no login that is online has account {account_id}")
        return session

    # --- logins ------------------------------------------------------------------------------------

    def _on_alert(self, text: str, detail: str) -> None:
        """Pass an alert on, but not the same again and again: what cannot be read may come with every poll."""
        now = self._clock.monotonic()
        repeat = round(self._timings.alert_repeat * SECOND_US)
        if now - self._told.get(text, -repeat - 1) < repeat:
            _log.info("%s %s", text, detail)
            return
        if len(self._told) > 1000:
            self._told = {known: at for known, at in self._told.items() if now - at < repeat}
        self._told[text] = now
        self._tell(text, detail)

    def _add(self, adapter: ModuleType, login: LoginConfig) -> LoginSession:
        addresses = _addresses(adapter, self._config)
        session = LoginSession(
            login.username,
            None if login.accounts == "all" else login.accounts,
            credentials=self._credentials,
            transport=adapter.RestClient(
                login.username, addresses, self._clock, self._timings.connect, self._timings.read
            ),
            make_link=lambda kind, token, take, bad: adapter.HubLink(kind, addresses, token, take, bad),
            limiter=self._limiter(),
            clock=self._clock,
            deliver=self._deliver,
            on_alert=self._on_alert,
            day_start=self._day_start,
            book=self._book,
            claim=self._claim,
            on_change=self._steer.set,
            timings=self._timings,
            random=self._random,
        )
        session.quotes.want(self._quoted)
        self._sessions[login.username] = session
        session.start()
        return session

    async def _remove(self, username: str) -> None:
        session = self._sessions.pop(username, None)
        if session is None:
            return
        if self._leader is session:
            self._leader = None
        await session.stop()
        self._owners = {key: owner for key, owner in self._owners.items() if owner is not session}
        self._steer.set()

    def _claim(self, account_id: int, session: LoginSession) -> bool:
        owner = self._owners.setdefault(account_id, session)
        return owner is session

    def _limiter(self) -> PriorityLimiter:
        t = self._timings
        budget = RequestBudget(
            dict(zip(Priority, t.requests_per_minute, strict=True)),
            round(t.window * 1e6),
            t.rate_limit_backoff,
            t.retry_after_max,
            {Priority.READ: t.reads_per_minute},
            share=t.account_share,
            share_ceiling=t.account_ceiling,
        )
        return PriorityLimiter(budget, self._clock.monotonic)

    async def _first_tries(self, sessions: Iterable[LoginSession]) -> None:
        tries = [asyncio.ensure_future(session.first_try()) for session in sessions]
        if tries:
            _, pending = await asyncio.wait(tries, timeout=self._timings.start)
            for late in pending:
                late.cancel()

    # --- quotes ------------------------------------------------------------------------------------

    async def _steer_quotes(self) -> None:
        """Keep the market hub of one login connected: any that is online, another when it is down for too long.

        Looks for sleeps of the machine by the way.
        """
        watch = SleepWatch(self._clock, self._timings.sleep)
        while True:
            self._steer.clear()
            try:
                if watch.slept():
                    _log.warning("The machine has slept: all connections are made anew")
                    for session in self._sessions.values():
                        session.woken()
                await self._choose_leader()
            except Exception:  # noqa: BLE001 - logged, and the rest goes on
                _log.exception("Choosing the login for quotes failed; it is tried again")
            try:
                async with asyncio.timeout(min(1.0, self._timings.market_failover / 2)):
                    await self._steer.wait()
            except TimeoutError:
                continue

    async def _choose_leader(self) -> None:
        now = asyncio.get_running_loop().time()
        leader = self._leader
        if leader is not None and leader.online:
            down_since = leader.quotes.hub.down_since
            if down_since is None or now - max(down_since, self._led_since) < self._timings.market_failover:
                return
        others = [session for session in self._sessions.values() if session.online and session is not leader]
        if not others:
            return
        # In turn, so that two broken ones do not hand the quotes to and fro past a third that works.
        names = list(self._sessions)
        start = names.index(leader.username) if leader is not None and leader.username in names else -1
        others.sort(
            key=lambda session: (not session.user_hub_up, (names.index(session.username) - start - 1) % len(names))
        )
        self._leader, self._led_since = others[0], now
        self._leader.quotes.start()
        if leader is not None:
            _log.warning("Quotes move from login %s to %s", leader.username, self._leader.username)
            await leader.quotes.stop()


def _read_priority(closing: bool) -> Priority:
    return Priority.READ if closing else Priority.RECONCILE


def check_addresses(config: AccountsConfig, *, require_loopback: bool) -> None:
    """Raise ValueError if an address is not on this machine although that is required."""
    if not require_loopback:
        return
    gateway = config.gateway
    strangers = off_loopback((gateway.api_url, gateway.user_hub_url, gateway.market_hub_url))
    if strangers:
        raise ValueError(f"only a gateway on this machine may be used here, not {strangers[0]}")


def _addresses(adapter: ModuleType, config: AccountsConfig) -> object:
    gateway = config.gateway
    return adapter.Addresses(gateway.api_url, gateway.user_hub_url, gateway.market_hub_url)
