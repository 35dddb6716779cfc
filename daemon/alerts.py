"""Alerts by e-mail and messengers through Apprise. Delivery never blocks the daemon; failures are retried and shown.

A target is an Apprise address (mailtos://, tgram://, discord://, slack:// ...), which holds a secret: addresses live in
the system's key store, names and kinds in the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from loguru import logger

from daemon.alert_queue import AlertQueue
from daemon.lasting_thread import LastingThread

KINDS: Final = ("lockout", "unlock", "enforcement", "warning", "error")
"""What a target can ask for."""

RETRY_SECONDS: Final = (5.0, 30.0, 120.0, 600.0)
"""Pauses before the second and later tries; after the last one the message is given up for that target."""

QUEUE_LIMIT: Final = 500
REPEAT_SECONDS: Final = 30.0
"""The same text to the same target within this time is sent once."""

STATE_KEY: Final = "alert_targets"
_SECRET_PREFIX: Final = "alert:"

Deliver = Callable[[str, str, str], bool]
"""Sends (address, title, text); False or an exception: not delivered."""


class Secrets(Protocol):
    """The key store; `daemon.credentials.CredentialStore` is one."""

    def get(self, username: str) -> str:
        """The secret of that name; raises when there is none."""

    def set(self, username: str, key: str) -> None:
        """Keep a secret."""

    def delete(self, username: str) -> None:
        """Forget a secret."""


class AlertError(ValueError):
    """A target that can't be used; the text is one plain sentence."""


@dataclass(slots=True)
class Target:
    """One place that alerts go to. Times are seconds of the machine's clock, for people."""

    name: str
    kinds: tuple[str, ...]
    enabled: bool = True
    sent: int = 0
    failed: int = 0
    last_error: str = ""
    recent: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Message:
    kind: str
    text: str
    target: str | None = None
    tries: int = 0
    due: float = 0.0


def deliver_by_apprise(address: str, title: str, text: str) -> bool:
    """Send through Apprise, which is imported when first needed."""
    import apprise

    notifier = apprise.Apprise()
    if not notifier.add(address):
        return False
    return bool(notifier.notify(title=title, body=text))


def check_address(address: str) -> None:
    """Raises AlertError when Apprise does not understand the address."""
    import apprise

    if not apprise.Apprise().add(address):
        raise AlertError("The address is not one that can be used; see the list of services in the admin guide.")


class Alerts:
    """Takes alerts in any thread and delivers them in its own."""

    def __init__(
        self,
        secrets: Secrets,
        saved: Iterable[Mapping[str, Any]] = (),
        *,
        keep: Callable[[list[dict[str, Any]]], None] = lambda rows: None,
        deliver: Deliver = deliver_by_apprise,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = secrets
        self._keep = keep
        self._deliver = deliver
        self._monotonic = monotonic
        self._targets = {
            str(row["name"]): Target(str(row["name"]), tuple(row["kinds"]), bool(row.get("enabled", True)))
            for row in saved
        }
        self._queue = AlertQueue(QUEUE_LIMIT)
        self._waiting: list[_Message] = []
        self._lock = threading.Lock()
        self._thread: LastingThread | None = None
        self._given_up = 0

    @property
    def dropped(self) -> int:
        """Alerts that were never delivered because too many waited."""
        return self._queue.dropped + self._given_up

    def send(self, kind: str, text: str) -> None:
        """Hand an alert over; returns at once. With too many waiting, what matters least is dropped and counted."""
        if not any(target.enabled and kind in target.kinds for target in list(self._targets.values())):
            return
        self._start()
        self._queue.put(kind, text)

    def set_target(self, name: str, address: str | None, kinds: Iterable[str], *, enabled: bool = True) -> None:
        """Add or change a target; without an address the one known is kept. Blocks on the key store.

        Raises AlertError.
        """
        chosen = tuple(kind for kind in KINDS if kind in set(kinds))
        if not chosen:
            raise AlertError(f"An alert target needs at least one of {', '.join(KINDS)}.")
        if address is not None:
            check_address(address)
            self._secrets.set(_SECRET_PREFIX + name, address)
        elif name not in self._targets:
            raise AlertError(f"The alert target {name} needs an address.")
        with self._lock:
            self._targets[name] = Target(name, chosen, enabled)
            self._save()

    def remove_target(self, name: str) -> None:
        """Forget a target and its address. Unknown names are ignored."""
        with self._lock:
            self._targets.pop(name, None)
            self._save()
        try:
            self._secrets.delete(_SECRET_PREFIX + name)
        except Exception as error:  # noqa: BLE001 - key stores raise what they like; the target is gone all the same
            logger.warning("The address of alert target {} could not be deleted: {}", name, error)

    def test(self, name: str) -> str:
        """Send a test message now. Returns "" or why it was not delivered. Blocks."""
        target = self._targets.get(name)
        if target is None:
            return f"There is no alert target {name}."
        return self._try(target, "Risk Manager: test", "This is a test of the alerts.")

    def rows(self) -> list[dict[str, Any]]:
        """Targets and how they fare; never an address."""
        with self._lock:
            return [
                {
                    "name": target.name,
                    "kinds": list(target.kinds),
                    "enabled": target.enabled,
                    "sent": target.sent,
                    "failed": target.failed,
                    "last_error": target.last_error,
                    "waiting": sum(1 for message in self._waiting if message.target == target.name),
                }
                for target in self._targets.values()
            ]

    def close(self, seconds: float = 2.0) -> None:
        """End the thread, in so many seconds; what waits for a retry is given up."""
        self._queue.close()
        if self._thread is not None:
            self._thread.join(seconds)

    # ---- in the alerts' thread

    def _start(self) -> None:
        if self._thread is None:
            self._thread = LastingThread("alerts", self._run)
            self._thread.start()

    def _run(self) -> None:
        while not self._queue.ended:
            alert = self._queue.get(1.0 if self._waiting else 60.0)
            if alert is not None:
                kind, text = alert
                for target in list(self._targets.values()):
                    if target.enabled and kind in target.kinds:
                        self._attempt(_Message(kind, text, target.name))
            now = self._monotonic()
            due = [waiting for waiting in self._waiting if waiting.due <= now]
            self._waiting = [waiting for waiting in self._waiting if waiting.due > now]
            for waiting in due:
                self._attempt(waiting)

    def _attempt(self, message: _Message) -> None:
        target = self._targets.get(message.target or "")
        if target is None:
            return
        now = self._monotonic()
        if message.tries == 0:
            if now - target.recent.get(message.text, float("-inf")) < REPEAT_SECONDS:
                return
            target.recent = {text: at for text, at in target.recent.items() if now - at < REPEAT_SECONDS}
            target.recent[message.text] = now
        error = self._try(target, f"Risk Manager: {message.kind}", message.text)
        if not error:
            return
        if message.tries >= len(RETRY_SECONDS):
            logger.error("An alert to {} was given up: {}", target.name, error)
            return
        if len(self._waiting) >= QUEUE_LIMIT:
            self._given_up += 1
            return
        message.due = now + RETRY_SECONDS[message.tries]
        message.tries += 1
        self._waiting.append(message)

    def _try(self, target: Target, title: str, text: str) -> str:
        try:
            delivered = self._deliver(self._secrets.get(_SECRET_PREFIX + target.name), title, text)
            error = "" if delivered else "the service did not take it; check address, network and permissions"
        except Exception as failure:  # noqa: BLE001 - services raise what they like
            error = type(failure).__name__
        with self._lock:
            if error:
                target.failed += 1
            else:
                target.sent += 1
            target.last_error = error
        return error

    def _save(self) -> None:
        self._keep(
            [
                {"name": target.name, "kinds": list(target.kinds), "enabled": target.enabled}
                for target in self._targets.values()
            ]
        )
