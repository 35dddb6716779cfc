"""A day of ten thousand trades: the socket gives it in pages, the window's table and its export have all of them."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication

from daemon.core.events import TradeRecord, TradeUpdate
from daemon.day_figures import MOST_POINTS
from gui.settings import Settings
from gui.state_reader import StateReader
from gui.views.trader.pnl import PnlPage
from shared.protocol import RpcError
from tests.gui.live import eventually, open_desk
from tests.scenarios.world import PATIENT, World, world

TRADES = 10_000


def trade(here: World, number: int) -> None:
    """The daemon hears of a fill; every second one closes and loses ten cents."""
    now = here.service.engine.now
    pnl = -100_000 if number % 2 else None
    contract = here.sim.contract("MNQ").id
    record = TradeRecord(1000 + number, contract, now, 21_000_000_000_000, pnl, 0, number % 2, 1, False, number)
    here.service.deliver(TradeUpdate(now, 101, record))


async def in_pages(here: World, limit: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    page: dict[str, Any] = {"limit": limit}
    while True:
        answer = await here.call("get_trades", account_id=101, **page)
        rows += answer["rows"]
        if not answer["more"]:
            return rows
        assert len(answer["rows"]) == limit
        page["before_id"] = rows[-1]["id"]


async def test_day_of_many_trades_is_shown_and_exported_whole(
    tmp_path: Path, look: QApplication, settings: Settings
) -> None:
    async with world(tmp_path / "home", timings=PATIENT) as here:
        for number in range(TRADES):
            trade(here, number)
        newest = [1000 + number for number in reversed(range(TRADES))]

        first = await here.call("get_trades", account_id=101)
        assert first["more"] is True and 3000 < len(first["rows"]) < TRADES
        assert [row["id"] for row in first["rows"]] == newest[: len(first["rows"])]
        rows = await in_pages(here, 1000)
        assert [row["id"] for row in rows] == newest
        with pytest.raises(RpcError, match="no trade 7 today"):
            await here.call("get_trades", account_id=101, limit=10, before_id=7)
        curve = await here.call("get_pnl_curve", account_id=101)
        assert len(curve) >= MOST_POINTS and curve == sorted(curve, key=lambda point: point[0])

        async with open_desk(here.home, look, settings, 101) as desk:
            desk.window.go_to("pnl")
            page = desk.window.findChild(PnlPage)
            assert page is not None
            await eventually(lambda: page.model.rowCount() == TRADES, 20, "all trades of the day")
            trade(here, TRADES)
            await eventually(lambda: page.model.rowCount() == TRADES + 1, 20, "one more")
            page.export_to(tmp_path / "trades.csv")
        with (tmp_path / "trades.csv").open(encoding="utf-8-sig", newline="") as file:
            heading, *lines = csv.reader(file)
        assert len(lines) == TRADES + 1
        net = heading.index("Net")
        assert sum(Decimal(line[net]) for line in lines if line[net]) == Decimal("-0.10") * (TRADES // 2)

        # The daemon is down: the replica has them too.
        assert await here.service.store.flush()
        await here.stop()
        offline = StateReader(here.home).trades(101)
        assert [row["id"] for row in offline] == [1000 + number for number in range(TRADES + 1)]
