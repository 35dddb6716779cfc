"""Requests that begin together are built and written one after the other, in the order in which they were asked for.

Building one takes httpx some 0.4 ms, in steps that take turns on the event loop: of three closes begun at once the
first would be on the wire when nearly all of them are built.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx

PATIENCE_S: Final = 0.005
"""How long a request waits at most for the one before it: one that cannot be written must hold nothing back."""

_WRITTEN: Final = ("send_request_body.complete", "connect_tcp.started", "connect_unix_socket.started")
"""Steps of httpcore's trace, at whose end the processor is free for the next request."""


class Turn:
    """One request's turn; `end` may be called any number of times."""

    __slots__ = ("_over",)

    def __init__(self, over: asyncio.Future[None]) -> None:
        self._over = over

    def end(self) -> None:
        """The request is written, or will not be."""
        if not self._over.done():
            self._over.set_result(None)

    def end_when_written(self, request: httpx.Request) -> None:
        """End when the request's last byte has been written, or when a connection has to be opened first."""
        request.extensions["trace"] = self._step

    async def _step(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(_WRITTEN):
            self.end()


class OneByOne:
    """Gives turns."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: asyncio.Future[None] | None = None

    async def turn(self) -> Turn:
        """Wait until the request before is written, `PATIENCE_S` at most. Each turn must be ended."""
        before = self._last
        over = self._last = asyncio.get_running_loop().create_future()
        if before is not None and not before.done():
            try:
                await asyncio.wait((before,), timeout=PATIENCE_S)
            except BaseException:
                over.set_result(None)
                raise
        return Turn(over)
