"""What the admin's part of the daemon is made of: alerts, second factor, methods, the log's follower; wired here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from loguru import logger

from daemon import alerts as alerting
from daemon.admin_api import AdminApi
from daemon.alerts import Alerts
from daemon.api import Api
from daemon.api_ports import Handler, Host
from daemon.audit import AuditLog
from daemon.credentials import CredentialStore
from daemon.factor_store import MARK_KEY, KeyringFactor
from daemon.ipc_alerts import IpcAlert
from daemon.log_reading import LogFollower
from shared.paths import Home

if TYPE_CHECKING:
    from daemon.ipc_server import IpcServer

_NOTED = frozenset(
    {"admin_logged_in", "admin_login_failed", "admin_login_paused", "second_factor_failed", "signature_refused"}
)
"""Alerts of the socket that belong into the audit log."""


class Keeper(Protocol):
    """Keeps values across restarts; `daemon.store.Store` is one."""

    def put_state(self, key: str, value: object) -> None:
        """Keep a value; None forgets it."""


KEY_STORE_SECONDS = 3.0
"""How long the start waits for the key store; until it has answered, a second factor counts as enrolled."""


class AdminSide:
    """Made once the database and the key store are known, in the event loop; `start` when the socket listens.

    Args:
        kept: what `keeper` kept at the last run.
    """

    def __init__(
        self,
        host: Host,
        home: Home,
        *,
        api: Api,
        audit: AuditLog,
        credentials: CredentialStore,
        keeper: Keeper,
        kept: dict[str, Any],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._audit = audit
        self._keeper = keeper
        self._tasks: set[asyncio.Task[Any]] = set()
        self._follower: LogFollower | None = None
        self._loading: asyncio.Task[None] | None = None
        saved = kept.get(alerting.STATE_KEY)
        self.alerts = Alerts(credentials, saved if isinstance(saved, list) else (), keep=self._keep_targets)
        self.factor = KeyringFactor(
            credentials,
            marked=kept.get(MARK_KEY) is True,
            mark=lambda enrolled: keeper.put_state(MARK_KEY, True if enrolled else None),
            on_alert=lambda text: self.alert("error", text),
        )
        self.api = AdminApi(host, home, audit, api, credentials=credentials, alerts=self.alerts, factor=self.factor)

    def handlers(self) -> dict[str, Handler]:
        """The methods of the admin window."""
        return self.api.handlers()

    def begin(self) -> None:
        """Read the key store beside the daemon's start."""
        self._loading = self._loop.create_task(_quietly(self.factor.load()))

    async def start(self, server: IpcServer) -> None:
        """The socket opens: let the log be followed, once it is known whether there is a second factor."""
        if self._loading is not None:
            await asyncio.wait({self._loading}, timeout=KEY_STORE_SECONDS)
        self._follower = LogFollower(lambda: server.wanted("log"), lambda data: server.publish("log", None, data))

    def check_audit(self) -> None:
        """See beside the daemon's work whether the audit log is as it was written."""
        self._run(self._check_audit())

    async def _check_audit(self) -> None:
        broken = await self._audit.verify()
        if broken is not None:
            text = f"{broken.reason} Somebody may have changed the database: look at what else was changed."
            logger.error("{}", text)
            self.alert("error", text)

    async def close(self) -> None:
        """End what is under way."""
        self.api.close()
        if self._follower is not None:
            self._follower.close()
        for task in (*self._tasks, *([self._loading] if self._loading is not None else [])):
            task.cancel()
        await asyncio.to_thread(self.alerts.close, 1.0)

    def alert(self, kind: str, text: str) -> None:
        """Send something to the targets that want its kind; "info" goes to none."""
        if kind in alerting.KINDS:
            self.alerts.send(kind, text)

    def socket_alert(self, alert: IpcAlert) -> None:
        """An alert of the socket: sent on, and what concerns admin logins noted in the audit log."""
        self.alert(alert.severity, alert.text)
        if alert.kind in _NOTED:
            self._run(self._audit.append("socket", alert.kind, {}, alert.text))

    def _run(self, work: Any) -> None:
        task = self._loop.create_task(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _keep_targets(self, rows: list[dict[str, Any]]) -> None:
        self._loop.call_soon_threadsafe(self._keeper.put_state, alerting.STATE_KEY, rows)


async def _quietly(work: Any) -> None:
    try:
        await work
    except Exception as error:  # noqa: BLE001 - beside the daemon's work; it goes on
        logger.error("Something beside the daemon's work failed ({}).", type(error).__name__)
