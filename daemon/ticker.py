"""The daemon's pulse: time passes for the rules once a second, and exactly when something of theirs falls due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from loguru import logger

from daemon.broker import GatewayError
from daemon.core.engine import Engine
from daemon.core.events import Event, Tick
from daemon.core.units import SECOND_US
from daemon.gateway.status import GatewayStatus, LoginState
from daemon.known_time import KnownTime

TICK_SECONDS = 1.0
_SLACK = 0.001


class Gateway(Protocol):
    """What is asked of the gateway; `daemon.gateway.pool.Gateways` is one."""

    def status(self) -> GatewayStatus:
        """States of all logins."""

    async def reconcile(self, account_id: int) -> None:
        """Read everything of an account and deliver it. Raises GatewayError."""


class Ticker:
    """Ticks in the event loop until it is stopped.

    Args:
        deliver: takes each `Tick`.
        advance: called at each tick, for what waits for a time elsewhere (the configuration).
        alert: takes a sentence for people.
    """

    def __init__(
        self,
        time: KnownTime,
        engine: Engine,
        gateway: Gateway,
        *,
        deliver: Callable[[Event], None],
        advance: Callable[[], None],
        alert: Callable[[str], None],
    ) -> None:
        self._time = time
        self._engine = engine
        self._gateway = gateway
        self._deliver = deliver
        self._advance = advance
        self._alert = alert
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin."""
        self._begin(self._run(), "ticks")

    async def stop(self) -> None:
        """No more ticks."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def tick(self) -> None:
        """Time has passed, if there is a time to go by."""
        if not self._time.known and any(login.state == LoginState.ONLINE for login in self._gateway.status().logins):
            self._go_on_untold()
        if self._time.known:
            self._deliver(Tick(self._time.now()))
        self._advance()

    async def _run(self) -> None:
        wait = TICK_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = TICK_SECONDS
            try:
                self.tick()
                due_in = (self._engine.next_due - self._time.clock.now()) / SECOND_US
            except Exception as error:  # noqa: BLE001 - time goes on
                logger.opt(exception=error).error("A tick failed.")
                continue
            if 0 < due_in < TICK_SECONDS:
                wait = due_in + _SLACK

    def _go_on_untold(self) -> None:
        """The gateway answers but has never told the time: what was read so far came without one, and is read anew."""
        if not self._time.wait_no_longer():
            self._alert("The gateway does not tell the time; lockouts go by this PC's clock until it does.")
        for account_id in list(self._engine.accounts):
            self._begin(self._read_anew(account_id), f"read {account_id} anew")

    async def _read_anew(self, account_id: int) -> None:
        try:
            await self._gateway.reconcile(account_id)
        except GatewayError as error:
            logger.warning("Account {} could not be read: {}", account_id, error)

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
