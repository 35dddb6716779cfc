"""What is shown of a rule is true for as long as `gauges_until` says, whatever has happened before."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daemon.core.rule import Gauge
from shared.config import RiskConfig
from tests.core.desk import ES, MNQ, Desk

RULES: dict[str, dict[str, Any]] = {
    "max_contracts": {"limit": 20},
    "max_contracts_per_instrument": {"limits": {"MNQ": 20}},
    "daily_realized_loss": {"limit": -900},
    "daily_unrealized_loss": {"limit": -900},
    "max_unrealized_profit": {"target": 900},
    "trade_frequency_limit": {"limits": {"per_minute": 9, "per_hour": 20, "per_session": 30}},
    "cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -90, "cooldown_duration": 30}]},
    "no_stop_loss_grace": {"grace_period_seconds": 300},
    "session_block_outside": {
        "global_session": {"start": "09:30", "end": "10:15"},
        "lockout_outside_session": False,
        "close_positions_at_session_end": False,
        "respect_holidays": False,
    },
    "auth_loss_guard": {},
    "symbol_blocks": {"blocked_symbols": ["RTY"]},
    "trade_management": {"auto_breakeven": {"profit_trigger_ticks": 4}},
    "daily_realized_profit": {"target": 900},
    "daily_total_loss": {"limit": -900},
    "profit_give_back": {"amount": 300, "min_peak": 50},
    "weekly_loss": {"limit": -900},
    "consecutive_losses": {"limit": 5, "cooldown_duration": 60},
    "trailing_drawdown": {"amount": 900, "start_balance": 50_000},
    "losing_position_adds": {"max_adds": 3},
    "scheduled_flatten": {"time": "10:20"},
}
OF_SECONDS = {"RULE-008"}
"""Says how many seconds it has been; sent anew at each twentieth of its grace."""

gaps = st.floats(0.1, 1500) | st.sampled_from([1, 2, 59, 60, 900, 3600])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from([MNQ, ES]), st.sampled_from([1, 2, -1])),
        st.tuples(st.just("fill"), st.sampled_from([MNQ, ES]), st.sampled_from([1, -1])),
        st.tuples(st.just("close"), st.sampled_from([MNQ, ES]), st.sampled_from(["-20", "10", "-95"])),
        st.tuples(st.just("quote"), st.sampled_from([MNQ, ES]), st.integers(99, 101)),
        st.tuples(st.just("wait"), gaps, st.none()),
    ),
    max_size=12,
)


def happen(desk: Desk, step: tuple[str, Any, Any]) -> None:
    kind, first, second = step
    if kind == "enter":
        desk.enter(first, second)
    elif kind == "fill":
        desk.trade(first, second)
    elif kind == "close":
        held = desk.engine.account(101).size(first)
        if held:
            desk.close(first, -1 if held > 0 else 1, second)
    elif kind == "quote":
        desk.quote(first, second, second)
    else:
        desk.wait(first)


def shown(desk: Desk) -> dict[str, Gauge | None]:
    account = desk.engine.account(101)
    states = desk.engine.rule_states(101)
    return {
        state.rule.rule_id: desk.engine.gauge(account, state)
        for state in states
        if state.rule.rule_id not in OF_SECONDS
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sets(st.sampled_from(sorted(RULES)), min_size=1),
    steps,
    st.lists(st.floats(0, 1, exclude_max=True), min_size=4, max_size=4),
)
@example({"trade_frequency_limit"}, [("fill", MNQ, 1), ("fill", MNQ, 1)], [0.999, 0.5, 0.1, 0.01])
@example({"session_block_outside"}, [], [0.999, 0.5, 0.1, 0.01])
def test_gauges_do_not_change_before_the_time_that_is_told(
    chosen: set[str], happened: list[tuple[str, Any, Any]], parts: list[float]
) -> None:
    desk = Desk(RiskConfig.model_validate({"rules": {key: RULES[key] for key in sorted(chosen)}}))
    for step in happened:
        happen(desk, step)
    engine, now = desk.engine, desk.engine.now
    before, until = shown(desk), engine.gauges_until(engine.account(101))
    assert until > now
    for part in parts:
        engine.now = now + int((until - now) * part)
        assert shown(desk) == before
