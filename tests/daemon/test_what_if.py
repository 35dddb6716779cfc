"""What-if: a recorded day through edited rules, in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from daemon.what_if import Request, WhatIf, WhatIfError, journal_days
from shared.protocol import ErrorCode
from tests.daemon.admin_world import desk
from tests.scenarios.world import eventually

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]


async def test_what_if_when_a_limit_is_tightened_shows_what_the_day_would_have_been(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        here.world.sim.inject_trade(102, "NQ", -350)
        engine = here.world.service.engine
        await eventually(lambda: engine.account(102).ledger.count, "the trade is known")
        day = engine.days.name(engine.now)
        days = await here.call("get_journal_days")
        for _ in range(100):
            if days:
                break
            await asyncio.sleep(0.05)
            days = await here.call("get_journal_days")
        assert [row["day"] for row in days] == [day]
        edit = [{"path": "rules.daily_realized_loss.limit", "value": -300}]
        for _ in range(50):
            answer = await here.call("what_if", day=day, patch=edit)
            if answer["other_only"]:
                break
            await asyncio.sleep(0.5)
        locked = [row for row in answer["rows"] if row["rule_id"] == "RULE-003" and row["action"] == "lock"]
        assert [(row["account_id"], row["recorded"]) for row in locked] == [(102, None)]
        assert locked[0]["other"]["realized"] == "-350.00"
        assert "RULE-003" not in here.world.locks(102), "nothing of it is real"
        assert here.world.service.configuration.active.risk.rules.daily_realized_loss is not None

        assert (await here.refused("what_if", day="2020-01-01", patch=[])).code == ErrorCode.INVALID_PARAMS
        wrong = await here.refused("what_if", day=day, yaml="version: 1\nrules: {daily_realized_loss: {limit: 5}}\n")
        assert wrong.code == ErrorCode.INVALID_PARAMS
        assert isinstance(wrong.data, dict) and wrong.data["errors"][0]["line"] == 2


async def test_what_if_when_it_takes_too_long_or_is_cancelled_ends_its_process(tmp_path: Path) -> None:
    slow = WhatIf(seconds=0.3, command=SLEEPS)
    with pytest.raises(WhatIfError, match="longer than"):
        await slow.run(Request(tmp_path / "x", ""))
    assert not slow.running

    patient = WhatIf(seconds=30, command=SLEEPS)
    task = asyncio.create_task(patient.run(Request(tmp_path / "x", "")))
    await eventually(lambda: patient.running, "it runs")
    assert patient.cancel() is True
    with pytest.raises(WhatIfError, match="ended before"):
        await task
    assert patient.cancel() is False


async def test_what_if_when_the_journal_is_damaged_says_so(tmp_path: Path) -> None:
    bad = tmp_path / "2026-12-02.jsonl.gz"
    bad.write_bytes(b"nothing of a journal, but long enough to be looked at closely")
    with pytest.raises(WhatIfError, match="journal"):
        await WhatIf().run(Request(bad, "version: 1\n"))
    assert [row["day"] for row in journal_days(tmp_path)] == ["2026-12-02"]
