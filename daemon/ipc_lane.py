"""Whose call runs next, and how much of the event loop's time all of them may take.

The same thread that answers calls judges events and closes positions, so what anybody on the machine may ask is run one
call at a time over all connections, and after each one, or each slice of a long one, comes a rest: however dear the
calls are and however many come, they take no more than their share, and an event waits for one slice at most.

The connection that has used the least time comes first (fair queuing; being idle saves up a few calls, no more): a tray
that asks little and now and then does not queue behind neighbours who ask much and without a pause. Requests signed by
an administrator do not come here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon.ipc_sessions import CallsAtOnce, Pause, Session
from daemon.ipc_share import Share
from shared.protocol import ErrorCode, RpcError
from shared.rpc_connection import Call

type Run = Callable[[Session, Call, Pause], Awaitable[None]]
"""Runs a call and sends its answer; raises nothing. `Pause` is for handlers that take long."""


_SOON = 0.001
_ENTRY = 0.005
"""Seconds of use that a new connection begins with: connecting anew for each call wins nothing."""
_LEAST = 0.0005
"""Seconds of use that a call counts as at least."""
_SAVED = 0.02
"""Seconds of use that a connection can be behind the others at most, however long it was idle."""


@dataclass(slots=True, eq=False)
class _Turn:
    """One call's time in the lane."""

    session: Session
    began: float
    resting: bool = False
    aside: asyncio.TimerHandle | None = None


class Lane:
    """For the event loop's thread alone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        run: Run,
        limits: CallsAtOnce,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._loop = loop
        self._run = run
        self._limits = limits
        self._clock = clock
        self._share = Share(limits.share, credit=limits.credit_seconds, longest=limits.longest_rest, clock=clock)
        self._waiting: dict[Session, None] = {}
        self._now_at = 0.0
        self._holder: _Turn | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self.tasks: set[asyncio.Task[None]] = set()

    def put(self, session: Session, call: Call) -> None:
        """Takes a call in; the session's `calls_in_flight` is the caller's to count up and down."""
        if session.used is None:
            session.used = self._now_at + _ENTRY
        elif not session.calls_waiting and not session.calls_running:
            session.used = max(session.used, self._now_at - _SAVED)
        session.calls_waiting.append(call)
        self._waiting[session] = None
        self.look_again()

    def look_again(self) -> None:
        """Something may run that could not before: to be called when a client takes its answers again."""
        if self._holder is None and self._timer is None and not self._stopped:
            self._next()

    def stop(self) -> None:
        """Begins no more calls; those that run are in `tasks`."""
        self._stopped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _next(self) -> None:
        self._timer = None
        session = self._whose_turn()
        if session is None:
            return
        wait = self._share.wait()
        if wait > 0.0:
            self._timer = self._loop.call_later(wait, self._next)
            return
        call = session.calls_waiting.popleft()
        if not session.calls_waiting:
            del self._waiting[session]
        session.calls_running += 1
        used = session.used or 0.0
        self._now_at = max(self._now_at, used)
        session.used = used + _LEAST
        turn = self._holder = _Turn(session, self._clock())
        turn.aside = self._loop.call_later(self._limits.aside_seconds, self._step_aside, turn)
        task = self._loop.create_task(self._one(turn, session, call), name=f"ipc {call.method.name}")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _whose_turn(self) -> Session | None:
        chosen: Session | None = None
        least = float("inf")
        for session in list(self._waiting):
            if session.closed:
                session.calls_waiting.clear()
                del self._waiting[session]
            elif session.calls_running < self._limits.of_one_connection and not session.stalled:
                used = session.used or 0.0
                if used < least:
                    chosen, least = session, used
        return chosen

    async def _one(self, turn: _Turn, session: Session, call: Call) -> None:
        async def pause() -> None:
            await self._pause(turn, session)

        turn.began = self._clock()
        try:
            await self._run(session, call, pause)
            session.flush()
        finally:
            session.calls_running -= 1
            self._over(turn)

    async def _pause(self, turn: _Turn, session: Session) -> None:
        spent = self._clock() - turn.began
        if spent < self._limits.slice_seconds:
            return
        self._charge(turn, spent)
        turn.resting = True
        await asyncio.sleep(self._share.wait())
        turn.resting = False
        turn.began = self._clock()
        if session.closed:
            raise RpcError(ErrorCode.BUSY, "The connection was closed.")

    def _step_aside(self, turn: _Turn) -> None:
        """A call that waits for something else, a disk for example, does not keep the others waiting."""
        left = self._limits.aside_seconds - (self._clock() - turn.began)
        if turn.resting or left > _SOON:
            delay = self._limits.aside_seconds if turn.resting else left
            turn.aside = self._loop.call_later(delay, self._step_aside, turn)
        else:
            self._over(turn)

    def _over(self, turn: _Turn) -> None:
        if turn.aside is not None:
            turn.aside.cancel()
        if self._holder is turn:
            self._charge(turn, self._clock() - turn.began)
            self._holder = None
        self.look_again()

    def _charge(self, turn: _Turn, seconds: float) -> None:
        self._share.charge(seconds)
        turn.session.used = (turn.session.used or 0.0) + seconds
