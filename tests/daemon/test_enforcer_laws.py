"""Laws 4 and 5 under every interleaving Hypothesis thinks of.

The enforcer never flips a position or takes off more than asked, whatever is lost, late, doubled or out of order, and
in the end nothing is left that may not be.

`FakeBroker` notes breaches as they happen; the machine only makes things happen and, at the end, lets the faults stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from daemon.broker import AnswerKind
from shared.models import OrderType, Side
from tests.daemon.enforcer_broker import ACCOUNT, ES, MNQ, Fault, Push, unreadable
from tests.daemon.enforcer_world import World
from tests.daemon.virtual_time import VirtualLoop

CONTRACTS = st.sampled_from([MNQ, ES])
ACCEPTED = AnswerKind.ACCEPTED
UNCERTAIN = AnswerKind.UNCERTAIN
REFUSED = AnswerKind.REFUSED

FAULTS = st.sampled_from(
    [
        Fault(latency=0.3),
        Fault(ACCEPTED, effect=False),
        Fault(UNCERTAIN),
        Fault(UNCERTAIN, latency=2.0),
        Fault(UNCERTAIN, effect=False),
        Fault(UNCERTAIN, late=0.1),
        Fault(UNCERTAIN, late=0.6),
        Fault(ACCEPTED, late=0.1),
        Fault(REFUSED, 2),
        Fault(REFUSED, 5),
        Fault(REFUSED, 6),
        Fault(REFUSED, 7),
        Fault(REFUSED, 8),
        Fault(AnswerKind.NOT_SENT),
        Fault(AnswerKind.NOT_SENT, 429, retry_after=1.5),
        Fault(raises=RuntimeError("a bug of the adapter's")),
    ]
)
PUSHES = st.sampled_from(
    [Push(dropped=True), Push(0.0), Push(0.05), Push(0.4), Push(again=0.02), Push(again=0.3), Push(0.2, again=2.0)]
)


class Enforcing(RuleBasedStateMachine):
    """A trader, a moody gateway and limits that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = self._run(self._make())

    async def _make(self) -> World:
        return World()

    def _run[T](self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize(
        lag=st.sampled_from([0.0, 0.05, 0.1]),
        fill_after=st.sampled_from([0.0, 0.02, 0.2, 1.0]),
        parts=st.integers(1, 3),
        read_latency=st.sampled_from([0.002, 0.02, 0.3]),
    )
    def begin(self, lag: float, fill_after: float, parts: int, read_latency: float) -> None:
        broker = self.world.broker
        broker.lag, broker.fill_after, broker.fill_parts, broker.read_latency = lag, fill_after, parts, read_latency

    @rule(contract=CONTRACTS, size=st.integers(-4, 6).filter(bool))
    def trades(self, contract: str, size: int) -> None:
        self.world.broker.trade(contract, size)

    @rule(contract=CONTRACTS, side=st.sampled_from(Side), size=st.integers(1, 3))
    def sends_a_market_order(self, contract: str, side: Side, size: int) -> None:
        self.world.broker.place(contract, OrderType.MARKET, side, size)

    @rule(contract=CONTRACTS, side=st.sampled_from(Side), size=st.integers(1, 3))
    def places_a_limit_order(self, contract: str, side: Side, size: int) -> None:
        self.world.broker.place(contract, OrderType.LIMIT, side, size)

    @rule(contract=CONTRACTS)
    def limit_order_fills(self, contract: str) -> None:
        for order in self.world.broker.working(contract):
            if order.type == OrderType.LIMIT:
                self.world.broker.fill_resting(order.order_id)
                return

    @rule(contract=CONTRACTS, limit=st.sampled_from([0, 1, 2, 3, None]))
    def limit_changes(self, contract: str, limit: int | None) -> None:
        self.world.core.limit(contract, limit)

    @rule(fault=FAULTS)
    def next_mutation_fails(self, fault: Fault) -> None:
        self.world.broker.faults.append(fault)

    @rule(push=PUSHES)
    def next_event_suffers(self, push: Push) -> None:
        self.world.broker.pushes.append(push)

    @rule(count=st.integers(1, 4))
    def next_reads_fail(self, count: int) -> None:
        self.world.broker.read_faults.extend(unreadable() for _ in range(count))

    @rule(down=st.booleans())
    def positions_cannot_be_read(self, down: bool) -> None:
        self.world.broker.positions_down = down

    @rule(contract=CONTRACTS, back=st.integers(1, 3))
    def old_event_comes_again(self, contract: str, back: int) -> None:
        pushed = self.world.broker.books[ACCOUNT, contract].pushed
        if len(pushed) >= back:
            self.world.broker.push_again(contract, pushed[-back])

    @rule(halted=st.booleans())
    def market_halts(self, halted: bool) -> None:
        self.world.broker.halted = halted

    @rule(seconds=st.sampled_from([0.001, 0.004, 0.011, 0.02, 0.1, 0.16, 0.3, 1.0, 4.0, 12.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))

    @invariant()
    def laws_hold(self) -> None:
        assert self.world.broker.violations == []

    def teardown(self) -> None:
        self._run(self._end())
        self.loop.close()

    async def _end(self) -> None:
        """Faults stop, the slow poll comes: everything owed is met, nothing runs on."""
        world = self.world
        broker = world.broker
        broker.faults.clear()
        broker.pushes.clear()
        broker.read_faults.clear()
        broker.halted = broker.positions_down = False
        for _ in range(5):
            await asyncio.sleep(5)  # what is late arrives
            await world.core.deliver(await broker.read_orders(ACCOUNT))
            await world.core.deliver(await broker.read_positions(ACCOUNT))
        await world.settled(120)
        for (account_id, contract), limit in world.core.limits.items():
            assert abs(broker.net(contract, account_id)) <= limit
            if limit == 0:
                assert broker.working(contract, account_id) == []
        await world.end()


TestEnforcing = Enforcing.TestCase
TestEnforcing.settings = settings(
    max_examples=300, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
