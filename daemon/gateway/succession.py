"""A changed accounts.yaml put into force: no login ends before what comes in its place has got in.

A wrong key, name or address cannot be told from a right one by looking at it. So the new logins are started first and
the changed ones tried beside the sessions that run; only when the gateway has taken them all are sessions replaced and
ended. Until then the old ones go on protecting, and it is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from daemon.broker import GatewayError
from daemon.gateway.login import LoginSession
from daemon.gateway.rest import LoginError
from daemon.gateway.status import LoginState
from daemon.gateway.timings import Timings
from shared.config import AccountsConfig, GatewayConfig, LoginConfig

_log = logging.getLogger(__name__)

_GOT_IN: Final = frozenset({LoginState.ONLINE, LoginState.DEGRADED, LoginState.NO_ACCOUNTS})


class Succession:
    """Which logins run, and how they come to be those of a changed configuration.

    Args:
        sessions: the sessions that run, by user name; changed by `add` and `remove` alone.
        add: starts a login.
        remove: ends a login.
        check: logs in as a user beside his running session, with the changed configuration. Raises LoginError.
        first_tries: waits until the first try of each session is over, or for too long.
        alert: takes a sentence for people and a detail; the same sentence again soon is left out.
        timings: pauses between tries.
    """

    def __init__(
        self,
        sessions: dict[str, LoginSession],
        *,
        add: Callable[[LoginConfig], LoginSession],
        remove: Callable[[str], Awaitable[None]],
        check: Callable[[str], Awaitable[None]],
        first_tries: Callable[[Iterable[LoginSession]], Awaitable[None]],
        alert: Callable[[str, str], None],
        timings: Timings,
    ) -> None:
        self._sessions = sessions
        self._add = add
        self._remove = remove
        self._check = check
        self._first_tries = first_tries
        self._alert = alert
        self._timings = timings
        self._wanted = AccountsConfig()
        self._running: dict[str, tuple[LoginConfig, GatewayConfig]] = {}
        self._newcomers: set[str] = set()
        self._turn = asyncio.Lock()
        self._again: asyncio.Task[None] | None = None

    def begin(self, login: LoginConfig, gateway: GatewayConfig) -> LoginSession:
        """Start a login."""
        self._running[login.username] = (login, gateway)
        return self._add(login)

    async def take_over(self, config: AccountsConfig) -> None:
        """Bring the logins to what the configuration says; what can't be done now is tried again beside."""
        self._wanted = config
        if not await self._step() and (self._again is None or self._again.done()):
            self._again = asyncio.create_task(self._try_again(), name="logins to be taken over")

    async def stop(self) -> None:
        """Try nothing any more."""
        again, self._again = self._again, None
        if again is not None:
            again.cancel()
            await asyncio.wait({again}, timeout=1)

    async def _try_again(self) -> None:
        pauses, tries, done = self._timings.login_refused, 0, False
        while not done:
            await asyncio.sleep(pauses[min(tries, len(pauses) - 1)])
            tries += 1
            try:
                done = await self._step()
            except Exception:  # noqa: BLE001 - logged, and tried again
                _log.exception("Taking over the changed logins failed; it is tried again")

    async def _step(self) -> bool:
        """One try; returns whether the logins that run are now those that are wanted."""
        async with self._turn:
            gateway = self._wanted.gateway
            wanted = {login.username: login for login in self._wanted.logins if login.enabled}
            changed = self._changed(wanted, gateway)
            gone = [name for name in self._running if name not in wanted]
            fresh = [wanted[name] for name in wanted if name not in self._running]
            if fresh:
                self._newcomers |= {login.username for login in fresh}
                await self._first_tries([self.begin(login, gateway) for login in fresh])
            self._newcomers = {name for name in self._newcomers & wanted.keys() if not self._got_in(name)}
            if not changed and not gone:
                self._newcomers.clear()  # nothing waits for them; they go on trying by themselves
                return True
            taken = [login for login in changed if await self._taken(login.username)]
            # An account may move from one login to another: it is let go only where all the others have got in.
            ready = not self._newcomers and len(taken) == len(changed)
            if not ready:
                self._say_who_waits(gone)
            replaced = [login for login in taken if ready or self._widens(login, gateway)]
            for login in replaced:
                await self._end(login.username)
            await self._first_tries([self.begin(login, gateway) for login in replaced])
            if ready:
                await asyncio.gather(*(self._end(name) for name in gone))
                await self._offer_accounts()
            return ready

    def _changed(self, wanted: dict[str, LoginConfig], gateway: GatewayConfig) -> list[LoginConfig]:
        """The wanted logins that run otherwise. One with nothing but another API key takes it up in its session."""
        found = []
        for name, (login, address) in list(self._running.items()):
            now = wanted.get(name)
            if now is None or (now, gateway) == (login, address):
                continue
            if gateway == address and now.accounts == login.accounts:
                self._running[name] = (now, gateway)
                self._sessions[name].retry_now()  # a refused key leaves it the session it has
            else:
                found.append(now)
        return found

    async def _taken(self, username: str) -> bool:
        try:
            await self._check(username)
        except LoginError as error:
            self._alert(f"Login {username} goes on as it was: with the changed configuration, {_lower(str(error))}", "")
            return False
        return True

    def _widens(self, login: LoginConfig, gateway: GatewayConfig) -> bool:
        old, address = self._running[login.username]
        if gateway != address:
            return False
        return login.accounts == "all" or (old.accounts != "all" and {*old.accounts} <= {*login.accounts})

    def _got_in(self, username: str) -> bool:
        session = self._sessions.get(username)
        return session is not None and session.state in _GOT_IN

    def _say_who_waits(self, gone: list[str]) -> None:
        for name in gone:
            if self._newcomers:
                others = ", ".join(sorted(self._newcomers))
                self._alert(f"Login {name} goes on protecting until {others} has got in, which is tried again.", "")

    async def _end(self, username: str) -> None:
        del self._running[username]
        await self._remove(username)

    async def _offer_accounts(self) -> None:
        """Accounts that were let go may belong to other logins, which look now and not at their next poll."""
        for session in list(self._sessions.values()):
            if session.online:
                with contextlib.suppress(GatewayError):
                    await session.relist()
            elif session.state is LoginState.NO_ACCOUNTS:
                session.retry_now()


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
