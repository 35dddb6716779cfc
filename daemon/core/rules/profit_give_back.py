"""RULE-015: realized profit of the day given back."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import dollars, money_to_micros
from shared.config import ProfitGiveBack
from shared.models import LockoutKind


class ProfitGiveBackRule(Rule):
    """Breached when the day's realized P&L has fallen from its peak by the amount or the share; locked to the reset."""

    rule_id = "RULE-015"
    key = "profit_give_back"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES})

    config: ProfitGiveBack

    def __init__(self, config: ProfitGiveBack) -> None:
        super().__init__(config)
        self._amount = None if config.amount is None else money_to_micros(config.amount)
        self._percent = None if config.percent is None else money_to_micros(config.percent)
        self._min_peak = money_to_micros(config.min_peak)

    def _allowed(self, peak: int) -> int:
        """How much may be given back from that peak: micro-dollars, rounded up to the next whole one."""
        limits = []
        if self._amount is not None:
            limits.append(self._amount)
        if self._percent is not None:
            limits.append(-(-peak * self._percent // 100_000_000))
        return min(limits)

    def _figures(self, account: AccountState, view: View) -> tuple[int, int, int]:
        peak = account.ledger.peak(net=view.net)
        return peak, peak - view.realized(account), self._allowed(peak)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        peak, given, allowed = self._figures(account, view)
        if peak < self._min_peak or peak <= 0 or given < allowed:
            return NOTHING
        reason = (
            f"The day's profit fell by {dollars(given)} from its peak of {dollars(peak)}, at most {dollars(allowed)}"
            f" may be given back; locked until {view.until_text(view.day_end)}."
        )
        cause = f"{view.day_end} {peak} {given} {allowed}"
        return [LockVerdict(LockoutKind.HARD, cause, reason, view.day_end)]

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of what may be given back."""
        peak, given, allowed = self._figures(account, view)
        if peak < self._min_peak or peak <= 0:
            return 0
        return percent_of(given, allowed)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """What was given back of the peak."""
        peak, given, allowed = self._figures(account, view)
        if peak < self._min_peak or peak <= 0:
            return Gauge(dollars(0), f"watched from a peak of {dollars(self._min_peak)}", 0)
        return Gauge(dollars(given), dollars(allowed), percent_of(given, allowed), f"peak {dollars(peak)}")
