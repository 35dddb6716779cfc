"""Hands published events to the subscribed connections: one serialisation for all, frequent topics thinned out.

No socket and no timer of its own: sinks are called, time is an argument, `due_at` says when `flush` has work to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from shared.protocol import encode

DEFAULT_INTERVALS: Mapping[str, float] = {"pnl": 0.1, "positions": 0.1, "quotes": 0.1}
"""Topics of which only the latest state counts: least seconds between two events of one (topic, account, key)."""

type _Slot = tuple[str, int | None, str | None]

_MAX_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class EventBody:
    """An event ready to be sent but for its number: `line(seq)` costs a join, not a serialisation."""

    topic: str
    _head: bytes

    @classmethod
    def of(cls, topic: str, account_id: int | None, data: object) -> EventBody:
        """Raises TypeError when the data has no JSON form."""
        params = encode({"topic": topic, "account_id": account_id, "data": data})
        return cls(topic, b'{"jsonrpc":"2.0","method":"event","params":' + params[:-1] + b',"seq":')

    def line(self, seq: int) -> bytes:
        """The event as it goes over the wire, with its number."""
        return b"%b%d}}\n" % (self._head, seq)


class Sink(Protocol):
    """A subscribed connection. `deliver` numbers and sends, or drops the connection; never waits, never raises."""

    def deliver(self, body: EventBody) -> None: ...


class Broadcaster:
    """Topics, their subscribers and what is waiting to be sent. For one thread only."""

    def __init__(self, intervals: Mapping[str, float] = DEFAULT_INTERVALS) -> None:
        self._intervals = dict(intervals)
        self._sinks: dict[str, dict[Sink, None]] = {}
        self._sent_at: dict[_Slot, float] = {}
        self._waiting: dict[_Slot, object] = {}

    def join(self, sink: Sink, topic: str) -> None:
        """From now on the sink gets the topic's events; again is no matter."""
        self._sinks.setdefault(topic, {})[sink] = None

    def part(self, sink: Sink, topic: str) -> None:
        """From now on it does not; one that never joined is no matter."""
        sinks = self._sinks.get(topic)
        if sinks is not None:
            sinks.pop(sink, None)
            if not sinks:
                del self._sinks[topic]

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens; spares a publisher the making of the data."""
        return topic in self._sinks

    def publish(self, topic: str, account_id: int | None, data: object, key: str | None, now: float) -> None:
        """Sends now, or keeps the latest of a frequent topic for `flush`. Raises TypeError when it has no JSON form."""
        if topic not in self._sinks:
            return
        interval = self._intervals.get(topic, 0.0)
        if interval > 0.0:
            slot = (topic, account_id, key)
            if slot in self._waiting or now - self._sent_at.get(slot, float("-inf")) < interval:
                self._waiting[slot] = data
                return
            self._remember(slot, now)
        self._send(topic, account_id, data)

    def due_at(self) -> float | None:
        """When the next kept event may go out; None when there is none."""
        return min((self._sent_at[slot] + self._intervals[slot[0]] for slot in self._waiting), default=None)

    def flush(self, now: float) -> None:
        """Sends what is due. Raises TypeError when one has no JSON form; the others are sent all the same."""
        due = [slot for slot in self._waiting if now >= self._sent_at[slot] + self._intervals[slot[0]]]
        failed: TypeError | None = None
        for slot in due:
            data = self._waiting.pop(slot)
            self._sent_at[slot] = now
            try:
                self._send(slot[0], slot[1], data)
            except TypeError as error:
                failed = error
        if failed is not None:
            raise failed

    def _send(self, topic: str, account_id: int | None, data: object) -> None:
        sinks = self._sinks.get(topic)
        if not sinks:
            return
        body = EventBody.of(topic, account_id, data)
        for sink in list(sinks):  # a slow one parts while this runs
            sink.deliver(body)

    def _remember(self, slot: _Slot, now: float) -> None:
        if len(self._sent_at) >= _MAX_REMEMBERED and slot not in self._sent_at:
            kept = {old: at for old, at in self._sent_at.items() if old in self._waiting or now - at < 60.0}
            self._sent_at = kept
        self._sent_at[slot] = now
