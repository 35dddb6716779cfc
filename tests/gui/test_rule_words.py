"""Each rule is described from its settings; all twenty of them, with the settings the configuration really has."""

import pytest

from gui.records import Rule
from gui.rule_words import describe
from gui.wording import MINUS
from shared.config import RiskConfig
from shared.models import RULE_NAMES

WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]
SETTINGS: dict[str, dict[str, object]] = {
    "max_contracts": {"limit": 5, "count_type": "gross"},
    "max_contracts_per_instrument": {"limits": {"MNQ": 2, "ES": 1}, "unknown_symbol_action": "allow_with_limit:3"},
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
        "global_session": {"start": "09:30", "end": "16:00", "timezone": "America/New_York", "days": WEEKDAYS},
    },
    "auth_loss_guard": {},
    "symbol_blocks": {"blocked_symbols": ["RTY", "BTC"]},
    "trade_management": {
        "auto_breakeven": {"profit_trigger_ticks": 10},
        "trailing_stop": {"activation_ticks": 20, "trail_distance_ticks": 12},
    },
    "daily_realized_profit": {"target": 1000},
    "daily_total_loss": {"limit": -400},
    "profit_give_back": {"amount": 250, "min_peak": 300},
    "weekly_loss": {"limit": -1500},
    "consecutive_losses": {"limit": 3, "cooldown_duration": 900},
    "trailing_drawdown": {"amount": 2000, "mode": "intraday", "lock_at": 50100},
    "losing_position_adds": {"max_adds": 1},
    "scheduled_flatten": {"time": "15:50"},
}

MUST_SAY = {
    "max_contracts": ["5 contracts", "long and short together"],
    "max_contracts_per_instrument": ["MNQ 2", "ES 1", "at most 3"],
    "daily_realized_loss": [f"{MINUS}500.00", "locked"],
    "daily_unrealized_loss": [f"{MINUS}300.00"],
    "max_unrealized_profit": ["+1,000.00"],
    "trade_frequency_limit": ["3 a minute", "10 an hour, then 30 minutes", "50 a session, then one hour"],
    "cooldown_after_loss": [f"{MINUS}100.00 brings 5 minutes"],
    "no_stop_loss_grace": ["10 seconds"],
    "session_block_outside": ["09:30 to 16:00 New York", "Monday to Friday"],
    "auth_loss_guard": ["broker"],
    "symbol_blocks": ["RTY", "BTC"],
    "trade_management": ["10 ticks", "20 ticks", "12"],
    "daily_realized_profit": ["+1,000.00"],
    "daily_total_loss": [f"{MINUS}400.00"],
    "profit_give_back": ["250.00", "+300.00"],
    "weekly_loss": [f"{MINUS}1,500.00"],
    "consecutive_losses": ["3 losing exits", "15 minutes"],
    "trailing_drawdown": ["2,000.00", "any moment", "50,100.00"],
    "losing_position_adds": ["once"],
    "scheduled_flatten": ["15:50 New York"],
}


def _rule(key: str, params: object) -> Rule:
    made = Rule.read({"rule_id": "RULE-000", "key": key, "enabled": True, "sentence": "-1 of -2.", "params": params})
    assert made is not None
    return made


@pytest.mark.parametrize("key", [name.key for name in RULE_NAMES])
def test_describe_when_configured_says_the_figures(key: str) -> None:
    config = RiskConfig.model_validate({"version": 1, "rules": {key: SETTINGS[key]}})
    params = getattr(config.rules, key).model_dump(mode="json", exclude_none=True)
    words = describe(_rule(key, params))
    for part in MUST_SAY[key]:
        assert part in words
    assert words.endswith(".")


@pytest.mark.parametrize("key", [name.key for name in RULE_NAMES])
@pytest.mark.parametrize("params", [{}, {"limit": "much"}, {"limits": 3, "loss_thresholds": None, "target": []}])
def test_describe_when_settings_are_not_understood_stays_general(key: str, params: object) -> None:
    words = describe(_rule(key, params))
    assert words
    assert "None" not in words


@pytest.mark.parametrize(
    ("key", "params", "words"),
    [
        ("max_contracts", {"limit": 1}, "At most 1 contract, counted net (long minus short)"),
        (
            "consecutive_losses",
            {"limit": 1, "cooldown_duration": 1},
            "After 1 losing exit in a row nothing new may be ",
        ),
        (
            "trade_management",
            {"trailing_stop": {"enabled": True, "activation_ticks": 20, "trail_distance_ticks": 1}},
            "Your stop follows the price 1 tick behind it from 20 ticks of profit on; it only ever gets tighter.",
        ),
        (
            "trade_management",
            {"auto_breakeven": {"enabled": True, "profit_trigger_ticks": 1}},
            "Your stop moves to the entry at 1 tick of profit; it only ever gets tighter.",
        ),
    ],
)
def test_describe_when_a_figure_is_one_or_a_part_is_off_stays_a_sentence(key: str, params: object, words: str) -> None:
    assert describe(_rule(key, params)).startswith(words)


def test_describe_when_rule_is_unknown_uses_the_daemons_sentence() -> None:
    assert describe(_rule("a_later_rule", {})) == f"{MINUS}1 of {MINUS}2."
