"""The simulated gateway on the Linux side, in a thread of its own, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Callable
from types import TracebackType

from daemon.simulator import Account, Login, Simulator, SimulatorConfig

LIMIT = 500
"""Dollars a day that the tests' configuration lets an account lose."""

ACCOUNTS = tuple(range(101, 113))


def free_port() -> int:
    """A port that nobody uses now, and that no outgoing connection is given: loopback is shared with all else here."""
    for port in random.sample(range(20_000, 30_000), 100):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("no free port between 20000 and 30000")


class GatewayThread:
    """Use as a context manager. ``call`` runs a function of the simulator in its event loop and returns the result."""

    def __init__(self) -> None:
        accounts = [Account(account_id, f"50KTC-V2-{account_id}") for account_id in ACCOUNTS]
        self.simulator = Simulator(SimulatorConfig(logins=[Login("trader1", "key-1", accounts)]))
        self.ipc_port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)

    def __enter__(self) -> GatewayThread:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.simulator.start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.simulator.stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def call[T](self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    def configuration(self) -> dict[str, str]:
        """Texts of accounts.yaml and risk_config.yaml for this gateway."""
        accounts = (
            f"gateway:\n  api_url: {self.simulator.api_url}\n  user_hub_url: {self.simulator.user_hub_url}\n"
            f"  market_hub_url: {self.simulator.market_hub_url}\n"
            "logins:\n  - {username: trader1, api_key: key-1, accounts: all}\n"
        )
        rules = (
            f"version: 1\nipc: {{port: {self.ipc_port}}}\n"
            f"rules:\n  daily_realized_loss: {{enabled: true, limit: -{LIMIT}}}\n"
            "  max_contracts: {enabled: true, limit: 3, count_type: net, close_all: true, reduce_to_limit: false}\n"
        )
        return {"accounts.yaml": accounts, "risk_config.yaml": rules}

    def lose(self, account_id: int) -> None:
        """One losing round turn beyond the daily limit, with a position left open, so that something must be closed."""

        def trade() -> None:
            trader = self.simulator.trader(account_id)
            bid, ask = self.simulator.quote("ES")
            trader.buy("ES", 2)
            self.simulator.set_quote("ES", bid - 20, ask - 20)
            trader.sell("ES", 1)
            self.simulator.set_quote("ES", bid, ask)

        self.call(trade)

    def open_positions(self, account_id: int) -> int:
        """Contracts that the account holds at the broker, long and short added up."""
        return self.call(lambda: sum(abs(holding.net) for holding in self.simulator.positions(account_id)))
