"""Settings of the rules about profit and loss: of a position, the day, the week, the account.

Money is in dollars (Decimal).
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from shared.config_fields import (
    Money,
    RuleConfig,
    setting,
)


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
