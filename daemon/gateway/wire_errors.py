"""What can go wrong with one request, by what is known about it afterwards.

WireError
├── NeverSentError      it surely did not reach the gateway
├── RateLimitedError    HTTP 429: not carried out
├── UnauthorizedError   HTTP 401: not carried out, the token is no good
├── RejectedError       another HTTP 4xx: not carried out
└── AnswerLostError     sent, but time-out, reset, 5xx or an answer that is none: may have been carried out
"""

from __future__ import annotations

from daemon.credentials import redact


class WireError(Exception):
    """Base of the tree above."""


class NeverSentError(WireError):
    """Connection refused or not established, no token, no turn. `retry_after` in seconds where it is known."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RateLimitedError(WireError):
    """HTTP 429. `retry_after` is the header's value in seconds, or None."""

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("the gateway's request limit is reached (HTTP 429)")
        self.retry_after = retry_after


class UnauthorizedError(WireError):
    """HTTP 401."""

    def __init__(self) -> None:
        super().__init__("the gateway does not accept the session (HTTP 401)")


class RejectedError(WireError):
    """HTTP 4xx other than 401, 408 and 429."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the gateway rejected the request (HTTP {status})")
        self.status = status


class AnswerLostError(WireError):
    """Everything else."""


def brief(error: BaseException) -> str:
    """The kind of an exception of a library and what it says, short and without secrets."""
    text = redact(str(error)).strip()
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__
