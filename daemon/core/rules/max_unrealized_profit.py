"""RULE-005: open profit of one position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from daemon.core.rule import NO_WATCH, Flatten, Gauge, Rule, Trigger, Verdict, View, Watch, percent_of, share_of
from daemon.core.state import AccountState, Position
from daemon.core.units import dollars, money_to_micros
from shared.config import MaxUnrealizedProfit


class MaxUnrealizedProfitRule(Rule):
    """Breached when one position's unrealized P&L is at or above the target; that position alone is closed."""

    rule_id = "RULE-005"
    key = "max_unrealized_profit"
    triggers = frozenset({Trigger.QUOTES, Trigger.POSITIONS})

    config: MaxUnrealizedProfit

    def __init__(self, config: MaxUnrealizedProfit) -> None:
        super().__init__(config)
        self._target = money_to_micros(config.target)
        self._percent: int | None = None

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        verdicts: list[Verdict] = []
        best = None
        for contract_id, (amount, scale) in view.open_pnl_here(account):
            if amount < self._target * scale:
                rounded = amount // scale
                if (best is None or rounded > best) and contract_id not in account.latches:
                    best = rounded
            else:
                symbol = view.market.symbol(contract_id)
                reason = (
                    f"Open profit {dollars(amount // scale)} in {symbol} reached the target of"
                    f" {dollars(self._target)}; the position is closed."
                )
                verdicts.append(Flatten(contract_id, reason, cancel_orders=True))
        self._percent = None if best is None else percent_of(best, self._target)
        return verdicts

    def watch(self, account: AccountState, position: Position, view: View, level: int) -> Watch:
        """See `Rule.watch`."""
        latch = account.latches.get(position.contract_id)
        if latch is not None and latch.cancel_orders:
            return NO_WATCH
        return Watch(gain_at=share_of(self._target, level))

    @staticmethod
    def _best(account: AccountState, each: Iterable[tuple[str, tuple[int, int]]]) -> tuple[int, str] | None:
        """P&L rounded down, of the positions that are not being closed already."""
        best = None
        for contract_id, (amount, scale) in each:
            rounded = amount // scale
            if (best is None or rounded > best[0]) and contract_id not in account.latches:
                best = (rounded, contract_id)
        return best

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the target of the best position that is not being closed."""
        return self._percent

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """The best position."""
        best = self._best(account, view.open_pnl(account).items())
        if best is None:
            return Gauge(dollars(0), dollars(self._target), 0)
        return Gauge(
            dollars(best[0]), dollars(self._target), percent_of(best[0], self._target), view.market.symbol(best[1])
        )
