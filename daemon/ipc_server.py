"""The socket: JSON-RPC over lines on loopback, for the tray, the admin window and scripts.

`IpcServer` wires `shared.rpc_connection` (what a line means), `daemon.ipc_admission` (who may stay),
`daemon.ipc_subscriptions` and the handlers of the daemon. Nothing here waits for a client, and nothing a
client sends stops the daemon. Everything runs in the thread of the event loop that called `start`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from loguru import logger

from daemon.ipc_admission import Admission, Rank
from daemon.ipc_alerts import IpcAlert, IpcAlerts
from daemon.ipc_answers import answer_line
from daemon.ipc_broadcast import DEFAULT_INTERVALS
from daemon.ipc_lane import Lane
from daemon.ipc_lingering import Lingering
from daemon.ipc_listener import Listening, accept_for_ever, bind_loopback, loopback_address
from daemon.ipc_second_factor import SecondFactorCheck, SecondFactorGate
from daemon.ipc_sessions import (
    CallBucket,
    CallContext,
    IpcLimits,
    Pause,
    Session,
    give_way,
)
from daemon.ipc_subscriptions import Subscriptions
from daemon.ipc_turns import Turns
from shared.admin_auth import AdminGate, Login
from shared.protocol import ErrorCode, RpcError, error_line
from shared.rpc_connection import (
    Call,
    HangUp,
    LoginJudged,
    ServerConnection,
    ServerEvent,
    SignatureRefused,
)
from shared.rpc_methods import ADMIN_TOPICS, METHODS, SERVED_BY_THE_SOCKET, CodeParams, Method, TopicsParams

__all__ = ["CallContext", "Handler", "IpcAlert", "IpcLimits", "IpcServer", "Listening", "SecondFactorCheck"]

type Handler = Callable[[Any, CallContext], Awaitable[object]]
"""Gets the validated parameters (a model of `shared.rpc_methods`) and the caller; returns what `protocol.encode` takes.

Raises RpcError for a refusal. The handler of `subscribe` returns the snapshot: a mapping from topic to data.
"""


class IpcServer:
    """Serves `handlers` on host:port, loopback only.

    `admin_key`: the 32 bytes of run/admin.key, None to refuse every admin login. `now`: trusted time in microseconds
    UTC. `monotonic`: seconds, for limits and throttles. `on_alert` gets what should be audited or sent on (it is logged
    here); of each kind at most one a minute, except logins.
    """

    def __init__(
        self,
        host: str,
        port: int,
        admin_key: bytes | None,
        handlers: Mapping[str, Handler],
        *,
        now: Callable[[], int],
        on_alert: Callable[[IpcAlert], None] = lambda alert: None,
        second_factor: SecondFactorCheck | None = None,
        methods: Mapping[str, Method] = METHODS,
        limits: IpcLimits | None = None,
        topic_intervals: Mapping[str, float] = DEFAULT_INTERVALS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        unknown = sorted(set(handlers) - set(methods))
        if unknown:
            raise ValueError(f"handlers for methods that the table does not have: {', '.join(unknown)}")
        self.limits = limits or IpcLimits()
        self._host = loopback_address(host)
        self._port = port
        self._gate = None if admin_key is None else AdminGate(admin_key)
        self._handlers = dict(handlers)
        self._methods = {name: methods[name] for name in methods if name in handlers or name in SERVED_BY_THE_SOCKET}
        self._alerts = IpcAlerts(on_alert, self.limits.alert_seconds, monotonic)
        self._second_factor = SecondFactorGate(second_factor, now, self._alerts)
        self._monotonic = monotonic
        self._subscriptions = Subscriptions(topic_intervals, monotonic, self._event_failed)
        self._admission = Admission(self.limits.places)
        self._sessions: dict[int, Session] = {}
        self._numbers = 0
        self.lingering = Lingering(self.limits.linger_seconds, self.limits.lingering)
        self._signed_calls: set[asyncio.Task[None]] = set()
        self._lane: Lane | None = None
        self._turns: Turns | None = None
        self._all_calls = CallBucket(self.limits.all_calls, monotonic())
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    # ---- life

    async def start(self) -> Listening:
        """Binds and listens. A taken or excluded port is no failure: any free one is taken, and `note` says so.

        Raises OSError when not even that works; the daemon enforces all the same.
        """
        self._loop = asyncio.get_running_loop()
        self._lane = Lane(self._loop, self._run, self.limits.at_once)
        self._turns = Turns(
            self._loop,
            self._judge_one,
            seconds=self.limits.turn_seconds,
            share=self.limits.turn_share,
            calls_in_flight=self.limits.calls_in_flight,
        )
        self._listener, note = bind_loopback(self._host, self._port)
        host, port = self._listener.getsockname()[:2]
        self._accepting = self._loop.create_task(
            accept_for_ever(self._listener, self._new_session, self._accept_failed), name="ipc accept"
        )
        if note is not None:
            self._alerts.warn("port_taken", note)
        logger.info("The socket listens on {} port {}.", host, port)
        return Listening(host, port, note)

    async def stop(self, grace: float = 2.0) -> None:
        """Takes no more connections, lets running calls end for `grace` seconds, then closes everything."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        if self._listener is not None:
            self._listener.close()
        current = asyncio.current_task()
        calls = set(self._signed_calls)
        if self._lane is not None:
            self._lane.stop()
            calls |= self._lane.tasks
        running = [task for task in calls if task is not current]
        if running:
            await asyncio.wait(running, timeout=grace)
        for task in running:
            task.cancel()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self._subscriptions.stop()
        if self._turns is not None:
            self._turns.stop()
        for session in list(self._sessions.values()):
            session.close(RpcError(ErrorCode.BUSY, "The daemon is stopping."))
        await asyncio.sleep(0)
        self.lingering.stop()
        await asyncio.sleep(0)

    @property
    def connections(self) -> int:
        """How many connections are being served."""
        return len(self._sessions)

    # ---- events out

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens to a topic."""
        return self._subscriptions.wanted(topic)

    def publish(self, topic: str, account_id: int | None, data: object, *, key: str | None = None) -> None:
        """Sends an `event` to the topic's subscribers. Cheap, never waits, never raises; event loop's thread only.

        Of pnl, positions and quotes only the latest per (topic, account, key) is sent, some times a second, so `data`
        is the whole state of that account (or of that key of it), never a difference; it must not change afterwards.
        """
        self._subscriptions.publish(topic, account_id, data, key)

    def _event_failed(self, topic: str, error: TypeError) -> None:
        self._alerts.warn("event_dropped", f"An event of the topic {topic} could not be sent: {error}.")

    # ---- connections in and out (called by Session)

    def _accept_failed(self, error: OSError) -> None:
        text = f"The socket can't accept connections ({error.strerror or error}); accounts are protected all the same."
        self._alerts.warn("accept_failed", text)

    def _new_session(self) -> Session:
        self._numbers += 1
        connection = ServerConnection(
            self._gate,
            methods=self._methods,
            second_factor_required=self._second_factor.enrolled,
            admin_idle_seconds=self.limits.admin_idle_seconds,
        )
        return Session(self, self._numbers, connection, self._monotonic)

    def session_opened(self, session: Session) -> None:
        """Finds a place for a new connection, if need be by taking another's."""
        self._sessions[session.number] = session
        self._sweep_later()
        leaving = self._admission.enter(session.number, self._monotonic())
        if leaving is not None:
            self._give_way(leaving)

    def session_gone(self, session: Session) -> None:
        """Forgets a connection; may be called more than once."""
        self._admission.leave(session.number)
        self._sessions.pop(session.number, None)
        self._subscriptions.leave(session, session.topics)

    def _give_way(self, number: int) -> None:
        session = self._sessions.get(number)
        if session is None:
            return
        text = "All places are taken, and this connection was the one to give way; connect again."
        self._dismiss(session, RpcError(ErrorCode.BUSY, text, {"retry_after": 1}))
        self._alerts.warn(
            "places_contested",
            f"All {self.limits.places.places} places of the socket are taken; connections give way to newcomers.",
        )

    def _dismiss(self, session: Session, error: RpcError) -> None:
        session.close(error)
        self.session_gone(session)

    def _sweep(self) -> None:
        now = self._monotonic()
        for session in list(self._sessions.values()):
            reason = session.overdue(now)
            if reason is not None:
                self._dismiss(session, RpcError(ErrorCode.INVALID_REQUEST, reason))
            elif session.connection.expire_session(now):
                self._admin_session_over(session)
        self._sweep_timer = None
        if self._sessions:
            self._sweep_later()

    def _sweep_later(self) -> None:
        """Look for connections that are overdue, as long as there are any."""
        if self._sweep_timer is None:
            assert self._loop is not None
            self._sweep_timer = self._loop.call_later(self.limits.sweep_seconds, self._sweep)

    # ---- lines in

    def lines_came(self, session: Session) -> None:
        """Judges what has come: at once, or in turn with the others if there is much."""
        assert self._turns is not None
        self._turns.lines_came(session)

    def answers_taken(self) -> None:
        """A client that had left answers unread has read them."""
        if self._lane is not None:
            self._lane.look_again()

    def _judge_one(self, session: Session) -> None:
        try:
            event = session.connection.next_event(self._monotonic())
            if event is not None:
                self._act(session, event)
        except Exception as error:  # noqa: BLE001 - one connection's line must not stop the others'
            self._handler_failed("of a line", error)
            session.drop()

    def _act(self, session: Session, event: ServerEvent) -> None:
        if isinstance(event, Call):
            self._take_call(session, event)
            return
        session.send(event.reply)
        if isinstance(event, HangUp):
            session.close()
            self.session_gone(session)
        elif isinstance(event, LoginJudged):
            self._login_judged(session, event.login)
        elif isinstance(event, SignatureRefused):
            self._alerts.warn("signature_refused", f"A signed admin request was refused: {event.reason}")
            if event.session_ended:
                self._admin_session_over(session)

    def _take_call(self, session: Session, call: Call) -> None:
        refusal = self._refusal(session, call)
        if refusal is not None:
            if not call.notification:
                session.send(error_line(call.id, refusal))
            return
        if call.notification and call.method.reads:
            return  # nobody would get the answer
        session.calls_in_flight += 1
        assert self._loop is not None
        assert self._lane is not None
        if not call.signed:
            self._lane.put(session, call)
            return
        task = self._loop.create_task(self._run(session, call, give_way), name=f"ipc {call.method.name}")
        self._signed_calls.add(task)
        task.add_done_callback(self._signed_calls.discard)

    def _refusal(self, session: Session, call: Call) -> RpcError | None:
        now = self._monotonic()
        if self._all_calls.take(now) > 0.0 and (wait := session.calls.take(now)) > 0.0:
            return _busy("This connection calls too often", wait)
        seat = self._admission.request(session.number, now)
        if seat.leaving is not None:
            self._give_way(seat.leaving)
        if not seat.granted:
            return _busy("Too many programs want a place at once", 1.0 / self.limits.places.seats_per_second)
        if call.method.second_factor and not self._second_factor.passed(session):
            return self._second_factor.refusal()
        return None

    async def _run(self, session: Session, call: Call, pause: Pause) -> None:
        seconds = self.limits.admin_handler_seconds if call.signed else self.limits.handler_seconds
        try:
            try:
                async with asyncio.timeout(seconds):
                    if call.method.name == "subscribe":
                        await self._subscribe(session, call, pause)
                        return
                    result = await self._result(session, call, pause)
                line = answer_line(call.id, result)
            except RpcError as error:
                line = error_line(call.id, error)
            except TimeoutError:
                line = error_line(call.id, _busy(f"{call.method.name} took too long", 1.0))
            except Exception as error:  # noqa: BLE001 - whatever a handler does, the daemon goes on
                line = error_line(call.id, self._handler_failed(call.method.name, error))
            if not call.notification:
                session.send(line)
        finally:
            session.calls_in_flight -= 1
            if session.parked and not session.closed:
                session.parked = False
                self.lines_came(session)
            session.settled()

    def _handler_failed(self, name: str, error: Exception) -> RpcError:
        logger.opt(exception=error).error("The call {} failed.", name)
        self._alerts.warn("handler_failed", f"The call {name} failed with {type(error).__name__}; see error.log.")
        return RpcError(ErrorCode.INTERNAL_ERROR, f"The daemon failed to answer {name}; its error.log says why.")

    async def _result(self, session: Session, call: Call, pause: Pause) -> object:
        name, params = call.method.name, call.params
        if name == "unsubscribe" and isinstance(params, TopicsParams):
            return self._unsubscribe(session, params)
        if name == "auth_second_factor" and isinstance(params, CodeParams):
            return self._second_factor.give(session, params.code)
        if name == "auth_end":
            session.connection.end_session()
            self._admin_session_over(session)
            return {"authenticated": False}
        return await self._handlers[name](params, self._context(session, call, pause))

    async def _subscribe(self, session: Session, call: Call, pause: Pause) -> None:
        assert isinstance(call.params, TopicsParams)
        topics = [str(topic) for topic in call.params.topics]
        if not call.signed and any(topic in ADMIN_TOPICS for topic in topics):
            raise RpcError(ErrorCode.NOT_AUTHORIZED, f"The topic {ADMIN_TOPICS[0]} is for administrators.")

        def answer(result: object) -> None:
            line = answer_line(call.id, result)
            if not call.notification:
                session.send(line)

        async def snapshot() -> object:
            if call.notification:
                return {}  # nobody would get it
            return await self._handlers["subscribe"](call.params, self._context(session, call, pause))

        await self._subscriptions.subscribe(session, topics, snapshot, answer)
        self._note_subscription(session)

    def _unsubscribe(self, session: Session, params: TopicsParams) -> dict[str, object]:
        self._subscriptions.leave(session, params.topics)
        self._note_subscription(session)
        return {"topics": list(session.topics)}

    def _note_subscription(self, session: Session) -> None:
        if session.number in self._sessions:
            self._admission.subscription(session.number, bool(session.topics))

    # ---- administrators

    def _login_judged(self, session: Session, login: Login) -> None:
        if session.connection.proven and session.number in self._sessions:
            leaving = self._admission.admin(session.number)
            if leaving is not None:
                self._give_way(leaving)
        if login is Login.ACCEPTED:
            session.second_factor_given = False
            session.calls.change(self.limits.admin_calls)
            self._alerts.inform("admin_logged_in", f"An administrator logged in on connection {session.number}.")
        elif login is Login.FAILED:
            self._alerts.warn("admin_login_failed", "An admin login failed: the proof was wrong.")
        elif login is Login.FAILED_AND_PAUSED:
            text = "Admin login is paused after too many failures: someone on this machine may be trying to get in."
            self._alerts.warn("admin_login_paused", text)

    def _admin_session_over(self, session: Session) -> None:
        session.second_factor_given = False
        session.calls.change(self.limits.calls)
        self._subscriptions.leave(session, ADMIN_TOPICS)
        if session.number in self._sessions and self._admission.rank(session.number) is Rank.ADMIN:
            self._admission.admin_ended(session.number, bool(session.topics))

    def _context(self, session: Session, call: Call, pause: Pause) -> CallContext:
        return CallContext(session.number, call.signed, call.signed and self._second_factor.passed(session), pause)


def _busy(what: str, retry_after: float) -> RpcError:
    wait = round(max(retry_after, 0.01), 3)
    return RpcError(ErrorCode.BUSY, f"{what}; try again in a moment.", {"retry_after": wait})
