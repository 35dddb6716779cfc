"""One connection of a client to the daemon: bytes, answers to those who wait for them, and how it ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from shared.protocol import Json
from shared.rpc_connection import Answer, ClientConnection, Event, Notice, ProtocolFault, SeqGap


class ClientError(Exception):
    """What went wrong between this program and the daemon, as one plain sentence."""


class UnreachableError(ClientError):
    """There is no connection."""


class CallTimeoutError(ClientError):
    """The answer did not come in time."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A call that waits for its answer."""

    future: asyncio.Future[Json]
    on_result: Callable[[Json], None] | None


class Wire(asyncio.Protocol):
    """The asyncio end of one connection. `on_event` hears events and gaps in order, `on_lost` the end."""

    def __init__(self, on_event: Callable[[Wire, Event | SeqGap], None], on_lost: Callable[[Wire], None]) -> None:
        self._on_event = on_event
        self._on_lost = on_lost
        self.connection = ClientConnection()
        self.calls: dict[int, Pending] = {}
        self.transport: asyncio.Transport | None = None
        self.reason = "The connection to the daemon was lost."
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for event in self.connection.receive(data):
            if isinstance(event, Answer):
                self._answer(event)
            elif isinstance(event, Event | SeqGap):
                self._on_event(self, event)
            elif isinstance(event, Notice):
                self.reason = event.error.message
            elif isinstance(event, ProtocolFault):
                self.cut(f"What listens on the daemon's port does not speak its protocol: {event.text}")
                return

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        for call in self.calls.values():
            if not call.future.done():
                call.future.set_exception(UnreachableError(self.reason))
        self.calls.clear()
        if not self.lost.done():
            self.lost.set_result(None)
        self._on_lost(self)

    def cut(self, reason: str) -> None:
        self.reason = reason
        if self.transport is not None:
            self.transport.abort()

    def send(
        self, request_id: int, line: bytes, on_result: Callable[[Json], None] | None = None
    ) -> asyncio.Future[Json]:
        """`on_result` is called as soon as the result is read, before what comes after it on the connection."""
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        if self.transport is None or self.transport.is_closing():
            future.set_exception(UnreachableError(self.reason))
        else:
            self.calls[request_id] = Pending(future, on_result)
            self.transport.write(line)
        return future

    def _answer(self, answer: Answer) -> None:
        call = self.calls.pop(answer.id, None)
        if call is None or call.future.done():
            return
        if answer.error is not None:
            call.future.set_exception(answer.error)
            return
        if call.on_result is not None:
            call.on_result(answer.result)
        call.future.set_result(answer.result)
