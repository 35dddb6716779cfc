"""Why not everything is protected, one plain sentence each: for `riskd status`, the windows and the log."""

from __future__ import annotations

from collections.abc import Callable, Collection

from daemon.gateway.status import AccountStatus, GatewayStatus, LoginState, LoginStatus
from shared.config import AccountsConfig

_STATES = {
    LoginState.STARTING: "it is logging in",
    LoginState.REFUSED: "the gateway refuses it; check its user name and API key",
    LoginState.UNREACHABLE: "the gateway cannot be reached; check the network",
    LoginState.NO_ACCOUNTS: "the gateway lists no account of it",
    LoginState.DEGRADED: "the gateway does not answer its requests",
    LoginState.STOPPED: "it was stopped",
    LoginState.ONLINE: "its accounts' events do not arrive",
}


def problems(status: GatewayStatus, configured: AccountsConfig, *, time_known: bool) -> list[str]:
    """What keeps the daemon from being healthy; empty when nothing does."""
    found = [] if time_known else ["The gateway has not told the time yet, so nothing expires."]
    if not status.logins:
        found.append("No login is enabled, so no account is protected; add one below logins in accounts.yaml.")
    for login in status.logins:
        found += _of_login(login, _named(login, configured))
    return found


def unknown_accounts(status: GatewayStatus, configured: AccountsConfig, known: Collection[int]) -> list[int]:
    """Accounts that accounts.yaml names and that nothing is known of, because their login has not got in."""
    return sorted(
        number
        for login in status.logins
        if login.state is not LoginState.ONLINE
        for number in _named(login, configured)
        if number not in known
    )


def unused_overrides(overrides: Collection[int], status: GatewayStatus, known: Collection[int]) -> list[int]:
    """Accounts that risk_config.yaml has rules for and that no login has; none before all accounts are listed."""
    listed = status.logins and all(login.state is LoginState.ONLINE for login in status.logins)
    return sorted(set(overrides) - set(known)) if listed else []


def override_sentence(account_id: int) -> str:
    """Said of an unused override."""
    return (
        f"risk_config.yaml has rules for account {account_id}, which no login has, so they protect nothing;"
        " correct the number below accounts."
    )


class UnusedOverrides:
    """Tells once of each override that no account has.

    Args:
        look: gives what `unused_overrides` gives now.
        alert: takes a sentence for people.
    """

    def __init__(self, look: Callable[[], list[int]], alert: Callable[[str], None]) -> None:
        self._look = look
        self._alert = alert
        self._told: set[int] = set()

    def look(self) -> None:
        """Tell of what is new."""
        unused = set(self._look())
        for account_id in sorted(unused - self._told):
            self._alert(override_sentence(account_id))
        self._told = unused


def _named(login: LoginStatus, configured: AccountsConfig) -> tuple[int, ...]:
    found = next((known for known in configured.logins if known.username == login.username), None)
    return found.accounts if found is not None and found.accounts != "all" else ()


def _of_login(login: LoginStatus, named: tuple[int, ...]) -> list[str]:
    if login.state is LoginState.ONLINE and all(account.connected for account in login.accounts):
        return [_unread(account) for account in login.accounts if not account.reconciled]
    why = login.detail.strip().rstrip(".") or _STATES[login.state]
    ids = sorted({*named, *(account.account_id for account in login.accounts)})
    whom = f" Account{'s' if len(ids) > 1 else ''} {', '.join(map(str, ids))}" if ids else " Its accounts"
    lasting = "is" if len(ids) == 1 else "are"
    return [f"Login {login.username}: {why}.{whom} {lasting} not monitored at present."]


def _unread(account: AccountStatus) -> str:
    return f"Account {account.account_id} has not been read completely yet."
