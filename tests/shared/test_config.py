"""The configuration models: the documented example, overrides, defaults, and what each setting says about itself."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from shared.config import (
    RULE_IDS,
    RULE_MODELS,
    AccountsConfig,
    HolidayCalendar,
    RiskConfig,
    RulesConfig,
    SessionWindow,
    merge_keys,
)
from shared.config_fields import time_zones
from tests.shared.config_examples import DOCUMENTED


@pytest.fixture
def documented() -> RiskConfig:
    tree = yaml.safe_load(DOCUMENTED)
    return RiskConfig.model_validate(tree)


def rules(**named: Any) -> RulesConfig:
    return RiskConfig.model_validate({"rules": named}).rules


def test_risk_config_when_documented_example_is_read_has_its_values(documented: RiskConfig) -> None:
    assert documented.reset.time == dt.time(17)
    assert documented.policy.admin_unlock.delay_minutes == 15
    found = documented.rules
    assert found.daily_realized_loss is not None
    assert found.daily_realized_loss.limit == Decimal("-500")
    assert found.max_contracts_per_instrument is not None
    assert found.max_contracts_per_instrument.limits == {"MNQ": 2, "ES": 1}
    assert found.cooldown_after_loss is not None
    assert found.cooldown_after_loss.duration_for(Decimal("-115")) == 300
    assert found.cooldown_after_loss.duration_for(Decimal("-200")) == 900
    assert found.cooldown_after_loss.duration_for(Decimal("-99.99")) == 0
    assert found.session_block_outside is not None
    assert found.session_block_outside.windows == {}
    assert found.session_block_outside.account_window is not None
    assert found.session_block_outside.account_window.weekdays == frozenset(range(5))
    assert [key for key, _ in found.present()] == list(RULE_IDS)[:13]
    assert "trade_management" not in dict(found.enabled())


def test_rules_for_when_account_overrides_one_key_keeps_the_rest(documented: RiskConfig) -> None:
    ours = documented.rules_for(101)
    assert ours.daily_realized_loss is not None
    assert ours.daily_realized_loss.limit == Decimal("-250")
    assert ours.daily_realized_loss.enabled
    assert ours.max_contracts == documented.rules.max_contracts
    assert documented.rules_for(102) == documented.rules


@pytest.mark.parametrize(
    ("override", "check"),
    [
        ({"max_contracts_per_instrument": {"limits": {"mnq": 1}}}, lambda r: r.limits == {"MNQ": 1, "ES": 1}),
        ({"max_contracts_per_instrument": {"limits": {"MNQ": None}}}, lambda r: r.limits == {"ES": 1}),
        ({"max_contracts_per_instrument": {"limits": {"CL": 3}}}, lambda r: r.limits == {"MNQ": 2, "ES": 1, "CL": 3}),
        ({"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -1, "cooldown_duration": 2}]}},
         lambda r: len(r.loss_thresholds) == 1),
        ({"trade_management": {"enabled": True}}, lambda r: r.enabled and r.trailing_stop.activation_ticks == 20),
        ({"weekly_loss": {"limit": -1}}, lambda r: r.limit == -1),
    ],
)  # fmt: skip
def test_rules_for_when_override_goes_deeper_merges_key_by_key(
    documented: RiskConfig, override: dict[str, Any], check: Any
) -> None:
    tree = yaml.safe_load(DOCUMENTED)
    tree["accounts"] = {7: {"rules": override}}
    merged = RiskConfig.model_validate(tree).rules_for(7)
    assert check(getattr(merged, next(iter(override))))


def test_merge_keys_when_base_and_override_are_given_changes_neither() -> None:
    base, over = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 3, "c": [2]}, "d": None}
    assert merge_keys(base, over) == {"a": {"b": 3, "c": [2]}}
    assert base == {"a": {"b": 1, "c": [1]}, "d": 2}
    assert over == {"a": {"b": 3, "c": [2]}, "d": None}


def test_risk_config_when_dumped_and_read_again_is_the_same(documented: RiskConfig) -> None:
    assert RiskConfig.model_validate(documented.model_dump()) == documented
    assert RiskConfig.model_validate_json(documented.model_dump_json(exclude_none=True)) == documented


def test_models_when_assigned_to_raise(documented: RiskConfig) -> None:
    with pytest.raises(ValidationError):
        documented.reset.timezone = "UTC"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "amount"),
    [(-500, "-500"), ("-500", "-500"), (-500.0, "-500"), ("-5e2", "-500"), ("-166.67", "-166.67"), (-0.1, "-0.1"),
     ("-0.000001", "-0.000001"), (Decimal("-1.50"), "-1.5")],
)  # fmt: skip
def test_money_when_written_in_any_way_is_exact_and_in_one_spelling(value: object, amount: str) -> None:
    rule = rules(daily_realized_loss={"limit": value}).daily_realized_loss
    assert rule is not None
    assert str(rule.limit) == amount


@pytest.mark.parametrize(
    "value", [0, 1, True, None, "", "abc", "NaN", "-Infinity", "-1,000", "-$5", -1e300, "-0.0000001", "-1e-9", [], {}]
)
def test_loss_limit_when_not_a_negative_amount_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        rules(daily_realized_loss={"limit": value})


@pytest.mark.parametrize("value", [0, -1, False, "x", "inf"])
def test_profit_target_when_not_a_positive_amount_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        rules(daily_realized_profit={"target": value})


@pytest.mark.parametrize("value", [-1, 1.5, True, "5", "five", None, 10**9, float("nan"), float("inf"), [1]])
def test_contract_limit_when_not_a_whole_number_in_bounds_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        rules(max_contracts={"limit": value})


@pytest.mark.parametrize(
    ("given", "close_all", "reduce_to_limit"),
    [
        ({}, False, True),
        ({"close_all": True}, True, False),
        ({"close_all": False}, False, True),
        ({"reduce_to_limit": False}, True, False),
        ({"reduce_to_limit": True}, False, True),
        ({"close_all": True, "reduce_to_limit": False}, True, False),
    ],
)
def test_max_contracts_when_one_action_is_given_the_other_is_its_opposite(
    given: dict[str, bool], close_all: bool, reduce_to_limit: bool
) -> None:
    rule = rules(max_contracts={"limit": 1, **given}).max_contracts
    assert rule is not None
    assert (rule.close_all, rule.reduce_to_limit) == (close_all, reduce_to_limit)


@pytest.mark.parametrize("both", [True, False])
def test_max_contracts_when_both_or_neither_action_is_given_is_refused(both: bool) -> None:
    with pytest.raises(ValidationError):
        rules(max_contracts={"limit": 1, "close_all": both, "reduce_to_limit": both})


@pytest.mark.parametrize(
    ("action", "listed", "unlisted"),
    [("block", 2, 0), ("close", 2, 0), ("allow", 2, None), ("allow_with_limit:3", 2, 3), ("allow_with_limit: 3", 2, 3)],
)
def test_per_instrument_when_symbol_is_not_listed_follows_the_action(
    action: str, listed: int, unlisted: int | None
) -> None:
    named = rules(max_contracts_per_instrument={"limits": {"mnq": 2}, "unknown_symbol_action": action})
    rule = named.max_contracts_per_instrument
    assert rule is not None
    assert rule.limit_for("MNQ") == listed
    assert rule.limit_for("CL") == unlisted


@pytest.mark.parametrize(
    "action", ["deny", "allow_with_limit", "allow_with_limit:", "allow_with_limit:-1", "", 1, None]
)
def test_per_instrument_when_action_is_unknown_is_refused(action: object) -> None:
    with pytest.raises(ValidationError):
        rules(max_contracts_per_instrument={"limits": {}, "unknown_symbol_action": action})


@pytest.mark.parametrize("limits", [{"MNQ": 1, "mnq": 2}, {"MNQ Z6": 1}, {"": 1}, {"MNQ": -1}, {"MNQ": None}, []])
def test_per_instrument_when_limits_are_wrong_is_refused(limits: object) -> None:
    with pytest.raises(ValidationError):
        rules(max_contracts_per_instrument={"limits": limits})


@pytest.mark.parametrize(
    ("start", "end", "overnight"), [("09:30", "16:00", False), ("18:00", "17:00", True), ("9:30", "16:00", False)]
)
def test_window_when_start_is_after_end_is_overnight(start: str, end: str, overnight: bool) -> None:
    assert SessionWindow.model_validate({"start": start, "end": end}).overnight is overnight


@pytest.mark.parametrize("time", ["24:00", "9:5", "0930", "", 930, 61200, 1020, 9.5, True, None, "09:30:00", "-1:00"])
def test_time_of_day_when_not_hours_and_minutes_is_refused(time: object) -> None:
    with pytest.raises(ValidationError):
        SessionWindow.model_validate({"start": time, "end": "16:00"})


def test_window_when_start_equals_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="same start and end"):
        SessionWindow.model_validate({"start": "09:30", "end": "09:30"})


@pytest.mark.parametrize(
    ("given", "days"),
    [
        (["fri", "mon"], ("mon", "fri")),
        (["Monday", "SUN"], ("mon", "sun")),
    ],
)
def test_days_when_in_any_order_and_case_are_sorted(given: list[str], days: tuple[str, ...]) -> None:
    window = SessionWindow.model_validate({"start": "09:30", "end": "16:00", "days": given})
    assert window.days == days


@pytest.mark.parametrize("given", [[], ["mon", "monday"], ["xyz"], "mon", [1], None, ["mo"]])
def test_days_when_wrong_are_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        SessionWindow.model_validate({"start": "09:30", "end": "16:00", "days": given})


@pytest.mark.parametrize("zone", ["America/NewYork", "EST5", "", "utc+1", 5, None, "../etc/passwd", "Factory"])
def test_time_zone_when_unknown_is_refused(zone: object) -> None:
    with pytest.raises(ValidationError):
        RiskConfig.model_validate({"reset": {"timezone": zone}})


def test_time_zones_when_listed_are_the_bundled_ones() -> None:
    assert {"America/New_York", "America/Chicago", "UTC", "Europe/Berlin"} <= time_zones()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_ipc_host_when_loopback_is_taken(host: str) -> None:
    assert RiskConfig.model_validate({"ipc": {"host": host}}).ipc.host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "", None, 1, "localhost.evil.org"])
def test_ipc_host_when_not_loopback_is_refused(host: object) -> None:
    with pytest.raises(ValidationError):
        RiskConfig.model_validate({"ipc": {"host": host}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"trade_frequency_limit": {"limits": {}}},
        {"trade_frequency_limit": {"limits": {"per_minute": 0}}},
        {"cooldown_after_loss": {"loss_thresholds": []}},
        {"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -1, "cooldown_duration": 0}]}},
        {"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -1, "cooldown_duration": 5}] * 2}},
        {"no_stop_loss_grace": {"grace_period_seconds": -1}},
        {"session_block_outside": {"respect_holidays": False}},
        {"trade_management": {}},
        {"profit_give_back": {"min_peak": 5}},
        {"profit_give_back": {"percent": 101}},
        {"profit_give_back": {"amount": 0}},
        {"weekly_loss": {"limit": 1}},
        {"consecutive_losses": {"limit": 0, "cooldown_duration": 1}},
        {"trailing_drawdown": {"amount": -1}},
        {"trailing_drawdown": {"amount": 1, "mode": "weekly"}},
        {"losing_position_adds": {"max_adds": -1}},
        {"scheduled_flatten": {"time": "x"}},
        {"daily_total_loss": {}},
        {"of_the_future": {}},
    ],
)
def test_rule_when_its_settings_make_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rules(**wrong)


def test_accounts_config_when_keys_are_left_out_is_the_live_gateway_with_the_keyring() -> None:
    config = AccountsConfig.model_validate({"logins": [{"username": "trader1"}]})
    assert config.gateway.api_url == "https://api.topstepx.com/api"
    assert config.gateway.user_hub_url == "https://rtc.topstepx.com/hubs/user"
    assert config.gateway.market_hub_url == "https://rtc.topstepx.com/hubs/market"
    (login,) = config.logins
    assert (login.uses_keyring, login.accounts, login.enabled) == (True, "all", True)


def test_accounts_config_when_printed_never_shows_a_key() -> None:
    config = AccountsConfig.model_validate({"logins": [{"username": "a", "api_key": "the-secret-key"}]})
    assert "the-secret-key" not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"


@pytest.mark.parametrize(
    "logins",
    [
        [{"username": "a"}, {"username": "A"}],
        [{"username": "a", "accounts": [1]}, {"username": "b", "accounts": [1]}],
        [{"username": "a", "accounts": [1, 1]}],
        [{"username": "a", "accounts": [0]}],
        [{"username": "a", "accounts": ["1"]}],
        [{"username": "a", "accounts": "some"}],
        [{"username": "a", "accounts": 101}],
        [{"username": ""}],
        [{"username": 5}],
        [{"api_key": "x"}],
        [{"username": "a", "api_key": ""}],
        [{"username": "a", "api_key": 12345}],
        [{"username": "a", "password": "x"}],
    ],
)
def test_accounts_config_when_logins_are_wrong_is_refused(logins: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        AccountsConfig.model_validate({"logins": logins})


@pytest.mark.parametrize("url", ["api.topstepx.com", "ftp://x/api", "https://", "", 5, "https://[", "javascript:x"])
def test_gateway_address_when_it_is_none_is_refused(url: object) -> None:
    with pytest.raises(ValidationError):
        AccountsConfig.model_validate({"gateway": {"api_url": url}})


def test_holidays_when_written_in_either_way_mean_the_same() -> None:
    config = HolidayCalendar.model_validate(
        {
            "dates": {
                "2026-12-25": "closed",
                dt.date(2027, 1, 1): {"closed": True},
                "2026-12-24": {"early_close": "12:00"},
            }
        }
    )
    assert config.dates[dt.date(2026, 12, 25)] == config.dates[dt.date(2027, 1, 1)]
    assert config.dates[dt.date(2026, 12, 24)].early_close == dt.time(12)


@pytest.mark.parametrize(
    "dates",
    [
        {"2026-12-25": {}},
        {"2026-12-25": {"closed": True, "early_close": "12:00"}},
        {"2026-12-25": {"closed": False}},
        {"2026-12-25": "open"},
        {"25.12.2026": "closed"},
        {"2026-02-30": "closed"},
        {"1767225600": "closed"},
        {"2026-12-25": {"early_close": "noon"}},
    ],
)
def test_holidays_when_a_day_makes_no_sense_are_refused(dates: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HolidayCalendar.model_validate({"dates": dates})


# --- what settings say about themselves ------------------------------------------------------------------------------


def models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for info in model.model_fields.values():
        for below in models_in(info.annotation):
            yield from models_below(below)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


ALL = [
    (model, name, info)
    for model in dict.fromkeys(
        [*models_below(RiskConfig), *models_below(AccountsConfig), *models_below(HolidayCalendar)]
    )
    for name, info in model.model_fields.items()
]
GROUPS = {"version", "rules", "accounts", "logins"}


@pytest.mark.parametrize(("model", "name", "info"), ALL, ids=[f"{model.__name__}.{name}" for model, name, _ in ALL])
def test_setting_when_it_holds_a_value_says_what_it_is_and_which_way_is_looser(
    model: type[BaseModel], name: str, info: FieldInfo
) -> None:
    extra = info.json_schema_extra
    if extra is None:
        # Only groups of settings have none; what is in them is listed for itself.
        assert name in GROUPS or list(models_in(info.annotation))
        return
    assert isinstance(extra, dict)
    assert extra["label"] == info.title
    assert extra["help"] == info.description
    assert extra["looser"] in {"higher", "lower", "any", "fewer", "neutral", "structure"}
    if "ge" in extra or "gt" in extra or "le" in extra or "lt" in extra:
        assert "unit" in extra or name == "port"


def test_rules_when_listed_have_an_id_a_title_and_a_model_each() -> None:
    assert list(RulesConfig.model_fields) == list(RULE_MODELS)
    assert list(RULE_IDS.values()) == [f"RULE-{number:03}" for number in range(1, 21)]
    for key, model in RULE_MODELS.items():
        assert model.title
        assert model.__doc__
        assert model in models_in(RulesConfig.model_fields[key].annotation)


def test_schema_when_made_for_forms_has_labels_and_bounds() -> None:
    schema = RULE_MODELS["daily_realized_loss"].model_json_schema()
    assert schema["properties"]["limit"]["label"] == "Loss limit"
    assert schema["properties"]["limit"]["unit"] == "dollars"
    assert schema["properties"]["limit"]["lt"] == 0
