"""The worked cases of the rule book over the wire: a whole daemon against a simulated broker."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.core.units import to_iso
from daemon.simulator import effects
from tests.scenarios.world import PATIENT, WEDNESDAY, World, accounts, broker, eventually, running, world
from tests.shared.config_examples import DOCUMENTED

FULL: dict[str, Any] = {key: value for key, value in yaml.safe_load(DOCUMENTED).items() if key in {"policy", "rules"}}
"""The configuration of the interface description, without its override for account 101."""


def only(*keys: str, **changed: Any) -> dict[str, Any]:
    """These rules of the full configuration, and others with these settings."""
    return {"rules": {**{key: FULL["rules"][key] for key in keys}, **changed}}


async def lose(here: World, dollars: str, count: int = 1) -> None:
    """Closing fills with this P&L, each of an order of its own."""
    for _ in range(count):
        here.sim.inject_trade(101, "MNQ", dollars)


async def test_case_1_daily_loss_flattens_locks_and_takes_back_what_comes_later(tmp_path: Path) -> None:
    def before(sim: Any) -> None:
        for _ in range(5):
            sim.inject_trade(101, "MNQ", -90)

    async with world(tmp_path, FULL, prepare=before, timings=PATIENT) as here:
        here.trader().buy("ES", 1)
        bid = Decimal(str(here.sim.quote("ES")[0]))
        here.trader().sell("ES", 1, kind="stop", stop=bid - 20)
        here.trader().buy("MNQ", 1, kind="limit", limit=Decimal(str(here.sim.quote("MNQ")[0])) - 100)
        await eventually(lambda: len(here.service.engine.account(101).orders) == 2, "the daemon sees both orders")
        here.sim.inject_trade(101, "MNQ", "-60", "0.74")
        await eventually(here.flat, "flat")
        await here.enforced()
        assert here.locks() == {"RULE-003": "hard"}
        assert here.sim.extremes(101, "ES") == (0, 1)
        assert len(here.sent("Position/closeContract")) == 1
        assert len(here.sent("Order/cancel")) == 2

        here.sim.clock.advance(3)
        here.trader().buy("MNQ", 1)
        await eventually(lambda: len(here.sent("Position/closeContract")) == 2, "closed again")
        await eventually(here.flat, "flat again")
        await here.enforced()
        assert here.sim.extremes(101, "MNQ") == (0, 1)

        (lockout,) = await here.rows("SELECT * FROM lockouts")
        assert (lockout["rule_id"], lockout["kind"], lockout["symbol"]) == ("RULE-003", "hard", None)
        assert lockout["expires_at"] == "2026-12-02T22:00:00.000000Z"
        assert "-510.74" in lockout["reason"] and "17:00 New York" in lockout["reason"]
        log = await here.log()
        deeds = Counter((action, result) for rule, action, result in log if rule == "RULE-003")
        # The phone's market order may have been seen working before it filled, and then was to be cancelled too.
        assert deeds.pop(("cancel_order", "confirmed")) in {2, 3}
        assert deeds == {("lockout_set", "confirmed"): 1, ("close_position", "confirmed"): 2}
        assert log[0][1] == "lockout_set"
        (shown,) = await here.call("get_lockouts")
        assert (shown["rule_id"], shown["expires_at"]) == ("RULE-003", lockout["expires_at"])
        pnl = await here.call("get_pnl", account_id=101)
        # Closing at the market cost the spread: a tick of ES and one of MNQ.
        assert (pnl["realized"], pnl["trading_day"]) == ("-523.74", "2026-12-02")
        assert await here.call("get_positions", account_id=101) == []
        assert await here.call("get_orders", account_id=101) == []
        assert (await here.call("get_status"))["accounts"]["101"]["lockout"] is True
        closes = [row for row in await here.call("get_enforcement_log", limit=50) if row["action"] == "close_position"]
        assert all(row["confirmed_at"] >= row["triggered_at"] for row in closes) and len(closes) == 2


@pytest.mark.parametrize(
    ("now", "until"),
    [
        (datetime(2026, 12, 2, 22, 30, tzinfo=UTC), "2026-12-03T22:00:00.000000Z"),
        (datetime(2026, 12, 4, 22, 30, tzinfo=UTC), "2026-12-05T22:00:00.000000Z"),
        (datetime(2026, 12, 5, 22, 30, tzinfo=UTC), "2026-12-06T22:00:00.000000Z"),
    ],
)
async def test_case_2_after_the_reset_the_lockout_lasts_until_the_next_one(
    tmp_path: Path, now: datetime, until: str
) -> None:
    config = broker(accounts(101), now)
    async with world(tmp_path, only("daily_realized_loss"), config=config) as here:
        await lose(here, "-500")
        await here.locked("RULE-003")
        (lockout,) = await here.rows("SELECT expires_at FROM lockouts")
        assert lockout["expires_at"] == until


async def test_case_3_one_positions_loss_closes_that_position_alone(tmp_path: Path) -> None:
    async with world(tmp_path, only("daily_unrealized_loss"), timings=PATIENT) as here:
        here.sim.set_quote("MNQ", "20999.75", "21000")
        here.trader().buy("MNQ", 2)
        here.trader().buy("ES", 1)
        mnq = here.sim.contract("MNQ").id
        book = here.service.engine.market.books
        await here.quoted("MNQ")
        here.sim.set_quote("MNQ", "20925.25", "20925.50")
        await eventually(lambda: book[mnq].bid == 20925_250000000, "the quote is judged")
        (position,) = (row for row in await here.call("get_positions", account_id=101) if row["symbol"] == "MNQ")
        assert position["unrealized"] == "-299.00"
        assert here.held() == {"MNQ": 2, "ES": 1} and not here.sent("Position/closeContract")
        here.sim.set_quote("MNQ", "20925", "20925.25")
        await eventually(lambda: here.held() == {"ES": 1}, "MNQ alone is closed")
        await here.enforced()
        assert here.locks() == {} and here.never_flipped()
        assert await here.log() == [("RULE-004", "close_position", "confirmed")]


async def test_case_4_net_limit_takes_off_what_came_last(tmp_path: Path) -> None:
    async with world(tmp_path, only("max_contracts"), timings=PATIENT) as here:
        here.trader().buy("MNQ", 3)
        here.trader().buy("ES", 2)
        await eventually(lambda: len(here.service.engine.account(101).positions) == 2)
        assert not here.service.engine.account(101).obligations
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.held() == {"MNQ": 3, "ES": 2}, "reduced by one")
        await here.enforced()
        (request,) = here.sent("Position/partialCloseContract")
        assert request.body is not None and request.body["size"] == 1
        assert await here.log() == [("RULE-001", "reduce_position", "confirmed")]


async def test_case_4_long_and_short_offset_each_other_in_the_net_and_add_up_in_the_gross(tmp_path: Path) -> None:
    net = {"limit": 6, "count_type": "net"}
    async with world(tmp_path, only(max_contracts=net), timings=PATIENT) as here:
        here.trader().buy("MNQ", 6)
        here.trader().sell("ES", 4)
        await eventually(lambda: len(here.service.engine.account(101).positions) == 2)
        (rule,) = (r for r in await here.call("get_rules", account_id=101) if r["rule_id"] == "RULE-001")
        assert (rule["value"], rule["limit"]) == ("2", "6 net")
        assert here.held() == {"MNQ": 6, "ES": -4} and not here.sent("Position/partialCloseContract")
    gross = {"limit": 9, "count_type": "gross"}
    async with world(tmp_path / "gross", only(max_contracts=gross), timings=PATIENT) as here:
        here.trader().buy("MNQ", 6)
        here.trader().sell("ES", 4)
        await eventually(lambda: here.held() == {"MNQ": 6, "ES": -3}, "the last increased is reduced")
        await here.enforced()
        assert here.sim.extremes(101, "ES") == (-4, 0)


@pytest.mark.parametrize("lost", [effects.Hang(after_effect=True), effects.Reset(after_effect=True), effects.Reset()])
async def test_case_5_lost_answer_of_a_partial_close_is_read_before_anything_else_goes_out(
    tmp_path: Path, lost: effects.Effect
) -> None:
    async with world(tmp_path, FULL, timings=PATIENT) as here:
        # Events of the close do not come either: only a read can tell.
        here.sim.faults.add(lost, path="Position/partialCloseContract", count=1)
        here.sim.faults.add(effects.Drop(), event="order", account=101)
        here.sim.faults.add(effects.Drop(), event="trade", account=101)
        here.sim.faults.add(effects.Drop(), event="position", account=101, skip=1)
        begun = len(here.sim.requests)
        here.trader().buy("MNQ", 5)
        await eventually(lambda: here.held() == {"MNQ": 2}, "reduced to the limit")
        await here.enforced()
        paths = [request.path for request in list(here.sim.requests)[begun:] if request.path.startswith("Position")]
        sent = paths.index("Position/partialCloseContract")
        assert paths[sent + 1] == "Position/searchOpen"
        took_effect = getattr(lost, "after_effect", False)
        assert paths.count("Position/partialCloseContract") == (1 if took_effect else 2)
        assert all(r.body and r.body["size"] == 3 for r in here.sent("Position/partialCloseContract"))
        assert here.sim.extremes(101, "MNQ") == (0, 5)


async def test_case_6_entry_in_a_cooldown_is_taken_back_and_an_exit_is_left_alone(tmp_path: Path) -> None:
    async with world(tmp_path, only("trade_frequency_limit"), timings=PATIENT) as here:
        here.trader().buy("ES", 1)
        here.trader().buy("MNQ", 1)
        here.trader().buy("MNQ", 1)
        await here.locked("RULE-006")
        assert here.held() == {"ES": 1, "MNQ": 2}
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.held() == {"ES": 1, "MNQ": 2}, "the fourth entry is taken back")
        await here.enforced()
        here.trader().sell("ES", 1)
        await eventually(lambda: here.service.engine.account(101).size(here.sim.contract("ES").id) == 0)
        await here.enforced()
        assert here.held() == {"MNQ": 2} and here.never_flipped()
        # The fourth entry reaches the limit too: a cooldown from then on, beside the first.
        lockout, later = await here.rows("SELECT * FROM lockouts ORDER BY id")
        assert (lockout["kind"], later["kind"]) == ("cooldown", "cooldown")
        length = datetime.fromisoformat(lockout["expires_at"]) - datetime.fromisoformat(lockout["locked_at"])
        assert length == timedelta(seconds=60)
        assert sum(action == "reduce_position" for _, action, _ in await here.log()) == 1


async def test_case_7_fills_of_one_losing_exit_are_summed_and_a_worse_one_lengthens(tmp_path: Path) -> None:
    async with world(tmp_path, only("cooldown_after_loss"), timings=PATIENT) as here:
        here.sim.inject_trade(101, "MNQ", "-60", order_id=7001)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        assert here.locks() == {}
        here.sim.inject_trade(101, "MNQ", "-55", order_id=7001)
        await here.locked("RULE-007")
        first = await here.rows("SELECT * FROM lockouts")
        here.sim.inject_trade(101, "MNQ", "-210", order_id=7002)
        await eventually(lambda: len(here.service.engine.account(101).locks) == 2, "the longer cooldown")
        second = await here.rows("SELECT * FROM lockouts ORDER BY id")
        lengths = [
            datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(row["locked_at"]) for row in second
        ]
        assert lengths == [timedelta(seconds=300), timedelta(seconds=900)]
        assert second[0] == first[0]


@pytest.mark.parametrize("stop", ["too small", "wrong side"])
async def test_case_8_position_without_a_covering_stop_is_closed_after_the_grace(tmp_path: Path, stop: str) -> None:
    async with world(tmp_path, only("no_stop_loss_grace")) as here:
        here.trader().buy("MNQ", 2)
        await here.quoted("MNQ")
        bid = Decimal(str(here.sim.quote("MNQ")[0]))
        if stop == "too small":
            order = here.trader().sell("MNQ", 1, kind="stop", stop=bid - 25)
        else:
            order = here.trader().sell("MNQ", 2, kind="stop", stop=bid + 25, unchecked=True)
        await eventually(lambda: order in here.service.engine.account(101).orders)
        await here.travel(8)
        assert here.held() == {"MNQ": 2}
        await here.travel(4)
        await eventually(lambda: here.held() == {}, "closed")
        await here.enforced()
        assert here.sim.extremes(101, "MNQ") == (0, 2)
        assert ("RULE-008", "close_position", "confirmed") in await here.log()


async def test_case_8_stop_of_the_brokers_own_page_is_found_by_the_read(tmp_path: Path) -> None:
    async with world(tmp_path, only("no_stop_loss_grace"), timings=PATIENT) as here:
        here.trader().buy("MNQ", 2)
        bid = Decimal(str(here.sim.quote("MNQ")[0]))
        await eventually(lambda: here.service.engine.account(101).positions)
        stop = here.trader().sell("MNQ", 2, kind="stop", stop=bid - 25, silent=True)
        assert stop not in here.service.engine.account(101).orders
        before = len(here.sent("Order/v2/query"))
        # Quotes carry no broker time: a trade on another contract's account moves trusted time on.
        here.sim.clock.advance(12)
        await here.client.call("get_status")
        here.sim.inject_trade(101, "ES", None)
        await eventually(lambda: len(here.sent("Order/v2/query")) > before, "open orders are read", 16)
        await eventually(lambda: stop in here.service.engine.account(101).orders, "the stop is found")
        assert here.held() == {"MNQ": 2} and not here.sent("Position/closeContract")


async def test_case_10_forward_jump_of_the_machines_clock_frees_nothing(tmp_path: Path) -> None:
    jump = 0

    def wall() -> int:
        return made.sim.clock.now() + jump

    made = World(tmp_path, only("daily_realized_loss"), wall_clock=wall)
    async with running(made) as here:
        assert (await here.call("get_status"))["clock_suspect"] is False
        await lose(here, "-500")
        await here.locked("RULE-003")
        jump = 86_400 * 1_000_000
        await here.travel(5)
        status = await here.call("get_status")
        assert status["clock_suspect"] is True
        assert status["clock_offset_seconds"] == pytest.approx(86_400, abs=2)
        assert here.locks() == {"RULE-003": "hard"}
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.sent("Position/closeContract"), "closed all the same")
        await eventually(here.flat, "flat")
        # A restart with the wrong clock frees nothing either, not even while the gateway cannot be reached.
        await here.stop()
        here.sim.faults.add(effects.HttpStatus(503), path="*")
        await here.start(healthy=False)
        assert here.locks() == {"RULE-003": "hard"}
        assert (await here.call("get_status"))["clock_suspect"] is True
        here.sim.faults.clear()
        await eventually(lambda: here.service.status() == "healthy", "healthy")
        assert here.locks() == {"RULE-003": "hard"}
        assert to_iso(here.service.clock.now()) < "2026-12-02T16"


async def test_case_11_blocked_symbol_is_closed_and_locked_and_others_are_free(tmp_path: Path) -> None:
    async with world(tmp_path, only("symbol_blocks"), timings=PATIENT) as here:
        here.trader().buy("RTY", 1)
        await eventually(lambda: here.sim.extremes(101, "RTY") == (0, 1) and not here.held(), "closed")
        await here.enforced()
        (lockout,) = await here.rows("SELECT * FROM lockouts")
        assert (lockout["rule_id"], lockout["kind"], lockout["symbol"], lockout["expires_at"]) == (
            "RULE-011",
            "symbol",
            "RTY",
            None,
        )
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.service.engine.account(101).size(here.sim.contract("MNQ").id) == 1)
        await here.enforced()
        assert here.held() == {"MNQ": 1}
        assert (await here.call("get_status"))["accounts"]["101"]["lockout"] is False


async def test_case_12_account_is_locked_while_the_gateway_forbids_trading(tmp_path: Path) -> None:
    async with world(tmp_path, only("auth_loss_guard"), timings=PATIENT) as here:
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.service.engine.account(101).positions)
        here.sim.set_can_trade(101, False)
        await here.locked("RULE-010")
        await eventually(here.flat, "flat")
        await here.enforced()
        assert here.locks() == {"RULE-010": "api"}
        here.sim.clock.advance(20)
        here.sim.set_can_trade(101, True)
        await eventually(lambda: here.locks() == {}, "free")
        (lockout,) = await here.rows("SELECT * FROM lockouts")
        assert lockout["cleared_at"] is not None
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.service.engine.account(101).positions)
        await here.enforced()
        assert here.held() == {"MNQ": 1}


def test_start_is_on_a_trading_day() -> None:
    assert WEDNESDAY.strftime("%A") == "Wednesday"
