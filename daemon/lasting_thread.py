"""A thread that goes on: an error in its work is noted, and the work begins anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from loguru import logger

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_SOUND_SECONDS: Final = 60.0
"""Work that lasted so long before it failed is begun anew at once."""


class LastingThread:
    """Runs `work` in a daemon thread until it returns, which it does when it is told to end.

    Work that raises is called again: at once the first time, then after pauses that grow to 5 s. So it has to find its
    way back by itself: to drop what may be half done, and keep what was handed over.
    """

    def __init__(self, name: str, work: Callable[[], None], *, sleep: Callable[[float], object] = time.sleep) -> None:
        self.failures = 0
        """How often the work has raised."""
        self.error: BaseException | None = None
        """What it raised last."""
        self._work = work
        self._sleep = sleep
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for the work to return; False when it has not within that time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = 0.0
        while True:
            began = time.monotonic()
            try:
                self._work()
                return
            except BaseException as error:  # noqa: BLE001 - whatever it is, this thread is needed
                self.error = error
                self.failures += 1
                logger.opt(exception=error).error("The thread {} failed and goes on.", self._thread.name)
            pause = 0.0 if time.monotonic() - began >= _SOUND_SECONDS else pause
            self._sleep(pause)
            pause = min(max(2 * pause, _FIRST_PAUSE), _LONGEST_PAUSE)
