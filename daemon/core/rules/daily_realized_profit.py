"""RULE-013: realized profit of the trading day."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import dollars, money_to_micros
from shared.config import DailyRealizedProfit
from shared.models import LockoutKind


class DailyRealizedProfitRule(Rule):
    """Breached when the day's realized P&L is at or above the target; locked until the next reset."""

    rule_id = "RULE-013"
    key = "daily_realized_profit"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES})

    config: DailyRealizedProfit

    def __init__(self, config: DailyRealizedProfit) -> None:
        super().__init__(config)
        self._target = money_to_micros(config.target)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        realized = view.realized(account)
        if realized < self._target:
            return NOTHING
        until = view.day_end
        reason = (
            f"Daily profit {dollars(realized)} reached the target of {dollars(self._target)};"
            f" locked until {view.until_text(until)}."
        )
        cause = f"{view.day_end} {realized} {self._target}"
        return [LockVerdict(LockoutKind.HARD, cause, reason, until)]

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the target reached."""
        return percent_of(view.realized(account), self._target)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Realized P&L of the day."""
        realized = view.realized(account)
        return Gauge(dollars(realized), dollars(self._target), percent_of(realized, self._target))
