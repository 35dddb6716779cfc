"""RULE-017: losing exits in a row."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.local_time import duration_text
from daemon.core.lockouts import held_baseline
from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US
from shared.config import ConsecutiveLosses
from shared.models import LockoutKind

FRESH_US = 5 * SECOND_US
"""A cooldown counts from now when its loss is at most this old, else (found at start) from the loss's own time."""


class ConsecutiveLossesRule(Rule):
    """Breached by the loss that makes so many in a row, and by each further one; a cooldown follows, nothing is closed.

    The fills of one closing order are one exit; one that does not lose ends the row.
    """

    rule_id = "RULE-017"
    key = "consecutive_losses"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES, Trigger.POSITIONS})

    config: ConsecutiveLosses

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        streak = account.ledger.losing_streak(net=view.net, at_most=self.config.limit)
        if len(streak) < self.config.limit:
            return NOTHING
        last = streak[0]
        started = view.now if view.now - last.last_at <= FRESH_US else last.last_at
        until = started + self.config.cooldown_duration * SECOND_US
        reason = (
            f"{self.config.limit} losing exits in a row reached the limit; no new exposure for"
            f" {duration_text(self.config.cooldown_duration)}, until {view.until_text(until)}."
        )
        cause = f"order {last.order_id}"
        baseline = held_baseline(account, view.now)
        return [LockVerdict(LockoutKind.COOLDOWN, cause, reason, until, baseline=baseline, at=started)]

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit used."""
        streak = account.ledger.losing_streak(net=view.net, at_most=self.config.limit)
        return percent_of(len(streak), self.config.limit)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Losing exits in a row."""
        count = len(account.ledger.losing_streak(net=view.net))
        return Gauge(f"{count}", f"{self.config.limit} in a row", percent_of(count, self.config.limit))
