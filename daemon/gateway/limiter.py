"""Requests a minute: closes pass reads for closes, those pass cancels, cancels pass polls; a 429 pauses the login.

The gateway allows 200 requests in 60 seconds. `RequestBudget` is the arithmetic (no clock, no waiting);
`PriorityLimiter` waits with it. Each priority has its own ceiling within the one window, so that neither polls nor a
flood of cancels can use up what closes need.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Final

_MICROS = 1_000_000
_LEAST_PAUSE = 0.25
"""Seconds of pause even when the gateway says Retry-After: 0."""
PROBE_EVERY: Final = 5.0
"""Seconds between the requests that closes may try during a pause: what a 429 counts, and until when, is undocumented,
and a position that stays open for a minute can cost more than one refused request."""


class Priority(IntEnum):
    """Who goes first."""

    CLOSE = 0
    """Closes and reductions of positions, and the logins they need."""
    READ = 1
    """Reads that a close waits for."""
    CANCEL = 2
    """Cancels and stop moves: an order that fills meanwhile makes a position, which is closed before they go on."""
    RECONCILE = 3
    """Reads that a cancel waits for, and those after a gap: a hub that comes and goes must not use up a flatten's."""
    POLL = 4
    """What is read on a timer."""


_URGENT = frozenset({Priority.CLOSE, Priority.READ})


class RequestBudget:
    """A sliding window over sent requests, with a ceiling for each priority and a pause after a 429.

    Args:
        ceilings: requests of all kinds that may have been sent in the window before one of that priority waits.
        window: its length in microseconds.
        backoff: seconds of pause after the first, second, … 429 in a row without Retry-After.
        retry_after_max: a longer Retry-After is cut to this many seconds.
        most: requests of that priority alone in the window: what has a high ceiling must not starve those below it.
        share: requests for one account in the window after which `share_ceiling` is the highest ceiling for it: an
            account that is traded wildly while it is locked must not use up what the others of its login need.
        share_ceiling: see `share`.
    """

    def __init__(
        self,
        ceilings: Mapping[Priority, int],
        window: int = 60 * _MICROS,
        backoff: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0, 30.0),
        retry_after_max: float = 60.0,
        most: Mapping[Priority, int] | None = None,
        *,
        share: int = 10**9,
        share_ceiling: int = 1,
    ) -> None:
        self._ceilings = [ceilings[priority] for priority in Priority]
        if self._ceilings != sorted(self._ceilings, reverse=True) or self._ceilings[-1] < 1:
            raise ValueError("ceilings must not rise with lower priority, and be at least 1")
        self._most = dict(most or {})
        if any(least < 1 for least in self._most.values()):
            raise ValueError("every priority needs at least 1 request of its own")
        self._window = window
        self._backoff = backoff
        self._retry_after_max = retry_after_max
        self._sent: deque[int] = deque()
        self._own: dict[Priority, deque[int]] = {priority: deque() for priority in self._most}
        self._share = share
        self._share_ceiling = share_ceiling
        self._of_account: dict[int, deque[int]] = {}
        self._paused_until = 0
        self._urgent_from: int | None = None
        """When what is urgent may try a request although there is a pause; None: it need not heed the pause."""
        self._strikes = 0

    def delay(self, priority: Priority, now: int, ahead: int = 0, account: int | None = None) -> int:
        """Microseconds until a request of that priority, for that account, may go after `ahead` others; 0: now."""
        paused = self._paused_until
        if priority in _URGENT:
            paused = now if self._urgent_from is None else min(paused, self._urgent_from)
        wait = max(0, paused - now, self._until_room(self._sent, self._ceilings[priority], now, ahead))
        own = self._own.get(priority)
        if own is not None:
            wait = max(wait, self._until_room(own, self._most[priority], now, ahead))
        theirs = None if account is None else self._of_account.get(account)
        if theirs is not None and self._ceilings[priority] > self._share_ceiling:
            # Whichever comes first: room below the lower ceiling, or room in the account's own share.
            lower = self._until_room(self._sent, self._share_ceiling, now, ahead)
            wait = max(wait, min(lower, self._until_room(theirs, self._share, now, 0)))
        return wait

    def _until_room(self, sent: deque[int], ceiling: int, now: int, ahead: int) -> int:
        horizon = now - self._window
        while sent and sent[0] <= horizon:
            sent.popleft()
        excess = len(sent) + ahead - ceiling
        if excess < 0:
            return 0
        return sent[excess] + self._window - now if excess < len(sent) else self._window

    def take(self, now: int, priority: Priority, account: int | None = None) -> None:
        """A request goes out."""
        self._sent.append(now)
        if account is not None:
            self._of_account.setdefault(account, deque(maxlen=self._share)).append(now)
        if priority in self._own:
            self._own[priority].append(now)
        if priority in _URGENT and now < self._paused_until and self._urgent_from is not None:
            # The others wait for its answer.
            self._urgent_from = now + round(PROBE_EVERY * _MICROS)

    def refused(self, now: int, retry_after: float | None, priority: Priority) -> float:
        """The gateway said 429: pause everything. Returns the pause in seconds.

        What is urgent may try one request every few seconds all the same, the first at once if it was not itself told.
        """
        if retry_after is None or not 0 <= retry_after < float("inf"):
            pause = self._backoff[min(self._strikes, len(self._backoff) - 1)]
        else:
            pause = min(max(retry_after, _LEAST_PAUSE), self._retry_after_max)
        self._strikes += 1
        self._paused_until = max(self._paused_until, now + round(pause * _MICROS))
        if priority in _URGENT:
            self._urgent_from = now + round(PROBE_EVERY * _MICROS)
        elif self._urgent_from is None:
            self._urgent_from = now
        return pause

    def answered(self, priority: Priority) -> None:
        """The gateway answered something other than 429: what is urgent need not wait any more."""
        self._strikes = 0
        if priority in _URGENT:
            self._urgent_from = None

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
        self._waiting: dict[Priority, list[tuple[asyncio.Future[None], int | None]]] = {p: [] for p in Priority}
        self._timer: asyncio.TimerHandle | None = None

    def turn_in(self, priority: Priority, account: int | None = None) -> float:
        """Seconds until a request of that priority, asked for now, would get its turn; 0: at once."""
        ahead = sum(
            not future.done()
            for above in itertools.islice(Priority, priority + 1)
            for future, _ in self._waiting[above]
        )
        return self._budget.delay(priority, self._monotonic(), ahead, account) / _MICROS

    async def acquire(self, priority: Priority, patience: float, account: int | None = None) -> None:
        """Wait for a turn, at most `patience` seconds. `account`: whom the request is for, if for one.

        Raises:
            NoTurnError: at once when it is clear that the wait would be longer, else when patience is over.
        """
        if self._timer is not None:
            self._serve()  # those who wait come first
        now = self._monotonic()
        wait = self._budget.delay(priority, now, 0, account)
        if wait == 0:
            self._budget.take(now, priority, account)
            return
        if wait > patience * _MICROS:
            raise NoTurnError(wait / _MICROS)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[priority].append((future, account))
        self._serve()
        try:
            async with asyncio.timeout(patience):
                await future
        except TimeoutError:
            raise NoTurnError(max(0.1, self._budget.delay(priority, self._monotonic(), 0, account) / _MICROS)) from None
        finally:
            if not future.done():
                future.cancel()

    def refused(self, retry_after: float | None, priority: Priority) -> float:
        """Report a 429; returns the pause in seconds."""
        pause = self._budget.refused(self._monotonic(), retry_after, priority)
        self._serve()
        return pause

    def answered(self, priority: Priority) -> None:
        """Report any other answer."""
        self._budget.answered(priority)
        if self._timer is not None:
            self._serve()

    def _serve(self) -> None:
        """Give the turns there are: one that has to wait holds back none of another priority that need not."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._monotonic()
        waits = []
        for priority, waiting in self._waiting.items():
            left = []
            for future, account in waiting:
                if future.done():
                    continue
                wait = self._budget.delay(priority, now, 0, account)
                if wait > 0:
                    waits.append(wait)
                    left.append((future, account))
                else:
                    self._budget.take(now, priority, account)
                    future.set_result(None)
            waiting[:] = left
        if waits:
            # A hair later than computed, so that rounding does not wake us just before the time.
            self._timer = asyncio.get_running_loop().call_later(min(waits) / _MICROS + 0.001, self._serve)
