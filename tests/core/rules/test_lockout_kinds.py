"""What each rule locks with: the kind, the symbol, how long, and what may stay. Some rules lock nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.core.events import AccountUpdate
from daemon.core.units import SECOND_US, money_to_micros, to_micros
from shared.models import LockoutKind, OrderType
from tests.core.desk import ES, MNQ, NQ, RTY, Desk, rules

RESET = to_micros(datetime(2026, 11, 18, 22, tzinfo=UTC))
FRIDAY = to_micros(datetime(2026, 11, 20, 22, tzinfo=UTC))
HARD, COOLDOWN = LockoutKind.HARD, LockoutKind.COOLDOWN


def loses(*amounts: str) -> Callable[[Desk], None]:
    def act(desk: Desk) -> None:
        for amount in amounts:
            desk.trade(MNQ, -1, amount)

    return act


def balance(desk: Desk, dollars: int) -> None:
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", True, money_to_micros(dollars)))


def falls(desk: Desk) -> None:
    balance(desk, 50_000)
    desk.wait(3)
    balance(desk, 40_000)
    desk.wait(3)


def forbids(desk: Desk) -> None:
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", False))


def enters(desk: Desk) -> None:
    desk.enter(MNQ, 1)


def trades_rty(desk: Desk) -> None:
    desk.position(RTY, 1)


def to_four(desk: Desk) -> None:
    desk.wait((to_micros(datetime(2026, 11, 18, 21, tzinfo=UTC)) - desk.at) / SECOND_US)


TOMORROW = to_micros(datetime(2026, 11, 19, 14, 30, tzinfo=UTC))
LOCKING: list[tuple[dict[str, Any], Callable[[Desk], None], str, LockoutKind, str | None, int | str, bool]] = [
    ({"daily_realized_loss": {"limit": -500}}, loses("-500"), "RULE-003", HARD, None, RESET, False),
    (
        {"trade_frequency_limit": {"limits": {"per_minute": 1}}},
        enters,
        "RULE-006",
        COOLDOWN,
        None,
        "60 s",
        True,
    ),
    (
        {"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 300}]}},
        loses("-100"),
        "RULE-007",
        COOLDOWN,
        None,
        "300 s",
        False,
    ),
    (
        {"session_block_outside": {"global_session": {"start": "09:30", "end": "16:00"}, "respect_holidays": False}},
        to_four,
        "RULE-009",
        LockoutKind.SESSION,
        None,
        TOMORROW,
        False,
    ),
    ({"auth_loss_guard": {}}, forbids, "RULE-010", LockoutKind.API, None, 0, False),
    ({"symbol_blocks": {"blocked_symbols": ["RTY"]}}, trades_rty, "RULE-011", LockoutKind.SYMBOL, "RTY", 0, True),
    ({"daily_realized_profit": {"target": 500}}, loses("500"), "RULE-013", HARD, None, RESET, False),
    ({"daily_total_loss": {"limit": -500}}, loses("-500"), "RULE-014", HARD, None, RESET, False),
    ({"profit_give_back": {"amount": 100}}, loses("300", "-100"), "RULE-015", HARD, None, RESET, False),
    ({"weekly_loss": {"limit": -500}}, loses("-500"), "RULE-016", HARD, None, FRIDAY, False),
    (
        {"consecutive_losses": {"limit": 2, "cooldown_duration": 600}},
        loses("-1", "-1"),
        "RULE-017",
        COOLDOWN,
        None,
        "600 s",
        True,
    ),
    ({"trailing_drawdown": {"amount": 1000}}, falls, "RULE-018", HARD, None, RESET, False),
    ({"scheduled_flatten": {"time": "16:00"}}, to_four, "RULE-020", HARD, None, RESET, False),
]


@pytest.mark.parametrize(
    ("config", "act", "rule_id", "kind", "symbol", "until", "stays"), LOCKING, ids=[row[2] for row in LOCKING]
)
def test_rule_when_breached_locks_in_its_own_way(
    config: dict[str, Any],
    act: Callable[[Desk], None],
    rule_id: str,
    kind: LockoutKind,
    symbol: str | None,
    until: int | str,
    stays: bool,
) -> None:
    desk = Desk(rules(**config))
    desk.enter(ES, 2) if rule_id != "RULE-006" else desk.position(ES, 2)
    order = desk.order(ES, 1)
    stop = desk.order(ES, -2, kind=OrderType.STOP, stop=90)
    assert desk.locks() == []
    act(desk)
    (lock,) = desk.engine.account(101).locks.values()
    assert (lock.rule_id, lock.kind, lock.symbol) == (rule_id, kind, symbol)
    ends = lock.expires_at or 0
    assert ends == until if isinstance(until, int) else f"{(ends - lock.locked_at) // SECOND_US} s" == until
    wanted = desk.wanted()
    assert (ES in wanted, stop in wanted) == (not stays, not stays)
    assert (order in wanted) == (kind != LockoutKind.SYMBOL)
    # From any device, again and again: what comes during the lockout goes, but for other symbols than the one locked.
    for size in (1, -1):
        desk.position(NQ, size)
        assert (NQ in desk.wanted()) == (kind != LockoutKind.SYMBOL)
        desk.position(NQ, 0)


NOT_LOCKING: list[dict[str, Any]] = [
    {"max_contracts": {"limit": 1}},
    {"max_contracts": {"limit": 1, "close_all": True}},
    {"max_contracts_per_instrument": {"limits": {"ES": 1, "MNQ": 1}}},
    {"daily_unrealized_loss": {"limit": -10}},
    {"max_unrealized_profit": {"target": 10}},
    {"no_stop_loss_grace": {"grace_period_seconds": 1}},
    {"losing_position_adds": {"max_adds": 0}},
]


@pytest.mark.parametrize("config", NOT_LOCKING, ids=[next(iter(config)) for config in NOT_LOCKING])
def test_rule_that_closes_a_position_locks_nothing_and_another_may_be_opened(config: dict[str, Any]) -> None:
    desk = Desk(rules(**config))
    down = "max_unrealized_profit" not in config
    desk.enter(ES, 1, 6000)
    desk.quote(ES, 5999 if down else 6001, "5999.25" if down else "6001.25")
    desk.enter(ES, 1, 6000)
    for _ in range(3):
        desk.wait(1)
        desk.read_orders()
    assert ES in desk.wanted()
    assert desk.locks() == []
    desk.position(ES, 0)
    desk.position(MNQ, 1, 100)
    desk.quote(MNQ, 100, "100.25")
    assert desk.wanted() == {}
    assert desk.locks() == []
