"""The socket of the daemon, and public/endpoint.json, which tells programs where it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Mapping

from daemon.admin_key import AdminKeyError, remove_admin_key, write_admin_key
from daemon.config_writing import write_atomically
from daemon.ipc_server import Handler, IpcAlert, IpcServer, SecondFactorCheck
from shared.config import IpcConfig
from shared.paths import Home

_GRACE_SECONDS = 1.0
RETRY_SECONDS = 5.0
"""After a failure, until the file is written again: on a disk that was full programs find the daemon when it is not."""


class Endpoint:
    """Opens, tells of and closes the socket. Enforcement never depends on it.

    Args:
        facts: what the file says of the daemon itself, asked for at each writing.
        alert: takes a sentence for people.
    """

    def __init__(self, home: Home, facts: Callable[[], Mapping[str, object]], alert: Callable[[str], None]) -> None:
        self.server: IpcServer | None = None
        self._home = home
        self._facts = facts
        self._alert = alert
        self._address: dict[str, object] = {}
        self._closed = False
        self._retry: asyncio.TimerHandle | None = None

    async def open(
        self,
        wanted: IpcConfig,
        handlers: Mapping[str, Handler],
        *,
        now: Callable[[], int],
        on_alert: Callable[[IpcAlert], None],
        second_factor: SecondFactorCheck,
    ) -> IpcServer | None:
        """Listen, with a fresh admin key. None when no socket is to be had: people are told, protection goes on."""
        try:
            admin_key: bytes | None = write_admin_key(self._home.run)
        except AdminKeyError as error:
            admin_key = None
            self._alert(f"{error} The admin cannot log in until the next start.")
        server = IpcServer(
            wanted.host, wanted.port, admin_key, handlers, now=now, on_alert=on_alert, second_factor=second_factor
        )
        try:
            listening = await server.start()
        except OSError as error:
            self._alert(f"The socket could not be opened ({error.strerror}); accounts are protected all the same.")
            self._take_back()
            return None
        self._address = {"host": listening.host, "port": listening.port}
        self.server = server
        return server

    def publish(self) -> None:
        """Write the file, if there is a socket to tell of; when it cannot be written, again and again until it can.

        To be called in the event loop's thread.
        """
        if self.server is None or self._closed:
            return
        failed_before = self._retry is not None
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        path = self._home.endpoint
        try:
            write_atomically(path, json.dumps({**self._address, **self._facts()}))
            if os.name == "posix":
                path.chmod(0o644)
        except OSError as error:
            self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self.publish)
            if not failed_before:
                self._alert(
                    f"{path} could not be written ({error.strerror}); windows cannot find the daemon until it can."
                )

    async def close(self) -> None:
        """Take file and key away, then close the socket."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        remove_admin_key(self._home.run)
        self._take_back()
        if self.server is not None:
            await self.server.stop(_GRACE_SECONDS)

    def _take_back(self) -> None:
        # A file left behind by a daemon that was killed would send programs to whoever listens there now.
        with contextlib.suppress(OSError):
            self._home.endpoint.unlink(missing_ok=True)
