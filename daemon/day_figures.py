"""The day's trades and its P&L curve as JSON, made anew only when they have changed.

A day of some hundred trades takes milliseconds to put into words, and any program on the machine may ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

import orjson

from daemon import figures
from daemon.core.engine import Engine
from daemon.core.events import Contract, TradeRecord
from daemon.core.state import AccountState
from shared.protocol import encode

CurvePoint = tuple[str, str, str | None]
"""Time, realized dollars, realized and unrealized dollars if known."""

SNAPSHOT_TRADES = 200
"""The latest trades that a subscription's snapshot and the events of the topic hold."""


@dataclass(slots=True)
class _Day:
    """What an account's JSON was made from. Records are never changed, only replaced."""

    trades: list[TradeRecord]
    contracts: dict[str, Contract | None]
    basis: tuple[int, bool]
    all: orjson.Fragment | None = None
    latest: orjson.Fragment | None = None
    realized: list[CurvePoint] | None = None
    curve: orjson.Fragment | None = None
    seen: tuple[int, CurvePoint | None] = (0, None)


class DayFigures:
    """Of the accounts of one engine. What it returns is for `shared.protocol.encode`."""

    def __init__(self) -> None:
        self._days: dict[int, _Day] = {}
        self.made = 0

    def trades(self, engine: Engine, account: AccountState) -> orjson.Fragment:
        """As `figures.trade_rows`."""
        day = self._day(engine, account)
        if day.all is None:
            day.all = self._json(figures.trade_rows(engine, account))
        return day.all

    def latest_trades(self, engine: Engine, account: AccountState) -> orjson.Fragment:
        """The first `SNAPSHOT_TRADES` of `trades`."""
        day = self._day(engine, account)
        if day.latest is None:
            day.latest = self._json(figures.trade_rows(engine, account, SNAPSHOT_TRADES))
        return day.latest

    def curve(self, engine: Engine, account: AccountState, seen: Sequence[CurvePoint]) -> orjson.Fragment:
        """[time, realized, realized + unrealized] after each trade and at each point `seen`, in order of time.

        After a trade the total is None: what the rest of the position was worth at that moment is not known.
        """
        day = self._day(engine, account)
        until = (len(seen), seen[-1] if seen else None)
        if day.curve is None or day.seen != until:
            if day.realized is None:
                day.realized = [(at, sum_, None) for at, sum_ in figures.realized_curve(engine, account)]
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
            contracts = {trade.contract_id: known.get(trade.contract_id) for trade in trades}
            day = self._days[account.account_id] = _Day(trades, contracts, basis)
        return day

    def _json(self, value: object) -> orjson.Fragment:
        self.made += 1
        return orjson.Fragment(encode(value))
