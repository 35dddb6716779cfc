"""A simulated gateway and the adapter on it, with everything the adapter told kept in lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

from daemon.clock import TrustedClock, wall_us
from daemon.core.events import Contract, Event
from daemon.gateway.pool import Gateways
from daemon.gateway.timings import Timings
from daemon.simulator import Account, Login, Simulator, SimulatorConfig
from shared.config import AccountsConfig

KEYS = {"trader1": "key-1", "trader2": "key-2", "trader3": "key-3"}

FAST = Timings(
    mutation=1.0,
    read=1.5,
    connect=0.5,
    start=8.0,
    hub_open=0.8,
    hub_subscribe=0.8,
    hub_stop=0.5,
    hub_silence=1.5,
    hub_stable=0.3,
    hub_backoff=(0.0, 0.05, 0.1, 0.2),
    quote_silence=60.0,
    market_failover=0.4,
    login_unreachable=(0.05, 0.1, 0.2),
    login_refused=(0.1, 0.2),
    relogin_min=0.2,
    relogin_min_urgent=0.05,
    token_retry=0.2,
    poll=0.3,
    poll_hub_down=0.2,
    trades_poll=60.0,
    trades_apart=0.1,
    poll_requests_per_minute=10**6,
    settle=0.1,
    reconcile_backoff=(0.05, 0.1),
    warm=60.0,
    announce=0.2,
    frozen_backoff=(0.0, 0.5),
    contract=0.3,
    contract_retry=0.3,
    requests_per_minute=(10**6,) * 5,
    reads_per_minute=10**6,
    account_share=10**6,
    account_ceiling=10**6,
    rate_limit_backoff=(0.1, 0.2),
)
QUIET = replace(FAST, poll=60.0, poll_hub_down=60.0, settle=60.0)
"""Without polls, so that only what is pushed and what is asked for is seen."""

DAY = 86_400_000_000


async def eventually(holds: Callable[[], Any], timeout: float = 5.0, what: str = "") -> Any:
    """Wait until the condition is true and return its value."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while True:
        value = holds()
        if value:
            return value
        if loop.time() > end:
            raise AssertionError(f"did not happen within {timeout} s: {what or holds}")
        await asyncio.sleep(0.005)


class World:
    """One simulator, one adapter."""

    def __init__(
        self,
        config: SimulatorConfig | None = None,
        *,
        logins: Iterable[str | dict[str, Any]] = ("trader1",),
        timings: Timings = FAST,
        contracts: Iterable[Contract] = (),
        keys: dict[str, str] | None = None,
    ) -> None:
        self.sim = Simulator(config or SimulatorConfig(rate_limit=None, ping_interval=0.3))
        self.timings = timings
        self.events: list[Event] = []
        self.alerts: list[tuple[str, str]] = []
        self.keys = dict(KEYS if keys is None else keys)
        self.wall_ahead = 0
        self.clock = TrustedClock(wall=lambda: wall_us() + self.wall_ahead, confirm_seconds=0)
        self._logins = [{"username": name} if isinstance(name, str) else name for name in logins]
        self._contracts = contracts
        self._gateways: Gateways | None = None

    @property
    def gateways(self) -> Gateways:
        """The adapter; made on first use, when the simulator's addresses are known."""
        if self._gateways is None:
            self._gateways = Gateways(
                self.config(),
                self.keys.__getitem__,
                self.clock,
                self.events.append,
                lambda text, detail: self.alerts.append((text, detail)),
                lambda at: at - DAY,
                contracts=self._contracts,
                require_loopback=True,
                timings=self.timings,
                random=Random(1),
            )
        return self._gateways

    def config(self, logins: Iterable[str | dict[str, Any]] | None = None) -> AccountsConfig:
        """The configuration of these logins (those of the world if none are given) on the simulator."""
        chosen = self._logins if logins is None else [{"username": n} if isinstance(n, str) else n for n in logins]
        return AccountsConfig.model_validate(
            {
                "gateway": {
                    "api_url": self.sim.api_url,
                    "user_hub_url": self.sim.user_hub_url,
                    "market_hub_url": self.sim.market_hub_url,
                },
                "logins": chosen,
            }
        )

    def of[E](self, kind: type[E], account_id: int | None = None) -> list[E]:
        """Events of a type so far, of one account if it is given."""
        hits: list[E] = [event for event in self.events if isinstance(event, kind)]
        return hits if account_id is None else [e for e in hits if getattr(e, "account_id", None) == account_id]

    def count(self, path: str, start: int = 0) -> int:
        """Requests the simulator has received at a path, from the start-th request on."""
        return sum(1 for request in list(self.sim.requests)[start:] if request.path == path)

    def alerted(self, part: str) -> bool:
        """Whether an alert holds that text."""
        return any(part in text for text, _ in self.alerts)

    def ready(self) -> bool:
        """Whether all is connected and reconciled."""
        return self.gateways.status().healthy


@asynccontextmanager
async def world(*args: Any, started: bool = True, **kwargs: Any) -> AsyncIterator[World]:
    """A world that is started, and taken down afterwards."""
    made = World(*args, **kwargs)
    await made.sim.start()
    try:
        if started:
            await made.gateways.start()
            assert made.ready(), (made.gateways.status(), made.alerts)
        yield made
    finally:
        await asyncio.wait_for(made.gateways.stop(), 10)
        await made.sim.stop()


def logins(*numbers: int, accounts: int = 2) -> SimulatorConfig:
    """A simulator's configuration with that many accounts for each login: 101, 102 of trader1, 201 … of trader2."""
    made = [Login(f"trader{n}", f"key-{n}", [Account(n * 100 + i) for i in range(1, accounts + 1)]) for n in numbers]
    return SimulatorConfig(logins=made, rate_limit=None, ping_interval=0.3)
