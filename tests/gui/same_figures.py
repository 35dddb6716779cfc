"""Compares what the window holds and shows with the daemon's own state and the broker's books, figure by figure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from daemon import figures
from daemon.core.units import to_iso
from gui.app_state import AccountView
from gui.log_records import Enforcement, Lockout
from gui.models.table import TableModel
from gui.records import Account, Order, Pnl, Position, Rule, Trade
from gui.views.trader.accounts import AccountsPage
from gui.views.trader.log import LogPage, Period
from gui.views.trader.overview import OverviewPage
from gui.views.trader.pnl import PnlPage
from gui.views.trader.positions import PositionsPage
from gui.views.trader.rules import RulesPage
from tests.gui.books import Statement, day_start, statement
from tests.gui.live import Desk
from tests.scenarios.world import World

CENT = Decimal("0.01")
LATE = timedelta(minutes=4)
"""How far the window's clock may be behind in an hour that passes in seconds: it asks for the time now and then."""
ROUNDING = Decimal("0.000002")
"""The gateway sends an average price as a binary number: dollars made from it are true to the micro-dollar."""


class Found(list[str]):
    """What differs: one line each."""

    def same(self, what: str, shown: object, true: object) -> None:
        """The two must be equal."""
        if shown != true:
            self.append(f"{what}: shown {shown!r}, but it is {true!r}")

    def near(self, what: str, shown: Decimal | None, true: Decimal, least: Decimal = ROUNDING) -> None:
        """The two may differ by no more than `least` dollars."""
        if shown is None or abs(shown - true) > least:
            self.append(f"{what}: shown {shown}, but it is {true}")


def number(words: str) -> Decimal | None:
    """The amount in "▲ +1,250.00" or "−510.74"; None in words without one."""
    found = re.search(r"[\u2212+-]?[\d,]+(\.\d+)?", words)
    return None if found is None else Decimal(found[0].replace("\u2212", "-").replace(",", ""))


def cells(model: TableModel[Any]) -> list[list[str]]:
    """What the cells of a table show."""
    return [
        [str(model.data(model.index(row, column))) for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def clock(desk: Desk, at: int | None) -> str:
    """A time of the broker as the window writes it."""
    return desk.state.calendar.clock(None if at is None else datetime.fromisoformat(to_iso(at)))


def differences(here: World, desk: Desk, accounts: Iterable[int]) -> list[str]:
    """All that differs now, in the state and on every page of every account. Nothing happens meanwhile."""
    found = Found()
    window = desk.window
    window.refresher.flush()
    shown_account, shown_page = window.account_id, window.current.key
    for account in accounts:
        view = desk.state.accounts.get(account)
        if view is None:
            found.append(f"{account} is not shown at all")
            continue
        unlike_the_daemon(found, here, view)
        unlike_the_broker(found, here, desk, view)
        window.show_account(account)
        for key in ("overview", "pnl", "positions", "rules"):
            window.go_to(key)
            unlike_on_screen(found, here, desk)
    window.go_to("accounts")
    unlike_overview_of_all(found, here, desk, list(accounts))
    if shown_account is not None:
        window.show_account(shown_account)
    window.go_to(shown_page)
    return found


# ---- the state behind the pages


def unlike_the_daemon(found: Found, here: World, view: AccountView) -> None:
    """The window's state of an account against the daemon's."""
    engine, account = here.service.engine, here.service.engine.account(view.account_id)
    who = f"{view.account_id}, daemon's"
    found.same(f"{who} account", view.account, Account.read(here.service.api.account_row(view.account_id)))
    found.same(f"{who} P&L", view.pnl, Pnl.read(figures.pnl(engine, account)))
    found.same(f"{who} positions", _ageless(view.positions), _ageless(_read(Position, engine, account)))
    found.same(f"{who} orders", view.orders, _read(Order, engine, account))
    found.same(f"{who} rules", view.rules, _read(Rule, engine, account))
    locks = [Lockout.read(row) for row in figures.lockout_rows(account)]
    found.same(f"{who} lockouts", view.lockouts, locks)
    trades = _read(Trade, engine, account)
    found.same(f"{who} trades", view.trades, {trade.trade_id: trade for trade in trades})


_ROWS: dict[type, Any] = {
    Position: figures.position_rows,
    Order: figures.order_rows,
    Rule: figures.rule_rows,
    Trade: figures.trade_rows,
}


def _read[T](kind: type[T], engine: Any, account: Any) -> list[T]:
    return [kind.read(row) for row in _ROWS[kind](engine, account)]  # type: ignore[attr-defined]


def _ageless(positions: list[Position] | None) -> list[tuple[object, ...]]:
    """Positions without the age of their quotes, and whether that is fresh."""
    return [
        (p.key, p.name, p.side, p.size, p.average_price, p.unrealized, p.opened_at, p.stale) for p in positions or []
    ]


def unlike_the_broker(found: Found, here: World, desk: Desk, view: AccountView) -> None:
    """The window's state of an account against the broker's books."""
    books = statement(here.sim, view.account_id)
    who = f"{view.account_id}, broker's"
    pnl = view.pnl
    found.same(f"{who} balance", view.account.balance, books.balance)
    found.same(f"{who} realized", pnl.realized, books.realized)
    found.near(f"{who} unrealized", pnl.unrealized, books.unrealized, ROUNDING * 6)
    found.same(f"{who} trade count", pnl.trade_count, len(books.fills))
    found.same(f"{who} positions", {p.contract_id for p in view.positions or ()}, set(books.held))
    found.same(f"{who} orders", {o.order_id for o in view.orders or ()}, set(books.working))
    found.same(f"{who} trades", set(view.trades or {}), set(books.fills))
    if view.curve:
        end = view.curve[-1]
        found.same(f"{who} end of the curve, realized", end.realized, books.realized)
        found.near(f"{who} end of the curve, total", end.total, books.realized + books.unrealized, ROUNDING * 6)
        began = day_start(here.sim.clock.utc())
        if view.curve[0].at < began - LATE:
            found.append(f"{who} curve begins at {view.curve[0].at}, before the trading day of {began}")
        found.same(f"{who} order of the curve", view.curve, sorted(view.curve, key=lambda point: point.at))
    desk_times = view.desk
    if desk_times:
        times = [None if at is None else to_iso(at) for at in (books.first_fill, books.last_fill)]
        shown = [
            None if at is None else f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"
            for at in (desk_times[0].first_trade, desk_times[-1].last_trade)
        ]
        found.same(f"{who} first and last trade", shown, times)
    for rule in view.rules or ():
        expected = gauge(rule, books, here) if rule.enabled else None
        if expected is not None:
            value, limit = expected
            found.near(f"{who} {rule.key}", number(rule.value), value)
            share = 0 if (value >= 0) != (limit > 0) else int(abs(value) * 100 / abs(limit))
            found.near(f"{who} share of {rule.key}", Decimal(str((rule.share or 0) * 100)), Decimal(share), Decimal(1))
    if view.account_lockouts and any(lock.kind in ("hard", "manual") for lock in view.account_lockouts):
        found.same(f"{view.account_id} is locked, and at the broker there are", (books.held, books.working), ({}, {}))


def gauge(rule: Rule, books: Statement, here: World) -> tuple[Decimal, Decimal] | None:
    """Value and limit of a rule by the broker's books; None for a rule that has no such figure."""
    now, params = here.service.engine.now, rule.params
    start = round(day_start(here.sim.clock.utc()).timestamp() * 1_000_000)
    match rule.key:
        case "max_contracts":
            return Decimal(abs(books.net_contracts)), Decimal(params["limit"])
        case "max_contracts_per_instrument":
            if not books.held:
                return None
            limits = {held.symbol: params["limits"].get(held.symbol, 1) for held in books.held.values()}
            fullest = max(books.held.values(), key=lambda held: held.size * 100 // limits[held.symbol])
            if sum(h.size * 100 // limits[h.symbol] == fullest.size * 100 // limits[fullest.symbol]
                   for h in books.held.values()) > 1:  # fmt: skip
                return None  # two are as near as each other: either may be named
            return Decimal(fullest.size), Decimal(limits[fullest.symbol])
        case "daily_realized_loss":
            return books.realized, Decimal(str(params["limit"]))
        case "daily_realized_profit":
            return books.realized, Decimal(str(params["target"]))
        case "daily_total_loss":
            return books.realized + books.unrealized, Decimal(str(params["limit"]))
        case "daily_unrealized_loss":
            return min((h.unrealized for h in books.held.values()), default=Decimal(0)), Decimal(str(params["limit"]))
        case "max_unrealized_profit":
            return max((h.unrealized for h in books.held.values()), default=Decimal(0)), Decimal(str(params["target"]))
        case "trade_frequency_limit":
            limits = params["limits"]
            counts = {
                "per_minute": books.entries(now - 60_000_000, now),
                "per_session": books.entries(start - 1, now),
            }
            full = max(counts, key=lambda name: counts[name] * 100 // limits[name])
            if len({counts[name] * 100 // limits[name] for name in counts}) == 1:
                return None
            return Decimal(counts[full]), Decimal(limits[full])
        case "cooldown_after_loss" | "consecutive_losses" if books.last_exit_voided:
            return None  # until the day's trades are read anew the daemon takes the voided exit for the last one
        case "cooldown_after_loss":
            exits = books.exits()
            first = max(Decimal(str(step["loss_amount"])) for step in params["loss_thresholds"])
            return min(Decimal(0), exits[-1] if exits else Decimal(0)), first
        case "consecutive_losses":
            return Decimal(books.losing_streak()), Decimal(params["limit"])
    return None


# ---- the pages


def unlike_on_screen(found: Found, here: World, desk: Desk) -> None:
    """What the page on screen shows of its account, against the broker's books."""
    page, account = desk.window.current, desk.window.account_id
    if account is None or account not in desk.state.accounts:
        found.append("no account is on screen")
        return
    books, view = statement(here.sim, account), desk.state.accounts[account]
    who = f"{account} on the page {page.title}:"
    if isinstance(page, OverviewPage):
        _figure(found, f"{who} realized", page.realized.figure.words, books.realized)
        _figure(found, f"{who} unrealized", page.unrealized.figure.words, books.unrealized)
        _figure(found, f"{who} total", page.total.figure.words, books.realized + books.unrealized)
        _figure(found, f"{who} balance", page.balance.figure.words, books.balance)
        fills = len(books.fills)
        words = "no fills" if not fills else f"{fills} fill{'' if fills == 1 else 's'}"
        found.same(f"{who} trades", page.realized.note.text(), words)
        held = len(books.held)
        words = "no positions" if not held else f"{held} position{'' if held == 1 else 's'}"
        found.same(f"{who} positions", page.unrealized.note.text(), words)
        _positions(found, who, desk, page.positions_model, books)
        found.same(f"{who} line of the fills", page.desk_line("Fills"), str(fills))
        if view.desk:
            found.same(f"{who} first trade", page.desk_line("First trade"), clock(desk, books.first_fill))
            found.same(f"{who} last trade", page.desk_line("Last trade"), clock(desk, books.last_fill))
        for row in page.limit_rows:
            rule = next(rule for rule in view.rules or () if rule.title == row.title.text())
            _gauge(found, f"{who} {rule.title}", rule, row.value.text(), row.share.text(), books, here)
    elif isinstance(page, PnlPage):
        _figure(found, f"{who} realized", page.realized.words, books.realized)
        _figure(found, f"{who} total", page.total.words, books.realized + books.unrealized)
        if len(view.curve) > 1:
            ends = re.search(r"realized now (\S+), total (\S+)\.$", page.curve.accessibleDescription())
            if ends is None:
                found.append(f"{who} the curve says {page.curve.accessibleDescription()!r}")
            else:
                _figure(found, f"{who} end of the curve", ends[1], books.realized)
                _figure(found, f"{who} end of the thin curve", ends[2], books.realized + books.unrealized)
        _trades(found, who, desk, page, books)
    elif isinstance(page, PositionsPage):
        _figure(found, f"{who} unrealized", page.unrealized.words, books.unrealized)
        _positions(found, who, desk, page.positions, books)
        working = len(books.working)
        found.same(f"{who} count of orders", page.count.text(), f"{working} working" if working else "")
        _orders(found, who, page, books)
    elif isinstance(page, RulesPage):
        rules = {rule.title: rule for rule in view.rules or ()}
        found.same(f"{who} rules", {row.title.text() for row in page.rows}, set(rules))
        for rule_row in page.rows:
            rule = rules[rule_row.title.text()]
            if rule.enabled:
                _gauge(found, f"{who} {rule.title}", rule, rule_row.value.text(), rule_row.share.text(), books, here)


def _figure(found: Found, what: str, words: str, true: Decimal) -> None:
    found.near(what, number(words), true, CENT / 2 + ROUNDING * 6)
    if abs(true) > CENT:
        found.same(f"{what}, its sign", "\u2212" in words, true < 0)


def _gauge(found: Found, what: str, rule: Rule, value: str, share: str, books: Statement, here: World) -> None:
    expected = gauge(rule, books, here)
    if expected is None:
        return
    amount, limit = expected
    _figure(found, what, value.partition(" of ")[0], amount)
    used = 0 if (amount >= 0) != (limit > 0) else int(abs(amount) * 100 / abs(limit))
    found.near(f"{what}, share", number(share), Decimal(used), Decimal(1))


def _positions(found: Found, who: str, desk: Desk, model: TableModel[Position], books: Statement) -> None:
    rows = {row[0]: row for row in cells(model)}
    found.same(f"{who} held", set(rows), {held.name for held in books.held.values()})
    for held in books.held.values():
        row = rows.get(held.name)
        if row is not None:
            found.same(f"{who} {held.name}", row[1:3], [held.side, str(held.size)])
            found.near(f"{who} average of {held.name}", number(row[3]), held.average, Decimal("1e-9"))
            _figure(found, f"{who} unrealized of {held.name}", row[4], held.unrealized)
            found.same(f"{who} quote of {held.name}", row[5], "live")


def _orders(found: Found, who: str, page: PositionsPage, books: Statement) -> None:
    shown = {order.order_id: row for order, row in zip(page.orders.rows, cells(page.orders), strict=True)}
    found.same(f"{who} orders", set(shown), set(books.working))
    for order_id, order in books.working.items():
        row = shown.get(order_id)
        if row is None:
            continue
        size = f"{order.filled} of {order.size}" if order.filled else str(order.size)
        found.same(f"{who} order {order_id}", row[:4], [order.name, order.side, order.type, size])
        prices = [Decimal(part.strip().replace(",", "")) for part in row[4].split("/") if part.strip() not in ("", "–")]
        found.same(f"{who} prices of order {order_id}", prices, [p for p in (order.stop, order.limit) if p is not None])
        found.same(f"{who} state of order {order_id}", row[5], order.state)


def _trades(found: Found, who: str, desk: Desk, page: PnlPage, books: Statement) -> None:
    shown = {trade.trade_id: row for trade, row in zip(page.model.rows, cells(page.model), strict=True)}
    found.same(f"{who} trades", set(shown), set(books.fills))
    for trade_id, fill in books.fills.items():
        row = shown.get(trade_id)
        if row is None:
            continue
        what = f"{who} trade {trade_id}"
        found.same(what, row[:4], [clock(desk, fill.at), fill.symbol, fill.side, str(fill.size)])
        found.same(f"{what}, price", number(row[4]), fill.price)
        if fill.pnl is None:
            found.same(f"{what}, P&L", row[5], "opening")
        else:
            _figure(found, f"{what}, P&L", row[5], fill.pnl)
        _figure(found, f"{what}, fees", row[6], fill.fees)
        _figure(found, f"{what}, net", row[7], fill.net)
    closing = [fill.pnl for fill in books.fills.values() if fill.pnl is not None]
    won, lost = sum(pnl > 0 for pnl in closing), sum(pnl < 0 for pnl in closing)
    count = len(books.fills)
    words = f"{count} fill{'' if count == 1 else 's'}, {won} won, {lost} lost" if count else ""
    found.same(f"{who} summary", page.sum.text(), words)


def unlike_overview_of_all(found: Found, here: World, desk: Desk, accounts: list[int]) -> None:
    """The page of all accounts against the books of all."""
    page = desk.window.current
    if not isinstance(page, AccountsPage):
        found.append(f"the page of all accounts is not there, but {page.title}")
        return
    books = {account: statement(here.sim, account) for account in accounts}
    _figure(found, "all, realized", page.realized.figure.words, sum((b.realized for b in books.values()), Decimal(0)))
    unrealized = sum((b.unrealized for b in books.values()), Decimal(0))
    _figure(found, "all, unrealized", page.unrealized.figure.words, unrealized)
    locked = sum(figures.is_locked(here.service.engine.account(account)) for account in accounts)
    found.same("all, locked", page.locked.figure.words, f"{locked} of {len(accounts)}")
    rows = {view.account_id: row for view, row in zip(page.model.rows, cells(page.model), strict=True)}
    found.same("all, accounts", set(rows), set(accounts))
    for account, book in books.items():
        row = rows.get(account)
        if row is not None:
            _figure(found, f"all, realized of {account}", row[2], book.realized)
            _figure(found, f"all, unrealized of {account}", row[3], book.unrealized)
            _figure(found, f"all, balance of {account}", row[4], book.balance)
            found.same(f"all, counts of {account}", row[5:7], [str(len(book.held)), str(len(book.fills))])
            is_locked = figures.is_locked(here.service.engine.account(account))
            found.same(f"all, lock of {account}", row[1] in ("Locked", "Cooling down"), is_locked)


# ---- the log


async def unlike_the_log(here: World, desk: Desk, accounts: Iterable[int]) -> list[str]:
    """The log page against the daemon's database, and what it says was cancelled against the broker's books."""
    found = Found()
    page = next(page for page in desk.window.pages if isinstance(page, LogPage))
    desk.window.go_to(page.key)
    page.scope.setCurrentIndex(1)
    page.period.setCurrentIndex(page.period.findData(Period.ALL))
    rows = await here.rows("SELECT * FROM enforcement_log ORDER BY id")
    locks = await here.rows("SELECT * FROM lockouts ORDER BY id")
    await page.load_history()
    desk.window.refresher.flush()
    wanted = set(accounts)
    entries = [entry for entry in map(Enforcement.read, rows) if entry is not None and entry.account_id in wanted]
    shown, true = Counter(map(_log_line, page.entries.rows)), Counter(map(_log_line, entries))
    found.extend(f"not in the log: {line}" for line in (true - shown).elements())
    found.extend(f"only in the log: {line}" for line in (shown - true).elements())
    for entry in page.entries.rows:
        if entry.action == "cancel_order" and entry.result == "confirmed":
            order = here.sim.broker.orders[int(entry.order_id)]
            found.same(f"order {order.id} was cancelled, and works", order.working, False)
    history = {lock.lockout_id: lock for lock in page.lockouts.rows}
    true_locks = {lock.lockout_id: lock for lock in map(Lockout.read, locks) if lock is not None}
    found.same("lockouts", set(history), {key for key, lock in true_locks.items() if lock.account_id in wanted})
    for key, lock in history.items():
        if key in true_locks:
            for name in ("account_id", "rule_id", "kind", "symbol", "locked_at", "expires_at", "cleared_at"):
                found.same(f"lockout {key}, {name}", getattr(lock, name), getattr(true_locks[key], name))
    return found


def _log_line(entry: Enforcement) -> tuple[object, ...]:
    """What the page shows of an entry. A lock has no time of confirmation of its own, its end no reason."""
    lock = entry.action.startswith("lockout")
    reason = "" if entry.action == "lockout_cleared" else entry.reason
    what = (entry.contract_id, entry.order_id, entry.size, reason, entry.result)
    return entry.account_id, entry.rule_id, entry.action, *what, entry.triggered_at, None if lock else entry.took_ms


async def unlike_the_answers(desk: Desk, accounts: Iterable[int]) -> list[str]:
    """What the daemon answers when it is asked, against what it has sent."""
    found = Found()
    for account in accounts:
        view, params = desk.state.accounts[account], {"account_id": account}

        async def ask(method: str, params: dict[str, Any] = params) -> Any:
            return await desk.client.rpc.call(method, params)

        found.same(f"{account} get_pnl", view.pnl, Pnl.read(await ask("get_pnl")))
        found.same(f"{account} get_orders", view.orders, list(map(Order.read, await ask("get_orders"))))
        found.same(f"{account} get_lockouts", view.lockouts, list(map(Lockout.read, await ask("get_lockouts"))))
        positions = [p for p in map(Position.read, await ask("get_positions")) if p is not None]
        found.same(f"{account} get_positions", _ageless(view.positions), _ageless(positions))
        trades = [trade for trade in map(Trade.read, await ask("get_trades")) if trade is not None]
        found.same(f"{account} get_trades", view.trades, {trade.trade_id: trade for trade in trades})
    return found
