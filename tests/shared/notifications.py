"""Notifications as a daemon sends them, written here by another hand than `daemon.ipc_broadcast`."""

from collections.abc import Mapping

from shared.protocol import encode


def notification_line(method: str, params: Mapping[str, object]) -> bytes:
    """A notification with its newline."""
    return encode({"jsonrpc": "2.0", "method": method, "params": params}) + b"\n"
