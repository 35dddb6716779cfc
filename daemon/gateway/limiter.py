"""Requests a minute: mutations pass reads, reads pass polls, and a 429 pauses the whole login.

The gateway allows 200 requests in 60 seconds. `RequestBudget` is the arithmetic (no clock, no waiting);
`PriorityLimiter` waits with it. Each priority has its own ceiling within the one window, so that polls can never use
up what a flatten needs.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from enum import IntEnum

_MICROS = 1_000_000
_LEAST_PAUSE = 0.25
"""Seconds of pause even when the gateway says Retry-After: 0."""


class Priority(IntEnum):
    """Who goes first."""

    MUTATION = 0
    """Closes, cancels, logins."""
    READ = 1
    """Reads that verify an enforcement."""
    RECONCILE = 2
    """Reads after a gap: a hub that comes and goes must not use up what a flatten needs."""
    POLL = 3
    """What is read on a timer."""


class RequestBudget:
    """A sliding window over sent requests, with a ceiling for each priority and a pause after a 429.

    Args:
        ceilings: requests that may have been sent in the window before one of that priority waits.
        window: its length in microseconds.
        backoff: seconds of pause after the first, second, … 429 in a row without Retry-After.
        retry_after_max: a longer Retry-After is cut to this many seconds.
    """

    def __init__(
        self,
        ceilings: Mapping[Priority, int],
        window: int = 60 * _MICROS,
        backoff: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0, 30.0),
        retry_after_max: float = 120.0,
    ) -> None:
        self._ceilings = [ceilings[priority] for priority in Priority]
        if self._ceilings != sorted(self._ceilings, reverse=True) or self._ceilings[-1] < 1:
            raise ValueError("ceilings must not rise with lower priority, and be at least 1")
        self._window = window
        self._backoff = backoff
        self._retry_after_max = retry_after_max
        self._sent: deque[int] = deque()
        self._paused_until = 0
        self._strikes = 0

    def delay(self, priority: Priority, now: int) -> int:
        """Microseconds until a request of that priority may go; 0: now."""
        horizon = now - self._window
        sent = self._sent
        while sent and sent[0] <= horizon:
            sent.popleft()
        wait = max(0, self._paused_until - now)
        excess = len(sent) - self._ceilings[priority]
        if excess >= 0:
            wait = max(wait, sent[excess] + self._window - now)
        return wait

    def take(self, now: int) -> None:
        """A request goes out."""
        self._sent.append(now)

    def refused(self, now: int, retry_after: float | None) -> float:
        """The gateway said 429: pause everything. Returns the pause in seconds."""
        if retry_after is None or not 0 <= retry_after < float("inf"):
            pause = self._backoff[min(self._strikes, len(self._backoff) - 1)]
        else:
            pause = min(max(retry_after, _LEAST_PAUSE), self._retry_after_max)
        self._strikes += 1
        self._paused_until = max(self._paused_until, now + round(pause * _MICROS))
        return pause

    def answered(self) -> None:
        """The gateway answered something other than 429."""
        self._strikes = 0

    def used(self, now: int) -> int:
        """Requests sent within the window."""
        return sum(1 for at in self._sent if at > now - self._window)


class NoTurnError(Exception):
    """The request would have had to wait longer than it may. `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"the request limit leaves no room for {retry_after:.1f} s")
        self.retry_after = retry_after


class PriorityLimiter:
    """Gives turns in order of priority, then of asking. One event loop only.

    Args:
        budget: the arithmetic.
        monotonic: microseconds, for example `Clock.monotonic`.
    """

    def __init__(self, budget: RequestBudget, monotonic: Callable[[], int]) -> None:
        self._budget = budget
        self._monotonic = monotonic
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, priority: Priority, patience: float) -> None:
        """Wait for a turn, at most `patience` seconds.

        Raises:
            NoTurnError: at once when it is clear that the wait would be longer, else when patience is over.
        """
        now = self._monotonic()
        wait = self._budget.delay(priority, now)
        if wait == 0 and not (self._waiting and self._waiting[0][0] <= priority):
            self._budget.take(now)
            return
        if wait > patience * _MICROS:
            raise NoTurnError(wait / _MICROS)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), future))
        self._serve()
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            raise NoTurnError(max(0.1, self._budget.delay(priority, self._monotonic()) / _MICROS)) from None
        finally:
            if not future.done():
                future.cancel()

    def refused(self, retry_after: float | None) -> float:
        """Report a 429; returns the pause in seconds."""
        pause = self._budget.refused(self._monotonic(), retry_after)
        self._serve()
        return pause

    def answered(self) -> None:
        """Report any other answer."""
        self._budget.answered()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            priority, _, future = self._waiting[0]
            if future.done():
                heapq.heappop(self._waiting)
                continue
            now = self._monotonic()
            wait = self._budget.delay(priority, now)
            if wait > 0:
                # A hair later than computed, so that rounding does not wake us just before the time.
                self._timer = asyncio.get_running_loop().call_later(wait / _MICROS + 0.001, self._serve)
                return
            heapq.heappop(self._waiting)
            self._budget.take(now)
            future.set_result(None)
