"""A trading day as the daemon would tell it, for tests of models and pages and for the screenshots.

Trusted now is Friday 2026-11-20 14:32:05 New York (19:32:05 UTC). All shapes are those of the socket.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from gui.app_state import AppState, Link

NOW = datetime(2026, 11, 20, 19, 32, 5, tzinfo=UTC)
RESET = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
APEX, STEP, FUNDED = 101, 102, 103


class HandClock:
    """A monotonic clock in seconds that tests turn by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def ago(seconds: float) -> str:
    return iso(NOW - timedelta(seconds=seconds))


def status(**changes: Any) -> dict[str, Any]:
    accounts = {
        str(account_id): {
            "name": name,
            "connected": True,
            "monitored": True,
            "last_event": ago(1),
            "positions": 2,
            "lockout": False,
        }
        for account_id, name in ((APEX, "50KTC-V2-1042"), (STEP, "100KTC-V2-2117"), (FUNDED, "EXPRESS-50K-0009"))
    }
    return {
        "status": "healthy",
        "version": "0.1.0",
        "uptime": 18_745,
        "clock_suspect": False,
        "now": iso(NOW),
        "timezone": "America/New_York",
        "accounts": accounts,
        "memory_usage_mb": 96,
        "cpu_usage_percent": 1.2,
        "queue_depth": 0,
        "pending_config": 0,
    } | changes


def account(account_id: int, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "name": name,
        "login": "trader1",
        "balance": "50842.16",
        "can_trade": True,
        "connected": True,
        "monitored": True,
        "lockout": False,
        "locked_until": None,
        "realized": None,
        "unrealized": None,
    } | changes


def pnl(realized: str, unrealized: str | None, trades: int) -> dict[str, Any]:
    return {
        "account_id": APEX,
        "trading_day": "2026-11-20",
        "realized": realized,
        "unrealized": unrealized,
        "trade_count": trades,
        "next_reset": iso(RESET),
    }


def position(contract: str, symbol: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": abs(hash(contract)) % 100_000,
        "account_id": APEX,
        "contract_id": contract,
        "symbol": symbol,
        "display_name": name,
        "type": 1,
        "size": 2,
        "average_price": "21034.25",
        "creation_timestamp": ago(1130),
        "unrealized": "84.50",
        "quote_age_ms": 140,
        "updated_at": ago(2),
    } | changes


def positions() -> list[dict[str, Any]]:
    return [
        position("CON.F.US.MNQ.Z26", "MNQ", "MNQZ6", unrealized="-61.50", average_price="21034.25"),
        position(
            "CON.F.US.EP.Z26", "ES", "ESZ6", type=2, size=1, average_price="5988.5", unrealized="87.50",
            creation_timestamp=ago(400),
        ),
    ]  # fmt: skip


def order(order_id: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": order_id,
        "account_id": APEX,
        "contract_id": "CON.F.US.MNQ.Z26",
        "symbol": "MNQ",
        "display_name": "MNQZ6",
        "creation_timestamp": ago(1120),
        "status": 1,
        "type": 4,
        "side": 1,
        "size": 2,
        "limit_price": None,
        "stop_price": "21004.25",
        "fill_volume": 0,
    } | changes


def orders() -> list[dict[str, Any]]:
    return [
        order(9001),
        order(9002, type=1, stop_price=None, limit_price="21094.25"),
        order(
            9003, contract_id="CON.F.US.EP.Z26", symbol="ES", display_name="ESZ6", side=0, size=1, stop_price="5996.75"
        ),
    ]


def rule(rule_id: str, key: str, title: str, **changes: Any) -> dict[str, Any]:
    return {
        "rule_id": rule_id,
        "key": key,
        "title": title,
        "enabled": True,
        "limit": "",
        "value": "",
        "share": None,
        "unit": "",
        "sentence": "",
        "locked": False,
        "next_reset": None,
        "params": {},
    } | changes


def rules() -> list[dict[str, Any]]:
    """As the daemon sends them: limit and value are texts, `params` the settings of the configuration."""
    reset = iso(RESET)
    session = {
        "enabled": True,
        "global_session": {
            "enabled": True, "start": "09:30:00", "end": "16:00:00", "timezone": "America/New_York",
            "days": ["mon", "tue", "wed", "thu", "fri"],
        },
        "close_positions_at_session_end": True,
        "respect_holidays": True,
    }  # fmt: skip
    frequency = {
        "limits": {"per_minute": 3, "per_hour": 10, "per_session": 50},
        "cooldown_on_breach": {"per_minute_breach": 60, "per_hour_breach": 1800, "per_session_breach": 3600},
    }
    rows = [
        rule("RULE-001", "max_contracts", "Max contracts", limit="5 net", value="1", share=0.2,
             params={"limit": 5, "count_type": "net", "close_all": False}),
        rule("RULE-002", "max_contracts_per_instrument", "Max contracts per instrument", limit="2", value="2", share=1,
             params={"limits": {"MNQ": 2, "ES": 1}, "enforcement": "reduce_to_limit"}),
        rule("RULE-003", "daily_realized_loss", "Daily realized loss", limit="-500.00", value="-318.26", share=0.6365,
             params={"limit": "-500"}),
        rule("RULE-004", "daily_unrealized_loss", "Unrealized loss of a position", limit="-300.00", value="-61.50",
             share=0.205, params={"limit": "-300"}),
        rule("RULE-006", "trade_frequency_limit", "Trade frequency", limit="10 entries", value="8", share=0.8,
             params=frequency),
        rule("RULE-008", "no_stop_loss_grace", "Stop-loss required", limit="10 s", value="all protected",
             params={"grace_period_seconds": 10}),
        rule("RULE-009", "session_block_outside", "Trading session", limit="until 16:00 New York", value="open",
             params=session),
        rule("RULE-011", "symbol_blocks", "Blocked symbols", limit="BTC, RTY", value="none held",
             params={"blocked_symbols": ["RTY", "BTC"]}),
        rule("RULE-012", "trade_management", "Trade management", enabled=False, sentence="Off."),
        rule("RULE-013", "daily_realized_profit", "Daily realized profit", limit="1000.00", value="-318.26", share=0.0,
             params={"target": "1000"}),
    ]  # fmt: skip
    return [row | {"next_reset": reset} for row in rows]


def pending() -> dict[str, Any]:
    change = {"id": 3, "file": "risk_config.yaml", "path": "rules.daily_realized_loss.limit", "old": "-500",
              "new": "-750", "effective_at": iso(RESET)}  # fmt: skip
    return {"pending": [change]}


def enforcement(entry_id: int, seconds_ago: float, **changes: Any) -> dict[str, Any]:
    at = NOW - timedelta(seconds=seconds_ago)
    return {
        "id": entry_id,
        "account_id": APEX,
        "rule_id": "RULE-002",
        "action": "reduce_position",
        "contract_id": "CON.F.US.MNQ.Z26",
        "symbol": "MNQ",
        "order_id": None,
        "size": 1,
        "reason": "MNQ 3 is more than the limit of 2",
        "triggered_at": iso(at),
        "confirmed_at": iso(at + timedelta(milliseconds=84)),
        "attempts": 1,
        "result": "confirmed",
    } | changes


def enforcement_log() -> list[dict[str, Any]]:
    return [
        enforcement(41, 9_800),
        enforcement(
            42, 7_205, rule_id="RULE-008", action="close_position", contract_id="CON.F.US.EP.Z26", symbol="ES", size=1,
            reason="ES 1 had no protecting stop for 10 seconds",
        ),
        enforcement(
            43, 5_400, rule_id="RULE-011", action="cancel_order", contract_id="CON.F.US.RTY.Z26", symbol="RTY",
            reason="RTY is a blocked symbol", order_id="8830",
        ),
        enforcement(
            44, 4_210, rule_id="RULE-006", action="lockout_set", contract_id=None, symbol="", size=None,
            reason="third entry within 60 seconds, the limit is 3", confirmed_at=iso(NOW - timedelta(seconds=4_210)),
        ),
        enforcement(
            45, 4_150, rule_id="RULE-006", action="lockout_cleared", contract_id=None, symbol="", size=None,
            reason="the cooldown of 60 seconds is over", confirmed_at=iso(NOW - timedelta(seconds=4_150)),
        ),
        enforcement(46, 610, reason="MNQ 4 is more than the limit of 2", size=2, attempts=2,
                    confirmed_at=iso(NOW - timedelta(seconds=608.7))),
    ]  # fmt: skip


def lockout(lockout_id: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": lockout_id,
        "account_id": APEX,
        "rule_id": "RULE-003",
        "kind": "hard",
        "symbol": None,
        "reason": "daily loss -510.74 reached the limit of -500.00",
        "locked_at": ago(23),
        "expires_at": iso(RESET),
        "cleared_at": None,
        "cleared_by": None,
    } | changes


def trades() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    results = ["42.50", "-61.00", "18.00", "-120.00", "-37.50", "55.00", "-92.50", "24.00", "-131.00"]
    for number, result in enumerate(results):
        opened = NOW - timedelta(minutes=280 - 30 * number)
        long = number % 3 != 1
        for half, value in ((0, None), (1, result)):
            rows.append(
                {
                    "id": 7000 + 2 * number + half,
                    "account_id": APEX,
                    "contract_id": "CON.F.US.MNQ.Z26" if number % 2 else "CON.F.US.EP.Z26",
                    "symbol": "MNQ" if number % 2 else "ES",
                    "side": (0 if long else 1) ^ half,
                    "size": 2 if number % 2 else 1,
                    "price": f"{21_000 + 7.25 * number + half * 3.5:.2f}" if number % 2 else f"{5_980 + number:.2f}",
                    "pnl": value,
                    "fees": "0.87",
                    "created_at": iso(opened + timedelta(minutes=half * 9)),
                }
            )
    return rows


def curve() -> list[list[Any]]:
    points: list[list[Any]] = []
    realized = 0.0
    steps = {40: 42.5, 70: -61, 100: 18, 130: -120, 160: -37.5, 190: 55, 220: -92.5, 250: 24, 280: -131}
    start = NOW - timedelta(minutes=300)
    for minute in range(0, 300, 2):
        realized += steps.get(minute, 0.0) - (1.74 if minute in steps else 0)
        open_now = 35 * math.sin(minute / 9) if any(0 <= s - minute < 14 for s in steps) else 0.0
        points.append([iso(start + timedelta(minutes=minute)), f"{realized:.2f}", f"{realized + open_now:.2f}"])
    return points


def sessions() -> list[dict[str, Any]]:
    return [
        {
            "clock_in": iso(datetime(2026, 11, 20, 14, 4, 11, tzinfo=UTC)),
            "clock_out": None,
            "first_trade": iso(datetime(2026, 11, 20, 14, 52, 5, tzinfo=UTC)),
            "last_trade": iso(datetime(2026, 11, 20, 19, 1, 5, tzinfo=UTC)),
        }
    ]


def snapshot() -> dict[str, Any]:
    return {
        "status": {"": status()},
        "accounts": {
            APEX: account(APEX, "50KTC-V2-1042"),
            STEP: account(STEP, "100KTC-V2-2117", balance="103218.40"),
            FUNDED: account(FUNDED, "EXPRESS-50K-0009", balance="51120.00"),
        },
        "pnl": {APEX: pnl("-318.26", "26.00", 18), STEP: pnl("412.18", "0.00", 8), FUNDED: pnl("0.00", "0.00", 0)},
        "positions": {APEX: positions(), STEP: [], FUNDED: []},
        "orders": {APEX: orders(), STEP: [], FUNDED: []},
        "lockouts": {APEX: [], STEP: [], FUNDED: []},
        "rules": {APEX: rules(), STEP: rules()[:4], FUNDED: []},
        "config": pending(),
    }


def make_state(clock: HandClock | None = None) -> AppState:
    """Connected, three accounts, nothing locked."""
    state = AppState(clock or HandClock())
    state.apply_snapshot(snapshot())
    state.live = True
    state.set_link(Link.ONLINE)
    state.set_trades(APEX, trades())
    state.set_curve(APEX, curve())
    state.set_desk(APEX, sessions())
    state.add_log(enforcement_log())
    return state


def lock(state: AppState) -> None:
    """The daily loss is reached: APEX is locked hard, ES is being closed."""
    state.apply_event("pnl", APEX, pnl("-510.74", "-61.50", 11))
    reached = {"value": "-510.74", "share": 1.0215}
    state.apply_event("rules", APEX, [row | (reached if row["rule_id"] == "RULE-003" else {}) for row in rules()])
    state.apply_event(
        "enforcement",
        APEX,
        [
            enforcement(47, 23, rule_id="RULE-003", action="lockout_set", symbol="", contract_id=None, size=None,
                        reason="daily loss -510.74 reached the limit of -500.00"),
            enforcement(48, 22.9, rule_id="RULE-003", action="close_position", symbol="ES", size=1,
                        contract_id="CON.F.US.EP.Z26", reason="daily loss -510.74 reached the limit of -500.00"),
            enforcement(49, 22.9, rule_id="RULE-003", action="cancel_order", symbol="MNQ", order_id="9001", result=None,
                        confirmed_at=None, reason="daily loss -510.74 reached the limit of -500.00"),
        ],
    )  # fmt: skip
    state.apply_event("lockouts", APEX, [lockout(7)])
    state.apply_event("positions", APEX, positions()[:1])
    state.apply_event("orders", APEX, orders()[:1])
    state.apply_event("status", None, status())
