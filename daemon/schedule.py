"""The timed work, on APScheduler. The scheduler has an explicit zone; nothing here depends on the machine's.

The resets themselves are the engine's (trusted time, DST); token refresh, account lists and polls adapt their pace to
the state of each login and are timed in `daemon.gateway`. See docs/decisions/0005.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from apscheduler.executors.debug import DebugExecutor
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
        self._under_way: dict[str, asyncio.Task[None]] = {}
        # Jobs run in the loop's own thread, at once: the engine is the event loop's alone, and at a stop none is
        # pending (APScheduler's own executor for asyncio cancels those, and logs each as an error with a traceback).
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600},
        )

    def start(self) -> None:
        """Begin."""
        add = self._scheduler.add_job
        now = datetime.now(UTC)
        add(self._beat, "interval", seconds=5, id="heartbeat", next_run_time=now)
        add(self._configuration.watch, "interval", seconds=2, id="configuration files")
        for name, work, minutes in (("backup", self.back_up, 10), ("clean-up", self.prune, 15)):
            first = now + timedelta(minutes=minutes)
            add(self._begin, "interval", (name, work), hours=24, id=name, next_run_time=first)
        self._scheduler.start()

    async def stop(self) -> None:
        """End. A backup or clean-up that is under way is given up; the next start makes another."""
        if self._scheduler.running:
            self._scheduler.pause()  # at once; the shutdown waits for the loop's next turn
            self._scheduler.shutdown(wait=False)
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(asyncio.sleep(0), *self._under_way.values(), return_exceptions=True)

    def _beat(self) -> None:
        self._heartbeat.beat()
        self._look()

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Let daily work go on beside, unless that of the day before still does."""
        if name not in self._under_way:
            self._under_way[name] = asyncio.get_running_loop().create_task(self._carry_out(name, work))

    async def _carry_out(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - of one day; the next day's is begun all the same
            logger.opt(exception=error).error("The daily {} failed.", name)
        finally:
            self._under_way.pop(name, None)

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
