"""Trusted time: taken from the gateway, carried on with the monotonic clock, never ahead of the broker.

Lockouts end by this clock, so nothing a user of the machine can do may move it forward. What is known, and from where:

* A response's ``Date`` header (RFC 9110, whole seconds, truncated) says that the broker's clock stood in ``[d, d + 1
  s)`` at a moment between sending the request and receiving the answer. At receipt the broker is therefore at ``d``
  or later; when the request was sent it was before ``d + 1 s``. The clock keeps the best such lower bound and adds
  elapsed monotonic time.
* An event's own timestamp is a lower bound too, but comes from other machines of the broker: it may take the clock at
  most five seconds beyond what the headers say.
* After a restart without network the highest value ever reached is carried on from: less time has passed for us than
  for the broker, so lockouts stay. A monotonic clock that stops while the machine sleeps errs in the same direction.
* The machine's own clock is used only until the first contact and only if there is no persisted value; it is then
  marked suspect. The move from that provisional value to the broker's is the only one that may go backwards.

Header dates are protected by TLS. Still, one broken node must not free an account: a date that contradicts the carried
time by more than five minutes forward (or five seconds back), and that the machine's clock does not bear out, counts
only once three answers over at least thirty seconds agree. When the clock turns out to be ahead it runs at half speed
until the broker has caught up; it never stands still, so that timers which protect (RULE-008's grace) go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

from daemon.core.units import SECOND_US

SUSPECT_SECONDS: Final = 120
"""The machine's clock is called suspect when it differs from trusted time by more than this."""

_EVENT_LEAD_US: Final = 5 * SECOND_US
_JUMP_US: Final = 300 * SECOND_US
_BACK_US: Final = 5 * SECOND_US
_CONFIRMATIONS: Final = 3


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def wall_us() -> int:
    """The machine's clock, microseconds UTC."""
    return time.time_ns() // 1000


class Clock(Protocol):
    """Trusted time as the daemon's parts use it. All values are microseconds; UTC where they are moments."""

    def now(self) -> int:
        """Trusted time. Never decreases, but for the first contact after a start without a persisted value."""

    def monotonic(self) -> int:
        """Elapsed time with no fixed origin, for time-outs and for `observe_date`."""

    def observe_date(self, header_time_us: int, sent_at: int | None = None) -> None:
        """A response's Date header; `sent_at` is `monotonic()` when its request was sent."""

    def observe_event(self, broker_time_us: int) -> None:
        """A timestamp the broker gave to something that has just happened."""

    @property
    def anchored(self) -> bool:
        """Whether the broker's time has been seen since the start."""

    @property
    def clock_suspect(self) -> bool:
        """Whether the machine's own clock disagrees with trusted time."""

    @property
    def offset_seconds(self) -> float:
        """How far the machine's clock is ahead of trusted time (negative: behind)."""

    def high_water(self) -> int | None:
        """Highest trusted value reached, to be persisted; None while there is only the machine's clock to go by."""


class TrustedClock:
    """The clock described above.

    Args:
        monotonic: elapsed microseconds, no fixed origin, never decreasing. It may or may not count sleep.
        wall: the machine's clock, microseconds UTC. Used for comparison and as the provisional value only.
        high_water: the persisted highest value of an earlier run, if any.
        confirm_seconds: span over which answers must agree before an unlikely time is believed; 0 believes at once, for
            a simulated gateway whose time is moved by hand.
    """

    def __init__(
        self,
        monotonic: Callable[[], int] = _monotonic_us,
        wall: Callable[[], int] = wall_us,
        high_water: int | None = None,
        confirm_seconds: float = 30.0,
    ) -> None:
        self.monotonic = monotonic
        self._confirm_us = round(confirm_seconds * SECOND_US)
        self._wall = wall
        started = monotonic()
        self._provisional = high_water is None
        start_value = wall() if high_water is None else high_water
        # Broker time minus monotonic time: a lower bound that every observation can only improve.
        self._offset = start_value - started
        self._date_offset: int | None = None
        self._told_by_events = False
        self._last_value = start_value
        self._last_read = started
        self._doubted: list[tuple[int, int]] = []

    def now(self) -> int:
        """Trusted time, microseconds UTC."""
        read = self.monotonic()
        elapsed = max(0, read - self._last_read)
        target = self._offset + read
        # Ahead of what is known now: half speed until the broker has caught up, but never backwards.
        value = max(target, self._last_value + elapsed // 2)
        self._last_read = max(read, self._last_read)
        self._last_value = value
        return value

    @property
    def anchored(self) -> bool:
        """Whether the broker's time has been seen since the start."""
        return self._date_offset is not None or self._told_by_events

    @property
    def clock_suspect(self) -> bool:
        """True if the machine's clock is off by more than two minutes, or is all there is to go by."""
        return self._provisional or abs(self.offset_seconds) > SUSPECT_SECONDS

    @property
    def offset_seconds(self) -> float:
        """Machine's clock minus trusted time, in seconds."""
        return (self._wall() - self.now()) / SECOND_US

    def high_water(self) -> int | None:
        """Highest trusted value.

        None while provisional, because the machine's clock must never be persisted as trusted.
        """
        return None if self._provisional else self.now()

    def observe_date(self, header_time_us: int, sent_at: int | None = None) -> None:
        """Take in a Date header (microseconds UTC of its whole second), at the moment the response is received."""
        received = self.monotonic()
        lower = header_time_us - received
        upper = header_time_us + SECOND_US - (received if sent_at is None else min(sent_at, received))
        if self._provisional:
            self._provisional = False
            self._date_offset = self._offset = lower
            self._last_value, self._last_read = lower + received, received
            return
        forward = lower - self._offset
        back = self._offset - upper
        # Without a contact so far, any time may have passed since the persisted value: nothing to contradict.
        unlikely = (self.anchored and forward > _JUMP_US) or back > _BACK_US
        if unlikely and not self._borne_out(header_time_us) and not self._confirmed(lower, received):
            return
        self._doubted.clear()
        if self._date_offset is None or lower > self._date_offset or back > 0:
            self._date_offset = lower
        if forward > 0 or back > 0:
            self._offset = lower

    def observe_event(self, broker_time_us: int) -> None:
        """Take in the timestamp of an event that has just arrived. Older, or far later, ones change nothing."""
        received = self.monotonic()
        lower = broker_time_us - received
        if self._date_offset is None:
            # A gateway without Date headers: its events are all there is to go by.
            if self._provisional:
                self._provisional = False
                self._offset = lower
                self._last_value, self._last_read = broker_time_us, received
            self._told_by_events = True
            self._offset = max(self._offset, lower)
            return
        if self._offset < lower <= self._date_offset + _EVENT_LEAD_US:
            self._offset = lower

    def _borne_out(self, header_time_us: int) -> bool:
        return abs(self._wall() - header_time_us) <= SUSPECT_SECONDS * SECOND_US

    def _confirmed(self, lower: int, received: int) -> bool:
        """Whether enough answers over enough time have told the same unlikely time."""
        self._doubted = [(l_, r) for l_, r in self._doubted if abs(l_ - lower) <= _BACK_US]
        self._doubted.append((lower, received))
        if self._confirm_us == 0:
            return True
        return len(self._doubted) >= _CONFIRMATIONS and received - self._doubted[0][1] >= self._confirm_us


class ManualClock:
    """A clock that moves only when told to. For tests."""

    def __init__(self, at: int = 1_750_000_000 * SECOND_US) -> None:
        self._at = at

    def now(self) -> int:
        """The time it was set to, microseconds UTC."""
        return self._at

    def monotonic(self) -> int:
        """The same value: it never decreases either."""
        return self._at

    def advance(self, seconds: float) -> int:
        """Move on and return the new time."""
        if seconds < 0:
            raise ValueError("trusted time never goes back")
        self._at += round(seconds * SECOND_US)
        return self._at

    def advance_to(self, at: int) -> int:
        """Move on to a moment; an earlier one changes nothing."""
        self._at = max(self._at, at)
        return self._at

    def observe_date(self, header_time_us: int, sent_at: int | None = None) -> None:
        """Ignored."""

    def observe_event(self, broker_time_us: int) -> None:
        """Ignored."""

    @property
    def anchored(self) -> bool:
        """Always."""
        return True

    @property
    def clock_suspect(self) -> bool:
        """Never."""
        return False

    @property
    def offset_seconds(self) -> float:
        """Always 0."""
        return 0.0

    def high_water(self) -> int | None:
        """The time it was set to."""
        return self._at
