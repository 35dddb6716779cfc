"""The day's trades cannot be read: losses are judged by the trades that are known, after a while."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.decisions import Alert
from daemon.core.engine import Engine
from daemon.core.events import AccountUpdate, OrdersSnapshot, PositionsSnapshot, TradesSnapshot
from daemon.core.units import to_micros
from shared.config import HolidayCalendar
from tests.core.desk import MNQ, OPEN, Desk, rules

LOSSES: list[dict[str, Any]] = [
    {"daily_realized_loss": {"limit": -500}},
    {"daily_total_loss": {"limit": -500}},
    {"weekly_loss": {"limit": -500}},
    {"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -500, "cooldown_duration": 300}]}},
    {"trade_frequency_limit": {"limits": {"per_hour": 1}}},
]


def unread(config: dict[str, Any]) -> Desk:
    desk = Desk(accounts=(), engine=Engine(rules(**config), HolidayCalendar()))
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", True, None))
    desk.feed(PositionsSnapshot(desk.at, 101, desk.at, ()))
    desk.feed(OrdersSnapshot(desk.at, 101, desk.at, ()))
    return desk


@pytest.mark.parametrize("config", LOSSES)
def test_loss_that_is_known_locks_though_the_trades_were_never_read(config: dict[str, Any]) -> None:
    desk = unread(config)
    for _ in range(5):  # positions and orders are read all the while
        desk.wait(10)
        desk.feed(PositionsSnapshot(desk.at, 101, desk.at, ()))
    desk.enter(MNQ, 1)
    desk.close(MNQ, -1, "-600")
    assert desk.locks() == []
    desk.wait(10)
    assert len(desk.locks()) == 1
    assert [alert.text for alert in desk.of(Alert)] == [
        "The day's trades of account 101 cannot be read; its realized loss is judged by the trades known so far."
    ]
    desk.wait(120)
    assert len(desk.of(Alert)) == 1


def test_target_waits_for_the_read() -> None:
    desk = unread({"daily_realized_profit": {"target": 500}})
    desk.wait(61)
    desk.enter(MNQ, 1)
    desk.close(MNQ, -1, "600")
    desk.wait(61)
    assert desk.locks() == []
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, to_micros(OPEN), ()))
    assert desk.locks() == ["RULE-013"]


def test_read_in_time_is_no_alert() -> None:
    desk = unread({"daily_realized_loss": {"limit": -500}})
    desk.wait(59)
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, desk.engine.view.day_start, ()))
    desk.wait(120)
    assert desk.of(Alert) == []
