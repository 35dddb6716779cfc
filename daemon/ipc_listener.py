"""Binds the socket of the daemon: loopback only, another port when the wanted one can't be had."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from dataclasses import dataclass

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
        listener.listen(1024)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
