"""Reading `state.db`: the saved state at start, and pages of tables for the socket."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from daemon.core.events import TradeRecord
from daemon.store.database import StoreError, connect_reading, explain
from daemon.store.emergency import EMERGENCY_KEY
from daemon.store.recovery import UNKNOWN_KEY
from daemon.store.rows import Row, action_of, contract_of, lockout_of, order_of, position_of
from daemon.store.state import SavedAccount, SavedPnl, SavedReset, SavedState
from daemon.store.statements import STATEMENTS
from shared.models import TERMINAL_STATUSES, ActionKind
from shared.schema import money_value, price_value, time_text, time_value

_TERMINAL = tuple(int(status) for status in TERMINAL_STATUSES)
_ACTIONS = tuple(str(kind) for kind in ActionKind)


def rows(
    connection: sqlite3.Connection, table: str, where: str = "", parameters: Sequence[Any] = (), order: str = ""
) -> Iterable[Row]:
    """Rows of a table with Python values; unreadable ones are left out (lockouts are checked when opening)."""
    statements = STATEMENTS[table]
    sql = statements.select + (f" WHERE {where}" if where else "") + (f" ORDER BY {order}" if order else "")
    for values in connection.execute(sql, parameters):
        try:
            yield statements.read(statements.columns, values)
        except (ValueError, TypeError):
            continue


def open_actions(connection: sqlite3.Connection) -> list[Row]:
    """Rows of enforcements whose end has not been seen."""
    return list(rows(connection, "enforcement_log", "result IS NULL AND action_id IS NOT NULL", order="id"))


def kept_lockouts(connection: sqlite3.Connection, since: int) -> list[Row]:
    """Rows of all active lockouts and of those that ended since a time (microseconds UTC)."""
    return list(rows(connection, "lockouts", "cleared_at IS NULL OR cleared_at >= ?", (time_text(since),), order="id"))


def logged_lockouts(connection: sqlite3.Connection) -> set[tuple[int, str]]:
    """(lockout, action) of every lockout that the enforcement log tells the begin or the end of."""
    found = connection.execute("SELECT lockout_id, action FROM enforcement_log WHERE lockout_id IS NOT NULL")
    return {(number, action) for number, action in found}


def load(connection: sqlite3.Connection, since: int, waiting: Sequence[Row] = ()) -> SavedState:
    """Everything a restarted daemon needs; trades, ended lockouts and P&L since a time (microseconds UTC).

    `waiting`: rows of lockouts that are newer than the database's.
    """
    state = SavedState()
    lockouts = {row["id"]: row for row in kept_lockouts(connection, since)} | {row["id"]: row for row in waiting}
    for _, row in sorted(lockouts.items()):
        (state.lockouts if row["cleared_at"] is None else state.ended).append(lockout_of(row))
    for row in open_actions(connection):
        if row["action"] in _ACTIONS:
            state.actions.append(action_of(row))
            state.attempts[row["action_id"]] = row["attempts"]
    state.contracts = [contract_of(row) for row in rows(connection, "contract_cache", order="contract_id")]
    for row in rows(connection, "accounts", order="account_id"):
        row.pop("updated_at")
        state.accounts.append(SavedAccount(**row))
    state.trades = _trades(connection, since)
    for row in rows(connection, "positions", order="account_id, contract_id"):
        state.positions.setdefault(row["account_id"], []).append(position_of(row))
    marks = ", ".join("?" * len(_TERMINAL))
    for row in rows(connection, "orders", f"status NOT IN ({marks})", _TERMINAL, order="account_id, id"):
        state.orders.setdefault(row["account_id"], []).append(order_of(row))
    for row in rows(connection, "session_state", order="account_id, key"):
        state.memories.setdefault(row["account_id"], {})[row["key"]] = row["value"]
    for row in rows(connection, "daily_pnl", "updated_at >= ?", (time_text(since),), order="account_id, trading_day"):
        state.daily_pnl.append(SavedPnl(row["account_id"], row["trading_day"], row["realized_pnl"], row["trade_count"]))
    state.resets = [SavedReset(**row) for row in rows(connection, "reset_schedule", order="account_id")]
    state.daemon = {row["key"]: row["value"] for row in rows(connection, "daemon_state")}
    state.lockouts_unknown = bool(state.daemon.pop(UNKNOWN_KEY, False))
    state.daemon.pop(EMERGENCY_KEY, None)
    state.last_lockout_id = max(_highest(connection, "lockouts", "id"), *lockouts, 0)
    state.last_action_id = _highest(connection, "enforcement_log", "action_id")
    return state


def _trades(connection: sqlite3.Connection, since: int) -> dict[int, list[TradeRecord]]:
    """Trades by account in the order of time. Spelled out, because a day can have a hundred thousand of them."""
    out: dict[int, list[TradeRecord]] = {}
    prices: dict[str, int] = {}
    found = connection.execute(
        "SELECT account_id, id, contract_id, creation_timestamp, price, profit_and_loss, fees, side, size, voided,"
        " order_id FROM trade_history WHERE creation_timestamp >= ? ORDER BY creation_timestamp, id",
        (time_text(since),),
    )
    for account_id, number, contract_id, created_at, price, pnl, fees, side, size, voided, order_id in found:
        try:
            nanos = prices.get(price)
            if nanos is None:
                nanos = prices[price] = price_value(price)
            trade = TradeRecord(
                number,
                contract_id,
                time_value(created_at),
                nanos,
                None if pnl is None else money_value(pnl),
                money_value(fees),
                side,
                size,
                bool(voided),
                order_id,
            )
        except (ValueError, TypeError):
            continue
        out.setdefault(account_id, []).append(trade)
    return out


def _highest(connection: sqlite3.Connection, table: str, column: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max({column}), 0) FROM {table}").fetchone()[0])


def last_entry(connection: sqlite3.Connection) -> int:
    """The highest id in use in the enforcement log."""
    return _highest(connection, "enforcement_log", "id")


def page(
    path: Path,
    table: str,
    *,
    account_id: int | None = None,
    where: str = "",
    parameters: Sequence[Any] = (),
    order: str = "",
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Rows as the socket shows them: times as ISO text, money and prices as decimal text, JSON columns decoded.

    Raises:
        StoreError: the database cannot be read.
    """
    clauses = [f"({where})"] if where else []
    values = list(parameters)
    if account_id is not None:
        clauses.append("account_id = ?")
        values.append(account_id)
    statements = STATEMENTS[table]
    sql = statements.select + (" WHERE " + " AND ".join(clauses) if clauses else "")
    sql += (f" ORDER BY {order}" if order else "") + (f" LIMIT {int(limit)}" if limit is not None else "")
    try:
        with contextlib.closing(connect_reading(path)) as connection:
            return [statements.shown(found) for found in connection.execute(sql, values)]
    except (sqlite3.Error, OSError) as error:
        raise StoreError(explain(error, path)) from error
