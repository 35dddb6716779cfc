"""The HTTP client that the SDK is given in place of httpx's: the same calls and answers, less than half the work.

It is aiohttp, which the SDK's hubs bring along; docs/decisions/0165 has the comparison.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import aiohttp
import orjson

from daemon.gateway.wire_errors import AnswerLostError, NeverSentError, brief

_IDLE_S: Final = 60.0
"""How long an unused connection is kept."""
_CLOSING_S: Final = 2.0


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
        proxies: whether the system's proxies are used.
        on_head: called with status and headers of every answer, in the context of the request, before its body is read.
    """

    def __init__(
        self, *, connect: float, read: float, proxies: bool, on_head: Callable[[int, Mapping[str, str]], None]
    ) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(keepalive_timeout=_IDLE_S),
            headers={"Accept": "application/json", "User-Agent": "RiskManager"},
            timeout=aiohttp.ClientTimeout(total=None, connect=connect, sock_read=read),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=proxies,
        )
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
            async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
                self._on_head(answer.status, answer.headers)
                return HttpAnswer(answer.status, answer.headers, await answer.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NeverSentError(f"no connection ({brief(error)})") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AnswerLostError(f"no answer ({brief(error)})") from None

    async def aclose(self) -> None:
        """Close the connections; requests under way fail."""
        async with asyncio.timeout(_CLOSING_S):
            await self._session.close()


async def _outcome(task: asyncio.Task[HttpAnswer]) -> HttpAnswer:
    return await task
