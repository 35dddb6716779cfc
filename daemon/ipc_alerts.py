"""What the socket tells the rest of the daemon of itself: logged, and of each kind at most one in a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from loguru import logger

type AlertKind = Literal[
    "port_taken",
    "accept_failed",
    "admin_logged_in",
    "admin_login_failed",
    "admin_login_paused",
    "second_factor_failed",
    "signature_refused",
    "places_contested",
    "handler_failed",
    "event_dropped",
]


@dataclass(frozen=True, slots=True)
class IpcAlert:
    """Something the daemon should log, audit or send on. `text` is one plain sentence."""

    kind: AlertKind
    severity: Literal["info", "warning"]
    text: str


class IpcAlerts:
    """Hands alerts on. Of each kind at most one in `seconds`, but for logins, of which each counts."""

    def __init__(self, on_alert: Callable[[IpcAlert], None], seconds: float, monotonic: Callable[[], float]) -> None:
        self._on_alert = on_alert
        self._seconds = seconds
        self._monotonic = monotonic
        self._told_at: dict[AlertKind, float] = {}

    def warn(self, kind: AlertKind, text: str) -> None:
        """Something that should not be."""
        now = self._monotonic()
        if now - self._told_at.get(kind, float("-inf")) >= self._seconds:
            self._told_at[kind] = now
            self._tell(IpcAlert(kind, "warning", text))

    def inform(self, kind: AlertKind, text: str) -> None:
        """Something worth knowing."""
        self._tell(IpcAlert(kind, "info", text))

    def _tell(self, alert: IpcAlert) -> None:
        logger.log("WARNING" if alert.severity == "warning" else "INFO", "{}", alert.text)
        try:
            self._on_alert(alert)
        except Exception as error:  # noqa: BLE001 - an alert that fails must not take the socket with it
            logger.opt(exception=error).error("An alert of the socket could not be handed on.")
