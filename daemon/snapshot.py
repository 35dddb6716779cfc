"""What is known, handed from one engine to the next: from the database at the start, from a journal in a replay.

`engine_from` is the only way an engine is made, live or in a replay, so that both begin alike. `state_of` and
`events_of` say the same of a running engine, for the journal of a new trading day: what a start would find in the
database, and what the first reads of the gateway would give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from daemon.core.decisions import Lockout
from daemon.core.engine import Engine
from daemon.core.events import (
    AccountUpdate,
    ContractSeen,
    Event,
    OrdersSnapshot,
    PositionRecord,
    PositionsSnapshot,
    Quote,
    TradesSnapshot,
)
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US
from daemon.store.state import SavedState
from shared.config import HolidayCalendar, RiskConfig
from shared.models import LockoutKind

REACH_BACK_US = 26 * 3600 * SECOND_US
"""An hour and a session may reach back over the reset (RULE-006)."""

NO_RESET_BEFORE = "no_reset_before"
"""Key in `SavedState.daemon` of a journal; see `daemon.core.local_time.TradingDays`."""


def engine_from(
    saved: SavedState, config: RiskConfig, calendar: HolidayCalendar, *, now: int, no_reset_before: int = 0
) -> Engine:
    """An engine that knows what was saved, at `now` (microseconds UTC). Positions and orders are still to be read."""
    engine = Engine(
        config,
        calendar,
        next_lockout_id=saved.last_lockout_id + 1,
        next_action_id=saved.last_action_id + 1,
        no_reset_before=no_reset_before,
    )
    engine.restore(
        now,
        lockouts=[*saved.ended, *saved.lockouts],
        memories={
            (account_id, key): values
            for account_id, memory in saved.memories.items()
            for key, values in memory.items()
            if isinstance(values, dict)
        },
        trades=[(account_id, trade) for account_id, trades in saved.trades.items() for trade in trades],
        contracts=[ContractSeen(now, contract) for contract in saved.contracts],
        actions=saved.actions,
    )
    return engine


def trades_since(engine: Engine, at: int) -> int:
    """From when on trades are needed to judge the day of `at`; both microseconds UTC."""
    config = engine.config
    rules = [config.rules, *map(config.rules_for, config.accounts)]
    if any(rule.weekly_loss is not None and rule.weekly_loss.enabled for rule in rules):
        return engine.days.week_start(at)
    return engine.days.bounds(at)[0] - REACH_BACK_US


def state_of(engine: Engine, *, no_reset_before: int = 0) -> SavedState:
    """What a start at this moment would find in the database; nothing in it changes with the engine afterwards."""
    state = SavedState(contracts=list(engine.market.contracts.values()), daemon={NO_RESET_BEFORE: no_reset_before})
    for account in engine.accounts.values():
        number = account.account_id
        state.lockouts += [replace(lock, baseline=dict(lock.baseline)) for lock in account.locks.values()]
        state.ended += _ended(account)
        state.trades[number] = [*account.ledger.history.values(), *account.ledger.trades.values()]
        state.memories[number] = {key: dict(values) for key, values in account.memory.items()}
        state.actions += [*account.leftovers, *account.obligations.values()]
    state.last_lockout_id = max((lockout.id for lockout in state.lockouts), default=0)
    state.last_action_id = max((action.id for action in state.actions), default=0)
    return state


def _ended(account: AccountState) -> list[Lockout]:
    """Breaches that have locked already and must not lock again, as the lockouts they led to."""
    active = {(lock.rule_id, lock.symbol, lock.cause) for lock in account.locks.values()}
    return [
        Lockout(0, account.account_id, rule_id, LockoutKind.HARD, symbol, "", at, at, cause, cleared_at=at)
        for (rule_id, symbol, cause), at in account.causes.items()
        if (rule_id, symbol, cause) not in active
    ]


def events_of(engine: Engine) -> Iterator[Event]:
    """What the first reads of the gateway would give at this moment, as far as it was read."""
    now = engine.now
    for account in engine.accounts.values():
        number = account.account_id
        if account.known:
            yield AccountUpdate(now, number, account.login, account.name, account.can_trade, account.balance)
        if account.positions_read_at:
            yield PositionsSnapshot(now, number, now, tuple(_positions(account)))
        if account.orders_read_at:
            yield OrdersSnapshot(now, number, now, tuple(account.orders.values()))
        if account.trades_read_at:
            trades = (*account.ledger.history.values(), *account.ledger.trades.values())
            yield TradesSnapshot(now, number, now, engine.view.day_start, trades)
    held = engine.held_contracts()
    for contract_id, book in engine.market.books.items():
        if contract_id in held and book.at:
            yield Quote(now, contract_id, book.bid, book.ask, book.last)


def _positions(account: AccountState) -> Iterator[PositionRecord]:
    for held in account.positions.values():
        yield PositionRecord(held.contract_id, held.size, held.average_price, held.position_id, held.created_at)
