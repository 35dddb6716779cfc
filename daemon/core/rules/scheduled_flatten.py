"""RULE-020: a time of day from which nothing is held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.local_time import instant, local_text, zone
from daemon.core.rule import Gauge, LockVerdict, Notice, Rule, Trigger, Verdict, View
from daemon.core.state import AccountState
from daemon.core.units import SECOND_US, from_micros
from shared.config import ScheduledFlatten
from shared.models import LockoutKind


class ScheduledFlattenRule(Rule):
    """From the time on everything is closed and locked until the next reset; a warning comes before."""

    rule_id = "RULE-020"
    key = "scheduled_flatten"
    triggers = frozenset({Trigger.TIMER, Trigger.POSITIONS})
    by_clock = True

    config: ScheduledFlatten

    def __init__(self, config: ScheduledFlatten) -> None:
        super().__init__(config)
        self._day = (0, 0)
        self._found: list[int] = []

    def _times(self, view: View) -> list[int]:
        """The instants of the trading day at which the rule closes."""
        day = (view.day_start, view.day_end)
        if self._day != day:
            self._day, self._found = day, self._find(view)
        return self._found

    def _find(self, view: View) -> list[int]:
        tz = zone(self.config.timezone)
        day = from_micros(view.day_start).astimezone(tz).date() - timedelta(days=1)
        found = []
        for _ in range(4):
            if day.weekday() in self.config.weekdays:
                at = instant(day, self.config.time, tz)
                if view.day_start <= at < view.day_end:
                    found.append(at)
            day += timedelta(days=1)
        return found

    def judge(self, account: AccountState, view: View) -> Sequence[Verdict]:
        """See `Rule.judge`."""
        verdicts: list[Verdict] = []
        for at in self._times(view):
            if at <= view.now:
                when = local_text(at, view.now, self.config.timezone)
                reason = f"Flat from {when}; locked until {view.until_text(view.day_end)}."
                verdicts.append(LockVerdict(LockoutKind.HARD, f"flat {at}", reason, view.day_end))
            elif account.positions and view.now >= at - self._warning:
                when = local_text(at, view.now, self.config.timezone)
                verdicts.append(Notice(f"flat {at}", f"Everything is closed at {when}."))
        return verdicts

    @property
    def _warning(self) -> int:
        return self.config.warn_minutes * 60 * SECOND_US

    def next_due(self, account: AccountState, view: View) -> int | None:
        """The next warning or closing time of the day."""
        moments = [moment for at in self._times(view) for moment in (at - self._warning, at)]
        return min((moment for moment in moments if moment > view.now), default=None)

    def gauge(self, account: AccountState, view: View) -> Gauge:
        """When it closes next."""
        coming = [at for at in self._times(view) if at > view.now]
        clock = self.config.time.strftime("%H:%M")
        if not coming:
            return Gauge("not again today", clock, None)
        return Gauge(local_text(min(coming), view.now, self.config.timezone), clock, None)
