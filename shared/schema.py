"""The tables of `state.db` and of its replica `public/view.db`.

In the file, times are fixed-width ISO-8601 UTC text ("2026-11-21T07:19:46.000000Z", which sorts as the times do),
money and prices are decimal text, flags are 0/1, and free-form values are JSON text. In Python they are integers:
microseconds since the epoch, micro-dollars and nanos (price * 1e9); the types below convert, exactly and both ways.

Column names that other programs may rely on are listed in the interface description; changing one needs a migration.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import orjson
from sqlalchemy import Dialect, Index, Integer, Table, Text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

SCHEMA_REVISION: Final = "0001"
"""The Alembic revision these tables belong to."""

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - naive on purpose: the text carries the Z
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST: Final = -62_135_596_800_000_000
_LATEST: Final = 253_402_300_799_999_999


def time_text(at: int) -> str:
    """Microseconds since the epoch to fixed-width ISO-8601 UTC text; times outside the years 1 to 9999 are clamped."""
    moment = _EPOCH + timedelta(microseconds=min(max(at, _EARLIEST), _LATEST))
    return moment.isoformat(timespec="microseconds") + "Z"


def time_value(text: str) -> int:
    """The reverse of `time_text`. Raises ValueError when the text is no ISO-8601 time."""
    return (datetime.fromisoformat(text).replace(tzinfo=None) - _EPOCH) // _MICROSECOND


def decimal_text(value: int, places: int, least: int) -> str:
    """An integer in units of 10**-places as decimal text with at least `least` and no superfluous decimals."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**places)
    digits = f"{fraction:0{places}d}".rstrip("0").ljust(least, "0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def decimal_value(text: str, places: int) -> int:
    """The reverse of `decimal_text`. Raises ValueError for anything but a plain decimal number of at most `places`."""
    negative = text.startswith("-")
    whole, _, fraction = text.removeprefix("-").partition(".")
    if not whole.isdecimal() or len(fraction) > places or (fraction and not fraction.isdecimal()):
        raise ValueError(f"not a decimal number with at most {places} decimals: {text!r}")
    value = int(whole + fraction.ljust(places, "0"))
    return -value if negative else value


def money_text(micros: int) -> str:
    """Micro-dollars as "-510.74"."""
    return decimal_text(micros, 6, 2)


def money_value(text: str) -> int:
    """Dollars as decimal text to micro-dollars."""
    return decimal_value(text, 6)


def price_text(nanos: int) -> str:
    """Nanos as "21000.25"."""
    return decimal_text(nanos, 9, 0)


def price_value(text: str) -> int:
    """A price as decimal text to nanos."""
    return decimal_value(text, 9)


def json_text(value: object) -> str:
    """A JSON-able value as compact text with sorted keys; integer keys become strings."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS).decode()


class UtcTime(TypeDecorator[int]):
    """Microseconds since the epoch in Python, ISO-8601 text in the file."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect | None) -> str | None:
        return None if value is None else time_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> int | None:
        return None if value is None else time_value(value)


class Money(TypeDecorator[int]):
    """Micro-dollars in Python, decimal text in the file."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect | None) -> str | None:
        return None if value is None else money_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> int | None:
        return None if value is None else money_value(value)


class Price(TypeDecorator[int]):
    """Nanos in Python, decimal text in the file."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect | None) -> str | None:
        return None if value is None else price_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> int | None:
        return None if value is None else price_value(value)


class Json(TypeDecorator[Any]):
    """A JSON-able value in Python, JSON text in the file."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect | None) -> str:
        return json_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect | None) -> Any:
        return None if value is None else orjson.loads(value)


class Flag(TypeDecorator[bool]):
    """True or False in Python, 1 or 0 in the file."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: bool | None, dialect: Dialect | None) -> int | None:
        return None if value is None else int(value)

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> bool | None:
        return None if value is None else bool(value)


class _Row(SQLModel):
    """What all tables share: STRICT typing, so that SQLite itself refuses a binary float where text belongs."""

    __table_args__: ClassVar[Any] = {"sqlite_strict": True}


def _text(**options: Any) -> Any:
    return Field(sa_type=Text, **options)


class LockoutRow(_Row, table=True):
    """One lockout; active while `cleared_at` is null. `baseline`: signed size each contract may keep (cooldowns)."""

    __tablename__ = "lockouts"
    __table_args__ = (Index("lockouts_by_account", "account_id", "cleared_at"), {"sqlite_strict": True})

    id: int = Field(primary_key=True)
    account_id: int
    rule_id: str = _text()
    kind: str = _text()
    symbol: str | None = _text(default=None)
    reason: str = _text()
    locked_at: int = Field(sa_type=UtcTime)
    expires_at: int | None = Field(default=None, sa_type=UtcTime)
    cleared_at: int | None = Field(default=None, sa_type=UtcTime)
    cleared_by: str | None = _text(default=None)
    cause: str = _text(default="")
    baseline: dict[str, int] = Field(default_factory=dict, sa_type=Json)
    clear_due_at: int | None = Field(default=None, sa_type=UtcTime)
    clear_by: str | None = _text(default=None)
    clear_reason: str | None = _text(default=None)


class EnforcementRow(_Row, table=True):
    """One enforcement: what was done, why, when it began and when a read of the gateway showed it done.

    `result` null: still being worked on. `action_id` is the core's number of an action, `lockout_id` the lockout that
    was set or cleared. `size` is what was to be taken off (contracts), `target` what may stay, `held` the signed size
    then held.
    """

    __tablename__ = "enforcement_log"
    __table_args__ = (
        Index("enforcement_log_by_account", "account_id", "id"),
        Index("enforcement_log_by_result", "result"),
        {"sqlite_strict": True},
    )

    id: int = Field(primary_key=True)
    account_id: int
    rule_id: str = _text()
    action: str = _text()
    contract_id: str | None = _text(default=None)
    order_id: int | None = None
    size: int | None = None
    reason: str = _text()
    triggered_at: int = Field(sa_type=UtcTime)
    confirmed_at: int | None = Field(default=None, sa_type=UtcTime)
    attempts: int = 0
    result: str | None = _text(default=None)
    action_id: int | None = None
    lockout_id: int | None = None
    target: int | None = None
    held: int | None = None
    stop_price: int | None = Field(default=None, sa_type=Price)
    settled_at: int | None = Field(default=None, sa_type=UtcTime)


class DailyPnlRow(_Row, table=True):
    """Realized P&L of a trading day, named by the date of the reset that ends it."""

    __tablename__ = "daily_pnl"

    account_id: int = Field(primary_key=True)
    trading_day: str = _text(primary_key=True)
    realized_pnl: int = Field(sa_type=Money)
    trade_count: int
    updated_at: int = Field(sa_type=UtcTime)


class ContractRow(_Row, table=True):
    """A contract's data as the gateway gave it; `tick_value` is dollars a tick for one contract."""

    __tablename__ = "contract_cache"

    contract_id: str = _text(primary_key=True)
    name: str = _text()
    tick_size: int = Field(sa_type=Price)
    tick_value: int = Field(sa_type=Money)
    symbol_id: str = _text(default="")
    description: str = _text(default="")
    updated_at: int = Field(sa_type=UtcTime)


class TradeRow(_Row, table=True):
    """One half-turn trade. `profit_and_loss` null: an opening one. `fees`: fees and commissions, a positive cost."""

    __tablename__ = "trade_history"
    __table_args__ = (Index("trade_history_by_time", "creation_timestamp"), {"sqlite_strict": True})

    account_id: int = Field(primary_key=True)
    id: int = Field(primary_key=True)
    contract_id: str = _text()
    creation_timestamp: int = Field(sa_type=UtcTime)
    price: int = Field(sa_type=Price)
    profit_and_loss: int | None = Field(default=None, sa_type=Money)
    fees: int = Field(sa_type=Money)
    side: int
    size: int
    voided: bool = Field(sa_type=Flag)
    order_id: int


class SessionStateRow(_Row, table=True):
    """What a rule remembers of an account across restarts (peak equity, clock-in times ...)."""

    __tablename__ = "session_state"

    account_id: int = Field(primary_key=True)
    key: str = _text(primary_key=True)
    value: Any = Field(sa_type=Json)
    updated_at: int = Field(sa_type=UtcTime)


class AccountRow(_Row, table=True):
    """An account as last listed by the gateway; `login` is the user name it was listed for."""

    __tablename__ = "accounts"

    account_id: int = Field(primary_key=True)
    login: str = _text()
    name: str = _text()
    can_trade: bool = Field(sa_type=Flag)
    balance: int | None = Field(default=None, sa_type=Money)
    updated_at: int = Field(sa_type=UtcTime)


class PositionRow(_Row, table=True):
    """An open position in the gateway's fields: `type` 1 long, 2 short; `size` is positive contracts."""

    __tablename__ = "positions"

    account_id: int = Field(primary_key=True)
    contract_id: str = _text(primary_key=True)
    id: int
    creation_timestamp: int = Field(sa_type=UtcTime)
    type: int
    size: int
    average_price: int = Field(sa_type=Price)
    updated_at: int = Field(sa_type=UtcTime)


class OrderRow(_Row, table=True):
    """An order in the gateway's fields and codes (`shared.models`)."""

    __tablename__ = "orders"

    account_id: int = Field(primary_key=True)
    id: int = Field(primary_key=True)
    contract_id: str = _text()
    symbol_id: str | None = _text(default=None)
    creation_timestamp: int = Field(sa_type=UtcTime)
    update_timestamp: int = Field(sa_type=UtcTime)
    status: int
    type: int
    side: int
    size: int
    limit_price: int | None = Field(default=None, sa_type=Price)
    stop_price: int | None = Field(default=None, sa_type=Price)
    trail_price: int | None = Field(default=None, sa_type=Price)
    fill_volume: int
    filled_price: int | None = Field(default=None, sa_type=Price)
    custom_tag: str | None = _text(default=None)
    parent_order_id: int | None = None
    updated_at: int = Field(sa_type=UtcTime)


class ResetScheduleRow(_Row, table=True):
    """The trading day an account is in and the reset that ends it."""

    __tablename__ = "reset_schedule"

    account_id: int = Field(primary_key=True)
    trading_day: str = _text()
    last_reset_at: int | None = Field(default=None, sa_type=UtcTime)
    next_reset_at: int | None = Field(default=None, sa_type=UtcTime)


class DaemonStateRow(_Row, table=True):
    """The daemon's own values: clock high-water mark, head of the audit chain ... Not in the replica."""

    __tablename__ = "daemon_state"

    key: str = _text(primary_key=True)
    value: Any = Field(sa_type=Json)


class AuditRow(_Row, table=True):
    """One admin action. `hash` is SHA-256 over `previous_hash` and the row, so that no row can change unnoticed."""

    __tablename__ = "audit_log"

    id: int = Field(primary_key=True)
    at: int = Field(sa_type=UtcTime)
    actor: str = _text()
    action: str = _text()
    params: Any = Field(sa_type=Json)
    result: str = _text()
    previous_hash: str = _text()
    hash: str = _text()


def table_of(model: Any) -> Table:
    """The SQLAlchemy table behind a model of this module."""
    table: Table = model.__table__
    return table


TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in map(
        table_of,
        (
            LockoutRow,
            EnforcementRow,
            DailyPnlRow,
            ContractRow,
            TradeRow,
            SessionStateRow,
            AccountRow,
            PositionRow,
            OrderRow,
            ResetScheduleRow,
            DaemonStateRow,
            AuditRow,
        ),
    )
}
"""Every table of `state.db` by name."""

PRIVATE_TABLES: Final = frozenset({"daemon_state", "audit_log"})
"""Tables the replica does not have."""
