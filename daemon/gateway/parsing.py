"""The gateway's JSON to the core's records. Pure; takes anything and raises nothing but `MalformedError`.

REST records and pushed payloads carry the same fields. Payloads come bare or wrapped as ``{"action": 1, "data": {…}}``.
Unknown fields are ignored, because new ones appear without notice. A record that cannot be understood is never turned
into a harmless one: the caller decides what an unknown position or order means (never 'flat', never 'gone').
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from daemon.core.events import Contract, OrderRecord, PositionRecord, Quote, TradeRecord
from daemon.core.units import from_iso, money_to_micros, price_to_nanos
from shared.models import OrderStatus, OrderType, PositionType, Side

_MAX_NESTING = 4
_MAX_INT = 2**63 - 1


class MalformedError(ValueError):
    """A record that cannot be understood. `contract_id` names its contract where that much is known."""

    def __init__(self, message: str, *, contract_id: str = "") -> None:
        super().__init__(message)
        self.contract_id = contract_id


@dataclass(slots=True, frozen=True)
class AccountRecord:
    """One account of a login.

    `can_trade` and `balance` (micro-dollars) are None when the message did not carry them.
    """

    account_id: int
    name: str
    can_trade: bool | None
    balance: int | None


def unwrap(payload: object, _depth: int = 0) -> Iterator[dict[str, Any]]:
    """The records in a pushed payload: bare, wrapped, or several of them in a list.

    Raises:
        MalformedError: something in it is no record.
    """
    if _depth > _MAX_NESTING:
        raise MalformedError("nested too deeply")
    if isinstance(payload, dict):
        inner = payload.get("data")
        if isinstance(inner, dict | list) and "id" not in payload:
            yield from unwrap(inner, _depth + 1)
        else:
            yield payload
    elif isinstance(payload, list | tuple):
        for item in payload:
            yield from unwrap(item, _depth + 1)
    else:
        raise MalformedError(f"expected a record, got {type(payload).__name__}")


def account_id_of(record: dict[str, Any]) -> int:
    """The account a pushed position, order or trade belongs to. Raises MalformedError."""
    return _integer(record, "accountId")


def parse_account(record: object) -> AccountRecord:
    """An entry of Account/search, or the payload of GatewayUserAccount. Raises MalformedError."""
    fields = _fields(record)
    can_trade = fields.get("canTrade")
    if can_trade is not None and not isinstance(can_trade, bool):
        raise MalformedError("canTrade is neither true nor false")
    name = fields.get("name")
    return AccountRecord(
        account_id=_integer(fields, "id"),
        name=name if isinstance(name, str) else "",
        can_trade=can_trade,
        balance=_money(fields, "balance"),
    )


def partial_account(record: object) -> AccountRecord | None:
    """What can be read of an account that `parse_account` cannot understand; None if it has no id."""
    fields = record if isinstance(record, dict) else {}
    account_id, can_trade, name = _as_integer(fields.get("id")), fields.get("canTrade"), _text_or(fields, "name")
    if account_id is None:
        return None
    try:
        balance = _money(fields, "balance")
    except MalformedError:
        balance = None
    return AccountRecord(account_id, name, can_trade if isinstance(can_trade, bool) else None, balance)


def parse_contract(record: object) -> Contract:
    """A contract of Contract/available or Contract/searchById.

    Raises MalformedError, also for a tick that is not positive.
    """
    fields = _fields(record)
    tick_size, tick_value = _price(fields, "tickSize"), _money(fields, "tickValue")
    if not tick_size or not tick_value or tick_size < 0 or tick_value < 0:
        raise MalformedError("tickSize and tickValue must be positive", contract_id=_text_or(fields, "id"))
    return Contract(
        contract_id=_text(fields, "id"),
        name=_text_or(fields, "name") or _text(fields, "id"),
        tick_size=tick_size,
        tick_value=tick_value,
        symbol_id=_text_or(fields, "symbolId"),
        description=_text_or(fields, "description"),
    )


def parse_position(record: object) -> PositionRecord:
    """A position, its size signed by `type`; size 0 is flat whatever the type says.

    Raises:
        MalformedError: among others when contracts are held but the direction is not long or short.
    """
    fields = _fields(record)
    contract_id = _text(fields, "contractId")
    try:
        size = _integer(fields, "size")
        if size:
            direction = _integer(fields, "type")
            if size < 0 or direction not in (PositionType.LONG, PositionType.SHORT):
                raise MalformedError(f"size {size} with type {direction}")
            if direction == PositionType.SHORT:
                size = -size
        return PositionRecord(
            contract_id=contract_id,
            size=size,
            average_price=_price(fields, "averagePrice") or 0,
            position_id=_integer_or(fields, "id", 0),
            created_at=_time_or(fields, "creationTimestamp", 0),
        )
    except MalformedError as error:
        raise MalformedError(str(error), contract_id=contract_id) from None


def unclear_position(record: object) -> PositionRecord | None:
    """What can be read of a position that `parse_position` cannot understand; None if it names no contract.

    Closing it needs the contract alone. A direction that cannot be read counts as long, a size that cannot as one
    contract, and the entry price is 0, which is none: no P&L can be judged by it.
    """
    fields = record if isinstance(record, dict) else {}
    contract_id = _text_or(fields, "contractId")
    if not contract_id:
        return None
    size = abs(_integer_or(fields, "size", 1)) or 1
    short = _as_integer(fields.get("type")) == PositionType.SHORT
    return PositionRecord(contract_id, -size if short else size, 0, position_id=_integer_or(fields, "id", 0))


def may_be_market_order(record: object) -> bool:
    """Whether an order that `parse_order` cannot understand may be one that trades at once, such as a close."""
    kind = _as_integer(record.get("type")) if isinstance(record, dict) else None
    return kind is None or kind in {OrderType.UNKNOWN, OrderType.MARKET}


def may_be_order(record: object, order: OrderRecord) -> bool:
    """Whether an order that `parse_order` cannot understand may be this one: nothing that can be read differs."""
    fields = record if isinstance(record, dict) else {}
    order_id, contract_id = _as_integer(fields.get("id")), _text_or(fields, "contractId")
    if order_id is not None and order_id != order.order_id:
        return False
    if contract_id and contract_id != order.contract_id:
        return False
    alike = (("type", order.type), ("side", order.side), ("size", order.size))
    return all(_as_integer(fields.get(key)) in {None, value} for key, value in alike)


def owner_of(record: object) -> int | None:
    """The account that a record names; None if it names none."""
    return _as_integer(record.get("accountId")) if isinstance(record, dict) else None


def parse_order(record: object) -> OrderRecord:
    """An order. What is missing besides its id and contract takes the value that hides least: working, of unknown type.

    Raises:
        MalformedError: no id or no contract.
    """
    fields = _fields(record)
    return OrderRecord(
        order_id=_integer(fields, "id"),
        contract_id=_text(fields, "contractId"),
        status=_integer_or(fields, "status", OrderStatus.NONE),
        type=_integer_or(fields, "type", OrderType.UNKNOWN),
        side=_integer_or(fields, "side", Side.BUY),
        size=abs(_integer_or(fields, "size", 0)),
        limit_price=_price(fields, "limitPrice"),
        stop_price=_price(fields, "stopPrice"),
        trail_price=_price(fields, "trailPrice"),
        fill_volume=abs(_integer_or(fields, "fillVolume", 0)),
        filled_price=_price(fields, "filledPrice"),
        custom_tag=_text_or(fields, "customTag") or None,
        created_at=_time_or(fields, "creationTimestamp", 0),
        updated_at=_time_or(fields, "updateTimestamp", 0),
        parent_order_id=_integer_or(fields, "parentOrderId", 0) or None,
    )


def parse_trade(record: object, now: int) -> TradeRecord:
    """A half-turn. No profitAndLoss, or null, is an opening one; fees and commissions are summed as a cost.

    Args:
        record: the trade.
        now: stands in for a timestamp that cannot be read, so that the trade counts for the current day.

    Raises:
        MalformedError: no id, or numbers that are none: a wrong P&L must not be counted.
    """
    fields = _fields(record)
    return TradeRecord(
        trade_id=_integer(fields, "id"),
        contract_id=_text_or(fields, "contractId"),
        created_at=_time_or(fields, "creationTimestamp", now),
        price=_price(fields, "price") or 0,
        pnl=_money(fields, "profitAndLoss"),
        fees=abs(_money(fields, "fees") or 0) + abs(_money(fields, "commissions") or 0),
        side=_integer_or(fields, "side", Side.BUY),
        size=abs(_integer_or(fields, "size", 0)),
        voided=fields.get("voided") is True,
        order_id=_integer_or(fields, "orderId", 0),
    )


def parse_quote(contract_id: object, data: object, at: int) -> Quote | None:
    """Best bid, ask and last price; 0 for what is missing or no number. None if the message names no contract."""
    if not isinstance(contract_id, str) or not isinstance(data, dict):
        return None
    return Quote(
        at, contract_id, _nanos(data.get("bestBid")), _nanos(data.get("bestAsk")), _nanos(data.get("lastPrice"))
    )


def token_expiry(token: str) -> int | None:
    """The ``exp`` of a JWT in microseconds UTC; None if it has none. The signature is the gateway's business."""
    parts = token.split(".")
    if len(parts) < 2:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    expiry = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(expiry, bool) or not isinstance(expiry, int | float) or not 0 < expiry < 2**40:
        return None
    return round(expiry * 1_000_000)


def _nanos(value: object) -> int:
    if type(value) is float:
        scaled = value * 1e9
        return round(scaled) if -9e15 < scaled < 9e15 else 0
    if type(value) is int:
        return value * 1_000_000_000
    if not isinstance(value, str) or len(value) > 20:
        return 0
    try:
        # As in every other record, a number may come as a text.
        nanos = price_to_nanos(value)
    except ValueError:
        return 0
    return nanos if -9e15 < nanos < 9e15 else 0


def _fields(record: object) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise MalformedError(f"expected a record, got {type(record).__name__}")
    return record


def _as_integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if (isinstance(value, float) and value.is_integer()) or (
        isinstance(value, str) and value.isascii() and value.lstrip("-").isdigit() and len(value) < 20
    ):
        value = int(value)
    return value if isinstance(value, int) and -_MAX_INT <= value <= _MAX_INT else None


def _integer(fields: dict[str, Any], key: str) -> int:
    value = _as_integer(fields.get(key))
    if value is None:
        raise MalformedError(f"{key} is not a whole number")
    return value


def _integer_or(fields: dict[str, Any], key: str, default: int) -> int:
    value = _as_integer(fields.get(key))
    return int(default) if value is None else value


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value:
        raise MalformedError(f"{key} is not a text")
    return value


def _text_or(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""


def _number(fields: dict[str, Any], key: str) -> float | int | str | None:
    value = fields.get(key)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, float | int | str)
        or (isinstance(value, str) and len(value) > 40)
    ):
        raise MalformedError(f"{key} is not a number")
    return value


def _price(fields: dict[str, Any], key: str) -> int | None:
    value = _number(fields, key)
    try:
        return None if value is None else _bounded(price_to_nanos(value), key)
    except ValueError:
        raise MalformedError(f"{key} is not a number") from None


def _money(fields: dict[str, Any], key: str) -> int | None:
    value = _number(fields, key)
    try:
        return None if value is None else _bounded(money_to_micros(value), key)
    except ValueError:
        raise MalformedError(f"{key} is not a number") from None


def _bounded(value: int, key: str) -> int:
    if not -_MAX_INT <= value <= _MAX_INT:
        raise MalformedError(f"{key} is out of range")
    return value


def _time_or(fields: dict[str, Any], key: str, default: int) -> int:
    value = fields.get(key)
    if not isinstance(value, str):
        return default
    try:
        return from_iso(value)
    except (ValueError, OverflowError):
        return default
