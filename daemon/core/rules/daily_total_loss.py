"""RULE-014: realized and open loss of the trading day together."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.closings import given_up_at, in_flight
from daemon.core.rule import (
    NOTHING,
    Gauge,
    LockVerdict,
    Rule,
    Trigger,
    Verdict,
    View,
    Watch,
    percent_of,
    share_of,
)
from daemon.core.state import AccountState
from daemon.core.units import dollars, money_to_micros
from shared.config import DailyTotalLoss
from shared.models import LockoutKind


class DailyTotalLossRule(Rule):
    """Breached when realized plus unrealized P&L is at or below the limit; locked until the next reset.

    An exit whose fill and position come apart counts once, see `daemon.core.closings`.
    """

    rule_id = "RULE-014"
    key = "daily_total_loss"
    triggers = frozenset({Trigger.QUOTES, Trigger.POSITIONS, Trigger.TRADES, Trigger.TIMER})
    needs = frozenset({Trigger.POSITIONS, Trigger.TRADES})
    partial = True
    sums = True

    config: DailyTotalLoss

    def __init__(self, config: DailyTotalLoss) -> None:
        super().__init__(config)
        self._limit = money_to_micros(config.limit)
        self._in_flight = 0
        self._percent = 0

    def _total(self, account: AccountState, view: View) -> tuple[int, int]:
        """Total P&L as a fraction of micro-dollars."""
        amount, scale = view.total_open_pnl(account)
        return amount + (view.realized(account) + self._in_flight) * scale, scale

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        self._in_flight = in_flight(account, view)
        amount, scale = self._total(account, view)
        self._percent = percent_of(-(-amount // scale), self._limit)
        if amount > self._limit * scale:
            return NOTHING
        total = amount // scale
        realized = view.realized(account)
        reason = (
            f"Total loss of the day {dollars(total)} (realized {dollars(realized)}) reached the limit of"
            f" {dollars(self._limit)}; locked until {view.until_text(view.day_end)}."
        )
        cause = f"{view.day_end} {realized} {self._limit} {sorted(account.positions)}"
        return [LockVerdict(LockoutKind.HARD, cause, reason, view.day_end)]

    def watch_total(self, account: AccountState, view: View, level: int) -> Watch:
        """See `Rule.watch_total`."""
        amount, scale = self._total(account, view)
        stop = share_of(self._limit, level)
        if amount <= stop * scale:
            stop = self._limit  # that level has been passed without a warning: the breach is next
        return Watch(loss_at=stop - view.realized(account) - self._in_flight)

    def next_due(self, account: AccountState, view: View) -> int | None:
        """When what is in flight is given up."""
        return given_up_at(account)

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit used."""
        return self._percent

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Realized plus unrealized P&L."""
        amount, scale = self._total(account, view)
        return Gauge(dollars(amount // scale), dollars(self._limit), percent_of(amount // scale, self._limit))
