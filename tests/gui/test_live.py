"""The window over a real daemon and the simulated gateway: its figures are the daemon's and the broker's."""

import asyncio
import os
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from daemon.simulator import Simulator
from gui.app_state import AppState, Link, Notice, NoticeKind
from gui.settings import Settings
from gui.state_reader import StateReader
from tests.gui.live import eventually, open_desk, world

ACCOUNT = 101
SYMBOLS = {"MNQ": (0.25, 20), "ES": (0.25, 8), "NQ": (0.25, 10)}
"""Tick and how many ticks a price may jump between two trades."""
MICRO = Decimal(1_000_000)


def _broker_realized(sim: Simulator) -> Decimal:
    """Net P&L of all trades of the simulated broker's own book in dollars."""
    total = sum((trade.pnl or 0) - trade.fees - trade.commissions for trade in sim.trades(ACCOUNT) if not trade.voided)
    return Decimal(total) / MICRO


async def test_window_when_rule_is_broken_shows_the_enforcement_and_then_the_figures_of_a_stopped_daemon(
    look: QApplication, settings: Settings, tmp_path: Path
) -> None:
    async with world(tmp_path) as running, open_desk(running.home, look, settings, ACCOUNT) as desk:
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
