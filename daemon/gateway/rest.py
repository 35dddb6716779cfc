"""One login's requests: its token, its turns, and what each outcome means.

Mutations are tried once and become an `Answer`; reads return a list or raise `GatewayError`, because a failed read is
never an empty one. Error codes are those of the gateway's API, per endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from daemon.broker import Answer, AnswerKind, GatewayError
from daemon.clock import Clock
from daemon.core.units import SECOND_US
from daemon.credentials import redact
from daemon.gateway.limiter import NoTurnError, Priority, PriorityLimiter
from daemon.gateway.parsing import token_expiry
from daemon.gateway.timings import Timings
from daemon.gateway.wire_errors import (
    AnswerLostError,
    NeverSentError,
    RateLimitedError,
    RejectedError,
    UnauthorizedError,
    WireError,
)

LOGIN_REFUSALS: Final = {
    1: ("The gateway does not know this user name.", "Correct `username` in accounts.yaml."),
    2: ("The gateway does not accept the API key.", "Make a new key in the broker's settings and store it here."),
    3: ("The gateway does not accept this user name and API key.", "Check both; a new key makes the old one useless."),
    7: ("The broker's agreements are not signed.", "Sign them on the broker's web site, then try again."),
    8: ("The gateway could not log in for a reason of its own.", "Try again later; ask the broker if it goes on."),
    9: ("This user has no API subscription.", "Subscribe to API access on the broker's web site."),
    10: ("Logging in with an API key is switched off for this user.", "Ask the broker to switch it on."),
}
"""Auth/loginKey error codes: what is wrong, what to do."""

_UNDECIDED: Final = {
    "/Position/closeContract": frozenset({6, 7}),
    "/Position/partialCloseContract": frozenset({7, 8}),
    "/Order/cancel": frozenset({4, 5}),
    "/Order/modify": frozenset({4, 5}),
}
"""Codes Pending and Unknown: it may still happen, so it must not be repeated without a read."""

_DEFAULT_LIFE_US: Final = 3600 * SECOND_US
"""Assumed life of a token without a readable expiry."""


class LoginError(Exception):
    """Logging in failed.

    `refused`: by the gateway, with `code`; else it could not be reached. `mend` says what to do.
    """

    def __init__(self, message: str, *, refused: bool, code: int = 0, mend: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.refused = refused
        self.code = code
        self.mend = mend
        self.retry_after = retry_after


class RestTransport(Protocol):
    """What `projectx.RestClient` offers."""

    def set_token(self, token: str) -> None:
        """Token of the requests to come."""

    async def post(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        """One POST. Raises WireError."""

    async def ping(self) -> None:
        """Any cheap request. Raises WireError."""

    def reset(self) -> None:
        """Use none of the present connections any more."""

    async def close(self) -> None:
        """Close the connections."""


class LoginRest:
    """Requests of one login.

    Args:
        username: the login.
        credentials: gives the API key for a user name; may block and raise.
        transport: sends one request.
        limiter: gives turns; one for each login.
        clock: trusted time.
        timings: bounds.
        on_health: called with False and a reason after two failures in a row, with True after the next success.
        on_token: called when there is a new token.
    """

    def __init__(
        self,
        username: str,
        credentials: Callable[[str], str],
        transport: RestTransport,
        *,
        limiter: PriorityLimiter,
        clock: Clock,
        timings: Timings,
        on_health: Callable[[bool, str], None],
        on_token: Callable[[], None],
    ) -> None:
        self._username = username
        self._credentials = credentials
        self._transport = transport
        self._limiter = limiter
        self._clock = clock
        self._timings = timings
        self._on_health = on_health
        self._on_token = on_token
        self._lock = asyncio.Lock()
        self._failures = 0
        self._healthy: bool | None = None
        self._renew_not_before = -(10**15)
        self._accepted_at = -(10**15)
        self._renewals_failed = 0
        self._life = _DEFAULT_LIFE_US
        self.token = ""
        self.token_expires_at = 0

    # --- session -----------------------------------------------------------------------------------

    async def login(self) -> None:
        """Log in anew. Raises LoginError."""
        async with self._lock:
            await self._log_in()

    async def refresh(self) -> None:
        """Exchange the token for a new one, or log in if that fails. Raises LoginError."""
        async with self._lock:
            if not self.token:
                await self._log_in()
                return
            try:
                body = await self._post("/Auth/validate", {}, Priority.CLOSE, self._timings.read)
            except (WireError, TimeoutError):
                await self._log_in()
                return
            token = body.get("newToken")
            if body.get("success") is True and isinstance(token, str) and token:
                self._accept(token)
            else:
                await self._log_in()

    def refresh_due(self) -> bool:
        """Whether less than four hours, or a sixth of its life, is left of the token."""
        margin = min(round(self._timings.token_margin * SECOND_US), self._life // 6)
        return not self.token or self.token_expires_at - self._clock.now() <= margin

    async def renew(self, stale: str, *, urgent: bool = False) -> bool:
        """A token was refused: get another, unless that has just been done. Returns whether there is one to try.

        Two logins that a refused token asks for are some seconds apart. `urgent` (an order, or a read it needs) waits
        for the end of a shorter time instead of giving up: another program that logs in again and again ends our
        session each time, and a position must be closed all the same. Logins that fail have their own, longer pauses.
        """
        async with self._lock:
            if self.token != stale:
                return bool(self.token)
            now = self._clock.monotonic()
            least = self._timings.relogin_min_urgent if urgent else self._timings.relogin_min
            wait = self._accepted_at + round(least * SECOND_US) - now
            if now < self._renew_not_before or (wait > 0 and not urgent):
                return False
            if wait > 0:
                await asyncio.sleep(wait / SECOND_US)
            try:
                await self._log_in()
            except LoginError as error:
                pauses = self._timings.login_refused if error.refused else self._timings.login_unreachable
                self._renewals_failed += 1
                pause = pauses[min(self._renewals_failed, len(pauses)) - 1]
                self._renew_not_before = self._clock.monotonic() + round(pause * SECOND_US)
                self._unhealthy(str(error), at_once=True)
                return False
            return True

    async def _log_in(self) -> None:
        try:
            key = await asyncio.to_thread(self._credentials, self._username)
        except Exception as error:  # noqa: BLE001 - a key store can fail in any way; it is said in one sentence
            raise LoginError(
                f"The API key of {self._username} could not be read: {redact(str(error)) or type(error).__name__}",
                refused=True,
                mend="Store the key again.",
            ) from None
        try:
            body = await self._post(
                "/Auth/loginKey", {"userName": self._username, "apiKey": key}, Priority.CLOSE, self._timings.read
            )
        except UnauthorizedError:
            message, mend = LOGIN_REFUSALS[3]
            raise LoginError(message, refused=True, code=401, mend=mend) from None
        except RejectedError as error:
            raise LoginError(
                f"The gateway rejected the login (HTTP {error.status}).",
                refused=True,
                code=error.status,
                mend="Check user name and API key; if they are right, the broker may be blocking this address.",
            ) from None
        except (WireError, TimeoutError) as error:
            raise LoginError(
                f"The gateway cannot be reached: {redact(str(error)) or 'no answer in time'}.",
                refused=False,
                mend="Check the internet connection and `gateway` in accounts.yaml; it is tried again by itself.",
                retry_after=getattr(error, "retry_after", 0.0) or 0.0,
            ) from None
        token = body.get("token")
        if body.get("success") is True and isinstance(token, str) and token:
            self._accept(token)
            return
        code = body.get("errorCode")
        code = code if isinstance(code, int) else 0
        message, mend = LOGIN_REFUSALS.get(code, (f"The gateway refused the login (code {code}).", "Ask the broker."))
        raise LoginError(message, refused=True, code=code, mend=mend)

    def _accept(self, token: str) -> None:
        now = self._clock.now()
        expiry = token_expiry(token)
        # A token that has just been given is good, whatever our clock says of its expiry.
        self._life = expiry - now if expiry is not None and expiry > now else _DEFAULT_LIFE_US
        self.token_expires_at = now + self._life
        self.token = token
        self._renewals_failed = 0
        self._accepted_at = self._clock.monotonic()
        self._renew_not_before = self._accepted_at
        self._transport.set_token(token)
        self._healthy_again()
        self._on_token()

    # --- requests ----------------------------------------------------------------------------------

    def turn_in(self, priority: Priority, account_id: int) -> float:
        """Seconds until the request limit has room for a request of that priority for an account; 0: now."""
        return self._limiter.turn_in(priority, account_id)

    async def mutate(
        self,
        endpoint: str,
        body: dict[str, Any],
        priority: Priority = Priority.CLOSE,
        still: Callable[[], bool] = lambda: True,
    ) -> Answer:
        """An order request. Never raises for what the gateway or the network did.

        It is tried once; a second time only after a 401, which is known to have done nothing, with a new token. Each
        time `still` is asked last: after waiting for a turn or a login, what it was decided on may not hold any more.
        """
        if not self.token:
            return Answer(AnswerKind.NOT_SENT, message=f"{self._username} is not logged in")
        under_way = False

        async def attempt() -> Answer:
            nonlocal under_way
            await self._limiter.acquire(priority, min(self._timings.turn, self._timings.mutation), _account(body))
            if not still():
                return Answer(AnswerKind.NOT_SENT, message="the position has changed meanwhile")
            under_way = True
            try:
                return _judged(endpoint, await self._sent(endpoint, body, priority))
            except UnauthorizedError:
                under_way = False
                raise

        try:
            async with asyncio.timeout(self._timings.mutation):
                if self.token_expires_at <= self._clock.now():
                    # If that fails the gateway shall decide about the old one: its clock counts, not ours.
                    await self.renew(self.token)
                stale = self.token
                try:
                    return await attempt()
                except UnauthorizedError:
                    if not await self.renew(stale, urgent=True):
                        raise
                return await attempt()
        except TimeoutError:
            if not under_way:
                return Answer(AnswerKind.NOT_SENT, message="no turn or no session in time")
            self._unhealthy("no answer in time")
            return Answer(AnswerKind.UNCERTAIN, message=f"no answer within {self._timings.mutation:g} s")
        except NoTurnError as error:
            # Our own doing: the gateway has refused nothing, and what goes first may have room.
            return Answer(AnswerKind.NOT_SENT, message=str(error))
        except RateLimitedError as error:
            return Answer(AnswerKind.NOT_SENT, code=429, message=str(error), retry_after=error.retry_after or 0.0)
        except NeverSentError as error:
            return Answer(AnswerKind.NOT_SENT, message=str(error))
        except UnauthorizedError as error:
            return Answer(AnswerKind.NOT_SENT, code=401, message=str(error))
        except RejectedError as error:
            return Answer(AnswerKind.REFUSED, code=error.status, message=str(error))
        except WireError as error:
            return Answer(AnswerKind.UNCERTAIN, message=str(error))

    async def read(self, endpoint: str, body: dict[str, Any], priority: Priority) -> dict[str, Any]:
        """One read: the whole answer, if it says success. A refused token is renewed and the read tried once more.

        Raises:
            GatewayError: anything else.
        """
        if not self.token:
            raise GatewayError(f"{self._username} is not logged in")
        try:
            async with asyncio.timeout(self._timings.read):
                stale = self.token
                try:
                    answer = await self._post(endpoint, body, priority, self._timings.read)
                except UnauthorizedError:
                    if not await self.renew(stale, urgent=priority is Priority.READ):
                        raise
                    answer = await self._post(endpoint, body, priority, self._timings.read)
        except TimeoutError:
            self._unhealthy("no answer in time")
            raise GatewayError(f"{endpoint}: no answer within {self._timings.read:g} s") from None
        except RejectedError as error:
            raise EndpointRejectedError(f"{endpoint}: {error}", error.status) from None
        except WireError as error:
            raise GatewayError(f"{endpoint}: {error}", retry_after=getattr(error, "retry_after", 0.0) or 0.0) from None
        if answer.get("success") is not True:
            said = answer.get("errorMessage") or "no message"
            raise GatewayError(f"{endpoint}: the gateway refused (code {answer.get('errorCode')}, {said})")
        return answer

    async def read_list(self, endpoint: str, body: dict[str, Any], key: str, priority: Priority) -> list[Any]:
        """As `read`, and the list under `key`. A missing or null list is not an empty one."""
        records = (await self.read(endpoint, body, priority)).get(key)
        if not isinstance(records, list):
            raise GatewayError(f"{endpoint}: the answer has no list of {key}")
        return records

    async def warm(self, connections: int) -> None:
        """Send something cheap on that many connections at once, so that they are open when they are needed.

        Fewer when the request limit has no room. Never raises for what the gateway or the network did.
        """
        turns = 0
        with contextlib.suppress(NoTurnError):
            while turns < connections:
                await self._limiter.acquire(Priority.POLL, 0.0)
                turns += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._timings.read):
                pings = (self._transport.ping() for _ in range(turns))
                for result in await asyncio.gather(*pings, return_exceptions=True):
                    if isinstance(result, RateLimitedError):
                        self._limiter.refused(result.retry_after, Priority.POLL)
                        return
                    if isinstance(result, BaseException) and not isinstance(result, WireError):
                        raise result

    async def close(self) -> None:
        """Forget the token and close the connections. The session is left to expire: others may share it."""
        self.token = ""
        await self._transport.close()

    async def _post(self, endpoint: str, body: dict[str, Any], priority: Priority, patience: float) -> dict[str, Any]:
        """One turn and one request within `patience` seconds. Raises WireError, TimeoutError."""
        async with asyncio.timeout(patience):
            try:
                await self._limiter.acquire(priority, patience, _account(body) if priority is Priority.READ else None)
            except NoTurnError as error:
                raise NeverSentError(str(error), retry_after=error.retry_after) from None
            return await self._sent(endpoint, body, priority)

    async def _sent(self, endpoint: str, body: dict[str, Any], priority: Priority) -> dict[str, Any]:
        try:
            answer = await self._transport.post(endpoint, body)
        except RateLimitedError as error:
            raise RateLimitedError(self._limiter.refused(error.retry_after, priority)) from None
        except (NeverSentError, AnswerLostError) as error:
            self._unhealthy(str(error))
            raise
        except WireError:
            self._limiter.answered(priority)
            raise
        self._limiter.answered(priority)
        self._healthy_again()
        return answer

    def _unhealthy(self, reason: str, *, at_once: bool = False) -> None:
        self._failures += 1
        if (at_once or self._failures >= 2) and self._healthy is not False:
            self._healthy = False
            self._on_health(False, reason)

    def _healthy_again(self) -> None:
        self._failures = 0
        if self._healthy is not True and self.token:
            self._healthy = True
            self._on_health(True, "")


class EndpointRejectedError(GatewayError):
    """A read got HTTP 4xx: the endpoint may not exist. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _account(body: dict[str, Any]) -> int | None:
    """The account that a request is for."""
    account_id = body.get("accountId", body.get("filter", {}).get("accountId"))
    return account_id if isinstance(account_id, int) else None


def _judged(endpoint: str, answer: dict[str, Any]) -> Answer:
    """What an order request's JSON answer means."""
    success, code, message = answer.get("success"), answer.get("errorCode"), answer.get("errorMessage")
    code = code if isinstance(code, int) and not isinstance(code, bool) else 0
    text = message if isinstance(message, str) else ""
    if success is True:
        return Answer(AnswerKind.ACCEPTED, code=code, message=text)
    if success is False and code not in _UNDECIDED.get(endpoint, frozenset()):
        return Answer(AnswerKind.REFUSED, code=code, message=text or f"refused with code {code}")
    return Answer(AnswerKind.UNCERTAIN, code=code, message=text or f"undecided, code {code}")
