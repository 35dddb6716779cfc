"""When and why the daemon ends, and what has to be ended then: in reverse, and in time (docs/decisions/0104)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger

STOP_SECONDS = 28.0
"""The whole shutdown; after 30 s the service manager may end the process by force."""
_LEAST_SECONDS = 0.2


@dataclass(slots=True, frozen=True)
class Step:
    """How something that was started is ended, and how many seconds that may take."""

    name: str
    seconds: float
    end: Callable[[], Awaitable[object]]


class Shutdown:
    """The list of what was started, and the wish to end it. Everything is called in the event loop's thread."""

    def __init__(self) -> None:
        """Needs a running event loop."""
        self.reason = ""
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._failure: BaseException | None = None
        self._steps: list[Step] = []

    @property
    def asked(self) -> bool:
        """Whether the end was asked for."""
        return self._asked.is_set()

    @property
    def steps(self) -> list[Step]:
        """What was started and has not been ended, in the order of starting."""
        return self._steps

    def ask(self, reason: str) -> None:
        """Ask for the end; the first reason counts."""
        if not self.asked:
            self.reason = reason
            self._asked.set()

    def ask_from_thread(self, reason: str) -> None:
        """As `ask`, in any thread."""
        self._loop.call_soon_threadsafe(self.ask, reason)

    def handle_signals(self) -> None:
        """Ask at Ctrl+C and SIGTERM. On Windows SIGINT alone: a SIGBREAK handler ends a service at every log-off."""
        if os.name == "nt":
            # Not signal.signal: a library of the SDK puts a handler of its own over Python's.
            from daemon.windows.console_stop import on_ctrl_c

            on_ctrl_c(lambda: self.ask_from_thread("Ctrl+C or service stop"))
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.ask, f"signal {signal.Signals(number).name}")

    def fail(self, error: BaseException) -> None:
        """Something without which nothing is protected has ended: ask for the end; `wait` raises the first of these."""
        self._failure = self._failure or error
        self.ask(f"an unexpected error ({type(error).__name__})")

    async def wait(self) -> None:
        """Returns when the end was asked for. Raises what made it impossible to go on."""
        await self._asked.wait()
        if self._failure is not None:
            raise self._failure

    def add(self, name: str, seconds: float, end: Callable[[], Awaitable[object]]) -> None:
        """Something was started. What was started last is ended first."""
        self._steps.append(Step(name, seconds, end))

    def add_last(self, name: str, seconds: float, end: Callable[[], Awaitable[object]]) -> None:
        """Something that guards the shutdown too: it is ended after everything else."""
        self._steps.insert(0, Step(name, seconds, end))

    async def run(self, seconds: float = STOP_SECONDS) -> None:
        """End everything, in `seconds` at most. Each step has its turn, whatever becomes of the others."""
        deadline = self._loop.time() + seconds
        while self._steps:
            step = self._steps.pop()
            # What comes last, the database, must not pay for what hangs before it.
            kept_back = sum(later.seconds for later in self._steps)
            bound = max(_LEAST_SECONDS, min(step.seconds, deadline - self._loop.time() - kept_back))
            try:
                async with asyncio.timeout(bound):
                    await step.end()
            except TimeoutError:
                logger.error("Stopping {} took longer than {:.0f} s; going on without.", step.name, bound)
            except Exception as error:  # noqa: BLE001 - each step of a shutdown gets its turn
                logger.opt(exception=error).error("Stopping {} failed.", step.name)
