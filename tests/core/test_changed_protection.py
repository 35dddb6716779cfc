"""What a change of the configuration puts into force at once, judged by the engine itself.

Three engines live through the same day: one keeps the old configuration, one gets the new one, one gets what `split`
makes of the two. At no moment may the third ask for less than the first, nor take away what neither of the others
would. The trader and the broker take no notice of what is asked, so all three see the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Action, Lockout
from daemon.core.engine import Engine
from daemon.core.events import AccountUpdate, ConfigChanged, ContractSeen, Event
from daemon.core.obligations import counted
from daemon.core.units import SECOND_US
from shared.config import HolidayCalendar, RiskConfig
from shared.config_changes import split
from shared.models import ActionKind, OrderType
from tests.core.desk import ES, MNQ, NQ, RTY
from tests.core.world import World

ACCOUNT = 101

# --- configurations ----------------------------------------------------------------------------------------------

flags = st.booleans()
losses = st.sampled_from([-20, -60, -150, -400])
gains = st.sampled_from([20, 60, 150, 400])
counts = st.integers(1, 4)
seconds = st.sampled_from([5, 60, 900])
symbols = st.sampled_from(["MNQ", "NQ", "ENQ", "NQ", "ENQ", "ES", "EP", "RTY"])
times = st.sampled_from(["09:30", "10:05", "11:00", "15:55", "16:30", "17:00", "18:00", "23:00", "02:00"])
zones = st.sampled_from(["America/New_York", "America/Chicago", "Europe/London"])
days = st.sampled_from([["wed"], ["tue", "wed", "thu"], ["mon", "tue", "wed", "thu", "fri"], ["wed", "thu"], ["thu"]])
mostly = st.sampled_from([True, True, True, True, False])


def group(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional or {})


def rule(required: dict[str, Any], optional: dict[str, Any] | None = None) -> st.SearchStrategy[dict[str, Any]]:
    return group(required, {"enabled": mostly, **(optional or {})})


days_and_zone = {"days": days, "timezone": st.sampled_from(["America/New_York", "America/New_York", "America/Chicago"])}
windows = group(
    {
        "start": st.sampled_from(["02:00", "09:30", "09:59", "18:00"]),
        "end": st.sampled_from(["10:05", "11:00", "15:55", "16:30", "17:00"]),
    },
    days_and_zone,
)
RULES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "max_contracts": rule(
        {"limit": st.integers(0, 5)},
        {"count_type": st.sampled_from(["net", "gross", "long", "short"]), "close_all": flags},
    ),
    "max_contracts_per_instrument": rule(
        {"limits": st.dictionaries(symbols, st.integers(0, 4), max_size=3)},
        {
            "enforcement": st.sampled_from(["reduce_to_limit", "close_all"]),
            "unknown_symbol_action": st.sampled_from(["block", "close", "allow", "allow_with_limit:2"]),
        },
    ),
    "daily_realized_loss": rule({"limit": losses}),
    "daily_unrealized_loss": rule({"limit": losses}),
    "max_unrealized_profit": rule({"target": gains}),
    "trade_frequency_limit": rule(
        {
            "limits": group({}, {"per_minute": counts, "per_hour": counts, "per_session": counts}).filter(bool),
        },
        {
            "cooldown_on_breach": group(
                {}, {"per_minute_breach": seconds, "per_hour_breach": seconds, "per_session_breach": seconds}
            )
        },
    ),
    "cooldown_after_loss": rule(
        {
            "loss_thresholds": st.lists(
                group({"loss_amount": losses, "cooldown_duration": seconds}),
                min_size=1,
                max_size=3,
                unique_by=lambda step: step["loss_amount"],
            )
        }
    ),
    "no_stop_loss_grace": rule({"grace_period_seconds": st.sampled_from([0, 3, 10, 90])}),
    "session_block_outside": rule(
        {
            "global_session": st.builds(lambda window, on: {**window, "enabled": on}, windows, mostly),
        },
        {
            "per_instrument_sessions": group(
                {"enabled": mostly, "sessions": st.dictionaries(symbols, windows, max_size=2)}
            ),
            "close_positions_at_session_end": flags,
            "lockout_outside_session": flags,
            "respect_holidays": flags,
        },
    ),
    "auth_loss_guard": rule({}),
    "symbol_blocks": rule({"blocked_symbols": st.lists(symbols, unique=True, max_size=3)}),
    "trade_management": rule(
        {
            "trailing_stop": group(
                {
                    "activation_ticks": st.sampled_from([2, 10, 40]),
                    "trail_distance_ticks": st.sampled_from([1, 5, 30]),
                },
                {"enabled": mostly},
            ),
        },
        {"auto_breakeven": group({"profit_trigger_ticks": st.sampled_from([2, 10, 40])}, {"enabled": mostly})},
    ),
    "daily_realized_profit": rule({"target": gains}),
    "daily_total_loss": rule({"limit": losses}),
    "profit_give_back": rule(
        {"amount": gains}, {"percent": st.sampled_from([10, 50, 100]), "min_peak": st.sampled_from([0, 20, 60])}
    ),
    "weekly_loss": rule({"limit": losses}),
    "consecutive_losses": rule({"limit": counts, "cooldown_duration": seconds}),
    "trailing_drawdown": rule(
        {"amount": gains},
        {
            "mode": st.sampled_from(["end_of_day", "intraday"]),
            "start_balance": st.sampled_from([49_900, 50_000, 50_100]),
            "lock_at": st.sampled_from([49_900, 49_990, 50_100]),
        },
    ),
    "losing_position_adds": rule({"max_adds": st.integers(0, 3)}),
    "scheduled_flatten": rule(
        {"time": st.sampled_from(["10:05", "11:00", "15:55", "17:30", "18:00"])},
        {**days_and_zone, "warn_minutes": counts},
    ),
}


def valid(tree: dict[str, Any]) -> RiskConfig | None:
    try:
        return RiskConfig.model_validate(tree)
    except ValueError:
        return None


OTHER_NAMES = {"NQ": "ENQ", "ENQ": "NQ", "ES": "EP", "EP": "ES"}


def renamed(value: Any) -> Any:
    """The same settings with every symbol under its other name."""
    if isinstance(value, dict):
        return {OTHER_NAMES.get(key, key): renamed(below) for key, below in value.items()}
    if isinstance(value, list):
        return [OTHER_NAMES.get(item, item) if isinstance(item, str) else item for item in value]
    return value


@st.composite
def near_pairs(draw: st.DrawFn, key: str) -> tuple[RiskConfig, RiskConfig]:
    """Two configurations of one rule that differ in a few of its values, or in the names of its symbols alone."""
    old, other = draw(RULES[key]), draw(RULES[key])
    changed = draw(st.lists(st.sampled_from(sorted(other)), min_size=1, unique=True)) if other else []
    new = {**old, **{name: other[name] for name in changed}}
    found = valid({"rules": {key: old}}), valid({"rules": {key: renamed(new) if draw(flags) else new}})
    assume(found[0] is not None and found[1] is not None)
    return found  # type: ignore[return-value]


@st.composite
def pairs(draw: st.DrawFn, *, everything: bool) -> tuple[RiskConfig, RiskConfig]:
    """Two configurations with the same few rules, each as it comes. `everything`: reset, policy, overrides too."""
    keys = draw(st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=3, unique=True))

    def one() -> RiskConfig:
        def some() -> dict[str, Any]:
            return {key: draw(RULES[key]) for key in keys if draw(st.sampled_from([True, True, True, False]))}

        tree: dict[str, Any] = {"rules": some()}
        if everything:
            tree["accounts"] = {ACCOUNT: {"rules": some()}} if draw(flags) else {}
            tree["reset"] = draw(group({}, {"time": st.sampled_from(["17:00", "16:00"]), "timezone": zones}))
            tree["policy"] = draw(group({}, {"pnl_basis": st.sampled_from(["net", "gross"])}))
        found = valid(tree)
        if found is None:
            found = RiskConfig.model_validate({"rules": {key: rule for key, rule in tree["rules"].items()
                                                         if valid({"rules": {key: rule}}) is not None}})  # fmt: skip
        return found

    return one(), one()


calendars = st.builds(
    lambda zone, dates: HolidayCalendar.model_validate({"timezone": zone, "dates": dates}),
    zones,
    st.dictionaries(
        st.sampled_from(["2026-11-18", "2026-11-19"]),
        st.just({"closed": True}) | st.sampled_from(["10:02", "11:00", "13:00"]).map(lambda at: {"early_close": at}),
    ),
)

# --- what happens ------------------------------------------------------------------------------------------------

contracts = st.sampled_from([MNQ, MNQ, NQ, NQ, ES, RTY])
ticks = st.sampled_from([-120, -30, -9, -2, 2, 9, 30, 120])
sizes = st.sampled_from([-3, -1, 1, 1, 2])
steps = st.one_of(
    st.tuples(st.just("fill"), contracts, sizes),
    st.tuples(st.just("fill"), contracts, sizes),
    st.tuples(st.just("turn"), contracts, sizes, ticks),
    st.tuples(st.just("turn"), contracts, sizes, ticks),
    st.tuples(st.just("move"), contracts, ticks),
    st.tuples(st.just("ride"), contracts, sizes, ticks),
    st.tuples(st.just("place"), contracts, sizes, st.sampled_from([OrderType.LIMIT, OrderType.STOP]), ticks),
    st.tuples(st.just("wait"), st.sampled_from([1, 4, 11, 61, 901])),
    st.tuples(st.just("wait"), st.sampled_from([3600, 3600, 3600, 6 * 3600, 6 * 3600, 26 * 3600])),
    st.tuples(st.just("wait"), st.sampled_from([3600, 3600, 3600, 6 * 3600, 6 * 3600, 26 * 3600])),
    st.tuples(st.just("allow"), flags),
)


class Books(World):
    """A broker whose balance follows the trades, and a daemon without any rule; every event is kept in `log`."""

    def account_event(self, account: int) -> AccountUpdate:
        booked = sum((trade.pnl or 0) - trade.fees for trade in self.trades[account].values() if not trade.voided)
        return replace(super().account_event(account), balance=50_000_000_000 + booked)

    def take(self, step: tuple[Any, ...]) -> None:
        kind, *rest = step
        if kind == "fill":
            self.fill(ACCOUNT, *rest)
        elif kind == "turn":
            contract, size, moved = rest
            self.fill(ACCOUNT, contract, size)
            self.deliver()
            self.move(contract, moved)
            self.fill(ACCOUNT, contract, -size)
        elif kind == "move":
            self.move(*rest)
        elif kind == "place":
            self.place(ACCOUNT, *rest)
        elif kind == "ride":
            contract, size, moved = rest
            self.fill(ACCOUNT, contract, size)
            self.place(ACCOUNT, contract, -size, OrderType.STOP, -40 if size > 0 else 40)
            self.deliver()
            self.move(contract, moved)
            self.wait(4)
        elif kind == "wait":
            self.wait(rest[0])
        else:
            self.allow(ACCOUNT, rest[0])
        self.deliver()
        self.now += 1000


def story(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> tuple[list[Event], list[Event]]:
    """The events of both parts, as the broker tells them."""
    books = Books(RiskConfig(), accounts=(ACCOUNT,))
    for contract in (MNQ, ES, NQ, RTY):
        books.move(contract, 1)
    for step in before:
        books.take(step)
    length = len(books.log)
    books.now += 10_000
    for step in after:
        books.take(step)
        books.wait(0)
    books.wait(3)
    told = [entry for entry, _ in books.log]
    return told[:length], told[length:]


# --- judging -----------------------------------------------------------------------------------------------------


@dataclass
class Desk:
    """One engine, and what it asks for."""

    engine: Engine
    closed: set[str] = field(default_factory=set)

    def hear(self, told: Event) -> None:
        """Handle an event; which contracts were ever to be closed is kept."""
        self.engine.handle(told)
        self.closed |= {key for key, action in self.asked.items() if isinstance(key, str) and not action.target}

    @property
    def asked(self) -> dict[str | int, Action]:
        return self.engine.account(ACCOUNT).obligations

    @property
    def locks(self) -> list[Lockout]:
        return list(self.engine.account(ACCOUNT).locks.values())

    def left(self, key: str) -> int:
        """Signed contracts that may stay."""
        held = self.engine.account(ACCOUNT).size(key)
        action = self.asked.get(key)
        if action is None:
            return held
        return min(abs(held), action.target) * (1 if held > 0 else -1)

    @property
    def hours(self) -> tuple[bool, ...] | None:
        """What is done outside the trading hours."""
        rule = self.engine.config.rules_for(ACCOUNT).session_block_outside
        if rule is None or not rule.enabled:
            return None
        return rule.close_positions_at_session_end, rule.lockout_outside_session, rule.respect_holidays

    def breached(self, rule_id: str) -> bool:
        states = self.engine.rule_states(ACCOUNT)
        return any(state.rule.rule_id == rule_id and state.verdicts for state in states)


def lived(
    config: RiskConfig, calendar: HolidayCalendar, to: RiskConfig, to_calendar: HolidayCalendar, before: list[Event]
) -> Desk:
    """A desk with the first configuration until the change, and with the second one from there on."""
    engine = Engine(config, calendar)
    for told in before:
        engine.handle(told)
    desk = Desk(engine)
    desk.hear(ConfigChanged(engine.now + 1000, to, to_calendar))
    return desk


def as_strict(lock: Lockout, other: Lockout, names: frozenset[str]) -> bool:
    """Whether `other` forbids what `lock` forbids, at least as long."""
    if other.symbol is not None and other.symbol != lock.symbol and other.symbol not in names:
        return False
    if other.rule_id != lock.rule_id and other.baseline:
        return False
    if other.expires_at is not None and (lock.expires_at is None or other.expires_at < lock.expires_at):
        return False
    return all(
        size * lock.baseline.get(contract, 0) > 0 and abs(size) <= abs(lock.baseline[contract])
        for contract, size in other.baseline.items()
    )


def looser(now: Desk, old: Desk, *, settled: bool) -> Iterator[str]:
    """Where the engine with what applies now asks for less than the one with the old configuration."""
    account = old.engine.account(ACCOUNT)
    for lock in old.locks:
        names = frozenset().union(
            *(found for key in (MNQ, ES, NQ, RTY) if lock.symbol in (found := old.engine.market.names(key)))
        )
        if not any(as_strict(lock, other, names) for other in now.locks):
            yield f"lock {lock}"
    for key, action in old.asked.items():
        if isinstance(key, str):
            if action.rule_id == "RULE-001" and action.target:
                continue
            if abs(now.left(key)) > action.target:
                yield f"position {action}"
        elif action.kind == ActionKind.CANCEL_ORDER:
            # What goes with a position has gone when the position has been closed before, for another reason.
            closed_before = action.rule_id in _WITH_THE_POSITION and action.contract_id in now.closed
            if not closed_before and (key not in now.asked or now.asked[key].kind != ActionKind.CANCEL_ORDER):
                yield f"order {action}"
        elif settled:
            mine = now.asked.get(key)
            order = account.orders[key]
            direction = 1 if order.side == 1 else -1  # a sell stop is tighter the higher it is
            if mine is None or (
                mine.kind == ActionKind.MODIFY_ORDER
                and ((mine.stop_price or 0) - (action.stop_price or 0)) * direction < 0
            ):
                yield f"stop {action} but {mine}"
    limits = old.engine.config.rules_for(ACCOUNT).max_contracts
    if limits is not None and limits.enabled and old.breached("RULE-001"):
        left = [now.left(key) for key in account.positions]
        if counted(left, limits.count_type)[1] > limits.limit and not now.breached("RULE-001"):
            yield f"{left} contracts are left, more than {limits}"


def harsher(now: Desk, old: Desk, new: Desk) -> Iterator[str]:
    """What is taken away now although neither configuration would."""
    for key, action in now.asked.items():
        if action.kind == ActionKind.MODIFY_ORDER or action.rule_id in _LENGTHENED:
            continue
        # What was held at the end of a session may stay: that depends on when it ended, if nothing is closed then.
        if action.rule_id == "RULE-009" and (old.hours != new.hours or old.hours is None or not old.hours[0]):
            continue
        # Which position the limit of the account takes depends on what other rules take.
        breached = action.rule_id == "RULE-001" and (old.breached("RULE-001") or new.breached("RULE-001"))
        if key not in old.asked and key not in new.asked and not breached:
            yield f"{action}"


_WITH_THE_POSITION = {"RULE-004", "RULE-005"}
_LENGTHENED = {"RULE-006", "RULE-017"}
"""Limit and length, as windows and what is done outside, are settings of their own: the stricter of each applies."""


def examine(
    configs: tuple[RiskConfig, RiskConfig],
    calendars: tuple[HolidayCalendar, HolidayCalendar],
    before: list[tuple[Any, ...]],
    after: list[tuple[Any, ...]],
) -> None:
    (a, b), (old_days, new_days) = configs, calendars
    c, days_now = split(a, b)[0], split(old_days, new_days)[0]
    first, rest = story(before, after)
    old = lived(a, old_days, a, old_days, first)
    now = lived(a, old_days, c, days_now, first)
    new = lived(a, old_days, b, new_days, first)
    comparable = (a.reset, a.policy) == (b.reset, b.policy) and old_days.timezone == new_days.timezone
    waited = 0
    for told in [ContractSeen(old.engine.now, old.engine.market.contracts[MNQ]), *rest]:
        waited = told.at - old.engine.now
        for desk in (old, now, new):
            desk.hear(told)
        less = list(looser(now, old, settled=waited > 2 * SECOND_US))
        assert not less, (less, c.rules_for(ACCOUNT))
        if comparable:
            more = list(harsher(now, old, new))
            assert not more, (more, c.rules_for(ACCOUNT))
    event(f"asked: {bool(old.asked)} {bool(now.asked)}")


SLOW = settings(
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    max_examples=60,
)
stories = st.lists(steps, min_size=2, max_size=8), st.lists(steps, min_size=4, max_size=16)


@pytest.mark.parametrize("key", sorted(RULES))
@settings(SLOW, max_examples=40)
@given(data=st.data())
def test_change_when_some_values_of_a_rule_differ_asks_for_no_less_and_for_nothing_of_its_own(
    key: str, data: st.DataObject
) -> None:
    before, after = (data.draw(steps) for steps in stories)
    examine(data.draw(near_pairs(key)), (HolidayCalendar(), HolidayCalendar()), before, after)


@SLOW
@given(pairs(everything=False), st.just((HolidayCalendar(), HolidayCalendar())), *stories)
def test_change_when_rules_differ_in_any_way_asks_for_no_less_and_for_nothing_of_its_own(
    configs: tuple[RiskConfig, RiskConfig],
    calendars: tuple[HolidayCalendar, HolidayCalendar],
    before: list[tuple[Any, ...]],
    after: list[tuple[Any, ...]],
) -> None:
    examine(configs, calendars, before, after)


@SLOW
@given(pairs(everything=True), st.tuples(calendars, calendars), *stories)
def test_change_when_reset_policy_overrides_and_holidays_differ_too_asks_for_no_less(
    configs: tuple[RiskConfig, RiskConfig],
    calendars: tuple[HolidayCalendar, HolidayCalendar],
    before: list[tuple[Any, ...]],
    after: list[tuple[Any, ...]],
) -> None:
    examine(configs, calendars, before, after)
