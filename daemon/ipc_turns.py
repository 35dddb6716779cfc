"""Whose line is judged next, and how much of the daemon's time that may take.

One line of each connection after the other, so that nobody waits behind a flood. A turn ends after `seconds`; then a
rest, so that judging takes no more than `share` of the daemon's time. Administrators, and newcomers with their first
lines, come first and need not wait for the rest to end: an admin's handshake must not take longer than the time a
newcomer has in the lobby (`daemon.ipc_admission`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from daemon.ipc_sessions import Session

_LONGEST_REST = 0.25


class Turns:
    """`judge` takes one line of a session and does what it asks; it raises nothing."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        judge: Callable[[Session], None],
        *,
        seconds: float,
        share: float,
        calls_in_flight: int,
    ) -> None:
        self._loop = loop
        self._judge = judge
        self._seconds = seconds
        self._rests_per_second = 1.0 / share - 1.0
        self._calls_in_flight = calls_in_flight
        self._first: deque[Session] = deque()
        self._others: deque[Session] = deque()
        self._rest_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._running = False

    def lines_came(self, session: Session) -> None:
        """To be called once when a session that had nothing to judge has something."""
        self._queue(session)
        if self._running:
            return
        if self._timer is None:
            self._turn()
        elif session.first_of_all:
            self._timer.cancel()
            self._turn(first_only=True)

    def stop(self) -> None:
        """Judges nothing more."""
        self._first.clear()
        self._others.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _queue(self, session: Session) -> None:
        (self._first if session.first_of_all else self._others).append(session)

    def _turn(self, first_only: bool = False) -> None:
        # Real time on purpose: it is the processor's that is being shared out.
        self._timer = None
        self._running = True
        began = time.perf_counter()
        try:
            while self._first or (self._others and not first_only):
                self._one((self._first or self._others).popleft())
                if time.perf_counter() - began >= self._seconds:
                    break
        finally:
            self._running = False
        now = time.perf_counter()
        # The rest is kept even if nothing waits now: what comes next may be as dear as what was just judged.
        if first_only or now - began >= self._seconds:
            rest = max(self._rest_until, now) + (now - began) * self._rests_per_second
            self._rest_until = min(rest, now + _LONGEST_REST)
        if self._first or self._others or self._rest_until > now:
            self._timer = self._loop.call_later(max(0.0, self._rest_until - now), self._turn)

    def _one(self, session: Session) -> None:
        if session.closed:
            return
        if session.calls_in_flight >= self._calls_in_flight:
            session.parked = True  # until one of its calls ends
            return
        session.judged += 1
        self._judge(session)
        if session.closed:
            return
        if session.connection.backlog:
            self._queue(session)
        else:
            session.lines_judged()
            session.settled()
