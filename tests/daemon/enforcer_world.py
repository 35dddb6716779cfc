"""A world for tests of the enforcer: virtual time, a broker with faults, a small core. Nothing waits in real time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

from daemon.broker import Answer
from daemon.core.decisions import Action, Alert
from daemon.core.events import (
    Event,
    OrdersSnapshot,
    OrderUpdate,
    PositionsSnapshot,
    PositionUpdate,
    is_market_order,
    signed,
)
from daemon.core.state import AccountState
from daemon.enforcer import Enforcer, Outcome
from shared.models import ActionKind, ActionResult
from tests.daemon.enforcer_broker import ACCOUNT, EVENT_DELAY, MNQ, Call, FakeBroker
from tests.daemon.virtual_time import VirtualClock, run


class FakeCore:
    """Limits per contract, and obligations derived anew from the core's own state after every event.

    `limits`: contracts that may stay, 0 locked (resting orders go too), absent: free.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = clock
        self.states: dict[int, AccountState] = defaultdict(lambda: AccountState(ACCOUNT))
        self.limits: dict[tuple[int, str], int] = {}
        self.stops: dict[tuple[int, int], int] = {}
        self.obligations: dict[tuple[int, str | int], Action] = {}
        self.outcomes: list[Outcome] = []
        self.confirmed_at: dict[tuple[int, str], float] = defaultdict(lambda: -1e9)
        self.emptied_at: dict[tuple[int, str], float] = defaultdict(lambda: -1e9)
        self.unsettled: set[tuple[int, str]] = set()
        self.enforcer: Enforcer | None = None
        self.commit = 0.0005
        self._next_id = 0
        self._queue: asyncio.Queue[tuple[Event | None, asyncio.Future[None] | None]] = asyncio.Queue()
        self._task = self.loop.create_task(self._consume())

    # --- daemon.enforcer.Holdings

    def position_size(self, account_id: int, contract_id: str) -> int:
        return self.states[account_id].size(contract_id)

    def closing_in_flight(self, account_id: int, contract_id: str) -> int:
        state = self.states[account_id]
        held = state.size(contract_id)
        return sum(
            order.remaining
            for order in state.orders.values()
            if order.contract_id == contract_id and is_market_order(order) and signed(order.side, 1) * held < 0
        )

    def position_read_at(self, account_id: int, contract_id: str) -> int:
        return self.states[account_id].position_read_at(contract_id)

    def position_settled(self, account_id: int, contract_id: str) -> bool:
        return (account_id, contract_id) not in self.unsettled

    # --- events in, decisions out

    def push(self, event: Event | None) -> None:
        """An event of the gateway's, or None: only judge."""
        self._queue.put_nowait((event, None))

    async def deliver(self, event: Event) -> None:
        """As the enforcer calls it."""
        done: asyncio.Future[None] = self.loop.create_future()
        self._queue.put_nowait((event, done))
        await done

    def limit(self, contract_id: str, limit: int | None, account_id: int = ACCOUNT) -> None:
        """A rule changes its mind."""
        if limit is None:
            self.limits.pop((account_id, contract_id), None)
        else:
            self.limits[account_id, contract_id] = limit
        self.push(None)

    def target(self, account_id: int, contract_id: str) -> int | None:
        """Contracts that may stay by the obligation that is open."""
        action = self.obligations.get((account_id, contract_id))
        return None if action is None else action.target

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _consume(self) -> None:
        while True:
            event, done = await self._queue.get()
            self._apply(event)
            settles, acts = self._judge()
            if acts:
                await asyncio.sleep(self.commit)  # the lockout goes to disk first
            assert self.enforcer is not None
            for action, result in settles:
                if isinstance(action, Action) and action.order_id is None:
                    key = (action.account_id, action.contract_id)
                    self.emptied_at[key] = self.loop.time()
                    if result is ActionResult.CONFIRMED:
                        self.confirmed_at[key] = self.loop.time()
                outcome = self.enforcer.settle(action, result)
                if outcome is not None:
                    self.outcomes.append(outcome)
            for action in acts:
                self.enforcer.submit(action)
            if done is not None and not done.done():
                done.set_result(None)

    def _apply(self, event: Event | None) -> None:
        match event:
            case PositionUpdate(at, account_id, position):
                self.states[account_id].apply_position(position, at)
            case OrderUpdate(at, account_id, order):
                self.states[account_id].apply_order(order, at)
            case PositionsSnapshot():
                self.states[event.account_id].apply_positions(event)
            case OrdersSnapshot():
                self.states[event.account_id].apply_orders(event)

    def _wanted(self) -> dict[tuple[int, str | int], tuple[ActionKind, str, int]]:
        wanted: dict[tuple[int, str | int], tuple[ActionKind, str, int]] = {}
        for (account_id, contract_id), limit in self.limits.items():
            state = self.states[account_id]
            if abs(state.size(contract_id)) > limit:
                kind = ActionKind.REDUCE_POSITION if limit else ActionKind.CLOSE_POSITION
                wanted[account_id, contract_id] = (kind, contract_id, limit)
            if limit == 0:
                for order in state.orders.values():
                    if order.contract_id == contract_id and not is_market_order(order):
                        wanted[account_id, order.order_id] = (ActionKind.CANCEL_ORDER, contract_id, 0)
        for (account_id, order_id), price in self.stops.items():
            held = self.states[account_id].orders.get(order_id)
            if held is not None and held.stop_price != price:
                wanted.setdefault((account_id, order_id), (ActionKind.MODIFY_ORDER, held.contract_id, price))
        return wanted

    def _judge(self) -> tuple[list[tuple[Action, ActionResult]], list[Action]]:
        wanted = self._wanted()
        settles: list[tuple[Action, ActionResult]] = []
        acts: list[Action] = []
        for key, action in list(self.obligations.items()):
            demand = wanted.get(key)
            moved = action.kind is ActionKind.MODIFY_ORDER
            value = action.stop_price if moved else action.target
            if demand is not None and (demand[0], demand[2]) == (action.kind, value):
                continue
            del self.obligations[key]
            settles.append((action, ActionResult.CONFIRMED if self._done(action) else ActionResult.SUPERSEDED))
        for key, (kind, contract_id, value) in wanted.items():
            if key in self.obligations:
                continue
            self._next_id += 1
            held = self.states[key[0]].size(contract_id)
            moved = kind is ActionKind.MODIFY_ORDER
            action = Action(
                self._next_id,
                key[0],
                kind,
                "RULE-012" if moved else "RULE-003",
                contract_id,
                "test",
                self.clock.now(),
                target=0 if moved else value,
                held=held,
                order_id=key[1] if isinstance(key[1], int) else None,
                stop_price=value if moved else None,
            )
            self.obligations[key] = action
            acts.append(action)
        return settles, acts

    def _done(self, action: Action) -> bool:
        state = self.states[action.account_id]
        if action.order_id is not None:
            order = state.orders.get(action.order_id)
            if action.kind is ActionKind.MODIFY_ORDER:
                return order is not None and order.stop_price == action.stop_price
            return order is None
        size = state.size(action.contract_id)
        return size * action.held <= 0 or abs(size) <= action.target


class World:
    """Broker, core and enforcer wired as the service wires them. To be built inside a running VirtualLoop."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = VirtualClock(self.loop)
        self.broker = FakeBroker(self.clock)
        self.core = FakeCore(self.clock)
        self.alerts: list[Alert] = []
        self.attempts: list[tuple[Action, int, Answer]] = []
        self.dropped: list[Action] = []
        self.enforcer = Enforcer(
            self.broker,
            self.core,
            self.clock,
            self.core.deliver,
            on_attempt=lambda action, attempts, answer: self.attempts.append((action, attempts, answer)),
            on_alert=self.alerts.append,
            on_dropped=lambda action, _: self.dropped.append(action),
        )
        self.core.enforcer = self.enforcer
        self.broker.core = self.core
        self.broker.on_event = self.core.push

    def calls(self, name: str | None = None) -> list[Call]:
        """Mutations that reached the broker."""
        return [call for call in self.broker.calls if name is None or call.name == name]

    async def until(self, condition: Callable[[], bool], timeout: float = 60.0) -> None:
        """Let virtual time pass until the condition holds."""
        end, step = self.loop.time() + timeout, 0.001
        while not condition():
            assert self.loop.time() < end, f"not within {timeout} s; open: {self.enforcer.open_actions()}"
            await asyncio.sleep(step)
            step = min(step * 1.5, 0.2)

    async def settled(self, timeout: float = 60.0) -> None:
        """Until nothing is owed and nothing runs; what happened just now is known to the core by then."""
        await asyncio.sleep(3 * EVENT_DELAY)
        await self.until(lambda: not self.core.obligations and self.enforcer.idle(), timeout)

    async def end(self) -> None:
        """Stop all, and hold the world to the laws."""
        assert await self.enforcer.stop(5.0)
        await self.core.close()
        assert self.broker.violations == [], self.broker.violations


def in_world(test: Callable[[World], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test in a world of its own, and hold that to the laws."""

    def wrapped() -> None:
        async def main() -> None:
            world = World()
            await test(world)
            await world.end()

        run(main)

    wrapped.__name__ = test.__name__
    wrapped.__doc__ = test.__doc__
    return wrapped


async def held(world: World, contract: str = MNQ, size: int = 5, account: int = ACCOUNT) -> None:
    """The trader holds a position, long enough ago for everything to have come to rest."""
    world.broker.trade(contract, size, account)
    await asyncio.sleep(40)


def times(calls: list[Call]) -> list[float]:
    """When the calls were made, in seconds of virtual time."""
    return [call.at for call in calls]


def gaps(calls: list[Call]) -> list[float]:
    """Seconds between one call and the next."""
    at = times(calls)
    return [round(later - earlier, 3) for earlier, later in pairwise(at)]
