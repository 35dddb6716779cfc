"""One connection of the socket: its asyncio protocol, its rates, its subscriptions, its admin session.

The judging of lines is `shared.rpc_connection`, who may stay `daemon.ipc_admission`; here bytes meet them. A session
never waits for its client: what the operating system does not take is buffered up to a bound, then it is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.ipc_admission import PlaceLimits
from daemon.ipc_broadcast import EventBody
from shared.protocol import ErrorCode, RpcError, error_line
from shared.rpc_connection import Call, ServerConnection

if TYPE_CHECKING:
    from daemon.ipc_server import IpcServer


@dataclass(frozen=True, slots=True)
class CallRate:
    """A bucket of `burst` calls, refilled with `per_second`."""

    burst: float
    per_second: float


@dataclass(frozen=True, slots=True)
class CallsAtOnce:
    """How unsigned calls share the event loop's time (`daemon.ipc_lane`). Times in seconds.

    `share`: of the loop's time, after `credit_seconds` of work that a quiet time leaves without a rest; a rest is
    `longest_rest` at most. `slice_seconds`: after so long a handler that can pause rests. `aside_seconds`: a call that
    waits so long for something else lets the next one begin. `of_one_connection`: run side by side then.
    """

    share: float = 0.15
    credit_seconds: float = 0.02
    longest_rest: float = 0.15
    slice_seconds: float = 0.002
    aside_seconds: float = 0.05
    of_one_connection: int = 2


@dataclass(frozen=True, slots=True)
class IpcLimits:
    """The bounds of the socket. Times in seconds, sizes in bytes.

    `max_unsent`: a client that lets more than this pile up is dropped (one answer of a full line may come on top).
    `max_backlog`: of what has come and has not been judged; then reading pauses.
    `all_calls` is for all connections together; only when it is used up does each one's own rate count: one busy script
    is served quickly, and a crowd of them does not take from the tray what is its own.
    `calls_in_flight`: of one connection, those that wait for their turn included; its further lines wait.
    `turn_seconds`, `turn_share`: judging lines stops after so long, then pauses so that it takes at most that share of
    the daemon's time; `at_once` says what running the calls may take. `held_events`: kept back while a subscriber's
    snapshot is being made.
    """

    places: PlaceLimits = field(default_factory=PlaceLimits)
    first_line_seconds: float = 10.0
    line_seconds: float = 10.0
    stalled_seconds: float = 5.0
    admin_idle_seconds: float = 600.0
    max_unsent: int = 512 * 1024
    all_calls: CallRate = CallRate(1000.0, 500.0)
    calls: CallRate = CallRate(100.0, 20.0)
    admin_calls: CallRate = CallRate(400.0, 100.0)
    calls_in_flight: int = 8
    at_once: CallsAtOnce = field(default_factory=CallsAtOnce)
    handler_seconds: float = 20.0
    admin_handler_seconds: float = 120.0
    max_backlog: int = 64 * 1024
    turn_seconds: float = 0.002
    turn_share: float = 0.1
    held_events: int = 1000
    sweep_seconds: float = 0.25
    linger_seconds: float = 0.2
    lingering: int = 64
    alert_seconds: float = 60.0


type Pause = Callable[[], Awaitable[None]]


async def give_way() -> None:
    """Lets the event loop do what else there is."""
    await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class CallContext:
    """Who calls. `admin`: the request was signed in an admin session.

    `second_factor_ok`: none is enrolled, or it was given in this session. `pause`: to be awaited between the parts of
    an answer that takes more than a few milliseconds to make, so that nothing urgent waits for all of it; raises
    RpcError when the caller has gone meanwhile.
    """

    connection_id: int
    admin: bool
    second_factor_ok: bool
    pause: Pause = give_way

    def require_second_factor(self) -> None:
        """Raises RpcError -32003 unless the second factor was given, if there is one. For what loosens protection."""
        if not self.second_factor_ok:
            raise second_factor_needed()


def second_factor_needed() -> RpcError:
    """The refusal of what needs the second factor."""
    text = "This needs the second factor: give the code of the authenticator with auth_second_factor first."
    return RpcError(ErrorCode.REFUSED_BY_POLICY, text, {"policy": "second_factor"})


class CallBucket:
    """Limits how often one connection has handlers run."""

    def __init__(self, rate: CallRate, now: float) -> None:
        self._rate = rate
        self._left = rate.burst
        self._at = now

    def change(self, rate: CallRate) -> None:
        """Another rate from now on; a greater burst may be used at once."""
        self._left += max(0.0, rate.burst - self._rate.burst)
        self._rate = rate

    def take(self, now: float) -> float:
        """0.0 when the call may go on, else the seconds to wait."""
        self._left = min(self._rate.burst, self._left + max(0.0, now - self._at) * self._rate.per_second)
        self._at = now
        if self._left >= 1.0:
            self._left -= 1.0
            return 0.0
        return (1.0 - self._left) / self._rate.per_second


_FIRST_LINES = 6
_FIRST_LINES_BYTES = 4096
"""A newcomer that sends more at once is not shaking hands, and waits as everybody does."""


class Session(asyncio.Protocol):
    """One accepted connection. Everything here runs in the event loop's thread."""

    def __init__(self, server: IpcServer, number: int, connection: ServerConnection, monotonic: Callable[[], float]):
        self.number = number
        self.connection = connection
        self.closed = False
        self.topics: dict[str, None] = {}
        self.second_factor_given = False
        self.calls_in_flight = 0
        self.calls_waiting: deque[Call] = deque()
        self.calls_running = 0
        self.used: float | None = None  # the lane's; None: it has not called yet
        self.parked = False
        self.judged = 0
        self.subscribing = asyncio.Lock()
        self._server = server
        self._monotonic = monotonic
        now = monotonic()
        self.calls = CallBucket(server.limits.calls, now)
        self._opened_at = now
        self._line_came = False
        self._unfinished_since: float | None = None
        self._stalled_since: float | None = None
        self._reading_paused = False
        self._end_of_input = False
        self._seq = 0
        self._held: list[EventBody] = []
        self._holding: frozenset[str] = frozenset()
        self._held_too_many = False
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._out_size = 0

    # ---- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=64 * 1024)
        self._server.session_opened(self)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        if b"\n" in data:
            self._line_came = True
            self._unfinished_since = None
        if not data.endswith(b"\n") and self._unfinished_since is None:
            self._unfinished_since = self._monotonic()
        in_line_already = self.connection.backlog > 0
        self.connection.feed(data)
        if self.connection.backlog > self._server.limits.max_backlog and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()
        if not in_line_already:
            self._server.lines_came(self)

    def eof_received(self) -> bool:
        # Half-closed: answers still go out (a script may send its request and close its side at once).
        self._end_of_input = True
        return not self.closed and self._busy()

    def pause_writing(self) -> None:
        self._stalled_since = self._monotonic()

    def resume_writing(self) -> None:
        self._stalled_since = None
        self._server.answers_taken()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._transport is not None:
            self._server.lingering.gone(self._transport)
            self._transport = None
        self._server.session_gone(self)

    # ---- for the server

    @property
    def first_of_all(self) -> bool:
        """Whether its lines are judged before others': an administrator's, and a newcomer's first short ones."""
        if self.connection.in_admin_session:
            return True
        return self.judged < _FIRST_LINES and self.connection.backlog <= _FIRST_LINES_BYTES

    @property
    def stalled(self) -> bool:
        """Whether the client has answers enough that it has not read yet."""
        return self._stalled_since is not None

    def lines_judged(self) -> None:
        """Reading goes on once what had come is judged."""
        if self._reading_paused and not self.closed and self._transport is not None:
            self._reading_paused = False
            if self._unfinished_since is not None:
                self._unfinished_since = self._monotonic()
            self._transport.resume_reading()

    def settled(self) -> None:
        """Closes a half-closed connection once its last answer is out."""
        if self._end_of_input and not self._busy():
            self.close()

    def send(self, line: bytes) -> None:
        """Hands a line to the operating system soon, or buffers it; a client that does not read is dropped.

        Lines of one moment go out together: a write for each event and subscriber would cost far more than the events.
        """
        if self.closed or not line or self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() + self._out_size > self._server.limits.max_unsent:
            self.drop()
            return
        if not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        self._out.append(line)
        self._out_size += len(line)

    def flush(self) -> None:
        """Writes what `send` took."""
        if self._out:
            out, self._out, self._out_size = self._out, [], 0
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(b"".join(out))

    def deliver(self, body: EventBody) -> None:
        """Numbers and sends an event, or keeps it back while the snapshot of its topic is being made."""
        if body.topic in self._holding:
            if len(self._held) >= self._server.limits.held_events:
                self._held_too_many = True
                return
            self._held.append(body)
            return
        self._number_and_send(body)

    def hold(self, topics: list[str]) -> None:
        """Keeps events of these topics back until `release`, so that none overtakes the snapshot."""
        self._holding = frozenset(topics)
        self._held_too_many = False

    def held_too_many(self) -> bool:
        """Whether events were lost while holding; then there can be no gapless subscription."""
        return self._held_too_many

    @property
    def seq(self) -> int:
        """Number of the last event sent."""
        return self._seq

    def release(self) -> None:
        """Sends what was kept back, of topics that are subscribed."""
        held, self._held, self._holding = self._held, [], frozenset()
        for body in held:
            if body.topic in self.topics:
                self._number_and_send(body)

    def overdue(self, now: float) -> str | None:
        """Why this connection has to go; None while it keeps to the times."""
        limits = self._server.limits
        if not self._line_came and now - self._opened_at >= limits.first_line_seconds:
            return f"No line came within {limits.first_line_seconds:g} s of connecting."
        unfinished_since = None if self._reading_paused else self._unfinished_since
        if unfinished_since is not None and now - unfinished_since >= limits.line_seconds:
            return f"A line was not finished within {limits.line_seconds:g} s."
        if self._stalled_since is not None and now - self._stalled_since >= limits.stalled_seconds:
            return f"What was sent has not been read for {limits.stalled_seconds:g} s."
        return None

    def close(self, error: RpcError | None = None) -> None:
        """Says why, if it can be said without waiting, and closes."""
        if self.closed:
            return
        self.flush()
        self.closed = True
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() > 0:
            # Waiting for a client that doesn't read would keep the connection open for as long as it likes.
            self._server.lingering.add(transport, flush_first=True)
            return
        if error is not None:
            transport.write(error_line(None, error))
        if not transport.is_closing() and transport.can_write_eof():
            with contextlib.suppress(OSError, RuntimeError):
                transport.write_eof()
        # Closing with unread bytes resets the connection, and the other end might never see why: read on for a moment.
        if self._reading_paused:
            transport.resume_reading()
        self._server.lingering.add(transport, flush_first=False)

    def drop(self) -> None:
        """Cuts the connection at once; nothing more is sent."""
        self.closed = True
        self._out, self._out_size = [], 0
        if self._transport is not None:
            self._transport.abort()
        self._server.session_gone(self)

    def _busy(self) -> bool:
        return self.calls_in_flight > 0 or self.connection.backlog > 0

    def _number_and_send(self, body: EventBody) -> None:
        if not self.closed:
            self._seq += 1
            self.send(body.line(self._seq))
