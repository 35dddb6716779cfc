"""The window over a real daemon and the simulated gateway: its figures are the daemon's and the broker's."""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication

from daemon.simulator import Refusal, Simulator
from gui.app_state import AppState, Link, Notice, NoticeKind
from gui.client import DaemonClient
from gui.settings import Settings
from gui.state_reader import StateReader
from gui.views.page import Context
from gui.views.trader.overview import OverviewPage
from gui.views.trader.pnl import PnlPage
from gui.views.trader.positions import PositionsPage
from gui.views.trader.window import TraderWindow
from shared.models import PositionType
from tests.gui.live import World, eventually, world

ACCOUNT = 101
SYMBOLS = {"MNQ": (0.25, 20), "ES": (0.25, 8), "NQ": (0.25, 10)}
"""Tick and how many ticks a price may jump between two trades."""
MICRO = Decimal(1_000_000)


class Desk:
    """A window and its client in the test's own loop: Qt's events are worked off by a task."""

    def __init__(self, home: World, look: QApplication, settings: Settings) -> None:
        self.state = AppState(time.monotonic)
        self.client = DaemonClient(home.home, self.state, StateReader(home.home), poll_seconds=0.3)
        self.window = TraderWindow(Context(self.state, self.client, settings), "0")
        self._look = look
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self.window.show()
        self.client.start()
        self._task = asyncio.create_task(self._pump())
        await eventually(lambda: self.state.link is Link.ONLINE, 20, "a connection")
        await eventually(lambda: bool(self.state.accounts) and self.shown_account_is_watched, 20, "a watched account")

    @property
    def shown_account_is_watched(self) -> bool:
        view = self.state.view(ACCOUNT)
        return view is not None and view.account.monitored and view.lockouts is not None

    async def _pump(self) -> None:
        while True:
            self._look.processEvents()
            await asyncio.sleep(0.004)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        await self.client.close()
        self.window.refresher.close()
        self.window.close()
        self.window.deleteLater()
        self._look.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@asynccontextmanager
async def _desk(running: World, look: QApplication, settings: Settings) -> AsyncIterator[Desk]:
    desk = Desk(running, look, settings)
    try:
        await desk.open()
        yield desk
    finally:
        await desk.close()


def _broker_realized(sim: Simulator) -> Decimal:
    """Net P&L of all trades of the simulated broker's own book in dollars."""
    total = sum((trade.pnl or 0) - trade.fees - trade.commissions for trade in sim.trades(ACCOUNT) if not trade.voided)
    return Decimal(total) / MICRO


def _broker_holdings(sim: Simulator) -> dict[str, int]:
    return {holding.symbol: holding.net for holding in sim.positions(ACCOUNT) if holding.net}


def _shown_holdings(state: AppState) -> dict[str, int]:
    held = {}
    for position in state.accounts[ACCOUNT].positions or []:
        held[position.symbol] = position.size if position.side is PositionType.LONG else -position.size
    return held


async def _trade_at_random(sim: Simulator, seed: int, steps: int) -> None:
    """Jumps of the market and orders of every kind, one after the other; refusals are part of it."""
    chance = random.Random(seed)
    trader = sim.trader(ACCOUNT)
    for _ in range(steps):
        symbol = chance.choice(list(SYMBOLS))
        tick, jump = SYMBOLS[symbol]
        bid, ask = sim.quote(symbol)
        moved = chance.randint(-jump, jump) * tick
        sim.set_quote(symbol, bid + moved, ask + moved)
        try:
            held = sim.net(ACCOUNT, symbol)
            deed = chance.random()
            if held and deed < 0.45:
                trader.close(symbol, None if deed < 0.3 else 1)
            elif deed < 0.75:
                (trader.buy if chance.random() < 0.5 else trader.sell)(symbol, chance.randint(1, 2))
            elif deed < 0.9:
                trader.buy(symbol, 1, kind="limit", limit=bid + moved - 40 * tick)
            else:
                trader.cancel_all()
        except (Refusal, ValueError):
            pass
        await asyncio.sleep(0.02)


async def test_dashboard_when_traded_at_random_equals_the_daemon_and_the_broker(
    look: QApplication, settings: Settings, tmp_path: Path
) -> None:
    rules = {"max_contracts_per_instrument": {"limits": {"MNQ": 3, "ES": 2, "NQ": 2}}, "max_contracts": {"limit": 6}}
    async with world(tmp_path, quotes_per_second=0, rules=rules) as running, _desk(running, look, settings) as desk:
        sim, state = running.sim, desk.state
        await _trade_at_random(sim, seed=11, steps=150)
        await eventually(lambda: _shown_holdings(state) == _broker_holdings(sim), 15, "the same holdings")
        await eventually(
            lambda: state.accounts[ACCOUNT].pnl.realized == _broker_realized(sim), 15, "the same realized P&L"
        )
        await eventually(
            lambda: (
                {o.order_id for o in state.accounts[ACCOUNT].orders or []}
                == {order.id for order in sim.working_orders(ACCOUNT)}
            ),
            15,
            "the same working orders",
        )
        view = state.accounts[ACCOUNT]
        await desk.client.watch(ACCOUNT)
        assert len(sim.trades(ACCOUNT)) >= 60, "nothing much was traded"
        assert set(view.trades or {}) == {trade.id for trade in sim.trades(ACCOUNT)}
        assert sum((trade.net or Decimal(0) for trade in (view.trades or {}).values()), Decimal(0)) == view.pnl.realized
        # What the daemon answers when it is asked, rather than what it sent.
        asked = await desk.client.rpc.call("get_pnl", {"account_id": ACCOUNT})
        assert isinstance(asked, dict)
        assert Decimal(asked["realized"]) == view.pnl.realized
        # And what stands on the screen.
        for key in ("overview", "pnl", "positions"):
            desk.window.go_to(key)
            desk.window.refresher.flush()
        pages = {type(page): page for page in desk.window.pages}
        overview, pnl, positions = pages[OverviewPage], pages[PnlPage], pages[PositionsPage]
        assert isinstance(overview, OverviewPage)
        assert isinstance(pnl, PnlPage)
        assert isinstance(positions, PositionsPage)
        shown = overview.realized.figure.words.split()[-1].replace("\u2212", "-").replace(",", "").replace("+", "")
        assert Decimal(shown) == _broker_realized(sim).quantize(Decimal("0.01"))
        assert pnl.model.rowCount() == len(sim.trades(ACCOUNT))
        assert positions.positions.rowCount() == len(_broker_holdings(sim))


async def test_window_when_rule_is_broken_shows_the_enforcement_and_then_the_figures_of_a_stopped_daemon(
    look: QApplication, settings: Settings, tmp_path: Path
) -> None:
    async with world(tmp_path) as running, _desk(running, look, settings) as desk:
        sim, state, window = running.sim, desk.state, desk.window
        heard: list[Notice] = []
        state.listen_notices(heard.append)
        # A blocked symbol: closed, the symbol locked, the account free.
        sim.trader(ACCOUNT).buy("RTY", 1)
        await eventually(lambda: any(n.kind is NoticeKind.LOCKOUT for n in heard), 10, "the lockout")
        await eventually(lambda: not window.symbol_banner.isHidden(), 5, "the banner")
        assert window.symbol_banner.headline.text().startswith("RTY is blocked")
        await eventually(
            lambda: any(
                entry.action == "close_position" and entry.result == "confirmed"
                for entry in state.accounts[ACCOUNT].enforcement_log
            ),
            10,
            "the confirmed close",
        )
        assert window.lock_banner.isHidden()
        # The trader locks himself: what is held is closed, and the window says until when.
        sim.trader(ACCOUNT).buy("MNQ", 1)
        await eventually(lambda: bool(state.accounts[ACCOUNT].positions), 5, "a position")
        await desk.client.lock_account(ACCOUNT, minutes=15, reason="enough for today")
        await eventually(lambda: not window.lock_banner.isHidden(), 5, "the lock's banner")
        assert "enough for today" in window.lock_banner.headline.text()
        assert window.lock_banner.clock.words.startswith(("00:14:5", "00:15:0"))
        await eventually(lambda: sim.net(ACCOUNT, "MNQ") == 0, 10, "the position closed at the broker")
        await eventually(lambda: state.accounts[ACCOUNT].positions == [], 10, "the position gone from the window")
        realized = state.accounts[ACCOUNT].pnl.realized
        # The daemon ends: figures stay, marked with their age; a new window finds them in the replica.
        await eventually(lambda: _broker_realized(sim) == state.accounts[ACCOUNT].pnl.realized, 10, "the last figure")
        realized = state.accounts[ACCOUNT].pnl.realized
        running.stop_daemon()
        await eventually(lambda: state.link is Link.OFFLINE, 10, "offline")
        await eventually(lambda: not window.link_banner.isHidden(), 5, "the banner of the link")
        assert state.accounts[ACCOUNT].locked
        assert state.accounts[ACCOUNT].pnl.realized == realized
        later = AppState(time.monotonic)
        replica = StateReader(running.home).read()
        later.load_replica(replica.content, replica.as_of)
        assert later.accounts[ACCOUNT].pnl.realized == realized
        assert later.accounts[ACCOUNT].locked
        assert later.as_of is not None
        assert {lock.reason for lock in StateReader(running.home).lockouts(ACCOUNT)} >= {
            lock.reason for lock in state.accounts[ACCOUNT].lockouts or []
        }


STARTER = """
import sys
from PySide6.QtCore import QTimer
import gui.app as app
from gui.__main__ import main

make_application = app.make_application

def make(settings):
    qt = make_application(settings)
    seen = lambda: print("up", any(widget.isVisible() for widget in qt.topLevelWidgets()))
    QTimer.singleShot(1500, lambda: (seen(), qt.quit()))
    return qt

app.make_application = make
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("arguments", [["--minimized"], []])
async def test_program_when_started_connects_and_ends_on_request(tmp_path: Path, arguments: list[str]) -> None:
    """The real program in its own process over qasync, without a daemon: it must come up, wait, and end cleanly."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        STARTER,
        "--home",
        str(tmp_path / "home"),
        *arguments,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path / "config")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 40)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()[-2000:]
    # Without a tray (offscreen has none) a minimized start shows the window all the same: else nobody could find it.
    assert output.decode().strip() == "up True"
    assert b"Traceback" not in errors
