"""Watches the dispatcher during the demonstration: what was decided for which account, and how long it took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from daemon.core.decisions import Act, Action, Decision, Lock, Lockout, Settle
from daemon.core.events import Event
from shared.models import ActionKind, ActionResult


@dataclass(slots=True)
class Record:
    """One account. Times are seconds of `time.perf_counter`."""

    last_event: float = 0.0
    triggered: dict[int, float] = field(default_factory=dict)
    actions: list[Action] = field(default_factory=list)
    confirmed: dict[int, float] = field(default_factory=dict)
    lockouts: list[Lockout] = field(default_factory=list)

    def milliseconds(self) -> float | None:
        """From the event to the broker's confirmation, of the slowest action; None when nothing was confirmed."""
        taken = [(end - self.triggered[number]) * 1000 for number, end in self.confirmed.items()]
        return max(taken, default=None)

    def unconfirmed(self) -> list[Action]:
        """Actions whose end was not seen."""
        return [action for action in self.actions if action.id not in self.confirmed]


class Observer:
    """A `Listener` of the dispatcher."""

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}

    def of(self, account_id: int) -> Record:
        """The account's record."""
        return self.records.setdefault(account_id, Record())

    def happened(self, event: Event) -> None:
        """An event was judged."""
        account_id = getattr(event, "account_id", None)
        now = time.perf_counter()
        if account_id is not None:
            self.of(account_id).last_event = now
        else:
            for record in self.records.values():
                record.last_event = now

    def decided(self, decision: Decision) -> None:
        """A decision was carried out."""
        if isinstance(decision, Act):
            record = self.of(decision.action.account_id)
            record.actions.append(decision.action)
            record.triggered[decision.action.id] = record.last_event or time.perf_counter()
        elif isinstance(decision, Settle):
            record = self.of(decision.action.account_id)
            if decision.result == ActionResult.CONFIRMED:
                record.confirmed[decision.action.id] = time.perf_counter()
            elif decision.action in record.actions:
                record.actions.remove(decision.action)
        elif isinstance(decision, Lock):
            self.of(decision.lockout.account_id).lockouts.append(decision.lockout)


def summary(actions: list[Action], symbol: dict[str, str]) -> str:
    """What was done, for the table: "closed 2 MNQ, cancelled 2 orders"."""
    parts: list[str] = []
    cancels = 0
    moves = 0
    for action in actions:
        name = symbol.get(action.contract_id, action.contract_id)
        if action.kind in (ActionKind.CLOSE_POSITION, ActionKind.REDUCE_POSITION):
            parts.append(f"closed {action.size} {name}")
        elif action.kind == ActionKind.CANCEL_ORDER:
            cancels += 1
        else:
            moves += 1
    if cancels:
        parts.append(f"cancelled {cancels} order{'s' if cancels > 1 else ''}")
    if moves:
        parts.append(f"moved the stop {moves} time{'s' if moves > 1 else ''}")
    return ", ".join(parts) or "nothing"
