"""The presets are valid, say that they are examples and when they were looked up, and lie inside the stated limits."""

import re
from pathlib import Path

import pytest

from daemon.config_loader import load_risk_config
from shared.paths import shipped

PRESETS = sorted(shipped("config/presets").glob("*.yaml"))

STATED = {
    # preset: contracts, daily loss (None: the programme has none), maximum loss, start balance
    "topstep_combine_50k": (5, 1000, 2000, 50_000),
    "topstep_combine_100k": (10, 2000, 3000, 100_000),
    "topstep_combine_150k": (15, 3000, 4500, 150_000),
    "apex_intraday_50k": (10, None, 2500, 50_000),
    "my_funded_futures_50k": (5, None, 2000, 50_000),
    "take_profit_trader_50k": (6, 1100, 2000, 50_000),
}


def test_presets_when_listed_are_those_described_here() -> None:
    assert {path.stem for path in PRESETS} == set(STATED)


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_preset_when_loaded_is_valid_and_inside_the_stated_limits(path: Path) -> None:
    contracts, daily, most, balance = STATED[path.stem]
    rules = load_risk_config(path).rules
    assert rules.max_contracts is not None
    assert rules.max_contracts.limit <= contracts
    assert rules.daily_total_loss is not None
    assert -(daily or most) < rules.daily_total_loss.limit < 0
    assert rules.trailing_drawdown is not None
    assert 0 < rules.trailing_drawdown.amount < most
    assert rules.trailing_drawdown.start_balance == balance
    if rules.trailing_drawdown.lock_at is not None:
        # Our floor must not stop below the programme's, which is at the start balance or $100 above it.
        assert rules.trailing_drawdown.lock_at >= balance + most - rules.trailing_drawdown.amount
    assert {key for key, _ in rules.enabled()} == {key for key, _ in rules.present()}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_preset_when_read_says_that_it_is_an_example_and_of_which_day(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# EXAMPLE: ")
    assert re.search(r"Looked up on \d{4}-\d{2}-\d{2}", first)
