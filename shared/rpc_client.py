"""The asyncio client of the daemon's socket, for the GUI and `riskd status`.

    client = RpcClient(home / "public" / "endpoint.json", on_state=show)
    client.start()                              # connects, and again whenever the connection is lost
    await client.subscribe(["status"], update)  # `update` gets a Snapshot, now and after each reconnect, then Events
    status = await client.call("get_status")

Runs in any asyncio loop, qasync's included; callbacks are called in it and must not block. Errors are plain sentences:

    ClientError               what went wrong between this program and the daemon
    ├─ EndpointError          public/endpoint.json is missing, malformed or names a daemon that is gone
    ├─ UnreachableError       no connection (yet), or it was lost before the answer came
    └─ CallTimeoutError       the answer did not come in time; whether the call took effect is unknown
    RpcError                  the daemon's own refusal (shared.protocol)
    ServerNotProvenError      what answers on the port does not know the admin key (shared.admin_auth)
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from shared.admin_auth import ServerNotProvenError
from shared.endpoint import Endpoint, EndpointError, read_endpoint
from shared.protocol import ErrorCode, Json, RpcError
from shared.rpc_connection import Event, SeqGap
from shared.rpc_methods import ADMIN_TOPICS
from shared.rpc_wire import CallTimeoutError, ClientError, UnreachableError, Wire

__all__ = [
    "Backoff",
    "CallTimeoutError",
    "ClientError",
    "ConnectionState",
    "Endpoint",
    "EndpointError",
    "Event",
    "LoginResult",
    "RpcClient",
    "Snapshot",
    "Subscription",
    "UnreachableError",
    "read_endpoint",
]


class ConnectionState(Enum):
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"  # will be tried again, if the client was started
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the topics of one subscription: what all its later events build upon."""

    data: Json


@dataclass(frozen=True, slots=True)
class LoginResult:
    """An accepted admin login. With `second_factor_required`, call `second_factor(code)` before what loosens."""

    second_factor_required: bool


type Listener = Callable[[Snapshot | Event], None]
type StateListener = Callable[[ConnectionState, str], None]
type Target = Path | tuple[str, int]


@dataclass(eq=False, slots=True)
class Subscription:
    """Topics and who hears of them; stays over reconnects until `RpcClient.unsubscribe`."""

    topics: tuple[str, ...]
    listener: Listener
    live: bool = False
    """Whether the listener has a snapshot to which the events fit."""

    def hear(self, message: Snapshot | Event) -> None:
        """Passes on what the listener can use. What a listener raises is reported to the loop and ends nothing."""
        if isinstance(message, Snapshot):
            self.live = True
        elif not self.live or message.topic not in self.topics:
            return
        try:
            self.listener(message)
        except Exception as error:  # noqa: BLE001 - a broken view must not cut the connection
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a listener of the daemon's events failed", "exception": error})


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between attempts to connect: from `first`, doubling, at most `longest`; a little at random."""

    first: float = 0.1
    longest: float = 2.0

    def after(self, failures: int) -> float:
        return min(self.longest, self.first * 2.0 ** min(failures, 16)) * random.uniform(0.8, 1.2)


class RpcClient:
    """One connection to the daemon at a time, calls and subscriptions over it.

    `target`: the path of public/endpoint.json (read anew at each attempt) or (host, port). `on_state` hears every
    change of the connection with a sentence for a person. Times in seconds.
    """

    def __init__(
        self,
        target: Target,
        *,
        on_state: StateListener = lambda state, text: None,
        connect_timeout: float = 3.0,
        call_timeout: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        self._target = target
        self._on_state = on_state
        self._connect_timeout = connect_timeout
        self._call_timeout = call_timeout
        self._backoff = backoff or Backoff()
        self._wire: Wire | None = None
        self._state = ConnectionState.DISCONNECTED
        self._text = "Not connected yet."
        self._subscriptions: list[Subscription] = []
        self._keeper: asyncio.Task[None] | None = None
        self._resubscriber: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._closed = False
        self._up = asyncio.Event()

    # ---- connection

    @property
    def state(self) -> ConnectionState:
        return self._state

    @property
    def state_text(self) -> str:
        """The sentence that goes with the state."""
        return self._text

    @property
    def connected(self) -> bool:
        return self._wire is not None

    @property
    def in_admin_session(self) -> bool:
        return self._wire is not None and self._wire.connection.in_admin_session

    async def connect(self) -> None:
        """One attempt. Raises EndpointError or UnreachableError."""
        async with self._connecting:
            if self._closed:
                raise UnreachableError("This client is closed.")
            if self._wire is not None:
                return
            self._set_state(ConnectionState.CONNECTING, "Connecting to the daemon…")
            try:
                await self._open()
            except ClientError as error:
                self._set_state(ConnectionState.DISCONNECTED, str(error))
                raise
        await self._subscribe_all()

    def start(self) -> None:
        """Connects in the background and keeps connected until `close`. Must be called in a running loop."""
        if self._keeper is None and not self._closed:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="rpc client")

    async def close(self) -> None:
        """Ends everything; running calls fail with UnreachableError."""
        self._closed = True
        for task in (self._keeper, self._resubscriber):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ClientError, RpcError):
                    await task
        wire = self._wire
        if wire is not None:
            wire.cut("This client was closed.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(wire.lost), 1.0)
        self._set_state(ConnectionState.CLOSED, "Closed.")

    async def __aenter__(self) -> RpcClient:
        await self.connect()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def wait_connected(self, timeout: float) -> None:
        """Waits until there is a connection. Raises UnreachableError with the last reason."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._up.wait()
        if self._wire is None:
            raise UnreachableError(self._text)

    async def _open(self) -> None:
        endpoint = read_endpoint(self._target) if isinstance(self._target, Path) else None
        host, port = (endpoint.host, endpoint.port) if endpoint else self._target  # type: ignore[misc]
        wire = Wire(self._heard, self._lost)
        try:
            async with asyncio.timeout(self._connect_timeout):
                await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
        except TimeoutError:
            wire.cut("The connection took too long.")
            raise UnreachableError(f"The daemon on {host} port {port} did not take the connection in time.") from None
        except OSError as error:
            if endpoint is not None and endpoint.pid is not None and not _process_runs(endpoint.pid):
                raise EndpointError(
                    f"The daemon is not running: {self._target} names process {endpoint.pid}, which has ended."
                ) from None
            raise UnreachableError(f"Nothing answers on {host} port {port} ({error.strerror or error}).") from None
        if wire.lost.done():
            raise UnreachableError(wire.reason)
        self._wire = wire
        self._up.set()
        self._set_state(ConnectionState.CONNECTED, f"Connected to the daemon on {host} port {port}.")

    async def _keep(self) -> None:
        failures = 0
        while not self._closed:
            try:
                await self.connect()
                wire = self._wire
                if wire is not None:
                    began = asyncio.get_running_loop().time()
                    await asyncio.shield(wire.lost)
                    # A connection that is cut at once is a failure too: else we would hammer a daemon that is full.
                    failures = 0 if asyncio.get_running_loop().time() - began > 1.0 else failures + 1
            except (ClientError, RpcError):
                failures += 1
            await asyncio.sleep(self._backoff.after(failures))

    def _lost(self, wire: Wire) -> None:
        if self._wire is wire:
            self._wire = None
            self._up.clear()
            for subscription in self._subscriptions:
                subscription.live = False
            if not self._closed:
                self._set_state(ConnectionState.DISCONNECTED, wire.reason)

    def _set_state(self, state: ConnectionState, text: str) -> None:
        if (state, text) != (self._state, self._text):
            self._state, self._text = state, text
            self._on_state(state, text)

    # ---- calls

    async def call(self, method: str, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> Json:
        """The result of a method. An admin's method is signed when `authenticate` has been done on this connection.

        Raises RpcError, UnreachableError, CallTimeoutError. A busy daemon is asked again within `timeout` if the method
        only reads.
        """
        return await self._call(method, params, timeout, None)

    async def _call(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        timeout: float | None,
        on_result: Callable[[Json], None] | None,
    ) -> Json:
        deadline = asyncio.get_running_loop().time() + (self._call_timeout if timeout is None else timeout)
        while True:
            wire = self._wire
            if wire is None:
                raise UnreachableError(self._text)
            request_id, line = wire.connection.request(method, params)
            try:
                return await self._answer(wire, method, request_id, wire.send(request_id, line, on_result), deadline)
            except RpcError as error:
                wait = _retry_after(method, error)
                if wait is None or asyncio.get_running_loop().time() + wait > deadline:
                    _note_refusal(wire, error)
                    raise
            await asyncio.sleep(wait)

    async def _answer(
        self, wire: Wire, method: str, request_id: int, answer: asyncio.Future[Json], deadline: float
    ) -> Json:
        try:
            async with asyncio.timeout_at(deadline):
                return await answer
        except TimeoutError:
            raise CallTimeoutError(f"The daemon did not answer {method} in time.") from None
        finally:
            wire.calls.pop(request_id, None)

    # ---- administrators

    async def authenticate(self, key: bytes, timeout: float | None = None) -> LoginResult:
        """Logs in on this connection with the 32 bytes of run/admin.key, after the daemon has proven to know them.

        Raises ServerNotProvenError (the connection is then cut), RpcError, ClientError. The session ends with the
        connection.
        """
        wire = self._wire
        if wire is None:
            raise UnreachableError(self._text)
        deadline = asyncio.get_running_loop().time() + (self._call_timeout if timeout is None else timeout)
        request_id, line = wire.connection.begin_login(key)
        challenge = await self._answer(wire, "auth_begin", request_id, wire.send(request_id, line), deadline)
        try:
            request_id, line = wire.connection.finish_login(challenge)
        except ServerNotProvenError as error:
            wire.cut(str(error))
            raise
        result = await self._answer(wire, "auth_finish", request_id, wire.send(request_id, line), deadline)
        wire.connection.login_accepted()
        required = isinstance(result, dict) and result.get("second_factor_required") is True
        if any(topic in ADMIN_TOPICS for subscription in self._subscriptions for topic in subscription.topics):
            await self._subscribe_all()
        return LoginResult(required)

    async def second_factor(self, code: str) -> None:
        """Gives the authenticator's code, or a recovery code, for this session. Raises RpcError when it is refused."""
        await self.call("auth_second_factor", {"code": code})

    async def log_out(self) -> None:
        """Ends the admin session; the connection stays."""
        wire = self._wire
        if wire is not None and wire.connection.in_admin_session:
            try:
                await self.call("auth_end")
            finally:
                wire.connection.log_out()

    # ---- subscriptions

    async def subscribe(self, topics: Sequence[str], listener: Listener) -> Subscription:
        """Has `listener` called with a Snapshot and then Events, again and again over reconnects and gaps.

        Without a connection the subscription is remembered and made when there is one. Raises RpcError when the daemon
        refuses it; then it is forgotten.
        """
        subscription = Subscription(tuple(topics), listener)
        self._subscriptions.append(subscription)
        if self._wire is not None:
            try:
                await self._subscribe(subscription)
            except RpcError:
                self._subscriptions.remove(subscription)
                raise
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Ends a subscription; topics that no other one has are given up at the daemon."""
        if subscription not in self._subscriptions:
            return
        self._subscriptions.remove(subscription)
        still = {topic for other in self._subscriptions for topic in other.topics}
        unwanted = [topic for topic in subscription.topics if topic not in still]
        if unwanted and self._wire is not None:
            await self.call("unsubscribe", {"topics": unwanted})

    async def _subscribe(self, subscription: Subscription) -> None:
        topics = [topic for topic in subscription.topics if topic not in ADMIN_TOPICS or self.in_admin_session]
        if not topics:
            return

        def on_result(result: Json) -> None:
            subscription.hear(Snapshot(result.get("snapshot") if isinstance(result, dict) else None))

        await self._call("subscribe", {"topics": topics}, None, on_result)

    async def _subscribe_all(self) -> None:
        # One that is refused for good must not keep the others from living; one that is refused for now gets a new
        # connection, after a pause.
        for subscription in list(self._subscriptions):
            try:
                await self._subscribe(subscription)
            except RpcError as error:
                if error.code == ErrorCode.BUSY and self._wire is not None:
                    self._wire.cut(f"The daemon has no time for a subscription: {error.message}")
                    raise UnreachableError(error.message) from None
                self._on_state(self._state, f"A subscription was refused: {error.message}")

    def _heard(self, wire: Wire, event: Event | SeqGap) -> None:
        if wire is not self._wire:
            return
        if isinstance(event, SeqGap):
            for subscription in self._subscriptions:
                subscription.live = False
            if self._resubscriber is None or self._resubscriber.done():
                self._resubscriber = asyncio.get_running_loop().create_task(self._resubscribe(), name="rpc resubscribe")
            return
        for subscription in list(self._subscriptions):
            subscription.hear(event)

    async def _resubscribe(self) -> None:
        with contextlib.suppress(ClientError, RpcError):
            await self._subscribe_all()


def _note_refusal(wire: Wire, error: RpcError) -> None:
    if error.code == ErrorCode.NOT_AUTHORIZED and isinstance(error.data, dict) and error.data.get("login_needed"):
        # The daemon ended the session, or its count of requests and ours differ.
        wire.connection.log_out()


def _retry_after(method: str, error: RpcError) -> float | None:
    if error.code != ErrorCode.BUSY or not (method.startswith("get_") or method == "subscribe"):
        return None
    wait = error.data.get("retry_after") if isinstance(error.data, dict) else None
    return max(0.02, float(wait)) if isinstance(wait, int | float) else 0.2


def _process_runs(pid: int) -> bool:
    import psutil  # only needed when the connection failed

    return psutil.pid_exists(pid)
