"""Events a second through the pure core, and the cost of one event, beside their limits.

90 % quotes, 6 % orders, 2 % positions, 2 % trades; two open positions an account. Run with:
    uv run python -m tests.bench.bench_core
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from typing import Any

from daemon.core.engine import Engine
from daemon.core.events import (
    AccountUpdate,
    ContractSeen,
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.core.units import price_to_nanos, to_micros
from shared.config import HolidayCalendar, RiskConfig
from tests.core.desk import CONTRACTS, ES, MNQ, NQ, OPEN

HELD = (MNQ, ES, NQ)

CONFIG: dict[str, dict[str, dict[str, Any]]] = {
    "rules": {
        "max_contracts": {"limit": 50},
        "max_contracts_per_instrument": {"limits": {"MNQ": 20, "ES": 10, "NQ": 10}},
        "daily_realized_loss": {"limit": -5_000_000},
        "daily_unrealized_loss": {"limit": -500_000},
        "max_unrealized_profit": {"target": 500_000},
        "trade_frequency_limit": {"limits": {"per_minute": 90_000, "per_hour": 90_000, "per_session": 100_000}},
        "cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100_000, "cooldown_duration": 300}]},
        "auth_loss_guard": {},
        "symbol_blocks": {"blocked_symbols": ["RTY"]},
        "daily_realized_profit": {"target": 5_000_000},
    }
}


THIRTEEN: dict[str, dict[str, Any]] = {
    **CONFIG["rules"],
    "no_stop_loss_grace": {"grace_period_seconds": 3600},
    "session_block_outside": {"global_session": {"start": "08:00", "end": "16:00"}},
    "trade_management": {"trailing_stop": {"activation_ticks": 400, "trail_distance_ticks": 100}},
}
EVERY_RULE: dict[str, dict[str, Any]] = {
    **THIRTEEN,
    "daily_total_loss": {"limit": -5_000_000},
    "profit_give_back": {"amount": 5_000_000},
    "weekly_loss": {"limit": -5_000_000},
    "consecutive_losses": {"limit": 1000, "cooldown_duration": 300},
    "trailing_drawdown": {"amount": 5_000_000},
    "losing_position_adds": {"max_adds": 1000},
    "scheduled_flatten": {"time": "15:55"},
}


def prepared(accounts: int, positions: int, rules: dict[str, dict[str, Any]] = CONFIG["rules"]) -> tuple[Engine, int]:
    """An engine with that many reconciled accounts, each holding that many positions."""
    engine = Engine(RiskConfig.model_validate({"rules": rules}), HolidayCalendar())
    at = to_micros(OPEN)
    for contract in CONTRACTS:
        engine.handle(ContractSeen(at, contract))
        engine.handle(quote(at, contract.contract_id, 0))
    for account in range(1, accounts + 1):
        engine.handle(AccountUpdate(at, account, "trader1", f"A{account}", True, 50_000_000_000))
        held = tuple(PositionRecord(held, 2, price_to_nanos(20_000), 1, at) for held in HELD[:positions])
        engine.handle(PositionsSnapshot(at, account, at, held))
        engine.handle(OrdersSnapshot(at, account, at, ()))
        engine.handle(TradesSnapshot(at, account, at, at, ()))
    return engine, at


def quote(at: int, contract: str, ticks: int) -> Quote:
    """A quote that many ticks from 20,000."""
    bid = price_to_nanos(20_000) + ticks * 250_000_000
    return Quote(at, contract, bid, bid + 250_000_000, bid)


def stream(count: int, accounts: int, positions: int, at: int, seed: int = 1) -> list[Event]:
    """Events of the mix, a millisecond apart."""
    chance = random.Random(seed)
    events: list[Event] = []
    walk = dict.fromkeys(HELD, 0)
    opened, filled = at, PositionUpdate(at, 1, PositionRecord(HELD[0], 2, price_to_nanos(20_000), 1, at))
    sizes = {(account, held): 2 for account in range(1, accounts + 1) for held in HELD[:positions]}
    for number in range(count):
        at += 1000
        share = number % 100
        contract = chance.choice(HELD[:positions])
        account = chance.randint(1, accounts)
        if share < 90:
            walk[contract] += chance.choice((-1, 0, 1))
            events.append(quote(at, contract, walk[contract]))
        elif share < 96:
            order = OrderRecord(number // 200, contract, 1 + number % 2, 1, 1, 1, limit_price=price_to_nanos(21_000))
            events.append(OrderUpdate(at, account, order))
        elif share % 2 == 0:  # a fill, and the position that it makes
            before = sizes[account, contract]
            size = sizes[account, contract] = 3 - before
            pnl = None if size > before else chance.randint(-90, 100) * 1_000_000
            side = int(size < before)
            trade = TradeRecord(number, contract, at, price_to_nanos(20_000), pnl, 370_000, side, 1, False, number)
            filled = PositionUpdate(
                at + 1000, account, PositionRecord(contract, size, price_to_nanos(20_000), 1, opened)
            )
            events.append(TradeUpdate(at, account, trade))
        else:
            events.append(filled)
    return events


def with_trades(engine: Engine, at: int, count: int, accounts: int) -> int:
    """Put that many trades of the day into the engine."""
    for number in range(count):
        at += 1000
        trade = TradeRecord(10_000_000 + number, MNQ, at, 1, None if number % 2 else 0, 0, 0, 1, False, number + 1)
        engine.handle(TradeUpdate(at, 1 + number % accounts, trade))
    return at


def throughput(handle: Callable[[Event], object], events: list[Event]) -> float:
    """Events a second, the best of three equal parts."""
    third = len(events) // 3
    best = 0.0
    for part in range(3):
        chunk = events[part * third : (part + 1) * third]
        started = time.perf_counter()
        for event in chunk:
            handle(event)
        best = max(best, third / (time.perf_counter() - started))
    return best


def latencies(handle: Callable[[Event], object], events: list[Event]) -> tuple[float, float]:
    """p50 and p99 of one event, microseconds."""
    taken = []
    clock = time.perf_counter_ns
    for event in events:
        started = clock()
        handle(event)
        taken.append(clock() - started)
    taken.sort()
    return taken[len(taken) // 2] / 1000, taken[len(taken) * 99 // 100] / 1000


def main() -> int:
    """Print each figure beside its limit; exit 1 if one is missed."""
    missed = 0
    gc.freeze()
    for accounts, positions, rules, limit in (
        (1, 2, CONFIG["rules"], 150_000),
        (10, 2, CONFIG["rules"], 40_000),
        (20, 3, THIRTEEN, 40_000),
        (20, 3, EVERY_RULE, 40_000),
    ):
        engine, at = prepared(accounts, positions, rules)
        rate = throughput(engine.handle, stream(150_000, accounts, positions, at))
        engine, at = prepared(accounts, positions, rules)
        p50, p99 = latencies(engine.handle, stream(60_000, accounts, positions, at))
        missed += rate < limit or p99 > 50
        print(
            f"{accounts:3} accounts x {positions} positions, {len(rules)} rules: {rate:10,.0f} events/s"
            f" (limit {limit:,}), p50 {p50:.1f} us, p99 {p99:.1f} us (limit 50)"
        )
    costs = {}
    for trades in (10, 100_000):
        engine, at = prepared(1, 2)
        at = with_trades(engine, at, trades, 1)
        costs[trades] = 1e6 / throughput(engine.handle, stream(60_000, 1, 2, at, seed=2))
    ratio = costs[100_000] / costs[10]
    missed += ratio > 1.3
    print(
        f"one event after 10 trades {costs[10]:.2f} us, after 100,000 trades {costs[100_000]:.2f} us:"
        f" x {ratio:.2f} (limit 1.3)"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
