"""The strictest common form of two groups of settings: it forbids all that either of them forbids.

What is stricter is declared beside each setting (`shared.config_fields.setting`); settings that only mean something
together are compared here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shared.config import (
    DAYS,
    CooldownAfterLoss,
    GlobalSession,
    InstrumentSessions,
    MaxContracts,
    MaxContractsPerInstrument,
    ProfitGiveBack,
    ResetConfig,
    RulesConfig,
    ScheduledFlatten,
    SessionBlockOutside,
    SessionWindow,
    SymbolBlocks,
    TradeFrequencyCooldowns,
    TradeFrequencyLimit,
    TradeFrequencyLimits,
    TrailingDrawdown,
    TrailingStop,
)
from shared.session_windows import strictest_flatten, strictest_window
from shared.symbols import exchange_root

Tree = dict[str, Any]


@dataclass(frozen=True)
class Context:
    """What comparing two rules needs to know beside them: the reset that is in force."""

    reset: ResetConfig


def _strictest_fields(old: BaseModel, new: BaseModel, context: Context) -> Tree:
    """The strictest form of two groups of the same kind, as keyword arguments of their model."""
    special = _STRUCTURES.get(type(old))
    found = special(old, new, context) if special else {}
    for name, info in type(old).model_fields.items():
        if name not in found:
            found[name] = _strictest_value(getattr(old, name), getattr(new, name), info, context)
    return found


def _strictest_value(old: Any, new: Any, info: FieldInfo, context: Context) -> Any:
    declared = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    looser = declared.get("looser")
    if looser is None:  # a group of settings that declares nothing itself
        return strictest_group(old, new, context)
    if old == new or looser == "neutral":
        return new
    if looser == "fewer":
        return tuple(sorted({*old, *new}, key=_order_of(old, new)))
    if looser in {"higher", "lower"}:
        if old is None or new is None:
            tightest = declared.get("absent") == "tightest"
            return None if tightest else new if old is None else old
        return min(old, new) if looser == "higher" else max(old, new)
    pairs: Any = declared.get("stricter_than", [])
    return new if [new, old] in pairs else old


def _order_of(old: Sequence[Any], new: Sequence[Any]) -> Callable[[Any], Any]:
    def place(item: Any) -> Any:
        return DAYS.index(item) if {*old, *new} <= set(DAYS) else item

    return place


def _is_on(group: Any) -> bool:
    return group is not None and getattr(group, "enabled", True)


def strictest_group(old: Any, new: Any, context: Context) -> Any:
    """The strictest form of two groups of one model, each of which may be None or switched off.

    It is never looser than ``old``; where ``old`` is off it is ``new`` as it is.
    """
    if not _is_on(old):
        return new
    if not _is_on(new):
        return old
    return type(old)(**_strictest_fields(old, new, context))


def strictest_rules(old: RulesConfig, new: RulesConfig, context: Context) -> RulesConfig:
    """The strictest form of two sets of rules."""
    groups = {key: strictest_group(getattr(old, key), getattr(new, key), context) for key in RulesConfig.model_fields}
    if _locks_all_day(groups["scheduled_flatten"], context.reset):
        groups["scheduled_flatten"] = old.scheduled_flatten  # waits together with the reset it is meant for
    return RulesConfig(**groups)


def _locks_all_day(rule: ScheduledFlatten | None, reset: ResetConfig) -> bool:
    return rule is not None and rule.enabled and rule.falls_on(reset.time, reset.timezone)


# --- settings that only mean something together --------------------------------------------------------------------
#
# Where no setting forbids just what either of two rules forbids, and the rule takes positions away, it stays as it is:
# a position that neither configuration forbids must not be closed by what lies between them.


def _contracts(old: MaxContracts, new: MaxContracts, _context: Context) -> Tree:
    # All contracts together are at least as many as are counted in any other way.
    counts_more = new.count_type in {old.count_type, "gross"}
    stricter = new if counts_more and new.limit <= old.limit and new.close_all >= old.close_all else old
    return {name: getattr(stricter, name) for name in ("count_type", "limit", "close_all", "reduce_to_limit")}


def _at_most(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else min(first, second)


def _per_instrument(old: MaxContractsPerInstrument, new: MaxContractsPerInstrument, _context: Context) -> Tree:
    named = {*old.by_symbol, *new.by_symbol}
    pairs = [(old.limit_for(symbol), new.limit_for(symbol)) for symbol in named]
    pairs.append((old.unknown_limit, new.unknown_limit))
    if old.enforcement == new.enforcement:
        enforcement = old.enforcement
    elif old.enforcement == "close_all":
        return {name: getattr(old, name) for name in ("enforcement", "limits", "unknown_symbol_action")}
    else:
        enforcement = new.enforcement if all(_as_tight(after, before) for before, after in pairs) else old.enforcement
    return {"enforcement": enforcement, **_symbol_limits(old, new)}


def _symbol_limits(old: MaxContractsPerInstrument, new: MaxContractsPerInstrument) -> Tree:
    others = _at_most(old.unknown_limit, new.unknown_limit)
    action = new.unknown_symbol_action if new.unknown_limit == others else old.unknown_symbol_action
    before, after = old.by_symbol, new.by_symbol
    limits: dict[str, int] = {}
    for symbol in dict.fromkeys([*after, *before]):
        limit = _at_most(old.limit_for(symbol), new.limit_for(symbol))
        # A symbol stays unnamed where naming it would change nothing, so that the result is as near to new as can be.
        unnamed = limit == others and (symbol not in after or symbol not in before)
        if limit is None or (limit != after.get(symbol) and unnamed):
            continue
        named = new if symbol in after else old
        for name, written in named.limits.items():
            if exchange_root(name) == symbol:
                limits[name] = written if named.by_symbol[symbol] == limit else limit
    return {"limits": limits, "unknown_symbol_action": action}


def _entries(old: TradeFrequencyLimit, new: TradeFrequencyLimit, _context: Context) -> Tree:
    """The length of a cooldown counts for a window that has a limit, and for no other."""
    limits: Tree = {}
    cooldowns: Tree = {}
    for window in TradeFrequencyLimits.model_fields:
        before, after = getattr(old.limits, window), getattr(new.limits, window)
        breach = f"{window}_breach"
        lengths = getattr(old.cooldown_on_breach, breach), getattr(new.cooldown_on_breach, breach)
        limits[window] = _at_most(before, after)
        cooldowns[breach] = lengths[1] if before is None else lengths[0] if after is None else max(lengths)
    return {"limits": TradeFrequencyLimits(**limits), "cooldown_on_breach": TradeFrequencyCooldowns(**cooldowns)}


def _loss_steps(old: CooldownAfterLoss, new: CooldownAfterLoss, _context: Context) -> Tree:
    amounts = {step.loss_amount for rule in (old, new) for step in rule.loss_thresholds}
    steps: dict[Decimal, int] = {amount: max(old.duration_for(amount), new.duration_for(amount)) for amount in amounts}
    if all(new.duration_for(amount) == duration for amount, duration in steps.items()):
        return {"loss_thresholds": new.loss_thresholds}
    if all(old.duration_for(amount) == duration for amount, duration in steps.items()):
        return {"loss_thresholds": old.loss_thresholds}
    ordered = sorted(steps.items(), reverse=True)
    return {
        "loss_thresholds": tuple({"loss_amount": amount, "cooldown_duration": duration} for amount, duration in ordered)
    }


def _sessions(old: SessionBlockOutside, new: SessionBlockOutside, _context: Context) -> Tree:
    account: GlobalSession | None
    if not _is_on(old.global_session):
        account = new.global_session
    elif not _is_on(new.global_session):
        account = old.global_session
    else:
        assert old.global_session is not None
        assert new.global_session is not None
        account = GlobalSession(enabled=True, **strictest_window(old.global_session, new.global_session))
    return {
        "global_session": account,
        "per_instrument_sessions": _symbol_sessions(old.per_instrument_sessions, new.per_instrument_sessions),
    }


def _symbol_sessions(old: InstrumentSessions | None, new: InstrumentSessions | None) -> InstrumentSessions | None:
    if old is None or not old.enabled:
        return new
    if new is None or not new.enabled:
        return old
    sessions: dict[str, Any] = {}
    for symbol in dict.fromkeys(exchange_root(name) for name in (*new.sessions, *old.sessions)):
        before, after = _windows_of(old, symbol), _windows_of(new, symbol)
        if len(before) == len(after) == 1:
            (name, window), (earlier,) = next(iter(after.items())), before.values()
            sessions[name] = strictest_window(earlier, window)
        else:  # all windows of an instrument must allow, under whatever names
            both = {name: strictest_window(before[name], after[name]) for name in before.keys() & after.keys()}
            sessions |= {**after, **before, **both}
    return InstrumentSessions(enabled=True, sessions=sessions)


def _windows_of(group: InstrumentSessions, symbol: str) -> dict[str, SessionWindow]:
    return {name: window for name, window in group.sessions.items() if exchange_root(name) == symbol}


def _blocked(old: SymbolBlocks, new: SymbolBlocks, _context: Context) -> Tree:
    known = {exchange_root(name) for name in new.blocked_symbols}
    added = [name for name in old.blocked_symbols if exchange_root(name) not in known]
    return {"blocked_symbols": (*new.blocked_symbols, *added)}


def _as_tight(new: Decimal | int | None, old: Decimal | int | None) -> bool:
    """Whether one limit is reached no later than another; None is never reached."""
    return old is None or (new is not None and new <= old)


def _give_back(old: ProfitGiveBack, new: ProfitGiveBack, _context: Context) -> Tree:
    if new.min_peak > old.min_peak:
        return {"amount": old.amount, "percent": old.percent, "min_peak": old.min_peak}
    if _as_tight(new.amount, old.amount) and _as_tight(new.percent, old.percent):
        return {"amount": new.amount, "percent": new.percent, "min_peak": new.min_peak}
    both = {name: [v for v in (getattr(old, name), getattr(new, name)) if v is not None] for name in _GIVE_BACK}
    return {name: min(values) if values else None for name, values in both.items()} | {"min_peak": old.min_peak}


_GIVE_BACK = ("amount", "percent")


def _drawdown(old: TrailingDrawdown, new: TrailingDrawdown, _context: Context) -> Tree:
    """The floor is made of all four: another highest, or a stop of the floor, may weigh more than the distance."""
    same = (old.mode, old.start_balance) == (new.mode, new.start_balance)
    raised = new.lock_at is None or (old.lock_at is not None and new.lock_at >= old.lock_at)
    stricter = new if same and raised and new.amount <= old.amount else old
    return {name: getattr(stricter, name) for name in ("amount", "mode", "start_balance", "lock_at")}


def _trailing(old: TrailingStop, new: TrailingStop, _context: Context) -> Tree:
    tighter = new.activation_ticks <= old.activation_ticks and new.trail_distance_ticks <= old.trail_distance_ticks
    stricter = new if tighter else old
    return {"activation_ticks": stricter.activation_ticks, "trail_distance_ticks": stricter.trail_distance_ticks}


def _flatten(old: ScheduledFlatten, new: ScheduledFlatten, context: Context) -> Tree:
    if _locks_all_day(new, context.reset):
        return {"time": old.time, "timezone": old.timezone, "days": old.days}
    return strictest_flatten(old, new, context.reset)


_STRUCTURES: dict[type[BaseModel], Callable[[Any, Any, Context], Tree]] = {
    MaxContracts: _contracts,
    MaxContractsPerInstrument: _per_instrument,
    TradeFrequencyLimit: _entries,
    CooldownAfterLoss: _loss_steps,
    SessionBlockOutside: _sessions,
    SymbolBlocks: _blocked,
    TrailingStop: _trailing,
    ProfitGiveBack: _give_back,
    TrailingDrawdown: _drawdown,
    ScheduledFlatten: _flatten,
}
