"""A small model of a broker, a disk and an enforcer around one engine, for properties over streams of events.

The broker is the truth. Its messages wait in `mail` until they are delivered: in order or not, twice, or never. The
disk keeps what the decisions say, and nothing else, so that a restart tells what the decisions forgot to say. The
enforcer does just what the open obligations ask, after a read, as the real one does.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace

from daemon.core.decisions import Act, Action, Decision, Lock, LockChanged, Lockout, Remember, Settle, Unlock
from daemon.core.engine import Engine
from daemon.core.events import (
    AccountUpdate,
    ClearRequested,
    ConfigChanged,
    ConnectionChanged,
    ContractSeen,
    Event,
    LockRequested,
    MoveRefused,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    Tick,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
    signed,
)
from daemon.core.units import SECOND_US, price_to_nanos, to_micros
from shared.config import HolidayCalendar, RiskConfig
from shared.models import ActionKind, ActionResult, LockoutKind, OrderStatus, OrderType, Side
from tests.core.desk import CONTRACTS, OPEN

TICK = {contract.contract_id: contract.tick_size for contract in CONTRACTS}
TICK_VALUE = {contract.contract_id: contract.tick_value for contract in CONTRACTS}
WHOLE_ACCOUNT = (LockoutKind.HARD, LockoutKind.MANUAL, LockoutKind.API)


@dataclass
class Held:
    """A position at the broker."""

    size: int
    price: int
    created_at: int


@dataclass
class Disk:
    """What the decisions told to keep; every value a copy made at that moment."""

    locks: dict[int, Lockout] = field(default_factory=dict)
    memory: dict[tuple[int, str], dict[str, object]] = field(default_factory=dict)
    actions: dict[int, Action] = field(default_factory=dict)

    def keep(self, decisions: list[Decision]) -> None:
        """Carry the decisions of one event out."""
        for decision in decisions:
            if isinstance(decision, Lock | LockChanged | Unlock):
                self.locks[decision.lockout.id] = copy.deepcopy(decision.lockout)
            elif isinstance(decision, Remember):
                self.memory[decision.account_id, decision.key] = copy.deepcopy(dict(decision.values))
            elif isinstance(decision, Act):
                assert decision.action.id not in self.actions
                self.actions[decision.action.id] = copy.deepcopy(decision.action)
            elif isinstance(decision, Settle):
                del self.actions[decision.action.id]


class World:
    """Broker, wire, disk and enforcer. `log` holds every event with the text of what was decided on it."""

    def __init__(self, config: RiskConfig, accounts: tuple[int, ...] = (101, 102)) -> None:
        self.now = to_micros(OPEN)
        self.config = self.first_config = config
        self.calendar = HolidayCalendar()
        self.account_ids = accounts
        self.engine = Engine(config, self.calendar)
        self.disk = Disk()
        self.log: list[tuple[Event, str]] = []
        self.mail: list[Event] = []
        self.late: list[Event] = []
        self.held: dict[tuple[int, str], Held] = {}
        self.orders: dict[int, dict[int, OrderRecord]] = {account: {} for account in accounts}
        self.trades: dict[int, dict[int, TradeRecord]] = {account: {} for account in accounts}
        self.can_trade = dict.fromkeys(accounts, True)
        self.price = {contract.contract_id: price_to_nanos(20_000) for contract in CONTRACTS}
        self.clears: dict[int, int] = {}
        self.restarts = 0
        self.sound = True
        self.last_order = 0
        self._ids = 0
        self._greet()

    def _greet(self) -> None:
        for contract in CONTRACTS:
            self.feed(ContractSeen(self.now, contract))
        for account in self.account_ids:
            self.feed(self.account_event(account))
            self.reconcile(account)

    def new_id(self) -> int:
        """A number not used before."""
        self._ids += 1
        return self._ids

    # ---- the wire

    def feed(self, event: Event) -> list[Decision]:
        """Let the engine judge an event now, keep and check what it decides."""
        event = replace(event, at=self.now)
        self.sound = False
        decisions = list(self.engine.handle(event))
        self.check(decisions)
        self.disk.keep(decisions)
        self.log.append((event, repr(decisions)))
        self.check_disk()
        self.sound = True
        return decisions

    def deliver(self, order: list[int] | None = None, *, twice: bool = False) -> None:
        """Deliver all messages that wait, in this order of places (missing ones are lost), or as they were sent."""
        mail, self.mail = self.mail, []
        chosen = [mail[place % len(mail)] for place in order] if order is not None and mail else mail
        for event in chosen + (chosen[:3] if twice else []):
            self.now += 1000
            if isinstance(event, AccountUpdate):  # the permission is not what is mixed up here
                self.feed(replace(event, can_trade=self.can_trade[event.account_id]))
            else:
                self.feed(event)

    def account_event(self, account: int) -> AccountUpdate:
        """The account as the broker lists it."""
        booked = sum((trade.pnl or 0) - trade.fees for trade in self.trades[account].values() if not trade.voided)
        balance = 50_000_000_000 + booked
        return AccountUpdate(self.now, account, "trader1", f"A{account}", self.can_trade[account], balance)

    def snapshots(self, account: int) -> list[Event]:
        """Reads of everything, begun now."""
        positions = tuple(
            PositionRecord(contract, held.size, held.price, 1, held.created_at)
            for (holder, contract), held in sorted(self.held.items())
            if holder == account
        )
        since = self.engine.days.week_start(self.now)
        return [
            PositionsSnapshot(self.now, account, self.now, positions),
            OrdersSnapshot(self.now, account, self.now, tuple(self.orders[account].values())),
            TradesSnapshot(self.now, account, self.now, since, tuple(self.trades[account].values())),
        ]

    def reconcile(self, account: int) -> None:
        """Read everything of an account and hand it over."""
        self.now += 1000
        for event in self.snapshots(account):
            self.feed(event)

    def read_late(self, account: int) -> None:
        """Reads that are handed over only later, see `hand_late_over`."""
        self.now += 1000
        self.late += self.snapshots(account)

    def hand_late_over(self) -> None:
        """The late reads arrive."""
        late, self.late = self.late, []
        for event in late:
            self.now += 1000
            self.feed(event)

    def wait(self, seconds: int) -> None:
        """Time passes; a tick comes."""
        self.now += seconds * SECOND_US
        self.feed(Tick(self.now))

    # ---- the broker

    def fill(self, account: int, contract: str, size: int, order_id: int | None = None) -> None:
        """A market order of that signed size is filled."""
        order_id = self.last_order = order_id or self.new_id()
        self.now += 1000
        known = self.held.get((account, contract))
        before = known.size if known is not None else 0
        price = self.price[contract]
        closing = min(abs(size), abs(before)) if size * before < 0 else 0
        direction = 1 if size > 0 else -1
        side = Side.BUY if size > 0 else Side.SELL
        for part, pnl in (
            (closing, self._pnl(contract, known, closing, price)),
            (abs(size) - closing, None),
        ):
            if part:
                trade = TradeRecord(
                    self.new_id(), contract, self.now, price, pnl, 370_000 * part, side, part, False, order_id
                )
                self.trades[account][trade.trade_id] = trade
                self.mail.append(TradeUpdate(0, account, trade))
        after = before + size
        if after == 0:
            self.held.pop((account, contract), None)
        elif known is None or after * before <= 0:
            self.held[account, contract] = Held(after, price, self.now)
        else:
            if direction * before > 0:
                known.price = (known.price * abs(before) + price * abs(size)) // abs(after)
            known.size = after
        average = self.held[account, contract].price if after else 0
        created = self.held[account, contract].created_at if after else 0
        self.mail.append(PositionUpdate(0, account, PositionRecord(contract, after, average, 1, created)))
        self.mail.append(self.account_event(account))

    @staticmethod
    def _pnl(contract: str, known: Held | None, size: int, price: int) -> int:
        if known is None:
            return 0
        direction = 1 if known.size > 0 else -1
        return (price - known.price) * direction * TICK_VALUE[contract] * size // TICK[contract]

    def place(self, account: int, contract: str, size: int, kind: OrderType, ticks: int, *, told: bool = True) -> None:
        """An order is placed; without an event when it is not `told`."""
        price = self.price[contract] + ticks * TICK[contract]
        order = OrderRecord(
            self.new_id(),
            contract,
            OrderStatus.OPEN,
            kind,
            Side.BUY if size > 0 else Side.SELL,
            abs(size),
            limit_price=price if kind == OrderType.LIMIT else None,
            stop_price=price if kind != OrderType.LIMIT else None,
            created_at=self.now,
        )
        self.orders[account][order.order_id] = order
        if told:
            self.mail.append(OrderUpdate(0, account, order))

    def cancel(self, account: int, order_id: int) -> None:
        """An order is cancelled."""
        order = self.orders[account].pop(order_id)
        self.mail.append(OrderUpdate(0, account, replace(order, status=OrderStatus.CANCELLED)))

    def void(self, account: int, place: int) -> None:
        """The broker takes a trade back; the position stays, as it does with a correction of the books."""
        if self.trades[account]:
            trade_id = sorted(self.trades[account])[place % len(self.trades[account])]
            trade = self.trades[account][trade_id] = replace(self.trades[account][trade_id], voided=True)
            self.mail.append(TradeUpdate(0, account, trade))

    def move(self, contract: str, ticks: int) -> None:
        """The price moves and is quoted at once."""
        self.now += 1000
        self.price[contract] = max(TICK[contract] * 400, self.price[contract] + ticks * TICK[contract])
        bid = self.price[contract]
        self.feed(Quote(self.now, contract, bid, bid + TICK[contract], bid))

    def allow(self, account: int, allowed: bool) -> None:
        """The gateway says whether the account may trade."""
        self.can_trade[account] = allowed
        self.feed(self.account_event(account))

    # ---- people and machine

    def lock(self, account: int, minutes: int, *, keep: bool) -> None:
        """The trader locks himself."""
        self.feed(LockRequested(self.now, account, self.now + minutes * 60 * SECOND_US, "", "trader", keep))

    def clear(self, place: int, delay: int) -> None:
        """The admin clears one of the active lockouts."""
        active = sorted(lock.id for lock in self.disk.locks.values() if lock.cleared_at is None)
        if active:
            chosen = active[place % len(active)]
            due = self.now + delay * SECOND_US
            if self.disk.locks[chosen].kind != LockoutKind.API:
                self.clears[chosen] = due
            self.feed(ClearRequested(self.now, chosen, due, "because", "admin"))

    def configure(self, config: RiskConfig) -> None:
        """Another configuration takes effect."""
        self.config = config
        self.feed(ConfigChanged(self.now, config, self.calendar))

    def disconnect(self) -> None:
        """The user hub is down: what waits is lost."""
        self.mail.clear()
        self.feed(ConnectionChanged(self.now, "trader1", "user", False))

    def refuse_moves(self, account: int) -> None:
        """The gateway refuses every stop move that is open."""
        for action in list(self.engine.account(account).obligations.values()):
            if action.kind == ActionKind.MODIFY_ORDER and action.order_id is not None:
                assert action.stop_price is not None
                self.feed(MoveRefused(self.now, account, action.order_id, action.stop_price))

    def restart(self, *, away: int = 0) -> None:
        """kill -9, and a new engine from the disk alone, then the gateway is read."""
        self.restarts += 1
        self.now += away * SECOND_US + 1000
        self.mail.clear()
        self.late.clear()
        self.engine = self._from_disk()
        self.log.clear()
        self._greet()

    def _from_disk(self) -> Engine:
        engine = Engine(
            self.config,
            self.calendar,
            next_lockout_id=max(self.disk.locks, default=0) + 1,
            next_action_id=10_000 * (self.restarts + 1),
        )
        engine.restore(
            self.now,
            lockouts=[copy.deepcopy(self.disk.locks[key]) for key in sorted(self.disk.locks)],
            memories=copy.deepcopy(self.disk.memory),
            actions=[copy.deepcopy(self.disk.actions[key]) for key in sorted(self.disk.actions)],
            contracts=[ContractSeen(self.now, contract) for contract in CONTRACTS],
        )
        return engine

    def check_restart(self) -> None:
        """A daemon started now asks for just what the running one asks for, once both have read the same."""
        self.deliver()
        for account in self.account_ids:
            self.reconcile(account)
        self.wait(3)
        self.sound = False
        running, started = copy.deepcopy(self.engine), self._from_disk()
        self.now += 1000
        events: list[Event] = []
        for contract, price in self.price.items():
            events.append(Quote(self.now, contract, price, price + TICK[contract], price))
        for account in self.account_ids:
            events += [self.account_event(account), *self.snapshots(account)]
        events.append(Tick(self.now + SECOND_US))
        for event in events:
            running.handle(event)
            started.handle(event)
        for account in self.account_ids:
            assert _demands(started, account) == _demands(running, account)
        self.sound = True

    def enforce(self, account: int) -> None:
        """Do what is asked, after a read: no more than asked, and never through flat (law 4)."""
        self.deliver()
        self.reconcile(account)
        for key, action in list(self.engine.account(account).obligations.items()):
            if isinstance(key, str):
                known = self.held.get((account, key))
                size = known.size if known is not None else 0
                excess = abs(size) - action.target
                assert excess > 0, f"asked to take {key} from {size} to {action.target}"
                assert action.target >= 0
                self.fill(account, key, -excess if size > 0 else excess)
                left = self.held.get((account, key))
                assert (left.size if left is not None else 0) * size >= 0
            elif action.kind == ActionKind.CANCEL_ORDER:
                self.cancel(account, key)
            else:
                order = self.orders[account][key]
                assert action.stop_price is not None
                direction = signed(order.side, 1)
                # Law of RULE-012: only ever tighter, so a sell stop up and a buy stop down.
                assert ((action.stop_price or 0) - (order.stop_price or 0)) * direction < 0
                self.orders[account][key] = replace(order, stop_price=action.stop_price)
                self.mail.append(OrderUpdate(0, account, self.orders[account][key]))

    def enforce_all(self) -> None:
        """Enforce until nothing is asked for any more."""
        for account in self.account_ids:
            for _ in range(12):
                self.enforce(account)
                if not self.engine.account(account).obligations and not self.mail:
                    break
            else:
                raise AssertionError(f"enforcement never ends: {self.engine.account(account).obligations}")

    # ---- what must always hold

    def check(self, decisions: list[Decision]) -> None:
        """Laws 2, 5 and 7 for the decisions of one event."""
        for place, decision in enumerate(decisions):
            if isinstance(decision, Lock):
                sent = [earlier.action for earlier in decisions[:place] if isinstance(earlier, Act)]
                begun = (decision.lockout.account_id, decision.lockout.reason)
                assert begun not in [(action.account_id, action.reason) for action in sent], "sent before it was locked"
                assert decision.lockout.expires_at is None or decision.lockout.expires_at > self.engine.now
            elif isinstance(decision, Unlock):
                self._check_unlock(decision.lockout)
            elif isinstance(decision, Settle) and decision.result == ActionResult.CONFIRMED:
                self._check_confirmed(decision.action)

    def _check_unlock(self, lockout: Lockout) -> None:
        if lockout.cleared_by == "time":
            assert lockout.expires_at is not None
            assert lockout.expires_at <= self.engine.now
        elif lockout.cleared_by == "condition":
            assert lockout.kind == LockoutKind.API
            assert self.can_trade[lockout.account_id]
        else:
            assert lockout.kind != LockoutKind.API
            assert self.clears[lockout.id] <= self.engine.now
        kept = self.disk.locks[lockout.id]
        assert kept.expires_at == lockout.expires_at, "nothing shortens a lockout"

    def _check_confirmed(self, action: Action) -> None:
        account = self.engine.account(action.account_id)
        if action.kind == ActionKind.MODIFY_ORDER:
            assert account.orders[action.order_id or 0].stop_price == action.stop_price
        elif action.order_id is not None:
            assert action.order_id not in account.orders
        else:
            position = account.positions.get(action.contract_id)
            another = position is not None and position.created_at > action.decided_at
            size = account.size(action.contract_id)
            assert size * action.held <= 0 or abs(size) <= action.target or another

    def check_disk(self) -> None:
        """The disk knows all that the engine knows (law 7): lockouts, memories, open actions."""
        for account in self.engine.accounts.values():
            kept = {
                key: lock
                for key, lock in self.disk.locks.items()
                if lock.account_id == account.account_id and lock.cleared_at is None
            }
            assert kept == account.locks
            for key, values in account.memory.items():
                assert self.disk.memory.get((account.account_id, key), {}) == values, key
            open_actions = {
                action.id for action in self.disk.actions.values() if action.account_id == account.account_id
            }
            wanted = {action.id for action in account.obligations.values()}
            assert open_actions == wanted | {action.id for action in account.leftovers}

    def check_flat(self) -> None:
        """Law 1, at the broker itself: call it after `enforce_all`."""
        for lockout in self.disk.locks.values():
            if lockout.cleared_at is not None:
                continue
            account, names = lockout.account_id, self.engine.market.names
            for (holder, contract), held in self.held.items():
                if holder == account and (lockout.symbol is None or lockout.symbol in names(contract)):
                    allowed = lockout.baseline.get(contract, 0)
                    assert held.size * allowed > 0, f"{contract} {held.size} held under {lockout}"
                    assert abs(held.size) <= abs(allowed), f"{contract} {held.size} held under {lockout}"
            if lockout.kind in WHOLE_ACCOUNT:
                assert not self.orders[account], f"orders work under {lockout}"


def _demands(engine: Engine, account: int) -> tuple[object, object]:
    """Active lockouts, and what must go down to what; moves of stops begin anew with the best price."""
    state = engine.account(account)
    locks = {(lock.rule_id, lock.symbol, lock.expires_at, repr(lock.baseline)) for lock in state.locks.values()}
    wanted = {key: action.target for key, action in state.obligations.items() if action.kind != ActionKind.MODIFY_ORDER}
    return locks, wanted
