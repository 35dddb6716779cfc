"""RULE-001: contracts held in the whole account."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.obligations import counted
from daemon.core.rule import NOTHING, Flatten, Gauge, LimitTotal, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from shared.config import MaxContracts


class MaxContractsRule(Rule):
    """Breached when the count is above the limit; reduced to it, last increased position first, or all closed."""

    rule_id = "RULE-001"
    key = "max_contracts"
    triggers = frozenset({Trigger.POSITIONS})

    config: MaxContracts

    def __init__(self, config: MaxContracts) -> None:
        super().__init__(config)
        self._percent = 0

    def _count(self, account: AccountState) -> int:
        sizes = [position.size for position in account.positions.values()]
        return counted(sizes, self.config.count_type)[1]

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        count, limit = self._count(account), self.config.limit
        if count <= limit:
            self._percent = min(99, percent_of(count, limit)) if count > 0 else 0  # a full limit is not yet a breach
            return NOTHING
        self._percent = 100
        reason = f"{count} contracts ({self.config.count_type}) are more than the limit of {limit}"
        if self.config.close_all:
            return [Flatten(contract_id, f"{reason}; everything is closed.") for contract_id in account.positions]
        return [LimitTotal(limit, self.config.count_type, f"{reason}; reduced to the limit.")]

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit."""
        return self._percent

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Contracts held of contracts allowed."""
        count = self._count(account)
        return Gauge(f"{count}", f"{self.config.limit} {self.config.count_type}", percent_of(count, self.config.limit))
