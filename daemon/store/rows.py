"""Between the core's records and rows of the tables.

Rows are dicts by column with Python values (see `shared.schema`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from daemon.core.decisions import (
    Act,
    Action,
    DayChanged,
    Decision,
    Lock,
    LockChanged,
    Lockout,
    Remember,
    Settle,
    Unlock,
)
from daemon.core.events import Contract, OrderRecord, PositionRecord, TradeRecord
from shared.models import RULE_BY_ID, ActionKind, ActionResult, LockoutKind, PositionType

Row = dict[str, Any]

Change = tuple[str, tuple[Any, ...], Row | None]
"""Table, primary key in the order of its columns, and the whole new row or None when it is gone."""


def lockout_row(lockout: Lockout) -> Row:
    """A row of `lockouts`; the baseline is copied, because the core may change it later."""
    return {
        "id": lockout.id,
        "account_id": lockout.account_id,
        "rule_id": lockout.rule_id,
        "kind": str(lockout.kind),
        "symbol": lockout.symbol,
        "reason": lockout.reason,
        "locked_at": lockout.locked_at,
        "expires_at": lockout.expires_at,
        "cleared_at": lockout.cleared_at,
        "cleared_by": lockout.cleared_by,
        "cause": lockout.cause,
        "baseline": dict(lockout.baseline),
        "clear_due_at": lockout.clear_due_at,
        "clear_by": lockout.clear_by,
        "clear_reason": lockout.clear_reason,
    }


def lockout_of(row: Mapping[str, Any]) -> Lockout:
    """The reverse of `lockout_row`. A kind this version does not know is treated as hard: unknown is locked."""
    values = dict(row)
    try:
        values["kind"] = LockoutKind(values["kind"])
    except ValueError:
        values["kind"] = LockoutKind.HARD
    return Lockout(**values)


def action_of(row: Mapping[str, Any]) -> Action:
    """The action behind a row of `enforcement_log`. Raises ValueError for a kind this version does not know."""
    return Action(
        id=row["action_id"],
        account_id=row["account_id"],
        kind=ActionKind(row["action"]),
        rule_id=row["rule_id"],
        contract_id=row["contract_id"] or "",
        reason=row["reason"],
        decided_at=row["triggered_at"],
        target=row["target"] or 0,
        size=row["size"] or 0,
        held=row["held"] or 0,
        order_id=row["order_id"],
        stop_price=row["stop_price"],
    )


def position_row(account_id: int, position: PositionRecord, at: int) -> Row:
    """A row of `positions`, with the gateway's positive size and its type."""
    return {
        "account_id": account_id,
        "contract_id": position.contract_id,
        "id": position.position_id,
        "creation_timestamp": position.created_at,
        "type": int(PositionType.LONG if position.size > 0 else PositionType.SHORT),
        "size": abs(position.size),
        "average_price": position.average_price,
        "updated_at": at,
    }


def position_of(row: Mapping[str, Any]) -> PositionRecord:
    """The reverse of `position_row`."""
    return PositionRecord(
        contract_id=row["contract_id"],
        size=-row["size"] if row["type"] == PositionType.SHORT else row["size"],
        average_price=row["average_price"],
        position_id=row["id"],
        created_at=row["creation_timestamp"],
    )


def order_row(account_id: int, order: OrderRecord, symbol_id: str | None, at: int) -> Row:
    """A row of `orders`."""
    return {
        "account_id": account_id,
        "id": order.order_id,
        "contract_id": order.contract_id,
        "symbol_id": symbol_id,
        "creation_timestamp": order.created_at,
        "update_timestamp": order.updated_at,
        "status": int(order.status),
        "type": int(order.type),
        "side": int(order.side),
        "size": order.size,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "trail_price": order.trail_price,
        "fill_volume": order.fill_volume,
        "filled_price": order.filled_price,
        "custom_tag": order.custom_tag,
        "parent_order_id": order.parent_order_id,
        "updated_at": at,
    }


def order_of(row: Mapping[str, Any]) -> OrderRecord:
    """The reverse of `order_row`."""
    return OrderRecord(
        order_id=row["id"],
        contract_id=row["contract_id"],
        status=row["status"],
        type=row["type"],
        side=row["side"],
        size=row["size"],
        limit_price=row["limit_price"],
        stop_price=row["stop_price"],
        trail_price=row["trail_price"],
        fill_volume=row["fill_volume"],
        filled_price=row["filled_price"],
        custom_tag=row["custom_tag"],
        created_at=row["creation_timestamp"],
        updated_at=row["update_timestamp"],
        parent_order_id=row["parent_order_id"],
    )


def trade_row(account_id: int, trade: TradeRecord) -> Row:
    """A row of `trade_history`."""
    return {
        "account_id": account_id,
        "id": trade.trade_id,
        "contract_id": trade.contract_id,
        "creation_timestamp": trade.created_at,
        "price": trade.price,
        "profit_and_loss": trade.pnl,
        "fees": trade.fees,
        "side": int(trade.side),
        "size": trade.size,
        "voided": trade.voided,
        "order_id": trade.order_id,
    }


def contract_row(contract: Contract, at: int) -> Row:
    """A row of `contract_cache`."""
    return {
        "contract_id": contract.contract_id,
        "name": contract.name,
        "tick_size": contract.tick_size,
        "tick_value": contract.tick_value,
        "symbol_id": contract.symbol_id,
        "description": contract.description,
        "updated_at": at,
    }


def contract_of(row: Mapping[str, Any]) -> Contract:
    """The reverse of `contract_row`."""
    return Contract(
        contract_id=row["contract_id"],
        name=row["name"],
        tick_size=row["tick_size"],
        tick_value=row["tick_value"],
        symbol_id=row["symbol_id"],
        description=row["description"],
    )


KEPT_ENDED = 256
"""Rows of what has ended, kept for the answers still to come and for those who ask."""


def end_in_words(lockout: Lockout) -> str:
    """How a lockout ended, in one sentence."""
    name = RULE_BY_ID.get(lockout.rule_id)
    return f"{name.title if name is not None else 'Locked by hand'}: lockout ended ({lockout.cleared_by})."


class DecisionRows:
    """Turns decisions into changes. Keeps the rows of actions still under way, so that each change is a whole row.

    Lives in the event loop's thread. `last_id` is the highest id of `enforcement_log` in use.
    """

    def __init__(self, last_id: int = 0, open_actions: Iterable[Row] = ()) -> None:
        self._last_id = last_id
        self._open: dict[int, Row] = {row["action_id"]: row for row in open_actions}
        self._ended: dict[int, Row] = {}
        self._of_lockouts: dict[tuple[int, ActionKind], Row] = {}

    def entry(self, decision: Decision) -> Row | None:
        """The entry of the enforcement log as it is now; None for a decision that has none, or had one long ago."""
        match decision:
            case Act(action=action) | Settle(action=action):
                return self._open.get(action.id) or self._ended.get(action.id)
            case Lock(lockout=lockout):
                return self._of_lockouts.get((lockout.id, ActionKind.LOCKOUT_SET))
            case Unlock(lockout=lockout):
                return self._of_lockouts.get((lockout.id, ActionKind.LOCKOUT_CLEARED))
        return None

    def changes(self, decisions: Sequence[Decision], now: int) -> tuple[list[Change], bool]:
        """The changes decisions ask for, and whether they have to be on disk before anything else is done."""
        out: list[Change] = []
        durable = False
        for decision in decisions:
            match decision:
                case Lock(lockout=lockout):
                    durable = True
                    out.append(("lockouts", (lockout.id,), lockout_row(lockout)))
                    out.append(self._lockout_entry(lockout, ActionKind.LOCKOUT_SET, lockout.locked_at, now))
                case LockChanged(lockout=lockout):
                    durable = True
                    out.append(("lockouts", (lockout.id,), lockout_row(lockout)))
                case Unlock(lockout=lockout):
                    durable = True
                    out.append(("lockouts", (lockout.id,), lockout_row(lockout)))
                    at = now if lockout.cleared_at is None else lockout.cleared_at
                    out.append(self._lockout_entry(lockout, ActionKind.LOCKOUT_CLEARED, at, now))
                case Act(action=action):
                    out.append(self._put(self._action_entry(action)))
                case Settle(action=action, result=result, at=at):
                    row = dict(
                        self._open.pop(action.id) if action.id in self._open else self._action_entry(action, keep=False)
                    )
                    row["result"] = str(result)
                    row["settled_at"] = at
                    row["confirmed_at"] = at if result == ActionResult.CONFIRMED else None
                    out.append(self._put(row))
                    _keep(self._ended, action.id, row)
                case DayChanged(at=at, account_id=account_id, trading_day=day):
                    reset = {"account_id": account_id, "trading_day": day, "last_reset_at": at, "next_reset_at": None}
                    out.append(("reset_schedule", (account_id,), reset))
                case Remember(account_id=account_id, key=key, values=values):
                    memory = {"account_id": account_id, "key": key, "value": dict(values), "updated_at": now}
                    out.append(("session_state", (account_id, key), memory))
        return out, durable

    def attempt(self, action_id: int, attempts: int) -> list[Change]:
        """An action was tried again; it may have ended meanwhile."""
        row = self._open.get(action_id)
        if row is not None:
            row = self._open[action_id] = {**row, "attempts": attempts}
            return [self._put(row)]
        row = self._ended.get(action_id)
        if row is None:
            return []
        # The position's own event often comes before the answer to the request that closed it.
        row = self._ended[action_id] = {**row, "attempts": attempts}
        return [self._put(row)]

    def untold(self, lockouts: Iterable[Row], told: Container[tuple[int, str]]) -> list[Change]:
        """The entries of lockouts whose begin or end the log does not tell of yet."""
        changes = []
        for row in lockouts:
            lockout = lockout_of(row)
            for action, at in (
                (ActionKind.LOCKOUT_SET, lockout.locked_at),
                (ActionKind.LOCKOUT_CLEARED, lockout.cleared_at),
            ):
                if at is not None and (lockout.id, str(action)) not in told:
                    changes.append(self._lockout_entry(lockout, action, at, at))
        return changes

    def supersede_all(self, at: int) -> list[Change]:
        """All actions under way end as superseded."""
        ended = {"result": str(ActionResult.SUPERSEDED), "settled_at": at}
        changes = [self._put({**row, **ended}) for row in self._open.values()]
        self._open.clear()
        return changes

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    @staticmethod
    def _put(row: Row) -> Change:
        return "enforcement_log", (row["id"],), row

    def _action_entry(self, action: Action, *, keep: bool = True) -> Row:
        known = self._open.get(action.id)
        row: Row = {
            "id": self._next_id() if known is None else known["id"],
            "account_id": action.account_id,
            "rule_id": action.rule_id,
            "action": str(action.kind),
            "contract_id": action.contract_id or None,
            "order_id": action.order_id,
            "size": action.size,
            "reason": action.reason,
            "triggered_at": action.decided_at,
            "confirmed_at": None,
            "attempts": 0 if known is None else known["attempts"],
            "result": None,
            "action_id": action.id,
            "lockout_id": None,
            "target": action.target,
            "held": action.held,
            "stop_price": action.stop_price,
            "settled_at": None,
        }
        if keep:
            self._open[action.id] = row
        return row

    def _lockout_entry(self, lockout: Lockout, action: ActionKind, at: int, now: int) -> Change:
        row: Row = {
            "id": self._next_id(),
            "account_id": lockout.account_id,
            "rule_id": lockout.rule_id,
            "action": str(action),
            "contract_id": None,
            "order_id": None,
            "size": None,
            "reason": lockout.reason if action is ActionKind.LOCKOUT_SET else end_in_words(lockout),
            "triggered_at": at,
            "confirmed_at": now,
            "attempts": 1,
            "result": str(ActionResult.CONFIRMED),
            "action_id": None,
            "lockout_id": lockout.id,
            "target": None,
            "held": None,
            "stop_price": None,
            "settled_at": now,
        }
        _keep(self._of_lockouts, (lockout.id, action), row)
        return self._put(row)


def _keep[K](rows: dict[K, Row], key: K, row: Row) -> None:
    """Keep a row, and of all the newest only."""
    rows[key] = row
    if len(rows) > KEPT_ENDED:
        del rows[next(iter(rows))]
