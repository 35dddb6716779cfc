"""Settings of every rule, one model a rule, with the keys of risk_config.yaml.

Money is in dollars (Decimal), durations in whole seconds, sizes in contracts, prices in ticks. A model says of each of
its settings what it means, its unit, its bounds and which change weakens it (`shared.config_fields.setting`).
"""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from shared.config_fields import (
    DAYS,
    Days,
    Flag,
    Money,
    Settings,
    Symbol,
    Symbols,
    TimeOfDay,
    TimeZone,
    UniqueSymbolKeys,
    Whole,
    setting,
)
from shared.symbols import exchange_root

DAY_SECONDS = 86_400
MAX_CONTRACTS = 10_000


class RuleConfig(Settings):
    """Base of all rules' settings."""

    rule_id: ClassVar[str]
    title: ClassVar[str]

    enabled: Annotated[Flag, setting("Enabled", "Whether this rule is watched and enforced.", looser="lower")] = True


class MaxContracts(RuleConfig):
    """Limit on the contracts held in the whole account."""

    rule_id = "RULE-001"
    title = "Contracts in the account"

    limit: Annotated[
        Whole,
        setting("Limit", "Most contracts held at once.", unit="contracts", looser="higher", ge=0, le=MAX_CONTRACTS),
    ]
    count_type: Annotated[
        Literal["net", "gross", "long", "short"],
        setting(
            "Counted as",
            "net: long minus short; gross: all; long or short: that side only.",
            looser="any",
            stricter_than=[("gross", "net"), ("gross", "long"), ("gross", "short")],
        ),
    ] = "net"
    close_all: Annotated[
        Flag, setting("Close everything", "At a breach, close all positions of the account.", looser="structure")
    ] = False
    reduce_to_limit: Annotated[
        Flag,
        setting("Reduce to the limit", "At a breach, close just what is too much.", looser="structure"),
    ] = True

    @model_validator(mode="before")
    @classmethod
    def _other_action(cls, data: object) -> object:
        """If only one of the two is given, the other is its opposite."""
        if not isinstance(data, dict):
            return data
        given = [key for key in ("close_all", "reduce_to_limit") if isinstance(data.get(key), bool)]
        if len(given) == 1 and len({"close_all", "reduce_to_limit"} & data.keys()) == 1:
            other = "close_all" if given == ["reduce_to_limit"] else "reduce_to_limit"
            return {**data, other: not data[given[0]]}
        return data

    @field_validator("reduce_to_limit")
    @classmethod
    def _one_action(cls, value: bool, info: ValidationInfo) -> bool:
        if info.data.get("close_all", not value) == value:
            raise PydanticCustomError(
                "one_action",
                "and close_all are both {value}; set exactly one of them to true",
                {"value": "true" if value else "false"},
            )
        return value


def _unknown_symbol_action(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"block|close|allow|allow_with_limit:\s*\d{1,5}", value.strip()):
        return value.strip().replace(" ", "")
    raise PydanticCustomError(
        "unknown_symbol_action", "must be block, close, allow or allow_with_limit:N (such as allow_with_limit:2)"
    )


ContractLimit = Annotated[Whole, Field(ge=0, le=MAX_CONTRACTS)]


class MaxContractsPerInstrument(RuleConfig):
    """Limit on the contracts held in one symbol."""

    rule_id = "RULE-002"
    title = "Contracts per symbol"

    limits: Annotated[
        dict[Symbol, ContractLimit],
        UniqueSymbolKeys,
        setting("Limits", "Most contracts held at once, for each symbol.", unit="contracts", looser="structure"),
    ]
    enforcement: Annotated[
        Literal["reduce_to_limit", "close_all"],
        setting(
            "At a breach",
            "reduce_to_limit closes what is too much, close_all the whole position in that symbol.",
            looser="any",
            stricter_than=[("close_all", "reduce_to_limit")],
        ),
    ] = "reduce_to_limit"
    unknown_symbol_action: Annotated[
        str,
        BeforeValidator(_unknown_symbol_action),
        setting(
            "Symbols not listed",
            "block (or close): none may be held; allow: any number; allow_with_limit:N: up to N.",
            looser="structure",
        ),
    ] = "block"

    @property
    def unknown_limit(self) -> int | None:
        """Contracts allowed in a symbol that is not listed; None means any number."""
        if self.unknown_symbol_action == "allow":
            return None
        _, _, number = self.unknown_symbol_action.partition(":")
        return int(number) if number else 0

    @property
    def by_symbol(self) -> dict[str, int]:
        """The limit of each instrument named, by the exchange's root: the least of those under any of its names."""
        found: dict[str, int] = {}
        for name, limit in self.limits.items():
            symbol = exchange_root(name)
            found[symbol] = min(limit, found.get(symbol, limit))
        return found

    def limit_for(self, symbol: str) -> int | None:
        """Contracts allowed in ``symbol``, whichever of its roots that is; None means any number."""
        return self.by_symbol.get(exchange_root(symbol), self.unknown_limit)


class DailyRealizedLoss(RuleConfig):
    """Limit on the realized loss of the trading day."""

    rule_id = "RULE-003"
    title = "Daily realized loss"

    limit: Annotated[
        Money,
        setting(
            "Loss limit", "Locks when the day's realized P&L is at or below it.", unit="dollars", looser="lower", lt=0
        ),
    ]


class DailyUnrealizedLoss(RuleConfig):
    """Limit on the open loss of one position."""

    rule_id = "RULE-004"
    title = "Unrealized loss of a position"

    limit: Annotated[
        Money,
        setting("Loss limit", "Closes a position whose open loss reaches it.", unit="dollars", looser="lower", lt=0),
    ]


class MaxUnrealizedProfit(RuleConfig):
    """Target for the open profit of one position."""

    rule_id = "RULE-005"
    title = "Unrealized profit of a position"

    target: Annotated[
        Money,
        setting(
            "Profit target", "Closes a position whose open profit reaches it.", unit="dollars", looser="higher", gt=0
        ),
    ]


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


Cooldown = Annotated[Whole, Field(ge=1, le=7 * DAY_SECONDS)]


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


class NoStopLossGrace(RuleConfig):
    """Time in which a position must get a protecting stop."""

    rule_id = "RULE-008"
    title = "No stop loss"

    grace_period_seconds: Annotated[
        Whole,
        setting(
            "Grace period", "Seconds a position may be without a stop.", unit="seconds", looser="higher", ge=0, le=3600
        ),
    ] = 10


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


class SymbolBlocks(RuleConfig):
    """Symbols that may not be traded."""

    rule_id = "RULE-011"
    title = "Blocked symbols"

    blocked_symbols: Annotated[Symbols, setting("Symbols", "Never held, never ordered.", looser="fewer")]


Ticks = Annotated[Whole, Field(ge=1, le=1_000_000)]


class AutoBreakeven(Settings):
    """Moves the stop to the entry price."""

    enabled: Annotated[Flag, setting("Enabled", "Whether the stop is moved to the entry.", looser="lower")] = True
    profit_trigger_ticks: Annotated[
        Ticks, setting("Trigger", "Open profit at which the stop moves to the entry.", unit="ticks", looser="higher")
    ]


class TrailingStop(Settings):
    """Trails the stop behind the best price."""

    enabled: Annotated[Flag, setting("Enabled", "Whether the stop follows the price.", looser="lower")] = True
    activation_ticks: Annotated[
        Ticks, setting("Activation", "Open profit at which trailing begins.", unit="ticks", looser="higher")
    ]
    trail_distance_ticks: Annotated[
        Ticks, setting("Distance", "Distance of the stop from the best price.", unit="ticks", looser="higher")
    ]


class TradeManagement(RuleConfig):
    """Tightens the existing stop of a winning position."""

    rule_id = "RULE-012"
    title = "Trade management"

    auto_breakeven: AutoBreakeven | None = None
    trailing_stop: TrailingStop | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.enabled and self.auto_breakeven is None and self.trailing_stop is None:
            raise PydanticCustomError("no_action", "does nothing; give auto_breakeven, trailing_stop or both")
        return self


class DailyRealizedProfit(RuleConfig):
    """Target for the realized profit of the trading day."""

    rule_id = "RULE-013"
    title = "Daily realized profit"

    target: Annotated[
        Money,
        setting(
            "Profit target", "Locks when the day's realized P&L reaches it.", unit="dollars", looser="higher", gt=0
        ),
    ]


class DailyTotalLoss(RuleConfig):
    """Limit on realized plus unrealized P&L of the trading day."""

    rule_id = "RULE-014"
    title = "Daily total loss"

    limit: Annotated[
        Money,
        setting(
            "Loss limit", "Locks when realized plus open P&L is at or below it.", unit="dollars", looser="lower", lt=0
        ),
    ]


class ProfitGiveBack(RuleConfig):
    """Locks when the day's realized P&L has fallen too far from its peak.

    With both amount and percent the one reached first counts. A share is taken of a peak above 0 only.
    """

    rule_id = "RULE-015"
    title = "Profit given back"

    amount: Annotated[
        Money | None, setting("Amount", "Dollars below the day's peak.", unit="dollars", looser="higher", gt=0)
    ] = None
    percent: Annotated[
        Money | None,
        setting("Share", "Per cent of the day's peak.", unit="percent", looser="higher", gt=0, le=100),
    ] = None
    min_peak: Annotated[
        Money,
        setting(
            "From a peak of",
            "The rule is watched once the day's P&L has been this high.",
            unit="dollars",
            looser="higher",
            ge=0,
        ),
    ] = Decimal(0)

    @model_validator(mode="after")
    def _amount_or_percent(self) -> Self:
        if self.amount is None and self.percent is None:
            raise PydanticCustomError("no_limit", "limits nothing; give amount, percent or both")
        return self


class WeeklyLoss(RuleConfig):
    """Limit on the realized loss of the trading week, which ends at the reset on Friday."""

    rule_id = "RULE-016"
    title = "Weekly loss"

    limit: Annotated[
        Money,
        setting(
            "Loss limit", "Locks when the week's realized P&L is at or below it.", unit="dollars", looser="lower", lt=0
        ),
    ]


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


class TrailingDrawdown(RuleConfig):
    """Floor that follows the account's highest balance or equity at a fixed distance.

    floor = highest - amount, but never above ``lock_at``; the account is locked when its equity is at or below it.
    """

    rule_id = "RULE-018"
    title = "Trailing drawdown"

    amount: Annotated[
        Money, setting("Drawdown", "Distance of the floor from the highest.", unit="dollars", looser="higher", gt=0)
    ]
    mode: Annotated[
        Literal["end_of_day", "intraday"],
        setting(
            "Highest of",
            "end_of_day: balance at each reset; intraday: equity at any moment.",
            # Not even intraday is always stricter: it counts an open loss that the balance at a reset leaves out.
            looser="any",
        ),
    ] = "end_of_day"
    start_balance: Annotated[
        Money | None,
        setting(
            "Start balance",
            "The highest to begin with; another value begins anew from it. Absent: the balance first seen.",
            unit="dollars",
            looser="any",
            gt=0,
        ),
    ] = None
    lock_at: Annotated[
        Money | None,
        setting(
            "Floor stops at",
            "The floor rises no further than this balance; absent: it always follows.",
            unit="dollars",
            looser="lower",
            absent="tightest",
            gt=0,
        ),
    ] = None


class LosingPositionAdds(RuleConfig):
    """Limit on adding to a losing position."""

    rule_id = "RULE-019"
    title = "Adding to a loser"

    max_adds: Annotated[
        Whole,
        setting("Adds", "Orders that may enlarge a losing position.", unit="adds", looser="higher", ge=0, le=1000),
    ]


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


# Winter, summer, and the weeks in which only one of America and Europe has changed its clocks.
REFERENCE_DAYS = (dt.date(2026, 1, 14), dt.date(2026, 3, 18), dt.date(2026, 7, 15), dt.date(2026, 10, 28))


def _says_off(value: object) -> bool:
    return value is False or (isinstance(value, str) and value.lower() in {"false", "no", "off"})


class RulesConfig(Settings):
    """All rules of an account; a rule that is absent is off."""

    max_contracts: MaxContracts | None = None
    max_contracts_per_instrument: MaxContractsPerInstrument | None = None
    daily_realized_loss: DailyRealizedLoss | None = None
    daily_unrealized_loss: DailyUnrealizedLoss | None = None
    max_unrealized_profit: MaxUnrealizedProfit | None = None
    trade_frequency_limit: TradeFrequencyLimit | None = None
    cooldown_after_loss: CooldownAfterLoss | None = None
    no_stop_loss_grace: NoStopLossGrace | None = None
    session_block_outside: SessionBlockOutside | None = None
    auth_loss_guard: AuthLossGuard | None = None
    symbol_blocks: SymbolBlocks | None = None
    trade_management: TradeManagement | None = None
    daily_realized_profit: DailyRealizedProfit | None = None
    daily_total_loss: DailyTotalLoss | None = None
    profit_give_back: ProfitGiveBack | None = None
    weekly_loss: WeeklyLoss | None = None
    consecutive_losses: ConsecutiveLosses | None = None
    trailing_drawdown: TrailingDrawdown | None = None
    losing_position_adds: LosingPositionAdds | None = None
    scheduled_flatten: ScheduledFlatten | None = None

    @model_validator(mode="before")
    @classmethod
    def _switched_off(cls, data: object) -> object:
        """A rule of which only `enabled: false` is said is off; it needs no limit."""
        if not isinstance(data, dict):
            return data
        off = [
            key
            for key, value in data.items()
            if isinstance(value, dict) and set(value) == {"enabled"} and _says_off(value["enabled"])
        ]
        return {key: value for key, value in data.items() if key not in off} if off else data

    def present(self) -> Iterator[tuple[str, RuleConfig]]:
        """Key and settings of every rule that is named, enabled or not, in the order of the rule ids."""
        for key in type(self).model_fields:
            rule = getattr(self, key)
            if rule is not None:
                yield key, rule

    def enabled(self) -> Iterator[tuple[str, RuleConfig]]:
        """Key and settings of every rule that is on."""
        return ((key, rule) for key, rule in self.present() if rule.enabled)


RULE_MODELS: dict[str, type[RuleConfig]] = {
    "max_contracts": MaxContracts,
    "max_contracts_per_instrument": MaxContractsPerInstrument,
    "daily_realized_loss": DailyRealizedLoss,
    "daily_unrealized_loss": DailyUnrealizedLoss,
    "max_unrealized_profit": MaxUnrealizedProfit,
    "trade_frequency_limit": TradeFrequencyLimit,
    "cooldown_after_loss": CooldownAfterLoss,
    "no_stop_loss_grace": NoStopLossGrace,
    "session_block_outside": SessionBlockOutside,
    "auth_loss_guard": AuthLossGuard,
    "symbol_blocks": SymbolBlocks,
    "trade_management": TradeManagement,
    "daily_realized_profit": DailyRealizedProfit,
    "daily_total_loss": DailyTotalLoss,
    "profit_give_back": ProfitGiveBack,
    "weekly_loss": WeeklyLoss,
    "consecutive_losses": ConsecutiveLosses,
    "trailing_drawdown": TrailingDrawdown,
    "losing_position_adds": LosingPositionAdds,
    "scheduled_flatten": ScheduledFlatten,
}
"""Model of each rule by its key in risk_config.yaml, in the order of the rule ids."""

RULE_IDS: dict[str, str] = {key: model.rule_id for key, model in RULE_MODELS.items()}
"""Rule id ("RULE-003") by key."""
