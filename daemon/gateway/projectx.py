"""The SDK behind two narrow classes: `RestClient` sends one request, `HubLink` is one SignalR connection.

The only module that imports project_x_py and pysignalr, without their largest libraries (`gateway.absent`), in half a
second all the same: import it late and off the event loop. The SDK is used unmodified, by the parts of it that do one
thing: `_execute_http_request` (one try, no sleeping decorator) and the hubs of
`ProjectXRealtimeClient.setup_connections`. Its accounts, retries, watchdogs, coalescing and re-subscriptions are not
used; docs/decisions/0040 says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

# httpx imports its own command line, and with it click, rich and pygments, where they are installed: 5 MiB for nothing.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import orjson  # noqa: E402
from pysignalr.exceptions import AuthorizationError  # noqa: E402
from pysignalr.messages import Message  # noqa: E402
from pysignalr.protocol.json import JSONProtocol  # noqa: E402

from daemon.clock import Clock  # noqa: E402
from daemon.core.units import to_micros  # noqa: E402
from daemon.credentials import redact  # noqa: E402
from daemon.gateway.absent import TABLES, without  # noqa: E402
from daemon.gateway.http_client import HttpClient, system_proxy  # noqa: E402
from daemon.gateway.loopback import is_loopback  # noqa: E402
from daemon.gateway.sdk_logging import configure_sdk_logging  # noqa: E402
from daemon.gateway.supervisor import HubError, HubKind  # noqa: E402
from daemon.gateway.wire_errors import (  # noqa: E402
    AnswerLostError,
    RateLimitedError,
    RejectedError,
    UnauthorizedError,
    WireError,
    brief,
)

with without(*TABLES):
    from project_x_py.client import ProjectX
    from project_x_py.models import ProjectXConfig
    from project_x_py.realtime import ProjectXRealtimeClient

configure_sdk_logging()

_MAX_FRAME: Final = 8 * 2**20
"""Largest SignalR frame taken, bytes.

The SDK's 1 MiB would close the hub on a large first snapshot, again and again.
"""

_KEYS: Final = {
    1: frozenset({"type", "invocationId", "target", "arguments", "headers", "streamIds"}),
    3: frozenset({"type", "invocationId", "result", "error", "headers"}),
    7: frozenset({"type", "error", "allowReconnect", "headers"}),
}
_PING: Final = 6


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the gateway is."""

    api_url: str
    user_hub_url: str
    market_hub_url: str


@dataclass(slots=True)
class _Exchange:
    """What was seen of one request's answer."""

    sent_at: int
    status: int = 0
    retry_after: float | None = None


_exchange: ContextVar[_Exchange | None] = ContextVar("_exchange", default=None)


class _NoLimit:
    """In place of the SDK's limiter: turns are given by `PriorityLimiter` before the SDK is asked."""

    async def acquire(self) -> None:
        return


class _Client(ProjectX):
    """The SDK's client with an HTTP client of our own."""

    make_http: Callable[[], HttpClient]

    async def _create_client(self) -> HttpClient:  # type: ignore[override]
        return self.make_http()


class RestClient:
    """One login's way to the REST interface: one request a call, no retry, no sleep, errors by what is known.

    Args:
        username: the login.
        addresses: always given to the SDK, whose silent default is the live gateway.
        clock: is told every Date header.
        connect: seconds to open a connection.
        read: seconds to wait for an answer; callers bound the whole call themselves.
    """

    def __init__(self, username: str, addresses: Addresses, clock: Clock, connect: float, read: float) -> None:
        self._clock = clock
        # Typed as Any: the SDK annotates `self` of its methods with a protocol that its own class does not fulfil.
        self._sdk: Any = _Client(username=username, api_key="", config=_config(addresses, read))
        self._sdk.make_http = lambda: HttpClient(
            connect=connect,
            read=read,
            secure=addresses.api_url.startswith("https:"),
            proxy=None if is_loopback(addresses.api_url) else system_proxy(addresses.api_url),
            on_head=self._seen,
        )
        self._sdk.rate_limiter = _NoLimit()
        self._closing: set[asyncio.Task[None]] = set()

    def set_token(self, token: str) -> None:
        """Token of the requests to come; empty for none."""
        self._sdk.session_token = token

    async def post(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
        """One POST. Returns the JSON object of the answer, whatever its `success` says.

        Raises:
            WireError: see its tree.
        """
        answer = await self._send("POST", endpoint, body)
        if not isinstance(answer, dict):
            raise AnswerLostError(f"the gateway's answer to {endpoint} is not a JSON object")
        return answer

    async def ping(self) -> None:
        """GET Status/ping, to keep a connection open. Any answer will do. Raises WireError."""
        with contextlib.suppress(AnswerLostError, RejectedError):
            await self._send("GET", "/Status/ping", None)

    def reset(self) -> None:
        """Use none of the present connections any more; what is under way on them may still end."""
        client, self._sdk._client = self._sdk._client, None
        if client is not None:
            task = asyncio.create_task(_close_later(client))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close the connections."""
        self.reset()
        await asyncio.sleep(0)
        closing = list(self._closing)
        for task in closing:
            task.cancel()
        if closing:
            await asyncio.wait(closing, timeout=2)

    async def _send(self, method: str, endpoint: str, body: dict[str, Any] | None) -> object:
        seen = _Exchange(sent_at=self._clock.monotonic())
        token = _exchange.set(seen)
        try:
            # retry_count=1: a 401 raises instead of starting the SDK's own login.
            return await self._sdk._execute_http_request(method, endpoint, data=body, retry_count=1)
        except Exception as error:  # noqa: BLE001 - the SDK lets errors of four libraries through; all mean the same here
            raise _classified(error, seen) from None
        finally:
            _exchange.reset(token)

    def _seen(self, status: int, headers: Mapping[str, str]) -> None:
        seen = _exchange.get()
        if seen is None:
            return
        seen.status = status
        if status == 429:
            seen.retry_after = self._retry_after(headers.get("Retry-After", ""))
        date = headers.get("Date")
        if date:
            with contextlib.suppress(ValueError, TypeError):
                self._clock.observe_date(to_micros(parsedate_to_datetime(date)), seen.sent_at)

    def _retry_after(self, value: str) -> float | None:
        with contextlib.suppress(ValueError):
            seconds = float(value)
            return seconds if math.isfinite(seconds) and seconds >= 0 else None
        with contextlib.suppress(ValueError, TypeError):
            return max(0.0, (to_micros(parsedate_to_datetime(value)) - self._clock.now()) / 1e6)
        return None


async def _close_later(client: HttpClient) -> None:
    """Close an HTTP client in a while, or at once when cancelled."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(10.0)
    with contextlib.suppress(Exception):
        await client.aclose()


def _config(addresses: Addresses, read: float) -> ProjectXConfig:
    return ProjectXConfig(
        api_url=addresses.api_url,
        user_hub_url=addresses.user_hub_url,
        market_hub_url=addresses.market_hub_url,
        timeout_seconds=max(1, math.ceil(read)),
    )


def _classified(error: Exception, seen: _Exchange) -> WireError:
    """What an exception of the SDK means, the seen status before its type."""
    status = seen.status
    if status == 429:
        return RateLimitedError(seen.retry_after)
    if status == 401:
        return UnauthorizedError()
    if 300 <= status < 500 and status != 408:
        return RejectedError(status)
    if status:
        return AnswerLostError(f"HTTP {status}" if status != 200 else "HTTP 200 without a JSON object")
    if isinstance(error, WireError):
        return error
    return AnswerLostError(f"no answer ({brief(error)})")


class _TolerantProtocol(JSONProtocol):
    """SignalR's JSON protocol, which a bad line or an unknown key does not kill.

    pysignalr's own raises on both, which ends the hub's task without a word.
    """

    def __init__(self, on_frame: Callable[[], None], on_bad: Callable[[str], None]) -> None:
        super().__init__()
        self.on_frame = on_frame
        self.on_bad = on_bad

    def decode(self, raw_message: str | bytes) -> list[Message]:
        self.on_frame()
        raw = raw_message.encode() if isinstance(raw_message, str) else raw_message
        messages: list[Message] = []
        for line in raw.split(b"\x1e"):
            if not line:
                continue
            try:
                fields = orjson.loads(line)
                kind = fields.get("type")
                if kind == _PING:
                    continue
                known = _KEYS.get(kind)
                if known is not None and not known.issuperset(fields):
                    fields = {key: value for key, value in fields.items() if key in known}
                if kind is not None:
                    messages.append(self.parse_message(fields))
            except (ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
                self.on_bad(f"{type(error).__name__} in {redact(line[:200].decode(errors='replace'))}")
        return messages


OnMessage = Callable[[str, tuple[Any, ...]], None]
"""Called with the SignalR target and its arguments, on the event loop, in the order of arrival; must not raise."""


def _ignore(*_arguments: object) -> None:
    return


class _Realtime(ProjectXRealtimeClient):
    """The SDK's realtime client with its forwarding cut short: no thread hop, no coalescing, one callback."""

    on_message: OnMessage
    hub_opened: Callable[[], None]
    hub_closed: Callable[[], None]

    def _forward_account_update(self, *args: Any) -> None:
        self.on_message("GatewayUserAccount", args)

    def _forward_position_update(self, *args: Any) -> None:
        self.on_message("GatewayUserPosition", args)

    def _forward_order_update(self, *args: Any) -> None:
        self.on_message("GatewayUserOrder", args)

    def _forward_trade_execution(self, *args: Any) -> None:
        self.on_message("GatewayUserTrade", args)

    def _forward_quote_update(self, *args: Any) -> None:
        self.on_message("GatewayQuote", args)

    def _forward_market_trade(self, *args: Any) -> None:
        return

    def _forward_market_depth(self, *args: Any) -> None:
        return

    def _on_gateway_logout(self, *args: Any) -> None:
        self.on_message("GatewayLogout", args)

    def _on_user_hub_open(self) -> None:
        self.hub_opened()

    def _on_market_hub_open(self) -> None:
        self.hub_opened()

    def _on_user_hub_close(self) -> None:
        self.hub_closed()

    def _on_market_hub_close(self) -> None:
        self.hub_closed()

    def _on_connection_error(self, hub: str, error: Any) -> None:
        return


class HubLink:
    """One connection to one hub. Never reused: every reconnect is a new object with a new negotiation and token."""

    def __init__(
        self,
        kind: HubKind,
        addresses: Addresses,
        token: str,
        on_message: OnMessage,
        on_bad: Callable[[str], None],
    ) -> None:
        self._ended: asyncio.Future[HubError] = asyncio.get_running_loop().create_future()
        self._opened = asyncio.Event()
        self._kind = kind
        self._connection: Any = None
        self._protocol = _TolerantProtocol(self._frame, on_bad)
        self._last_frame = time.monotonic()
        self._realtime = _Realtime(token, "0", config=_config(addresses, 10))
        self._realtime.on_message = on_message
        self._realtime.hub_opened = self._opened.set
        self._realtime.hub_closed = lambda: self._end(HubError("the gateway closed the connection"))

    async def open(self) -> None:
        """Negotiate, connect and shake hands. Not bounded in time: the caller is. Raises HubError."""
        await self._realtime.setup_connections()
        user = self._kind is HubKind.USER
        self._connection = self._realtime.user_connection if user else self._realtime.market_connection
        await self._connection.start()
        # start() has created the client and its task, which has not run yet.
        transport = self._connection._client._transport
        transport._protocol = self._protocol
        transport._max_size = _MAX_FRAME
        task: asyncio.Task[None] = self._connection._run_task
        task.add_done_callback(self._task_done)
        opened = asyncio.ensure_future(self._opened.wait())
        try:
            both: set[asyncio.Future[Any]] = {opened, self._ended}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            opened.cancel()
        if self._ended.done():
            raise self._ended.result()

    async def send(self, method: str, arguments: list[Any]) -> None:
        """Invoke a hub method; there is no answer. Raises HubError."""
        try:
            await self._connection.send(method, arguments)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being sent ends this link
            raise HubError(f"could not send {method} ({brief(error)})") from None

    async def ended(self) -> HubError:
        """Wait for the end of the connection and return why."""
        return await asyncio.shield(self._ended)

    def silent_for(self) -> float:
        """Seconds since the last frame of any kind."""
        return time.monotonic() - self._last_frame

    async def close(self) -> None:
        """End the connection. Never raises; bounded by the caller."""
        self._end(HubError("closed by us"))
        # pysignalr's keep-alive task outlives its connection by up to 15 s: let it neither hold us nor speak for us.
        self._realtime.on_message = self._realtime.hub_opened = self._realtime.hub_closed = _ignore
        self._protocol.on_frame = self._protocol.on_bad = _ignore
        if self._connection is not None:
            with contextlib.suppress(Exception):
                await self._connection.stop()

    def _frame(self) -> None:
        self._last_frame = time.monotonic()

    def _end(self, error: HubError) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        # Fetching the exception also keeps asyncio from logging it, with the URL and its token.
        error = None if task.cancelled() else task.exception()
        status = getattr(getattr(error, "response", None), "status_code", None)
        refused = isinstance(error, AuthorizationError) or status in {401, 403}
        self._end(HubError(brief(error) if error else "the hub's task ended", unauthorized=refused))
