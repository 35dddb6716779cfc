"""The deterministic record of everything that happened: one JSON line each, sorted keys, broker time."""

from __future__ import annotations

import hashlib
from collections import deque

import orjson

from daemon.simulator.clock import stamp


class EventLog:
    """Keeps the last `limit` lines; the digest covers all lines ever written."""

    def __init__(self, limit: int) -> None:
        self._lines: deque[bytes] = deque(maxlen=limit)
        self._hash = hashlib.sha256()
        self.count = 0

    def write(self, at: int, kind: str, data: dict[str, object]) -> None:
        """Append one line."""
        self.count += 1
        line = orjson.dumps({"n": self.count, "at": stamp(at), "kind": kind, "data": data}, option=orjson.OPT_SORT_KEYS)
        self._lines.append(line)
        self._hash.update(line)
        self._hash.update(b"\n")

    @property
    def lines(self) -> list[bytes]:
        """The kept lines, oldest first."""
        return list(self._lines)

    def dump(self) -> bytes:
        """The kept lines as one newline-terminated text."""
        return b"".join(line + b"\n" for line in self._lines)

    def digest(self) -> str:
        """SHA-256 over every line written so far."""
        return self._hash.hexdigest()
