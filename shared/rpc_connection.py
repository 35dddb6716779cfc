"""The two ends of a connection as state machines: bytes in, events out; requests in, bytes out. No socket, no clock.

Server: `feed(data)` takes what came, `next_event(now)` judges one line at a time (so that a caller can divide its time
between connections) and returns what to do: write `reply`, run a handler, hang up. Client: `request(...)` and the
login steps give bytes to send, `receive(data)` gives answers and notifications in order and notices gaps in `seq`.
`now` is in seconds of any monotonic clock.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from shared.admin_auth import NONCE_BYTES, AdminGate, ClientHandshake, Login, ServerAuth, Signer
from shared.protocol import (
    MAX_LINE,
    ErrorCode,
    Json,
    LineReader,
    LineTooLong,
    Malformed,
    Request,
    RequestId,
    Response,
    RpcError,
    encode,
    error_line,
    looks_like_http,
    parse_message,
    parse_request,
    request_line,
    result_line,
)
from shared.rpc_methods import ADMIN_TOPICS, METHODS, AuthBeginParams, AuthFinishParams, Method, Params, validate_params

type Nonces = Callable[[int], bytes]

_PIECE = 4096


@dataclass(frozen=True, slots=True)
class Call:
    """A valid request to run. `signed`: it carried a good signature of this connection's admin session."""

    id: RequestId
    notification: bool
    method: Method
    params: Params
    signed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was answered with an error; `reply` is empty for a notification."""

    reply: bytes
    error: RpcError


@dataclass(frozen=True, slots=True)
class Challenged:
    """An auth_begin was answered."""

    reply: bytes


@dataclass(frozen=True, slots=True)
class LoginJudged:
    """An auth_finish was judged; see `shared.admin_auth.Login`."""

    reply: bytes
    login: Login


@dataclass(frozen=True, slots=True)
class SignatureRefused:
    """A signed request whose number or mac was wrong: someone changes or repeats what the admin sends."""

    reply: bytes
    reason: str
    session_ended: bool


@dataclass(frozen=True, slots=True)
class HangUp:
    """Write `reply`, then close: what comes next must not be read."""

    reply: bytes
    reason: str


type ServerEvent = Call | Refused | Challenged | LoginJudged | SignatureRefused | HangUp


class ServerConnection:
    """The daemon's end. `gate` None: no admin logs in over this connection (every login is refused)."""

    def __init__(
        self,
        gate: AdminGate | None,
        *,
        methods: Mapping[str, Method] = METHODS,
        nonces: Nonces = secrets.token_bytes,
        max_line: int = MAX_LINE,
        second_factor_required: Callable[[], bool] = lambda: False,
        admin_idle_seconds: float = 900.0,
    ) -> None:
        self._auth = None if gate is None else ServerAuth(gate, idle_seconds=admin_idle_seconds)
        self._methods = methods
        self._nonces = nonces
        self._second_factor_required = second_factor_required
        self._reader = LineReader(max_line)
        self._lines: deque[bytes | LineTooLong] = deque()
        self._unread: deque[bytes] = deque()
        self._unread_size = 0
        self._hung_up = False

    @property
    def backlog(self) -> int:
        """What has come and has not been judged: 0 when there is nothing, about its size in bytes otherwise."""
        return self._unread_size + len(self._lines)

    @property
    def in_admin_session(self) -> bool:
        return self._auth is not None and self._auth.in_session

    @property
    def proven(self) -> bool:
        """Whether the other end has shown the admin key (see `ServerAuth.proven`)."""
        return self._auth is not None and self._auth.proven

    def feed(self, data: bytes) -> None:
        """Takes bytes; costs nothing until `next_event`."""
        if data and not self._hung_up:
            self._unread.append(data)
            self._unread_size += len(data)

    def next_event(self, now: float) -> ServerEvent | None:
        """Judges the next line; None when there is none that is complete."""
        # A large piece may hold a line per byte: it is cut into lines little by little.
        while not self._lines and self._unread:
            piece = self._unread.popleft()
            if len(piece) > _PIECE:
                self._unread.appendleft(piece[_PIECE:])
                piece = piece[:_PIECE]
            self._unread_size -= len(piece)
            self._lines.extend(self._reader.feed(piece))
        if self._hung_up or not self._lines:
            return None
        line = self._lines.popleft()
        if isinstance(line, bytes) and looks_like_http(line):
            self._hung_up = True
            self._lines.clear()
            self._unread.clear()
            self._unread_size = 0
            error = RpcError(ErrorCode.PARSE_ERROR, "This port speaks JSON-RPC over lines, not HTTP.")
            return HangUp(error_line(None, error), "an HTTP request came, as from a web page")
        request = parse_request(line)
        if isinstance(request, Malformed):
            return Refused(error_line(request.id, request.error), request.error)
        return self._judge(request, now)

    def receive(self, data: bytes, now: float) -> list[ServerEvent]:
        """`feed`, then every event."""
        self.feed(data)
        out = []
        while (event := self.next_event(now)) is not None:
            out.append(event)
        return out

    def expire_session(self, now: float) -> bool:
        """Ends an admin session that has been idle for too long; True when it did."""
        return self._auth is not None and self._auth.expire(now)

    def end_session(self) -> None:
        """Logs the admin out."""
        if self._auth is not None:
            self._auth.end()

    def _judge(self, request: Request, now: float) -> ServerEvent:
        method = self._methods.get(request.method)
        signed = False
        # A signature is checked before anything else of the request, so that both ends count alike.
        if request.auth is not None:
            refusal = self._check_signature(request, now)
            if refusal is not None:
                return refusal
            signed = True
        if method is None:
            return _refuse(
                request, RpcError(ErrorCode.METHOD_NOT_FOUND, f"There is no method {request.method[:64]!r}.")
            )
        if method.admin and not signed:
            text = f"{method.name} is for administrators: log in first and sign the request."
            return _refuse(request, RpcError(ErrorCode.NOT_AUTHORIZED, text, {"login_needed": True}))
        try:
            params = validate_params(method, request.params)
        except RpcError as error:
            return _refuse(request, error)
        if isinstance(params, AuthBeginParams):
            return self._begin(request, params, now)
        if isinstance(params, AuthFinishParams):
            return self._finish(request, params, now)
        return Call(request.id, request.notification, method, params, signed)

    def _check_signature(self, request: Request, now: float) -> SignatureRefused | Refused | None:
        had_session = self.in_admin_session
        reason = (
            _NO_LOGIN if self._auth is None else self._auth.check(request.method, request.params, request.auth, now)
        )
        if reason is None:
            return None
        refused = _refuse(request, RpcError(ErrorCode.NOT_AUTHORIZED, reason, {"login_needed": True}))
        if not had_session:
            return refused
        return SignatureRefused(refused.reply, reason, session_ended=not self.in_admin_session)

    def _begin(self, request: Request, params: AuthBeginParams, now: float) -> ServerEvent:
        answer = None if self._auth is None else self._auth.begin(params.client_nonce, self._nonces(NONCE_BYTES), now)
        if answer is None:
            return _refuse(request, RpcError(ErrorCode.NOT_AUTHORIZED, _NO_LOGIN))
        return Challenged(_answer(request, answer))

    def _finish(self, request: Request, params: AuthFinishParams, now: float) -> ServerEvent:
        if self._auth is None:
            return _refuse(request, RpcError(ErrorCode.NOT_AUTHORIZED, _NO_LOGIN))
        login = self._auth.finish(params.proof, now)
        if login is Login.ACCEPTED:
            result = {"authenticated": True, "second_factor_required": self._second_factor_required()}
            return LoginJudged(_answer(request, result), login)
        if login in (Login.FAILED, Login.FAILED_AND_PAUSED):
            error = RpcError(ErrorCode.NOT_AUTHORIZED, "The proof is wrong: log in with the key of this daemon start.")
        else:
            seconds = int(self._auth.wait_seconds(now)) + 1
            text = f"Admin login is paused after too many failures; try again on this connection in {seconds} s."
            error = RpcError(ErrorCode.NOT_AUTHORIZED, text, {"retry_after": seconds})
        return LoginJudged(_refuse(request, error).reply, login)


_NO_LOGIN = "This daemon takes no admin login here."


def _answer(request: Request, result: object) -> bytes:
    return b"" if request.notification else result_line(request.id, result)


def _refuse(request: Request, error: RpcError) -> Refused:
    return Refused(b"" if request.notification else error_line(request.id, error), error)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to our request `id`: `error` None means `result` counts."""

    id: int
    result: Json
    error: RpcError | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. `account_id` None: it concerns the whole daemon. `seq` counts this connection's events."""

    topic: str
    account_id: int | None
    data: Json
    seq: int


@dataclass(frozen=True, slots=True)
class SeqGap:
    """Events from `expected` up to before `got` are missing: subscribe again for a fresh snapshot."""

    expected: int
    got: int


@dataclass(frozen=True, slots=True)
class Notice:
    """An error that answers no request of ours: the daemon says why it is about to close."""

    error: RpcError


@dataclass(frozen=True, slots=True)
class ProtocolFault:
    """The other end does not speak this protocol; close."""

    text: str


type ClientEvent = Answer | Event | SeqGap | Notice | ProtocolFault


def _wants_admin_topic(method: str, params: dict[str, Any]) -> bool:
    topics = params.get("topics")
    return method == "subscribe" and isinstance(topics, list) and any(topic in ADMIN_TOPICS for topic in topics)


class ClientConnection:
    """The client's end."""

    def __init__(self, *, nonces: Nonces = secrets.token_bytes, max_line: int = MAX_LINE) -> None:
        self._nonces = nonces
        self._reader = LineReader(max_line)
        self._last_id = 0
        self._seq = 0
        self._signer: Signer | None = None
        self._handshake: ClientHandshake | None = None

    @property
    def in_admin_session(self) -> bool:
        return self._signer is not None

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        """The id and the bytes of a request, signed when the method is an admin's and there is a session.

        Bytes must be sent in the order in which they were made. Raises TypeError when params have no JSON form,
        ValueError when the line would be longer than the daemon reads.
        """
        plain: dict[str, Any] = {} if params is None else orjson.loads(encode(params))
        known = METHODS.get(method)
        # A method this table doesn't know may be a newer daemon's; a signature does no harm.
        wants_signature = known is None or known.admin or _wants_admin_topic(method, plain)
        if len(encode(plain)) > MAX_LINE - 1024:
            raise ValueError("the parameters are too long for one line")
        auth = self._signer.sign(method, plain) if self._signer is not None and wants_signature else None
        self._last_id += 1
        return self._last_id, request_line(method, plain, self._last_id, auth)

    def begin_login(self, key: bytes) -> tuple[int, bytes]:
        """First step of a login; its answer's result goes to `finish_login`. ValueError for a key of a wrong length."""
        self._handshake = ClientHandshake(key, self._nonces(NONCE_BYTES))
        return self.request("auth_begin", self._handshake.begin_params())

    def finish_login(self, begin_result: Json) -> tuple[int, bytes]:
        """Second step. Raises ServerNotProvenError when the other end is not the daemon; then close."""
        if self._handshake is None:
            raise RuntimeError("begin_login comes first")
        return self.request("auth_finish", self._handshake.finish_params(begin_result))

    def login_accepted(self) -> None:
        """To be called when the answer to the second step was no error."""
        if self._handshake is None:
            raise RuntimeError("begin_login comes first")
        self._signer = self._handshake.signer()
        self._handshake = None

    def log_out(self) -> None:
        """Forgets the session's key."""
        self._signer = None
        self._handshake = None

    def receive(self, data: bytes) -> list[ClientEvent]:
        out: list[ClientEvent] = []
        for line in self._reader.feed(data):
            message = parse_message(line)
            if isinstance(message, Response):
                self._take_response(message, out)
            elif isinstance(message, Malformed):
                out.append(ProtocolFault(message.error.message))
            elif message.method == "event":
                self._take_event(message.params or {}, out)
            # Other notifications are a newer daemon's: not for us.
        return out

    def _take_response(self, message: Response, out: list[ClientEvent]) -> None:
        if isinstance(message.id, int):
            result = message.result
            # A subscription's answer says how many events have been sent before it.
            if isinstance(result, dict) and "snapshot" in result and type(result.get("seq")) is int:
                if result["seq"] != self._seq:
                    out.append(SeqGap(self._seq + 1, result["seq"] + 1))
                self._seq = result["seq"]
            out.append(Answer(message.id, result, message.error))
        elif message.error is not None:
            out.append(Notice(message.error))
        else:
            out.append(ProtocolFault("An answer came that belongs to no request."))

    def _take_event(self, params: dict[str, Any], out: list[ClientEvent]) -> None:
        topic, account_id, seq = params.get("topic"), params.get("account_id"), params.get("seq")
        if not isinstance(topic, str) or type(seq) is not int or type(account_id) not in (int, type(None)):
            out.append(ProtocolFault("An event came without topic, account_id and seq."))
            return
        if seq != self._seq + 1:
            out.append(SeqGap(self._seq + 1, seq))
        self._seq = seq
        out.append(Event(topic, account_id, params.get("data"), seq))
