"""RULE-002: contracts held in one symbol."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import Flatten, Gauge, Reduce, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState, Market
from shared.config import MaxContractsPerInstrument

_BREACHED = 101


class MaxContractsPerInstrumentRule(Rule):
    """Breached when the contracts of a symbol, over all its expiries, are more than its limit."""

    rule_id = "RULE-002"
    key = "max_contracts_per_instrument"
    triggers = frozenset({Trigger.POSITIONS})

    config: MaxContractsPerInstrument

    def __init__(self, config: MaxContractsPerInstrument) -> None:
        super().__init__(config)
        self._known: dict[str, tuple[frozenset[str], str, int | None]] = {}
        self._percent: int | None = None

    def _limit(self, contract_id: str, market: Market) -> tuple[frozenset[str], str, int | None]:
        """Names and symbol of a contract, and the least of the limits under any of its names."""
        names, known = market.names(contract_id), self._known.get(contract_id)
        if known is None or known[0] is not names:
            named = [self.config.limits[name] for name in names if name in self.config.limits]
            limit = min(named) if named else self.config.unknown_limit
            known = self._known[contract_id] = (names, market.symbol(contract_id), limit)
        return known

    def _figures(self, account: AccountState, market: Market) -> dict[str, tuple[int, int]]:
        """Contracts held and allowed of every symbol that has a limit."""
        figures: dict[str, tuple[int, int]] = {}
        for contract_id, position in account.positions.items():
            _, symbol, limit = self._limit(contract_id, market)
            if limit is not None:
                before = figures.get(symbol)
                figures[symbol] = (abs(position.size) + (before[0] if before is not None else 0), limit)
        return figures

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        verdicts: list[Verdict] = []
        percent = -1
        for symbol, (held, limit) in self._figures(account, view.market).items():
            excess = held - limit
            if excess <= 0:
                percent = max(percent, percent_of(held, limit))
                continue
            percent = _BREACHED
            positions, market = account.positions, view.market
            contract_ids = [contract_id for contract_id in positions if market.symbol(contract_id) == symbol]
            reason = f"{held} {symbol} are more than the limit of {limit}"
            if limit == 0:
                reason = f"{symbol} may not be held: it has no limit above 0"
            newest_first = sorted(contract_ids, key=lambda held_id: positions[held_id].increase_rank, reverse=True)
            for contract_id in newest_first:
                if self.config.enforcement == "close_all":
                    verdicts.append(Flatten(contract_id, f"{reason}; the whole position is closed."))
                    continue
                size = abs(positions[contract_id].size)
                taken = min(excess, size)
                if taken:
                    verdicts.append(Reduce(contract_id, size - taken, f"{reason}; reduced to the limit."))
                    excess -= taken
        # A full limit is not yet a breach.
        self._percent = None if percent < 0 else 100 if percent == _BREACHED else min(99, percent)
        return verdicts

    @staticmethod
    def _worst(figures: dict[str, tuple[int, int]]) -> tuple[int, int, str] | None:
        """Held, limit and symbol of the symbol nearest to its limit."""
        worst, most = None, -1
        for symbol, (held, limit) in figures.items():
            share = percent_of(held, limit)
            if share > most:
                worst, most = (held, limit, symbol), share
        return worst

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit, in the symbol nearest to its own."""
        return self._percent

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Contracts held and allowed in the symbol nearest to its limit."""
        worst = self._worst(self._figures(account, view.market))
        if worst is None:
            limits = ", ".join(f"{symbol} {limit}" for symbol, limit in self.config.limits.items())
            return Gauge("0", limits or self.config.unknown_symbol_action, 0)
        held, limit, symbol = worst
        return Gauge(f"{held}", f"{limit}", percent_of(held, limit), symbol)
