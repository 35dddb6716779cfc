"""Warnings on the way to a limit: at 50, 75 and 90 percent, once per level, rule, account and trading day."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.core.decisions import Decision, Warn
from daemon.core.rule import WARNING_LEVELS, RuleState, View
from daemon.core.state import AccountState
from shared.models import RULE_BY_ID


def warn(account: AccountState, state: RuleState, percent: int, view: View, out: list[Decision]) -> None:
    """Warn of the highest level reached, if that is news; a breach is no warning, nor what follows it."""
    if percent >= 100 or any(lockout.rule_id == state.rule.rule_id for lockout in account.locks.values()):
        return
    level = next(level for level in WARNING_LEVELS if percent >= level)
    if level in state.warned:
        return
    state.warned.update(lower for lower in WARNING_LEVELS if lower <= level)
    account.remember(f"warned {state.rule.rule_id}", {"day": view.days.name(view.now), "levels": sorted(state.warned)})
    gauge = state.rule.gauge(account, view)
    title = RULE_BY_ID[state.rule.rule_id].title
    figures = f": {gauge.value} of {gauge.limit}" if gauge is not None else ""
    about = f" ({gauge.worst})" if gauge is not None and gauge.worst else ""
    share = gauge.percent if gauge is not None and gauge.percent is not None else percent
    text = f"{title} at {share} % of the limit{figures}{about}."
    out.append(Warn(view.now, account.account_id, state.rule.rule_id, level, text))


def recall(account: AccountState, rules: Iterable[RuleState], view: View) -> None:
    """Take the levels told today from the account's memory."""
    today = view.days.name(view.now)
    for state in rules:
        kept = account.memory.get(f"warned {state.rule.rule_id}")
        levels = kept.get("levels") if kept and kept.get("day") == today else None
        if isinstance(levels, list):
            state.warned = {level for level in levels if isinstance(level, int)}
