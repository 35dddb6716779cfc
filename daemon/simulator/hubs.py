"""The two SignalR hubs: negotiate ids, handshakes, subscriptions, fan-out of events, and everything that can go wrong
there.

SignalR over WebSocket, JSON protocol version 1: messages end with the record separator 0x1E; types 1 invocation,
3 completion, 6 ping, 7 close (gateway facts; the protocol is Microsoft's).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from daemon.simulator import effects as fx
from daemon.simulator.auth import LoginState
from daemon.simulator.clock import SimClock
from daemon.simulator.config import SimulatorConfig
from daemon.simulator.connection import SEPARATOR, HubConnection, Topic
from daemon.simulator.faults import Fault, FaultBox
from daemon.simulator.records import SentFrame

PING = b'{"type":6}' + SEPARATOR
TARGETS = {
    "account": "GatewayUserAccount",
    "order": "GatewayUserOrder",
    "position": "GatewayUserPosition",
    "trade": "GatewayUserTrade",
    "quote": "GatewayQuote",
    "market_trade": "GatewayTrade",
    "depth": "GatewayDepth",
}
METHODS = {
    "user": {"Accounts": "account", "Orders": "order", "Positions": "position", "Trades": "trade"},
    "market": {"ContractQuotes": "quote", "ContractTrades": "market_trade", "ContractMarketDepth": "depth"},
}


def frame(target: str, arguments: list[Any], **extra: Any) -> bytes:
    """An invocation without an id, as the gateway sends its events."""
    return orjson.dumps({"type": 1, "target": target, "arguments": arguments, **extra}) + SEPARATOR


@dataclass(slots=True)
class Event:
    """An event on its way to the subscribers of `topic`."""

    kind: str
    topic: Topic
    account: int | None
    symbol: str
    arguments: list[Any]
    closed: bool = False


class Hubs:
    """All hub connections of the gateway."""

    def __init__(self, config: SimulatorConfig, clock: SimClock, faults: FaultBox) -> None:
        self._config = config
        self._clock = clock
        self._faults = faults
        self._pending: dict[str, tuple[str, LoginState]] = {}
        self._numbers = 0
        self._outages: list[tuple[str, str | None, float]] = []
        self._kept: list[tuple[HubConnection, Event, bytes]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: list[HubConnection] = []
        self.frames: deque[SentFrame] = deque(maxlen=config.frame_lines)
        self.on_sent: Callable[[SentFrame], None] | None = None
        self.on_subscribe: Callable[[HubConnection, Topic], None] | None = None
        faults.on_hub = self._hub_fault

    # --- connecting -------------------------------------------------------------------------------

    def negotiate(self, hub: str, login: LoginState) -> dict[str, object]:
        """Give out a connection id for one connection of this login to this hub."""
        self._numbers += 1
        digest = hashlib.sha256(f"{self._config.seed}:{hub}:{self._numbers}".encode()).digest()
        connection_id = base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
        self._pending[connection_id] = (hub, login)
        return {
            "negotiateVersion": 0,
            "connectionId": connection_id,
            "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
        }

    def claim(self, hub: str, login: LoginState, connection_id: str | None) -> bool:
        """Whether the id was given out for this and has not been used; None (negotiation skipped) is accepted."""
        return connection_id is None or self._pending.pop(connection_id, None) == (hub, login)

    def is_down(self, hub: str, login: str | None) -> bool:
        """Whether the hub is away for this login because of a `Down` fault."""
        if not self._outages:
            return False
        now = self._clock.wire()
        self._outages = [o for o in self._outages if o[2] > now]
        return any(h in ("*", hub) and who in (None, login) for h, who, _ in self._outages)

    async def serve(self, request: web.BaseRequest, hub: str, login: LoginState) -> web.StreamResponse:
        """Run one connection from upgrade to close."""
        self._numbers += 1
        connection = HubConnection(self._numbers, hub, login, self._sent)
        connection.request = request
        connection.ws.headers["Date"] = self._clock.http_date()
        await connection.ws.prepare(request)
        self.connections.append(connection)
        try:
            if await self._handshake(connection):
                connection.ready = True
                self._afterwards(connection)
                await self._listen(connection)
        finally:
            self.connections.remove(connection)
        return connection.ws

    async def _handshake(self, connection: HubConnection) -> bool:
        try:
            message = await connection.ws.receive(timeout=15.0)
        except TimeoutError:
            await connection.close(1000)
            return False
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return False
        raw = message.data.encode() if isinstance(message.data, str) else message.data
        first, _, rest = raw.partition(SEPARATOR)
        for fault in self._faults.hub_faults(connection.hub, connection.login.username):
            if isinstance(fault.effect, fx.NoHandshake):
                self._faults.hit(fault)
                while message.type not in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                    message = await connection.ws.receive()
                return False
            if isinstance(fault.effect, fx.HandshakeError):
                self._faults.hit(fault)
                return await self._refuse(connection, fault.effect.message)
        try:
            hello = orjson.loads(first)
        except orjson.JSONDecodeError:
            return await self._refuse(connection, "Handshake was not JSON.")
        if not isinstance(hello, dict) or hello.get("protocol") != "json" or hello.get("version") != 1:
            return await self._refuse(connection, "The protocol is not supported.")
        connection.send(b"{}" + SEPARATOR)
        if rest:
            self._received(connection, rest)
        return True

    async def _refuse(self, connection: HubConnection, message: str) -> bool:
        connection.send(orjson.dumps({"error": message}) + SEPARATOR)
        await connection.close(1000)
        return False

    async def _listen(self, connection: HubConnection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await connection.ws.receive()
            connection.heard = loop.time()
            if message.type is WSMsgType.TEXT:
                self._received(connection, message.data.encode())
            elif message.type is WSMsgType.BINARY:
                self._received(connection, message.data)
            elif message.type is WSMsgType.PING:
                if not self._mute(connection):
                    await connection.ws.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return

    def _mute(self, connection: HubConnection) -> bool:
        if not self._faults.any("hub"):
            return False
        for fault in self._faults.hub_faults(connection.hub, connection.login.username):
            if isinstance(fault.effect, fx.NoPong):
                self._faults.hit(fault)
                return True
        return False

    def _received(self, connection: HubConnection, data: bytes) -> None:
        for record in data.split(SEPARATOR):
            if not record:
                continue
            try:
                message = orjson.loads(record)
            except orjson.JSONDecodeError:
                connection.send(orjson.dumps({"type": 7, "error": "Invalid message."}) + SEPARATOR)
                self._spawn(connection.close(1000))
                return
            if isinstance(message, dict) and message.get("type") == 1:
                self._invoked(connection, message)
            elif isinstance(message, dict) and message.get("type") == 7:
                self._spawn(connection.close(1000))

    def _invoked(self, connection: HubConnection, message: dict[str, Any]) -> None:
        """Subscriptions; anything else (the SDK's Heartbeat) is ignored. Refusals are invisible (gateway fact)."""
        method, arguments = str(message.get("target")), message.get("arguments") or []
        verb = (
            "Unsubscribe" if method.startswith("Unsubscribe") else "Subscribe" if method.startswith("Subscribe") else ""
        )
        kind = METHODS[connection.hub].get(method.removeprefix(verb)) if verb else None
        if kind is not None:
            topic: Topic = (kind, arguments[0] if arguments and kind != "account" else None)
            allowed = connection.hub == "market" or kind == "account" or topic[1] in connection.login.account_ids
            if verb == "Unsubscribe":
                connection.topics.discard(topic)
            elif allowed:
                connection.topics.add(topic)
                self._send_kept(connection, topic)
                if self.on_subscribe is not None:
                    self.on_subscribe(connection, topic)
        if message.get("invocationId") is not None:
            connection.send(
                orjson.dumps({"type": 3, "invocationId": message["invocationId"], "result": None}) + SEPARATOR
            )

    # --- publishing -------------------------------------------------------------------------------

    def wanted(self, topic: Topic) -> bool:
        """Whether anybody has subscribed to a topic of the market hub."""
        return any(topic in connection.topics for connection in self.connections)

    def publish(self, event: Event, only: HubConnection | None = None) -> None:
        """Send an event to everyone who subscribed to its topic (or to one connection that did)."""
        data: bytes | None = None
        for connection in self.connections if only is None else (only,):
            if event.topic not in connection.topics or not connection.ready:
                continue
            if event.kind == "account" and event.account not in connection.login.account_ids:
                continue
            if self._faults.any("event"):
                fault = self._faults.event(
                    event.kind,
                    event.account,
                    event.symbol,
                    hub=connection.hub,
                    login=connection.login.username,
                    closed=event.closed,
                )
                if fault is not None:
                    self._faulty(connection, event, fault)
                    continue
            if data is None:
                data = frame(TARGETS[event.kind], self._arguments(event, self._config.wrap_events))
            connection.send(data, event.kind, event.account or event.topic[1])

    @staticmethod
    def _arguments(event: Event, wrapped: bool) -> list[Any]:
        if wrapped and event.account is not None:
            return [{"action": 1, "data": event.arguments[0]}]
        return event.arguments

    def _faulty(self, connection: HubConnection, event: Event, fault: Fault) -> None:
        """Send an event as an event fault wants it."""
        effect, target = fault.effect, TARGETS[event.kind]
        arguments = self._arguments(event, self._config.wrap_events)
        key = event.account or event.topic[1]
        data = frame(target, arguments)
        if isinstance(effect, fx.Drop):
            return
        if isinstance(effect, fx.Late):
            loop = asyncio.get_running_loop()
            loop.call_later(effect.seconds, self._send_late, connection, event, data)
            return
        if isinstance(effect, fx.UntilReconnect):
            self._kept.append((connection, event, data))
            return
        if isinstance(effect, fx.Reorder):
            connection.hold(data, event.kind, key)
            return
        if isinstance(effect, fx.Shape):
            data = frame(target, self._arguments(event, effect.wrapped))
        elif isinstance(effect, fx.Change):
            changed = [*event.arguments[:-1], {**event.arguments[-1], **effect.fields}]
            wrap = self._config.wrap_events and event.account is not None
            data = frame(target, [{"action": 1, "data": changed[0]}] if wrap else changed)
        elif isinstance(effect, fx.Retarget):
            data = frame(effect.target, arguments)
        elif isinstance(effect, fx.ExtraKey):
            data = frame(target, arguments, **{effect.key: 1})
        elif isinstance(effect, fx.BadJson):
            data = data[: len(data) // 2] + SEPARATOR
        elif isinstance(effect, fx.Oversize):
            data = frame(target, [{**event.arguments[-1], "padding": "x" * effect.size}])
        times = effect.times if isinstance(effect, fx.Duplicate) else 0
        for _ in range(1 + times):
            connection.send(data, event.kind, key)

    def _send_late(self, connection: HubConnection, event: Event, data: bytes) -> None:
        """To the connection it was meant for or, when that is gone, to the login's present ones."""
        targets = [connection] if connection in self.connections else self.connections
        for target in list(targets):
            if target.login is connection.login and event.topic in target.topics:
                target.send(data, event.kind, event.account or event.topic[1])

    def _send_kept(self, connection: HubConnection, topic: Topic) -> None:
        for kept in [k for k in self._kept if k[1].topic == topic]:
            old, event, data = kept
            if old is not connection and old.login is connection.login:
                self._kept.remove(kept)
                connection.send(data, event.kind, event.account or event.topic[1])

    def send_raw(self, data: bytes, hub: str = "*", login: str | None = None) -> int:
        """Send bytes as they are to the live connections; returns to how many."""
        hits = [c for c in self.connections if c.ready and hub in ("*", c.hub) and login in (None, c.login.username)]
        for connection in hits:
            connection.send(data, "raw")
        return len(hits)

    def _sent(self, sent: SentFrame) -> None:
        self.frames.append(sent)
        if self.on_sent is not None:
            self.on_sent(sent)

    # --- going wrong ------------------------------------------------------------------------------

    def _hub_fault(self, fault: Fault) -> None:
        """Apply a new hub fault to the live connections; without a count it concerns only those."""
        effect = fault.effect
        if not isinstance(effect, fx.Close | fx.CloseMessage | fx.Down):
            return
        if isinstance(effect, fx.Down):
            self._outages.append((fault.hub, fault.login, self._clock.wire() + effect.seconds))
        for connection in list(self.connections):
            matches = fault.hub in ("*", connection.hub) and fault.login in (None, connection.login.username)
            if matches and not fault.spent:
                self._faults.hit(fault)
                self._end(connection, effect)
        if fault.count is None or isinstance(effect, fx.Down):
            fault.count = fault.hits

    def _afterwards(self, connection: HubConnection) -> None:
        """Faults that close new connections."""
        for fault in self._faults.hub_faults(connection.hub, connection.login.username):
            effect = fault.effect
            if isinstance(effect, fx.Close | fx.CloseMessage):
                self._faults.hit(fault)
                asyncio.get_running_loop().call_later(effect.after, self._end, connection, effect)
                return

    def _end(self, connection: HubConnection, effect: fx.Effect) -> None:
        if connection not in self.connections:
            return
        if isinstance(effect, fx.Close):
            self._spawn(connection.close(effect.code))
        elif isinstance(effect, fx.CloseMessage):
            message: dict[str, object] = {"type": 7}
            if effect.error is not None:
                message["error"] = effect.error
            if effect.allow_reconnect is not None:
                message["allowReconnect"] = effect.allow_reconnect
            connection.send(orjson.dumps(message) + SEPARATOR)
            self._spawn(connection.close(1000))
        else:
            connection.cut()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def keep_alive(self) -> None:
        """Ping everyone and drop clients that have gone silent, until cancelled."""
        loop = asyncio.get_running_loop()
        next_ping = loop.time() + self._config.ping_interval
        while True:
            await asyncio.sleep(min(1.0, self._config.ping_interval))
            now = loop.time()
            if now >= next_ping:
                next_ping = now + self._config.ping_interval
                for connection in list(self.connections):
                    if connection.ready and not self._mute(connection):
                        connection.send(PING)
            for connection in list(self.connections):
                if connection.ready and now - connection.heard > self._config.client_timeout:
                    self._spawn(connection.close(1000))

    async def close_all(self) -> None:
        """Cut every connection, at the end."""
        for connection in list(self.connections):
            connection.cut()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
