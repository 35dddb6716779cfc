"""RULE-019: adding to a losing position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daemon.core.rule import NOTHING, Gauge, Reduce, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState, Position
from shared.config import LosingPositionAdds

_MEMORY = "adds"


@dataclass(slots=True)
class _Followed:
    """A position as last judged. `allowed`: contracts that may stay; `adds`: how often it was enlarged while losing."""

    direction: int
    size: int
    average: int
    allowed: int
    adds: int = 0


class LosingPositionAddsRule(Rule):
    """Breached by an increase of a losing position beyond the allowed number; the increase is taken back.

    A position loses when the price at which it could be closed is worse than its average before the increase.
    """

    rule_id = "RULE-019"
    key = "losing_position_adds"
    triggers = frozenset({Trigger.POSITIONS})
    needs = frozenset({Trigger.POSITIONS})

    config: LosingPositionAdds

    def __init__(self, config: LosingPositionAdds) -> None:
        super().__init__(config)
        self._followed: dict[str, _Followed] = {}
        self._recalled = False

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if not self._recalled:
            self._recall(account)
        if not account.positions and not self._followed:
            return NOTHING
        for gone in [known for known in self._followed if known not in account.positions]:
            del self._followed[gone]
        verdicts: list[Verdict] = []
        for position in account.positions.values():
            followed = self._follow(position, view)
            size = abs(position.size)
            if size > followed.allowed:
                symbol = view.market.symbol(position.contract_id)
                reason = (
                    f"{symbol} was losing and enlarged {followed.adds} times, {self.config.max_adds} are allowed;"
                    f" the increase to {size} is taken back."
                )
                verdicts.append(Reduce(position.contract_id, followed.allowed, reason))
        self._keep(account)
        return verdicts

    def _follow(self, position: Position, view: View) -> _Followed:
        direction, size = (1 if position.size > 0 else -1), abs(position.size)
        known = self._followed.get(position.contract_id)
        if known is None or known.direction != direction:
            known = _Followed(direction, size, position.average_price, size)
            self._followed[position.contract_id] = known
            return known
        if size > known.size:
            losing = self._was_losing(known, position, view)
            if losing:
                known.adds += 1
            if not losing or known.adds <= self.config.max_adds:
                known.allowed = size
        else:
            known.allowed = min(known.allowed, size)
        known.size, known.average = size, position.average_price
        return known

    @staticmethod
    def _was_losing(known: _Followed, position: Position, view: View) -> bool:
        """By the price, or, without one, by what was paid for the increase."""
        price = view.market.exit_price(position.contract_id, position.size)
        if price is None:
            return (position.average_price - known.average) * known.direction < 0
        return (price - known.average) * known.direction < 0

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the adds that would be one too many, of the position with the most."""
        return percent_of(max((known.adds for known in self._followed.values()), default=0), self.config.max_adds + 1)

    def _recall(self, account: AccountState) -> None:
        self._recalled = True
        for contract_id, values in account.memory.get(_MEMORY, {}).items():
            if isinstance(values, list) and len(values) == 5 and all(isinstance(value, int) for value in values):
                self._followed[contract_id] = _Followed(*values)

    def _keep(self, account: AccountState) -> None:
        values: dict[str, object] = {
            contract_id: [known.direction, known.size, known.average, known.allowed, known.adds]
            for contract_id, known in self._followed.items()
        }
        if values or _MEMORY in account.memory:
            account.remember(_MEMORY, values)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Adds to the position with the most."""
        worst = max(self._followed.items(), key=lambda item: item[1].adds, default=None)
        limit = f"{self.config.max_adds} adds"
        if worst is None:
            return Gauge("0", limit, 0)
        contract_id, known = worst
        share = percent_of(known.adds, self.config.max_adds + 1)
        return Gauge(f"{known.adds}", limit, min(share, 100), view.market.symbol(contract_id))
