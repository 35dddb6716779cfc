"""RULE-007: cooldown after a losing exit."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.local_time import duration_text
from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US, dollars, money_to_micros
from shared.config import CooldownAfterLoss
from shared.models import LockoutKind

FRESH_US = 5 * SECOND_US
"""A cooldown counts from now when its loss is at most this old, else (found at start) from the loss's own time."""


class CooldownAfterLossRule(Rule):
    """Breached when the fills of one closing order add up to a loss at or below a threshold; everything is closed.

    The worst threshold reached counts, and a later fill of the same order that reaches a worse one lengthens the
    cooldown.
    """

    rule_id = "RULE-007"
    key = "cooldown_after_loss"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES})
    partial = True

    config: CooldownAfterLoss

    def __init__(self, config: CooldownAfterLoss) -> None:
        super().__init__(config)
        self._steps = sorted(
            (money_to_micros(step.loss_amount), step.cooldown_duration) for step in config.loss_thresholds
        )
        self._log: list[int] = []
        self._read = 0
        self._longest = max(duration for _, duration in self._steps) * SECOND_US

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        log = account.ledger.closing_log
        if log is not self._log:
            self._log, self._read = log, 0
        if self._read == len(log):
            return NOTHING
        verdicts: list[Verdict] = []
        changed = dict.fromkeys(log[self._read :])
        self._read = len(log)
        for order_id in changed:
            closing = account.ledger.closings[order_id]
            if closing.last_at <= view.now - self._longest:
                continue
            loss = closing.net if view.net else closing.gross
            for threshold, duration in self._steps:  # worst first
                if loss <= threshold:
                    started = view.now if view.now - closing.last_at <= FRESH_US else closing.last_at
                    until = started + duration * SECOND_US
                    reason = (
                        f"Loss of {dollars(loss)} on one exit reached {dollars(threshold)};"
                        f" everything is closed for {duration_text(duration)}, until {view.until_text(until)}."
                    )
                    cause = f"order {closing.order_id} at {threshold}"
                    verdicts.append(LockVerdict(LockoutKind.COOLDOWN, cause, reason, until, at=started))
                    break
        return verdicts

    def _last_loss(self, account: AccountState, view: View) -> int:
        last = account.ledger.last_closing()
        if last is None:
            return 0
        return min(0, last.net if view.net else last.gross)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Loss of the last closing order against the first threshold."""
        loss, first = self._last_loss(account, view), self._steps[-1][0]
        return Gauge(dollars(loss), dollars(first), percent_of(loss, first), "last exit")

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the first threshold."""
        return percent_of(self._last_loss(account, view), self._steps[-1][0])
