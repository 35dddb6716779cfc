"""A change of the configuration or a restart in the middle of the day saves nobody: it goes on as if nothing had been.

Two engines get the same events; one of them is interrupted again and again. After each step both must ask for the same.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Decision
from daemon.core.engine import Engine
from daemon.core.events import ConfigChanged, ContractSeen, Event, OrderUpdate, Quote, signed
from shared.config import RiskConfig
from shared.models import ActionKind, OrderStatus, OrderType
from tests.core.desk import CONTRACTS, ES, MNQ, NQ
from tests.core.test_laws import EVERYTHING, HOURS, KEEPING, LOOSE
from tests.core.world import TICK, Disk, World

SETS: list[dict[str, Any]] = [
    EVERYTHING,
    EVERYTHING | HOURS,
    EVERYTHING | KEEPING,
    EVERYTHING | LOOSE,
    {key: EVERYTHING[key] for key in ("trade_management", "no_stop_loss_grace")},
    {key: EVERYTHING[key] for key in ("losing_position_adds", "trailing_drawdown", "daily_total_loss")},
    {key: EVERYTHING[key] for key in ("trade_frequency_limit", "cooldown_after_loss", "consecutive_losses")},
    {"trailing_drawdown": {"amount": 300, "mode": "end_of_day"}, "profit_give_back": {"percent": 40}},
    {"losing_position_adds": {"max_adds": 0}, "max_contracts": {"limit": 4, "close_all": True}},
    {"trade_management": {"trailing_stop": {"activation_ticks": 3, "trail_distance_ticks": 2}}},
]


def asked(engine: Engine, account: int, *, moves: bool) -> dict[str, object]:
    """Lockouts, what must go down to what and be cancelled, and with `moves` the stops that must be moved."""
    state = engine.account(account)
    return {
        "locks": sorted(
            (lock.rule_id, str(lock.symbol), lock.expires_at or 0, repr(sorted(lock.baseline.items())))
            for lock in state.locks.values()
        ),
        "wanted": {
            key: (action.target, action.stop_price)
            for key, action in state.obligations.items()
            if moves or action.kind != ActionKind.MODIFY_ORDER
        },
    }


class Twins(World):
    """A world with a second engine that sees the same and is interrupted."""

    def __init__(self, chosen: dict[str, Any]) -> None:
        self.other: Engine | None = None
        self.other_disk = Disk()
        super().__init__(RiskConfig.model_validate({"rules": chosen}))
        self.chosen = chosen
        self.other = self._from(self.disk)
        self.other_disk = copy.deepcopy(self.disk)
        self.greet_again()

    def feed(self, event: Event) -> list[Decision]:
        decisions = super().feed(event)
        if self.other is not None:
            self.other_disk.keep(list(self.other.handle(self.log[-1][0])))
        return decisions

    def _from(self, disk: Disk) -> Engine:
        self.restarts += 1
        engine = Engine(
            self.config,
            self.calendar,
            next_lockout_id=max(disk.locks, default=0) + 1,
            next_action_id=10_000 * self.restarts,
        )
        engine.restore(
            self.now,
            lockouts=[copy.deepcopy(disk.locks[key]) for key in sorted(disk.locks)],
            memories=copy.deepcopy(disk.memory),
            actions=[copy.deepcopy(disk.actions[key]) for key in sorted(disk.actions)],
            trades=[(account, trade) for account, known in self.trades.items() for trade in known.values()],
            contracts=[ContractSeen(self.now, contract) for contract in CONTRACTS],
        )
        return engine

    def greet_again(self) -> None:
        """Prices, accounts and everything of them are read by both."""
        self.now += 1000
        for contract, price in self.price.items():
            self.feed(Quote(self.now, contract, price, price + TICK[contract], price))
        for account in self.account_ids:
            self.feed(self.account_event(account))
            for event in self.snapshots(account):
                self.feed(event)
        self.wait(1)

    def restart_other(self) -> None:
        """kill -9 of the second engine once nothing is on the way; both read everything anew."""
        self.deliver()
        for account in self.account_ids:
            self.reconcile(account)
        self.wait(3)
        self.other = self._from(self.other_disk)
        self.greet_again()

    def reconfigure_other(self, number: int) -> None:
        """A change of something else: of a rule that is not reached, of the logs, of nothing."""
        tree: dict[str, Any] = {"rules": dict(self.chosen)}
        if number == 1:
            tree["rules"].setdefault("weekly_loss", {"limit": -900_000})
        elif number == 2:
            tree["logging"] = {"level": "DEBUG"}
        assert self.other is not None
        event = ConfigChanged(self.now, RiskConfig.model_validate(tree), self.calendar)
        self.other_disk.keep(list(self.other.handle(event)))

    def fill_stops(self, account: int, contract: str) -> None:
        """The stops that the price has passed are filled."""
        for order in list(self.orders[account].values()):
            direction = signed(order.side, 1)
            price = self.price[contract] + (TICK[contract] if direction > 0 else 0)  # the ask, or the bid
            if order.contract_id == contract and (price - (order.stop_price or 0)) * direction >= 0:
                del self.orders[account][order.order_id]
                self.mail.append(OrderUpdate(0, account, replace(order, status=OrderStatus.FILLED)))
                self.fill(account, contract, signed(order.side, order.size), order.order_id)
        self.deliver()

    def compare(self, *, moves: bool = True) -> None:
        """Both ask for the same."""
        assert self.other is not None
        for account in self.account_ids:
            assert asked(self.other, account, moves=moves) == asked(self.engine, account, moves=moves)
            assert self.other.account(account).memory.keys() == self.engine.account(account).memory.keys()


accounts = st.just(101)
contracts = st.sampled_from([MNQ, MNQ, MNQ, ES, NQ])
sizes = st.sampled_from([-2, -1, 1, 1, 2])
ticks = st.sampled_from([-80, -26, -12, -5, -3, -1, 1, 2, 3, 5, 12, 26, 80])
steps = st.one_of(
    st.tuples(st.just("fill"), contracts, sizes),
    st.tuples(st.just("fill"), contracts, sizes),
    st.tuples(st.just("again"), contracts, sizes),
    st.tuples(st.just("late"), contracts, sizes),
    st.tuples(st.just("stop"), contracts, st.integers(2, 60)),
    st.tuples(st.just("move"), contracts, ticks),
    st.tuples(st.just("move"), contracts, ticks),
    st.tuples(st.just("move"), contracts, ticks),
    st.tuples(st.just("wait"), st.sampled_from([1, 1, 5, 11, 61, 3600, 86_400])),
    st.tuples(st.just("enforce")),
)


def do(world: Twins, kind: str, values: list[Any]) -> None:
    """One step of the stream."""
    if kind == "fill":
        world.fill(101, *values)
        world.deliver()
    elif kind == "again":  # another fill of the order before
        world.fill(101, values[0], values[1], order_id=world.last_order)
        world.deliver()
    elif kind == "late":
        world.fill(101, *values)
        world.deliver([2, 1, 0])
    elif kind == "stop":
        held = world.held.get((101, values[0]))
        if held is not None:
            away = -values[1] if held.size > 0 else values[1]
            world.place(101, values[0], -held.size, OrderType.STOP, away)
            world.deliver()
    elif kind == "move":
        world.move(*values)
        world.fill_stops(101, values[0])
    elif kind == "wait":
        world.wait(values[0])
    else:
        world.enforce(101)
        world.deliver()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    chosen=st.sampled_from(SETS),
    stream=st.lists(st.tuples(steps, st.sampled_from([None, None, 0, 1, 2])), min_size=5, max_size=40),
)
@example(
    EVERYTHING,
    [
        (("fill", MNQ, -2), None),
        (("stop", MNQ, 2), None),
        (("move", MNQ, -80), None),
        (("fill", MNQ, -2), None),
        (("move", MNQ, 1), 0),
        (("wait", 1), None),
    ],
).via("the best price since a position was enlarged was not remembered")
def test_change_of_the_configuration_in_the_middle_changes_nothing_else(
    chosen: dict[str, Any], stream: list[tuple[tuple[Any, ...], int | None]]
) -> None:
    world = Twins(chosen)
    for (kind, *values), interruption in stream:
        do(world, kind, values)
        world.compare()
        if interruption is not None:
            world.reconfigure_other(interruption)
            world.compare()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    chosen=st.sampled_from(SETS),
    stream=st.lists(st.tuples(steps, st.booleans()), min_size=5, max_size=30),
)
@example(
    {"losing_position_adds": {"max_adds": 0}, "max_contracts": {"limit": 4, "close_all": True}},
    [
        (("fill", MNQ, -1), False),
        (("fill", ES, -2), False),
        (("fill", ES, -2), False),
        (("fill", ES, -2), False),
        (("fill", MNQ, 2), False),
        (("fill", MNQ, 1), True),
    ],
).via("a position that turned round while it was to be closed was not remembered as to be closed")
@example(
    EVERYTHING,
    [
        (("fill", MNQ, -2), False),
        (("fill", MNQ, -2), False),
        (("fill", MNQ, -2), False),
        (("fill", NQ, 1), False),
        (("stop", NQ, 2), False),
        (("move", NQ, 80), False),
        (("fill", NQ, -2), True),
        (("wait", 61), False),
    ],
).via("an order to be cancelled with its position was known by a lockout that ended first")
def test_restart_in_the_middle_changes_nothing_else(
    chosen: dict[str, Any], stream: list[tuple[tuple[Any, ...], bool]]
) -> None:
    world = Twins(chosen)
    for (kind, *values), interruption in stream:
        do(world, kind, values)
        # A move that is sent again after a restart may put the next one off by a second.
        world.compare(moves=kind == "wait" and values[0] > 1)
        if interruption:
            world.restart_other()
            world.compare()
