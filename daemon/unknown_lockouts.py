"""After the record of lockouts was lost every account is locked until the next reset: unknown is locked (law 7).

An account is locked when its positions have first been read, whenever that is: a login may be out of reach for hours.
What it then holds may stay, for no rule forbids it, but nothing may be added. Which accounts have been locked is kept,
so that a restart does not lock again what an admin has cleared. At the reset the record counts as whole again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from daemon.core.decisions import DayChanged, Decision
from daemon.core.engine import Engine
from daemon.core.events import Event, LockRequested, PositionsSnapshot

LOCKED_KEY = "unknown_lockouts_locked"
"""Key under which is kept for which trading day and accounts this was done."""

REASON = "the record of lockouts was lost and cannot be restored; nothing may be added"


class Keeper(Protocol):
    """Keeps values across restarts; `daemon.store.Store` is one."""

    def put_state(self, key: str, value: object) -> None:
        """Keep a value; None forgets it."""

    async def lockouts_settled(self) -> bool:
        """The record is whole again; False: not on disk yet."""


class UnknownLockouts:
    """A `Listener` of the dispatcher, while `SavedState.lockouts_unknown`.

    Args:
        deliver: feeds an event.
        kept: what was kept under `LOCKED_KEY` at the last run.
    """

    def __init__(self, engine: Engine, deliver: Callable[[Event], None], keeper: Keeper, kept: object = None) -> None:
        self._engine = engine
        self._deliver = deliver
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._settling: asyncio.Task[bool] | None = None
        known: Mapping[str, Any] = kept if isinstance(kept, dict) else {}
        self._day = str(known.get("day", ""))
        self._locked = {number for number in known.get("accounts", ()) if isinstance(number, int)}

    @property
    def over(self) -> bool:
        """Whether a reset has come since the loss."""
        return self._settling is not None

    def happened(self, event: Event) -> None:
        """See `daemon.dispatcher.Listener`."""
        if isinstance(event, PositionsSnapshot) and event.account_id not in self._locked:
            # Not from within the judging of an event.
            self._loop.call_soon(self._lock, event.account_id)

    def decided(self, decision: Decision) -> None:
        """See `daemon.dispatcher.Listener`."""
        if isinstance(decision, DayChanged):
            self._look_at_day()

    def _lock(self, account_id: int) -> None:
        now = self._engine.now
        if not now or account_id in self._locked:  # without a time there is no telling when the lock would end
            return
        self._look_at_day()
        if self.over:
            return
        self._locked.add(account_id)
        self._keeper.put_state(LOCKED_KEY, {"day": self._day, "accounts": sorted(self._locked)})
        self._deliver(LockRequested(now, account_id, None, REASON, "Risk Manager", keep_positions=True))

    def _look_at_day(self) -> None:
        today = self._engine.days.name(self._engine.now)
        self._day = self._day or today
        if today != self._day and not self.over:
            self._keeper.put_state(LOCKED_KEY, None)
            self._settling = self._loop.create_task(self._keeper.lockouts_settled(), name="lockouts settled")
