"""The day's trades and its P&L curve as JSON, made anew only when they have changed.

A day of some hundred trades takes milliseconds to put into words, and any program on the machine may ask for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from operator import itemgetter

import orjson

from daemon import figures
from daemon.core.engine import Engine
from daemon.core.events import Contract, TradeRecord
from daemon.core.state import AccountState
from daemon.ipc_sessions import Pause, give_way
from shared.protocol import MAX_LINE, encode

CurvePoint = tuple[str, str, str | None]
"""Time, realized dollars, realized and unrealized dollars if known."""

SNAPSHOT_TRADES = 200
"""The latest trades that a subscription's snapshot and the events of the topic hold."""

MOST_BYTES = MAX_LINE - 8 * 1024
"""Room in one line for rows; the rest is for what is round them."""

MOST_POINTS = 10_000
"""Of a curve's trades: a longer day is thinned. About half of what a line holds; points seen between trades come on
top."""

_AT_ONCE = 100
"""Rows put into words before others get their turn: half a millisecond."""


@dataclass(slots=True)
class _Day:
    """What an account's JSON was made from. Records are never changed, only replaced.

    `newest`: the trades that are shown, latest first; `rows`: the JSON of the first of them, as far as asked for.
    """

    trades: list[TradeRecord]
    contracts: dict[str, Contract | None]
    basis: tuple[int, bool]
    newest: list[TradeRecord]
    rows: list[bytes] = field(default_factory=list)
    latest: orjson.Fragment | None = None
    realized: list[CurvePoint] | None = None
    curve: orjson.Fragment | None = None
    seen: tuple[int, CurvePoint | None] = (0, None)


class DayFigures:
    """Of the accounts of one engine. What it returns is for `shared.protocol.encode`."""

    def __init__(self) -> None:
        self._days: dict[int, _Day] = {}
        self.made = 0

    async def page(
        self,
        engine: Engine,
        account: AccountState,
        *,
        limit: int | None = None,
        before_id: int | None = None,
        pause: Pause = give_way,
    ) -> tuple[list[orjson.Fragment], bool] | None:
        """Rows of trades, latest first, as many as fit into a line, and whether there are more.

        `before_id`: of the trades before that one, which may be voided by now; None: there is no such trade today.
        `pause` is awaited between parts of a long page.
        """
        day = self._day(engine, account)
        first = 0
        if before_id is not None:
            before = account.ledger.trades.get(before_id)
            if before is None:
                return None
            first = bisect_right(day.newest, _backwards(before), key=_backwards)
        last = len(day.newest) if limit is None else min(first + limit, len(day.newest))
        rows: list[orjson.Fragment] = []
        room = MOST_BYTES
        for index in range(first, last):
            while index >= len(day.rows):
                self._make_rows(engine, account, day)
                await pause()
            room -= len(day.rows[index]) + 1
            if room < 0:
                break
            rows.append(orjson.Fragment(day.rows[index]))
        return rows, first + len(rows) < len(day.newest)

    def latest_trades(self, engine: Engine, account: AccountState) -> orjson.Fragment:
        """The latest `SNAPSHOT_TRADES` as a list."""
        day = self._day(engine, account)
        if day.latest is None:
            wanted = min(SNAPSHOT_TRADES, len(day.newest))
            while len(day.rows) < wanted:
                self._make_rows(engine, account, day)
            day.latest = self._json([orjson.Fragment(row) for row in day.rows[:wanted]])
        return day.latest

    def _make_rows(self, engine: Engine, account: AccountState, day: _Day) -> None:
        """Put the next trades into words."""
        self.made += 1
        done = len(day.rows)
        for trade in day.newest[done : done + _AT_ONCE]:
            day.rows.append(encode(figures.trade_row(engine, account, trade)))

    def curve(self, engine: Engine, account: AccountState, seen: Sequence[CurvePoint]) -> orjson.Fragment:
        """[time, realized, realized + unrealized] after each trade and at each point `seen`, in order of time.

        After a trade the total is None: what the rest of the position was worth at that moment is not known. Of more
        trades than `MOST_POINTS` the lowest and highest of each stretch are left.
        """
        day = self._day(engine, account)
        until = (len(seen), seen[-1] if seen else None)
        if day.curve is None or day.seen != until:
            if day.realized is None:
                points: list[CurvePoint] = [(at, sum_, None) for at, sum_ in figures.realized_curve(engine, account)]
                day.realized = thinned(points, MOST_POINTS)
            day.curve, day.seen = self._json(sorted([*day.realized, *seen], key=itemgetter(0))), until
        return day.curve

    def _day(self, engine: Engine, account: AccountState) -> _Day:
        trades = list(account.ledger.trades.values())
        basis = (engine.view.day_start, engine.view.net)
        known = engine.market.contracts
        day = self._days.get(account.account_id)
        # Lists of the same records compare in a few nanoseconds a record.
        if (
            day is None
            or day.trades != trades
            or day.basis != basis
            or any(known.get(contract_id) is not contract for contract_id, contract in day.contracts.items())
        ):
            contracts = {contract_id: known.get(contract_id) for contract_id in {trade.contract_id for trade in trades}}
            day = _Day(trades, contracts, basis, figures.newest_trades(account))
            self._days[account.account_id] = day
        return day

    def _json(self, value: object) -> orjson.Fragment:
        self.made += 1
        return orjson.Fragment(encode(value))


def thinned(points: Sequence[CurvePoint], most: int) -> list[CurvePoint]:
    """At most so many of the points, in order: the first, the last, and of each stretch the lowest and the highest."""
    if len(points) <= most:
        return list(points)
    stretches = most // 2 - 1
    inner = points[1:-1]
    kept = [points[0]]
    for number in range(stretches):
        begin, end = number * len(inner) // stretches, (number + 1) * len(inner) // stretches
        by_height = sorted(range(begin, end), key=lambda index: Decimal(inner[index][1]))
        kept += [inner[index] for index in sorted({by_height[0], by_height[-1]})]
    return [*kept, points[-1]]


def _backwards(trade: TradeRecord) -> tuple[int, int]:
    at, number = figures.trade_place(trade)
    return -at, -number
