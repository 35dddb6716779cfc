"""The day's trades and curve are put into words once, and anew whenever anything they show has changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from daemon import figures
from daemon.core.events import ContractSeen, TradeUpdate
from daemon.day_figures import MOST_BYTES, SNAPSHOT_TRADES, CurvePoint, DayFigures, thinned
from shared.config import RiskConfig
from shared.protocol import encode
from tests.core.desk import CONTRACTS, MNQ, Desk

SEEN: list[CurvePoint] = [("2026-11-18T15:00:01.000000Z", "0.00", "12.50")]


async def shown(desk: Desk, made: DayFigures, seen: list[CurvePoint] = SEEN) -> tuple[bytes, bytes, bytes]:
    """What is shown, after comparing it with what is made from the ledger at this moment."""
    account = desk.engine.account(101)
    rows = figures.trade_rows(desk.engine, account)
    trades: list[CurvePoint] = [(at, total, None) for at, total in figures.realized_curve(desk.engine, account)]
    curve = sorted([*trades, *seen], key=lambda point: point[0])
    page = await made.page(desk.engine, account)
    assert page is not None and page[1] is False
    got = (
        encode(page[0]),
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


async def test_json_when_asked_for_again_and_again_is_made_once() -> None:
    desk, made = traded(300), DayFigures()
    first = await shown(desk, made)
    for _ in range(20):
        assert await shown(desk, made) == first
    # A hundred trades at a time; the latest ones and the curve.
    assert made.made == 3 + 2
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
async def test_json_when_something_it_shows_has_changed_is_made_anew(change: Callable[[Desk], None]) -> None:
    desk, made = Desk(), DayFigures()
    for _ in range(3):
        desk.trade(MNQ, 1, pnl="-5", fees="1")
    before = await shown(desk, made)
    change(desk)
    assert await shown(desk, made) != before


async def test_curve_when_another_point_was_seen_holds_it() -> None:
    desk, made = traded(3), DayFigures()
    before = await shown(desk, made)
    after = await shown(desk, made, [*SEEN, ("2026-11-18T15:00:06.000000Z", "-15.00", "-20.00")])
    assert after[:2] == before[:2] and after[2] != before[2]


async def test_curve_when_seen_at_the_moment_of_a_trade_has_a_total_only_where_it_is_known() -> None:
    desk, made = traded(2), DayFigures()
    at = figures.realized_curve(desk.engine, desk.engine.account(101))[-1][0]
    points = orjson.loads((await shown(desk, made, [(at, "-10.00", "-2.50")]))[2])
    assert [point[1:] for point in points if point[0] == at][-1] == ["-10.00", "-2.50"]
    assert {point[2] for point in points} == {None, "-2.50"}


async def pages(desk: Desk, made: DayFigures, limit: int | None) -> list[dict[str, Any]]:
    """The whole day, page after page."""
    rows: list[dict[str, Any]] = []
    before: int | None = None
    while True:
        page = await made.page(desk.engine, desk.engine.account(101), limit=limit, before_id=before)
        assert page is not None
        part = orjson.loads(encode(page[0]))
        assert len(part) == limit or not page[1] or limit is None
        assert part or not page[1]
        assert len(encode(page[0])) <= MOST_BYTES + 2
        rows += part
        if not page[1]:
            return rows
        before = part[-1]["id"]


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 250, 251, 1000, None])
async def test_pages_together_are_the_day(limit: int | None) -> None:
    desk = traded(251)
    account = desk.engine.account(101)
    assert await pages(desk, DayFigures(), limit) == orjson.loads(encode(figures.trade_rows(desk.engine, account)))


async def test_day_that_is_longer_than_a_line_comes_in_pages_that_fit() -> None:
    desk = traded(6000)
    made = DayFigures()
    account = desk.engine.account(101)
    page = await made.page(desk.engine, account)
    assert page is not None and page[1] is True and 3000 < len(page[0]) < 6000
    whole = await pages(desk, made, None)
    assert whole == orjson.loads(encode(figures.trade_rows(desk.engine, account)))
    assert made.made == 60, "each trade is put into words once"


async def test_page_goes_on_where_a_trade_was_though_it_is_voided_by_then_and_others_came() -> None:
    desk, made = traded(10), DayFigures()
    account = desk.engine.account(101)
    all_of_them = [trade.trade_id for trade in figures.newest_trades(account)]
    last = account.ledger.trades[all_of_them[3]]
    desk.feed(TradeUpdate(desk.at, 101, replace(last, voided=True)))
    desk.trade(MNQ, 1, pnl="7")
    page = await made.page(desk.engine, account, limit=100, before_id=all_of_them[3])
    assert page is not None and not page[1]
    assert [row["id"] for row in orjson.loads(encode(page[0]))] == all_of_them[4:]
    assert await made.page(desk.engine, account, limit=100, before_id=10**9) is None


async def test_others_get_their_turn_while_a_long_page_is_made() -> None:
    desk, made, turns = traded(1000), DayFigures(), 0

    async def pause() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            desk.trade(MNQ, 1, pnl="7")  # another day list from here on; this page goes on as it began

    before = orjson.loads(encode(figures.trade_rows(desk.engine, desk.engine.account(101))))
    page = await made.page(desk.engine, desk.engine.account(101), pause=pause)
    assert page is not None and turns == 10
    assert orjson.loads(encode(page[0])) == before


def test_curve_of_many_trades_is_thinned_and_keeps_its_heights() -> None:
    chance = random.Random(20261121)
    points: list[CurvePoint] = [(f"{n:06}", f"{chance.randint(-9999, 9999) / 100:.2f}", None) for n in range(25_000)]
    few = thinned(points, 1000)
    assert len(few) <= 1000 and few == sorted(few) and set(few) <= set(points)
    assert (few[0], few[-1]) == (points[0], points[-1])
    heights = [float(point[1]) for point in points]
    shown_heights = [float(point[1]) for point in few]
    assert (min(shown_heights), max(shown_heights)) == (min(heights), max(heights))
    assert thinned(points[:1000], 1000) == points[:1000]
    assert len(thinned(points[:1001], 1000)) <= 1000
    flat: list[CurvePoint] = [(f"{n:06}", "5.00", None) for n in range(3000)]
    assert {point[1] for point in thinned(flat, 1000)} == {"5.00"}
