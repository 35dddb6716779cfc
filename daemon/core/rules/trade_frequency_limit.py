"""RULE-006: entries in a minute, an hour, a session."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.core.local_time import duration_text
from daemon.core.lockouts import held_baseline
from daemon.core.rule import NOTHING, Gauge, LockVerdict, Rule, Trigger, Verdict, View, percent_of
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US
from shared.config import TradeFrequencyLimit
from shared.models import LockoutKind

FRESH_US = 5 * SECOND_US
"""A cooldown counts from now when its entry is at most this old, else (found at start) from the entry's own time."""


class TradeFrequencyLimitRule(Rule):
    """Breached by the entry that fills a window: a cooldown follows, nothing is closed.

    An entry is an order with an opening fill. Each entry is judged by the entries up to its own time, so that the day's
    trades, read anew after a restart, give the same cooldowns.
    """

    rule_id = "RULE-006"
    key = "trade_frequency_limit"
    triggers = frozenset({Trigger.TRADES})
    needs = frozenset({Trigger.TRADES, Trigger.POSITIONS})
    partial = True

    config: TradeFrequencyLimit

    def __init__(self, config: TradeFrequencyLimit) -> None:
        super().__init__(config)
        limits, cooldowns = config.limits, config.cooldown_on_breach
        self._windows = [
            (name, limit, length * SECOND_US, cooldown)
            for name, limit, length, cooldown in (
                ("minute", limits.per_minute, 60, cooldowns.per_minute_breach),
                ("hour", limits.per_hour, 3600, cooldowns.per_hour_breach),
                ("session", limits.per_session, 0, cooldowns.per_session_breach),
            )
            if limit is not None
        ]
        self._log: list[int] = []
        self._read = 0
        self._entered = False
        self._longest = max((window[3] for window in self._windows), default=0) * SECOND_US

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        log = account.ledger.entry_log
        if log is not self._log:
            self._log, self._read = log, 0
        self._entered = self._read < len(log)
        if not self._entered:
            return NOTHING
        # An entry that arrives late changes the windows of those after it.
        since = max(min(log[self._read :]), view.now - self._longest + 1)
        self._read = len(log)
        worst: LockVerdict | None = None
        for at, order_id in account.ledger.entries_from(since):
            verdict = self._judge_entry(account, view, at, order_id)
            if verdict is not None and (worst is None or (verdict.expires_at or 0) >= (worst.expires_at or 0)):
                worst = verdict
        return NOTHING if worst is None else [worst]

    def _judge_entry(self, account: AccountState, view: View, at: int, order_id: int) -> LockVerdict | None:
        breached: list[tuple[int, str, int]] = []
        for name, limit, length, cooldown in self._windows:
            since = at - length if length else view.session_start(account, at) - 1
            count = account.ledger.entries_since(since, at)
            if count >= limit:
                breached.append((cooldown, name, count))
        if not breached:
            return None
        cooldown, name, count = max(breached)
        started = view.now if view.now - at <= FRESH_US else at
        until = started + cooldown * SECOND_US
        reason = (
            f"{count} entries in this {name} reached the limit; no new exposure for {duration_text(cooldown)},"
            f" until {view.until_text(until)}."
        )
        return LockVerdict(
            LockoutKind.COOLDOWN,
            f"entry {order_id}",
            reason,
            until,
            baseline=held_baseline(account, view.now),
            at=started,
            order_id=order_id,
        )

    def _worst(self, account: AccountState, view: View) -> tuple[int, int, str] | None:
        figures = []
        for name, limit, length, _ in self._windows:
            since = view.now - length if length else view.session_start(account, view.now) - 1
            count = account.ledger.entries_since(since, view.now)
            figures.append((percent_of(count, limit), count, limit, name))
        if not figures:
            return None
        _, count, limit, name = max(figures)
        return count, limit, name

    def percent(self, account: AccountState, view: View) -> int | None:
        """Share of the fullest window, which only an entry can raise: None without a new one."""
        worst = self._worst(account, view) if self._entered else None
        return None if worst is None else percent_of(worst[0], worst[1])

    def gauge(self, account: AccountState, view: View) -> Gauge | None:
        """Entries in the fullest window."""
        worst = self._worst(account, view)
        if worst is None:
            return None
        count, limit, name = worst
        return Gauge(f"{count}", f"{limit} entries", percent_of(count, limit), f"this {name}")

    def gauge_until(self, account: AccountState, view: View) -> int | None:
        """When the next entry leaves a window, or another session begins."""
        moments = []
        for _, _, length, _ in self._windows:
            if not length:
                moments.append(view.session_until(account))
            elif (oldest := account.ledger.oldest_entry_since(view.now - length)) is not None:
                moments.append(oldest + length)
        return min(moments, default=None)
