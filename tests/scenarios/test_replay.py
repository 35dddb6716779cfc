"""A recorded day, run again: the decisions of the day itself, and another configuration side by side."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from daemon.__main__ import main
from daemon.journal import Journal, read_journal
from daemon.replay import Deed, Replay
from daemon.simulator import Simulator
from daemon.store.state import SavedState
from shared.config import HolidayCalendar, RiskConfig
from tests.gateway.world import FAST
from tests.scenarios.fork_server import ROOT
from tests.scenarios.world import World, eventually, running, world

RISK = {
    "rules": {"daily_realized_loss": {"limit": -500}, "max_contracts_per_instrument": {"limits": {"MNQ": 2, "ES": 1}}}
}


def deeds(path: Path) -> list[Deed]:
    """What the recorded configuration decides."""
    return list(Replay().run(read_journal(path)))


async def live(here: World) -> list[tuple[int, str, str]]:
    """What the daemon did, from its log, in the words of a replay."""
    words = {"lockout_set": "lock", "lockout_cleared": "unlock"}
    rows = await here.rows("SELECT * FROM enforcement_log ORDER BY id")
    return [(row["account_id"], row["rule_id"], words.get(row["action"], row["action"])) for row in rows]


async def a_day(here: World) -> None:
    """Too many MNQ, then the day's loss with an order working."""
    here.trader().buy("MNQ", 5)
    await eventually(lambda: here.held() == {"MNQ": 2}, "reduced")
    bid = Decimal(str(here.sim.quote("MNQ")[0]))
    here.trader().sell("MNQ", 2, kind="stop", stop=bid - 50)
    await eventually(lambda: here.service.engine.account(101).orders, "the stop is seen")
    here.sim.inject_trade(101, "NQ", -600)
    await eventually(here.flat, "flat")
    await here.enforced()


async def test_replay_decides_what_the_daemon_decided(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        await a_day(here)
        done = await live(here)
        await here.stop()
        replayed = deeds(here.home.journal / "2026-12-02.jsonl.gz")
    assert sorted((deed.account_id, deed.rule_id, deed.action) for deed in replayed) == sorted(done)
    (lock,) = (deed for deed in replayed if deed.action == "lock")
    # Two ticks of spread on three MNQ, and the loss; the P&L at that very moment.
    assert lock.realized == -601_500_000 and lock.unrealized == -1_000_000


async def test_restart_and_config_change_in_the_middle_of_the_day_are_replayed(tmp_path: Path) -> None:
    made = World(tmp_path, RISK)
    async with running(made) as here:
        here.sim.inject_trade(101, "NQ", -300)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        await here.stop()
        await here.start()
        assert here.locks() == {}
        admin = await here.admin()
        await admin.call(
            "set_config", {"file": "risk_config.yaml", "patch": {"rules": {"daily_realized_loss": {"limit": -250}}}}
        )
        await admin.close()
        await here.locked("RULE-003")
        await here.enforced()
        done = await live(here)
        await here.stop()
        run = Replay()
        replayed = list(run.run(read_journal(here.home.journal / "2026-12-02.jsonl.gz")))
    assert run.starts == 2
    assert [(deed.account_id, deed.rule_id, deed.action) for deed in replayed] == done == [(101, "RULE-003", "lock")]
    assert replayed[0].realized == -300_000_000


async def test_second_day_has_a_journal_of_its_own_that_replays_from_the_state_at_the_reset(tmp_path: Path) -> None:
    made = World(tmp_path, RISK, timings=replace(FAST, token_margin=0.0))

    def before(sim: Simulator) -> None:
        sim.trader(101).buy("MNQ", 2)
        sim.inject_trade(101, "NQ", -400)

    async with running(made, prepare=before) as here:
        await here.travel_to(datetime(2026, 12, 2, 22, 0, 5, tzinfo=UTC))
        await eventually(lambda: here.service.engine.account(101).ledger.count == 0, "a new day")
        await eventually(lambda: here.service.status() == "healthy")
        here.sim.inject_trade(101, "NQ", -450)
        await eventually(lambda: here.service.engine.account(101).ledger.count == 1)
        assert here.locks() == {}
        here.sim.inject_trade(101, "NQ", -50)
        await here.locked("RULE-003")
        await eventually(here.flat, "flat")
        await here.enforced()
        done = await live(here)
        await here.stop()
        files = sorted(path.name for path in here.home.journal.iterdir())
        assert files == ["2026-12-02.jsonl.gz", "2026-12-03.jsonl.gz"]
        assert deeds(here.home.journal / files[0]) == []
        second = deeds(here.home.journal / files[1])
    assert sorted((deed.account_id, deed.rule_id, deed.action) for deed in second) == sorted(done)
    assert [deed.realized for deed in second if deed.action == "lock"] == [-500_000_000]
    assert [deed.subject for deed in second if deed.action == "close_position"] == ["2 MNQ"]


async def test_lockout_that_ends_with_the_day_is_in_the_first_days_replay(tmp_path: Path) -> None:
    async with world(tmp_path, RISK) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.travel_to(datetime(2026, 12, 2, 22, 0, 5, tzinfo=UTC))
        await eventually(lambda: here.locks() == {}, "free")
        await here.stop()
        first = deeds(here.home.journal / "2026-12-02.jsonl.gz")
        assert [deed.action for deed in first] == ["lock", "unlock"]
        assert deeds(here.home.journal / "2026-12-03.jsonl.gz") == []


async def test_command_prints_the_day_and_what_another_configuration_would_have_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, RISK) as here:
        await a_day(here)
        await here.stop()
    journal = str(tmp_path / "data" / "journal" / "2026-12-02.jsonl.gz")
    assert main(["replay", journal]) == 0
    first = capsys.readouterr().out
    assert main(["replay", journal]) == 0
    assert capsys.readouterr().out == first
    assert "RULE-003" in first and "-601.50 realized, -1.00 open" in first and "reached the limit of -500.00" in first

    strict = tmp_path / "strict.yaml"
    strict.write_text(yaml.safe_dump({"rules": {"max_contracts": {"limit": 1}}}), encoding="utf-8")
    assert main(["replay", journal, "--config", str(strict)]) == 0
    both = capsys.readouterr().out
    assert main(["replay", journal, "--config", str(strict)]) == 0
    assert capsys.readouterr().out == both
    (own,) = (line for line in both.splitlines() if "RULE-001" in line)
    assert " -  " in own, "only the other configuration has rule 001"
    assert "estimate" in both

    # The home's own configuration is the recorded one: nothing to compare. A date finds the journal.
    assert main(["replay", "2026-12-02", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().out == first


def test_file_that_is_no_journal_is_one_sentence(tmp_path: Path) -> None:
    missing = tmp_path / "2026-12-02.jsonl.gz"
    for text, expected in ((None, "cannot be read"), ("no journal", "is damaged, or is no journal")):
        if text is not None:
            missing.write_text(text, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "daemon", "replay", str(missing)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert expected in done.stderr and "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_invalid_other_configuration_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path, version="1", on_alert=lambda text: None)
    journal.start("2026-12-02", RiskConfig(), HolidayCalendar(), SavedState(), 1)
    journal.close()
    other = tmp_path / "other.yaml"
    other.write_text("rules: {daily_realized_loss: {limit: 500}}\n", encoding="utf-8")
    assert main(["replay", str(tmp_path / "2026-12-02.jsonl.gz"), "--config", str(other)]) == 2
    assert "rules.daily_realized_loss.limit" in capsys.readouterr().err
