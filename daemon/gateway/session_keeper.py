"""Getting in, and staying in: a login's tries, their pauses, and the exchange of its token in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from daemon.broker import GatewayError
from daemon.clock import Clock
from daemon.core.units import SECOND_US
from daemon.gateway.rest import LoginError, LoginRest
from daemon.gateway.status import LoginState
from daemon.gateway.timings import Timings

_TOKEN_CHECK = 30.0
"""Seconds between two looks at the token: trusted time may have jumped, after a sleep of the machine."""


class SessionKeeper:
    """Keeps one login logged in.

    Args:
        username: the login.
        rest: its requests.
        clock: trusted time.
        list_accounts: reads the account list; returns why no account is monitored, or "". Raises GatewayError.
        on_state: called with the state and one sentence, empty if nothing is wrong.
        on_try: called after every try to get in that failed.
        timings: pauses.
        random: for their jitter.
    """

    def __init__(
        self,
        username: str,
        rest: LoginRest,
        clock: Clock,
        *,
        list_accounts: Callable[[], Awaitable[str]],
        on_state: Callable[[LoginState, str], None],
        on_try: Callable[[], None],
        timings: Timings,
        random: Random,
    ) -> None:
        self._username = username
        self._rest = rest
        self._clock = clock
        self._list_accounts = list_accounts
        self._on_state = on_state
        self._on_try = on_try
        self._timings = timings
        self._random = random
        self._now = asyncio.Event()
        self._logout_at = -(10.0**9)

    def retry_now(self) -> None:
        """There is a reason to log in at once: a new API key."""
        self._now.set()

    async def get_in(self) -> None:
        """Log in and list the accounts; returns when there is one to monitor."""
        refused = unreachable = 0
        while True:
            try:
                if not self._rest.token:
                    await self._rest.login()
                why_none = await self._list_accounts()
                if not why_none:
                    self._on_state(LoginState.ONLINE, "")
                    return
                self._on_state(LoginState.NO_ACCOUNTS, why_none)
                pause = self._timings.poll
            except LoginError as error:
                pause = self._pause(error, refused if error.refused else unreachable)
                refused += error.refused
                unreachable += not error.refused
                state = LoginState.REFUSED if error.refused else LoginState.UNREACHABLE
                self._on_state(state, _sentence(error))
            except GatewayError as error:
                self._on_state(LoginState.UNREACHABLE, f"The accounts of {self._username} could not be read: {error}.")
                pause = max(error.retry_after, self._jittered(self._timings.login_unreachable, unreachable))
                unreachable += 1
            self._on_try()
            if await self._woken(pause):
                self._now.clear()

    async def keep_token(self) -> None:
        """Wait until the token is to be exchanged, or a new key was given, and do it. To be called again and again."""
        if not self._rest.refresh_due() and not await self._woken(min(_TOKEN_CHECK, self._until_check())):
            return
        try:
            if self._now.is_set():
                self._now.clear()
                await self._rest.login()
            else:
                await self._rest.refresh()
        except LoginError as error:
            self._on_state(
                LoginState.DEGRADED, f"The session of {self._username} could not be renewed: {_sentence(error)}"
            )
            await self._woken(self._pause(error, 2))
            return
        if self._rest.refresh_due():
            await self._woken(self._timings.token_retry)

    async def logged_out(self) -> None:
        """The gateway says that it ends the session: get another, but not more often than every few seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._logout_at < self._timings.relogin_min * 2:
            return
        self._logout_at = now
        try:
            await self._rest.refresh()
        except LoginError:
            self._now.set()

    def _until_check(self) -> float:
        return max(0.2, (self._rest.token_expires_at - self._clock.now()) / SECOND_US / 6)

    def _pause(self, error: LoginError, tries: int) -> float:
        pauses = self._timings.login_refused if error.refused else self._timings.login_unreachable
        return max(error.retry_after, self._jittered(pauses, tries))

    def _jittered(self, pauses: tuple[float, ...], tries: int) -> float:
        return pauses[min(tries, len(pauses) - 1)] * (1 - self._random.random() / 3)

    async def _woken(self, seconds: float) -> bool:
        """Wait to be asked for at once, at most that long; returns whether that was so."""
        try:
            async with asyncio.timeout(seconds):
                await self._now.wait()
        except TimeoutError:
            return False
        return True


def _sentence(error: LoginError) -> str:
    return f"{error} {error.mend}".strip()
