"""API keys that accounts.yaml names anew are tried at the gateway before they come into force.

However such a key got into the file, by the admin window or by an editor: the key in force stays until the gateway has
accepted the other one, so that a wrong key leaves nothing unprotected (`daemon.protection`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from daemon.gateway.rest import LoginError
from shared.config import LoginConfig
from shared.protocol import ErrorCode, RpcError

AGAIN_UNREACHABLE_S = 15.0
AGAIN_REFUSED_S = 600.0
"""Seconds to the next try of the same key. A refused one may be made good on the broker's side."""

type _Name = tuple[str, str]


class KeyTrials:
    """Tries keys beside the sessions that run.

    Args:
        waiting: the logins whose keys wait to be tried.
        check: logs in as a login, with its key. Raises LoginError.
        accepted: called with a login whose key the gateway took.
        alert: takes a sentence for people.
    """

    def __init__(
        self,
        waiting: Callable[[], Sequence[LoginConfig]],
        check: Callable[[LoginConfig], Awaitable[None]],
        accepted: Callable[[LoginConfig], None],
        alert: Callable[[str], None],
    ) -> None:
        self._waiting = waiting
        self._check = check
        self._accepted = accepted
        self._alert = alert
        self._not_before: dict[_Name, float] = {}
        self._told: set[_Name] = set()
        self._running: dict[_Name, asyncio.Task[None]] = {}

    def look(self) -> None:
        """Begin to try what waits and was not tried lately. Cheap: to be called again and again."""
        now = asyncio.get_running_loop().time()
        waiting = {_name(login): login for login in self._waiting()}
        self._not_before = {name: at for name, at in self._not_before.items() if name in waiting}
        self._told &= waiting.keys()
        for name, login in waiting.items():
            if name not in self._running and now >= self._not_before.get(name, now):
                self._running[name] = asyncio.create_task(self._try(name, login), name=f"key of {login.username}")

    async def stop(self) -> None:
        """Try nothing any more."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    async def require(self, logins: Sequence[LoginConfig]) -> None:
        """Try these keys now. Raises RpcError if the gateway does not accept one, or cannot be asked."""
        for login in logins:
            try:
                await self._check(login)
            except LoginError as error:
                raise refusal(login.username, error) from None

    async def _try(self, name: _Name, login: LoginConfig) -> None:
        pause = AGAIN_UNREACHABLE_S
        try:
            await self._check(login)
            self._accepted(login)
        except LoginError as error:
            if error.refused:
                pause = AGAIN_REFUSED_S
            if name not in self._told:
                self._told.add(name)
                self._alert(
                    f"accounts.yaml names another API key for {login.username}, which could not be used: {error}"
                    " The key before it stays in force."
                )
        except OSError as error:
            self._alert(f"The API key of {login.username} could not be stored ({error.strerror}); it is tried again.")
        finally:
            self._not_before[name] = asyncio.get_running_loop().time() + pause
            self._running.pop(name, None)


def refusal(username: str, error: LoginError) -> RpcError:
    """The answer to a key that did not get in."""
    if error.refused:
        text = f"The API key of {username} was not changed: {error} {error.mend}"
        return RpcError(ErrorCode.REFUSED_BY_POLICY, text.strip())
    text = f"The API key of {username} was not changed, because it could not be tried: {error}"
    return RpcError(ErrorCode.GATEWAY_UNREACHABLE, text)


def _name(login: LoginConfig) -> _Name:
    return login.username, hashlib.sha256(login.api_key.get_secret_value().encode()).hexdigest()
