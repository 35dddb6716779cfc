"""The HTTP client that the SDK is given in place of httpx's: the same calls and answers, less than half the work.

It is aiohttp, which the SDK's hubs bring along; docs/decisions/0165 has the comparison.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
import orjson

from daemon.gateway.wire_errors import AnswerLostError, NeverSentError, brief

_IDLE_S: Final = 60.0
"""How long an unused connection is kept."""
_CLOSING_S: Final = 2.0

_NOT_CONNECTED: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)


class HttpAnswer:
    """What the SDK reads of an answer. The body is complete."""

    __slots__ = ("_body", "headers", "status_code")

    def __init__(self, status_code: int, headers: Mapping[str, str], body: bytes) -> None:
        """`headers`: by name, in any case."""
        self.status_code = status_code
        self.headers = headers
        self._body = body

    @property
    def text(self) -> str:
        """The body; what is no UTF-8 in it is replaced."""
        return self._body.decode(errors="replace")

    def json(self) -> Any:
        """The body's value. Raises ValueError if it is no JSON."""
        return orjson.loads(self._body)


class HttpClient:
    """The connections of one login. Redirects are not followed, cookies not kept, failures not tried again.

    Made and used within a running event loop.

    Args:
        connect: seconds to open a connection, TLS included.
        read: seconds without a byte of the answer.
        secure: the address is an https one.
        proxy: address of an HTTP proxy, with name and password if it needs them. For https addresses.
        on_head: called with status and headers of every answer, in the context of the request, before its body is read.
    """

    def __init__(
        self,
        *,
        connect: float,
        read: float,
        secure: bool,
        proxy: str | None,
        on_head: Callable[[int, Mapping[str, str]], None],
    ) -> None:
        address, login = (None, None) if proxy is None else _proxy(proxy)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_IDLE_S, ssl=_tls() if secure else True),
            headers={"Accept": "application/json", "User-Agent": "RiskManager"},
            timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Not `trust_env`: every request would look for a proxy in a thread, and fail where .netrc names the host.
            proxy=address,
        )
        self._proxy_headers = login
        self._on_head = on_head

    def request(
        self, *, method: str, url: str, json: object, params: object, headers: Mapping[str, str]
    ) -> Coroutine[Any, Any, HttpAnswer]:
        """One request, tried once; written when this returns if a connection is open. Await what it gives.

        `json` None: without a body. Raises, when awaited:
            NeverSentError: no connection could be made.
            AnswerLostError: no answer, or not all of it.
            ValueError: with `params`, which nothing here has.
        """
        # The SDK wraps this in a task of its own, which begins only when the event loop has come round.
        going = self._go(method, url, json, params, headers)
        return _outcome(asyncio.Task(going, loop=asyncio.get_running_loop(), eager_start=True))

    async def _go(self, method: str, url: str, json: object, params: object, headers: Mapping[str, str]) -> HttpAnswer:
        if params is not None:
            raise ValueError("a request with parameters in its URL")
        body = None if json is None else orjson.dumps(json)
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy_headers=self._proxy_headers,
            ) as answer:
                self._on_head(answer.status, answer.headers)
                return HttpAnswer(answer.status, answer.headers, await answer.read())
        except _NOT_CONNECTED as error:
            raise NeverSentError(f"no connection ({brief(error)})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AnswerLostError(f"no answer ({brief(error)})") from None

    async def aclose(self) -> None:
        """Close the connections; requests under way fail."""
        async with asyncio.timeout(_CLOSING_S):
            await self._session.close()


def system_proxy(url: str) -> str | None:
    """The HTTP proxy that the environment, or on Windows the system, has for an address."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _proxy(url: str) -> tuple[str, dict[str, str] | None]:
    """The address of a proxy without name and password, and the header with these."""
    parts = urlsplit(url)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.username is None:
        return address, None
    login = aiohttp.encode_basic_auth(unquote(parts.username), unquote(parts.password or ""))
    return address, {"Proxy-Authorization": login}


@cache
def _tls() -> ssl.SSLContext:
    """One for all logins: making it takes some 30 ms of the event loop.

    certifi's roots too: Windows has those of its own that it has not needed yet fetched by its own programs only.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


async def _outcome(task: asyncio.Task[HttpAnswer]) -> HttpAnswer:
    return await task
