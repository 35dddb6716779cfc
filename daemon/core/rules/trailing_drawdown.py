"""RULE-018: account equity against its highest, as prop firms count it."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.closings import BalanceInFlight, any_in_flight, given_up_at, in_flight
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
from daemon.core.units import dollars, money_to_micros
from shared.config import TrailingDrawdown
from shared.models import LockoutKind

_MEMORY = "drawdown"


class TrailingDrawdownRule(Rule):
    """Breached when equity (balance plus unrealized P&L) is at or below the floor; locked until the next reset.

    The floor lies `amount` below the highest: of the equity at any moment (intraday), or of the balance at each reset
    (end_of_day). From `lock_at` on it no longer rises. The highest is kept exactly, across restarts too; it begins anew
    only from another `start_balance`. An exit whose fill, position and balance come apart counts once.
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
        self._balance = BalanceInFlight()
        self._base = 0
        self._percent = 0

    def _equity(self, account: AccountState, view: View) -> int:
        amount, scale = view.total_open_pnl(account)
        return self._base + amount // scale

    def _highest(self, account: AccountState, balance: int, view: View) -> int:
        """The highest so far, brought up to date and remembered."""
        kept = account.memory.get(_MEMORY, {})
        known, day, closing, start = kept.get("high"), kept.get("day"), kept.get("balance"), kept.get("start")
        high = known
        if not isinstance(high, int) or (self._start is not None and start != self._start):
            high = self._start if self._start is not None else balance
        elif day != view.day_end and self.config.mode == "end_of_day":
            # What was known last before the reset; and, when that is long ago, what is known now.
            high = max(high, balance, closing if isinstance(closing, int) else balance)
        if self.config.mode == "intraday":
            high = max(high, self._equity(account, view))
        self._high = high
        net = self._balance.net_then
        if (high, view.day_end, balance, self._start, net) != (known, day, closing, start, kept.get("net")):
            values: dict[str, object] = {
                "high": high,
                "day": view.day_end,
                "balance": balance,
                "start": self._start,
                "net": net,
            }
            account.remember(_MEMORY, values)
        return high

    def _go_on(self, account: AccountState, view: View) -> None:
        """Before the first judgement: what an earlier rule knew of the balance holds as long as balance and day do."""
        kept = account.memory.get(_MEMORY, {})
        net = kept.get("net")
        if isinstance(net, int) and (kept.get("balance"), kept.get("day")) == (account.balance, view.day_end):
            self._balance.net_then = net

    def _floor(self, high: int) -> int:
        floor = high - self._amount
        return floor if self._lock_at is None else min(floor, self._lock_at)

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        if account.balance is None:
            return NOTHING
        if self._high is None:
            self._go_on(account, view)
        correction = in_flight(account, view)
        self._base = correction + self._balance.settled(
            account, account.balance, view.now, exits=any_in_flight(account)
        )
        high = self._highest(account, account.balance, view)
        floor, equity = self._floor(high), self._equity(account, view)
        self._percent = percent_of(max(0, high - equity), high - floor)
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
        gain_at = self._high - self._base + 1 if self.config.mode == "intraday" else None
        return Watch(loss_at=stop - self._base + 1, gain_at=gain_at)

    def next_due(self, account: AccountState, view: View) -> int | None:
        """When what is in flight is given up."""
        closings, balance = given_up_at(account), self._balance.until
        return closings if balance is None or (closings is not None and closings < balance) else balance

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the distance from the highest to the floor that is used up."""
        if account.balance is None or self._high is None:
            return None
        return self._percent

    def gauge(self, account: AccountState, view: View) -> Gauge | None:
        """Equity against the floor."""
        if account.balance is None or self._high is None:
            return Gauge("balance not known", dollars(self._amount), None)
        floor, equity = self._floor(self._high), self._equity(account, view)
        return Gauge(
            dollars(equity),
            f"floor {dollars(floor)}",
            percent_of(max(0, self._high - equity), self._high - floor),
            f"highest {dollars(self._high)}",
        )
