"""What the daemon says, as frozen values: the rows of the socket's results and of the replica's tables.

Money is `Decimal` dollars, prices are `Decimal`, times are aware `datetime` in UTC. Reading is forgiving on purpose: an
unknown member is ignored and a missing one is None, so that a newer daemon never blanks an older window. None means
"not known" and is shown as such, never as zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gui.log_records import Enforcement, Kind, Lockout, Pending, Warn
from gui.reading import Row, flag, moment, money, read_side, root_of, rule_title, text, whole
from shared.models import OrderStatus, OrderType, PositionType, Side

__all__ = [
    "Account",
    "CurvePoint",
    "DeskTime",
    "Enforcement",
    "Health",
    "Kind",
    "Lockout",
    "Order",
    "Pending",
    "Pnl",
    "Position",
    "Row",
    "Rule",
    "Strain",
    "Trade",
    "Warn",
    "flag",
    "moment",
    "money",
    "read_side",
    "root_of",
    "rule_title",
    "text",
    "whole",
]


@dataclass(frozen=True, slots=True)
class Account:
    """One row of `get_accounts`."""

    account_id: int
    name: str
    login: str = ""
    balance: Decimal | None = None
    can_trade: bool | None = None
    connected: bool = False
    monitored: bool = False
    locked: bool = False
    locked_until: datetime | None = None

    @staticmethod
    def read(row: Row) -> Account | None:
        account_id = whole(row.get("account_id", row.get("id")))
        if account_id is None:
            return None
        can_trade = row.get("can_trade")
        return Account(
            account_id=account_id,
            name=text(row.get("name")) or str(account_id),
            login=text(row.get("login", row.get("username"))),
            balance=money(row.get("balance")),
            can_trade=None if can_trade is None else bool(can_trade),
            connected=flag(row.get("connected"), unknown=False),
            monitored=flag(row.get("monitored"), unknown=False),
            locked=flag(row.get("lockout"), unknown=False),
            locked_until=moment(row.get("locked_until")),
        )


@dataclass(frozen=True, slots=True)
class Health:
    """What the trader's window shows of the answer of `get_status`, less its accounts."""

    status: str
    version: str = ""
    clock_suspect: bool = False
    now: datetime | None = None
    timezone: str | None = None
    pending_config: int = 0
    problems: tuple[str, ...] = ()
    """Why the daemon is not healthy, one sentence each."""

    @staticmethod
    def read(row: Row) -> Health:
        reset = row.get("reset")
        zone = row.get("timezone") or (reset.get("timezone") if isinstance(reset, Mapping) else None)
        return Health(
            status=text(row.get("status")) or "starting",
            version=text(row.get("version")),
            clock_suspect=flag(row.get("clock_suspect"), unknown=False),
            now=moment(row.get("now")),
            timezone=text(zone) or None,
            pending_config=whole(row.get("pending_config")) or 0,
            problems=_sentences(row.get("problems")),
        )


def _sentences(value: object) -> tuple[str, ...]:
    return tuple(text(item) for item in value if text(item)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class Pnl:
    """The answer of `get_pnl`: the trading day's figures in dollars. `unrealized` None: no fresh quote."""

    realized: Decimal | None = None
    unrealized: Decimal | None = None
    trade_count: int | None = None
    trading_day: str = ""
    next_reset: datetime | None = None

    @property
    def total(self) -> Decimal | None:
        """Realized plus unrealized; None while either is not known."""
        if self.realized is None or self.unrealized is None:
            return None
        return self.realized + self.unrealized

    @staticmethod
    def read(row: Row) -> Pnl:
        return Pnl(
            realized=money(row.get("realized", row.get("realized_pnl"))),
            unrealized=money(row.get("unrealized")),
            trade_count=whole(row.get("trade_count")),
            trading_day=text(row.get("trading_day")),
            next_reset=moment(row.get("next_reset")),
        )


@dataclass(frozen=True, slots=True)
class Position:
    """One open position. `size` is positive, `side` gives the direction."""

    key: int | str
    contract_id: str
    symbol: str
    name: str
    side: PositionType | None
    size: int
    average_price: Decimal | None
    unrealized: Decimal | None = None
    quote_age_ms: int | None = None
    opened_at: datetime | None = None

    @property
    def stale(self) -> bool:
        """No quote for 10 s: the unrealized figure is not to be trusted."""
        return self.quote_age_ms is None or self.quote_age_ms > 10_000

    def aged(self, seconds: float) -> Position:
        """The same, so many seconds later without a quote."""
        return (
            self if self.quote_age_ms is None else replace(self, quote_age_ms=self.quote_age_ms + int(seconds * 1000))
        )

    @staticmethod
    def read(row: Row) -> Position | None:
        contract = text(row.get("contract_id"))
        key = whole(row.get("id"))
        if not contract and key is None:
            return None
        symbol = text(row.get("symbol")) or root_of(contract)
        kind = whole(row.get("type"))
        return Position(
            key=contract or str(key),
            contract_id=contract,
            symbol=symbol,
            name=text(row.get("display_name", row.get("name"))) or symbol,
            side=PositionType(kind) if kind is not None and kind in PositionType else None,
            size=whole(row.get("size")) or 0,
            average_price=money(row.get("average_price")),
            unrealized=money(row.get("unrealized")),
            quote_age_ms=whole(row.get("quote_age_ms")),
            opened_at=moment(row.get("creation_timestamp", row.get("created_at"))),
        )


@dataclass(frozen=True, slots=True)
class Order:
    """One working order."""

    order_id: int | str
    contract_id: str
    symbol: str
    name: str
    side: Side | None
    type: OrderType
    status: OrderStatus
    size: int
    filled: int = 0
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    created_at: datetime | None = None

    @staticmethod
    def read(row: Row) -> Order | None:
        order_id = whole(row.get("id", row.get("order_id")))
        if order_id is None:
            return None
        contract = text(row.get("contract_id"))
        symbol = text(row.get("symbol")) or root_of(contract)
        kind, status = whole(row.get("type")), whole(row.get("status"))
        return Order(
            order_id=order_id,
            contract_id=contract,
            symbol=symbol,
            name=text(row.get("display_name", row.get("name"))) or symbol,
            side=read_side(row.get("side")),
            type=OrderType(kind) if kind is not None and kind in OrderType else OrderType.UNKNOWN,
            status=OrderStatus(status) if status is not None and status in OrderStatus else OrderStatus.NONE,
            size=whole(row.get("size")) or 0,
            filled=whole(row.get("fill_volume", row.get("filled_size"))) or 0,
            limit_price=money(row.get("limit_price")),
            stop_price=money(row.get("stop_price")),
            trail_price=money(row.get("trail_price")),
            created_at=moment(row.get("creation_timestamp", row.get("created_at"))),
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """One fill of the day. `pnl` None: an opening fill."""

    trade_id: int
    contract_id: str
    symbol: str
    side: Side | None
    size: int
    price: Decimal | None
    pnl: Decimal | None
    fees: Decimal | None
    created_at: datetime | None
    voided: bool = False

    @property
    def net(self) -> Decimal | None:
        """What the fill added to the day: P&L less fees; an opening fill costs its fees."""
        if self.pnl is None and self.fees is None:
            return None
        return (self.pnl or Decimal(0)) - (self.fees or Decimal(0))

    @staticmethod
    def read(row: Row) -> Trade | None:
        trade_id = whole(row.get("id", row.get("trade_id")))
        if trade_id is None:
            return None
        contract = text(row.get("contract_id"))
        fees, commissions = money(row.get("fees")), money(row.get("commissions"))
        return Trade(
            trade_id=trade_id,
            contract_id=contract,
            symbol=text(row.get("symbol")) or root_of(contract),
            side=read_side(row.get("side")),
            size=whole(row.get("size")) or 0,
            price=money(row.get("price")),
            pnl=money(row.get("pnl", row.get("profit_and_loss"))),
            fees=fees if commissions is None else (fees or Decimal(0)) + commissions,
            created_at=moment(row.get("created_at", row.get("creation_timestamp"))),
            voided=flag(row.get("voided"), unknown=False),
        )


class Strain(StrEnum):
    """How near a rule is to being broken."""

    CALM = "calm"
    NEAR = "near"
    FULL = "full"
    """All that is allowed is used, which is allowed: two contracts held of two."""
    REACHED = "reached"


WARN_SHARE = 0.75
FULL_IS_ALLOWED = frozenset({"max_contracts", "max_contracts_per_instrument"})
"""Rules that are broken above their limit, not at it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of `get_rules`. `share` is the part of the limit used (0 to 1, can pass 1); None: not measured."""

    rule_id: str
    key: str
    title: str
    enabled: bool
    limit: str = ""
    value: str = ""
    share: float | None = None
    unit: str = ""
    sentence: str = ""
    locked: bool = False
    next_reset: datetime | None = None
    failed: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def strain(self) -> Strain:
        """What the share used means for this rule; CALM for one that is off or not measured."""
        if not self.enabled or self.share is None:
            return Strain.CALM
        if self.key in FULL_IS_ALLOWED:
            return Strain.CALM if self.share < 1 else Strain.FULL if self.share == 1 else Strain.REACHED
        if self.share >= 1:
            return Strain.REACHED
        return Strain.NEAR if self.share >= WARN_SHARE else Strain.CALM

    @staticmethod
    def read(row: Row) -> Rule | None:
        rule_id = text(row.get("rule_id"))
        if not rule_id:
            return None
        share = money(row.get("share"))
        params = row.get("params")
        return Rule(
            rule_id=rule_id,
            key=text(row.get("key")),
            title=text(row.get("title")) or text(row.get("key")) or rule_id,
            enabled=flag(row.get("enabled"), unknown=False),
            limit=text(row.get("limit")),
            value=text(row.get("value")),
            share=None if share is None else float(share),
            unit=text(row.get("unit")),
            sentence=text(row.get("sentence")),
            locked=flag(row.get("locked"), unknown=False),
            next_reset=moment(row.get("next_reset")),
            failed=flag(row.get("failed"), unknown=False),
            params=params if isinstance(params, Mapping) else {},
        )


@dataclass(frozen=True, slots=True)
class DeskTime:
    """One stretch of `get_sessions`: when the trader came and went (last sign of him), first and last fill."""

    clock_in: datetime | None
    clock_out: datetime | None
    first_trade: datetime | None
    last_trade: datetime | None

    @staticmethod
    def read(row: Row) -> DeskTime:
        return DeskTime(
            clock_in=moment(row.get("clock_in")),
            clock_out=moment(row.get("clock_out")),
            first_trade=moment(row.get("first_trade")),
            last_trade=moment(row.get("last_trade")),
        )


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One point of the day's P&L curve in dollars."""

    at: datetime
    realized: Decimal
    total: Decimal | None

    @staticmethod
    def read(row: object) -> CurvePoint | None:
        if not isinstance(row, list | tuple) or len(row) < 2:
            return None
        at, realized = moment(row[0]), money(row[1])
        if at is None or realized is None:
            return None
        return CurvePoint(at, realized, money(row[2]) if len(row) > 2 else None)
