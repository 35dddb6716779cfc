"""RULE-016: realized loss of the trading week."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import dollars, money_to_micros
from shared.config import WeeklyLoss
from shared.models import LockoutKind


class WeeklyLossRule(Rule):
    """Breached when the realized P&L since last Friday's reset is at or below the limit; locked to the next one."""

    rule_id = "RULE-016"
    key = "weekly_loss"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES})
    partial = True

    config: WeeklyLoss

    def __init__(self, config: WeeklyLoss) -> None:
        super().__init__(config)
        self._limit = money_to_micros(config.limit)

    @staticmethod
    def _realized(account: AccountState, view: View) -> int:
        earlier = account.ledger.earlier_realized(view.days.week_start(view.now), net=view.net)
        return earlier + view.realized(account)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        realized = self._realized(account, view)
        if realized > self._limit:
            return NOTHING
        until = view.days.week_end(view.now)
        reason = (
            f"Weekly loss {dollars(realized)} reached the limit of {dollars(self._limit)};"
            f" locked until {view.until_text(until)}."
        )
        return [LockVerdict(LockoutKind.HARD, f"{until} {realized} {self._limit}", reason, until)]

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit used."""
        return percent_of(self._realized(account, view), self._limit)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Realized P&L of the week."""
        realized = self._realized(account, view)
        return Gauge(dollars(realized), dollars(self._limit), percent_of(realized, self._limit))
