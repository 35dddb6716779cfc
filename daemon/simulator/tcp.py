"""Cutting a TCP connection the hard way."""

from __future__ import annotations

import socket
import struct
import sys

from aiohttp import web

# struct linger is two shorts on Windows, two ints elsewhere.
LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


def reset(request: web.BaseRequest) -> None:
    """Send RST: the peer sees 'connection reset', not an orderly end."""
    transport = request.transport
    if transport is None:
        return
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    transport.abort()
