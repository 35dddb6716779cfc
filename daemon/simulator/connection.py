"""One SignalR connection of the gateway: its subscriptions and its ordered, stamped stream of messages."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns

from aiohttp import WSMsgType, web

from daemon.simulator.auth import LoginState
from daemon.simulator.records import SentFrame
from daemon.simulator.tcp import reset

SEPARATOR = b"\x1e"
QUEUE_LIMIT = 20_000
Topic = tuple[str, object]
"""(kind, account id or contract id); ("account", None) for SubscribeAccounts, which names no account."""


class HubConnection:
    """One live WebSocket. Messages are written in the order of `send`, at once when the socket is free."""

    def __init__(self, number: int, hub: str, login: LoginState, record: Callable[[SentFrame], None]) -> None:
        self.number = number
        self.hub = hub
        self.login = login
        self.topics: set[Topic] = set()
        self.ready = False
        self.heard = asyncio.get_running_loop().time()
        self.ws = web.WebSocketResponse(autoping=False, compress=False, timeout=1.0)
        self.request: web.BaseRequest | None = None
        self._queue: deque[tuple[bytes, str, object]] = deque()
        self._writing = False
        self._writer: asyncio.Task[None] | None = None
        self._record = record
        self._held: list[tuple[bytes, str, object]] = []

    def send(self, data: bytes, kind: str = "control", key: object = None) -> None:
        """Write a message, or queue it behind those being written; a client that reads too slowly is cut off."""
        if len(self._queue) >= QUEUE_LIMIT:
            self.cut()
            return
        self._queue.append((data, kind, key))
        if self._held:
            self._queue.extend(self._held)
            self._held.clear()
        if not self._writing:
            self._writing = True
            # Eager: as long as the socket takes it, the frame is out before this returns.
            self._writer = asyncio.Task(self._drain(), loop=asyncio.get_running_loop(), eager_start=True)

    def hold(self, data: bytes, kind: str, key: object) -> None:
        """Keep a message back until the next one that is not kept back has been written; several keep their order."""
        if len(self._held) >= QUEUE_LIMIT:
            self.cut()
            return
        self._held.append((data, kind, key))

    async def _drain(self) -> None:
        try:
            while self._queue:
                data, kind, key = self._queue.popleft()
                sent = perf_counter_ns()
                await self.ws.send_frame(data, WSMsgType.TEXT)
                if kind != "control":
                    self._record(SentFrame(sent, self.number, self.hub, self.login.username, kind, key, len(data)))
        except (ConnectionError, RuntimeError):
            self._queue.clear()
        finally:
            self._writing = False

    def cut(self) -> None:
        """End the TCP connection without any goodbye (the client sees close code 1006)."""
        if self.request is not None:
            reset(self.request)

    async def close(self, code: int) -> None:
        """Close with a code; 1006 cannot be sent and cuts the connection."""
        if code == 1006:
            self.cut()
        elif not self.ws.closed:
            await self.ws.close(code=code)
