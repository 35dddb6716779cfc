"""The rules, one file each. A new rule is a new file and a line in `RULES`."""

from __future__ import annotations

from daemon.core.rule import Rule
from daemon.core.rules.auth_loss_guard import AuthLossGuardRule
from daemon.core.rules.cooldown_after_loss import CooldownAfterLossRule
from daemon.core.rules.daily_realized_loss import DailyRealizedLossRule
from daemon.core.rules.daily_realized_profit import DailyRealizedProfitRule
from daemon.core.rules.max_contracts import MaxContractsRule
from daemon.core.rules.max_contracts_per_instrument import MaxContractsPerInstrumentRule
from daemon.core.rules.symbol_blocks import SymbolBlocksRule
from daemon.core.rules.trade_frequency_limit import TradeFrequencyLimitRule
from shared.config import RulesConfig

RULES: tuple[type[Rule], ...] = (
    MaxContractsRule,
    MaxContractsPerInstrumentRule,
    DailyRealizedLossRule,
    TradeFrequencyLimitRule,
    CooldownAfterLossRule,
    AuthLossGuardRule,
    SymbolBlocksRule,
    DailyRealizedProfitRule,
)


def build_rules(config: RulesConfig) -> list[Rule]:
    """The rules that are on, in the order of their ids."""
    enabled = dict(config.enabled())
    return [rule(enabled[rule.key]) for rule in RULES if rule.key in enabled]


def rules_not_built(config: RulesConfig) -> list[str]:
    """Keys of rules that are switched on but which this version does not enforce."""
    built = {rule.key for rule in RULES}
    return [key for key, _ in config.enabled() if key not in built]
