"""Keeps the second factor in the system's key store. The store is asked in a thread: it may take seconds to answer."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from daemon.credentials import CredentialError, CredentialStore
from daemon.second_factor import Enrolment, SecondFactor, SecondFactorError

FACTOR_NAME = "second-factor"
"""Name of the entry in the key store."""
MARK_KEY = "second_factor_enrolled"
"""Key in `daemon_state`: one was enrolled once. A key store that has vanished since then is no way round it."""


def surely_no_key_store() -> bool:
    """Whether it is plain, without asking keyring (10 MB), that there is none: no session bus, nothing configured."""
    if not sys.platform.startswith("linux"):
        return False
    asked = ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "XDG_RUNTIME_DIR")
    configured = Path.home() / ".config" / "python_keyring"
    return not any(os.environ.get(name) for name in asked) and not configured.exists()


def no_key_store() -> bool:
    """Whether this system has no key store at all, so that nothing can ever have been put there."""
    import keyring
    from keyring.backends import fail, null

    return isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring)


class _Kept:
    """The text as loaded; saves are queued for a thread of their own and never wait."""

    def __init__(self, credentials: CredentialStore, text: str | None, failed: Callable[[str], None]) -> None:
        self._credentials = credentials
        self._text = text
        self._failed = failed
        self._queue: queue.SimpleQueue[tuple[str | None, Callable[[str | None], None] | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.on_saved: Callable[[str | None], None] | None = None

    def load(self) -> str | None:
        return self._text

    def save(self, text: str | None) -> None:
        self._text = text
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="second-factor", daemon=True)
            self._thread.start()
        told, self.on_saved = self.on_saved, None
        self._queue.put((text, told))

    def _run(self) -> None:
        while True:
            text, told = self._queue.get()
            error: str | None = None
            try:
                if text is None:
                    self._credentials.delete(FACTOR_NAME)
                else:
                    self._credentials.set(FACTOR_NAME, text)
            except CredentialError as failure:
                error = str(failure)
                self._failed(error)
            if told is not None:
                told(error)


class _Broken:
    """A store that could not be read."""

    def load(self) -> str | None:
        raise OSError("the key store could not be read")

    def save(self, text: str | None) -> None:
        raise OSError("the key store could not be read")


class KeyringFactor:
    """The daemon's second factor; `daemon.ipc_server.SecondFactorCheck`.

    Until `load` has read the key store, and when it can't be read, one counts as enrolled and no code is accepted:
    unknown is locked. A system without any key store, on which none was ever enrolled (`marked`), has none.

    Args:
        credentials: the key store.
        marked: whether the database says that one was enrolled.
        mark: keeps that in the database; called in the event loop's thread.
        on_alert: told in one sentence when something that was used up could not be stored.
    """

    def __init__(
        self,
        credentials: CredentialStore,
        *,
        marked: bool,
        mark: Callable[[bool], None],
        on_alert: Callable[[str], None] = lambda text: None,
        absent: Callable[[], bool] = no_key_store,
    ) -> None:
        self._credentials = credentials
        self._marked = marked
        self._mark = mark
        self._on_alert = on_alert
        self._absent = absent
        self._loop = asyncio.get_running_loop()
        self._kept: _Kept | None = None
        self._factor: SecondFactor | None = None

    async def load(self) -> None:
        """Read the key store. Never raises."""
        try:
            text, readable = await asyncio.to_thread(self._read)
        except Exception as error:  # noqa: BLE001 - back ends raise what they like; unreadable is locked
            logger.error("The second factor could not be read: {}", type(error).__name__)
            text, readable = None, False
        if not readable:
            self._factor = SecondFactor(_Broken())
            self._on_alert(
                "The key store with the second factor cannot be read: nothing that weakens protection is accepted."
            )
            return
        if text is None and self._marked:
            self._on_alert("A second factor was enrolled here, but the key store has none any more.")
            self._factor = SecondFactor(_Broken())
            return
        self._kept = _Kept(self._credentials, text, self._save_failed)
        self._factor = SecondFactor(self._kept)
        if text is not None and not self._marked:
            self._set_mark(True)

    def _read(self) -> tuple[str | None, bool]:
        if not self._marked and self._credentials.is_the_systems and surely_no_key_store():
            return None, True
        try:
            if not self._credentials.has(FACTOR_NAME):
                return None, True
            return self._credentials.get(FACTOR_NAME), True
        except CredentialError:
            return None, self._absent() and not self._marked

    # ---- for the socket

    @property
    def enrolled(self) -> bool:
        """Whether a code is asked for."""
        return self._factor is None or self._factor.enrolled

    def verify(self, code: str, now: int) -> bool:
        """Judge a code and use it up. `now`: microseconds UTC."""
        return self._factor is not None and self._factor.verify(code, now)

    @property
    def reading(self) -> bool:
        """Whether the key store has not answered yet, so that nobody knows whether one is enrolled."""
        return self._factor is None

    # ---- for the handlers

    @property
    def broken(self) -> str | None:
        """Why no code can be accepted, as one sentence."""
        return "The key store is still being read; try again." if self._factor is None else self._factor.broken

    @property
    def recovery_codes_left(self) -> int:
        """How many recovery codes have not been used; 0 while the key store is being read."""
        return 0 if self._factor is None else self._factor.recovery_codes_left

    def pause_left(self, now: int) -> int:
        """Seconds during which no code is looked at."""
        return 0 if self._factor is None else self._factor.pause_left(now)

    def begin(self, account_name: str, now: int) -> Enrolment:
        """Secret and recovery codes, to be shown once. Raises SecondFactorError."""
        return self._ready().begin_enrolment(account_name, now)

    async def confirm(self, code: str, now: int) -> bool:
        """Enrol after a right code; False for a wrong one. Raises SecondFactorError when it could not be stored."""
        factor = self._ready()
        saved = self._await_save()
        if not factor.confirm_enrolment(code, now):
            assert self._kept is not None
            self._kept.on_saved = None
            return False
        error = await saved
        if error is not None:
            # Not enrolled after all: a factor that the next start would not know helps nobody.
            self._factor = SecondFactor(_Kept(self._credentials, None, self._save_failed))
            await self.load()
            raise SecondFactorError(f"The second factor was not enrolled: {error}.")
        self._set_mark(True)
        return True

    async def disable(self) -> None:
        """Forget the factor. Raises SecondFactorError when the key store keeps it."""
        factor = self._ready()
        saved = self._await_save()
        factor.disable()
        error = await saved
        if error is not None:
            await self.load()
            raise SecondFactorError(f"The second factor could not be removed: {error}.")
        self._set_mark(False)

    # ---- within

    def _ready(self) -> SecondFactor:
        if self._factor is None:
            raise SecondFactorError("The key store is still being read; try again.")
        if self._factor.broken is not None:
            raise SecondFactorError(self._factor.broken)
        return self._factor

    def _await_save(self) -> asyncio.Future[str | None]:
        future: asyncio.Future[str | None] = self._loop.create_future()

        def told(error: str | None) -> None:
            self._loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(error))

        assert self._kept is not None
        self._kept.on_saved = told
        return future

    def _save_failed(self, error: str) -> None:
        self._loop.call_soon_threadsafe(
            self._on_alert, f"What was used up of the second factor could not be stored: {error}."
        )

    def _set_mark(self, enrolled: bool) -> None:
        self._marked = enrolled
        self._mark(enrolled)
