"""Where alerts go: the log, the system's own event log, and mail and messengers once they are there."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from loguru import logger

from daemon.logs import gateway_log
from daemon.store import TroubleOver
from daemon.windows.event_log import Entry, EventLog

_MOST_EARLY: Final = 100
_ENTRIES: Final = {"lockout": Entry.LOCKOUT_SET, "unlock": Entry.LOCKOUT_CLEARED}


class Alarms:
    """Made in the event loop, first of all; whatever goes wrong afterwards can be told.

    What is told before mail and messengers are known waits for them: a lost database is noticed in the first moment of
    a start, and just that an admin has to hear of.
    """

    def __init__(self, system_log: EventLog) -> None:
        self.system_log = system_log
        self._loop = asyncio.get_running_loop()
        self._send: Callable[[str, str], None] | None = None
        self._early: deque[tuple[str, str]] = deque(maxlen=_MOST_EARLY)

    def connect(self, send: Callable[[str, str], None]) -> None:
        """Mail and messengers are there: `send` takes a kind of `daemon.alerts.KINDS` and a sentence."""
        self._send = send
        early, self._early = self._early, deque()
        for kind, text in early:
            send(kind, text)

    def send(self, kind: str, text: str) -> None:
        """To mail and messengers alone; who calls has logged it."""
        if self._send is None:
            self._early.append((kind, text))
        else:
            self._send(kind, text)

    def alert(self, text: str, detail: str = "") -> None:
        """Something the admin has to know: one plain sentence, and for the log a technical detail."""
        level = "INFO" if isinstance(text, TroubleOver) else "ERROR"
        logger.log(level, "{}", f"{text} {detail}".rstrip())
        self.send("error", text)

    def gateway_alert(self, text: str, detail: str = "") -> None:
        """As `alert`, of the gateway: noted in its own log too."""
        gateway_log.error("{}", f"{text} {detail}".rstrip())
        self.send("error", text)

    def alert_from_thread(self, text: str) -> None:
        """As `alert`, in any thread."""
        try:
            self._loop.call_soon_threadsafe(self.alert, text)
        except RuntimeError:  # the loop has ended: the log is all that is left
            logger.error("{}", text)

    def to_system_log(self, kind: str, text: str) -> None:
        """A lockout, its end, or an enforcement, for the system's event log."""
        self.system_log.write(_ENTRIES.get(kind, Entry.ENFORCEMENT), text)
