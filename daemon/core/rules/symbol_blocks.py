"""RULE-011: symbols that may not be traded."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View
from daemon.core.state import AccountState, Position
from shared.config import SymbolBlocks
from shared.models import LockoutKind

_MEMORY = "blocked"


class SymbolBlocksRule(Rule):
    """Breached by a position or a working order in a blocked symbol; that symbol alone is locked, without an end."""

    rule_id = "RULE-011"
    key = "symbol_blocks"
    triggers = frozenset({Trigger.POSITIONS, Trigger.ORDERS})

    config: SymbolBlocks

    def __init__(self, config: SymbolBlocks) -> None:
        super().__init__(config)
        self._blocked = frozenset(config.blocked_symbols)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if not (account.positions or account.orders or account.memory.get(_MEMORY)):
            return NOTHING
        names, allowed = view.market.names, self._blocked.isdisjoint
        verdicts: list[Verdict] = []
        held: dict[str, object] = {}
        for position in account.positions.values():
            if not allowed(names(position.contract_id)):
                since = self._since(account, position)
                held[position.contract_id] = [position.size, position.created_at, since]
                verdicts.append(self._verdict(position.contract_id, f"position {position.contract_id} {since}", view))
        if held or _MEMORY in account.memory:
            account.remember(_MEMORY, held)
        for contract_id in account.contracts_with_orders():
            if not allowed(names(contract_id)):
                for order in account.orders_of(contract_id):
                    verdicts.append(self._verdict(contract_id, f"order {order.order_id}", view))
        return verdicts

    @staticmethod
    def _since(account: AccountState, position: Position) -> int:
        """When the position was last enlarged: what an admin has cleared stays cleared, also over a restart."""
        known = account.memory.get(_MEMORY, {}).get(position.contract_id)
        if isinstance(known, list) and len(known) == 3 and all(isinstance(value, int) for value in known):
            size, created_at, since = known
            if created_at == position.created_at and size * position.size > 0 and abs(position.size) <= abs(size):
                return int(since)
        return position.increased_at

    @staticmethod
    def _verdict(contract_id: str, cause: str, view: View) -> LockVerdict:
        symbol = view.market.symbol(contract_id)
        reason = f"{symbol} is a blocked symbol; it is closed and stays locked."
        return LockVerdict(LockoutKind.SYMBOL, cause, reason, None, symbol=symbol)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """The blocked symbols that are locked."""
        locked = sorted(lock.symbol for lock in account.locks.values() if lock.rule_id == self.rule_id and lock.symbol)
        return Gauge(", ".join(locked) if locked else "none held", ", ".join(sorted(self._blocked)), None)
