"""The engine: one event in, a list of decisions out. Deterministic, and the same class live, in tests and in a replay.

Path of an event: it changes the state; timers that its time has made due are worked off; the rules that want its kind
are judged for the accounts it touches; lockouts, latches and verdicts are turned into obligations. A quote that lies
inside the band of its contract ends after the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from daemon.core import leftovers, obligations
from daemon.core.decisions import (
    Action,
    Alert,
    DayChanged,
    Decision,
    EndedDay,
    LockChanged,
    Lockout,
    Remember,
    Settle,
)
from daemon.core.events import (
    AccountListed,
    AccountUpdate,
    ClearRequested,
    ConfigChanged,
    ConnectionChanged,
    ContractSeen,
    Event,
    LockRequested,
    MoveRefused,
    OrdersSnapshot,
    OrderUpdate,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    Tick,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.core.judging import Judge
from daemon.core.ledger import Ledger
from daemon.core.local_time import TradingDays
from daemon.core.lockouts import causes_of, grow, held_baseline, shrink_baseline
from daemon.core.quote_watch import QuoteWatch
from daemon.core.rule import (
    Gauge,
    LockVerdict,
    RuleState,
    Trigger,
    View,
)
from daemon.core.sessions import Sessions
from daemon.core.state import AccountState, Market
from daemon.core.timetable import TRADES_PATIENCE_US, Timetable, waits_for_trades
from daemon.core.units import SECOND_US
from shared.config import HolidayCalendar, RiskConfig
from shared.models import ActionResult, LockoutKind, OrderType

ALL_TRIGGERS = tuple(Trigger)
_NOTHING: list[Decision] = []


class Engine:
    """All accounts' state and rules. Not thread-safe: one caller feeds it events, in order of their times.

    `next_lockout_id` and `next_action_id` continue the ids on disk. `handle` returns a list that the caller must not
    change.
    """

    def __init__(
        self,
        config: RiskConfig,
        calendar: HolidayCalendar,
        *,
        next_lockout_id: int = 1,
        next_action_id: int = 1,
        no_reset_before: int = 0,
    ) -> None:
        self.market = Market()
        self.accounts: dict[int, AccountState] = {}
        self.now = 0
        self._next_action_id = next_action_id
        self._timetable = Timetable()
        self._failing: set[int] = set()
        self._quotes = QuoteWatch()
        self._bands = self._quotes.bands
        self._handlers: dict[type, Callable[[Any, list[Decision]], None]] = {
            OrderUpdate: self._on_order,
            PositionUpdate: self._on_position,
            TradeUpdate: self._on_trade,
            PositionsSnapshot: self._on_positions,
            OrdersSnapshot: self._on_orders,
            TradesSnapshot: self._on_trades,
            AccountUpdate: self._on_account,
            AccountListed: self._on_listed,
            ContractSeen: self._on_contract,
            ConnectionChanged: self._on_connection,
            Tick: self._on_tick,
            ConfigChanged: self._on_config,
            LockRequested: self._on_lock_requested,
            ClearRequested: self._on_clear_requested,
            MoveRefused: self._on_move_refused,
        }
        self._use(config, calendar, no_reset_before)
        self._judge = Judge(self.view, next_lockout_id)

    def _use(self, config: RiskConfig, calendar: HolidayCalendar, no_reset_before: int) -> None:
        self.config = config
        self.calendar = calendar
        self.days = TradingDays(config.reset.time, config.reset.timezone, no_reset_before)
        start, end = self.days.bounds(self.now)
        net = config.policy.pnl_basis == "net"
        self.view = View(self.market, self.now, start, end, net, self.days, calendar)

    # ---- restoring

    def restore(
        self,
        now: int,
        *,
        lockouts: Iterable[Lockout] = (),
        memories: Mapping[tuple[int, str], Mapping[str, object]] | None = None,
        trades: Iterable[tuple[int, TradeRecord]] = (),
        contracts: Iterable[ContractSeen] = (),
        actions: Iterable[Action] = (),
    ) -> None:
        """Take over what the store kept. Active lockouts bind at once; ended ones only keep their breach from locking
        twice.

        Positions and orders are not restored: they are the gateway's, and are read. `actions` are those whose end was
        never seen: each is settled, or taken up again, once the positions or orders have been read; see `leftovers`.
        """
        self.now = max(self.now, now)
        self.view.now = self.now
        self.view.day_start, self.view.day_end = self.days.bounds(self.now)
        for seen in contracts:
            self.market.learn(seen.contract)
        for lockout in lockouts:
            account = self.account(lockout.account_id)
            for cause in causes_of(lockout):
                account.causes[lockout.rule_id, lockout.symbol, cause] = lockout.locked_at
            self._judge.next_lockout_id = max(self._judge.next_lockout_id, lockout.id + 1)
            if lockout.cleared_at is None:
                account.locks[lockout.id] = lockout
        for (account_id, key), values in (memories or {}).items():
            account = self.account(account_id)
            account.memory[key] = dict(values)
        for account_id, trade in trades:
            self.account(account_id).ledger.add(trade)
        for action in actions:
            self._next_action_id = max(self._next_action_id, action.id + 1)
            self.account(action.account_id).leftovers.append(action)
        for account in self.accounts.values():
            self._judge.recall_warnings(account)
            self._schedule(account, (), [])

    def account(self, account_id: int) -> AccountState:
        """The account's state, made when it is first heard of."""
        known = self.accounts.get(account_id)
        if known is None:
            known = self.accounts[account_id] = AccountState(account_id)
            known.ledger = Ledger(self.view.day_start, self.view.day_end)
            self._set_rules(known)
            self._timetable.add(account_id, self.view.day_end)
        return known

    # ---- events

    def handle(self, event: Event) -> list[Decision]:
        """Everything that must be done because of an event."""
        if type(event) is Quote:
            return self._on_quote(event)
        out: list[Decision] = []
        if event.at > self.now:
            self.now = self.view.now = event.at
        if self.now >= self._timetable.due:
            self._timers(out)
        self._handlers[type(event)](event, out)
        return out

    def _on_quote(self, event: Quote) -> list[Decision]:
        late = self._set_bands_left() if self._quotes.unset else _NOTHING
        decisions = self._judge_quote(event)
        return late + decisions if late else decisions

    def _judge_quote(self, event: Quote) -> list[Decision]:
        market = self.market
        market.quote(event)
        at = event.at
        if at > self.now:
            self.now = self.view.now = at
        contract_id = event.contract_id
        band = self._bands.tightest(contract_id)
        book = market.books[contract_id]
        bid, ask = book.bid or book.last, book.ask or book.last
        inside = band is None or (band.bid_low < bid < band.bid_high and band.ask_low < ask < band.ask_high)
        if inside and at < self._timetable.due:
            return _NOTHING
        out: list[Decision] = []
        # Found before the timers are worked off: they set bands anew, around this very price.
        touched = [] if inside else self._bands.left_by(contract_id, bid, ask)
        if self.now >= self._timetable.due:
            self._timers(out)
        for account_id in touched:
            account = self.accounts[account_id]
            judged = self._judge.judge(account, (Trigger.QUOTES,), out, contract_id)
            self._conclude(account, judged, out)
            self._set_bands(account, judged, contract_id, out)
        return out

    def _on_position(self, event: PositionUpdate, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        account.apply_position(event.position, self.now)
        self._touched(account, (Trigger.POSITIONS,), out, contract_id=event.position.contract_id)

    def _on_order(self, event: OrderUpdate, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        account.apply_order(event.order, self.now)
        self._grow(account, out)
        # Of the orders, only stops can change what a rule must see of the quotes.
        stop = event.order.type == OrderType.STOP
        self._touched(account, (Trigger.ORDERS,), out, bands=stop, contract_id=event.order.contract_id)

    def _on_trade(self, event: TradeUpdate, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        account.apply_trade(event.trade, self.now)
        self._grow(account, out)
        self._touched(account, (Trigger.TRADES,), out, contract_id=event.trade.contract_id)

    def _on_positions(self, event: PositionsSnapshot, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        first = not account.positions_read_at
        account.apply_positions(event)
        if account.leftovers:
            leftovers.settle_positions(account, self.now, out)
        self._touched(account, ALL_TRIGGERS if first else (Trigger.POSITIONS,), out)

    def _on_orders(self, event: OrdersSnapshot, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        first = not account.orders_read_at
        account.apply_orders(event)
        if account.leftovers:
            leftovers.settle_orders(account, self.now, out)
        self._touched(account, ALL_TRIGGERS if first else (Trigger.ORDERS,), out)

    def _on_trades(self, event: TradesSnapshot, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        first = not account.trades_read_at
        account.apply_trades(event)
        self._touched(account, ALL_TRIGGERS if first else (Trigger.TRADES,), out)

    def _on_account(self, event: AccountUpdate, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        account.apply_account(event)
        if event.can_trade and account.locks:
            self._judge.release(account, LockoutKind.API, out)
        self._touched(account, (Trigger.ACCOUNT,), out)

    def _on_listed(self, event: AccountListed, out: list[Decision]) -> None:
        for account in self.accounts.values():
            if account.login != event.login:
                continue
            listed = account.account_id in event.account_ids
            if account.listed and not listed:
                text = (
                    f"Account {account.account_id} is no longer listed by login {event.login}; it is watched on, but"
                    " the gateway may refuse to close its positions: ask the broker why."
                )
                out.append(Alert(self.now, account.account_id, text))
            account.listed = listed

    def _on_contract(self, event: ContractSeen, out: list[Decision]) -> None:
        contract_id = event.contract.contract_id
        if self.market.contracts.get(contract_id) == event.contract:
            return
        self.market.learn(event.contract)
        for account in self.accounts.values():
            if contract_id in account.positions or account.orders_of(contract_id):
                self._touched(account, ALL_TRIGGERS, out)

    def _on_connection(self, event: ConnectionChanged, out: list[Decision]) -> None:
        if event.channel == "user" and not event.up:
            for account in self.accounts.values():
                if account.login == event.login:
                    account.begin_gap(self.now)

    def _on_tick(self, event: Tick, out: list[Decision]) -> None:
        self._quotes.find_stale(self.accounts, self.view, out)

    def _on_config(self, event: ConfigChanged, out: list[Decision]) -> None:
        previous = self.days
        for account in self.accounts.values():
            hours = self.config.rules_for(account.account_id).session_block_outside
            if (hours, self.calendar) != (
                event.config.rules_for(account.account_id).session_block_outside,
                event.calendar,
            ):
                self.view.keep_session(account)
        self._use(event.config, event.calendar, event.no_reset_before)
        self._judge.view = self.view
        changed_day = previous.bounds(self.now) != self.days.bounds(self.now)
        for account in self.accounts.values():
            if changed_day:
                self._regroup(account)
                out.append(DayChanged(self.now, account.account_id, self.days.name(self.now)))
            self._set_rules(account)
            self._judge.recall_warnings(account)
            self._touched(account, ALL_TRIGGERS, out)

    def _on_lock_requested(self, event: LockRequested, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        until = event.expires_at if event.expires_at is not None else self.view.day_end
        words = f"Locked by {event.by} until {self.view.until_text(until)}"
        reason = f"{words}: {event.reason}" if event.reason else words
        kind = LockoutKind.COOLDOWN if event.keep_positions else LockoutKind.MANUAL
        baseline = held_baseline(account, self.now) if event.keep_positions else None
        verdict = LockVerdict(kind, f"request of {event.at} until {until}", reason, until, baseline=baseline)
        self._judge.lock_by_hand(account, verdict, out)
        self._conclude(account, (), out)

    def _on_clear_requested(self, event: ClearRequested, out: list[Decision]) -> None:
        for account in self.accounts.values():
            lockout = account.locks.get(event.lockout_id)
            if lockout is None or lockout.kind == LockoutKind.API:
                continue
            lockout.clear_due_at, lockout.clear_by, lockout.clear_reason = event.due_at, event.by, event.reason
            out.append(LockChanged(lockout))
            self._judge.expire(account, out)
            self._touched(account, ALL_TRIGGERS, out)

    def _on_move_refused(self, event: MoveRefused, out: list[Decision]) -> None:
        account = self.account(event.account_id)
        account.refused_moves[event.order_id] = (event.stop_price, self.now)
        action = account.obligations.pop(event.order_id, None)
        if action is not None:
            out.append(Settle(action, ActionResult.FAILED, self.now))
        self._touched(account, (Trigger.ORDERS,), out)

    # ---- time

    def _timers(self, out: list[Decision]) -> None:
        view = self.view
        if self.now >= view.day_end:
            view.day_start, view.day_end = self.days.bounds(self.now)
        for account in list(self.accounts.values()):
            if not self._timetable.is_due(account.account_id, self.now):
                continue
            try:
                self._work_off(account, out)
            except Exception as error:  # noqa: BLE001 - law 9: an account that fails keeps no other from its timers
                self._timetable.postpone(account.account_id, self.now + SECOND_US)
                if account.account_id not in self._failing:
                    self._failing.add(account.account_id)
                    text = f"The timers of account {account.account_id} failed; they are tried again every second."
                    out.append(Alert(self.now, account.account_id, text, f"{type(error).__name__}: {error}"))
            else:
                self._failing.discard(account.account_id)
        self._timetable.settle(view.day_end)

    def _work_off(self, account: AccountState, out: list[Decision]) -> None:
        """An account's time has come: its day or a lockout may have ended, or a rule wants to look again."""
        view = self.view
        triggers: tuple[Trigger, ...] = (Trigger.TIMER,)
        if self.now >= account.ledger.day_end:
            ended = EndedDay(self.days.name(account.ledger.day_end - 1), view.realized(account), account.ledger.count)
            account.ledger.begin_day(view.day_start, view.day_end)
            account.ledger.forget_before(self.days.week_start(self.now))
            self._forget_day(account)
            account.first_action_at = account.last_action_at = 0
            out.append(DayChanged(self.now, account.account_id, self.days.name(self.now), ended))
            triggers = ALL_TRIGGERS
        if self._judge.expire(account, out):
            triggers = ALL_TRIGGERS
        if waits_for_trades(account) and self.now >= account.first_read_at + TRADES_PATIENCE_US:
            account.trades_given_up = True
            triggers = ALL_TRIGGERS
            text = (
                f"The day's trades of account {account.account_id} cannot be read; its realized loss is judged by the"
                " trades known so far."
            )
            out.append(Alert(self.now, account.account_id, text))
        self._touched(account, triggers, out)

    def _regroup(self, account: AccountState) -> None:
        """The reset moved: the same trades, counted by the new trading day."""
        old = account.ledger
        account.ledger = Ledger(self.view.day_start, self.view.day_end)
        for trades in (old.history, old.trades, old.early):
            for trade in trades.values():
                account.ledger.add(trade)

    def _forget_day(self, account: AccountState) -> None:
        self._judge.forget_day(account)
        if account.memory.pop("notices", None) is not None:
            account.unsaved_memory.add("notices")
        horizon = self.view.day_start - 8 * 86_400 * SECOND_US
        account.causes = {key: at for key, at in account.causes.items() if at >= horizon}

    # ---- judging

    def _grow(self, account: AccountState, out: list[Decision]) -> None:
        for lockout_id, growth in list(account.growths.items()):
            if growth.until < self.now:
                del account.growths[lockout_id]
            elif grow(account.locks[lockout_id], growth, account):
                out.append(LockChanged(account.locks[lockout_id]))

    def _set_rules(self, account: AccountState) -> None:
        rules_config = self.config.rules_for(account.account_id)
        account.closings = None
        hours = rules_config.session_block_outside
        account.sessions = None
        if hours is not None and hours.enabled and hours.account_window is not None:
            account.sessions = Sessions(hours.account_window, self.calendar if hours.respect_holidays else None)
        self._judge.set_rules(account, rules_config)

    def _touched(
        self,
        account: AccountState,
        triggers: Sequence[Trigger],
        out: list[Decision],
        *,
        bands: bool = True,
        contract_id: str | None = None,
    ) -> None:
        """Judge an account after an event. `contract_id`: the event is about this contract alone."""
        if account.locks:
            for lockout in account.locks.values():
                if lockout.baseline and account.positions_read_at and shrink_baseline(lockout, account, None, self.now):
                    out.append(LockChanged(lockout))
        judged = self._judge.judge(account, triggers, out, contract_id)
        self._conclude(account, judged, out)
        if bands and not self._quotes.later(account.account_id, account.positions, contract_id):
            self._set_bands(account, judged, self._quotes.unset.pop(account.account_id, contract_id), out)

    def _conclude(self, account: AccountState, judged: Sequence[RuleState], out: list[Decision]) -> None:
        """Turn what is demanded into obligations; ask the rules that were judged for their times."""
        if account.latches:
            self._latch_orders(account)
        account_id = account.account_id
        demanding = account.locks or account.latches or account.order_latches or account.obligations
        if demanding or self._judge.demanding(account_id):
            wanted = obligations.demands(account, self.market, self._judge.rules(account_id), self.now)
            if wanted or account.obligations:
                obligations.reconcile(account, wanted, self.now, self._new_action_id, out)
        if account.unsaved_memory:
            for key in sorted(account.unsaved_memory):
                out.append(Remember(account.account_id, key, dict(account.memory.get(key, {}))))
            account.unsaved_memory.clear()
        self._schedule(account, judged, out)

    @staticmethod
    def _latch_orders(account: AccountState) -> None:
        for contract_id, latch in account.latches.items():
            if latch.cancel_orders:
                closing = obligations.closing_now(account)
                for order in account.orders_of(contract_id):
                    if order.order_id not in closing:
                        account.order_latches.setdefault(order.order_id, latch)

    def _set_bands(
        self, account: AccountState, judged: Sequence[RuleState], contract_id: str | None, out: list[Decision]
    ) -> None:
        quoting = self._judge.on(account.account_id, Trigger.QUOTES)
        self._quotes.set(account, judged, quoting, contract_id, self.view, out)

    def _set_bands_left(self) -> list[Decision]:
        """Before a quote: the bands of the accounts that other events have touched since the last one."""
        out: list[Decision] = []
        for account_id, contract_id in self._quotes.unset.items():
            account = self.accounts[account_id]
            self.view.begin(account, contract_id)
            self._set_bands(account, self._judge.on(account_id, Trigger.QUOTES), contract_id, out)
        self._quotes.unset.clear()
        return out

    def _schedule(self, account: AccountState, judged: Sequence[RuleState], out: list[Decision]) -> None:
        self._timetable.schedule(account, judged, self._judge.on(account.account_id, Trigger.TIMER), self.view, out)

    def _new_action_id(self) -> int:
        self._next_action_id += 1
        return self._next_action_id - 1

    # ---- what others may ask

    @property
    def next_due(self) -> int:
        """When the next timer is due, microseconds UTC."""
        return self._timetable.due

    def held_contracts(self) -> set[str]:
        """Contracts in which any account holds a position: the quotes that are needed."""
        return self._bands.contracts()

    def stale_contracts(self) -> set[str]:
        """Held contracts without a quote for 10 s."""
        return set(self._quotes.stale)

    def rule_states(self, account_id: int) -> list[RuleState]:
        """The rules of an account, in the order of their ids."""
        return self._judge.rules(account_id)

    def gauge(self, account: AccountState, state: RuleState) -> Gauge | None:
        """How near an account is to a rule's limit; None when the rule has no scale or cannot be judged."""
        self.view.now = self.now
        self.view.begin(account)
        try:
            return state.rule.gauge(account, self.view)
        except Exception:  # noqa: BLE001 - reported when it is judged
            return None

    def gauges_until(self, account: AccountState) -> int:
        """When an account's gauges may be others though nothing happens, microseconds UTC."""
        self.view.now = self.now
        self.view.begin(account)
        moments = [self._timetable.of(account.account_id)]
        for state in self._judge.rules(account.account_id):
            try:
                until = state.rule.gauge_until(account, self.view)
            except Exception:  # noqa: BLE001 - reported when it is judged
                continue
            if until is not None:
                moments.append(until)
        return min(moments)
