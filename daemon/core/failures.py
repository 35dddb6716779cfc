"""A rule that raises (law 9): told once a trading day, while all other rules go on."""

from __future__ import annotations

from daemon.core.decisions import Alert, Decision
from daemon.core.rule import RuleState
from daemon.core.state import AccountState


def report(account: AccountState, state: RuleState, error: Exception, now: int, out: list[Decision]) -> None:
    """Alert of a rule that could not be judged for an account, unless that has been told today."""
    if state.failed:
        return
    state.failed = True
    rule = state.rule
    text = f"{rule.rule_id} {rule.key} could not be judged for account {account.account_id}; all other rules go on."
    out.append(Alert(now, account.account_id, text, f"{type(error).__name__}: {error}"))
