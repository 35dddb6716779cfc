"""Records for the tests of persistence, and ways to look into the database."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

from daemon.core.decisions import Action, Lockout
from daemon.core.events import Contract, OrderRecord, PositionRecord, TradeRecord
from daemon.store import Store
from shared.models import ActionKind, LockoutKind

NOW = 1_795_246_786_000_000
"""2026-11-21T07:39:46Z in microseconds."""
HOUR = 3_600_000_000
MNQ = "CON.F.US.MNQ.Z26"
ES = "CON.F.US.EP.Z26"


class Alerts(list[str]):
    """Collects what the store says."""

    def __call__(self, text: str) -> None:
        self.append(text)


def open_store(home: Path, alerts: Alerts | None = None) -> Store:
    """The store of a home folder."""
    return Store.open(
        home / "data" / "state.db", on_alert=alerts if alerts is not None else Alerts(), public=home / "public"
    )


def lockout(number: int = 1, account_id: int = 101, **changes: Any) -> Lockout:
    """A hard lockout."""
    values: dict[str, Any] = {
        "id": number,
        "account_id": account_id,
        "rule_id": "RULE-003",
        "kind": LockoutKind.HARD,
        "symbol": None,
        "reason": "Daily loss -510.74 reached the limit of -500.00; locked until 17:00 New York",
        "locked_at": NOW + number,
        "expires_at": NOW + HOUR,
        "cause": f"trade {number}",
    }
    return Lockout(**(values | changes))


def action(number: int = 1, **changes: Any) -> Action:
    """An order to close 2 MNQ."""
    values: dict[str, Any] = {
        "id": number,
        "account_id": 101,
        "kind": ActionKind.CLOSE_POSITION,
        "rule_id": "RULE-003",
        "contract_id": MNQ,
        "reason": "locked",
        "decided_at": NOW + number,
        "size": 2,
        "held": 2,
    }
    return Action(**(values | changes))


def position(size: int = 2, contract_id: str = MNQ, **changes: Any) -> PositionRecord:
    """A position at 21000.25."""
    values: dict[str, Any] = {
        "contract_id": contract_id,
        "size": size,
        "average_price": 21_000_250_000_000,
        "position_id": 7,
    }
    return PositionRecord(**(values | changes))


def order(number: int = 5, status: int = 1, **changes: Any) -> OrderRecord:
    """A working sell stop for 2 MNQ."""
    values: dict[str, Any] = {
        "order_id": number,
        "contract_id": MNQ,
        "status": status,
        "type": 4,
        "side": 1,
        "size": 2,
        "stop_price": 20_990_000_000_000,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return OrderRecord(**(values | changes))


def trade(number: int = 9, pnl: int | None = -166_670_000, **changes: Any) -> TradeRecord:
    """A closing half-turn."""
    values: dict[str, Any] = {
        "trade_id": number,
        "contract_id": MNQ,
        "created_at": NOW + number,
        "price": 21_000_250_000_000,
        "pnl": pnl,
        "fees": 740_000,
        "side": 1,
        "size": 1,
        "voided": False,
        "order_id": 5,
    }
    return TradeRecord(**(values | changes))


def contract() -> Contract:
    """MNQ."""
    return Contract(MNQ, "MNQZ6", 250_000_000, 500_000, "F.US.MNQ", "Micro E-mini Nasdaq-100")


def query(path: Path, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Read a database as any other program would."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, parameters).fetchall()


def private(path: Path) -> bool:
    """Whether only the daemon's account may read a file; on Windows that is the folder's access list's business."""
    return sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600


def sound(path: Path) -> bool:
    """Whether SQLite finds the file sound."""
    return query(path, "PRAGMA integrity_check") == [("ok",)]
