"""Connections that are closing: their last line may arrive, for a moment, and for so many of them at most."""

from __future__ import annotations

import asyncio


class Lingering:
    """For the event loop's thread alone. `seconds` a connection lingers at most, `most` of them at once."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def add(self, transport: asyncio.Transport, *, flush_first: bool) -> None:
        """Close a connection, at once when what is unsent has to go out first; cut it when too many linger already."""
        if len(self._timers) >= self._most:
            transport.abort()
            return
        if flush_first:
            transport.close()
        self._timers[transport] = asyncio.get_running_loop().call_later(self._seconds, self._end, transport)

    def gone(self, transport: asyncio.Transport) -> None:
        """The other end has closed."""
        timer = self._timers.pop(transport, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Close all of them now."""
        for transport, timer in list(self._timers.items()):
            timer.cancel()
            transport.close()
        self._timers.clear()

    def _end(self, transport: asyncio.Transport) -> None:
        self._timers.pop(transport, None)
        if transport.is_closing() or transport.get_write_buffer_size() > 0:
            transport.abort()
        else:
            transport.close()
