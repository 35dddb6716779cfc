"""The logins: their API keys, a change of them while the daemon runs, and trying one out step by step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from daemon.credentials import CredentialError, CredentialStore, checked_key, key_of, register_secret
from daemon.gateway.rest import LoginError
from daemon.key_trials import refusal
from shared.config import AccountsConfig, LoginConfig
from shared.protocol import ErrorCode, RpcError

if TYPE_CHECKING:
    from daemon.gateway.pool import Gateways

_FLUSH_SECONDS = 2.0


class Logins:
    """Which logins are in force, and with which keys. `gateways` is set as soon as it is made, with `key` for its keys.

    Args:
        accounts: accounts.yaml as it is in force.
        alert: takes a sentence for people.
        flush: writes the database within so many seconds, or says that it could not.
    """

    gateways: Gateways

    def __init__(
        self,
        accounts: AccountsConfig,
        credentials: CredentialStore,
        alert: Callable[[str], None],
        flush: Callable[[float], Awaitable[bool]],
    ) -> None:
        self.accounts = accounts
        self._credentials = credentials
        self._alert = alert
        self._flush = flush
        self._applying = asyncio.Lock()

    def key(self, username: str) -> str:
        """The API key of a login, configured or not. Blocks, for a thread. Raises CredentialError."""
        login = next((known for known in self.accounts.logins if known.username == username), None)
        key = key_of(login if login is not None else LoginConfig(username=username), self._credentials)
        register_secret(key)
        return key

    async def apply(self, accounts: AccountsConfig) -> None:
        """Another accounts.yaml is in force: log in and out as it says, one change after the other."""
        self.accounts = accounts
        async with self._applying:
            try:
                # Of changes that came in quick succession the last one counts.
                await self.gateways.apply(self.accounts)
            except ValueError as error:
                self._alert(str(error))

    async def check(self, login: LoginConfig) -> None:
        """Log in as `login` with its key, beside the session that runs. Raises LoginError."""
        await self.gateways.check_login(login.username, lambda _: key_of(login, self._credentials))

    async def set_key(self, username: str, api_key: str) -> None:
        """Store an API key in the key store of the daemon's own account, and log in with it.

        Where a key of that login is in use already, the gateway must take the new one before it is replaced.

        Raises:
            RpcError: the gateway or the key store did not take it.
        """
        register_secret(api_key)
        try:
            key = checked_key(api_key)
            register_secret(key)
            if await self._in_use(username):
                await self.gateways.check_login(username, lambda _: key)
            await asyncio.to_thread(self._credentials.set, username, key)
        except LoginError as error:
            raise refusal(username, error) from None
        except CredentialError as error:
            raise RpcError(ErrorCode.REFUSED_BY_POLICY, str(error)) from error
        await self.gateways.renew_login(username)

    async def _in_use(self, username: str) -> bool:
        """Whether a login is in force with a key from the key store."""
        login = next((known for known in self.accounts.logins if known.username == username), None)
        if login is None or not login.enabled or not login.uses_keyring:
            return False
        try:
            return await asyncio.to_thread(self._credentials.has, username)
        except CredentialError:
            return True

    async def try_out(self, username: str) -> list[dict[str, Any]]:
        """Try the database, then every step of a login: name, ok, detail, mend (what to do), ms."""
        began = time.perf_counter()
        flushed = await self._flush(_FLUSH_SECONDS)
        rows: list[dict[str, Any]] = [
            {
                "name": "database",
                "ok": flushed,
                "detail": "written and read" if flushed else f"could not be written within {_FLUSH_SECONDS:.0f} s",
                "mend": "" if flushed else "Free disk space, or look at error.log.",
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
        ]
        for step in await self.gateways.test_connection(username):
            rows.append(
                {"name": step.name, "ok": step.ok, "detail": step.detail, "mend": step.mend, "ms": round(step.ms, 1)}
            )
        return rows
