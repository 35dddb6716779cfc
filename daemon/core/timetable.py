"""When each account must be looked at next though nothing happens: resets, ends of lockouts, timers of rules."""

from __future__ import annotations

from collections.abc import Iterable

from daemon.core import failures
from daemon.core.decisions import Decision
from daemon.core.rule import UNPLANNED, RuleState, View
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US

TRADES_PATIENCE_US = 60 * SECOND_US
"""How long a first read of the day's trades is waited for before the realized loss is judged without it."""


def waits_for_trades(account: AccountState) -> bool:
    """Whether all that is missing of an account is a read of its trades."""
    return not account.trades_read_at and bool(account.first_read_at) and not account.trades_given_up


class Timetable:
    """The next due time of every account, and the earliest of all (`due`, microseconds UTC)."""

    __slots__ = ("_of", "due")

    def __init__(self) -> None:
        self.due = 0
        self._of: dict[int, int] = {}

    def add(self, account_id: int, at: int) -> None:
        """An account is new; it is due at a time."""
        self._of[account_id] = at
        self.due = min(self.due, at)

    def of(self, account_id: int) -> int:
        """When an account is due, microseconds UTC."""
        return self._of[account_id]

    def is_due(self, account_id: int, now: int) -> bool:
        """Whether an account's time has come."""
        return self._of[account_id] <= now

    def postpone(self, account_id: int, at: int) -> None:
        """An account could not be looked at: it is due again at a time."""
        self._of[account_id] = at

    def settle(self, day_end: int) -> None:
        """All that was due has been worked off: `due` becomes the earliest again."""
        self.due = min(self._of.values(), default=day_end)

    def schedule(
        self,
        account: AccountState,
        judged: Iterable[RuleState],
        timers: Iterable[RuleState],
        view: View,
        out: list[Decision],
    ) -> None:
        """Find an account's next time anew; of the rules those that were judged may have another one."""
        for state in judged:
            if state.timed and not (state.due is not None and state.rule.by_clock and view.now < state.due):
                state.due = _ask(account, state, view, out)
        due = account.ledger.day_end
        if waits_for_trades(account):
            due = min(due, account.first_read_at + TRADES_PATIENCE_US)
        for lockout in account.locks.values():
            if lockout.expires_at is not None:
                due = min(due, lockout.expires_at)
            if lockout.clear_due_at is not None:
                due = min(due, lockout.clear_due_at)
        for state in timers:
            if state.due == UNPLANNED:
                state.due = _ask(account, state, view, out)
            if state.due is not None and state.due < due:
                due = state.due
        if due <= view.now:
            due = view.now + 1
        self._of[account.account_id] = due
        if not self.due:
            self.due = min(self._of.values())
        elif due < self.due:
            self.due = due


def _ask(account: AccountState, state: RuleState, view: View, out: list[Decision]) -> int | None:
    """When a rule must look next. One that cannot say it is judged every second."""
    try:
        return state.rule.next_due(account, view)
    except Exception as error:  # noqa: BLE001 - law 9: one broken rule stays one
        failures.report(account, state, error, view.now, out)
        return view.now + SECOND_US
