"""Binds the socket of the daemon, on loopback only and on another port if need be; and accepts for ever."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from daemon.ipc_share import Share
from shared.loopback import is_loopback_host

_WAITING_IN_KERNEL = 1024
_SHARE = 0.25
_CREDIT = 0.02
_LONGEST_REST = 0.01
_REST_MORE = 0.005
_LONGEST_PAUSE = 1.0
_OUR_FAILURES = 10
_RESETS = 1000
_OURS = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EBADF,
    10024,  # Windows: no handles left
    10038,  # Windows: not a socket any more
    10055,  # Windows: no buffers left
}
"""Failures to accept that are this machine's trouble and last."""
_NOT_TO_BE_HAD = {
    errno.EADDRINUSE,
    errno.EACCES,
    errno.EPERM,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    10013,  # Windows: in a range that is excluded, or exclusively another's
    10048,  # Windows: in use
    10049,  # Windows: no such address here
}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where the socket is. `note`: one sentence when that is not where the configuration wanted it, else None."""

    host: str
    port: int
    note: str | None


def loopback_address(host: str) -> str:
    """The address to bind for a configured host. Raises ValueError for anything but loopback."""
    if host == "localhost":
        return "127.0.0.1"
    if is_loopback_host(host):
        return host
    raise ValueError(f"ipc.host is {host!r}; the socket is for this machine only, so use 127.0.0.1 or ::1.")


def bind_loopback(host: str, port: int) -> tuple[socket.socket, str | None]:
    """A listening socket on host:port, else on any free port, else on 127.0.0.1; a sentence when it is not as wanted.

    Raises OSError when nothing can be had.
    """
    try:
        return _listener(host, port), None
    except OSError as error:
        if error.errno not in _NOT_TO_BE_HAD:
            raise
        reason = error
    try:
        listener = _listener(host, 0)
    except OSError:
        if host == "127.0.0.1":
            raise
        listener = _listener("127.0.0.1", 0)
    got_host, got_port = listener.getsockname()[:2]
    note = (
        f"Port {port} on {host} is taken or reserved ({reason.strerror or reason}); the socket is on {got_host} "
        f"port {got_port} instead, where clients find it through public/endpoint.json."
    )
    return listener, note


async def accept_for_ever(
    listener: socket.socket,
    protocol: Callable[[], asyncio.Protocol],
    on_failure: Callable[[OSError], None] = lambda error: None,
    share: Share | None = None,
) -> None:
    """Accepts until it is cancelled, one after the other and with rests when many come: a neighbour that connects and
    connects takes a share of the loop's time, not all of it. `on_failure` hears once when nothing can be accepted.

    Not `loop.create_server`: on Windows that closes the listening socket when one accept fails, which any neighbour can
    cause by connecting and resetting at once (WinError 64; python/cpython issue 93821).
    """
    loop = asyncio.get_running_loop()
    share = share or Share(_SHARE, credit=_CREDIT, longest=_LONGEST_REST)
    failures = 0
    with _quiet_proactor(loop):
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                failures += 1
                ours = error.errno in _OURS or getattr(error, "winerror", None) in _OURS
                if failures == (_OUR_FAILURES if ours else _RESETS):
                    on_failure(error)
                # Most failures are a connection that was reset before it was accepted, under a dozen numbers: no
                # pause then, it would let one who resets and resets keep the others out.
                pause = 0.01 * failures if ours else 0.005 if failures > _RESETS else 0.0
                await asyncio.sleep(min(_LONGEST_PAUSE, pause))
                continue
            failures = 0
            began = time.perf_counter()
            await _adopt(connection, protocol)
            share.charge(time.perf_counter() - began)
            wait = share.wait()
            if wait > 0.0:
                await asyncio.sleep(wait + _REST_MORE)


@contextlib.contextmanager
def _quiet_proactor(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Keeps the proactor loop from logging a traceback for each failed accept, besides raising it."""
    if sys.platform != "win32":
        yield
        return
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("future")
        coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
        if getattr(coroutine, "__qualname__", "").endswith("accept.<locals>.accept_coro"):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        if loop.get_exception_handler() is handle:
            loop.set_exception_handler(before)


async def _adopt(connection: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
    try:
        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
    except OSError:
        connection.close()  # it has gone already


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Without it another program could bind the same port beside us; SO_REUSEADDR there means just that.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # For a restart while old connections are in TIME_WAIT; it never lets two listen on one port here.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_WAITING_IN_KERNEL)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
