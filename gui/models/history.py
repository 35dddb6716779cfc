"""Trades, the enforcement log and past lockouts as tables."""

from __future__ import annotations

from PySide6.QtCore import QObject

from gui import wording
from gui.app_state import AppState
from gui.models.columns import arrowed, moment_column, money_column, money_tone, side_column
from gui.models.table import Column, TableModel
from gui.records import Enforcement, Lockout, Trade


def trades_model(state: AppState, parent: QObject | None = None) -> TableModel[Trade]:
    """The day's fills, newest first. Money in dollars; an opening fill has no P&L of its own."""
    columns: list[Column[Trade]] = [
        Column(
            "Time",
            lambda t: state.calendar.clock(t.created_at),
            sort=lambda t: t.created_at,
            plain=lambda t: "" if t.created_at is None else t.created_at.isoformat(),
            tip=lambda t: "" if t.created_at is None else f"{t.created_at.isoformat()} (UTC)",
        ),
        Column("Symbol", lambda t: t.symbol, tip=lambda t: t.contract_id),
        side_column(lambda t: t.side),
        Column("Size", lambda t: str(t.size), sort=lambda t: t.size, right=True),
        Column(
            "Price",
            lambda t: wording.price(t.price),
            sort=lambda t: t.price,
            plain=lambda t: "" if t.price is None else f"{t.price:f}",
            right=True,
        ),
        money_column("P&L", lambda t: t.pnl, unknown="opening", flash=False),
        Column(
            "Fees",
            lambda t: wording.amount(t.fees, signed=False),
            sort=lambda t: t.fees,
            tone=lambda t: "muted",
            plain=lambda t: wording.amount(t.fees, plain=True),
            right=True,
            optional=True,
        ),
        Column(
            "Net",
            lambda t: "voided" if t.voided else arrowed(t.net),
            sort=lambda t: t.net,
            tone=lambda t: "muted" if t.voided else money_tone(t.net),
            plain=lambda t: "" if t.voided else wording.amount(t.net, plain=True),
            right=True,
        ),
    ]
    return TableModel(columns, lambda t: t.trade_id, parent)


RESULT_TONES = {"confirmed": "positive", "failed": "negative", "superseded": "muted", "": "warning"}
RESULT_ICONS = {"confirmed": "circle-check", "failed": "octagon-x", "superseded": "minus", "": "hourglass"}


def account_name(state: AppState, account_id: int) -> str:
    """The account's name, else its id."""
    view = state.view(account_id)
    return view.account.name if view is not None else str(account_id)


def enforcement_model(state: AppState, parent: QObject | None = None) -> TableModel[Enforcement]:
    """What the daemon did, when, why, with which result, and how long it took."""
    columns: list[Column[Enforcement]] = [
        moment_column("Time", state, lambda e: e.triggered_at),
        Column("Account", lambda e: account_name(state, e.account_id)),
        Column(
            "What was done, and why",
            wording.enforcement_action,
            sub=lambda e: wording.because(e.rule_id, e.reason),
            plain=wording.enforcement_sentence,
            stretch=True,
        ),
        Column(
            "Result",
            lambda e: wording.RESULTS.get(e.result, e.result),
            tone=lambda e: RESULT_TONES.get(e.result, "muted"),
            icon=lambda e: RESULT_ICONS.get(e.result, "circle-help"),
            flash=True,
        ),
        Column(
            "Took",
            lambda e: wording.milliseconds(e.took_ms),
            sort=lambda e: e.took_ms,
            tip=lambda e: wording.counted(e.attempts, "attempt") if e.attempts else "",
            right=True,
        ),
    ]
    return TableModel(columns, lambda e: e.key, parent)


def lockout_span(state: AppState, lockout: Lockout) -> str:
    """How long a lockout lasted, or how long it still will."""
    if lockout.cleared_at is not None and lockout.locked_at is not None:
        return wording.duration(lockout.cleared_at - lockout.locked_at)
    left = state.remaining(lockout)
    if left is not None:
        return f"{wording.duration(left)} left"
    return "no set end" if lockout.expires_at is None else wording.UNKNOWN


KIND_WORDS = {
    "hard": "Account locked",
    "cooldown": "Cooldown",
    "session": "Outside the session",
    "symbol": "Blocked symbol",
    "api": "Trading not allowed by the broker",
    "manual": "Locked by hand",
    "unknown": "Account locked",
}


def lockouts_model(state: AppState, parent: QObject | None = None) -> TableModel[Lockout]:
    """Active and past lockouts, newest first."""
    columns: list[Column[Lockout]] = [
        moment_column("Since", state, lambda k: k.locked_at),
        Column("Account", lambda k: account_name(state, k.account_id)),
        Column(
            "What was locked, and why",
            lambda k: KIND_WORDS[k.kind] + (f" {k.symbol}" if k.symbol else ""),
            sub=lambda k: wording.because(k.rule_id, k.reason),
            stretch=True,
        ),
        Column(
            "State",
            lambda k: "Active" if k.cleared_at is None else "Ended",
            tone=lambda k: "locked" if k.cleared_at is None else "muted",
            icon=lambda k: "lock" if k.cleared_at is None else "lock-open",
        ),
        Column("Lasted", lambda k: lockout_span(state, k), sort=lambda k: k.locked_at, right=True),
    ]
    return TableModel(columns, lambda k: k.lockout_id, parent)
