"""What anybody may bring about as often as he likes is told of once in a while: the first time, and then the latest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

QUIET_SECONDS: Final = 60.0


@dataclass(slots=True)
class _Told:
    timer: asyncio.TimerHandle
    count: int = 0
    latest: Callable[[str], None] | None = None


class Repeats:
    """For the event loop's thread alone. `seconds`: least time between two tellings under one key."""

    def __init__(self, seconds: float = QUIET_SECONDS) -> None:
        self._seconds = seconds
        self._told: dict[Hashable, _Told] = {}

    def tell(self, key: Hashable, tell: Callable[[str], None]) -> None:
        """Calls `tell` with "" at once, or of several within the time only the latest, with how many there were."""
        told = self._told.get(key)
        if told is None:
            self._told[key] = _Told(self._later(key))
            tell("")
            return
        told.count += 1
        told.latest = tell

    def close(self) -> None:
        """Tells what waits, and waits for nothing more."""
        told, self._told = self._told, {}
        for one in told.values():
            one.timer.cancel()
            self._tell(one)

    def _later(self, key: Hashable) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(self._seconds, self._due, key)

    def _due(self, key: Hashable) -> None:
        told = self._told.pop(key)
        if told.latest is not None:
            self._told[key] = _Told(self._later(key))
            self._tell(told)

    def _tell(self, told: _Told) -> None:
        if told.latest is not None:
            told.latest("" if told.count == 1 else f" ({told.count} times of late; this is the latest)")
