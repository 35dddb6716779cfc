"""Whether an administrator may stop, restart, replace or uninstall the service, as far as our own program offers it.

The running daemon decides, in an admin session (who can read ``run/admin.key`` is an administrator): it alone knows the
second factor. A local administrator can end a service by other means; this is about what we offer. Whatever has the
service down, be it for seconds, is judged alike: done again and again, seconds are hours (docs/decisions/0155).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from daemon.windows.active_lockouts import UnreadableDatabaseError, second_factor_enrolled
from shared.admin_auth import ServerNotProvenError
from shared.endpoint import EndpointError
from shared.paths import Home
from shared.protocol import RpcError
from shared.rpc_client import RpcClient
from shared.rpc_wire import ClientError, UnreachableError

TIMEOUT_S = 10.0
READING_S = 30.0
"""How long a daemon that has just started is given to read its key store: seconds, on a machine that is starting."""
READING_STEP_S = 0.25


@dataclass(frozen=True)
class Wish:
    """What is asked for. ``locked``: the sentence that says which lockout stands against it, or None."""

    action: str
    locked: str | None = None
    although_locked: bool = False
    second_factor: str | None = None


def refusal(home: Home, wish: Wish) -> str | None:
    """The sentence that refuses the wish, or None when it is allowed.

    With an active lockout it is allowed only when it was asked for in so many words, by an admin session and with the
    second factor, if one is set up. The daemon then records it in its audit log, and stops.
    """
    if wish.locked and not wish.although_locked:
        return (
            f"{wish.locked} Wait until the lockout ends, have an administrator clear it in the admin window, or say "
            "--although-locked."
        )
    try:
        return asyncio.run(_ask(home, wish))
    except (UnreachableError, EndpointError):
        return _without_daemon(home, wish)
    except (ClientError, RpcError, ServerNotProvenError, OSError) as error:
        return f"The daemon did not allow you to {wish.action}: {error}"


def _without_daemon(home: Home, wish: Wish) -> str | None:
    needed = f"only the running daemon can check it: start the service first, then {wish.action}."
    if wish.locked:
        return f"{wish.locked} An administrator's word is needed, and {needed}"
    try:
        enrolled = second_factor_enrolled(home.database)
    except UnreadableDatabaseError as error:
        return f"Whether a second factor is set up is unknown, because {error}; start the service, which repairs it."
    return f"A second factor is set up, and {needed}" if enrolled else None


async def _ask(home: Home, wish: Wish) -> str | None:
    client = RpcClient(home.endpoint, connect_timeout=TIMEOUT_S, call_timeout=TIMEOUT_S)
    try:
        await client.connect()
        result = await client.authenticate(home.admin_key.read_bytes())
        if result.second_factor_required and (refused := await _second_factor(client, wish)):
            return refused
        if wish.locked:
            await client.call("stop_daemon", {"reason": f"asked to {wish.action} although locked: {wish.locked}"[:500]})
    finally:
        await client.close()
    return None


async def _second_factor(client: RpcClient, wish: Wish) -> str | None:
    """Give the code to the daemon if it wants one; the sentence that refuses, or None. Raises what the calls raise."""
    state = await _known(client)
    if state.get("reading"):
        return (
            "Whether a second factor is set up cannot be read yet: the daemon is still reading the key store. "
            "Try again in a moment."
        )
    if state.get("broken"):
        return f"The daemon does not allow you to {wish.action}: {state['broken']}"
    if state.get("enrolled") is False:  # the key store, read meanwhile, has none
        return None
    if wish.second_factor is None:
        return f"A second factor is set up: to {wish.action}, say --second-factor CODE."
    await client.second_factor(wish.second_factor)
    return None


async def _known(client: RpcClient) -> dict[str, Any]:
    """What the daemon says of the second factor, once it has read the key store or `READING_S` are over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READING_S
    while True:
        answer = await client.call("get_second_factor")
        state = answer if isinstance(answer, dict) else {}
        if not state.get("reading") or loop.time() >= deadline:
            return state
        await asyncio.sleep(READING_STEP_S)
