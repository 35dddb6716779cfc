"""What a lockout covers and forbids, and how the size it lets stay shrinks."""

from __future__ import annotations

from daemon.core.decisions import Lockout
from daemon.core.rule import allowed_size
from daemon.core.state import SETTLING_US, AccountState, Growth, Market


def covers(lockout: Lockout, contract_id: str, market: Market) -> bool:
    """Whether a lockout is about a contract."""
    return lockout.symbol is None or lockout.symbol in market.names(contract_id)


def shrink_baseline(lockout: Lockout, account: AccountState, contract_ids: list[str] | None, now: int) -> bool:
    """Lower what may stay to what is held; returns whether it changed.

    What was sold during a cooldown may not be bought back. A contract with a fill that its position update does not
    show yet is left alone: the update to come would be taken for an increase.
    """
    changed = False
    for contract_id in contract_ids if contract_ids is not None else list(lockout.baseline):
        base = lockout.baseline.get(contract_id)
        if base is None or not account.settled(contract_id, now):
            continue
        kept = allowed_size(lockout, contract_id, account.size(contract_id))
        if kept != base:
            changed = True
            if kept:
                lockout.baseline[contract_id] = kept
            else:
                del lockout.baseline[contract_id]
    return changed


def held_baseline(account: AccountState, now: int) -> dict[str, int]:
    """Signed size of every contract as held now, fills that no position update shows yet included."""
    held = {contract_id: position.size for contract_id, position in account.positions.items()}
    for contract_id in account.contracts_with_unseen_fills():
        held[contract_id] = held.get(contract_id, 0) + account.unseen_fills(contract_id, now)
    return {contract_id: size for contract_id, size in held.items() if size}


def growth_of(account: AccountState, order_id: int, now: int) -> Growth | None:
    """How much of the entry that makes a cooldown its baseline holds already; None for an order that is not known.

    A reversal's order is left out: how much of it closed and how much opened is told by its fills alone.
    """
    entry = account.ledger.entries.get(order_id)
    if entry is None or order_id in account.ledger.closings:
        return None
    ahead = account.unexplained_update(entry.contract_id, now) * entry.direction
    return Growth(order_id, entry.contract_id, entry.direction, entry.size + max(0, ahead), now + SETTLING_US)


def grow(lockout: Lockout, growth: Growth, account: AccountState) -> bool:
    """Add to a cooldown's baseline what has been filled of the entry that made it; returns whether it changed."""
    entry = account.ledger.entries.get(growth.order_id)
    filled = max(account.filled.get(growth.order_id, 0), entry.size if entry is not None else 0)
    more = filled - growth.counted
    base = lockout.baseline.get(growth.contract_id, 0)
    if more <= 0 or base * growth.direction <= 0:
        return False
    growth.counted = filled
    lockout.baseline[growth.contract_id] = base + more * growth.direction
    return True


_BETWEEN = " | "
_KEPT_CAUSES = 50


def causes_of(lockout: Lockout) -> list[str]:
    """The breaches that a lockout stands for: its own, and later ones that it outlasts."""
    return lockout.cause.split(_BETWEEN)


def joined_causes(known: str, cause: str) -> str:
    """The text of a lockout's causes with one more; the latest ones are kept."""
    return _BETWEEN.join([*known.split(_BETWEEN), cause][-_KEPT_CAUSES:])
