"""All rules of an account, by their keys in risk_config.yaml.

The settings of each rule are in a model of its own, in `shared.rule_config_pnl`, `shared.rule_config_positions` and
`shared.rule_config_times`. A model says of each of its settings what it means, its unit, its bounds and which change
weakens it (`shared.config_fields.setting`).
"""

from collections.abc import Iterator

from pydantic import model_validator

from shared.config_fields import RuleConfig, Settings
from shared.rule_config_pnl import (
    DailyRealizedLoss,
    DailyRealizedProfit,
    DailyTotalLoss,
    DailyUnrealizedLoss,
    MaxUnrealizedProfit,
    ProfitGiveBack,
    TrailingDrawdown,
    WeeklyLoss,
)
from shared.rule_config_positions import (
    LosingPositionAdds,
    MaxContracts,
    MaxContractsPerInstrument,
    NoStopLossGrace,
    SymbolBlocks,
    TradeManagement,
)
from shared.rule_config_times import (
    AuthLossGuard,
    ConsecutiveLosses,
    CooldownAfterLoss,
    ScheduledFlatten,
    SessionBlockOutside,
    TradeFrequencyLimit,
)


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
