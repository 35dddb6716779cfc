"""What tests and benchmarks measure: requests received and frames sent, stamped with time.perf_counter_ns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class RequestRecord:
    """One HTTP request: `received_ns` when its headers had arrived, `answered_ns` just before the answer was written.

    `path` is what follows /api/ (or hubs/…); `at` broker time in microseconds; `status` 0 while unanswered or cut off;
    `error_code` the envelope's; `fault` the injected effect's name.
    """

    received_ns: int
    at: int
    path: str
    login: str | None = None
    body: dict[str, Any] | None = None
    status: int = 0
    error_code: int | None = None
    fault: str | None = None
    answered_ns: int = 0
    client_port: int = 0
    """Requests with the same came on one connection."""

    @property
    def account_id(self) -> int | None:
        """The account the request is about, None if it names none."""
        body = self.body or {}
        value = body.get("accountId")
        if value is None and isinstance(body.get("filter"), dict):
            value = body["filter"].get("accountId")
        return value if isinstance(value, int) else None


@dataclass(slots=True)
class SentFrame:
    """One SignalR message handed to the socket at `sent_ns`.

    `kind`: order, position, …; `key` account id or contract id.
    """

    sent_ns: int
    connection: int
    hub: str
    login: str
    kind: str
    key: object
    size: int
