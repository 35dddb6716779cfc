"""RULE-002: contracts held in one symbol."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Flatten, Gauge, Reduce, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState, Market
from shared.config import MaxContractsPerInstrument


class MaxContractsPerInstrumentRule(Rule):
    """Breached when the contracts of a symbol, over all its expiries, are more than its limit."""

    rule_id = "RULE-002"
    key = "max_contracts_per_instrument"
    triggers = frozenset({Trigger.POSITIONS})

    config: MaxContractsPerInstrument

    def _limit(self, contract_id: str, market: Market) -> int | None:
        """The least of the limits under any name of the contract."""
        named = [self.config.limits[name] for name in market.names(contract_id) if name in self.config.limits]
        return min(named) if named else self.config.unknown_limit

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        positions = account.positions
        if not positions:
            return NOTHING
        market = view.market
        by_symbol: dict[str, list[str]] = {}
        for contract_id in positions:
            by_symbol.setdefault(market.symbol(contract_id), []).append(contract_id)
        verdicts: list[Verdict] = []
        for symbol, contract_ids in by_symbol.items():
            limit = self._limit(contract_ids[0], market)
            if limit is None:
                continue
            held = sum(abs(positions[contract_id].size) for contract_id in contract_ids)
            excess = held - limit
            if excess <= 0:
                continue
            reason = f"{held} {symbol} are more than the limit of {limit}"
            if limit == 0:
                reason = f"{symbol} may not be held: it has no limit above 0"
            newest_first = sorted(contract_ids, key=lambda held_id: -positions[held_id].increase_sequence)
            for contract_id in newest_first:
                if self.config.enforcement == "close_all":
                    verdicts.append(Flatten(contract_id, f"{reason}; the whole position is closed."))
                    continue
                size = abs(positions[contract_id].size)
                taken = min(excess, size)
                if taken:
                    verdicts.append(Reduce(contract_id, size - taken, f"{reason}; reduced to the limit."))
                    excess -= taken
        return verdicts

    def _worst(self, account: AccountState, view: View) -> tuple[int, int, str] | None:
        """Held, limit and symbol of the symbol nearest to its limit."""
        held: dict[str, int] = {}
        limits: dict[str, int] = {}
        for contract_id, position in account.positions.items():
            limit = self._limit(contract_id, view.market)
            if limit is not None:
                symbol = view.market.symbol(contract_id)
                held[symbol] = held.get(symbol, 0) + abs(position.size)
                limits[symbol] = limit
        worst = max(held, key=lambda symbol: percent_of(held[symbol], limits[symbol]), default=None)
        return None if worst is None else (held[worst], limits[worst], worst)

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the limit, in the symbol nearest to its own; a full limit is not yet a breach."""
        worst = self._worst(account, view)
        if worst is None:
            return None
        held, limit, _ = worst
        return 100 if held > limit else min(99, percent_of(held, limit))

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """Contracts held and allowed in the symbol nearest to its limit."""
        worst = self._worst(account, view)
        if worst is None:
            limits = ", ".join(f"{symbol} {limit}" for symbol, limit in self.config.limits.items())
            return Gauge("0", limits or self.config.unknown_symbol_action, 0)
        held, limit, symbol = worst
        return Gauge(f"{held}", f"{limit}", percent_of(held, limit), symbol)
