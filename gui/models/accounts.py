"""All accounts side by side."""

from __future__ import annotations

from PySide6.QtCore import QObject

from gui import wording
from gui.app_state import AccountView, AppState, Link, Protection
from gui.models.positions import arrowed, money_tone
from gui.models.table import Column, TableModel

STATE_ICONS = {
    Protection.PROTECTED: "shield-check",
    Protection.WARNING: "triangle-alert",
    Protection.LOCKED: "lock",
    Protection.UNREACHABLE: "wifi-off",
}
STATE_TONES = {
    Protection.PROTECTED: "positive",
    Protection.WARNING: "warning",
    Protection.LOCKED: "locked",
    Protection.UNREACHABLE: "muted",
}


def account_state(state: AppState, view: AccountView) -> tuple[Protection, str]:
    """An account's state and its few words: "Locked, 03:27:12 left", "Protected", "Not connected to the broker"."""
    protection = state.protection_of(view)
    if view.locked:
        left = remaining_words(state, view)
        word = "Cooling down" if view.account_lockouts and view.account_lockouts[0].kind == "cooldown" else "Locked"
        words = f"{word}, {left}" if left else word
        return (Protection.LOCKED if state.link is Link.ONLINE else protection), words
    if protection is Protection.UNREACHABLE:
        return protection, "State not known"
    if protection is Protection.PROTECTED:
        return protection, "Protected"
    account = view.account
    if not account.connected:
        return protection, "Not connected to the broker"
    if not account.monitored:
        return protection, "Being checked, locked until it is"
    if account.can_trade is False:
        return protection, "The broker does not allow trading"
    if any(position.stale for position in view.positions or ()):
        return protection, "No fresh quotes"
    if view.symbol_lockouts:
        return protection, ", ".join(sorted({lock.symbol or "a symbol" for lock in view.symbol_lockouts})) + " blocked"
    close = [rule for rule in view.rules or () if rule.enabled and rule.share is not None and rule.share >= 0.75]
    if close:
        nearest = max(close, key=lambda rule: rule.share or 0)
        return protection, f"{nearest.share:.0%} of {nearest.title.lower()}"
    return protection, "Needs attention"


def remaining_words(state: AppState, view: AccountView) -> str:
    """ "03:27:12 left", "until 17:00 New York" while trusted time is not known, or "" without an end."""
    locks = view.account_lockouts
    if not locks:
        until = view.account.locked_until
        return "" if until is None else f"until {state.calendar.until(until, state.clock.now())}"
    left = state.remaining(locks[0])
    if left is not None and left.total_seconds() > 0:
        return f"{wording.countdown(left)} left"
    if locks[0].expires_at is not None:
        return "ending now" if left is not None else f"until {state.calendar.until(locks[0].expires_at, None)}"
    return "no set end"


def accounts_model(state: AppState, parent: QObject | None = None) -> TableModel[AccountView]:
    """Name, state, realized and unrealized dollars of the day, balance, open positions, trades."""
    columns: list[Column[AccountView]] = [
        Column("Account", lambda v: v.account.name, tip=lambda v: f"{v.account.login} · {v.account_id}"),
        Column(
            "State",
            lambda v: account_state(state, v)[1],
            tone=lambda v: STATE_TONES[account_state(state, v)[0]],
            icon=lambda v: STATE_ICONS[account_state(state, v)[0]],
            stretch=True,
        ),
        Column(
            "Realized",
            lambda v: arrowed(v.pnl.realized),
            sort=lambda v: v.pnl.realized,
            tone=lambda v: money_tone(v.pnl.realized),
            plain=lambda v: wording.amount(v.pnl.realized, plain=True),
            right=True,
            flash=True,
        ),
        Column(
            "Unrealized",
            lambda v: arrowed(v.pnl.unrealized),
            sort=lambda v: v.pnl.unrealized,
            tone=lambda v: money_tone(v.pnl.unrealized),
            plain=lambda v: wording.amount(v.pnl.unrealized, plain=True),
            right=True,
            flash=True,
        ),
        Column(
            "Balance",
            lambda v: wording.amount(v.account.balance, signed=False),
            sort=lambda v: v.account.balance,
            plain=lambda v: wording.amount(v.account.balance, plain=True),
            right=True,
        ),
        Column(
            "Positions",
            lambda v: wording.UNKNOWN if v.positions is None else str(len(v.positions)),
            sort=lambda v: len(v.positions or ()),
            right=True,
        ),
        Column(
            "Trades",
            lambda v: wording.UNKNOWN if v.pnl.trade_count is None else str(v.pnl.trade_count),
            sort=lambda v: v.pnl.trade_count,
            right=True,
        ),
    ]
    return TableModel(columns, lambda v: v.account_id, parent)
