"""RULE-018: account equity against its highest, as prop firms count it."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.rule import (
    NO_WATCH,
    NOTHING,
    Gauge,
    LockVerdict,
    Rule,
    Trigger,
    Verdict,
    View,
    Watch,
    percent_of,
)
from daemon.core.state import AccountState
from daemon.core.units import MICROS, dollars, money_to_micros
from shared.config import TrailingDrawdown
from shared.models import LockoutKind

_MEMORY = "drawdown"
_STEP = MICROS
"""The highest is stored in steps of a dollar, so that a rising market does not write at every tick."""


class TrailingDrawdownRule(Rule):
    """Breached when equity (balance plus unrealized P&L) is at or below the floor; locked until the next reset.

    The floor lies `amount` below the highest: of the equity at any moment (intraday), or of the balance at each reset
    (end_of_day). From `lock_at` on it no longer rises. The highest is kept across restarts.
    """

    rule_id = "RULE-018"
    key = "trailing_drawdown"
    triggers = frozenset({Trigger.ACCOUNT, Trigger.QUOTES, Trigger.POSITIONS, Trigger.TRADES, Trigger.TIMER})
    needs = frozenset({Trigger.POSITIONS})
    sums = True

    config: TrailingDrawdown

    def __init__(self, config: TrailingDrawdown) -> None:
        super().__init__(config)
        self._amount = money_to_micros(config.amount)
        self._start = None if config.start_balance is None else money_to_micros(config.start_balance)
        self._lock_at = None if config.lock_at is None else money_to_micros(config.lock_at)
        self._high: int | None = None

    @staticmethod
    def _equity(account: AccountState, view: View) -> int:
        amount, scale = view.total_open_pnl(account)
        return (account.balance or 0) + amount // scale

    def _highest(self, account: AccountState, view: View) -> int:
        """The highest so far, brought up to date and remembered."""
        kept = account.memory.get(_MEMORY, {})
        known, day, closing = kept.get("high"), kept.get("day"), kept.get("balance")
        assert account.balance is not None
        high = self._high
        if isinstance(known, int):
            high = known if high is None else max(high, known)
        if high is None:
            high = self._start if self._start is not None else account.balance
        if self.config.mode == "intraday":
            high = max(high, self._equity(account, view))
        elif isinstance(day, int) and day != view.day_end and isinstance(closing, int):
            high = max(high, closing)
        self._high = high
        stored = known if isinstance(known, int) else None
        if stored is None or high - stored >= _STEP or day != view.day_end or closing != account.balance:
            account.remember(_MEMORY, {"high": high, "day": view.day_end, "balance": account.balance})
        return high

    def _floor(self, high: int) -> int:
        floor = high - self._amount
        return floor if self._lock_at is None else min(floor, self._lock_at)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if account.balance is None:
            return NOTHING
        high = self._highest(account, view)
        floor, equity = self._floor(high), self._equity(account, view)
        if equity > floor:
            return NOTHING
        reason = (
            f"Equity {dollars(equity)} reached the floor of {dollars(floor)} ({dollars(self._amount)} below the highest"
            f" {dollars(high)}); locked until {view.until_text(view.day_end)}."
        )
        cause = f"{view.day_end} {floor} {account.balance} {sorted(account.positions)}"
        return [LockVerdict(LockoutKind.HARD, cause, reason, view.day_end)]

    def watch_total(self, account: AccountState, view: View, level: int) -> Watch:
        """The next level below, and with `intraday` any new highest above."""
        if account.balance is None or self._high is None:
            return NO_WATCH
        floor = self._floor(self._high)
        stop = self._high + (-(self._high - floor) * level // 100)  # `percent` gives the level there first
        if self._equity(account, view) <= stop:
            stop = floor  # that level has been passed without a warning: the breach is next
        # Equity is rounded down: it is at `stop` until the sum is a whole micro-dollar more.
        gain_at = self._high - account.balance + 1 if self.config.mode == "intraday" else None
        return Watch(loss_at=stop - account.balance + 1, gain_at=gain_at)

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the distance from the highest to the floor that is used up."""
        if account.balance is None or self._high is None:
            return None
        room = self._high - self._floor(self._high)
        return percent_of(max(0, self._high - self._equity(account, view)), room)

    def gauge(self, account: AccountState, view: View) -> Gauge | None:
        """Equity against the floor."""
        if account.balance is None or self._high is None:
            return Gauge("balance not known", dollars(self._amount), None)
        floor = self._floor(self._high)
        return Gauge(
            dollars(self._equity(account, view)),
            f"floor {dollars(floor)}",
            self.percent(account, view),
            f"highest {dollars(self._high)}",
        )
