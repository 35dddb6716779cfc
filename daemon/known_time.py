"""Whether the rules may go by the clock yet (docs/decisions/0100).

Without a persisted time there is only the machine's clock, which may say anything: until the gateway has told the time,
events carry none, so that no time passes for the rules and nothing expires. A gateway that answers but never tells the
time is not waited for: protecting by the machine's clock is better than not protecting at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from daemon.clock import TrustedClock, wall_us
from daemon.core.events import Event

CLOCK_KEY = "clock_high_water"
"""Key under which the highest trusted time, microseconds UTC, is kept."""


class Keeper(Protocol):
    """Keeps values across restarts; `daemon.store.Store` is one."""

    def put_state(self, key: str, value: object) -> None:
        """Keep a value."""


class KnownTime:
    """The trusted clock, and whether it may be judged by.

    Args:
        kept: what was kept under `CLOCK_KEY` at the last run; anything but a number counts as nothing.
        wall: the machine's clock, microseconds UTC.
        confirm_seconds: see `TrustedClock`.
        on_known: called once, at the moment from which time may be judged by, unless that is so from the beginning.
    """

    def __init__(
        self,
        kept: object = None,
        *,
        wall: Callable[[], int] = wall_us,
        confirm_seconds: float = 30.0,
        on_known: Callable[[], None] = lambda: None,
    ) -> None:
        high_water = kept if isinstance(kept, int) else None
        self.clock = TrustedClock(wall=wall, high_water=high_water, confirm_seconds=confirm_seconds)
        self.known = high_water is not None
        self._on_known = on_known
        self._began = self.clock.monotonic()

    @property
    def started_at(self) -> int:
        """When this was made, trusted time; it moves when what is trusted turns out to have been wrong."""
        return self.clock.now() - (self.clock.monotonic() - self._began)

    def now(self) -> int:
        """Trusted time, or 0 as long as there is only the machine's clock: by that one nothing may take effect."""
        return self.clock.now() if self.known else 0

    def learn_from(self, event: Event) -> None:
        """To be called with every event until the time is known: it begins with the first the gateway has stamped."""
        if self.clock.anchored:
            self._begin()
        else:
            event.at = 0

    def wait_no_longer(self) -> bool:
        """The gateway answers: go by the clock from now on. Whether the gateway has told the time after all."""
        told = self.clock.anchored
        self._begin()
        return told

    def keep(self, keeper: Keeper) -> None:
        """Keep the highest trusted time; the machine's own is never kept as such."""
        high_water = self.clock.high_water()
        if high_water is not None:
            keeper.put_state(CLOCK_KEY, high_water)

    def _begin(self) -> None:
        if not self.known:
            self.known = True
            self._on_known()
