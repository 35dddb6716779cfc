"""What the windows show, as plain Python: no widgets, no socket, no clock of its own.

The client feeds it (`apply_snapshot`, `apply_event`, `set_link`), the state reader fills it while the daemon is away
(`load_replica`), models and views read it and listen for `Change`s. Every method is to be called from one thread.

Time: the only clock is the daemon's trusted one, learnt from its status and carried on with the monotonic clock that is
passed in. The machine's wall clock is never asked, so setting it changes no countdown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from gui.account_view import (
    CURVE_KEPT,
    ENFORCEMENT_KEPT,
    URGENT_TOPICS,
    AccountView,
    Change,
    Link,
    Notice,
    NoticeKind,
    Protection,
    TrustedClock,
    rows_of,
)
from gui.listening import Listening
from gui.records import (
    Account,
    CurvePoint,
    DeskTime,
    Enforcement,
    Health,
    Lockout,
    Order,
    Pending,
    Pnl,
    Position,
    Row,
    Rule,
    Strain,
    Trade,
    Warn,
    moment,
    whole,
)
from gui.wording import Calendar

__all__ = [
    "CURVE_KEPT",
    "ENFORCEMENT_KEPT",
    "URGENT_TOPICS",
    "AccountView",
    "AppState",
    "Change",
    "Link",
    "Notice",
    "NoticeKind",
    "Protection",
    "TrustedClock",
]


class AppState(Listening):
    """The state of the whole window.

    `monotonic` gives seconds of a clock that nobody can set (time.monotonic).
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self.clock = TrustedClock(monotonic)
        self.calendar = Calendar()
        self.link = Link.CONNECTING
        self.link_detail = ""
        self.health: Health | None = None
        self.accounts: dict[int, AccountView] = {}
        self.pending: tuple[Pending, ...] = ()
        """Changes of the configuration that wait for the reset."""
        self._symbols: dict[str, str] = {}
        self.as_of: datetime | None = None
        """When the figures were true, while they come from the replica."""
        self.live = False
        """Whether the figures come from the daemon now."""
        self.accounts_known = False
        """Whether a list of accounts has come, from the daemon or the replica."""
        self._heard_at: float | None = None

    # -- reading -----------------------------------------------------------------------------------------------------

    def view(self, account_id: int | None) -> AccountView | None:
        """What is known of an account; None for none chosen, and for one that is not listed (any more)."""
        return None if account_id is None else self.accounts.get(account_id)

    def remaining(self, lockout: Lockout) -> timedelta | None:
        """Time until a lockout's end by trusted time; None without an end, or while trusted time is not known."""
        now = self.clock.now()
        if lockout.expires_at is None or now is None:
            return None
        return max(timedelta(0), lockout.expires_at - now)

    def silence(self) -> float | None:
        """Seconds since the daemon last said anything; None if it never did."""
        return None if self._heard_at is None else self._monotonic() - self._heard_at

    def protection_of(self, view: AccountView) -> Protection:
        """What one account's state is."""
        if self.link is not Link.ONLINE:
            return Protection.UNREACHABLE
        if view.locked:
            return Protection.LOCKED
        account = view.account
        if not account.connected or account.can_trade is False or view.symbol_lockouts or self.being_checked(view):
            return Protection.WARNING
        if any(rule.strain in (Strain.NEAR, Strain.REACHED) for rule in view.rules or ()):
            return Protection.WARNING
        if any(position.stale for position in view.positions or ()):
            return Protection.WARNING
        return Protection.PROTECTED

    def being_checked(self, view: AccountView) -> bool:
        """Whether an account is not known well enough to be called protected: unknown is never shown as fine."""
        starting = self.health is None or self.health.status == "starting"
        return starting or not view.account.monitored or view.lockouts is None or view.positions is None

    @property
    def protection(self) -> Protection:
        """The worst state of all accounts and of the daemon itself."""
        if self.link is not Link.ONLINE:
            return Protection.UNREACHABLE
        states = [self.protection_of(view) for view in self.accounts.values()]
        if Protection.LOCKED in states:
            return Protection.LOCKED
        unwell = self.health is None or self.health.status != "healthy" or self.health.clock_suspect
        if unwell or not states or Protection.WARNING in states:
            return Protection.WARNING
        return Protection.PROTECTED

    # -- the connection ----------------------------------------------------------------------------------------------

    def set_link(self, link: Link, detail: str = "") -> None:
        """Connected, connecting or away; `detail` is one plain sentence about why."""
        if (link, detail) == (self.link, self.link_detail):
            return
        if self.link is Link.ONLINE and link is not Link.ONLINE:
            self.live = False
            self.as_of = self.clock.now() or self.as_of
        self.link, self.link_detail = link, detail
        self._changed("link")

    # -- what comes from the daemon ----------------------------------------------------------------------------------

    def apply_snapshot(self, snapshot: Mapping[str, Any]) -> None:
        """The answer of `subscribe`: topic -> account id -> data. Replaces what was known of those topics."""
        known_before = {
            view.account_id: {lock.lockout_id: lock for lock in view.lockouts}
            for view in self.accounts.values()
            if view.lockouts is not None
        }
        quiet = not self.live and self._heard_at is None
        self.live = True
        for topic in sorted(snapshot, key=_order):
            data = snapshot[topic]
            if topic == "status":
                self.apply_event("status", None, _only(data))
            elif topic == "config":
                self.apply_event("config", None, data)
            elif topic == "accounts":
                self._replace_accounts(data)
            elif isinstance(data, Mapping):
                for key, value in data.items():
                    self._apply(topic, whole(key), value, notify=False)
        for view in self.accounts.values():
            self._forget_unread(view, snapshot)
        if not quiet:
            for view in self.accounts.values():
                self._notify_lockouts(view, known_before.get(view.account_id, {}))

    def _forget_unread(self, view: AccountView, snapshot: Mapping[str, Any]) -> None:
        """A snapshot leaves out what the daemon has not read from the gateway: that is known no more."""
        for topic in _READ_TOPICS & snapshot.keys():
            told = snapshot[topic]
            if not isinstance(told, Mapping) or {str(view.account_id), view.account_id} & told.keys():
                continue
            match topic:
                case "positions":
                    view.positions = None
                case "orders":
                    view.orders = None
                case "pnl":
                    view.pnl = Pnl()
                case "trades":
                    view.trades = None
            self._changed(topic, view.account_id)

    def apply_event(self, topic: str, account_id: int | None, data: Any) -> None:
        """One `event`: the full new value, or appended rows for enforcement, warnings and trades."""
        self._apply(topic, account_id, data, notify=True)

    def _apply(self, topic: str, account_id: int | None, data: Any, *, notify: bool) -> None:
        self._heard_at = self._monotonic()
        if topic == "status":
            if isinstance(data, Mapping):
                self._apply_status(data)
            return
        if topic == "accounts" and account_id is None:
            self._replace_accounts(data)
            return
        if topic == "config":
            waiting = rows_of(data.get("pending")) if isinstance(data, Mapping) else []
            self.pending = tuple(change for change in map(Pending.read, waiting) if change is not None)
            self._changed("config")
            return
        if account_id is None:
            # Appended rows may name their account themselves.
            for row in rows_of(data):
                owner = whole(row.get("account_id"))
                if owner is not None:
                    self._apply(topic, owner, row, notify=notify)
            return
        view = self._ensure(account_id)
        before = {lock.lockout_id: lock for lock in view.lockouts} if view.lockouts is not None else None
        if not self._store(view, topic, data, notify=notify):
            return
        self._changed(topic, account_id)
        if topic == "lockouts" and notify and before is not None:
            self._notify_lockouts(view, before)

    def _store(self, view: AccountView, topic: str, data: Any, *, notify: bool) -> bool:
        if topic in ("positions", "orders", "trades", "enforcement"):
            self._learn_symbols(data)
        match topic:
            case "accounts":
                for row in rows_of(data):
                    account = Account.read({"account_id": view.account_id, **row})
                    if account is not None:
                        view.account = account
            case "pnl":
                if isinstance(data, Mapping):
                    self._store_pnl(view, Pnl.read(data))
            case "positions":
                view.positions = [p for p in map(Position.read, rows_of(data)) if p is not None and p.size > 0]
                view.positions_heard_at = self._monotonic()
            case "orders":
                view.orders = [order for order in map(Order.read, rows_of(data)) if order is not None]
            case "lockouts":
                locks = map(Lockout.read, rows_of(data))
                view.lockouts = [lock for lock in locks if lock is not None and lock.cleared_at is None]
            case "rules":
                view.rules = [rule for rule in map(Rule.read, rows_of(data)) if rule is not None]
            case "trades":
                view.take_trades(data)
            case "enforcement":
                self._add_enforcement(view, rows_of(data), notify=notify)
            case "warnings":
                self._add_warnings(view, rows_of(data), notify=notify)
            case _:
                return False
        return True

    def _apply_status(self, data: Row) -> None:
        self.health = Health.read(data)
        self.clock.observe(self.health.now)
        if self.health.timezone and self.health.timezone != self.calendar.zone:
            self.calendar = Calendar(self.health.timezone)
        accounts = data.get("accounts")
        if isinstance(accounts, Mapping):
            for key, row in accounts.items():
                account_id = whole(key)
                if account_id is not None and isinstance(row, Mapping):
                    self._apply_account_status(self._ensure(account_id), row)
        self._age_quotes()
        self._changed("status")

    def _age_quotes(self) -> None:
        """Quotes grow old without a word: the daemon sends positions only when a quote or a change comes."""
        now = self._monotonic()
        for view in self.accounts.values():
            heard = view.positions_heard_at
            if not view.positions or heard is None:
                continue
            aged = [position.aged(now - heard) for position in view.positions]
            if any(position.stale for position in aged):
                view.positions, view.positions_heard_at = aged, now
                self._changed("positions", view.account_id)

    def _apply_account_status(self, view: AccountView, row: Row) -> None:
        old = view.account
        view.last_event = moment(row.get("last_event")) or view.last_event
        view.account = Account(
            account_id=old.account_id,
            name=str(row.get("name") or old.name),
            login=old.login,
            balance=old.balance,
            can_trade=old.can_trade,
            connected=bool(row.get("connected")),
            # The status need not say it; without a connection nothing is monitored.
            monitored=bool(row.get("monitored", old.monitored)) and bool(row.get("connected")),
            locked=bool(row.get("lockout")),
            locked_until=old.locked_until,
        )

    def _replace_accounts(self, data: Any) -> None:
        if isinstance(data, Mapping) and not ("account_id" in data or "id" in data):
            data = [
                {"account_id": whole(key), **row} if isinstance(row, Mapping) else row
                for key, value in data.items()
                for row in (rows_of(value) if not isinstance(value, Mapping) else [value])
            ]
        seen = set()
        for row in rows_of(data):
            account = Account.read(row)
            if account is None:
                continue
            seen.add(account.account_id)
            view = self._ensure(account.account_id)
            view.account = account
            if view.pnl.realized is None and (row.get("realized") is not None or row.get("unrealized") is not None):
                view.pnl = Pnl.read(row)
        for gone in [account_id for account_id in self.accounts if account_id not in seen]:
            del self.accounts[gone]
        self.accounts_known = True
        self._changed("accounts")

    def _store_pnl(self, view: AccountView, pnl: Pnl) -> None:
        if view.pnl.trading_day and pnl.trading_day and view.pnl.trading_day != pnl.trading_day:
            view.begin_day()
            self._changed("day", view.account_id)
        view.pnl = pnl
        now = self.clock.now()
        if now is not None and pnl.realized is not None:
            view.add_point(CurvePoint(now, pnl.realized, pnl.total))

    def _add_enforcement(self, view: AccountView, rows: Iterable[Row], *, notify: bool) -> None:
        for row in rows:
            entry = Enforcement.read({"account_id": view.account_id, **self._with_symbol(row)})
            if entry is None:
                continue
            new = view.keep_entry(entry)
            if new and notify and not entry.action.startswith("lockout") and entry.action != "modify_order":
                self._notify(NoticeKind.ENFORCEMENT, view.account_id, entry)
        view.forget_oldest()

    def _with_symbol(self, row: Row) -> Row:
        """Rows of the log name only the contract; its symbol is known from positions, orders and trades."""
        if row.get("symbol"):
            return row
        known = self._symbols.get(str(row.get("contract_id")))
        return {**row, "symbol": known} if known else row

    def _learn_symbols(self, data: Any) -> None:
        for row in rows_of(data):
            contract, symbol = row.get("contract_id"), row.get("symbol")
            if contract and symbol:
                self._symbols[str(contract)] = str(symbol)

    def _add_warnings(self, view: AccountView, rows: Iterable[Row], *, notify: bool) -> None:
        for row in rows:
            warning = Warn.read(row, view.account_id)
            if warning is None:
                continue
            view.warnings.appendleft(warning)
            if notify:
                self._notify(NoticeKind.WARNING, view.account_id, warning)

    def _ensure(self, account_id: int) -> AccountView:
        view = self.accounts.get(account_id)
        if view is None:
            view = AccountView(Account(account_id, str(account_id)))
            self.accounts[account_id] = view
        return view

    # -- what was asked for ------------------------------------------------------------------------------------------

    def set_trades(self, account_id: int, rows: Any) -> None:
        """The answer of `get_trades`: replaces the day's list."""
        view = self._ensure(account_id)
        self._learn_symbols(rows)
        view.trades = {trade.trade_id: trade for trade in map(Trade.read, rows_of(rows)) if trade is not None}
        self._changed("trades", account_id)

    def set_curve(self, account_id: int, rows: Any) -> None:
        """The answer of `get_pnl_curve`; live points that are newer are kept."""
        view = self._ensure(account_id)
        points = [p for p in map(CurvePoint.read, rows if isinstance(rows, list) else []) if p is not None]
        points.sort(key=lambda point: point.at)
        last = points[-1].at if points else None
        view.curve = points + [point for point in view.curve if last is None or point.at > last]
        now, pnl = self.clock.now(), view.pnl
        if last is not None and now is not None and now > last and pnl.realized is not None:
            # The last trade's point has no total, and the live point after it may have borne an earlier time.
            view.add_point(CurvePoint(now, pnl.realized, pnl.total))
        self._changed("pnl", account_id)

    def set_desk(self, account_id: int, rows: Any) -> None:
        """The answer of `get_sessions`."""
        self._ensure(account_id).desk = [DeskTime.read(row) for row in rows_of(rows)]
        self._changed("desk", account_id)

    def add_log(self, rows: Any) -> None:
        """A page of `get_enforcement_log`: no notices."""
        named = (self._with_symbol(row) for row in rows_of(rows))
        self.add_entries([entry for entry in map(Enforcement.read, named) if entry is not None])

    def add_entries(self, entries: Iterable[Enforcement]) -> None:
        """Entries of the log read from somewhere: no notices."""
        touched = set()
        for entry in entries:
            self._ensure(entry.account_id).keep_entry(entry)
            touched.add(entry.account_id)
        for account_id in touched:
            self._changed("enforcement", account_id)

    # -- what the replica holds --------------------------------------------------------------------------------------

    def load_replica(self, content: Mapping[str, Any], as_of: datetime | None) -> None:
        """Figures from `public/view.db`, shaped like a snapshot. Ignored while the daemon itself is talking."""
        if self.link is Link.ONLINE and self.live:
            return
        heard = self._heard_at
        for topic in sorted(content, key=_order):
            data = content[topic]
            if topic == "config":
                self._apply("config", None, data, notify=False)
            elif topic == "status":
                if isinstance(data, Mapping):
                    # Its `now` is old by an unknown time, so no countdown is built on it.
                    self._apply_status({key: value for key, value in data.items() if key != "now"})
            elif topic == "accounts":
                self._replace_accounts(data)
            elif isinstance(data, Mapping):
                for key, value in data.items():
                    self._apply(topic, whole(key), value, notify=False)
        self._heard_at = heard
        self.live = False
        self.as_of = as_of
        self._changed("link")


_READ_TOPICS = frozenset({"positions", "orders", "pnl", "trades"})
"""Topics that a snapshot has only of accounts that were read from the gateway."""


def _order(topic: str) -> tuple[int, str]:
    """Status, then the list of accounts, which knows more of each, then what belongs to them."""
    return {"status": 0, "accounts": 1}.get(topic, 2), topic


def _only(data: Any) -> Any:
    """The status itself, whether it comes bare or under a key for 'no account'."""
    if isinstance(data, Mapping) and "status" not in data and len(data) == 1:
        return next(iter(data.values()))
    return data
