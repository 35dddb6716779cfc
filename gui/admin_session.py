"""The admin's session: proves both ends to each other, carries calls, asks for the second factor, ends when idle.

Only a process that may read run/admin.key can open one; that is what elevation is for. Everything in the event loop's
thread; no widgets here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from gui import elevation
from shared.admin_auth import ServerNotProvenError
from shared.paths import Home
from shared.protocol import ErrorCode, Json, RpcError
from shared.rpc_client import CallTimeoutError, ClientError, LoginResult

IDLE_SECONDS = 600.0
"""Without a key press or a click for so long the session ends; the daemon ends it then too."""
STEP_SECONDS = 0.25


class SessionState(StrEnum):
    """How far the session is."""

    CONNECTING = "connecting"
    REFUSED = "refused"
    OPEN = "open"
    IDLE = "idle"


class AdminError(Exception):
    """A request was not carried out, or it is not known whether it was; the text is for people.

    `lines` of a configuration that does not validate: (line or None, path, sentence).
    """

    def __init__(self, words: str, lines: list[tuple[int | None, str, str]] | None = None) -> None:
        super().__init__(words)
        self.lines = lines or []


class Rpc(Protocol):
    """The connection; `shared.rpc_client.RpcClient` is one."""

    @property
    def connected(self) -> bool: ...

    @property
    def in_admin_session(self) -> bool: ...

    @property
    def state_text(self) -> str: ...

    async def call(
        self, method: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Json: ...

    async def authenticate(self, key: bytes, timeout: float | None = None) -> LoginResult: ...

    async def second_factor(self, code: str) -> None: ...

    async def log_out(self) -> None: ...


class AdminSession(QObject):
    """`changed` whenever `state` or `words` do. `ask_code` shows a field for a code and gives None when given up."""

    changed = Signal()

    def __init__(
        self,
        home: Home,
        rpc: Rpc,
        *,
        idle_seconds: float = IDLE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._home = home
        self._rpc = rpc
        self._idle_seconds = idle_seconds
        self._monotonic = monotonic
        self._touched_at = monotonic()
        self._keeper: asyncio.Task[None] | None = None
        self._asking = asyncio.Lock()
        self._running = 0
        self.state = SessionState.CONNECTING
        self.words = "Connecting to the daemon…"
        self.factor_enrolled = False
        self.ask_code: Callable[[str], Awaitable[str | None]] | None = None

    @property
    def open(self) -> bool:
        return self.state is SessionState.OPEN

    @property
    def home(self) -> Home:
        return self._home

    def start(self) -> None:
        """Log in as soon as there is a connection, and again after each loss of it."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="admin session")

    async def close(self) -> None:
        """End the session."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        with contextlib.suppress(ClientError, RpcError):
            await self._rpc.log_out()

    def touched(self) -> None:
        """Somebody used the keyboard or the mouse."""
        self._touched_at = self._monotonic()

    def lock(self) -> None:
        """End the session until `unlock`."""
        self._set(SessionState.IDLE, "The session was locked.")

    def unlock(self) -> None:
        """Log in again."""
        self.touched()
        if self.state in (SessionState.IDLE, SessionState.REFUSED):
            self._set(SessionState.CONNECTING, "Connecting to the daemon…")

    def _set(self, state: SessionState, words: str) -> None:
        if (state, words) != (self.state, self.words):
            self.state, self.words = state, words
            self.changed.emit()

    async def _keep(self) -> None:
        refused_at = 0.0
        while True:
            if self.state is SessionState.IDLE:
                if self._rpc.in_admin_session:
                    with contextlib.suppress(ClientError, RpcError):
                        await self._rpc.log_out()
            elif self.open and self._running == 0 and self._monotonic() - self._touched_at >= self._idle_seconds:
                self._set(SessionState.IDLE, "Locked: nobody used this window for ten minutes.")
                continue
            elif not self._rpc.connected:
                words = self._rpc.state_text or "Connecting to the daemon…"
                self._set(SessionState.CONNECTING, words)
            elif not self._rpc.in_admin_session and (
                self.state is not SessionState.REFUSED or self._monotonic() - refused_at >= 2.0
            ):
                await self._log_in()
                refused_at = self._monotonic()
            await asyncio.sleep(STEP_SECONDS)

    async def _log_in(self) -> None:
        try:
            key = await asyncio.to_thread(self._home.admin_key.read_bytes)
        except FileNotFoundError:
            self._set(
                SessionState.REFUSED,
                f"There is no admin key at {self._home.admin_key}: the daemon could not write it, or has just stopped. "
                "Its daemon.log says why.",
            )
            return
        except OSError:
            self._set(SessionState.REFUSED, elevation.without_rights(self._home))
            return
        try:
            result = await self._rpc.authenticate(key)
        except ServerNotProvenError:
            self._set(
                SessionState.REFUSED,
                "What answers on the daemon's port does not know the admin key: it is not your daemon. Nothing was "
                "sent to it. Restart the computer, and have it looked at.",
            )
        except RpcError as error:
            self._set(SessionState.REFUSED, f"The daemon refused the login: {error.message}")
        except (ClientError, ValueError) as error:
            self._set(SessionState.CONNECTING, str(error))
        else:
            self.factor_enrolled = result.second_factor_required
            self.touched()
            self._set(SessionState.OPEN, "")

    # ---- calls

    async def call(self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float = 15.0) -> Any:
        """The result of a method; asks for the second factor when the daemon wants it. Raises AdminError."""
        self._running += 1
        try:
            for _ in range(6):
                try:
                    return await self._rpc.call(method, params, timeout=timeout)
                except RpcError as error:
                    if not _wants_factor(error):
                        raise _said(error) from error
                await self._give_code()
            raise AdminError("The second factor was not accepted; nothing was changed.")
        except CallTimeoutError as error:
            raise AdminError(
                f"{error} It may have been carried out all the same: look at the state before you try again."
            ) from error
        except ClientError as error:
            raise AdminError(f"The daemon can't be reached: {error}") from error
        finally:
            self._running -= 1

    async def _give_code(self) -> None:
        async with self._asking:
            words = ""
            while True:
                code = await self.ask_code(words) if self.ask_code is not None else None
                if code is None:
                    raise AdminError("Nothing was changed: this needs the second factor, and no code was given.")
                self.touched()
                try:
                    await self._rpc.second_factor(code)
                except RpcError as error:
                    if error.code != ErrorCode.NOT_AUTHORIZED:
                        raise _said(error) from error
                    words = error.message
                else:
                    return


def _wants_factor(error: RpcError) -> bool:
    return isinstance(error.data, dict) and error.data.get("policy") == "second_factor"


def _said(error: RpcError) -> AdminError:
    found: list[tuple[int | None, str, str]] = []
    data = error.data
    if isinstance(data, dict) and isinstance(data.get("errors"), list):
        for entry in data["errors"]:
            if isinstance(entry, dict):
                line = entry.get("line")
                found.append((line if isinstance(line, int) else None, str(entry.get("path", "")), str(entry["text"])))
    words = error.message
    if error.code == ErrorCode.METHOD_NOT_FOUND:
        words = "The daemon is older than this window and does not know this request; update the daemon."
    return AdminError(words, found)
