"""The timed work, on APScheduler. The scheduler has an explicit zone; nothing here depends on the machine's.

The resets themselves are the engine's (trusted time, DST); token refresh, account lists and polls adapt their pace to
the state of each login and are timed in `daemon.gateway`. See docs/decisions/0005.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from loguru import logger

from daemon.backups import Backup, BackupError
from daemon.store import StoreError

HISTORY_DAYS = 90
"""How long trades and ended enforcements are kept."""


class Beating(Protocol):
    """`daemon.heartbeat.Heartbeat` is one."""

    def beat(self) -> None:
        """Status, clock, memory, threads."""


class Watching(Protocol):
    """`daemon.configuration.ConfigurationService` is one."""

    def watch(self) -> None:
        """Take in files that have changed."""


class BackingUp(Protocol):
    """`daemon.backups.Backups` is one."""

    async def make(self) -> Backup:
        """Back up state and configuration. Raises BackupError."""


class Pruning(Protocol):
    """`daemon.store.Store` is one."""

    async def prune(self, older_than_days: int, now: int) -> int:
        """Delete what is older; `now` in microseconds UTC. Raises StoreError."""


class Clock(Protocol):
    """Trusted time."""

    def now(self) -> int:
        """Microseconds UTC."""


class Schedule:
    """Starts and stops the jobs. `alert` takes a sentence for people; `look` is called with every heartbeat."""

    def __init__(
        self,
        *,
        heartbeat: Beating,
        configuration: Watching,
        backups: BackingUp,
        store: Pruning,
        clock: Clock,
        alert: Callable[[str], None],
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._heartbeat = heartbeat
        self._configuration = configuration
        self._backups = backups
        self._store = store
        self._clock = clock
        self._alert = alert
        self._look = look
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
        )

    def start(self) -> None:
        """Begin."""
        add = self._scheduler.add_job
        now = datetime.now(UTC)
        add(self._beat, "interval", seconds=5, id="heartbeat", next_run_time=now)
        add(self._watch, "interval", seconds=2, id="configuration files")
        add(self.back_up, "interval", hours=24, id="backup", next_run_time=now + timedelta(minutes=10))
        add(self.prune, "interval", hours=24, id="clean-up", next_run_time=now + timedelta(minutes=15))
        self._scheduler.start()

    async def stop(self) -> None:
        """End; jobs under way are left to themselves."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    # Every job is a coroutine: APScheduler runs plain functions in a thread, and the engine is the event loop's alone.

    async def _beat(self) -> None:
        self._heartbeat.beat()
        self._look()

    async def _watch(self) -> None:
        self._configuration.watch()

    async def back_up(self) -> None:
        """The daily backup."""
        try:
            made = await self._backups.make()
        except BackupError as error:
            self._alert(f"The daily backup is not complete: {error}")
        else:
            logger.info("Backed up the state as {}, the configuration as {}.", made.state, made.configuration)

    async def prune(self) -> None:
        """The daily clean-up."""
        try:
            deleted = await self._store.prune(HISTORY_DAYS, self._clock.now())
        except StoreError as error:
            self._alert(f"Old rows of the database could not be deleted: {error}")
        else:
            logger.info("Deleted {} old rows.", deleted)
