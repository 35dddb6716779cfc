"""The rules, one file each. A new rule is a new file and a line in `RULES`."""

from __future__ import annotations

from daemon.core.rule import Rule
from daemon.core.rules.auth_loss_guard import AuthLossGuardRule
from daemon.core.rules.consecutive_losses import ConsecutiveLossesRule
from daemon.core.rules.cooldown_after_loss import CooldownAfterLossRule
from daemon.core.rules.daily_realized_loss import DailyRealizedLossRule
from daemon.core.rules.daily_realized_profit import DailyRealizedProfitRule
from daemon.core.rules.daily_total_loss import DailyTotalLossRule
from daemon.core.rules.daily_unrealized_loss import DailyUnrealizedLossRule
from daemon.core.rules.losing_position_adds import LosingPositionAddsRule
from daemon.core.rules.max_contracts import MaxContractsRule
from daemon.core.rules.max_contracts_per_instrument import MaxContractsPerInstrumentRule
from daemon.core.rules.max_unrealized_profit import MaxUnrealizedProfitRule
from daemon.core.rules.no_stop_loss_grace import NoStopLossGraceRule
from daemon.core.rules.profit_give_back import ProfitGiveBackRule
from daemon.core.rules.scheduled_flatten import ScheduledFlattenRule
from daemon.core.rules.session_block_outside import SessionBlockOutsideRule
from daemon.core.rules.symbol_blocks import SymbolBlocksRule
from daemon.core.rules.trade_frequency_limit import TradeFrequencyLimitRule
from daemon.core.rules.trade_management import TradeManagementRule
from daemon.core.rules.trailing_drawdown import TrailingDrawdownRule
from daemon.core.rules.weekly_loss import WeeklyLossRule
from shared.config import RulesConfig

RULES: tuple[type[Rule], ...] = (
    MaxContractsRule,
    MaxContractsPerInstrumentRule,
    DailyRealizedLossRule,
    DailyUnrealizedLossRule,
    MaxUnrealizedProfitRule,
    TradeFrequencyLimitRule,
    CooldownAfterLossRule,
    NoStopLossGraceRule,
    SessionBlockOutsideRule,
    AuthLossGuardRule,
    SymbolBlocksRule,
    TradeManagementRule,
    DailyRealizedProfitRule,
    DailyTotalLossRule,
    ProfitGiveBackRule,
    WeeklyLossRule,
    ConsecutiveLossesRule,
    TrailingDrawdownRule,
    LosingPositionAddsRule,
    ScheduledFlattenRule,
)


def build_rules(config: RulesConfig) -> list[Rule]:
    """The rules that are on, in the order of their ids."""
    enabled = dict(config.enabled())
    return [rule(enabled[rule.key]) for rule in RULES if rule.key in enabled]


def rules_not_built(config: RulesConfig) -> list[str]:
    """Keys of rules that are switched on but which this version does not enforce."""
    built = {rule.key for rule in RULES}
    return [key for key, _ in config.enabled() if key not in built]
