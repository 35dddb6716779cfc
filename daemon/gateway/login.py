"""One login: its session, all its accounts, its hubs and its polls.

Nothing that goes wrong here touches another login. The order of a start, and of every recovery, is: log in, list
accounts, connect the user hub, subscribe, and only then read positions, orders and trades, so that nothing falls
between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from random import Random
from typing import Any

from daemon.broker import GatewayError
from daemon.clock import Clock
from daemon.core.events import (
    ConnectionChanged,
    Event,
)
from daemon.gateway.account import MonitoredAccount, Reconciler
from daemon.gateway.contracts import ContractBook
from daemon.gateway.inbox import Inbox
from daemon.gateway.limiter import Priority, PriorityLimiter
from daemon.gateway.mirror import AccountMirror, Surprise
from daemon.gateway.polling import Poller
from daemon.gateway.quotes import QuoteFeed
from daemon.gateway.reads import AccountReads
from daemon.gateway.rest import LoginRest, RestTransport
from daemon.gateway.roster import Roster
from daemon.gateway.session_keeper import SessionKeeper
from daemon.gateway.status import LoginState, LoginStatus
from daemon.gateway.supervisor import HubError, HubKind, HubSupervisor, Link
from daemon.gateway.timings import Timings

_log = logging.getLogger(__name__)

MakeLink = Callable[[HubKind, str, Callable[[str, tuple[Any, ...]], None], Callable[[str], None]], Link]
"""Makes a link from: hub, token, receiver of messages, receiver of what is no message."""

_USER_SUBSCRIPTIONS = ("SubscribeOrders", "SubscribePositions", "SubscribeTrades")


class LoginSession:
    """One login.

    Args:
        username: its name.
        accounts: ids to be monitored; None for all, those opened later included.
        credentials: gives the API key for a user name; may block and raise.
        transport: sends REST requests.
        make_link: makes hub connections.
        limiter: gives turns to REST requests.
        clock: trusted time.
        deliver: takes events, in order.
        on_alert: called with a sentence and the detail.
        day_start: start of the trading day at a time, microseconds UTC.
        book: contract data, shared by all logins.
        claim: asked whether this login may have an account; another may have it already.
        on_change: called when the state of a hub or of the login has changed.
        timings: intervals and bounds.
        random: for the jitter of pauses.
    """

    def __init__(
        self,
        username: str,
        accounts: Collection[int] | None,
        *,
        credentials: Callable[[str], str],
        transport: RestTransport,
        make_link: MakeLink,
        limiter: PriorityLimiter,
        clock: Clock,
        deliver: Callable[[Event], None],
        on_alert: Callable[[str, str], None],
        day_start: Callable[[int], int],
        book: ContractBook,
        claim: Callable[[int, LoginSession], bool],
        on_change: Callable[[], None],
        timings: Timings,
        random: Random,
    ) -> None:
        self.username = username
        self._make_link = make_link
        self._clock = clock
        self._deliver = deliver
        self._on_alert = on_alert
        self._book = book
        self._on_change = on_change
        self._timings = timings
        self._transport = transport
        self._tasks: list[asyncio.Task[None]] = []
        self._first_try = asyncio.Event()
        self._relist_wanted = asyncio.Event()
        self._frozen = 0
        self._frozen_at = -(10.0**9)
        self._warmed_at = -(10.0**9)
        self._alerted: set[str] = set()
        self._rest_up: bool | None = None
        self.state = LoginState.STARTING
        self.detail = ""
        self.roster = Roster(
            username,
            accounts,
            clock=clock,
            deliver=deliver,
            on_alert=lambda text: self._alert_once(text, ""),
            claim=lambda account_id: claim(account_id, self),
            on_stranger=self._relist_wanted.set,
            on_gap=self._gap,
            on_priceless=self._price_missing,
            on_balance=self._balance_moved,
            timings=timings,
        )
        self.rest = LoginRest(
            username,
            credentials,
            transport,
            limiter=limiter,
            clock=clock,
            timings=timings,
            on_health=self._rest_changed,
            on_token=self._new_token,
        )
        self.reads = AccountReads(self.rest, clock, on_alert)
        self.inbox = Inbox(
            clock=clock,
            deliver=deliver,
            book=book,
            fetch=self.reads.contract,
            timings=timings,
            on_alert=on_alert,
            on_account=self.roster.account_pushed,
            on_push=self.roster.pushed,
            on_lost=self.roster.lost,
            on_logout=self._logged_out,
        )
        self._keeper = SessionKeeper(
            username,
            self.rest,
            clock,
            list_accounts=self._list_accounts,
            on_state=self._set_state,
            on_try=self._first_try.set,
            timings=timings,
            random=random,
        )
        self.reconciler = Reconciler(self.reads, self.inbox, clock, day_start, timings)
        self._poller = Poller(self, self.reconciler, timings)
        self.user_hub = HubSupervisor(
            f"user {username}",
            connect=lambda: self._connect(HubKind.USER),
            subscribe=self._subscribe,
            on_up=self._user_up,
            on_down=self._user_down,
            on_unauthorized=self._token_refused,
            timings=timings,
            random=random,
        )
        self.quotes = QuoteFeed(
            username,
            connect=lambda: self._connect(HubKind.MARKET),
            on_up=lambda: self._market_changed(True, ""),
            on_down=lambda reason: self._market_changed(False, reason),
            on_unauthorized=self._token_refused,
            count=lambda: self.inbox.quotes,
            timings=timings,
            random=random,
        )

    # --- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start logging in; it goes on until `stop`."""
        self._spawn(self._run(), "login")

    async def first_try(self) -> None:
        """Wait until the first try is over: monitored and read, or known why not."""
        await self._first_try.wait()

    async def stop(self) -> None:
        """Close everything. Pushes not delivered yet are delivered."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2)
        await asyncio.gather(self.user_hub.stop(), self.quotes.stop(), self._poller.close(), self.reconciler.close())
        await self.inbox.close()
        await self.rest.close()
        self.state = LoginState.STOPPED

    def retry_now(self) -> None:
        """The API key has changed: log in with it at once."""
        self._keeper.retry_now()

    def woken(self) -> None:
        """The machine has slept: no connection is believed."""
        self._transport.reset()
        self._warmed_at = -(10.0**9)
        for hub in (self.user_hub, self.quotes.hub):
            if hub.running:
                hub.rebuild("the machine has slept")

    @property
    def online(self) -> bool:
        """Whether it has a token and monitors accounts."""
        return self.state in {LoginState.ONLINE, LoginState.DEGRADED}

    @property
    def user_hub_up(self) -> bool:
        """Whether pushes arrive."""
        return self.user_hub.up

    def status(self) -> LoginStatus:
        """State of the login and its accounts."""
        connected = self.user_hub.up and self.online
        return LoginStatus(
            username=self.username,
            state=self.state,
            detail=self.detail or (self.user_hub.reason if not self.user_hub.up else ""),
            user_hub=self.user_hub.state,
            market_hub=self.quotes.hub.state,
            token_expires_at=self.rest.token_expires_at,
            accounts=tuple(account.status(self.username, connected) for account in self.monitored.values()),
        )

    async def reconcile(self, account_id: int) -> None:
        """Read one account now. Raises GatewayError."""
        await self.reconciler.once(self._account(account_id))

    def mirror(self, account_id: int) -> AccountMirror:
        """What is known of an account's positions and orders. Raises GatewayError."""
        return self._account(account_id).mirror

    def unchanged(self, account_id: int, contract_id: object, *, whole: bool) -> Callable[[], bool]:
        """Tells later whether a position is as it is now: its size, or for a `whole` close its direction.

        A partial close that waited while the trader got out himself would take off what no rule forbids. Of a position
        that only a read for the close has shown nothing can be told.
        """
        account = self.monitored.get(account_id)
        if account is None or not isinstance(contract_id, str):
            return lambda: True

        def held() -> int:
            position = account.mirror.positions.get(contract_id)
            size = position.size if position is not None else 0
            return (size > 0) - (size < 0) if whole else size

        before = held()
        return lambda: before in {0, held()}

    def _account(self, account_id: int) -> MonitoredAccount:
        account = self.monitored.get(account_id)
        if account is None:
            raise GatewayError(f"account {account_id} is not monitored by {self.username}")
        return account

    async def _run(self) -> None:
        await self._keeper.get_in()
        self.user_hub.start()
        self._spawn(self._learn_contracts(), "contracts")
        self._spawn(self._for_ever(self._poller.run), "polls")
        self._spawn(self._for_ever(self._relist_when_wanted), "relist")
        self._spawn(self._for_ever(self._keeper.keep_token), "token")

    async def _list_accounts(self) -> str:
        """Why there is no account to monitor; empty if there is one. Raises GatewayError."""
        await self.relist()
        if self.monitored:
            return ""
        if self.roster.elsewhere:
            return f"All accounts of {self.username} are watched through another login already."
        return f"{self.username} has no account that is to be monitored."

    # --- accounts ----------------------------------------------------------------------------------

    @property
    def monitored(self) -> dict[int, MonitoredAccount]:
        """Accounts by id."""
        return self.roster.monitored

    async def relist(self) -> None:
        """Read the account list, and subscribe and read what is new. Raises GatewayError."""
        started_at = self._clock.now()
        # One request tells all balances, and with them where something was traded unseen: it goes before polls.
        records = await self.reads.accounts(Priority.RECONCILE if self.monitored else Priority.READ)
        fresh = self.roster.take_list(records, started_at)
        if not fresh or not self.user_hub.running:
            return
        link = self.user_hub.link
        try:
            if link is None:
                raise HubError("it is just being connected")
            async with asyncio.timeout(self._timings.hub_subscribe):
                for account in fresh:
                    await self._subscribe_account(link, account.account_id)
        except (HubError, TimeoutError):
            self.user_hub.rebuild("a new account is to be subscribed")
        for account in fresh:
            self.reconciler.request(account)

    async def _relist_when_wanted(self) -> None:
        """A push named an account that is not known: list the accounts, but not more often than every few seconds."""
        await self._relist_wanted.wait()
        self._relist_wanted.clear()
        try:
            await self.relist()
        except GatewayError as error:
            _log.info("Listing the accounts of %s failed: %s", self.username, error)
        await asyncio.sleep(min(5.0, self._timings.poll))

    async def _learn_contracts(self) -> None:
        try:
            self._book.learn(await self.reads.contracts())
        except GatewayError as error:
            _log.warning("The list of contracts could not be read, they are looked up one by one: %s", error)

    # --- what goes wrong ---------------------------------------------------------------------------

    def _gap(self, account: MonitoredAccount) -> None:
        self.reconciler.request(account)

    def _price_missing(self, account: MonitoredAccount) -> None:
        self.reconciler.price_missing(account)

    def _balance_moved(self, account_id: int) -> None:
        self._poller.balance_moved(account_id)

    def _logged_out(self) -> None:
        self._on_alert(f"The gateway has logged {self.username} out; logging in again.", "GatewayLogout")
        self._spawn(self._keeper.logged_out(), "logout")

    def gap_found(self, account: MonitoredAccount, surprises: list[Surprise]) -> None:
        """A poll found what was never pushed: the stream is frozen. Read everything and, at times, connect anew."""
        detail = "; ".join(surprise.text for surprise in surprises)
        self.reconciler.request(account)
        now = asyncio.get_running_loop().time()
        pauses = self._timings.frozen_backoff
        if now - self._frozen_at > pauses[-1] * 2:
            self._frozen = 0
        if now - self._frozen_at >= pauses[min(self._frozen, len(pauses) - 1)]:
            self._frozen += 1
            self._frozen_at = now
            self._on_alert(f"Account {account.account_id} changed without being pushed; connecting anew.", detail)
            self.user_hub.rebuild("the stream is frozen")
        else:
            _log.warning("Account %s changed without being pushed: %s", account.account_id, detail)

    # --- hubs --------------------------------------------------------------------------------------

    async def _connect(self, kind: HubKind) -> Link:
        return self._make_link(kind, self.rest.token, self.inbox.receive, self.inbox.bad_line)

    async def _subscribe(self, link: Link) -> None:
        await link.send("SubscribeAccounts", [])
        for account_id in list(self.monitored):
            await self._subscribe_account(link, account_id)

    async def _subscribe_account(self, link: Link, account_id: int) -> None:
        for method in _USER_SUBSCRIPTIONS:
            await link.send(method, [account_id])

    def _user_up(self) -> None:
        self._connection_changed(HubKind.USER, True, "")
        tasks = [task for account in self.monitored.values() for task in self.reconciler.request(account)]
        self._poller.settle(self.monitored)
        if not self._first_try.is_set():
            self._spawn(self._first_reads(tasks), "first reads")

    async def _first_reads(self, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks, timeout=self._timings.read * 1.5)
        self._first_try.set()

    def _user_down(self, reason: str) -> None:
        for account in self.monitored.values():
            account.reconciled = False
            self._poller.poll_after(account.account_id, self._timings.poll_hub_down / 2)
        if not self._first_try.is_set():
            # Without pushes, but not blind: read everything once.
            tasks = [task for account in self.monitored.values() for task in self.reconciler.request(account)]
            self._spawn(self._first_reads(tasks), "first reads")
        self._connection_changed(HubKind.USER, False, reason)

    def _market_changed(self, up: bool, reason: str) -> None:
        self._connection_changed(HubKind.MARKET, up, reason)

    async def _token_refused(self) -> None:
        """A hub refused the token."""
        await self.rest.renew(self.rest.token)

    def _new_token(self) -> None:
        if self.user_hub.running:
            self.user_hub.rebuild("a new token")
        if self.quotes.hub.running:
            self.quotes.hub.rebuild("a new token")
        if self.state is LoginState.DEGRADED:
            self._set_state(LoginState.ONLINE, "")

    def _rest_changed(self, up: bool, reason: str) -> None:
        if up and self.state is LoginState.DEGRADED:
            self._set_state(LoginState.ONLINE, "")
        elif not up and self.state is LoginState.ONLINE:
            self._set_state(LoginState.DEGRADED, f"Requests to the gateway fail: {reason}.")
        if self._rest_up is up:
            return
        was, self._rest_up = self._rest_up, up
        self._connection_changed("rest", up, reason)
        if up and was is False:
            for account in self.monitored.values():
                self.reconciler.request(account)

    def _connection_changed(self, channel: str, up: bool, reason: str) -> None:
        self._deliver(ConnectionChanged(self._clock.now(), self.username, str(channel), up, reason))
        self._on_change()

    # --- small parts -------------------------------------------------------------------------------

    async def keep_warm(self) -> None:
        """Have some connections open for the closes of a flatten. Waits for nothing."""
        now = asyncio.get_running_loop().time()
        if now - self._warmed_at >= self._timings.warm:
            self._warmed_at = now
            self._spawn(self.rest.warm(self._timings.warm_connections), "warm")

    def _set_state(self, state: LoginState, detail: str) -> None:
        if state is LoginState.ONLINE:
            self._alerted.clear()
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail = state, detail
            _log.info("Login %s: %s", self.username, f"{state}: {detail}" if detail else state)
            if detail:
                self._alert_once(f"Login {self.username}: {detail}", "")
            if state in {LoginState.REFUSED, LoginState.UNREACHABLE}:
                self._rest_changed(False, detail)
            self._on_change()

    def _alert_once(self, text: str, detail: str) -> None:
        """Alert, but not again the same until the login has been online."""
        if text not in self._alerted:
            self._alerted.add(text)
            self._on_alert(text, detail)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self._guarded(work, name), name=f"{name} {self.username}"))

    async def _for_ever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it again and again. A fault of ours must not end what watches over real money."""
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - logged and alerted, and goes on
                self._failed(getattr(work, "__name__", "work"), error)
                await asyncio.sleep(1.0)

    async def _guarded(self, work: Awaitable[None], name: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - logged and alerted
            self._failed(name, error)

    def _failed(self, name: str, error: Exception) -> None:
        _log.error("Part '%s' of login %s failed", name, self.username, exc_info=error)
        self._on_alert(f"A part of login {self.username} failed: {name}.", f"{type(error).__name__}: {error}")
