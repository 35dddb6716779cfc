"""Configurations for tests: the documented example, and strategies for any valid one with small domains."""

from typing import Any

from hypothesis import strategies as st

from shared.config import AccountsConfig, HolidayCalendar, RiskConfig

DOCUMENTED = """\
version: 1
reset: {time: "17:00", timezone: America/New_York}
policy:
  loosen: next_reset          # next_reset | immediately : when a change that weakens protection takes effect
  admin_unlock: {allowed: true, delay_minutes: 15}
  pnl_basis: net              # net (profitAndLoss - fees - commissions) | gross
ipc: {host: 127.0.0.1, port: 5555}          # port 0 = any free one; public/endpoint.json tells
logging: {level: INFO, retention_days: 30}
rules:                        # every key below is optional; a rule that is absent is off
  max_contracts: {enabled: true, limit: 5, count_type: net, close_all: false, reduce_to_limit: true}
  max_contracts_per_instrument:
    {enabled: true, limits: {MNQ: 2, ES: 1}, enforcement: reduce_to_limit, unknown_symbol_action: block}
  daily_realized_loss: {enabled: true, limit: -500}
  daily_unrealized_loss: {enabled: true, limit: -300}
  max_unrealized_profit: {enabled: true, target: 1000}
  trade_frequency_limit:
    enabled: true
    limits: {per_minute: 3, per_hour: 10, per_session: 50}
    cooldown_on_breach: {per_minute_breach: 60, per_hour_breach: 1800, per_session_breach: 3600}
  cooldown_after_loss:
    enabled: true
    loss_thresholds: [{loss_amount: -100, cooldown_duration: 300}, {loss_amount: -200, cooldown_duration: 900}]
  no_stop_loss_grace: {enabled: true, grace_period_seconds: 10}
  session_block_outside:
    enabled: true
    global_session:
      {enabled: true, start: "09:30", end: "16:00", timezone: America/New_York, days: [mon, tue, wed, thu, fri]}
    per_instrument_sessions:
      {enabled: false, sessions: {ES: {start: "18:00", end: "17:00", timezone: America/Chicago}}}
    close_positions_at_session_end: true
    lockout_outside_session: true
    respect_holidays: true
  auth_loss_guard: {enabled: true}
  symbol_blocks: {enabled: true, blocked_symbols: [RTY, BTC]}
  trade_management:
    enabled: false
    auto_breakeven: {enabled: true, profit_trigger_ticks: 10}
    trailing_stop: {enabled: true, activation_ticks: 20, trail_distance_ticks: 10}
  daily_realized_profit: {enabled: true, target: 1000}
accounts:                     # per-account overrides, merged key by key over `rules`
  101: {rules: {daily_realized_loss: {limit: -250}}}
"""

SYMBOLS = ("ES", "MNQ", "RTY")
DAYS = ("mon", "wed", "fri", "sun")
TIMES = ("00:00", "08:30", "09:30", "16:00", "17:00", "23:00")
ZONES = ("America/New_York", "America/Chicago")
ACCOUNTS = (101, 102)

flags = st.booleans()
losses = st.sampled_from((-100, -200, "-200.5", -500))
gains = st.sampled_from((100, 200, "200.5", 500))
counts = st.integers(1, 4)
seconds = st.sampled_from((1, 60, 300))
days = st.lists(st.sampled_from(DAYS), min_size=1, unique=True)


def group(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with all of ``required`` and some of ``optional``."""
    return st.fixed_dictionaries(required, optional=optional or {})


def rule(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    return group({"enabled": flags} | required, optional)


windows = group(
    {"start": st.sampled_from(TIMES[:3]), "end": st.sampled_from(TIMES[3:])},
    {"timezone": st.sampled_from(ZONES), "days": days},
) | group({"start": st.sampled_from(TIMES[3:]), "end": st.sampled_from(TIMES[:3])}, {"days": days})

frequency = group({"per_minute": counts}, {"per_hour": counts}) | group({"per_session": counts}, {"per_hour": counts})

thresholds = st.lists(
    group({"loss_amount": losses, "cooldown_duration": seconds}),
    min_size=1,
    max_size=3,
    unique_by=lambda step: float(step["loss_amount"]),
)

RULES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "max_contracts": rule(
        {"limit": st.integers(0, 3)},
        {"count_type": st.sampled_from(("net", "gross", "long", "short")), "close_all": flags},
    ),
    "max_contracts_per_instrument": rule(
        {"limits": st.dictionaries(st.sampled_from(SYMBOLS), st.integers(0, 3))},
        {
            "enforcement": st.sampled_from(("reduce_to_limit", "close_all")),
            "unknown_symbol_action": st.sampled_from(
                ("block", "close", "allow", "allow_with_limit:1", "allow_with_limit:2")
            ),
        },
    ),
    "daily_realized_loss": rule({"limit": losses}),
    "daily_unrealized_loss": rule({"limit": losses}),
    "max_unrealized_profit": rule({"target": gains}),
    "trade_frequency_limit": rule(
        {"limits": frequency}, {"cooldown_on_breach": group({}, {"per_minute_breach": seconds})}
    ),
    "cooldown_after_loss": rule({"loss_thresholds": thresholds}),
    "no_stop_loss_grace": rule({"grace_period_seconds": st.integers(0, 3)}),
    "session_block_outside": rule(
        {"global_session": windows.flatmap(lambda window: flags.map(lambda on: {**window, "enabled": on}))},
        {
            "per_instrument_sessions": group(
                {"enabled": flags, "sessions": st.dictionaries(st.sampled_from(SYMBOLS[:2]), windows)}
            ),
            "close_positions_at_session_end": flags,
            "lockout_outside_session": flags,
        },
    ),
    "auth_loss_guard": rule({}),
    "symbol_blocks": rule({"blocked_symbols": st.lists(st.sampled_from(SYMBOLS), unique=True)}),
    "trade_management": rule(
        {"auto_breakeven": group({"enabled": flags, "profit_trigger_ticks": counts})},
        {"trailing_stop": group({"enabled": flags, "activation_ticks": counts, "trail_distance_ticks": counts})},
    ),
    "daily_realized_profit": rule({"target": gains}),
    "daily_total_loss": rule({"limit": losses}),
    "profit_give_back": rule({"amount": gains}, {"percent": st.integers(1, 3), "min_peak": st.integers(0, 2)})
    | rule({"percent": st.integers(1, 3)}, {"min_peak": st.integers(0, 2)}),
    "weekly_loss": rule({"limit": losses}),
    "consecutive_losses": rule({"limit": counts, "cooldown_duration": seconds}),
    "trailing_drawdown": rule(
        {"amount": gains},
        {"mode": st.sampled_from(("end_of_day", "intraday")), "start_balance": gains, "lock_at": gains},
    ),
    "losing_position_adds": rule({"max_adds": counts}),
    "scheduled_flatten": rule(
        {"time": st.sampled_from(TIMES)}, {"timezone": st.sampled_from(ZONES), "days": days, "warn_minutes": counts}
    ),
}


def some_of(strategies: dict[str, Any], at_most: int) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with a few of the keys."""
    chosen = st.lists(st.sampled_from(sorted(strategies)), max_size=at_most, unique=True)
    return chosen.flatmap(lambda keys: st.fixed_dictionaries({key: strategies[key] for key in keys}))


# Overrides are whole rules or single values of them; the latter need the rule in `rules` and are filtered if not.
partial = {
    "daily_realized_loss": group({}, {"limit": losses, "enabled": flags}),
    "max_contracts": group({}, {"limit": st.integers(0, 3), "enabled": flags}),
    "max_contracts_per_instrument": group(
        {}, {"limits": st.dictionaries(st.sampled_from(SYMBOLS), st.integers(0, 3) | st.none()), "enabled": flags}
    ),
    "auth_loss_guard": rule({}),
    "weekly_loss": RULES["weekly_loss"],
}


def _valid(tree: dict[str, Any]) -> RiskConfig | None:
    try:
        return RiskConfig.model_validate(tree)
    except ValueError:
        return None


risk_configs: st.SearchStrategy[RiskConfig] = (
    group(
        {
            "rules": some_of(RULES, 4),
            "accounts": st.dictionaries(
                st.sampled_from(ACCOUNTS), some_of(partial, 2).map(lambda rules: {"rules": rules}), max_size=2
            ),
        },
        {
            "reset": group({}, {"time": st.sampled_from(TIMES), "timezone": st.sampled_from(ZONES)}),
            "policy": group(
                {},
                {
                    "admin_unlock": group({"allowed": flags, "delay_minutes": st.integers(0, 2)}),
                    "pnl_basis": st.sampled_from(("net", "gross")),
                },
            ),
            "logging": group({"retention_days": counts}),
        },
    )
    .map(_valid)
    .filter(lambda config: config is not None)
    .map(lambda config: config or RiskConfig())
)


def _logins(logins: list[dict[str, Any]]) -> AccountsConfig | None:
    try:
        return AccountsConfig.model_validate({"logins": logins})
    except ValueError:
        return None


accounts_configs: st.SearchStrategy[AccountsConfig] = (
    st.lists(
        group(
            {"username": st.sampled_from(("a", "b.c", "d")), "enabled": flags},
            {"accounts": st.just("all") | st.lists(st.sampled_from((1, 2, 3)), unique=True, max_size=2)},
        ),
        max_size=3,
    )
    .map(_logins)
    .filter(lambda config: config is not None)
    .map(lambda config: config or AccountsConfig())
)

calendars: st.SearchStrategy[HolidayCalendar] = group(
    {
        "dates": st.dictionaries(
            st.sampled_from(("2026-12-24", "2026-12-25", "2027-01-01")),
            st.just({"closed": True})
            | st.sampled_from(("11:00", "12:00")).map(lambda time: {"early_close": time, "name": time}),
        )
    },
    {"timezone": st.sampled_from(ZONES)},
).map(HolidayCalendar.model_validate)
