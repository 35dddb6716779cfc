"""The connection test: a login tried step by step, each with what was found and what to do about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from daemon.broker import GatewayError
from daemon.clock import Clock
from daemon.gateway.limiter import Priority, PriorityLimiter
from daemon.gateway.login import MakeLink
from daemon.gateway.reads import AccountReads
from daemon.gateway.rest import LoginError, LoginRest, RestTransport
from daemon.gateway.status import StepResult
from daemon.gateway.supervisor import HubError, HubKind
from daemon.gateway.timings import Timings


async def probe(
    username: str,
    credentials: Callable[[str], str],
    transport: RestTransport,
    make_link: MakeLink,
    *,
    limiter: PriorityLimiter,
    clock: Clock,
    timings: Timings,
) -> list[StepResult]:
    """Log in, list accounts, open both hubs. Bounded in time; steps that cannot be tried are left out."""
    rest = LoginRest(
        username,
        credentials,
        transport,
        limiter=limiter,
        clock=clock,
        timings=timings,
        on_health=lambda _up, _reason: None,
        on_token=lambda: None,
    )
    reads = AccountReads(rest, clock, lambda _text, _detail: None)

    async def log_in() -> str:
        await rest.login()
        return "Logged in."

    async def list_accounts() -> str:
        accounts = await reads.accounts(Priority.READ)
        if not accounts:
            raise GatewayError("the login has no active account")
        return f"{len(accounts)} accounts: " + ", ".join(f"{a.account_id} {a.name}".strip() for a in accounts)

    async def open_hub(kind: HubKind) -> str:
        link = make_link(kind, rest.token, lambda _target, _arguments: None, lambda _detail: None)
        try:
            async with asyncio.timeout(timings.hub_open):
                await link.open()
        finally:
            async with asyncio.timeout(timings.hub_stop):
                await link.close()
        return "Connected."

    results: list[StepResult] = []
    try:
        results.append(await _step("REST login", log_in))
        if results[-1].ok:
            results.append(await _step("accounts", list_accounts))
            results.append(await _step("user hub", lambda: open_hub(HubKind.USER)))
            results.append(await _step("market hub", lambda: open_hub(HubKind.MARKET)))
    finally:
        await rest.close()
    return results


async def _step(name: str, work: Callable[[], Awaitable[str]]) -> StepResult:
    started = time.perf_counter()
    ok, mend = False, ""
    try:
        detail, ok = await work(), True
    except LoginError as error:
        detail, mend = str(error), error.mend
    except GatewayError as error:
        detail = f"The gateway's answer is of no use: {error}."
        mend = "Check on the broker's web site that the login has an active account; try again later."
    except HubError as error:
        detail = f"The hub could not be opened: {error}."
        mend = "Check the hub's address in accounts.yaml, and that no firewall or proxy blocks WebSockets."
    except TimeoutError:
        detail = "No answer in time."
        mend = "Check the hub's address in accounts.yaml, and that no firewall or proxy blocks WebSockets."
    return StepResult(name, ok, detail, mend, (time.perf_counter() - started) * 1000)
