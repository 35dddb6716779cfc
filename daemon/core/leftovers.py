"""What an earlier run had begun and not seen end: taken up again, or settled, once the gateway has been read.

Closes that a lockout or a standing verdict demands are demanded anew anyway. A latch (`Flatten`) is not: the price may
have come back meanwhile, or a stop been placed. It is set again for the same position, so that a restart saves nothing
that had to go. Every entry of the enforcement log of the earlier run ends here: confirmed, or superseded.
"""

from __future__ import annotations

from daemon.core.decisions import Action, Decision, Settle
from daemon.core.obligations import is_done
from daemon.core.state import AccountState, Latch, Position
from daemon.core.units import SECOND_US
from shared.models import ActionKind, ActionResult

CLOCK_SLACK_US = 2 * SECOND_US
"""Trusted time may be this far behind the broker's: a position made then can have been judged before it was made."""

_WITH_ORDERS = frozenset({"RULE-004", "RULE-005"})
_MEMORY = "latched"
_POSITION_KINDS = frozenset({ActionKind.CLOSE_POSITION, ActionKind.REDUCE_POSITION})


def remember_latches(account: AccountState) -> None:
    """Keep which positions must go whatever comes: a later run could not tell it from their closes."""
    account.remember(
        _MEMORY, {contract_id: [latch.rule_id, latch.cancel_orders] for contract_id, latch in account.latches.items()}
    )


def settle_positions(account: AccountState, now: int, out: list[Decision]) -> None:
    """Positions have been read for the first time: latch what had to go and is still there, settle the rest."""
    for action in [left for left in account.leftovers if left.kind in _POSITION_KINDS]:
        account.leftovers.remove(action)
        position = account.positions.get(action.contract_id)
        if position is not None and _is_same(action, position):
            latched = account.memory.get(_MEMORY, {}).get(action.contract_id)
            if isinstance(latched, list) and len(latched) == 2 and latched[0] == action.rule_id:
                latch = Latch(action.rule_id, action.reason, _sign(action.held), bool(latched[1]))
                account.latches.setdefault(action.contract_id, latch)
            _settle(action, is_done(account, action), now, out)
        else:
            _settle(action, True, now, out)  # what was to go is gone; another position may have come


def settle_orders(account: AccountState, now: int, out: list[Decision]) -> None:
    """Working orders have been read for the first time: the same for what was to be cancelled or moved."""
    for action in [left for left in account.leftovers if left.kind not in _POSITION_KINDS]:
        account.leftovers.remove(action)
        done = is_done(account, action)
        if not done and action.kind == ActionKind.CANCEL_ORDER and action.rule_id in _WITH_ORDERS:
            assert action.order_id is not None
            latch = Latch(action.rule_id, action.reason, _sign(action.held), cancel_orders=True)
            account.order_latches.setdefault(action.order_id, latch)
        _settle(action, done, now, out)


def _is_same(action: Action, position: Position) -> bool:
    if action.held * position.size < 0:
        return False
    return not position.created_at or position.created_at <= action.decided_at + CLOCK_SLACK_US


def _settle(action: Action, done: bool, now: int, out: list[Decision]) -> None:
    out.append(Settle(action, ActionResult.CONFIRMED if done else ActionResult.SUPERSEDED, now))


def _sign(size: int) -> int:
    return 1 if size > 0 else -1
