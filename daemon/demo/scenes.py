"""What the scripted trader does: one account and one scene for each rule.

A scene is played through the simulated broker, as from the trader's phone; the daemon sees only what comes over the
wire.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from daemon.core.local_time import zone
from daemon.simulator import Simulator

NEW_YORK = "America/New_York"

Played = Callable[["Stage"], Awaitable[None]]
Check = Callable[["Stage"], bool]


@dataclass(slots=True)
class Stage:
    """The simulator and the account a scene is played on. `pause` waits real seconds, shortened by the demo's speed."""

    sim: Simulator
    account: int
    speed: float = 1.0
    notes: dict[str, Any] = field(default_factory=dict)

    async def pause(self, seconds: float) -> None:
        """Wait a little, so that a spectator can follow."""
        await asyncio.sleep(seconds / self.speed)

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Wait for something to be seen at the broker; False when it did not come in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not condition():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    def buy(self, symbol: str, size: int, **options: Any) -> int:
        """Buy at the market unless said otherwise."""
        return self.sim.trader(self.account).buy(symbol, size, **options)

    def sell(self, symbol: str, size: int, **options: Any) -> int:
        """Sell at the market unless said otherwise."""
        return self.sim.trader(self.account).sell(symbol, size, **options)

    def net(self, symbol: str) -> int:
        """Signed contracts held at the broker."""
        return self.sim.net(self.account, symbol)

    def move(self, symbol: str, ticks: int) -> None:
        """Move the market by so many ticks."""
        tick = self.sim.contract(symbol).tick_size
        bid, ask = (Decimal(str(price)) for price in self.sim.quote(symbol))
        self.sim.set_quote(symbol, bid + ticks * tick, ask + ticks * tick)

    async def trade_for(self, symbol: str, size: int, ticks: int) -> None:
        """Buy, let the market move by so many ticks, and sell."""
        self.buy(symbol, size)
        self.move(symbol, ticks)
        await self.pause(0.05)
        if self.net(symbol) >= size:
            self.sell(symbol, size)
        await self.pause(0.05)

    def flat(self) -> bool:
        """Nothing held, nothing working."""
        return not self.sim.positions(self.account) and not self.sim.working_orders(self.account)


@dataclass(slots=True)
class Scene:
    """One rule: its settings for the account, what the trader does, and how the broker must look afterwards.

    `locks`: a lockout of this rule must have been set. `told`: what happens, for the table.
    """

    key: str
    settings: dict[str, Any]
    told: str
    play: Played
    done: Check
    locks: bool = True


async def _too_many(stage: Stage) -> None:
    stage.buy("MNQ", 2)
    await stage.pause(0.2)
    stage.buy("ES", 1)


async def _too_many_of_one(stage: Stage) -> None:
    stage.buy("MNQ", 5)
    await stage.until(lambda: stage.net("MNQ") == 2)
    stage.buy("RTY", 1)


async def _daily_loss(stage: Stage) -> None:
    stage.buy("ES", 1)
    bid, _ = stage.sim.quote("MNQ")
    stage.buy("MNQ", 1, kind="limit", limit=Decimal(str(bid)) - 50)
    stage.sell("ES", 1, kind="stop", stop=Decimal(str(stage.sim.quote("ES")[0])) - 20)
    await stage.trade_for("NQ", 2, -52)
    await stage.until(stage.flat)
    await stage.pause(0.3)
    stage.buy("MNQ", 1)  # once more, from the phone
    await stage.pause(0.1)


async def _open_loss(stage: Stage) -> None:
    stage.buy("MNQ", 2)
    stage.buy("MES", 1)
    await stage.pause(0.3)
    for _ in range(3):
        stage.move("MNQ", -101)
        await stage.pause(0.1)


async def _open_profit(stage: Stage) -> None:
    stage.buy("MNQ", 2)
    await stage.pause(0.3)
    for _ in range(3):
        stage.move("MNQ", 101)
        await stage.pause(0.1)


async def _too_often(stage: Stage) -> None:
    for _ in range(3):
        stage.buy("MNQ", 1)
        await stage.pause(0.15)
    await stage.pause(0.3)
    stage.buy("MNQ", 1)
    await stage.pause(0.1)


async def _losing_exit(stage: Stage) -> None:
    stage.buy("ES", 1)
    await stage.trade_for("NQ", 1, -24)


async def _no_stop(stage: Stage) -> None:
    stage.buy("MNQ", 1)
    await stage.until(lambda: stage.net("MNQ") == 1)
    await stage.until(stage.flat, 6.0)


async def _buy_one(stage: Stage) -> None:
    stage.buy("MNQ", 1)
    await stage.pause(0.1)


async def _forbidden(stage: Stage) -> None:
    stage.buy("MNQ", 1)
    await stage.pause(0.3)
    stage.sim.set_can_trade(stage.account, False)


async def _blocked(stage: Stage) -> None:
    stage.buy("RTY", 1)
    await stage.until(lambda: stage.net("RTY") == 0)
    stage.buy("MNQ", 1)
    await stage.pause(0.2)


async def _winner(stage: Stage) -> None:
    stage.buy("MNQ", 1)
    entry = Decimal(str(stage.sim.quote("MNQ")[1]))
    stage.notes["stop"] = stage.sell("MNQ", 1, kind="stop", stop=entry - 20)
    stage.notes["entry"] = entry
    await stage.pause(0.3)
    stage.move("MNQ", 12)
    await stage.pause(1.3)
    stage.move("MNQ", 30)
    await stage.pause(1.3)


def _trailed(stage: Stage) -> bool:
    stops = [order for order in stage.sim.working_orders(stage.account) if order.id == stage.notes["stop"]]
    if not stops or stops[0].stop is None:
        return False
    contract = stage.sim.contract("MNQ")
    return stops[0].stop > int(stage.notes["entry"] / contract.tick_size)


async def _profit(stage: Stage) -> None:
    await stage.trade_for("NQ", 2, 35)


async def _total_loss(stage: Stage) -> None:
    await stage.trade_for("NQ", 1, -50)
    stage.buy("MNQ", 2)
    await stage.pause(0.3)
    stage.move("MNQ", -160)


async def _given_back(stage: Stage) -> None:
    await stage.trade_for("NQ", 1, 62)
    await stage.trade_for("NQ", 1, -43)


async def _weekly(stage: Stage) -> None:
    await stage.trade_for("NQ", 2, -53)


async def _losing_streak(stage: Stage) -> None:
    for _ in range(3):
        await stage.trade_for("MNQ", 1, -8)
    await stage.pause(0.3)
    stage.buy("MNQ", 1)
    await stage.pause(0.1)


async def _drawdown(stage: Stage) -> None:
    stage.buy("NQ", 2)
    await stage.pause(0.3)
    stage.move("NQ", -55)


async def _averaging_down(stage: Stage) -> None:
    stage.buy("MNQ", 1)
    await stage.pause(0.3)
    stage.move("MNQ", -20)
    await stage.pause(0.3)
    stage.buy("MNQ", 1)
    await stage.pause(0.1)


def reset_at(now: datetime) -> dict[str, str]:
    """The daily reset of the demo, as in risk_config.yaml: 17:00 New York unless that is near, then 05:00.

    In the middle of the demo it would end the day's lockouts. `now` is the broker's time (UTC).
    """
    near = now.astimezone(zone(NEW_YORK)).hour in {16, 17}
    return {"time": "05:00" if near else "17:00", "timezone": NEW_YORK}


def scenes(now: datetime) -> list[Scene]:
    """All scenes, in the order of the rules' ids; `now` is the broker's time (UTC)."""
    flat = Stage.flat
    opens = now.astimezone(UTC) + timedelta(hours=6)
    closed_now = {
        "global_session": {
            "start": opens.strftime("%H:%M"),
            "end": (opens + timedelta(hours=1)).strftime("%H:%M"),
            "timezone": "UTC",
        },
        "respect_holidays": False,
    }
    return [
        Scene(
            "max_contracts",
            {"limit": 2},
            "holds 2 MNQ, buys 1 ES",
            _too_many,
            lambda stage: stage.net("MNQ") == 2 and stage.net("ES") == 0,
            locks=False,
        ),
        Scene(
            "max_contracts_per_instrument",
            {"limits": {"MNQ": 2}},
            "buys 5 MNQ, then 1 RTY",
            _too_many_of_one,
            lambda stage: stage.net("MNQ") == 2 and stage.net("RTY") == 0,
            locks=False,
        ),
        Scene("daily_realized_loss", {"limit": -500}, "loses 520, buys again by phone", _daily_loss, flat),
        Scene(
            "daily_unrealized_loss",
            {"limit": -300},
            "2 MNQ fall by 303 dollars",
            _open_loss,
            lambda stage: stage.net("MNQ") == 0 and stage.net("MES") == 1,
            locks=False,
        ),
        Scene("max_unrealized_profit", {"target": 300}, "2 MNQ gain 303 dollars", _open_profit, flat, locks=False),
        Scene(
            "trade_frequency_limit",
            {"limits": {"per_minute": 3}, "cooldown_on_breach": {"per_minute_breach": 60}},
            "enters a fourth time in a minute",
            _too_often,
            lambda stage: stage.net("MNQ") == 3,
        ),
        Scene(
            "cooldown_after_loss",
            {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 300}]},
            "exits with a loss of 120",
            _losing_exit,
            flat,
        ),
        Scene(
            "no_stop_loss_grace", {"grace_period_seconds": 1}, "holds 1 MNQ without a stop", _no_stop, flat, locks=False
        ),
        Scene("session_block_outside", closed_now, "buys outside the session", _buy_one, flat),
        Scene("auth_loss_guard", {}, "the gateway forbids trading", _forbidden, flat),
        Scene(
            "symbol_blocks",
            {"blocked_symbols": ["RTY"]},
            "buys 1 RTY, then 1 MNQ",
            _blocked,
            lambda stage: stage.net("RTY") == 0 and stage.net("MNQ") == 1,
        ),
        Scene(
            "trade_management",
            {
                "auto_breakeven": {"profit_trigger_ticks": 10},
                "trailing_stop": {"activation_ticks": 20, "trail_distance_ticks": 10},
            },
            "lets a winner run",
            _winner,
            _trailed,
            locks=False,
        ),
        Scene("daily_realized_profit", {"target": 300}, "wins 350", _profit, flat),
        Scene("daily_total_loss", {"limit": -400}, "loses 250, then holds a loser", _total_loss, flat),
        Scene("profit_give_back", {"amount": 200}, "wins 310, gives back 215", _given_back, flat),
        Scene("weekly_loss", {"limit": -500}, "loses 530 in the week", _weekly, flat),
        Scene(
            "consecutive_losses",
            {"limit": 3, "cooldown_duration": 600},
            "loses 3 times in a row, buys again",
            _losing_streak,
            flat,
        ),
        Scene("trailing_drawdown", {"amount": 500, "mode": "intraday"}, "equity falls by 550", _drawdown, flat),
        Scene(
            "losing_position_adds",
            {"max_adds": 0},
            "adds to a losing MNQ",
            _averaging_down,
            lambda stage: stage.net("MNQ") == 1,
            locks=False,
        ),
        Scene(
            "scheduled_flatten",
            {"time": now.astimezone(zone(NEW_YORK)).strftime("%H:%M"), "timezone": NEW_YORK},
            "buys after the flat time",
            _buy_one,
            flat,
        ),
    ]
