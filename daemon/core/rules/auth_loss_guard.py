"""RULE-010: the gateway says that the account may not trade."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View
from daemon.core.state import AccountState
from shared.config import AuthLossGuard
from shared.models import LockoutKind


class AuthLossGuardRule(Rule):
    """Breached while canTrade is false. The engine ends the lockout when it is true, though the rule be off."""

    rule_id = "RULE-010"
    key = "auth_loss_guard"
    triggers = frozenset({Trigger.ACCOUNT})

    config: AuthLossGuard

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if account.can_trade or not account.known:
            return NOTHING
        if any(lockout.rule_id == self.rule_id for lockout in account.locks.values()):
            return NOTHING
        reason = "The gateway does not allow this account to trade; everything is closed until it does."
        return [LockVerdict(LockoutKind.API, f"since {view.now}", reason, None)]

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """What the gateway says."""
        return Gauge("allowed" if account.can_trade else "not allowed", "allowed", None)
