"""A restart in the middle of an enforcement: what was begun is taken up again, or settled; no entry stays open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from daemon.core.decisions import Action, Settle
from daemon.core.engine import Engine
from daemon.core.events import (
    ClearRequested,
    LockRequested,
    OrderRecord,
    OrdersSnapshot,
    PositionRecord,
    PositionsSnapshot,
    TradeRecord,
    TradesSnapshot,
)
from daemon.core.units import SECOND_US, price_to_nanos, to_micros
from shared.config import HolidayCalendar, RiskConfig
from shared.models import ActionKind, OrderStatus, OrderType, Side
from tests.core.desk import ES, MNQ, NQ, OPEN, Desk, rules

DECIDED = to_micros(OPEN)


def close(rule_id: str, *, held: int = 2, target: int = 0, contract: str = MNQ) -> Action:
    kind = ActionKind.REDUCE_POSITION if target else ActionKind.CLOSE_POSITION
    return Action(
        41,
        101,
        kind,
        rule_id,
        contract,
        "It had to go.",
        DECIDED,
        target=target,
        size=abs(held) - target,
        held=held,
    )


def cancel(rule_id: str, order_id: int = 7) -> Action:
    return Action(42, 101, ActionKind.CANCEL_ORDER, rule_id, MNQ, "It had to go.", DECIDED, order_id=order_id)


def restarted(config: RiskConfig, *actions: Action, latched: bool = False) -> Desk:
    """A daemon that starts five seconds after these actions were decided, and has read nothing yet.

    `latched`: the positions had to go whatever came.
    """
    engine = Engine(config, HolidayCalendar())
    memory = {action.contract_id: [action.rule_id, False] for action in actions if latched}
    engine.restore(DECIDED + 5 * SECOND_US, actions=actions, memories={(101, "latched"): memory})
    desk = Desk(engine=engine, accounts=())
    desk.at = DECIDED + 6 * SECOND_US
    return desk


def reads(desk: Desk, size: int, created: int = DECIDED - SECOND_US, contract: str = MNQ) -> None:
    desk.at += 1000
    held = (PositionRecord(contract, size, price_to_nanos(100), 1, created),) if size else ()
    desk.feed(PositionsSnapshot(desk.at, 101, desk.at, held))


LATCHING = [
    ("RULE-004", {"daily_unrealized_loss": {"limit": -300}}),
    ("RULE-005", {"max_unrealized_profit": {"target": 300}}),
    ("RULE-008", {"no_stop_loss_grace": {"grace_period_seconds": 600}}),
    ("RULE-001", {"max_contracts": {"limit": 5, "close_all": True}}),
    ("RULE-002", {"max_contracts_per_instrument": {"limits": {"MNQ": 5}, "enforcement": "close_all"}}),
]


@pytest.mark.parametrize(("rule_id", "config"), LATCHING)
def test_position_that_had_to_go_goes_though_its_price_or_size_came_back(rule_id: str, config: dict[str, Any]) -> None:
    desk = restarted(rules(**config), close(rule_id), latched=True)
    assert desk.wanted() == {}
    reads(desk, 2)
    assert desk.wanted() == {MNQ: 0}
    assert [(settle.action.id, settle.result) for settle in desk.settled()] == [(41, "superseded")]
    (act,) = desk.acts()
    assert (act.action.id, act.action.rule_id, act.action.reason) == (42, rule_id, "It had to go.")
    reads(desk, 0)
    assert desk.settled()[-1].result == "confirmed"
    reads(desk, 1, created=desk.at)
    assert desk.wanted() == {}


@pytest.mark.parametrize(("rule_id", "config"), LATCHING)
@pytest.mark.parametrize(
    ("size", "created", "result"),
    [
        (0, 0, "confirmed"),
        (-2, DECIDED - SECOND_US, "confirmed"),  # turned round: what was long is gone
        (2, DECIDED + 4 * SECOND_US, "confirmed"),  # another position, opened since
    ],
)
def test_position_that_is_another_one_is_left(
    rule_id: str, config: dict[str, Any], size: int, created: int, result: str
) -> None:
    desk = restarted(rules(**config), close(rule_id), latched=True)
    reads(desk, size, created)
    assert desk.wanted() == {}
    assert [settle.result for settle in desk.settled()] == [result]


def test_broker_clock_a_little_ahead_or_no_time_at_all_is_still_the_same_position() -> None:
    for created in (DECIDED + SECOND_US, 0):
        desk = restarted(rules(daily_unrealized_loss={"limit": -300}), close("RULE-004"), latched=True)
        reads(desk, 2, created)
        assert desk.wanted() == {MNQ: 0}


def test_part_of_it_that_is_left_goes_too() -> None:
    desk = restarted(rules(daily_unrealized_loss={"limit": -300}), close("RULE-004", held=5), latched=True)
    reads(desk, 1)
    assert desk.wanted() == {MNQ: 0}


@pytest.mark.parametrize(
    ("action", "config", "size", "result"),
    [
        (close("RULE-001", held=1), {"max_contracts": {"limit": 5}}, 1, "superseded"),
        (close("RULE-001", held=8, target=5), {"max_contracts": {"limit": 5}}, 5, "confirmed"),
        (close("RULE-001", held=8, target=5), {"max_contracts": {"limit": 9}}, 8, "superseded"),
        (close("RULE-002", held=1), {"max_contracts_per_instrument": {"limits": {"MNQ": 1}}}, 1, "superseded"),
        (close("RULE-003"), {"daily_realized_loss": {"limit": -500}}, 2, "superseded"),
        (close("RULE-006", held=3, target=2), {}, 3, "superseded"),
        (close("RULE-006", held=3, target=2), {}, 2, "confirmed"),
    ],
)
def test_other_actions_are_demanded_anew_by_what_is_so_now_or_not_at_all(
    action: Action, config: dict[str, Any], size: int, result: str
) -> None:
    desk = restarted(rules(**config), action)
    reads(desk, size)
    assert [settle.result for settle in desk.settled()] == [result]
    assert desk.wanted() == {}


@pytest.mark.parametrize(("rule_id", "config"), LATCHING[3:])
def test_position_that_had_to_go_goes_though_the_configuration_changed_meanwhile(
    rule_id: str, config: dict[str, Any]
) -> None:
    desk = Desk(rules(**config))
    desk.position(MNQ, 6)
    (act,) = desk.acts()
    desk.configure(rules())
    assert desk.wanted() == {MNQ: 0}
    engine = Engine(rules(), HolidayCalendar())
    memories = {(101, key): values for key, values in desk.engine.account(101).memory.items()}
    engine.restore(desk.at, actions=[replace(act.action)], memories=memories)
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    reads(other, 6, created=desk.at - SECOND_US)
    assert other.wanted() == {MNQ: 0}


def test_action_of_a_lockout_goes_on_under_a_new_number() -> None:
    desk = Desk(rules(daily_realized_loss={"limit": -500}))
    desk.position(MNQ, 2)
    desk.trade(MNQ, -1, "-600")
    (act,) = desk.acts()
    engine = Engine(rules(), HolidayCalendar())
    engine.restore(desk.at, lockouts=[desk.lock_decisions()[0].lockout], actions=[replace(act.action)])
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    other.read_positions((MNQ, 2))
    assert other.wanted() == {MNQ: 0}
    assert [(settle.action.id, settle.result) for settle in other.settled()] == [(act.action.id, "superseded")]
    assert other.acts()[0].action.id == act.action.id + 1


def stop(order_id: int = 7, price: int = 95) -> OrderRecord:
    return OrderRecord(order_id, MNQ, OrderStatus.OPEN, OrderType.STOP, Side.SELL, 2, stop_price=price_to_nanos(price))


@pytest.mark.parametrize(
    ("action", "orders", "result", "wanted"),
    [
        (cancel("RULE-004"), (stop(),), "superseded", {7: 0}),
        (cancel("RULE-005"), (stop(), stop(8)), "superseded", {7: 0}),
        (cancel("RULE-004"), (), "confirmed", {}),
        (cancel("RULE-003"), (stop(),), "superseded", {}),
    ],
)
def test_orders_of_a_position_that_is_gone_are_cancelled_still(
    action: Action, orders: tuple[OrderRecord, ...], result: str, wanted: dict[int, int]
) -> None:
    desk = restarted(rules(), action)
    reads(desk, 0)
    assert desk.of(Settle) == []
    desk.at += 1000
    desk.feed(OrdersSnapshot(desk.at, 101, desk.at, orders))
    assert [settle.result for settle in desk.settled()] == [result]
    assert desk.wanted() == wanted


@pytest.mark.parametrize(
    ("orders", "result"), [((stop(price=100),), "confirmed"), ((stop(),), "superseded"), ((), "superseded")]
)
def test_move_of_a_stop_is_settled_by_what_the_read_shows(orders: tuple[OrderRecord, ...], result: str) -> None:
    action = replace(cancel("RULE-012"), kind=ActionKind.MODIFY_ORDER, stop_price=price_to_nanos(100))
    desk = restarted(rules(), action)
    desk.read_orders(*orders)
    assert [settle.result for settle in desk.settled()] == [result]


def test_push_before_the_first_read_settles_nothing() -> None:
    desk = restarted(rules(daily_unrealized_loss={"limit": -300}), close("RULE-004"), cancel("RULE-004"))
    desk.position(ES, 1)
    desk.order(ES, 1)
    assert desk.of(Settle) == []
    reads(desk, 2)
    desk.read_orders()
    assert len(desk.settled()) == 2
    assert desk.engine.account(101).leftovers == []


def test_numbers_go_on_behind_those_of_the_earlier_run() -> None:
    desk = restarted(rules(max_contracts={"limit": 1}), replace(close("RULE-001"), id=500))
    reads(desk, 3)
    assert desk.acts()[0].action.id == 501


def test_every_breach_of_a_cleared_lockout_stays_cleared() -> None:
    steps = [{"loss_amount": -100, "cooldown_duration": 300}]
    config = rules(cooldown_after_loss={"loss_thresholds": steps})
    desk = Desk(config)
    desk.trade(MNQ, -1, "-110")
    desk.trade(MNQ, -1, "-110")
    lock = desk.lock_decisions()[0].lockout
    desk.feed(ClearRequested(desk.at, lock.id, desk.at, "phone call", "admin"))
    while desk.locks():
        lock = next(iter(desk.engine.account(101).locks.values()))
        desk.feed(ClearRequested(desk.at, lock.id, desk.at, "phone call", "admin"))
    engine = Engine(config, HolidayCalendar())
    engine.restore(desk.at, lockouts=[decision.lockout for decision in desk.lock_decisions()])
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    trades = tuple(desk.engine.account(101).ledger.trades.values())
    other.feed(TradesSnapshot(other.at, 101, other.at, desk.engine.view.day_start, trades))
    assert other.locks() == []


def test_breach_after_the_admin_asked_for_a_clear_is_not_cleared_with_it() -> None:
    desk = Desk(rules(daily_realized_loss={"limit": -500}))
    desk.trade(MNQ, -1, "-600")
    desk.feed(ClearRequested(desk.at, 1, desk.at + 900 * SECOND_US, "phone call", "admin"))
    desk.trade(MNQ, -1, "-100")
    desk.wait(901)
    assert desk.locks() == ["RULE-003"]
    assert [lock.id for lock in desk.engine.account(101).locks.values()] == [2]


def test_close_that_outlives_a_lockout_is_known_by_its_own_rule() -> None:
    config = rules(daily_unrealized_loss={"limit": -300})
    desk = Desk(config)
    desk.feed(LockRequested(desk.at, 101, desk.at + 60 * SECOND_US, "", "trader"))
    desk.position(MNQ, 2, 21000)
    assert [act.action.rule_id for act in desk.acts()] == ["MANUAL"]
    desk.quote(MNQ, 20925, "20925.25")
    assert [act.action.rule_id for act in desk.acts()] == ["MANUAL", "RULE-004"]
    assert [settle.result for settle in desk.settled()] == ["superseded"]
    desk.wait(61)
    assert desk.locks() == []
    assert desk.wanted() == {MNQ: 0}
    assert len(desk.acts()) == 2
    desk.position(MNQ, 0)
    assert desk.settled()[-1].result == "confirmed"


@pytest.mark.parametrize(("size", "begun"), [(-1, [2, -1]), (1, [2]), (3, [2])])
def test_position_that_turns_round_while_it_must_go_is_a_close_of_its_own(size: int, begun: list[int]) -> None:
    desk = Desk(rules(daily_realized_loss={"limit": -500}))
    desk.feed(LockRequested(desk.at, 101, desk.at + 60 * SECOND_US, "", "trader"))
    desk.position(MNQ, 2, 21000)
    desk.position(MNQ, size, 21000)
    assert [act.action.held for act in desk.acts()] == begun
    assert desk.wanted() == {MNQ: 0}
    assert [settle.result for settle in desk.settled()] == ["confirmed"] * (len(begun) - 1)
    desk.position(MNQ, 0)
    assert desk.wanted() == {}
    assert {settle.action.id for settle in desk.settled()} == {act.action.id for act in desk.acts()}


def test_order_to_be_cancelled_with_its_position_is_known_by_that_though_a_lockout_covers_it() -> None:
    desk = Desk(rules(max_unrealized_profit={"target": 300}))
    desk.position(MNQ, 2, 21000)
    order = desk.order(MNQ, -2, kind=OrderType.LIMIT, limit=21500)
    desk.quote(MNQ, 21160, "21160.25")
    assert {act.action.rule_id for act in desk.acts() if act.action.order_id == order} == {"RULE-005"}
    desk.feed(LockRequested(desk.at, 101, desk.at + 60 * SECOND_US, "", "trader"))
    assert [act.action.order_id for act in desk.acts()].count(order) == 1  # asked for once, whoever asks too
    desk.wait(61)
    assert order in desk.wanted()


def filled(number: int, contract: str, size: int) -> TradeRecord:
    """An opening fill from before the restart; `number` also gives its time."""
    side = Side.BUY if size > 0 else Side.SELL
    return TradeRecord(
        number, contract, DECIDED - 100 + number, price_to_nanos(100), None, 0, side, abs(size), False, number
    )


@pytest.mark.parametrize(
    ("fills", "wanted"),
    [
        ([(ES, 2), (MNQ, 3), (NQ, 2)], {NQ: 1}),
        ([(ES, 1), (MNQ, 3), (NQ, 2), (ES, 1)], {ES: 1}),
        ([(MNQ, 1), (NQ, 2), (ES, 2), (MNQ, 2)], {MNQ: 2}),
        ([(MNQ, 3), (NQ, 2), (ES, 2), (MNQ, -1)], {ES: 1}),
        ([], {ES: 1}),
    ],
)
@pytest.mark.parametrize("first", ["the store's trades", "the read of the trades"])
def test_positions_held_at_the_start_are_reduced_in_the_order_of_their_last_opening_fills(
    fills: list[tuple[str, int]], wanted: dict[str, int], first: str
) -> None:
    trades = [filled(number, *fill) for number, fill in enumerate(fills, 1)]
    engine = Engine(rules(max_contracts={"limit": 6}), HolidayCalendar())
    at = DECIDED + 5 * SECOND_US
    engine.restore(at, trades=[(101, trade) for trade in trades] if first == "the store's trades" else [])
    desk = Desk(engine=engine, accounts=())
    desk.at = at
    if first != "the store's trades":
        desk.feed(TradesSnapshot(at, 101, at, engine.view.day_start, tuple(trades)))
    # By the gateway's list and by the times at which they were opened, ES came last.
    held = [PositionRecord(c, s, price_to_nanos(100), 1, DECIDED - 200 + n) for n, (c, s) in enumerate(
        [(NQ, 2), (MNQ, 3), (ES, 2)]
    )]  # fmt: skip
    desk.feed(PositionsSnapshot(at, 101, at, tuple(held)))
    assert desk.wanted() == wanted


def test_positions_being_reduced_when_the_trades_are_read_are_not_joined_by_others() -> None:
    engine = Engine(rules(max_contracts={"limit": 4}), HolidayCalendar())
    desk = Desk(engine=engine, accounts=())
    desk.read_positions((MNQ, 3), (ES, 2))
    assert desk.wanted() == {MNQ: 2}
    trades = tuple(replace(filled(n, *fill), created_at=desk.at + n) for n, fill in enumerate([(MNQ, 3), (ES, 2)]))
    desk.feed(TradesSnapshot(desk.at, 101, desk.at, engine.view.day_start, trades))
    assert desk.wanted() == {MNQ: 2}


def test_position_pushed_before_the_first_read_counts_as_increased_last() -> None:
    engine = Engine(rules(max_contracts={"limit": 4}), HolidayCalendar())
    desk = Desk(engine=engine, accounts=())
    desk.position(MNQ, 3)
    desk.read_positions((MNQ, 3), (ES, 2))
    assert desk.wanted() == {MNQ: 2}
