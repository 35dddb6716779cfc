"""Who hears of what: subscriptions of sessions, and the timer behind the topics that are thinned out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from daemon.ipc_broadcast import Broadcaster
from daemon.ipc_sessions import Session
from shared.protocol import ErrorCode, RpcError

# A timer may fire as much too early as the clock is coarse; then nothing would be due yet, and it would be set again.
_SLACK = time.get_clock_info("monotonic").resolution + 0.001


class Subscriptions:
    """For the event loop's thread alone. `on_failure` hears of an event that has no JSON form (topic, error)."""

    def __init__(
        self,
        intervals: Mapping[str, float],
        monotonic: Callable[[], float],
        on_failure: Callable[[str, TypeError], None],
    ) -> None:
        self._broadcaster = Broadcaster(intervals)
        self._monotonic = monotonic
        self._on_failure = on_failure
        self._timer: asyncio.TimerHandle | None = None

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens to a topic."""
        return self._broadcaster.wanted(topic)

    def publish(self, topic: str, account_id: int | None, data: object, key: str | None) -> None:
        """Sends, or keeps the latest for later. Never waits, never raises."""
        try:
            self._broadcaster.publish(topic, account_id, data, key, self._monotonic())
        except TypeError as error:
            self._on_failure(topic, error)
        self._set_timer()

    async def subscribe(
        self,
        session: Session,
        topics: list[str],
        snapshot: Callable[[], Awaitable[object]],
        answer: Callable[[object], None],
    ) -> None:
        """Makes the snapshot and hands `answer` the result to send; events that happen meanwhile follow it.

        Raises what `snapshot` and `answer` raise, RpcError -32005 if too many events came; then nothing has changed.
        """
        async with session.subscribing:
            before = dict(session.topics)
            session.hold(topics)
            try:
                if not session.closed:
                    for topic in topics:
                        session.topics[topic] = None
                        self._broadcaster.join(session, topic)
                data = await snapshot()
                if session.held_too_many():
                    text = "Too much happened while the snapshot was made; try again in a moment."
                    raise RpcError(ErrorCode.BUSY, text, {"retry_after": 0.5})
                answer({"topics": list(session.topics), "snapshot": data, "seq": session.seq})
            except BaseException:
                self.leave(session, [topic for topic in session.topics if topic not in before])
                raise
            finally:
                session.release()

    def leave(self, session: Session, topics: Iterable[str]) -> None:
        """Ends the session's subscriptions to these topics; one it has not is no matter."""
        for topic in list(topics):
            session.topics.pop(topic, None)
            self._broadcaster.part(session, topic)

    def stop(self) -> None:
        """Sends nothing more of what was kept."""
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is None and (due_at := self._broadcaster.due_at()) is not None:
            delay = max(0.0, due_at - self._monotonic())
            self._timer = asyncio.get_running_loop().call_later(delay, self._flush)

    def _flush(self) -> None:
        self._timer = None
        try:
            self._broadcaster.flush(self._monotonic() + _SLACK)
        except TypeError as error:
            self._on_failure("pnl, positions or quotes", error)
        self._set_timer()
