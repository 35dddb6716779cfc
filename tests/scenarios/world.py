"""A simulated gateway and a whole daemon on it, in one event loop: what is asserted is the broker's own truth.

The daemon speaks to the simulator over loopback TCP through the unmodified SDK, keeps a real database in a real home
folder and opens its real socket. Broker time is moved by `World.travel`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from daemon.core.units import SECOND_US
from daemon.gateway.timings import Timings
from daemon.service import Options, Service
from daemon.simulator import Account, Login, RequestRecord, Simulator, SimulatorConfig, Trader
from shared.paths import Home
from shared.rpc_client import RpcClient
from tests.gateway.world import FAST

WEDNESDAY = datetime(2026, 12, 2, 15, 0, tzinfo=UTC)
"""10:00 in New York, inside the session; no holiday is near."""

PATIENT = replace(FAST, poll=600.0, poll_hub_down=600.0, settle=600.0, trades_poll=600.0)
"""Without polls: what is done is done because of a push or of the enforcer's own reads."""


async def eventually(holds: Callable[[], Any], what: str = "", timeout: float = 8.0) -> Any:
    """Wait until the condition is true and return its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {timeout} s: {what or holds}")
        await asyncio.sleep(0.003)


def accounts(*ids: int, login: str = "trader1") -> list[Login]:
    """One login with these accounts."""
    return [Login(login, f"key-of-{login}", [Account(number, f"ACC-{number}") for number in ids])]


def broker(logins: list[Login], start: datetime = WEDNESDAY, **more: Any) -> SimulatorConfig:
    """Settings of a broker without fees and without a request limit."""
    free = dict.fromkeys(("ES", "NQ", "MNQ", "RTY", "MES"), 0)
    return SimulatorConfig(logins=logins, start=start, rate_limit=None, fees={**free}, ping_interval=0.3, **more)


def write_home(folder: Path, simulator: Simulator, risk: Mapping[str, Any]) -> Home:
    """A home folder whose logins are the simulator's; the socket takes any free port."""
    home = Home(folder)
    home.create()
    write_accounts(home, simulator, simulator.config.logins)
    write_risk(home, risk)
    home.holidays_file.write_text("dates: {}\n", encoding="utf-8")
    return home


def write_accounts(home: Home, simulator: Simulator, logins: list[Login]) -> None:
    """accounts.yaml with these logins at the simulator."""
    content = {
        "gateway": {
            "api_url": simulator.api_url,
            "user_hub_url": simulator.user_hub_url,
            "market_hub_url": simulator.market_hub_url,
        },
        "logins": [{"username": login.username, "api_key": login.api_key} for login in logins],
    }
    home.accounts_file.write_text(yaml.safe_dump(content), encoding="utf-8")
    home.accounts_file.chmod(0o600)


def write_risk(home: Home, risk: Mapping[str, Any]) -> None:
    """risk_config.yaml."""
    home.risk_config_file.write_text(yaml.safe_dump({"ipc": {"port": 0}, **risk}), encoding="utf-8")


class World:
    """One broker, one daemon, one account 101 unless said otherwise."""

    def __init__(
        self,
        folder: Path,
        risk: Mapping[str, Any],
        *,
        config: SimulatorConfig | None = None,
        timings: Timings = FAST,
        wall_clock: Callable[[], int] | None = None,
    ) -> None:
        self.sim = Simulator(config or broker(accounts(101)))
        self.risk = risk
        self.folder = folder
        self.timings = timings
        self.wall_clock = wall_clock
        self.home = Home(folder)
        self.service: Service
        self.client: RpcClient
        self._running = False

    # ---- life

    async def open(self) -> None:
        """Start the broker and write the home folder."""
        await self.sim.start()
        self.home = write_home(self.folder, self.sim, self.risk)

    async def start(self, *, healthy: bool = True) -> None:
        """Start a daemon on the home folder."""
        options = Options(
            self.home,
            require_loopback=True,
            timings=self.timings,
            console_log=False,
            confirm_clock_seconds=0,
            watchdog=False,
        )
        if self.wall_clock is not None:
            options.wall_clock = self.wall_clock
        self.service = Service(options)
        self._running = True
        await self.service.start()
        self.client = RpcClient(self.home.endpoint)
        await self.client.connect()
        if healthy:
            await eventually(lambda: self.service.status() == "healthy", "healthy")

    async def stop(self) -> None:
        """Stop the daemon; safe to call twice."""
        if self._running:
            self._running = False
            if hasattr(self, "client"):
                await self.client.close()
            await asyncio.wait_for(self.service.stop(), 20)

    async def admin(self) -> RpcClient:
        """A connection with an admin's session; the caller closes it."""
        # Until the key store has answered, a second factor is taken to be enrolled.
        await eventually(lambda: not self.service.admin.factor.enrolled, "the key store has answered", 20)
        client = RpcClient(self.home.endpoint)
        await client.connect()
        await client.authenticate(self.home.admin_key.read_bytes())
        return client

    # ---- the broker's truth

    def trader(self, account: int = 101) -> Trader:
        """The trader at another device."""
        return self.sim.trader(account)

    def held(self, account: int = 101) -> dict[str, int]:
        """Signed contracts by symbol."""
        return {holding.symbol: holding.net for holding in self.sim.positions(account)}

    async def quoted(self, symbol: str) -> None:
        """Wait until the daemon has a price of a contract that is held."""
        contract = self.sim.contract(symbol).id
        books = self.service.engine.market.books
        await eventually(lambda: contract in books and books[contract].bid, f"a quote of {symbol}")

    def working(self, account: int = 101) -> set[int]:
        """Ids of the working orders."""
        return {order.id for order in self.sim.working_orders(account)}

    def flat(self, account: int = 101) -> bool:
        """Nothing held, nothing working."""
        return not self.held(account) and not self.working(account)

    def sent(self, path: str, start: int = 0) -> list[RequestRecord]:
        """Requests the broker has received at a path, from the start-th request on."""
        return [request for request in list(self.sim.requests)[start:] if request.path == path]

    def never_flipped(self, account: int = 101) -> bool:
        """Whether no position was ever turned round; for traders who only ever buy to open."""
        return all(self.sim.extremes(account, contract.symbol)[0] >= 0 for contract in self.sim.contracts)

    async def travel(self, seconds: float) -> None:
        """Move broker time and wait until the daemon has learnt of it by a response's Date header, and judged by it."""
        self.sim.clock.advance(seconds)
        target = self.sim.clock.now() - 2 * SECOND_US
        await eventually(lambda: self.service.engine.now >= target, "the daemon knows the broker's time")

    async def travel_to(self, moment: datetime) -> None:
        """As `travel`, to a moment."""
        await self.travel((moment - self.sim.clock.utc()).total_seconds())

    # ---- the daemon's view

    def locks(self, account: int = 101) -> dict[str, str]:
        """Active lockouts: kind by rule id."""
        return {lock.rule_id: str(lock.kind) for lock in self.service.engine.account(account).locks.values()}

    async def locked(self, rule_id: str, account: int = 101) -> None:
        """Wait until a rule has locked the account."""
        await eventually(lambda: rule_id in self.locks(account), f"{rule_id} locks {account}")

    async def enforced(self, account: int = 101) -> None:
        """Wait until nothing the daemon wanted of the account is open any more, and the log is on disk."""
        await eventually(lambda: not self.service.engine.account(account).obligations, "obligations settled")
        await eventually(self.service.enforcer.idle, "the enforcer is idle")
        assert await self.service.store.flush(5.0)

    async def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of state.db, after all that is under way has been written."""
        if self._running:
            await self.service.settled()
            assert await self.service.store.flush(5.0)
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, parameters)]

    async def log(self, account: int = 101) -> list[tuple[str, str, str | None]]:
        """(rule, action, result) of the enforcement log, oldest first."""
        rows = await self.rows("SELECT * FROM enforcement_log WHERE account_id = ? ORDER BY id", account)
        return [(row["rule_id"], row["action"], row["result"]) for row in rows]

    async def call(self, method: str, **params: Any) -> Any:
        """A call of the trader over the socket."""
        return await self.client.call(method, params)


@asynccontextmanager
async def running(
    made: World,
    *,
    started: bool = True,
    healthy: bool = True,
    prepare: Callable[[Simulator], object] | None = None,
) -> AsyncIterator[World]:
    """A world that is started, and taken down afterwards. `prepare` trades before the daemon starts."""
    await made.open()
    try:
        if prepare is not None:
            prepare(made.sim)
        if started:
            await made.start(healthy=healthy)
        yield made
    finally:
        try:
            await made.stop()
        finally:
            await made.sim.stop()


@asynccontextmanager
async def world(
    folder: Path,
    risk: Mapping[str, Any] | None = None,
    *,
    started: bool = True,
    healthy: bool = True,
    prepare: Callable[[Simulator], object] | None = None,
    **options: Any,
) -> AsyncIterator[World]:
    """As `running`, of a new world."""
    made = World(folder, risk or {}, **options)
    async with running(made, started=started, healthy=healthy, prepare=prepare):
        yield made
