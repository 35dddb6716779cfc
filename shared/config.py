"""The configuration: risk_config.yaml, accounts.yaml and holidays.yaml as immutable Pydantic models.

Keys are exactly those of the files. This module is what the rest of the program imports: risk_config.yaml as a whole is
here; its rules (`shared.rule_config`), accounts.yaml (`shared.accounts_config`) and holidays.yaml
(`shared.holiday_calendar`) are re-exported. Reading the files is the work of `daemon.config_loader`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from shared.accounts_config import AccountsConfig, GatewayConfig, LoginConfig
from shared.config_fields import (
    DAYS,
    Day,
    Flag,
    RuleConfig,
    Settings,
    TimeOfDay,
    TimeZone,
    Whole,
    error_detail,
    setting,
)
from shared.holiday_calendar import Holiday, HolidayCalendar
from shared.loopback import is_loopback_host
from shared.rule_config import RULE_IDS, RULE_MODELS, RulesConfig
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
    AutoBreakeven,
    LosingPositionAdds,
    MaxContracts,
    MaxContractsPerInstrument,
    NoStopLossGrace,
    SymbolBlocks,
    TradeManagement,
    TrailingStop,
)
from shared.rule_config_times import (
    AuthLossGuard,
    ConsecutiveLosses,
    CooldownAfterLoss,
    GlobalSession,
    InstrumentSessions,
    LossThreshold,
    ScheduledFlatten,
    SessionBlockOutside,
    SessionWindow,
    TradeFrequencyCooldowns,
    TradeFrequencyLimit,
    TradeFrequencyLimits,
)
from shared.symbols import ID_ROOTS

__all__ = [
    "DAYS",
    "ID_ROOTS",
    "RULE_IDS",
    "RULE_MODELS",
    "AccountOverride",
    "AccountsConfig",
    "AdminUnlock",
    "AuthLossGuard",
    "AutoBreakeven",
    "ConsecutiveLosses",
    "CooldownAfterLoss",
    "DailyRealizedLoss",
    "DailyRealizedProfit",
    "DailyTotalLoss",
    "DailyUnrealizedLoss",
    "Day",
    "GatewayConfig",
    "GlobalSession",
    "Holiday",
    "HolidayCalendar",
    "InstrumentSessions",
    "IpcConfig",
    "LoggingConfig",
    "LoginConfig",
    "LosingPositionAdds",
    "LossThreshold",
    "MaxContracts",
    "MaxContractsPerInstrument",
    "MaxUnrealizedProfit",
    "NoStopLossGrace",
    "PolicyConfig",
    "ProfitGiveBack",
    "ResetConfig",
    "RiskConfig",
    "RuleConfig",
    "RulesConfig",
    "ScheduledFlatten",
    "SessionBlockOutside",
    "SessionWindow",
    "SymbolBlocks",
    "TradeFrequencyCooldowns",
    "TradeFrequencyLimit",
    "TradeFrequencyLimits",
    "TradeManagement",
    "TrailingDrawdown",
    "TrailingStop",
    "WeeklyLoss",
    "merge_keys",
]

DEFAULT_ZONE = "America/New_York"


class ResetConfig(Settings):
    """When a trading day ends and the next begins."""

    # Any change waits: later on the clock can be sooner from now (17:00 -> 17:02, asked for at 17:01).
    time: Annotated[TimeOfDay, setting("Reset at", "Time of day at which a trading day ends.", looser="any")] = dt.time(
        17
    )
    timezone: Annotated[TimeZone, setting("Time zone", "Zone of the reset time.", looser="any")] = DEFAULT_ZONE


class AdminUnlock(Settings):
    """Whether, and after how long, an administrator may end a lockout early."""

    allowed: Annotated[
        Flag, setting("Unlock allowed", "Whether an administrator may end a lockout early.", looser="higher")
    ] = True
    delay_minutes: Annotated[
        Whole,
        setting(
            "Delay", "Minutes until an early unlock takes effect.", unit="minutes", looser="lower", ge=0, le=10_080
        ),
    ] = 15


class PolicyConfig(Settings):
    """How protection may be weakened, and how P&L is counted."""

    loosen: Annotated[
        Literal["next_reset", "immediately"],
        setting(
            "Weakening takes effect",
            "When a change that weakens the protection takes effect.",
            looser="any",
            stricter_than=[("next_reset", "immediately")],
        ),
    ] = "next_reset"
    admin_unlock: AdminUnlock = AdminUnlock()
    # Any change waits: net reaches a loss limit sooner, gross a profit target.
    pnl_basis: Annotated[
        Literal["net", "gross"],
        setting("P&L counted", "net: after fees and commissions; gross: before them.", looser="any"),
    ] = "net"


def _loopback(value: object) -> str:
    if is_loopback_host(str(value)):
        return str(value)
    raise PydanticCustomError("loopback", "must be this machine itself: write 127.0.0.1")


class IpcConfig(Settings):
    """Where the daemon listens for its own programs; never the network."""

    host: Annotated[str, BeforeValidator(_loopback), setting("Host", "A loopback address.", looser="neutral")] = (
        "127.0.0.1"
    )
    port: Annotated[Whole, setting("Port", "TCP port; 0 means any free one.", looser="neutral", ge=0, le=65_535)] = 5555


def _log_level(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class LoggingConfig(Settings):
    """What is logged and how long it is kept."""

    level: Annotated[
        Literal["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        BeforeValidator(_log_level),
        setting("Level", "Least important messages that are written.", looser="neutral"),
    ] = "INFO"
    retention_days: Annotated[
        Whole, setting("Kept for", "Days log files are kept.", unit="days", looser="neutral", ge=1, le=3650)
    ] = 30


class AccountOverride(Settings):
    """What differs for one account: parts of `RulesConfig`, as written. See `RiskConfig.rules_for`."""

    rules: dict[str, dict[str, Any]] = Field(default_factory=dict)


def merge_keys(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``over`` laid over it, mapping by mapping; lists are replaced, None removes a key.

    A key that is in ``base`` in upper case only (a symbol) is found in any case.
    """
    merged = dict(base)
    for written, value in over.items():
        key = written
        if written not in merged and isinstance(written, str) and written.strip().upper() in merged:
            key = written.strip().upper()
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge_keys(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def _has_path(tree: object, path: tuple[int | str, ...]) -> bool:
    for step in path:
        if not isinstance(tree, Mapping) or step not in tree:
            return False
        tree = tree[step]
        if isinstance(tree, list | tuple):
            return True
    return True


class RiskConfig(Settings):
    """risk_config.yaml."""

    version: Literal[1] = 1
    reset: ResetConfig = ResetConfig()
    policy: PolicyConfig = PolicyConfig()
    ipc: IpcConfig = IpcConfig()
    logging: LoggingConfig = LoggingConfig()
    rules: RulesConfig = RulesConfig()
    accounts: dict[Annotated[int, Field(gt=0)], AccountOverride] = Field(default_factory=dict)

    def rules_for(self, account_id: int) -> RulesConfig:
        """The rules of one account: its overrides merged key by key over `rules`."""
        override = self.accounts.get(account_id)
        if override is None:
            return self.rules
        return RulesConfig.model_validate(merge_keys(_written(self.rules), override.rules))

    @model_validator(mode="wrap")
    @classmethod
    def _check_overrides(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate every account's merged rules too, and report those errors at the override's own path."""
        errors: list[InitErrorDetails] = []
        config: Self | None = None
        known: set[tuple[int | str, ...]] = set()
        try:
            config = handler(data)
        except ValidationError as error:
            known = {tuple(entry["loc"])[1:] for entry in error.errors() if entry["loc"][:1] == ("rules",)}
            errors += [error_detail(entry, tuple(entry["loc"])) for entry in error.errors(include_url=False)]
        if config is not None:
            base: Any = _written(config.rules)
            accounts: Any = {number: override.rules for number, override in config.accounts.items()}
        else:
            base, accounts = _raw_rules(data)
        reset = config.reset if config is not None else data.get("reset", {}) if isinstance(data, Mapping) else {}
        errors += _flatten_errors(("rules",), base, base, reset)
        for number, rules in accounts.items():
            errors += _override_errors(number, base, rules, known)
            errors += _flatten_errors(("accounts", str(number), "rules"), base, rules, reset)
        if errors or config is None:
            raise ValidationError.from_exception_data(cls.__name__, errors, hide_input=True)
        return config


def _written(rules: RulesConfig) -> dict[str, Any]:
    return rules.model_dump(exclude_none=True)


def _raw_rules(data: object) -> tuple[dict[str, Any], dict[object, dict[str, Any]]]:
    """`rules` and each account's overriding rules from input that did not validate, as far as they are mappings."""
    if not isinstance(data, Mapping):
        return {}, {}
    base = data.get("rules")
    accounts = data.get("accounts")
    found: dict[object, dict[str, Any]] = {}
    for number, override in accounts.items() if isinstance(accounts, Mapping) else ():
        rules = override.get("rules") if isinstance(override, Mapping) else None
        if isinstance(rules, Mapping):
            found[number] = dict(rules)
    return (dict(base) if isinstance(base, Mapping) else {}), found


def _override_errors(
    number: object, base: dict[str, Any], rules: dict[str, Any], known: set[tuple[int | str, ...]]
) -> list[InitErrorDetails]:
    """Errors of one account's merged rules, at the path of the override; without those ``known`` from `rules`."""
    mappings = {key: value for key, value in rules.items() if isinstance(value, Mapping)}
    details = []
    try:
        RulesConfig.model_validate(merge_keys(base, mappings))
    except ValidationError as error:
        for entry in error.errors(include_url=False):
            loc = tuple(entry["loc"])
            own = _has_path(mappings, loc)
            if loc[0] in mappings and (own or loc not in known):
                # An error between two keys, or at one that is inherited, is the override's: point at its rule.
                place = loc if own or entry["type"] in {"missing", "one_action"} else loc[:1]
                details.append(error_detail(entry, ("accounts", str(number), "rules", *place)))
    return details


def _flatten_errors(
    path: tuple[str, ...], base: dict[str, Any], rules: dict[str, Any], reset: object
) -> Iterator[InitErrorDetails]:
    """A scheduled flatten at the time of the reset: the day that begins there would be locked from its start."""
    chosen = rules.get("scheduled_flatten")
    if not isinstance(chosen, Mapping) or not {"time", "timezone", "enabled"} & chosen.keys():
        return
    over = {} if rules is base else {"scheduled_flatten": chosen}
    try:
        ends = ResetConfig.model_validate(reset)
        flat = ScheduledFlatten.model_validate(merge_keys(base, over)["scheduled_flatten"])
    except ValidationError:
        return  # reported for itself
    if flat.enabled and flat.falls_on(ends.time, ends.timezone):
        kind = PydanticCustomError(
            "flat_at_reset",
            "is the time of the daily reset ({reset}), so the account would be locked all day; choose an earlier time",
            {"reset": f"{ends.time:%H:%M} {ends.timezone}"},
        )
        yield InitErrorDetails(type=kind, loc=(*path, "scheduled_flatten", "time"), input=f"{flat.time:%H:%M}")
