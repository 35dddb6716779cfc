"""Binds the socket of the daemon, on loopback only and on another port if need be; and accepts for ever."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

_WAITING_IN_KERNEL = 1024
_ACCEPTED_AT_ONCE = 16
_LONGEST_PAUSE = 1.0
_THREAD_LOOKS_UP = 0.5
_PEER_WENT = {
    errno.ECONNABORTED,
    errno.ECONNRESET,
    errno.EPROTO,
    59,  # Windows under Wine: unexpected network error
    64,  # Windows: the network name is no longer available, that is, reset before it was accepted
    10053,
    10054,
}
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
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
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
    on_failure: Callable[[OSError, int], None] = lambda error, in_a_row: None,
    *,
    in_thread: bool = sys.platform == "win32",
) -> None:
    """Accepts until it is cancelled, a few at a time. `on_failure` hears what went wrong, and how often in a row.

    Not `loop.create_server`: on Windows that closes the listening socket when one accept fails, which any neighbour can
    cause by connecting and resetting at once (WinError 64; python/cpython issue 93821). The accept of the proactor loop
    alone would do, but writes a traceback to the log for each of these; so there a thread of its own accepts.
    """
    loop = asyncio.get_running_loop()
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ipc accept") if in_thread else None
    listener.settimeout(_THREAD_LOOKS_UP if in_thread else 0.0)
    adopting: set[asyncio.Task[None]] = set()
    failures = accepted = 0
    try:
        while True:
            try:
                if thread is None:
                    connection, _ = await loop.sock_accept(listener)
                else:
                    connection, _ = await loop.run_in_executor(thread, listener.accept)
            except TimeoutError:
                continue
            except OSError as error:
                if _is_the_peers_doing(error):
                    await asyncio.sleep(0)  # a pause would let one who resets and resets keep the others out
                    continue
                failures += 1
                on_failure(error, failures)
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.01 * failures))
                continue
            failures = 0
            task = loop.create_task(_adopt(connection, protocol))
            adopting.add(task)
            task.add_done_callback(adopting.discard)
            accepted += 1
            if accepted % _ACCEPTED_AT_ONCE == 0:
                await asyncio.sleep(0)  # sock_accept need not give way
    finally:
        for task in adopting:
            task.cancel()
        if thread is not None:
            thread.shutdown(wait=False, cancel_futures=True)


def _is_the_peers_doing(error: OSError) -> bool:
    return error.errno in _PEER_WENT or getattr(error, "winerror", None) in _PEER_WENT


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
