"""What the adapter says of itself: states of logins, hubs and accounts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from daemon.gateway.supervisor import HubState


class LoginState(StrEnum):
    """Where a login is."""

    STARTING = "starting"
    REFUSED = "refused"
    """The gateway does not let it in; tried again with growing pauses."""
    UNREACHABLE = "unreachable"
    NO_ACCOUNTS = "no_accounts"
    """Logged in, but no account that is to be monitored was ever listed."""
    ONLINE = "online"
    DEGRADED = "degraded"
    """It was online; requests fail at present."""
    STOPPED = "stopped"


@dataclass(slots=True, frozen=True)
class AccountStatus:
    """One account.

    `connected`: its login is online and its user hub is up. Times are trusted time, microseconds UTC.
    """

    account_id: int
    login: str
    name: str
    can_trade: bool
    listed: bool
    connected: bool
    reconciled: bool
    last_event_at: int | None
    last_read_at: int | None


@dataclass(slots=True, frozen=True)
class LoginStatus:
    """One login. `detail` is one sentence about what is wrong, empty if nothing is."""

    username: str
    state: LoginState
    detail: str
    user_hub: HubState
    market_hub: HubState
    token_expires_at: int
    accounts: tuple[AccountStatus, ...]


@dataclass(slots=True, frozen=True)
class GatewayStatus:
    """All logins."""

    logins: tuple[LoginStatus, ...]

    @property
    def accounts(self) -> dict[int, AccountStatus]:
        """All accounts by id."""
        return {account.account_id: account for login in self.logins for account in login.accounts}

    @property
    def healthy(self) -> bool:
        """Whether every login is online and every account connected and reconciled."""
        return all(
            login.state is LoginState.ONLINE and all(a.connected and a.reconciled for a in login.accounts)
            for login in self.logins
        )


@dataclass(slots=True, frozen=True)
class StepResult:
    """One step of a connection test.

    `detail` says what was found, `mend` what to do if it failed; `ms` how long it took.
    """

    name: str
    ok: bool
    detail: str
    mend: str
    ms: float
