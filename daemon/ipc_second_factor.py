"""The second factor of admin sessions, if one is enrolled: asked for, judged, and remembered by session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from daemon.ipc_alerts import IpcAlerts
from daemon.ipc_sessions import Session, second_factor_needed
from shared.protocol import ErrorCode, RpcError


class SecondFactorCheck(Protocol):
    """The optional second factor of admin sessions; `daemon.second_factor.SecondFactor` is one."""

    @property
    def enrolled(self) -> bool: ...

    @property
    def reading(self) -> bool:
        """Whether it is not known yet; `enrolled` is True then."""
        ...

    def verify(self, code: str, now: int) -> bool:
        """Judges a code at `now` (microseconds UTC) and uses it up."""
        ...


class SecondFactorGate:
    """`check`: None when there is no such thing. `now`: trusted time, microseconds UTC."""

    def __init__(self, check: SecondFactorCheck | None, now: Callable[[], int], alerts: IpcAlerts) -> None:
        self._check = check
        self._now = now
        self._alerts = alerts

    def enrolled(self) -> bool:
        """Whether one is asked for."""
        return self._check is not None and self._check.enrolled

    def passed(self, session: Session) -> bool:
        """Whether none is asked for, or it was given in this session."""
        return session.second_factor_given or not self.enrolled()

    def refusal(self) -> RpcError:
        """What a request is answered that needs one and came without."""
        return _not_known_yet() if self._check is not None and self._check.reading else second_factor_needed()

    def give(self, session: Session, code: str) -> dict[str, object]:
        """Judges a code. Raises RpcError -32001 when it is not accepted, -32005 while nothing can be judged yet."""
        if self._check is not None and self._check.reading:
            raise _not_known_yet()
        if self._check is not None and self._check.enrolled:
            if not self._check.verify(code, self._now()):
                self._alerts.warn("second_factor_failed", "A second factor was refused in an admin session.")
                text = "The code was not accepted: wrong, used already, or too many were tried; wait for the next one."
                raise RpcError(ErrorCode.NOT_AUTHORIZED, text)
            session.second_factor_given = True
        return {"second_factor_required": not self.passed(session)}


def _not_known_yet() -> RpcError:
    text = (
        "Whether a second factor is set up cannot be read yet: the daemon is still reading the key store. "
        "Try again in a moment."
    )
    return RpcError(ErrorCode.BUSY, text, {"retry_after": 1.0})
