"""The timed work, on APScheduler. The scheduler has an explicit zone; nothing here depends on the machine's.

The resets themselves are the engine's (trusted time, DST); token refresh, account lists and polls adapt their pace to
the state of each login and are timed in `daemon.gateway`. See docs/decisions/0005.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from loguru import logger

HISTORY_DAYS = 90
"""How long trades and ended enforcements are kept."""


class Timed(Protocol):
    """What is done at times; `daemon.service.Service` is one."""

    store: Any
    configuration: Any
    clock: Any

    def heartbeat(self) -> None:
        """Status, clock, memory."""

    def tick(self) -> None:
        """Time has passed."""

    async def backup(self) -> str:
        """Back up the database."""


class Schedule:
    """Starts and stops the jobs."""

    def __init__(self, timed: Timed) -> None:
        self._timed = timed
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": 3600}
        )

    def start(self) -> None:
        """Begin."""
        add = self._scheduler.add_job
        now = datetime.now(UTC)
        add(self._heartbeat, "interval", seconds=5, id="heartbeat", next_run_time=now)
        add(self._watch, "interval", seconds=2, id="configuration files")
        add(self._backup, "interval", hours=24, id="backup", next_run_time=now + timedelta(minutes=10))
        add(self._prune, "interval", hours=24, id="clean-up", next_run_time=now + timedelta(minutes=15))
        self._scheduler.start()

    def stop(self) -> None:
        """End; jobs under way are left to themselves."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    # Every job is a coroutine: APScheduler runs plain functions in a thread, and the engine is the event loop's alone.

    async def _heartbeat(self) -> None:
        self._timed.heartbeat()

    async def _watch(self) -> None:
        self._timed.configuration.watch()

    async def _backup(self) -> None:
        name = await self._timed.backup()
        logger.info("Backed up the database as {}.", name)

    async def _prune(self) -> None:
        deleted = await self._timed.store.prune(HISTORY_DAYS, self._timed.clock.now())
        logger.info("Deleted {} old rows.", deleted)
