"""What each change does to the protection, in tables by kind of value; the laws are in test_config_change_laws.py."""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from shared.config import AccountsConfig, HolidayCalendar, RiskConfig
from shared.config_changes import Change, diff, split
from tests.shared.config_examples import (
    DOCUMENTED,
)

CLOSE = {"enforcement": "close_all"}
WEEK = ["mon", "tue", "wed", "thu", "fri"]

# --- tables ------------------------------------------------------------------------------------------------------


def documented(edit: Callable[[dict[str, Any]], None]) -> RiskConfig:
    tree = yaml.safe_load(DOCUMENTED)
    edit(tree)
    return RiskConfig.model_validate(tree)


def set_at(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(tree: dict[Any, Any]) -> None:
        *above, last = path.split(".")
        for step in above:
            tree = tree.setdefault(int(step) if step.isdigit() else step, {})
        if value is None:
            del tree[last]
        else:
            tree[last] = value

    return edit


WINDOW = "rules.session_block_outside.global_session"

TABLE = [
    # path, new value, what becomes of it
    ("reset.time", "16:00", "loosens"),
    ("reset.time", "18:00", "loosens"),
    ("reset.timezone", "America/Chicago", "loosens"),
    ("policy.loosen", "immediately", "loosens"),
    ("policy.admin_unlock.allowed", False, "tightens"),
    ("policy.admin_unlock.delay_minutes", 30, "tightens"),
    ("policy.admin_unlock.delay_minutes", 0, "loosens"),
    ("policy.pnl_basis", "gross", "loosens"),
    ("ipc.port", 0, "neutral"),
    ("logging.level", "DEBUG", "neutral"),
    ("logging.retention_days", 3, "neutral"),
    ("rules.max_contracts.limit", 4, "tightens"),
    ("rules.max_contracts.limit", 6, "loosens"),
    ("rules.max_contracts.count_type", "gross", "tightens"),
    ("rules.max_contracts.count_type", "long", "loosens"),
    ("rules.max_contracts", None, "loosens"),
    ("rules.max_contracts.enabled", False, "loosens"),
    ("rules.max_contracts_per_instrument.limits.MNQ", 1, "tightens"),
    ("rules.max_contracts_per_instrument.limits.MNQ", 3, "loosens"),
    ("rules.max_contracts_per_instrument.limits.MNQ", None, "tightens"),  # unlisted symbols are blocked
    ("rules.max_contracts_per_instrument.limits.NQ", 1, "loosens"),
    ("rules.max_contracts_per_instrument.limits.NQ", 0, "neutral"),
    ("rules.max_contracts_per_instrument.unknown_symbol_action", "allow", "loosens"),
    ("rules.max_contracts_per_instrument.unknown_symbol_action", "allow_with_limit:1", "loosens"),
    ("rules.max_contracts_per_instrument.unknown_symbol_action", "close", "neutral"),
    ("rules.max_contracts_per_instrument.enforcement", "close_all", "tightens"),
    ("rules.daily_realized_loss.limit", -499, "tightens"),
    ("rules.daily_realized_loss.limit", -501, "loosens"),
    ("rules.daily_unrealized_loss.limit", -200, "tightens"),
    ("rules.daily_unrealized_loss.limit", -400, "loosens"),
    ("rules.max_unrealized_profit.target", 900, "tightens"),
    ("rules.max_unrealized_profit.target", 1100, "loosens"),
    ("rules.trade_frequency_limit.limits.per_minute", 2, "tightens"),
    ("rules.trade_frequency_limit.limits.per_minute", 4, "loosens"),
    ("rules.trade_frequency_limit.limits.per_hour", None, "loosens"),
    ("rules.trade_frequency_limit.cooldown_on_breach.per_hour_breach", 3600, "tightens"),
    ("rules.trade_frequency_limit.cooldown_on_breach.per_hour_breach", 60, "loosens"),
    ("rules.cooldown_after_loss.loss_thresholds", [{"loss_amount": -200, "cooldown_duration": 900}], "loosens"),
    ("rules.cooldown_after_loss.loss_thresholds", [{"loss_amount": -50, "cooldown_duration": 900}], "tightens"),
    ("rules.no_stop_loss_grace.grace_period_seconds", 5, "tightens"),
    ("rules.no_stop_loss_grace.grace_period_seconds", 20, "loosens"),
    (f"{WINDOW}.start", "10:00", "tightens"),
    (f"{WINDOW}.start", "09:00", "loosens"),
    (f"{WINDOW}.end", "15:00", "tightens"),
    (f"{WINDOW}.end", "16:30", "loosens"),
    (f"{WINDOW}.end", "09:00", "loosens"),  # overnight now
    (f"{WINDOW}.days", ["mon"], "tightens"),
    (f"{WINDOW}.days", ["mon", "tue", "wed", "thu", "fri", "sat"], "loosens"),
    (f"{WINDOW}.timezone", "America/Chicago", "loosens"),
    (f"{WINDOW}.enabled", False, "loosens"),
    (WINDOW, None, "loosens"),
    ("rules.session_block_outside.per_instrument_sessions.enabled", True, "tightens"),
    ("rules.session_block_outside.close_positions_at_session_end", False, "loosens"),
    ("rules.session_block_outside.lockout_outside_session", False, "loosens"),
    ("rules.session_block_outside.respect_holidays", False, "loosens"),
    ("rules.auth_loss_guard.enabled", False, "loosens"),
    ("rules.auth_loss_guard", None, "loosens"),
    ("rules.symbol_blocks.blocked_symbols", ["RTY", "BTC", "CL"], "tightens"),
    ("rules.symbol_blocks.blocked_symbols", ["RTY"], "loosens"),
    ("rules.trade_management.enabled", True, "tightens"),
    ("rules.trade_management.trailing_stop.activation_ticks", 99, "neutral"),  # the rule is off
    ("rules.daily_realized_profit.target", 500, "tightens"),
    ("rules.daily_realized_profit.target", 2000, "loosens"),
    ("rules.weekly_loss", {"limit": -900}, "tightens"),
    ("rules.weekly_loss", {"enabled": False, "limit": -900}, "neutral"),
    ("accounts.101.rules.daily_realized_loss.limit", -200, "tightens"),
    ("accounts.101.rules.daily_realized_loss.limit", -300, "loosens"),
    ("accounts.101.rules.daily_realized_loss", None, "loosens"),
    ("accounts.101.rules.max_contracts", {"limit": 2}, "tightens"),
    ("accounts.102.rules.max_contracts", {"limit": 9}, "loosens"),
    ("accounts.102.rules.max_contracts", {"enabled": False}, "loosens"),
]


@pytest.mark.parametrize(("path", "value", "effect"), TABLE, ids=[f"{p}={v}" for p, v, _ in TABLE])
def test_diff_when_one_value_changes_names_path_and_effect(path: str, value: Any, effect: str) -> None:
    old, new = documented(lambda tree: None), documented(set_at(path, value))
    changes = diff(old, new)
    assert {change.effect for change in changes} == {effect}
    assert all(change.path.startswith(path) or path.startswith(change.path) for change in changes)
    applied, pending = split(old, new)
    assert diff(applied, old if effect == "loosens" else new) == []
    assert pending == (changes if effect == "loosens" else [])


@pytest.mark.parametrize(
    ("rule", "old", "new", "effect"),
    [
        ("daily_total_loss", {"limit": -500}, {"limit": -400}, "tightens"),
        ("daily_total_loss", {"limit": -500}, {"limit": -600}, "loosens"),
        ("profit_give_back", {"amount": 300}, {"amount": 200}, "tightens"),
        ("profit_give_back", {"amount": 300}, {"amount": 300, "percent": 50}, "tightens"),
        ("profit_give_back", {"amount": 300, "percent": 50}, {"amount": 300}, "loosens"),
        ("profit_give_back", {"amount": 300}, {"amount": 300, "min_peak": 500}, "loosens"),
        ("weekly_loss", {"limit": -900}, {"limit": -1000}, "loosens"),
        (
            "consecutive_losses",
            {"limit": 3, "cooldown_duration": 60},
            {"limit": 2, "cooldown_duration": 60},
            "tightens",
        ),
        ("consecutive_losses", {"limit": 3, "cooldown_duration": 60}, {"limit": 3, "cooldown_duration": 30}, "loosens"),
        ("trailing_drawdown", {"amount": 2000}, {"amount": 1000}, "tightens"),
        ("trailing_drawdown", {"amount": 2000}, {"amount": 2000, "mode": "intraday"}, "loosens"),
        ("trailing_drawdown", {"amount": 2000, "mode": "intraday"}, {"amount": 2000}, "loosens"),
        ("trailing_drawdown", {"amount": 2000}, {"amount": 2000, "lock_at": 50000}, "loosens"),
        ("trailing_drawdown", {"amount": 2000, "lock_at": 50000}, {"amount": 2000}, "tightens"),
        ("trailing_drawdown", {"amount": 2000, "lock_at": 1}, {"amount": 2000, "lock_at": 2}, "tightens"),
        ("trailing_drawdown", {"amount": 2000}, {"amount": 2000, "start_balance": 50000}, "loosens"),
        ("losing_position_adds", {"max_adds": 1}, {"max_adds": 0}, "tightens"),
        ("losing_position_adds", {"max_adds": 1}, {"max_adds": 2}, "loosens"),
        ("scheduled_flatten", {"time": "15:55"}, {"time": "15:00"}, "tightens"),
        ("scheduled_flatten", {"time": "15:55"}, {"time": "16:30"}, "loosens"),
        ("scheduled_flatten", {"time": "15:55"}, {"time": "18:00"}, "tightens"),  # flat soon after the reset at 17:00
        ("scheduled_flatten", {"time": "15:55"}, {"time": "15:55", "timezone": "America/Chicago"}, "loosens"),
        ("scheduled_flatten", {"time": "15:55"}, {"time": "15:55", "days": ["mon"]}, "loosens"),
        ("scheduled_flatten", {"time": "15:55"}, {"time": "15:55", "warn_minutes": 0}, "neutral"),
    ],
)
def test_diff_when_an_extra_rule_changes_tells_the_effect(
    rule: str, old: dict[str, Any], new: dict[str, Any], effect: str
) -> None:
    before = RiskConfig.model_validate({"rules": {rule: old}})
    after = RiskConfig.model_validate({"rules": {rule: new}})
    assert [change.effect for change in diff(before, after)] == [effect]
    assert split(before, after)[0] == (before if effect == "loosens" else after)


def test_split_when_one_edge_of_a_window_tightens_and_one_loosens_applies_the_first() -> None:
    old = documented(lambda tree: None)
    new = documented(set_at(WINDOW, {"start": "10:00", "end": "17:00", "timezone": "America/New_York"}))
    applied, pending = split(old, new)
    session = applied.rules.session_block_outside
    assert session is not None
    assert session.global_session is not None
    assert (session.global_session.start.hour, session.global_session.end.hour) == (10, 16)
    assert [change.path for change in pending] == [f"{WINDOW}.end", f"{WINDOW}.days"]


def test_split_when_thresholds_cross_takes_the_longer_cooldown_everywhere() -> None:
    old = documented(lambda tree: None)
    steps = [{"loss_amount": -50, "cooldown_duration": 60}, {"loss_amount": -200, "cooldown_duration": 1200}]
    applied, pending = split(old, documented(set_at("rules.cooldown_after_loss.loss_thresholds", steps)))
    rule = applied.rules.cooldown_after_loss
    assert rule is not None
    assert [(int(step.loss_amount), step.cooldown_duration) for step in rule.loss_thresholds] == [
        (-50, 60),
        (-100, 300),
        (-200, 1200),
    ]
    assert len(pending) == 1


def test_split_when_action_goes_back_to_reducing_keeps_closing_all() -> None:
    def edit(action: str) -> RiskConfig:
        return RiskConfig.model_validate({"rules": {"max_contracts": {"limit": 1, action: True}}})

    applied, pending = split(edit("close_all"), edit("reduce_to_limit"))
    assert applied == edit("close_all")
    assert {change.effect for change in pending} == {"loosens"}
    assert split(edit("reduce_to_limit"), edit("close_all")) == (edit("close_all"), [])


@pytest.mark.parametrize(
    ("rule", "old", "new", "applied"),
    [
        # What is flat: Mon-Fri 15:00-17:00; asked for: 17:30 to 17:00 of the next day, which leaves Monday out.
        ("scheduled_flatten", {"time": "15:00", "days": WEEK}, {"time": "17:30", "days": WEEK}, "old"),
        ("scheduled_flatten", {"time": "15:00", "days": WEEK}, {"time": "17:30", "days": ["sun", *WEEK]}, "new"),
        ("scheduled_flatten", {"time": "15:00", "days": ["mon"]}, {"time": "14:00", "days": ["tue"]},
         {"time": "15:00", "days": ["mon", "tue"]}),
        ("scheduled_flatten", {"time": "15:00"}, {"time": "14:00", "timezone": "America/Chicago"}, "new"),
        ("scheduled_flatten", {"time": "15:00"}, {"time": "20:00", "timezone": "Europe/London"}, "old"),  # not in March
        # The same instrument under its other name.
        ("max_contracts_per_instrument", {"limits": {"ENQ": 2}}, {"limits": {"NQ": 2}}, "new"),
        ("max_contracts_per_instrument", {"limits": {"ENQ": 2, "ES": 1}}, {"limits": {"NQ": 3, "EP": 1}},
         {"limits": {"NQ": 2, "EP": 1}}),
        ("max_contracts_per_instrument", {"limits": {"ENQ": 2}}, {"limits": {"NQ": 1, "ENQ": 4}}, "new"),
        ("symbol_blocks", {"blocked_symbols": ["ENQ"]}, {"blocked_symbols": ["NQ"]}, "new"),
        ("symbol_blocks", {"blocked_symbols": ["ENQ", "EP"]}, {"blocked_symbols": ["NQ"]},
         {"blocked_symbols": ["EP", "NQ"]}),
        # What only means something together, and would close what neither forbids if it were mixed.
        ("max_contracts", {"limit": 2, "count_type": "net"}, {"limit": 9, "count_type": "gross"}, "old"),
        ("max_contracts", {"limit": 2, "count_type": "net"}, {"limit": 2, "count_type": "gross"}, "new"),
        ("max_contracts", {"limit": 2}, {"limit": 5, "close_all": True}, "old"),
        ("max_contracts_per_instrument", {"limits": {"ES": 2}}, {"limits": {"ES": 5}, **CLOSE}, "old"),
        ("max_contracts_per_instrument", {"limits": {"ES": 5}}, {"limits": {"ES": 2}, **CLOSE}, "new"),
        ("profit_give_back", {"amount": 300, "min_peak": 500}, {"amount": 100, "min_peak": 900}, "old"),
        ("profit_give_back", {"amount": 300, "min_peak": 500}, {"percent": 50, "min_peak": 100},
         {"amount": 300, "percent": 50, "min_peak": 500}),
        ("profit_give_back", {"amount": 300, "min_peak": 500}, {"amount": 200, "min_peak": 100}, "new"),
        ("trailing_drawdown", {"amount": 2000, "lock_at": 50000}, {"amount": 1000, "lock_at": 49000}, "old"),
        ("trailing_drawdown", {"amount": 2000, "mode": "intraday"}, {"amount": 1000}, "old"),
        ("trade_management", {"trailing_stop": {"activation_ticks": 20, "trail_distance_ticks": 10}},
         {"trailing_stop": {"activation_ticks": 30, "trail_distance_ticks": 5}}, "old"),
        # A length that belongs to no limit is nobody's.
        ("trade_frequency_limit", {"limits": {"per_minute": 3}},
         {"limits": {"per_minute": 3, "per_hour": 9}, "cooldown_on_breach": {"per_hour_breach": 60}}, "new"),
        ("trade_frequency_limit", {"limits": {"per_minute": 3}, "cooldown_on_breach": {"per_minute_breach": 60}},
         {"limits": {"per_minute": 2}, "cooldown_on_breach": {"per_minute_breach": 30}},
         {"limits": {"per_minute": 2}, "cooldown_on_breach": {"per_minute_breach": 60}}),
    ],
)  # fmt: skip
def test_split_when_values_mean_something_together_applies_what_no_one_loses_by(
    rule: str, old: dict[str, Any], new: dict[str, Any], applied: str | dict[str, Any]
) -> None:
    before, after = ({"rules": {rule: value}} for value in (old, new))
    expected = {"old": before, "new": after}[applied] if isinstance(applied, str) else {"rules": {rule: applied}}
    now, pending = split(RiskConfig.model_validate(before), RiskConfig.model_validate(after))
    assert now == RiskConfig.model_validate(expected)
    assert bool(pending) == (applied != "new")


def session(**windows: dict[str, Any]) -> RiskConfig:
    return RiskConfig.model_validate(
        {"rules": {"session_block_outside": {"per_instrument_sessions": {"sessions": windows}}}}
    )


def test_split_when_windows_change_under_another_name_or_in_another_zone_keeps_what_both_allow() -> None:
    early, late = {"start": "08:00", "end": "15:00"}, {"start": "09:00", "end": "16:00"}
    assert split(session(ENQ=early), session(NQ=early)) == (session(NQ=early), [])
    assert split(session(ENQ=early), session(NQ=late))[0] == session(NQ={"start": "09:00", "end": "15:00"})
    assert split(session(ENQ=early), session(NQ=late, ENQ=late))[0] == session(
        NQ=late, ENQ={"start": "09:00", "end": "15:00"}
    )
    chicago = {"start": "07:30", "end": "14:00", "timezone": "America/Chicago"}
    assert split(session(ES=early), session(EP=chicago)) == (session(EP=chicago), [])
    london = {"start": "13:00", "end": "20:00", "timezone": "Europe/London"}
    assert split(session(ES=early), session(EP=london))[0] == session(EP=early)  # an hour off in March
    # The common time lies on other days than either window names.
    old = {"start": "09:30", "end": "16:00", "days": WEEK}
    night = {"start": "18:00", "end": "12:00", "days": WEEK}
    assert split(session(ES=old), session(ES=night))[0] == session(
        ES={"start": "09:30", "end": "12:00", "days": ["tue", "wed", "thu", "fri"]}
    )


def test_diff_when_accounts_take_a_value_over_lists_it_once() -> None:
    old = documented(set_at("accounts.102.rules.max_contracts.limit", 2))
    new = documented(set_at("accounts.102.rules.max_contracts.limit", 2))
    new = RiskConfig.model_validate(
        new.model_dump() | {"rules": new.rules.model_dump() | {"weekly_loss": {"limit": -100}}}
    )
    assert [change.path for change in diff(old, new)] == ["rules.weekly_loss"]


def test_split_when_rules_loosen_but_an_account_keeps_its_limit_leaves_that_account_alone() -> None:
    old = documented(lambda tree: None)

    def edit(tree: dict[str, Any]) -> None:
        tree["rules"]["daily_realized_loss"]["limit"] = -900
        tree["accounts"][102] = {"rules": {"daily_realized_loss": {"limit": -500}}}

    applied, pending = split(old, documented(edit))
    assert [change.path for change in pending] == ["rules.daily_realized_loss.limit"]
    for account, limit in ((101, -250), (102, -500), (103, -500)):
        rule = applied.rules_for(account).daily_realized_loss
        assert rule is not None
        assert rule.limit == limit


def logins(*entries: dict[str, Any]) -> AccountsConfig:
    return AccountsConfig.model_validate({"logins": list(entries)})


A_ALL = {"username": "a"}
A_12 = {"username": "a", "accounts": [1, 2]}


@pytest.mark.parametrize(
    ("old", "new", "applied", "loosening"),
    [
        (logins(A_ALL), logins(), logins(A_ALL), ["logins.a"]),
        (logins(), logins(A_ALL), logins(A_ALL), []),
        (logins(A_ALL), logins({**A_ALL, "enabled": False}), logins(A_ALL), ["logins.a.enabled"]),
        (logins(A_ALL), logins(A_12), logins(A_ALL), ["logins.a.accounts"]),
        (logins(A_12), logins(A_ALL), logins(A_ALL), []),
        (
            logins(A_12),
            logins({**A_12, "accounts": [2, 3]}),
            logins({**A_12, "accounts": [2, 3, 1]}),
            ["logins.a.accounts"],
        ),
        # account 1 moves to another login, which protects it at once
        (
            logins(A_12),
            logins({**A_12, "accounts": [2]}, {"username": "b", "accounts": [1]}),
            logins({**A_12, "accounts": [2]}, {"username": "b", "accounts": [1]}),
            [],
        ),
        # ... but not to a login that is switched off
        (
            logins(A_12),
            logins({**A_12, "accounts": [2]}, {"username": "b", "accounts": [1], "enabled": False}),
            logins({**A_12, "accounts": [2, 1]}, {"username": "b", "accounts": [], "enabled": False}),
            ["logins.a.accounts", "logins.b.accounts"],
        ),
    ],
)
def test_split_when_logins_change_keeps_every_account_protected(
    old: AccountsConfig, new: AccountsConfig, applied: AccountsConfig, loosening: list[str]
) -> None:
    now, pending = split(old, new)
    assert now == applied
    assert sorted(change.path for change in pending) == sorted(loosening)


def test_split_when_a_gateway_address_changes_waits() -> None:
    old = AccountsConfig()
    new = AccountsConfig.model_validate({"gateway": {"api_url": "https://example.org/api"}})
    assert split(old, new)[0] == old


def test_diff_when_a_key_changes_never_shows_it() -> None:
    old, new = logins({**A_ALL, "api_key": "secret-one"}), logins({**A_ALL, "api_key": "secret-two"})
    changes = diff(old, new)
    assert [change.effect for change in changes] == ["loosens"]  # the new key may be wrong
    assert "secret" not in repr(changes)
    assert split(old, new)[0] == old
    off = {"enabled": False, "api_key": "secret-two"}
    assert split(old, logins({**A_ALL, **off}))[0] == old
    assert split(logins({**A_ALL, **off}), old) == (old, [])  # nothing is in force yet
    assert split(old, logins({"username": "A", "api_key": "secret-one"}))[0] == old  # perhaps another user


def calendar(zone: str = "America/Chicago", **dates: dict[str, Any]) -> HolidayCalendar:
    named = {name.replace("d", "2026-12-"): value for name, value in dates.items()}
    return HolidayCalendar.model_validate({"timezone": zone, "dates": named})


CLOSED, NOON, LATER = {"closed": True}, {"early_close": "12:00"}, {"early_close": "13:00"}


@pytest.mark.parametrize(
    ("old", "new", "applied"),
    [
        (calendar(), calendar(d24=NOON), calendar(d24=NOON)),
        (calendar(d24=NOON), calendar(), calendar(d24=NOON)),
        (calendar(d24=NOON), calendar(d24=LATER), calendar(d24=NOON)),
        (calendar(d24=LATER), calendar(d24=NOON), calendar(d24=NOON)),
        (calendar(d24=NOON), calendar(d24=CLOSED), calendar(d24=CLOSED)),
        (calendar(d24=CLOSED), calendar(d24=NOON), calendar(d24=CLOSED)),
        (calendar(d24=NOON), calendar("America/New_York", d24=NOON, d25=CLOSED), calendar(d24=NOON, d25=CLOSED)),
    ],
)
def test_split_when_holidays_change_keeps_the_stricter_day(
    old: HolidayCalendar, new: HolidayCalendar, applied: HolidayCalendar
) -> None:
    assert split(old, new)[0] == applied
    assert bool(split(old, new)[1]) == (applied != new)


def test_change_ids_when_made_again_stay_the_same_and_differ_by_value() -> None:
    one = Change(("rules", "weekly_loss", "limit"), -1, -2, "loosens")
    assert one.id == Change(("rules", "weekly_loss", "limit"), -1, -2, "loosens").id
    assert one.id != Change(("rules", "weekly_loss", "limit"), -1, -3, "loosens").id


def test_diff_when_kinds_are_mixed_raises() -> None:
    with pytest.raises(TypeError):
        diff(RiskConfig(), AccountsConfig())
