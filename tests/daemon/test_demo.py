"""`riskd demo --headless`: every rule, enforced over the wire, in a table; and honest when something was not."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.commands import demo as command
from daemon.commands.demo import risk_config
from daemon.core.units import SECOND_US
from daemon.demo.scenes import Scene, Stage, reset_at, scenes
from daemon.enforcer import Enforcer
from daemon.simulator import Simulator, SimulatorConfig
from shared.config import RiskConfig
from shared.models import RULE_NAMES
from tests.core.desk import Desk

HOUR_US = 3600 * SECOND_US


def test_demo_enforces_every_rule_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--headless", "--speed", "20"]) == 0
    said = capsys.readouterr().out
    for name in RULE_NAMES:
        assert f"{name.rule_id} {name.key}" in said
    assert f"{len(RULE_NAMES)} of {len(RULE_NAMES)} rules enforced." in said
    assert "NOT ENFORCED" not in said
    assert "17:00 New York" in said or "05:00 New York" in said


@pytest.mark.parametrize("day", ["2026-03-08", "2026-07-01", "2026-11-01", "2026-11-21"])
def test_demo_has_a_valid_configuration_and_no_reset_near_at_any_minute(day: str) -> None:
    begin = datetime.fromisoformat(f"{day}T00:00:00+00:00")
    for minute in range(0, 24 * 60 + 1, 5):
        now = begin + timedelta(minutes=minute, seconds=59)
        played = scenes(now)
        config = RiskConfig.model_validate(risk_config(played, range(101, 101 + len(played)), reset_at(now)))
        desk = Desk(config, at=now, accounts=(109, 120))
        view = desk.engine.view
        assert view.day_start + HOUR_US <= desk.at <= view.day_end - HOUR_US
        assert desk.locks(109) == ["RULE-009"]
        assert desk.locks(120) == ["RULE-020"]


def test_demo_has_one_scene_for_each_rule() -> None:
    played = scenes(Simulator(SimulatorConfig(quotes_per_second=0)).clock.utc())
    assert [scene.key for scene in played] == [name.key for name in RULE_NAMES]


def test_demo_exits_with_1_when_something_was_not_enforced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def buy(stage: Stage) -> None:
        stage.buy("RTY", 1)
        await asyncio.sleep(0)

    def one(now: object) -> list[Scene]:
        told = "buys 1 RTY"
        return [Scene("symbol_blocks", {"blocked_symbols": ["RTY"]}, told, buy, lambda stage: stage.net("RTY") == 0)]

    monkeypatch.setattr(command, "scenes", one)
    monkeypatch.setattr(command, "CONFIRM_SECONDS", 0.5)
    assert main(["demo", "--headless"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(Enforcer, "submit", lambda self, action: None)
    assert main(["demo", "--headless"]) == 1
    said = capsys.readouterr().out
    assert "NOT ENFORCED" in said and "0 of 1 rules enforced." in said


def test_demo_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "scenes", lambda now: [])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["demo", "--headless"]) == 0
    assert list(tmp_path.iterdir()) == []
