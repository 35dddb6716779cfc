"""The state of the engine as the socket and the replica show it: rows of JSON-able values.

Times are ISO-8601 UTC text, money and prices decimal text, sizes contracts. Columns are those of the table of the same
name; what is added beyond them (symbol, unrealized, quote age) is named in docs/socket.md.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from daemon.core.engine import Engine
from daemon.core.events import TradeRecord
from daemon.core.state import AccountState, Position
from daemon.core.units import dollars, to_iso
from daemon.gauge_words import gauge_sentence
from daemon.store.rows import lockout_row
from daemon.store.statements import STATEMENTS
from shared.models import RULE_NAMES, PositionType
from shared.schema import price_text

Row = dict[str, Any]


def time_or_none(at: int | None) -> str | None:
    """ISO text, or None for no time."""
    return to_iso(at) if at else None


def is_read(account: AccountState, topic: str) -> bool:
    """Whether the gateway has told this run what "positions", "orders" or "pnl" shows; other topics need no read.

    Before that there is nothing to show: an account that has not been read is not flat.
    """
    if topic == "positions":
        return account.positions_read_at > 0
    if topic == "orders":
        return account.orders_read_at > 0
    return topic != "pnl" or min(account.positions_read_at, account.trades_read_at) > 0


def position_row(engine: Engine, account: AccountState, position: Position) -> Row:
    """One open position."""
    market = engine.market
    contract = market.contracts.get(position.contract_id)
    book = market.books.get(position.contract_id)
    unrealized = market.unrealized(position)
    price = market.price_of(position)
    return {
        "account_id": account.account_id,
        "id": position.position_id,
        "contract_id": position.contract_id,
        "creation_timestamp": to_iso(position.created_at or position.opened_at),
        "type": int(PositionType.LONG if position.size > 0 else PositionType.SHORT),
        "size": abs(position.size),
        "average_price": price_text(position.average_price),
        "updated_at": to_iso(position.updated_at),
        "symbol": market.symbol(position.contract_id),
        "display_name": contract.name if contract is not None else position.contract_id,
        "price": None if price is None else price_text(price),
        "unrealized": None if unrealized is None else dollars(unrealized),
        "quote_age_ms": (engine.now - book.at) // 1000 if book is not None and book.at else None,
    }


def position_rows(engine: Engine, account: AccountState) -> list[Row]:
    """All open positions of an account."""
    return [position_row(engine, account, position) for position in account.positions.values()]


def order_rows(engine: Engine, account: AccountState) -> list[Row]:
    """All working orders of an account."""
    rows = []
    for order in account.orders.values():
        contract = engine.market.contracts.get(order.contract_id)
        rows.append(
            {
                "account_id": account.account_id,
                "id": order.order_id,
                "contract_id": order.contract_id,
                "symbol_id": contract.symbol_id if contract is not None else None,
                "creation_timestamp": time_or_none(order.created_at),
                "update_timestamp": time_or_none(order.updated_at),
                "status": order.status,
                "type": order.type,
                "side": order.side,
                "size": order.size,
                "limit_price": None if order.limit_price is None else price_text(order.limit_price),
                "stop_price": None if order.stop_price is None else price_text(order.stop_price),
                "trail_price": None if order.trail_price is None else price_text(order.trail_price),
                "fill_volume": order.fill_volume,
                "filled_price": None if order.filled_price is None else price_text(order.filled_price),
                "custom_tag": order.custom_tag,
                "parent_order_id": order.parent_order_id,
                "updated_at": time_or_none(order.updated_at or order.created_at),
                "symbol": engine.market.symbol(order.contract_id),
                "display_name": contract.name if contract is not None else order.contract_id,
            }
        )
    return rows


def unrealized_total(engine: Engine, account: AccountState) -> int | None:
    """Unrealized P&L of all positions in micro-dollars; None when that of one is not known."""
    total = 0
    for position in account.positions.values():
        part = engine.market.unrealized(position)
        if part is None:
            return None
        total += part
    return total


def pnl(engine: Engine, account: AccountState) -> Row:
    """P&L of the trading day."""
    unrealized = unrealized_total(engine, account)
    realized = engine.view.realized(account)
    return {
        "account_id": account.account_id,
        "trading_day": engine.days.name(engine.now),
        "realized": dollars(realized),
        "unrealized": None if unrealized is None else dollars(unrealized),
        "total": None if unrealized is None else dollars(realized + unrealized),
        "trade_count": account.ledger.count,
        "next_reset": to_iso(engine.view.day_end),
        "balance": None if account.balance is None else dollars(account.balance),
    }


def lockout_rows(account: AccountState) -> list[Row]:
    """The active lockouts of an account."""
    return [STATEMENTS["lockouts"].as_shown(lockout_row(lockout)) for lockout in account.locks.values()]


def locked_until(account: AccountState) -> str | None:
    """When the account as a whole is free again; None when it is free, or when no time is known."""
    ends = [lockout.expires_at for lockout in account.locks.values() if lockout.symbol is None]
    if not ends or any(end is None for end in ends):
        return None
    return to_iso(max(end for end in ends if end is not None))


def is_locked(account: AccountState) -> bool:
    """Whether a lockout of the whole account is active."""
    return any(lockout.symbol is None for lockout in account.locks.values())


def rule_rows(engine: Engine, account: AccountState) -> list[Row]:
    """Every rule with its limit, its current value and the share of the limit used, those that are off included."""
    built = {state.rule.rule_id: state for state in engine.rule_states(account.account_id)}
    configured = dict(engine.config.rules_for(account.account_id).present())
    locking = {lockout.rule_id for lockout in account.locks.values()}
    rows = []
    for name in RULE_NAMES:
        state, config = built.get(name.rule_id), configured.get(name.key)
        row: Row = {
            "rule_id": name.rule_id,
            "key": name.key,
            "title": name.title,
            "enabled": state is not None,
            "limit": None,
            "value": None,
            "share": None,
            "sentence": "Off." if state is None else "On.",
            "locked": name.rule_id in locking,
            "next_reset": to_iso(engine.view.day_end),
            "params": config.model_dump(mode="json", exclude_none=True) if config is not None else {},
            "failed": state.failed if state is not None else False,
        }
        gauge = engine.gauge(account, state) if state is not None else None
        if gauge is not None:
            row["value"], row["limit"] = gauge.value, gauge.limit
            row["share"] = None if gauge.percent is None else gauge.percent / 100
            row["sentence"] = gauge_sentence(name.key, gauge)
        if state is not None and state.failed:
            row["sentence"] = "This rule cannot be judged at present; see the log."
        rows.append(row)
    return rows


def account_row(engine: Engine, account: AccountState, *, connected: bool, monitored: bool) -> Row:
    """One account with what a list of accounts shows."""
    figures = pnl(engine, account)
    return {
        "account_id": account.account_id,
        "name": account.name,
        "login": account.login,
        "balance": figures["balance"],
        "can_trade": account.can_trade,
        "connected": connected,
        "monitored": monitored,
        "lockout": is_locked(account),
        "locked_until": locked_until(account),
        "symbols_locked": sorted({lock.symbol for lock in account.locks.values() if lock.symbol}),
        "realized": figures["realized"],
        "unrealized": figures["unrealized"],
        "positions": len(account.positions),
        "last_event": time_or_none(account.last_event_at),
    }


def newest_trades(account: AccountState) -> list[TradeRecord]:
    """The trades of the trading day that are not voided, latest first."""
    trades = [trade for trade in account.ledger.trades.values() if not trade.voided]
    trades.sort(key=trade_place)
    trades.reverse()
    return trades


trade_place = attrgetter("created_at", "trade_id")
"""What trades are ordered by."""


def trade_row(engine: Engine, account: AccountState, trade: TradeRecord) -> Row:
    """One trade."""
    contract = engine.market.contracts.get(trade.contract_id)
    return {
        "account_id": account.account_id,
        "id": trade.trade_id,
        "contract_id": trade.contract_id,
        "symbol": engine.market.symbol(trade.contract_id),
        "display_name": contract.name if contract is not None else trade.contract_id,
        "side": trade.side,
        "size": trade.size,
        "price": price_text(trade.price),
        "pnl": None if trade.pnl is None else dollars(trade.pnl),
        "fees": dollars(trade.fees),
        "order_id": trade.order_id,
        "created_at": to_iso(trade.created_at),
    }


def trade_rows(engine: Engine, account: AccountState, most: int | None = None) -> list[Row]:
    """The rows of `newest_trades`; `most` of them at most."""
    return [trade_row(engine, account, trade) for trade in newest_trades(account)[:most]]


def realized_curve(engine: Engine, account: AccountState) -> list[list[str]]:
    """Realized P&L after each trade of the day: [time, dollars]."""
    total = 0
    points = [[to_iso(engine.view.day_start), dollars(0)]]
    for trade in reversed(newest_trades(account)):
        total += (trade.pnl or 0) - (trade.fees if engine.view.net else 0)
        points.append([to_iso(trade.created_at), dollars(total)])
    return points
