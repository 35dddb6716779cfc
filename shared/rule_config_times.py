"""Settings of the rules about when and how often may be traded: frequency, cooldowns, sessions, the daily flatten.

Durations are in whole seconds, times of day in the zone beside them, money in dollars (Decimal).
"""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from shared.config_fields import (
    DAYS,
    Days,
    Flag,
    Money,
    RuleConfig,
    Settings,
    Symbol,
    TimeOfDay,
    TimeZone,
    UniqueSymbolKeys,
    Whole,
    setting,
)

DAY_SECONDS = 86_400

Cooldown = Annotated[Whole, Field(ge=1, le=7 * DAY_SECONDS)]

EntryLimit = Annotated[Whole, Field(ge=1, le=100_000)]


class TradeFrequencyLimits(Settings):
    """Entries allowed in each window; absent means any number."""

    per_minute: Annotated[
        EntryLimit | None, setting("In 60 seconds", "Entries in any 60 s.", unit="entries", looser="higher")
    ] = None
    per_hour: Annotated[
        EntryLimit | None, setting("In an hour", "Entries in any 3600 s.", unit="entries", looser="higher")
    ] = None
    per_session: Annotated[
        EntryLimit | None,
        setting(
            "In a session", "Entries since the session began, else since the reset.", unit="entries", looser="higher"
        ),
    ] = None

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.per_minute is None and self.per_hour is None and self.per_session is None:
            raise PydanticCustomError(
                "no_limit", "limits nothing; give at least one of per_minute, per_hour and per_session"
            )
        return self


class TradeFrequencyCooldowns(Settings):
    """How long new entries are refused after each kind of breach."""

    per_minute_breach: Annotated[
        Cooldown, setting("After the minute limit", "Length of the cooldown.", unit="seconds", looser="lower")
    ] = 60
    per_hour_breach: Annotated[
        Cooldown, setting("After the hour limit", "Length of the cooldown.", unit="seconds", looser="lower")
    ] = 1800
    per_session_breach: Annotated[
        Cooldown, setting("After the session limit", "Length of the cooldown.", unit="seconds", looser="lower")
    ] = 3600


class TradeFrequencyLimit(RuleConfig):
    """Limit on the number of entries."""

    rule_id = "RULE-006"
    title = "Trade frequency"

    limits: TradeFrequencyLimits
    cooldown_on_breach: TradeFrequencyCooldowns = TradeFrequencyCooldowns()


class LossThreshold(Settings):
    """One step: a loss this large brings a cooldown this long."""

    loss_amount: Annotated[
        Money, setting("Loss", "P&L of one closing order, at or below.", unit="dollars", looser="lower", lt=0)
    ]
    cooldown_duration: Annotated[
        Cooldown, setting("Cooldown", "How long no new exposure is allowed.", unit="seconds", looser="lower")
    ]


MAX_STEPS = 100


def _some_steps(value: object) -> object:
    """Count the steps as they are written: pydantic counts those that are valid, and reports a wrong one twice."""
    if isinstance(value, list | tuple) and not value:
        raise PydanticKnownError("too_short", {"field_type": "List", "min_length": 1, "actual_length": 0})
    if isinstance(value, list | tuple) and len(value) > MAX_STEPS:
        lengths = {"field_type": "List", "max_length": MAX_STEPS, "actual_length": len(value)}
        raise PydanticKnownError("too_long", lengths)
    return value


class CooldownAfterLoss(RuleConfig):
    """Cooldown after a losing exit; of the steps reached the worst one counts."""

    rule_id = "RULE-007"
    title = "Cooldown after a loss"

    loss_thresholds: Annotated[
        tuple[LossThreshold, ...],
        BeforeValidator(_some_steps),
        setting("Steps", "Losses of one closing order and the cooldown each brings.", looser="structure"),
    ]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        amounts = [step.loss_amount for step in self.loss_thresholds]
        twice = next((amount for amount in amounts if amounts.count(amount) > 1), None)
        if twice is not None:
            raise PydanticCustomError(
                "threshold_twice",
                "names a loss_amount of {amount} in loss_thresholds twice; remove one of them",
                {"amount": str(twice)},
            )
        return self

    def duration_for(self, loss: Decimal) -> int:
        """Seconds of cooldown for one closing order's P&L in dollars (negative = loss); 0 if no step is reached."""
        reached = [step for step in self.loss_thresholds if loss <= step.loss_amount]
        return min(reached, key=lambda step: step.loss_amount).cooldown_duration if reached else 0


class ConsecutiveLosses(RuleConfig):
    """Cooldown after several losing exits in a row."""

    rule_id = "RULE-017"
    title = "Consecutive losses"

    limit: Annotated[
        Whole,
        setting(
            "Losses in a row",
            "Losing exits of a trading day that bring a cooldown.",
            unit="trades",
            looser="higher",
            ge=1,
            le=1000,
        ),
    ]
    cooldown_duration: Annotated[
        Cooldown, setting("Cooldown", "How long no new exposure is allowed.", unit="seconds", looser="lower")
    ]


class SessionWindow(Settings):
    """Times at which trading is allowed. ``start`` > ``end`` means overnight; days are those on which it starts."""

    start: Annotated[TimeOfDay, setting("From", "Trading is allowed from this time of day on.", looser="structure")]
    end: Annotated[TimeOfDay, setting("Until", "Trading is allowed until before this time.", looser="structure")]
    timezone: Annotated[
        TimeZone, setting("Time zone", "Zone of both times, such as America/New_York.", looser="structure")
    ] = "America/New_York"
    days: Annotated[Days, setting("Days", "Days on which the window starts.", unit="days", looser="structure")] = DAYS

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.start == self.end:
            raise PydanticCustomError(
                "empty_window", "has the same start and end; give a start and an end that differ, or remove the window"
            )
        return self

    @property
    def overnight(self) -> bool:
        """Whether the window ends on the day after it started."""
        return self.start > self.end

    @property
    def weekdays(self) -> frozenset[int]:
        """Days on which the window starts, Monday = 0."""
        return frozenset(DAYS.index(day) for day in self.days)


class GlobalSession(SessionWindow):
    """The window of the whole account."""

    enabled: Annotated[Flag, setting("Enabled", "Whether this window is enforced.", looser="structure")] = True


class InstrumentSessions(Settings):
    """Windows of single symbols."""

    enabled: Annotated[Flag, setting("Enabled", "Whether these windows are enforced.", looser="structure")] = True
    sessions: Annotated[
        dict[Symbol, SessionWindow],
        UniqueSymbolKeys,
        setting("Windows", "One window for each symbol named.", looser="structure"),
    ] = Field(default_factory=dict)


class SessionBlockOutside(RuleConfig):
    """No trading outside the windows, nor on holidays."""

    rule_id = "RULE-009"
    title = "Trading hours"

    global_session: Annotated[
        GlobalSession | None, setting("Account", "Window of the whole account.", looser="structure")
    ] = None
    per_instrument_sessions: Annotated[
        InstrumentSessions | None, setting("Symbols", "Windows of single symbols.", looser="structure")
    ] = None
    close_positions_at_session_end: Annotated[
        Flag,
        setting("Close at the end", "Close positions and cancel orders when the session ends.", looser="lower"),
    ] = True
    lockout_outside_session: Annotated[
        Flag, setting("Lock outside", "Lock the account or the symbol until the next start.", looser="lower")
    ] = True
    respect_holidays: Annotated[
        Flag, setting("Holidays", "Treat the days of holidays.yaml as outside the session.", looser="lower")
    ] = True

    @model_validator(mode="after")
    def _something(self) -> Self:
        holidays = self.respect_holidays and "respect_holidays" in self.model_fields_set
        if self.enabled and self.account_window is None and not self.windows and not holidays:
            raise PydanticCustomError(
                "no_window",
                "is enabled but blocks nothing; give a global_session, a window in per_instrument_sessions,"
                " or set respect_holidays to true",
            )
        return self

    @property
    def account_window(self) -> SessionWindow | None:
        """The window of the account, if one is enforced."""
        return self.global_session if self.global_session is not None and self.global_session.enabled else None

    @property
    def windows(self) -> dict[str, SessionWindow]:
        """The windows of single symbols that are enforced."""
        own = self.per_instrument_sessions
        return own.sessions if own is not None and own.enabled else {}


class AuthLossGuard(RuleConfig):
    """Nothing is held while the gateway says that the account may not trade."""

    rule_id = "RULE-010"
    title = "Trading permission"


# Winter, summer, and the weeks in which only one of America and Europe has changed its clocks.
REFERENCE_DAYS = (dt.date(2026, 1, 14), dt.date(2026, 3, 18), dt.date(2026, 7, 15), dt.date(2026, 10, 28))


class ScheduledFlatten(RuleConfig):
    """Everything is closed at a time of day, and nothing is opened until the reset."""

    rule_id = "RULE-020"
    title = "Scheduled flatten"

    time: Annotated[TimeOfDay, setting("Flat at", "Time of day from which nothing is held.", looser="structure")]
    timezone: Annotated[TimeZone, setting("Time zone", "Zone of the time.", looser="structure")] = "America/New_York"
    days: Annotated[Days, setting("Days", "Days on which it happens.", unit="days", looser="fewer")] = DAYS
    warn_minutes: Annotated[
        Whole, setting("Warn before", "Minutes of warning before.", unit="minutes", looser="neutral", ge=0, le=240)
    ] = 5

    @property
    def weekdays(self) -> frozenset[int]:
        """Days on which it happens, Monday = 0."""
        return frozenset(DAYS.index(day) for day in self.days)

    def falls_on(self, time: dt.time, timezone: str) -> bool:
        """Whether it happens, at any time of the year, just when a clock in ``timezone`` shows ``time``."""
        return any(
            dt.datetime.combine(day, self.time, ZoneInfo(self.timezone)).astimezone(dt.UTC).time()
            == dt.datetime.combine(day, time, ZoneInfo(timezone)).astimezone(dt.UTC).time()
            for day in REFERENCE_DAYS
        )
