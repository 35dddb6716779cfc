"""Laws of comparing configurations, over generated ones: what tightens may apply at once, whatever else changes."""

import math
from typing import Any

from hypothesis import example, given, settings

from shared.config import AccountsConfig, HolidayCalendar, MaxContracts, RiskConfig, RulesConfig
from shared.config_changes import diff, split
from shared.session_windows import allowed_minutes
from tests.shared.config_examples import (
    ACCOUNTS,
    SYMBOLS,
    accounts_configs,
    calendars,
    risk_configs,
)

EXAMPLES = 70


def forbidden(rules: RulesConfig) -> dict[str, float]:
    """How strict the rules are at many probes, written independently of what is declared at the fields.

    A greater figure is stricter; a rule that is off gives minus infinity.
    """
    on = dict(rules.enabled())
    probes: dict[str, float] = {}

    def probe(name: str, strictness: float | None) -> None:
        probes[name] = -math.inf if strictness is None else strictness

    held = [(3, 1), (1, 3), (2, 0), (0, 2), (1, 1), (4, 4), (1, 0)]
    contracts = on.get("max_contracts")
    for long, short in held:
        counts = {"net": abs(long - short), "gross": long + short, "long": long, "short": short}
        breach = isinstance(contracts, MaxContracts) and counts[contracts.count_type] > contracts.limit
        probe(f"contracts {long} {short}", breach)
        probe(
            f"contracts {long} {short} close all",
            breach and isinstance(contracts, MaxContracts) and contracts.close_all,
        )
    for symbol in (*SYMBOLS, "CL"):
        instrument = rules.max_contracts_per_instrument
        limit = instrument.limit_for(symbol) if instrument and instrument.enabled else None
        probe(f"instrument {symbol}", None if limit is None else -limit)
    for key in ("daily_realized_loss", "daily_unrealized_loss", "daily_total_loss", "weekly_loss"):
        probe(key, float(on[key].limit) if key in on else None)  # type: ignore[attr-defined]
    for key in ("max_unrealized_profit", "daily_realized_profit"):
        probe(key, -float(on[key].target) if key in on else None)  # type: ignore[attr-defined]
    frequency = rules.trade_frequency_limit if "trade_frequency_limit" in on else None
    for window in ("per_minute", "per_hour", "per_session"):
        limit = getattr(frequency.limits, window) if frequency else None
        probe(f"frequency {window}", None if limit is None else -limit)
        pause = getattr(frequency.cooldown_on_breach, f"{window}_breach") if frequency else None
        probe(f"pause {window}", None if limit is None else pause)
    for loss in (-1, -100, -150, -200, -201, -499, -500, -9999):
        cooldown = rules.cooldown_after_loss
        probe(f"loss {loss}", cooldown.duration_for(loss) if cooldown and cooldown.enabled else 0)  # type: ignore[arg-type]
    grace = rules.no_stop_loss_grace
    probe("grace", -grace.grace_period_seconds if grace and grace.enabled else None)
    session = rules.session_block_outside if "session_block_outside" in on else None
    for flag in ("close_positions_at_session_end", "lockout_outside_session", "respect_holidays"):
        probe(flag, getattr(session, flag) if session else False)
    windows = dict(session.windows) if session else {}
    if session and session.account_window:
        windows["account"] = session.account_window
    for place, window_of in windows.items():
        mask = allowed_minutes(window_of)
        for minute in range(0, 7 * 1440, 30):
            probe(f"blocked {place} {window_of.timezone} {minute}", not mask >> minute & 1)
    probe("auth", "auth_loss_guard" in on)
    blocks = rules.symbol_blocks
    for symbol in SYMBOLS:
        probe(f"block {symbol}", bool(blocks and blocks.enabled and symbol in blocks.blocked_symbols))
    back = rules.profit_give_back if "profit_give_back" in on else None
    for field in ("amount", "percent", "min_peak"):
        value = getattr(back, field) if back else None
        probe(f"give back {field}", None if value is None else -float(value))
    row = rules.consecutive_losses if "consecutive_losses" in on else None
    probe("in a row", -row.limit if row else None)
    probe("in a row pause", row.cooldown_duration if row else None)
    trail = rules.trailing_drawdown if "trailing_drawdown" in on else None
    probe("trail", -float(trail.amount) if trail else None)
    probe("trail intraday", trail.mode == "intraday" if trail else None)
    probe("trail lock", (math.inf if trail.lock_at is None else float(trail.lock_at)) if trail else None)
    adds = rules.losing_position_adds
    probe("adds", -adds.max_adds if adds and adds.enabled else None)
    flat = rules.scheduled_flatten if "scheduled_flatten" in on else None
    for day in ("mon", "wed", "fri", "sun"):
        probe(f"flat {day}", bool(flat and day in flat.days))
    management = rules.trade_management if "trade_management" in on else None
    even = management.auto_breakeven if management else None
    probe("breakeven", -even.profit_trigger_ticks if even and even.enabled else None)
    trailing = management.trailing_stop if management else None
    probe("trailing", -trailing.trail_distance_ticks if trailing and trailing.enabled else None)
    return probes


def looser_places(candidate: RulesConfig, reference: RulesConfig) -> list[str]:
    ours, theirs = forbidden(candidate), forbidden(reference)
    found = []
    for name, strictness in theirs.items():
        if name.startswith("blocked") and name not in ours:
            found.append(name)  # the window went into another zone: not comparable, so not allowed to happen
        elif ours.get(name, -math.inf) < strictness:
            found.append(name)
    return found


@settings(max_examples=EXAMPLES, deadline=None)
@given(risk_configs, risk_configs)
@example(
    RiskConfig.model_validate(
        {
            "rules": {"max_contracts": {"enabled": False, "limit": 0, "count_type": "gross"}},
            "accounts": {101: {"rules": {"max_contracts": {"enabled": True}}}},
        }
    ),
    RiskConfig.model_validate({"rules": {"max_contracts": {"limit": 0, "count_type": "net"}}}),
).via("a change that tightens where the rule is off loosened where an account had it on")
def test_split_when_given_any_two_configurations_is_nowhere_looser_than_before(
    old: RiskConfig, new: RiskConfig
) -> None:
    applied, _ = split(old, new)
    for rules in [(applied.rules, old.rules), *((applied.rules_for(n), old.rules_for(n)) for n in ACCOUNTS)]:
        places = looser_places(*rules)
        # A window that is off in old and on in new gives new probes only; one of old must still be there as it was.
        assert places == [], places
    assert applied.policy.admin_unlock.delay_minutes >= old.policy.admin_unlock.delay_minutes
    assert applied.policy.admin_unlock.allowed <= old.policy.admin_unlock.allowed
    assert applied.reset == old.reset
    assert applied.policy.pnl_basis == old.policy.pnl_basis


@settings(max_examples=EXAMPLES, deadline=None)
@given(risk_configs, risk_configs)
@example(
    RiskConfig.model_validate(
        {
            "rules": {"max_contracts": {"enabled": False, "limit": 0}},
            "accounts": {101: {"rules": {"max_contracts": {"enabled": True}}}},
        }
    ),
    RiskConfig.model_validate({"rules": {"max_contracts": {"enabled": False, "limit": 1}}}),
).via("the account's own switch kept a limit that all others had: its loosening was not listed")
def test_split_when_done_again_changes_nothing_and_leaves_the_same_changes(old: RiskConfig, new: RiskConfig) -> None:
    applied, pending = split(old, new)
    again, still = split(applied, new)
    assert again == applied
    assert {change.steps for change in still} == {change.steps for change in pending}
    # What is left between what applies now and the new configuration tightens nothing any more.
    assert {change.effect for change in diff(applied, new)} <= {"loosens", "neutral"}
    # Nothing was called harmless that would have to wait coming from the other side, too.
    assert all(change.effect != "loosens" for change in diff(old, applied))


@settings(max_examples=EXAMPLES, deadline=None)
@given(risk_configs, risk_configs)
def test_split_when_nothing_loosens_is_the_new_configuration(old: RiskConfig, new: RiskConfig) -> None:
    applied, pending = split(old, new)
    if not pending:
        for account in (*ACCOUNTS, 999):
            assert applied.rules_for(account) == new.rules_for(account)
        assert applied.rules == new.rules
        assert applied.policy == new.policy


@settings(max_examples=EXAMPLES, deadline=None)
@given(risk_configs)
def test_split_when_nothing_changes_does_nothing(config: RiskConfig) -> None:
    assert diff(config, config) == []
    assert split(config, config) == (config, [])


def protected(config: AccountsConfig) -> set[Any]:
    return {
        who
        for login in config.logins
        if login.enabled
        for who in ([login.username] if login.accounts == "all" else login.accounts)
    }


@settings(max_examples=EXAMPLES, deadline=None)
@given(accounts_configs, accounts_configs)
def test_split_when_given_any_two_sets_of_logins_protects_what_either_protects(
    old: AccountsConfig, new: AccountsConfig
) -> None:
    applied, pending = split(old, new)
    everything = {login.username for login in applied.logins if login.enabled and login.accounts == "all"}
    # Below a login that takes all, its listed accounts are protected too.
    covered = protected(applied) | {
        number
        for login in (*old.logins, *new.logins)
        if login.username in everything and login.accounts != "all"
        for number in login.accounts
    }
    assert protected(old) <= covered
    assert protected(new) <= covered
    assert split(applied, new)[0] == applied
    if not pending:
        assert protected(applied) == protected(new)


@settings(max_examples=EXAMPLES, deadline=None)
@given(calendars, calendars)
def test_split_when_given_any_two_calendars_keeps_every_closed_day(old: HolidayCalendar, new: HolidayCalendar) -> None:
    applied, pending = split(old, new)
    for date, day in old.dates.items():
        kept = applied.dates[date]
        assert kept.closed or (kept.early_close is not None and day.early_close is not None)
        if not kept.closed:
            assert kept.early_close is not None
            assert day.early_close is not None
            assert kept.early_close <= day.early_close
    assert applied.timezone == old.timezone
    assert split(applied, new)[0] == applied
    if not pending:
        assert applied == new
