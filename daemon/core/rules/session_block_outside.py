"""RULE-009: no trading outside the session windows, nor on holidays."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.events import opens_or_increases
from daemon.core.lockouts import held_baseline
from daemon.core.rule import CancelOrder, Gauge, LockVerdict, Notice, Reduce, Rule, Trigger, Verdict, View
from daemon.core.sessions import Sessions
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US
from shared.config import HolidayCalendar, SessionBlockOutside
from shared.models import LockoutKind

_MEMORY = "outside "

FAR_US = 21 * 86_400 * SECOND_US
LOOK_AGAIN_US = 86_400 * SECOND_US
"""Without a known start a lockout lasts to the next multiple of this, sooner than any start not yet in sight: the next
lockout follows it at once, and ends when trading begins."""


class SessionBlockOutsideRule(Rule):
    """Outside a window the account, or the symbol, is closed and locked until the window's next start.

    Account windows and instrument windows both must allow. Without `close_positions_at_session_end` what is held at the
    session's end may stay and shrink; without `lockout_outside_session` new exposure is taken back, but nothing is
    locked.
    """

    rule_id = "RULE-009"
    key = "session_block_outside"
    triggers = frozenset({Trigger.TIMER, Trigger.POSITIONS, Trigger.ORDERS})
    needs = frozenset({Trigger.POSITIONS})
    by_clock = True

    config: SessionBlockOutside

    def __init__(self, config: SessionBlockOutside) -> None:
        super().__init__(config)
        self._calendar: HolidayCalendar | None = None
        self._sessions: list[tuple[str | None, Sessions]] | None = None

    def _all(self, view: View) -> list[tuple[str | None, Sessions]]:
        if self._sessions is None or self._calendar is not view.calendar:
            self._calendar = view.calendar
            calendar = view.calendar if self.config.respect_holidays else None
            self._sessions = []
            window = self.config.account_window
            if window is not None or calendar is not None:
                self._sessions.append((None, Sessions(window, calendar)))
            for symbol, own in self.config.windows.items():
                self._sessions.append((symbol, Sessions(own, calendar)))
        return self._sessions

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        verdicts: list[Verdict] = []
        for symbol, sessions in self._all(view):
            if sessions.current(view.now) is not None:
                continue
            following = sessions.following(view.now)
            until = following.start if following is not None else (view.now // LOOK_AGAIN_US + 1) * LOOK_AGAIN_US
            outside = f"{symbol or 'The account'} is outside its trading hours"
            if following is None:
                outside += ", and none begin within three weeks: check the windows and holidays.yaml"
                verdicts.append(Notice(f"no hours {symbol or ''}", f"{outside}."))
            held = self._held_at_end(account, view, symbol)
            if self.config.lockout_outside_session:
                end = "locked until" if following is not None else "locked, and looked for again at"
                reason = f"{outside}; {end} {view.until_text(until)}."
                cause = f"until {until}"
                verdicts.append(LockVerdict(LockoutKind.SESSION, cause, reason, until, symbol, held))
                continue
            held = dict(held or {})
            reason = f"{outside}, which begin at {view.until_text(until)}." if following is not None else f"{outside}."
            verdicts += self._take_back(account, view, symbol, held, reason)
            if not self.config.close_positions_at_session_end:
                sure = until if following is not None else until + LOOK_AGAIN_US  # nothing begins before that
                account.remember(f"{_MEMORY}{symbol or ''}", {"until": sure, "held": held})
        return verdicts

    def _held_at_end(self, account: AccountState, view: View, symbol: str | None) -> dict[str, int] | None:
        """What may stay; None for nothing. Kept over restarts, as long as it is outside the same session."""
        if self.config.close_positions_at_session_end:
            return None
        kept = account.memory.get(f"{_MEMORY}{symbol or ''}", {})
        until, held = kept.get("until"), kept.get("held")
        if isinstance(until, int) and view.now < until and isinstance(held, dict):
            return held
        return held_baseline(account, view.now)

    @staticmethod
    def _take_back(
        account: AccountState, view: View, symbol: str | None, held: dict[str, int], reason: str
    ) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for position in account.positions.values():
            contract_id = position.contract_id
            if symbol is not None and symbol not in view.market.names(contract_id):
                continue
            base = held.get(contract_id, 0)
            keep = min(abs(position.size), abs(base)) if base * position.size > 0 else 0
            if contract_id in held:
                held[contract_id] = keep if position.size > 0 else -keep
            if keep < abs(position.size):
                verdicts.append(Reduce(contract_id, keep, reason))
        for contract_id in [known for known in held if known not in account.positions]:
            del held[contract_id]
        for order in account.orders.values():
            if symbol is not None and symbol not in view.market.names(order.contract_id):
                continue
            if opens_or_increases(order, held.get(order.contract_id, 0)):
                verdicts.append(CancelOrder(order.order_id, order.contract_id, reason))
        return verdicts

    def next_due(self, account: AccountState, view: View) -> int | None:
        """The next start or end of any window."""
        changes = [sessions.next_change(view.now) for _, sessions in self._all(view)]
        return min((at for at in changes if at is not None), default=None)

    def gauge(self, account: AccountState, view: View) -> Gauge | None:
        """Whether the account's own window is open, and until when."""
        for symbol, sessions in self._all(view):
            if symbol is not None:
                continue
            current = sessions.current(view.now)
            if current is not None:
                if current.end > view.now + FAR_US // 2:
                    return Gauge("open", "no holiday near", None)
                return Gauge("open", f"until {view.until_text(current.end)}", None)
            following = sessions.following(view.now)
            starts = view.until_text(following.start) if following is not None else "not within three weeks"
            return Gauge("closed", f"opens {starts}", None)
        return Gauge("by symbol", ", ".join(sorted(self.config.windows)), None)
