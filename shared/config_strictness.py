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
    ResetConfig,
    RulesConfig,
    ScheduledFlatten,
    SessionBlockOutside,
)
from shared.session_windows import flat_minutes, strictest_window

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


def _contracts(old: MaxContracts, new: MaxContracts, _context: Context) -> Tree:
    close_all = old.close_all or new.close_all
    return {"close_all": close_all, "reduce_to_limit": not close_all}


def _at_most(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else min(first, second)


def _per_instrument(old: MaxContractsPerInstrument, new: MaxContractsPerInstrument, _context: Context) -> Tree:
    others = _at_most(old.unknown_limit, new.unknown_limit)
    action = new.unknown_symbol_action if new.unknown_limit == others else old.unknown_symbol_action
    limits: dict[str, int] = {}
    for symbol in dict.fromkeys([*new.limits, *old.limits]):
        limit = _at_most(old.limit_for(symbol), new.limit_for(symbol))
        # A symbol stays unnamed where naming it would change nothing, so that the result is as near to new as can be.
        unnamed = limit == others and (symbol not in new.limits or symbol not in old.limits)
        if limit is not None and (limit == new.limits.get(symbol) or not unnamed):
            limits[symbol] = limit
    return {"limits": limits, "unknown_symbol_action": action}


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
    for symbol in dict.fromkeys([*new.sessions, *old.sessions]):
        before, after = old.sessions.get(symbol), new.sessions.get(symbol)
        sessions[symbol] = strictest_window(before, after) if before and after else before or after
    return InstrumentSessions(enabled=True, sessions=sessions)


def _flatten(old: ScheduledFlatten, new: ScheduledFlatten, context: Context) -> Tree:
    """The longer time of being flat counts, from the time of day to the reset."""
    before, after = flat_minutes(old, context.reset), flat_minutes(new, context.reset)
    longer = old.timezone == new.timezone and all(n >= o for o, n in zip(before, after, strict=True))
    longer = longer and not _locks_all_day(new, context.reset)
    stricter = new if longer else old
    return {"time": stricter.time, "timezone": stricter.timezone}


_STRUCTURES: dict[type[BaseModel], Callable[[Any, Any, Context], Tree]] = {
    MaxContracts: _contracts,
    MaxContractsPerInstrument: _per_instrument,
    CooldownAfterLoss: _loss_steps,
    SessionBlockOutside: _sessions,
    ScheduledFlatten: _flatten,
}
