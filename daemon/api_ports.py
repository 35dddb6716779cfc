"""What the handlers of the socket's methods ask of the rest of the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from daemon.ipc_sessions import CallContext

if TYPE_CHECKING:
    from daemon.announcer import Announcer
    from daemon.backups import Backups
    from daemon.clock import Clock
    from daemon.configuration import ConfigurationService
    from daemon.core.engine import Engine
    from daemon.core.events import Event
    from daemon.logins import Logins

Row = dict[str, Any]
Handler = Callable[[Any, CallContext], Awaitable[object]]


class LogReader(Protocol):
    """What the handlers read from the store; `daemon.store.Store` is one."""

    async def enforcement_log(
        self, account_id: int | None = None, limit: int = 100, before_id: int | None = None
    ) -> list[Row]:
        """Rows of the enforcement log, newest first."""

    async def lockout_history(
        self, account_id: int | None = None, limit: int = 100, before_id: int | None = None
    ) -> list[Row]:
        """Past and active lockouts, newest first."""


class Audit(Protocol):
    """The audit log; `daemon.audit.AuditLog` is one."""

    async def append(self, actor: str, action: str, params: Mapping[str, object], result: str) -> object:
        """Note an admin action."""

    async def page(self, limit: int, before_id: int | None) -> list[Row]:
        """Rows, newest first."""

    async def verify(self) -> object:
        """The first broken row, or None."""


class Host(Protocol):
    """What the handlers ask of the service itself."""

    engine: Engine
    announcer: Announcer
    configuration: ConfigurationService
    backups: Backups
    logins: Logins
    version: str

    @property
    def started_at(self) -> int:
        """Trusted time of the start, microseconds UTC."""

    @property
    def clock(self) -> Clock:
        """Trusted time."""

    def status(self) -> str:
        """starting, healthy, degraded or stopping."""

    def problems(self) -> list[str]:
        """Why it is not healthy, one sentence each."""

    def unknown_accounts(self) -> list[int]:
        """Accounts that are to be monitored and that nothing is known of yet."""

    def connected(self, account_id: int) -> bool:
        """Whether the account's events are being received."""

    def queue_depth(self) -> int:
        """Decisions that wait."""

    def deliver(self, event: Event) -> None:
        """Feed an event."""

    async def settled(self) -> None:
        """Returns when everything decided so far is carried out."""

    def request_stop(self, reason: str) -> None:
        """Begin the shutdown."""
