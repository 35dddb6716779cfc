"""RULE-003: realized loss of the trading day."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import dollars, money_to_micros
from shared.config import DailyRealizedLoss
from shared.models import LockoutKind


class DailyRealizedLossRule(Rule):
    """Breached when the day's realized P&L is at or below the limit; locked until the next reset."""

    rule_id = "RULE-003"
    key = "daily_realized_loss"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES})
    partial = True

    config: DailyRealizedLoss

    def __init__(self, config: DailyRealizedLoss) -> None:
        super().__init__(config)
        self._limit = money_to_micros(config.limit)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        realized = view.realized(account)
        if realized > self._limit:
            return NOTHING
        until = view.day_end
        reason = (
            f"Daily loss {dollars(realized)} reached the limit of {dollars(self._limit)};"
            f" locked until {view.until_text(until)}."
        )
        # The figure is part of the cause: after an admin's clear the same loss does not lock again, one more trade
        # does.
        cause = f"{view.day_end} {realized} {self._limit}"
        return [LockVerdict(LockoutKind.HARD, cause, reason, until)]

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit used."""
        return percent_of(view.realized(account), self._limit)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Realized P&L of the day."""
        realized = view.realized(account)
        return Gauge(dollars(realized), dollars(self._limit), percent_of(realized, self._limit))
