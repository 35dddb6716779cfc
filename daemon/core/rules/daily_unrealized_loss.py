"""RULE-004: open loss of one position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.core.rule import NO_WATCH, Flatten, Gauge, Rule, Trigger, Verdict, View, Watch, percent_of, share_of
from daemon.core.state import AccountState, Position
from daemon.core.units import dollars, money_to_micros
from shared.config import DailyUnrealizedLoss


class DailyUnrealizedLossRule(Rule):
    """Breached when one position's unrealized P&L is at or below the limit; that position alone is closed."""

    rule_id = "RULE-004"
    key = "daily_unrealized_loss"
    triggers = frozenset({Trigger.QUOTES, Trigger.POSITIONS})

    config: DailyUnrealizedLoss

    def __init__(self, config: DailyUnrealizedLoss) -> None:
        super().__init__(config)
        self._limit = money_to_micros(config.limit)
        self._percent: int | None = None

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        verdicts: list[Verdict] = []
        worst = None
        for contract_id, (amount, scale) in view.open_pnl_here(account):
            if amount > self._limit * scale:
                rounded = -(-amount // scale)
                if (worst is None or rounded < worst) and contract_id not in account.latches:
                    worst = rounded
            else:
                symbol = view.market.symbol(contract_id)
                reason = (
                    f"Open loss {dollars(amount // scale)} in {symbol} reached the limit of"
                    f" {dollars(self._limit)}; the position is closed."
                )
                verdicts.append(Flatten(contract_id, reason, cancel_orders=True))
        self._percent = None if worst is None else percent_of(worst, self._limit)
        return verdicts

    def watch(self, account: AccountState, position: Position, view: View, level: int) -> Watch:
        """See `Rule.watch`."""
        latch = account.latches.get(position.contract_id)
        if latch is not None and latch.cancel_orders:
            return NO_WATCH
        return Watch(loss_at=share_of(self._limit, level))

    @staticmethod
    def _worst(account: AccountState, each: Iterable[tuple[str, tuple[int, int]]]) -> tuple[int, str] | None:
        """P&L rounded up, of the positions that are not being closed already."""
        worst = None
        for contract_id, (amount, scale) in each:
            rounded = -(-amount // scale)
            if (worst is None or rounded < worst[0]) and contract_id not in account.latches:
                worst = (rounded, contract_id)
        return worst

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit of the worst position that is not being closed."""
        return self._percent

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """The worst position."""
        worst = self._worst(account, view.open_pnl(account).items())
        if worst is None:
            return Gauge(dollars(0), dollars(self._limit), 0)
        return Gauge(
            dollars(worst[0]), dollars(self._limit), percent_of(worst[0], self._limit), view.market.symbol(worst[1])
        )
