"""The domain's names, shared by the daemon, the GUI and the tests.

Integer codes are those of the ProjectX Gateway API (`Side`, `OrderType`, `OrderStatus`, `PositionType`); text codes
are our own outer contract (`LockoutKind`, `ActionKind`, `ActionResult`) and may not change without a migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class Side(IntEnum):
    """Side of an order or a trade, as the gateway codes it."""

    BUY = 0
    SELL = 1


class OrderType(IntEnum):
    """Order types, as the gateway codes them."""

    UNKNOWN = 0
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderStatus(IntEnum):
    """Order states, as the gateway codes them. `NONE` is treated as working: unknown is never taken as gone."""

    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8


TERMINAL_STATUSES: Final = frozenset(
    {OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED}
)
"""Order states from which an order never works again."""

STOP_TYPES: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
"""Order types that can protect a position (RULE-008)."""


class PositionType(IntEnum):
    """Direction of a position, as the gateway codes it; sizes there are always positive."""

    FLAT = 0
    LONG = 1
    SHORT = 2


class LockoutKind(StrEnum):
    """What a lockout forbids; see the table of kinds in docs/trader-guide.md."""

    HARD = "hard"
    COOLDOWN = "cooldown"
    SESSION = "session"
    SYMBOL = "symbol"
    API = "api"
    MANUAL = "manual"


class ActionKind(StrEnum):
    """What an entry of the enforcement log did."""

    CLOSE_POSITION = "close_position"
    REDUCE_POSITION = "reduce_position"
    CANCEL_ORDER = "cancel_order"
    MODIFY_ORDER = "modify_order"
    LOCKOUT_SET = "lockout_set"
    LOCKOUT_CLEARED = "lockout_cleared"


class ActionResult(StrEnum):
    """How an enforcement action ended."""

    CONFIRMED = "confirmed"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class RuleName:
    """A rule's id in the database, its key in the configuration and its title for people."""

    rule_id: str
    key: str
    title: str


RULE_NAMES: Final[tuple[RuleName, ...]] = (
    RuleName("RULE-001", "max_contracts", "Max contracts"),
    RuleName("RULE-002", "max_contracts_per_instrument", "Max contracts per instrument"),
    RuleName("RULE-003", "daily_realized_loss", "Daily realized loss"),
    RuleName("RULE-004", "daily_unrealized_loss", "Unrealized loss of a position"),
    RuleName("RULE-005", "max_unrealized_profit", "Unrealized profit of a position"),
    RuleName("RULE-006", "trade_frequency_limit", "Trade frequency"),
    RuleName("RULE-007", "cooldown_after_loss", "Cooldown after a loss"),
    RuleName("RULE-008", "no_stop_loss_grace", "Stop-loss required"),
    RuleName("RULE-009", "session_block_outside", "Trading session"),
    RuleName("RULE-010", "auth_loss_guard", "Trading permission"),
    RuleName("RULE-011", "symbol_blocks", "Blocked symbols"),
    RuleName("RULE-012", "trade_management", "Trade management"),
    RuleName("RULE-013", "daily_realized_profit", "Daily realized profit"),
    RuleName("RULE-014", "daily_total_loss", "Daily total loss"),
    RuleName("RULE-015", "profit_give_back", "Profit give-back"),
    RuleName("RULE-016", "weekly_loss", "Weekly loss"),
    RuleName("RULE-017", "consecutive_losses", "Consecutive losses"),
    RuleName("RULE-018", "trailing_drawdown", "Trailing drawdown"),
    RuleName("RULE-019", "losing_position_adds", "Adds to a losing position"),
    RuleName("RULE-020", "scheduled_flatten", "Scheduled flatten"),
)

RULE_BY_KEY: Final = {rule.key: rule for rule in RULE_NAMES}
RULE_BY_ID: Final = {rule.rule_id: rule for rule in RULE_NAMES}

MANUAL_RULE_ID: Final = "MANUAL"
"""`rule_id` of lockouts set by the trader or the admin rather than by a rule."""
