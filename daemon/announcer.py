"""Tells people what happened: socket events, the replica, the activity log. Best effort, and never waited for.

Lockouts, enforcement and warnings go out at once. What changes often (positions, P&L, orders, gauges) is marked and
sent at most ten times a second, from the state as it is then; gauges that only prices move, once a second; gauges that
time alone changes, when it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from loguru import logger

from daemon import figures
from daemon.core.decisions import Act, Action, Alert, DayChanged, Decision, Lock, LockChanged, Settle, Unlock, Warn
from daemon.core.engine import Engine
from daemon.core.events import (
    AccountUpdate,
    ConnectionChanged,
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    Tick,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.core.units import to_iso
from daemon.day_figures import SNAPSHOT_TRADES, CurvePoint
from daemon.repeats import Repeats
from daemon.store.rows import end_in_words
from shared.models import MANUAL_RULE_ID, ActionKind

FLUSH_SECONDS = 0.1
GAUGE_SECONDS = 1.0
"""Prices alone have an account's gauges sent this often: all twenty are made anew, for people to read."""
PNL_SAMPLE_US = 5_000_000
CURVE_POINTS = 4000

Topic = str
_TOPICS_OF: dict[type, tuple[Topic, ...]] = {
    PositionUpdate: ("positions", "pnl", "rules", "accounts"),
    PositionsSnapshot: ("positions", "pnl", "rules", "accounts"),
    OrderUpdate: ("orders", "rules"),
    OrdersSnapshot: ("orders", "rules"),
    TradeUpdate: ("trades", "pnl", "rules", "accounts"),
    TradesSnapshot: ("trades", "pnl", "rules", "accounts"),
    AccountUpdate: ("accounts", "pnl", "rules"),
}


class Outlet(Protocol):
    """The socket's side; `daemon.ipc_server.IpcServer` is one."""

    def wanted(self, topic: str) -> bool:
        """Whether anybody listens."""

    def publish(self, topic: str, account_id: int | None, data: object) -> None:
        """Send to the listeners."""


class Replica(Protocol):
    """The replica's side; `daemon.view.View` is one."""

    def publish(self, key: str, value: object) -> None:
        """Show a value under a key."""


class Records(Protocol):
    """Where the day's figures are kept and what was enforced is logged; `daemon.store.Store` is one."""

    def record_pnl(self, account_id: int, trading_day: str, realized: int, trade_count: int, now: int) -> None:
        """Keep a day's figures."""

    def record_reset(
        self, account_id: int, trading_day: str, last_reset_at: int | None, next_reset_at: int | None
    ) -> None:
        """Keep the trading day an account is in."""

    def log_entry(self, decision: Decision) -> figures.Row | None:
        """The row of the enforcement log that a decision led to, as it is now."""


class Announcer:
    """The `Listener` of the dispatcher."""

    def __init__(
        self,
        engine: Engine,
        records: Records,
        *,
        replica: Replica | None = None,
        activity: Callable[[str], None] = lambda text: None,
        system_log: Callable[[str, str], None] = lambda kind, text: None,
        alert: Callable[[str, str], None] = lambda severity, text: None,
        account_row: Callable[[int], figures.Row],
    ) -> None:
        self.outlet: Outlet | None = None
        self._engine = engine
        self._records = records
        self._replica = replica
        self._activity = activity
        self._system_log = system_log
        self._alert = alert
        self._account_row = account_row
        self._dirty: dict[tuple[Topic, int], None] = {}
        self._moved: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._gauges_moved: set[int] = set()
        self._gauge_timer: asyncio.TimerHandle | None = None
        self._gauges_until: dict[int, int] = {}
        self._curves: dict[int, list[CurvePoint]] = {}
        self._sampled: dict[int, int] = {}
        self._positions_read: dict[int, tuple[PositionRecord, ...]] = {}
        self._orders_read: dict[int, tuple[OrderRecord, ...]] = {}
        self._by_hand = Repeats()
        self._log = logger.bind(channel="enforcement")

    # ---- what the dispatcher calls

    def happened(self, event: Event) -> None:
        """An event was judged."""
        kind = type(event)
        if kind is Quote:
            assert isinstance(event, Quote)
            self._moved.add(event.contract_id)
            self._arm()
            return
        if kind is Tick:
            self._time_passed()
            return
        if kind is ConnectionChanged:
            # What is shown may hang on it: the next reads are told whole.
            self._positions_read.clear()
            self._orders_read.clear()
        topics = _TOPICS_OF.get(kind)
        if topics is None:
            return
        account_id: int = event.account_id  # type: ignore[union-attr]
        if self._read_before(event):
            topics = ("accounts",)  # when it was last heard of
        for topic in topics:
            self._dirty[topic, account_id] = None
        self._arm()

    def _time_passed(self) -> None:
        """Send the gauges that time alone may have changed."""
        now = self._engine.now
        for account_id, until in self._gauges_until.items():
            if until <= now:
                self._dirty["rules", account_id] = None
                self._arm()

    def _read_before(self, event: Event) -> bool:
        """Whether this is a read that shows what the one before it showed, and nothing was pushed between the two."""
        if isinstance(event, PositionUpdate):
            self._positions_read.pop(event.account_id, None)
        elif isinstance(event, OrderUpdate):
            self._orders_read.pop(event.account_id, None)
        elif isinstance(event, PositionsSnapshot):
            before = self._positions_read.get(event.account_id)
            self._positions_read[event.account_id] = event.positions
            return before == event.positions
        elif isinstance(event, OrdersSnapshot):
            working = self._orders_read.get(event.account_id)
            self._orders_read[event.account_id] = event.orders
            return working == event.orders
        return False

    def decided(self, decision: Decision) -> None:
        """A decision was carried out."""
        if isinstance(decision, Lock):
            lockout = decision.lockout
            self._log.warning("LOCKED account {} {} {}: {}", lockout.account_id, lockout.rule_id, lockout.kind,
                              lockout.reason)  # fmt: skip
            self._lockouts_changed(lockout.account_id)
            self._enforced(decision)
            self._lockout_told(decision, "lockout", lockout.reason)
        elif isinstance(decision, Unlock):
            lockout = decision.lockout
            text = end_in_words(lockout)
            self._log.warning("UNLOCKED account {} {}: {}", lockout.account_id, lockout.rule_id, text)
            self._lockouts_changed(lockout.account_id)
            self._enforced(decision)
            self._lockout_told(decision, "unlock", text)
        elif isinstance(decision, LockChanged):
            self._lockouts_changed(decision.lockout.account_id)
        elif isinstance(decision, Act):
            action = decision.action
            self._log.info("{} account {} {} {}: {}", action.kind, action.account_id, _subject(action), action.rule_id,
                           action.reason)  # fmt: skip
            self._enforced(decision)
            if action.kind != ActionKind.MODIFY_ORDER:
                self._people(action.account_id, "enforcement", f"{self._deed(action)}: {action.reason}")
        elif isinstance(decision, Settle):
            action = decision.action
            ms = (decision.at - action.decided_at) // 1000
            self._log.info("{} {} account {} {} after {} ms", decision.result, action.kind, action.account_id,
                           _subject(action), ms)  # fmt: skip
            self._enforced(decision, ms=ms)
        elif isinstance(decision, Warn):
            logger.warning("Account {} {}: {}", decision.account_id, decision.rule_id, decision.text)
            self._publish("warnings", decision.account_id, self._warning_row(decision))
            self._people(decision.account_id, "warning", decision.text)
        elif isinstance(decision, Alert):
            logger.error("{} {}", decision.text, decision.detail)
            self._alert("error", decision.text)
        elif isinstance(decision, DayChanged):
            logger.info("Account {}: trading day {} begins.", decision.account_id, decision.trading_day)
            self._curves.pop(decision.account_id, None)
            ended = decision.ended
            if ended is not None:
                # A trade just before the reset has not been told yet, and by now belongs to yesterday.
                self._records.record_pnl(
                    decision.account_id, ended.trading_day, ended.realized, ended.trade_count, decision.at
                )
            self.refresh(decision.account_id)
            self._keep_day(decision.account_id)

    def refresh(self, account_id: int) -> None:
        """Send everything of an account anew."""
        for topic in ("accounts", "positions", "orders", "trades", "pnl", "rules", "lockouts"):
            self._dirty[topic, account_id] = None
        self._arm()

    def configuration_changed(self, row: figures.Row) -> None:
        """Another configuration is in force, or others changes wait; `row` is what is shown of it."""
        for account_id in self._engine.accounts:
            self.refresh(account_id)
        self._everywhere("config", row)

    def status_changed(self, row: figures.Row) -> None:
        """The daemon's own state, as `get_status` shows it."""
        self._everywhere("status", row)

    def curve(self, account_id: int) -> list[CurvePoint]:
        """The day's P&L as far as it was seen; the total of these points is known."""
        return self._curves.get(account_id, [])

    def trim(self) -> None:
        """Memory is short: keep every second point of the curves."""
        for points in self._curves.values():
            del points[::2]

    def close(self) -> None:
        """Send what is marked, then no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._by_hand.close()
        self._flush()
        # The flush may have begun the wait anew.
        if self._gauge_timer is not None:
            self._gauge_timer.cancel()
            self._gauges_due()
        if self._timer is not None:
            self._timer.cancel()
            self._flush()

    # ---- sending

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._moved:
            moved, self._moved = self._moved, set()
            for account in self._engine.accounts.values():
                if not moved.isdisjoint(account.positions):
                    self._dirty["positions", account.account_id] = None
                    self._dirty["pnl", account.account_id] = None
                    self._gauges_moved.add(account.account_id)
        dirty, self._dirty = self._dirty, {}
        for topic, account_id in dirty:
            if topic == "rules":
                self._gauges_moved.discard(account_id)
            if not figures.is_read(self._engine.account(account_id), topic):
                continue
            try:
                self._publish(topic, account_id, self._state_of(topic, account_id))
            except Exception as error:  # noqa: BLE001 - showing must never disturb protecting
                logger.opt(exception=error).error("{} of account {} could not be shown.", topic, account_id)
        if self._gauges_moved and self._gauge_timer is None:
            self._gauge_timer = asyncio.get_running_loop().call_later(GAUGE_SECONDS, self._gauges_due)

    def _gauges_due(self) -> None:
        """Mark the gauges that prices have moved and nothing else has had sent since."""
        self._gauge_timer = None
        moved, self._gauges_moved = self._gauges_moved, set()
        for account_id in moved:
            self._dirty["rules", account_id] = None
        if moved:
            self._arm()

    def _state_of(self, topic: Topic, account_id: int) -> object:
        engine = self._engine
        account = engine.account(account_id)
        if topic == "positions":
            return figures.position_rows(engine, account)
        if topic == "orders":
            return figures.order_rows(engine, account)
        if topic == "rules":
            self._gauges_until[account_id] = engine.gauges_until(account)
            return figures.rule_rows(engine, account)
        if topic == "lockouts":
            return figures.lockout_rows(account)
        if topic == "trades":
            self._keep_day(account_id)
            return figures.trade_rows(engine, account, SNAPSHOT_TRADES)
        if topic == "accounts":
            return self._account_row(account_id)
        row = figures.pnl(engine, account)
        self._sample(account_id, row)
        return row

    def _sample(self, account_id: int, row: figures.Row) -> None:
        now = self._engine.now
        points = self._curves.setdefault(account_id, [])
        realized, total = row["realized"], row["total"]
        # A trade's own point has no total: the one that follows it at once does.
        traded = not points or points[-1][1] != realized or (total == realized and points[-1][2] != total)
        if total is None or (not traded and now - self._sampled.get(account_id, 0) < PNL_SAMPLE_US):
            return
        self._sampled[account_id] = now
        points.append((to_iso(now), realized, total))
        if len(points) > CURVE_POINTS:
            del points[: CURVE_POINTS // 2 : 2]

    def _keep_day(self, account_id: int) -> None:
        engine = self._engine
        account = engine.account(account_id)
        day = engine.days.name(engine.now)
        self._records.record_pnl(account_id, day, engine.view.realized(account), account.ledger.count, engine.now)
        self._records.record_reset(account_id, day, engine.view.day_start, engine.view.day_end)

    def _publish(self, topic: Topic, account_id: int, data: object) -> None:
        if self._replica is not None and topic not in {"enforcement", "warnings", "trades", "orders"}:
            self._replica.publish(f"{topic} {account_id}", data)
        if self.outlet is not None and self.outlet.wanted(topic):
            self.outlet.publish(topic, account_id, data)

    def _enforced(self, decision: Act | Settle | Lock | Unlock, **more: object) -> None:
        """A new or changed row of the enforcement log."""
        row = self._records.log_entry(decision)
        if row is not None:
            contract_id = row["contract_id"]
            symbol = self._engine.market.symbol(contract_id) if contract_id else None
            self._publish("enforcement", row["account_id"], {**row, "symbol": symbol, **more})

    def _everywhere(self, topic: Topic, row: figures.Row) -> None:
        if self._replica is not None:
            self._replica.publish(topic, row)
        if self.outlet is not None and self.outlet.wanted(topic):
            self.outlet.publish(topic, None, row)

    def _lockouts_changed(self, account_id: int) -> None:
        account = self._engine.account(account_id)
        self._publish("lockouts", account_id, figures.lockout_rows(account))
        self._publish("accounts", account_id, self._account_row(account_id))
        self._dirty["rules", account_id] = None
        self._arm()

    def _lockout_told(self, decision: Lock | Unlock, kind: str, text: str) -> None:
        account_id = decision.lockout.account_id
        if decision.lockout.rule_id == MANUAL_RULE_ID:
            # Anybody on the machine may lock, as often as the socket lets him.
            key = (account_id, kind, decision.lockout.kind)
            self._by_hand.tell(key, lambda more: self._people(account_id, kind, text + more))
        else:
            self._people(account_id, kind, text)

    def _people(self, account_id: int, kind: str, text: str) -> None:
        name = self._engine.account(account_id).name or str(account_id)
        sentence = f"{name} ({account_id}): {text}"
        self._activity(sentence)
        if kind != "warning":
            self._system_log(kind, sentence)
        self._alert(kind, sentence)

    # ---- rows

    def _warning_row(self, warning: Warn) -> figures.Row:
        return {
            "at": to_iso(warning.at),
            "account_id": warning.account_id,
            "rule_id": warning.rule_id,
            "level": warning.level,
            "text": warning.text,
            "contract_id": warning.contract_id,
        }

    def _deed(self, action: Action) -> str:
        symbol = self._engine.market.symbol(action.contract_id)
        if action.kind == ActionKind.CLOSE_POSITION:
            return f"Closing {action.size} {symbol}"
        if action.kind == ActionKind.REDUCE_POSITION:
            return f"Closing {action.size} of {abs(action.held)} {symbol}"
        return f"Cancelling order {action.order_id} in {symbol}"


def _subject(action: Action) -> str:
    return f"order {action.order_id}" if action.order_id is not None else f"{action.contract_id} -> {action.target}"
