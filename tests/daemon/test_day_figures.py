"""The day's trades and curve are put into words once, and anew whenever anything they show has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from daemon import figures
from daemon.core.events import ContractSeen, TradeUpdate
from daemon.day_figures import SNAPSHOT_TRADES, CurvePoint, DayFigures
from shared.config import RiskConfig
from shared.protocol import encode
from tests.core.desk import CONTRACTS, MNQ, Desk

SEEN: list[CurvePoint] = [("2026-11-18T15:00:01.000000Z", "0.00", "12.50")]


def shown(desk: Desk, made: DayFigures, seen: list[CurvePoint] = SEEN) -> tuple[bytes, bytes, bytes]:
    """What is shown, after comparing it with what is made from the ledger at this moment."""
    account = desk.engine.account(101)
    rows = figures.trade_rows(desk.engine, account)
    trades: list[CurvePoint] = [(at, total, None) for at, total in figures.realized_curve(desk.engine, account)]
    curve = sorted([*trades, *seen], key=lambda point: point[0])
    got = (
        encode(made.trades(desk.engine, account)),
        encode(made.latest_trades(desk.engine, account)),
        encode(made.curve(desk.engine, account, seen)),
    )
    assert got == (encode(rows), encode(rows[:SNAPSHOT_TRADES]), encode(curve))
    return got


def traded(count: int) -> Desk:
    desk = Desk()
    for _ in range(count):
        desk.trade(MNQ, 1, pnl="-5")
    return desk


def test_json_when_asked_for_again_and_again_is_made_once() -> None:
    desk, made = traded(300), DayFigures()
    first = shown(desk, made)
    for _ in range(20):
        assert shown(desk, made) == first
    assert made.made == 3
    assert len(orjson.loads(first[0])) == 300 and len(orjson.loads(first[1])) == SNAPSHOT_TRADES


def another_trade(desk: Desk) -> None:
    desk.trade(MNQ, 1, pnl="7")


def voided(desk: Desk) -> None:
    trade = next(iter(desk.engine.account(101).ledger.trades.values()))
    desk.feed(TradeUpdate(desk.at, 101, replace(trade, voided=True)))


def corrected(desk: Desk) -> None:
    trade = next(iter(desk.engine.account(101).ledger.trades.values()))
    desk.feed(TradeUpdate(desk.at, 101, replace(trade, order_id=trade.order_id + 1)))


def renamed(desk: Desk) -> None:
    desk.feed(ContractSeen(desk.at, replace(CONTRACTS[0], name="MNQ again")))


def gross(desk: Desk) -> None:
    desk.configure(RiskConfig.model_validate({"policy": {"pnl_basis": "gross"}}))


def next_day(desk: Desk) -> None:
    desk.wait(86_400)


@pytest.mark.parametrize("change", [another_trade, voided, corrected, renamed, gross, next_day])
def test_json_when_something_it_shows_has_changed_is_made_anew(change: Callable[[Desk], None]) -> None:
    desk, made = Desk(), DayFigures()
    for _ in range(3):
        desk.trade(MNQ, 1, pnl="-5", fees="1")
    before = shown(desk, made)
    change(desk)
    assert shown(desk, made) != before


def test_curve_when_another_point_was_seen_holds_it() -> None:
    desk, made = traded(3), DayFigures()
    before = shown(desk, made)
    after = shown(desk, made, [*SEEN, ("2026-11-18T15:00:06.000000Z", "-15.00", "-20.00")])
    assert after[:2] == before[:2] and after[2] != before[2]


def test_curve_when_seen_at_the_moment_of_a_trade_has_a_total_only_where_it_is_known() -> None:
    desk, made = traded(2), DayFigures()
    at = figures.realized_curve(desk.engine, desk.engine.account(101))[-1][0]
    points = orjson.loads(shown(desk, made, [(at, "-10.00", "-2.50")])[2])
    assert [point[1:] for point in points if point[0] == at][-1] == ["-10.00", "-2.50"]
    assert {point[2] for point in points} == {None, "-2.50"}
