"""What a simulated gateway consists of: logins, accounts, limits, habits."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from daemon.simulator.broker import BrokerSettings
from daemon.simulator.contracts import Number


@dataclass(frozen=True, slots=True)
class Account:
    """A trading account at the start; `balance` in dollars.

    `restricted`: the API may neither trade, close nor cancel.
    """

    id: int
    name: str = ""
    balance: Number = 50_000
    can_trade: bool = True
    visible: bool = True
    simulated: bool = True
    restricted: bool = False
    max_contracts: int | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the gateway with an API key and accounts."""

    username: str
    api_key: str
    accounts: list[Account] = field(default_factory=list)


def default_logins() -> list[Login]:
    """Two logins with two accounts each."""
    return [
        Login("trader1", "key-1", [Account(101, "50KTC-V2-101"), Account(102, "50KTC-V2-102")]),
        Login("trader2", "key-2", [Account(201, "150KTC-V2-201", 150_000), Account(202, "EXPRESS-V2-202")]),
    ]


@dataclass(slots=True)
class SimulatorConfig:
    """All settings of a simulator; the defaults are a well-behaved gateway with real limits and a still market.

    `quotes_per_second`: steps of the random walk, over all `symbols` together; 0 leaves the market still. `start`:
    broker time at the start (None: now), `speed` its pace, `manual_clock`: it moves by `advance` alone. `token_ttl`
    and `rate_window` in seconds; `rate_limit` None switches the limit off; `retry_after`: whether 429 carries the
    header. `wrap_events`: user events as {"action": 1, "data": …}. `quote_on_subscribe`: the present quote is sent at
    once. `fees`: dollars per contract and side, by symbol. `log_lines`: how many lines of the event log are kept (all
    count for its digest). `ping_interval` and `client_timeout` in seconds, as in SignalR.
    """

    seed: int = 1
    logins: list[Login] = field(default_factory=default_logins)
    quotes_per_second: float = 0.0
    symbols: tuple[str, ...] = ("ES", "MES", "NQ", "MNQ", "RTY", "M2K", "CL", "MCL", "GC", "MGC")
    start: dt.datetime | None = None
    speed: float = 1.0
    manual_clock: bool = False
    token_ttl: float = 86_400.0
    rate_limit: int | None = 200
    rate_window: float = 60.0
    retry_after: bool = True
    wrap_events: bool = False
    quote_on_subscribe: bool = True
    fees: dict[str, Number] = field(default_factory=dict)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    log_lines: int = 200_000
    request_lines: int = 20_000
    frame_lines: int = 20_000
    ping_interval: float = 15.0
    client_timeout: float = 30.0
    host: str = "127.0.0.1"
