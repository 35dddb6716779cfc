"""One mistake, one error: at the setting that is wrong, and nowhere else. A flatten that would lock the whole day."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from shared.config import RULE_MODELS, RiskConfig
from shared.config_changes import diff, split

EVERY_RULE: dict[str, Any] = {
    "max_contracts": {"enabled": True, "limit": 5, "count_type": "net", "close_all": False, "reduce_to_limit": True},
    "max_contracts_per_instrument": {
        "limits": {"MNQ": 2},
        "enforcement": "close_all",
        "unknown_symbol_action": "allow_with_limit:2",
    },
    "daily_realized_loss": {"limit": -500},
    "daily_unrealized_loss": {"limit": -300},
    "max_unrealized_profit": {"target": 1000},
    "trade_frequency_limit": {
        "limits": {"per_minute": 3, "per_hour": 10, "per_session": 50},
        "cooldown_on_breach": {"per_minute_breach": 60, "per_hour_breach": 1800, "per_session_breach": 3600},
    },
    "cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 300}]},
    "no_stop_loss_grace": {"grace_period_seconds": 10},
    "session_block_outside": {
        "global_session": {"enabled": True, "start": "09:30", "end": "16:00", "timezone": "UTC", "days": ["mon"]},
        "per_instrument_sessions": {"enabled": True, "sessions": {"ES": {"start": "18:00", "end": "17:00"}}},
        "close_positions_at_session_end": True,
        "lockout_outside_session": True,
        "respect_holidays": True,
    },
    "auth_loss_guard": {"enabled": True},
    "symbol_blocks": {"blocked_symbols": ["RTY"]},
    "trade_management": {
        "auto_breakeven": {"enabled": True, "profit_trigger_ticks": 10},
        "trailing_stop": {"enabled": True, "activation_ticks": 20, "trail_distance_ticks": 10},
    },
    "daily_realized_profit": {"target": 1000},
    "daily_total_loss": {"limit": -700},
    "profit_give_back": {"amount": 300, "percent": 50, "min_peak": 100},
    "weekly_loss": {"limit": -900},
    "consecutive_losses": {"limit": 3, "cooldown_duration": 600},
    "trailing_drawdown": {"amount": 2000, "mode": "intraday", "start_balance": 50000, "lock_at": 50100},
    "losing_position_adds": {"max_adds": 1},
    "scheduled_flatten": {"time": "15:55", "timezone": "America/New_York", "days": ["mon"], "warn_minutes": 5},
}

Path = tuple[int | str, ...]


def settings_of(tree: Any, path: Path = ()) -> Iterator[Path]:
    """The places of all values, groups and lists of a configuration; a list of days is one value."""
    if path:
        yield path
    if path[-1:] == ("days",):
        return
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in below:
        yield from settings_of(value, (*path, key))


def mistaken(tree: dict[str, Any], path: Path, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(tree)
    inner: Any = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def errors_of(config: dict[str, Any]) -> list[tuple[Path, str]]:
    try:
        RiskConfig.model_validate(config)
    except ValidationError as error:
        return [(entry["loc"], entry["type"]) for entry in error.errors()]
    return []


PLACES = list(settings_of(EVERY_RULE))


def test_example_has_every_rule_and_is_valid() -> None:
    assert list(EVERY_RULE) == list(RULE_MODELS)
    assert errors_of({"rules": EVERY_RULE}) == []


@pytest.mark.parametrize("path", PLACES, ids=[".".join(map(str, path)) for path in PLACES])
def test_setting_when_it_is_wrong_is_one_error_at_its_place(path: Path) -> None:
    for wrong in ("???", object()):
        found = errors_of({"rules": mistaken(EVERY_RULE, path, wrong)})
        assert [place for place, _ in found] == [("rules", *path)]
    own = {"rules": EVERY_RULE, "accounts": {101: {"rules": mistaken(EVERY_RULE, path, "???")}}}
    if len(path) > 1:
        assert [place for place, _ in errors_of(own)] == [("accounts", "101", "rules", *path)]


def value_at(path: Path) -> Any:
    value: Any = EVERY_RULE
    for step in path:
        value = value[step]
    return value


NUMBERS = [path for path in PLACES if path[-1] in {"limit", "amount", "target", "loss_amount", "lock_at"}]


@pytest.mark.parametrize("path", NUMBERS, ids=[".".join(map(str, path)) for path in NUMBERS])
def test_amount_with_the_wrong_sign_is_one_error(path: Path) -> None:
    found = errors_of({"rules": mistaken(EVERY_RULE, path, -value_at(path))})
    assert [place for place, _ in found] == [("rules", *path)]


def test_positive_loss_amount_is_one_error_however_many_steps() -> None:
    good, bad = {"loss_amount": -100, "cooldown_duration": 300}, {"loss_amount": 100, "cooldown_duration": 300}
    place = ("rules", "cooldown_after_loss", "loss_thresholds")
    for steps, wrong in (([bad], [0]), ([bad, good], [0]), ([good, bad], [1]), ([bad, bad], [0, 1])):
        found = errors_of({"rules": {"cooldown_after_loss": {"loss_thresholds": steps}}})
        assert found == [((*place, number, "loss_amount"), "less_than") for number in wrong]


@pytest.mark.parametrize(("count", "kind"), [(0, ["too_short"]), (1, []), (100, []), (101, ["too_long"])])
def test_steps_are_one_to_a_hundred(count: int, kind: list[str]) -> None:
    steps = [{"loss_amount": -1 - number, "cooldown_duration": 60} for number in range(count)]
    found = errors_of({"rules": {"cooldown_after_loss": {"loss_thresholds": steps}}})
    assert found == [(("rules", "cooldown_after_loss", "loss_thresholds"), name) for name in kind]


# --- a flatten at the time of the reset --------------------------------------------------------------------------


AT_RESET = [(("rules", "scheduled_flatten", "time"), "flat_at_reset")]


@pytest.mark.parametrize(
    ("reset", "flat", "refused"),
    [
        ({}, {"time": "17:00"}, True),
        ({}, {"time": "16:59"}, False),
        ({}, {"time": "17:01"}, False),
        ({}, {"time": "16:00", "timezone": "America/Chicago"}, True),
        ({}, {"time": "17:00", "timezone": "America/Chicago"}, False),
        ({"time": "16:00", "timezone": "America/Chicago"}, {"time": "17:00"}, True),
        ({}, {"time": "22:00", "timezone": "Europe/London"}, True),  # for most of the year
        ({}, {"time": "21:00", "timezone": "Europe/London"}, True),  # in the weeks between the changes of the clocks
        ({}, {"time": "17:00", "enabled": False}, False),
        ({"time": "15:00"}, {"time": "15:00", "days": ["mon"]}, True),
    ],
)
def test_flatten_when_at_the_reset_is_refused(reset: dict[str, str], flat: dict[str, Any], refused: bool) -> None:
    assert errors_of({"reset": reset, "rules": {"scheduled_flatten": flat}}) == (AT_RESET if refused else [])


def test_flatten_of_an_account_at_the_reset_is_refused_at_its_own_place() -> None:
    own = [(("accounts", "101", "rules", "scheduled_flatten", "time"), "flat_at_reset")]
    base = {"scheduled_flatten": {"time": "15:00"}}

    def with_own(rules: dict[str, Any], flat: dict[str, Any]) -> list[tuple[Path, str]]:
        return errors_of({"rules": rules, "accounts": {101: {"rules": {"scheduled_flatten": flat}}}})

    assert with_own(base, {"time": "17:00"}) == own
    assert with_own({}, {"time": "17:00"}) == own
    assert with_own({"scheduled_flatten": {"time": "17:00", "enabled": False}}, {"enabled": True}) == own
    assert with_own(base, {"time": "16:00"}) == []
    assert with_own({"scheduled_flatten": {"time": "17:00"}}, {"days": ["mon"]}) == AT_RESET
    assert with_own({"scheduled_flatten": {"time": "17:00"}}, {"time": "16:00"}) == AT_RESET


def test_flatten_at_the_reset_is_told_together_with_other_mistakes() -> None:
    found = errors_of({"rules": {"scheduled_flatten": {"time": "17:00"}, "weekly_loss": {"limit": 5}}})
    assert sorted(found) == sorted([*AT_RESET, (("rules", "weekly_loss", "limit"), "less_than")])


def test_flatten_that_fits_the_new_reset_alone_waits_with_it() -> None:
    """Both changes are valid together; the reset waits, and must not leave the flatten at its old time behind."""
    for before in (None, {"time": "15:00", "days": ["mon"]}):
        rules = {} if before is None else {"scheduled_flatten": before}
        old = RiskConfig.model_validate({"rules": rules})
        new = RiskConfig.model_validate({"reset": {"time": "18:00"}, "rules": {"scheduled_flatten": {"time": "17:00"}}})
        applied, pending = split(old, new)
        assert applied.reset == old.reset
        waiting = {change.path for change in pending}
        assert "reset.time" in waiting
        if before is None:
            assert applied.rules.scheduled_flatten is None
        else:
            assert applied.rules.scheduled_flatten is not None
            assert applied.rules.scheduled_flatten.time.hour == 15
            assert applied.rules.scheduled_flatten.days == ("mon",)  # on no other day is anything flat from 15:00
        assert any(path.startswith("rules.scheduled_flatten") for path in waiting)
        assert {change.effect for change in diff(applied, new)} == {"loosens"}
