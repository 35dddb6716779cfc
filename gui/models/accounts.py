"""All accounts side by side."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject

from gui import wording
from gui.app_state import AccountView, AppState, Protection
from gui.models.columns import money_column
from gui.models.table import Column, TableModel
from gui.records import Kind, Strain

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


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account's state: two or three words, and what else is to be said ("" for nothing)."""

    protection: Protection
    words: str
    detail: str = ""
    cooling: bool = False

    @property
    def icon_name(self) -> str:
        return "hourglass" if self.cooling else STATE_ICONS[self.protection]

    @property
    def tone(self) -> str:
        return "warning" if self.cooling else STATE_TONES[self.protection]

    @property
    def line(self) -> str:
        """Both in one line: "Locked, 03:27:12 left"."""
        return f"{self.words}, {self.detail}" if self.detail else self.words


def account_state(state: AppState, view: AccountView) -> AccountState:
    """What an account's state is now. A lock is shown as one even while the daemon is away: it stays in force."""
    if view.locked:
        left = remaining_words(state, view)
        if view.account_lockouts and view.account_lockouts[0].kind is Kind.COOLDOWN:
            return AccountState(Protection.LOCKED, "Cooling down", left, cooling=True)
        return AccountState(Protection.LOCKED, "Locked", left)
    protection = state.protection_of(view)
    if protection is Protection.UNREACHABLE:
        return AccountState(protection, "State not known")
    if protection is Protection.PROTECTED:
        return AccountState(protection, "Protected")
    return AccountState(protection, *_concern(state, view))


def _concern(state: AppState, view: AccountView) -> tuple[str, str]:
    """Why an account needs attention."""
    account = view.account
    if not account.connected:
        return "Not connected", "no connection to the broker"
    if state.being_checked(view):
        return "Being checked", "counts as locked until it is"
    if account.can_trade is False:
        return "No trading", "the broker does not allow it"
    if any(position.stale for position in view.positions or ()):
        return "No fresh quotes", "unrealized figures are old"
    close = [rule for rule in view.rules or () if rule.strain in (Strain.NEAR, Strain.REACHED)]
    if close:
        nearest = max(close, key=lambda rule: rule.share or 0)
        words = "At a limit" if nearest.strain is Strain.REACHED else "Near a limit"
        return words, f"{nearest.share:.0%} of {nearest.title.lower()}"
    symbols = sorted({lock.symbol or "a symbol" for lock in view.symbol_lockouts})
    if symbols:
        return "Symbol blocked", ", ".join(symbols)
    return "Needs attention", ""


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
            lambda v: account_state(state, v).words,
            sub=lambda v: account_state(state, v).detail,
            tone=lambda v: account_state(state, v).tone,
            icon=lambda v: account_state(state, v).icon_name,
            stretch=True,
        ),
        money_column("Realized", lambda v: v.pnl.realized),
        money_column("Unrealized", lambda v: v.pnl.unrealized),
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
            optional=True,
        ),
        Column(
            "Fills",
            lambda v: wording.UNKNOWN if v.pnl.trade_count is None else str(v.pnl.trade_count),
            sort=lambda v: v.pnl.trade_count,
            right=True,
            optional=True,
        ),
    ]
    return TableModel(columns, lambda v: v.account_id, parent)
