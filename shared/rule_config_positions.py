"""Settings of the rules about what is held and how: sizes, symbols, stops, additions to a loser.

Sizes are in contracts, durations in whole seconds, distances from a price in ticks.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from shared.config_fields import (
    Flag,
    RuleConfig,
    Settings,
    Symbol,
    Symbols,
    UniqueSymbolKeys,
    Whole,
    setting,
)
from shared.symbols import exchange_root

MAX_CONTRACTS = 10_000

ContractLimit = Annotated[Whole, Field(ge=0, le=MAX_CONTRACTS)]


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


class LosingPositionAdds(RuleConfig):
    """Limit on adding to a losing position."""

    rule_id = "RULE-019"
    title = "Adding to a loser"

    max_adds: Annotated[
        Whole,
        setting("Adds", "Orders that may enlarge a losing position.", unit="adds", looser="higher", ge=0, le=1000),
    ]
