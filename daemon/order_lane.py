"""What the enforcer does next for one order. Pure, see `daemon.enforcement_lane`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.enforcement_lane import (
    AccountRead,
    Cancel,
    Drop,
    Finished,
    Lane,
    Modify,
    Mutation,
    Pause,
    Progress,
    Step,
    Verdict,
    View,
)
from shared.models import ActionKind

if TYPE_CHECKING:
    from daemon.core.decisions import Action

MODIFY_TRIES: Final = 3
"""Attempts after which a stop move that shows no effect is given up."""


class OrderLane(Lane):
    """Cancels one order, or moves its stop; a cancel comes before any move."""

    def __init__(self, account_id: int, contract_id: str, order_id: int) -> None:
        super().__init__(account_id, contract_id)
        self.order_id = order_id

    @property
    def needs(self) -> tuple[bool, bool]:
        """Positions say nothing of an order."""
        return True, False

    def add(self, action: Action, now: float) -> None:
        super().add(action, now)
        if self.sending is None and (action.kind is ActionKind.CANCEL_ORDER or self.verdict is Verdict.ACCEPTED):
            # A cancel may follow anything unread, and a newer stop price an accepted older one.
            self.unverified = False
        if action.kind is ActionKind.CANCEL_ORDER:
            self.not_before = min(self.not_before, now)

    def plan(self, view: View, now: float, read: AccountRead | None) -> Step:
        if not self.progress:
            return Finished()
        if read is not None:
            self.read_number = read.number
        elif self.unverified:
            return self._look(view, now)
        cancel = self._cancelling
        latest = self._latest
        if not cancel and latest.attempts >= MODIFY_TRIES:
            return Drop(latest.action)
        ready = self._ready_at(view)
        if not cancel:
            ready = max(ready, view.modify_ready_at(self.account_id, self.contract_id))
        if now < ready:
            self.look_at = ready
            return Pause(ready)
        if cancel:
            return Cancel(self.order_id)
        price = latest.action.stop_price
        return Drop(latest.action) if price is None else Modify(self.order_id, price)

    @property
    def _cancelling(self) -> bool:
        return any(p.action.kind is ActionKind.CANCEL_ORDER for p in self.progress.values())

    @property
    def _latest(self) -> Progress:
        return self.progress[max(self.progress)]

    def _served(self, mutation: Mutation) -> list[Progress]:
        if isinstance(mutation, Modify):
            return [self._latest]
        return [p for p in self.progress.values() if p.action.kind is ActionKind.CANCEL_ORDER]
