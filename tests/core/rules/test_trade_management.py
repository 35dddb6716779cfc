"""RULE-012: tightens the existing stop of a winning position."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Alert, Remember
from daemon.core.engine import Engine
from daemon.core.events import MoveRefused, OrderRecord, OrderUpdate, PositionRecord, PositionsSnapshot
from daemon.core.units import SECOND_US, nanos_to_price, price_to_nanos
from shared.config import RiskConfig
from shared.models import ActionKind, OrderStatus, OrderType, Side
from tests.core.desk import ES, MNQ, Desk, rules


def managed(trigger: int | None = 10, activation: int | None = 20, distance: int = 10) -> RiskConfig:
    chosen: dict[str, Any] = {}
    if trigger is not None:
        chosen["auto_breakeven"] = {"profit_trigger_ticks": trigger}
    if activation is not None:
        chosen["trailing_stop"] = {"activation_ticks": activation, "trail_distance_ticks": distance}
    return rules(trade_management=chosen)


def winning(size: int = 1, config: RiskConfig | None = None, entry: float = 100, stop: float | None = None) -> Desk:
    """A desk with a position from `entry` and a stop five points behind it; its order id is 7."""
    desk = Desk(config or managed())
    desk.position(MNQ, size, entry)
    behind = entry - 5 if size > 0 else entry + 5
    desk.order(MNQ, -size, kind=OrderType.STOP, stop=behind if stop is None else stop, order_id=7)
    return desk


def gained(desk: Desk, ticks: float, size: int = 1, entry: float = 100) -> None:
    """The price at which the position could be closed is so many ticks better than its entry."""
    price = entry + ticks * 0.25 * size
    desk.quote(MNQ, price if size > 0 else price - 0.25, price + 0.25 if size > 0 else price)


def moves(desk: Desk) -> dict[str | int, str]:
    """Prices to which stops are to be moved."""
    found = desk.engine.account(101).obligations.items()
    return {key: str(nanos_to_price(action.stop_price or 0)) for key, action in found}


def moved(desk: Desk, order_id: int = 7) -> None:
    """The gateway moved it."""
    account = desk.engine.account(101)
    order = account.orders[order_id]
    price = account.obligations[order_id].stop_price
    desk.feed(
        OrderUpdate(
            desk.at,
            101,
            OrderRecord(order_id, MNQ, OrderStatus.OPEN, OrderType.STOP, order.side, order.size, stop_price=price),
        )
    )


@pytest.mark.parametrize("size", [1, -1, 3])
@pytest.mark.parametrize(
    ("ticks", "offset"),
    [(0, None), (9, None), (10, 0), (11, 0), (19, 0), (20, 10), (21, 11), (35, 25)],
)
def test_stop_is_moved_to_the_entry_and_then_behind_the_best_price(size: int, ticks: int, offset: int | None) -> None:
    desk = winning(size)
    direction = 1 if size > 0 else -1
    gained(desk, ticks, direction)
    if offset is None:
        assert moves(desk) == {}
    else:
        assert moves(desk) == {7: str(nanos_to_price(price_to_nanos(str(100 + offset * 0.25 * direction))))}
        assert desk.acts()[0].action.kind == ActionKind.MODIFY_ORDER
    assert desk.locks() == []


def test_first_quote_after_the_position_is_seen() -> None:
    desk = Desk(managed())
    desk.position(MNQ, 1)
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=95, order_id=7)
    gained(desk, 10)
    assert moves(desk) == {7: "100"}


def test_breakeven_alone_and_trail_alone() -> None:
    desk = winning(config=managed(activation=None))
    gained(desk, 50)
    assert moves(desk) == {7: "100"}
    desk = winning(config=managed(trigger=None))
    gained(desk, 19)
    assert moves(desk) == {}
    gained(desk, 20)
    assert moves(desk) == {7: "102.5"}


def test_trail_follows_the_best_price_and_never_goes_back() -> None:
    desk = winning()
    gained(desk, 20)
    moved(desk)
    gained(desk, 15)
    assert moves(desk) == {}
    desk.wait(1)
    gained(desk, 24)
    assert moves(desk) == {7: "103.5"}
    moved(desk)
    assert [settle.result for settle in desk.settled()] == ["confirmed", "confirmed"]


def test_at_most_one_move_a_second_and_the_last_one_is_not_forgotten() -> None:
    desk = winning()
    gained(desk, 20)
    moved(desk)
    desk.at += SECOND_US // 2
    gained(desk, 22)
    assert moves(desk) == {}
    desk.wait(0.5)
    assert moves(desk) == {7: "103"}


def test_second_move_comes_just_a_second_after_the_first() -> None:
    desk = winning()
    gained(desk, 20)
    first = desk.acts()[-1].action.decided_at
    moved(desk)
    gained(desk, 22)
    assert desk.engine.next_due == first + SECOND_US
    desk.at = first + SECOND_US - 1
    desk.wait(0)
    assert moves(desk) == {}
    desk.at += 1
    desk.wait(0)
    assert moves(desk) == {7: "103"}
    assert desk.acts()[-1].action.decided_at == first + SECOND_US


def test_stop_that_is_tighter_already_is_left() -> None:
    desk = winning(stop=103)
    gained(desk, 20)
    assert moves(desk) == {}
    gained(desk, 24)
    assert moves(desk) == {7: "103.5"}


def test_target_is_rounded_to_the_tighter_tick() -> None:
    desk = winning(entry=100.1)
    desk.quote(MNQ, "102.75", 103)
    assert moves(desk) == {7: "100.25"}
    short = winning(-1, entry=100.1)
    short.quote(MNQ, "97.25", "97.5")
    assert moves(short) == {7: "100"}


def test_only_plain_working_stops_on_the_closing_side_are_moved() -> None:
    desk = Desk(managed())
    desk.position(MNQ, 1)
    desk.order(MNQ, -1, kind=OrderType.LIMIT, limit=110)
    desk.order(MNQ, 1, kind=OrderType.STOP, stop=110)
    desk.order(MNQ, 1, kind=OrderType.STOP, stop=90)
    desk.order(MNQ, -1, kind=OrderType.STOP_LIMIT, stop=95, limit=94)
    desk.order(MNQ, -1, kind=OrderType.TRAILING_STOP, stop=95)
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=95, status=OrderStatus.SUSPENDED)
    desk.order(ES, -1, kind=OrderType.STOP, stop=95)
    gained(desk, 30)
    assert moves(desk) == {}


def test_stop_is_not_moved_through_the_market_but_once_the_price_is_back() -> None:
    desk = Desk(managed(activation=None))
    desk.position(MNQ, 1)
    gained(desk, 10)
    gained(desk, -4)
    desk.order(MNQ, -1, kind=OrderType.STOP, stop=95, order_id=7)
    assert moves(desk) == {}
    gained(desk, 0)
    assert moves(desk) == {}
    gained(desk, 1)
    assert moves(desk) == {7: "100"}
    gained(desk, 0)
    assert moves(desk) == {}
    assert desk.settled()[0].result == "superseded"


def test_refused_price_is_left_alone_for_a_while_and_a_better_one_is_tried() -> None:
    desk = winning()
    gained(desk, 20)
    desk.feed(MoveRefused(desk.at, 101, 7, price_to_nanos("102.5")))
    assert moves(desk) == {}
    assert desk.settled()[0].result == "failed"
    desk.wait(29)
    assert moves(desk) == {}
    desk.wait(1.1)
    assert moves(desk) == {7: "102.5"}
    desk.feed(MoveRefused(desk.at, 101, 7, price_to_nanos("102.5")))
    desk.wait(1)
    gained(desk, 21)
    assert moves(desk) == {7: "102.75"}


def test_position_being_closed_is_not_managed() -> None:
    config = rules(
        trade_management={"auto_breakeven": {"profit_trigger_ticks": 10}}, max_unrealized_profit={"target": 6}
    )
    desk = winning(config=config)
    gained(desk, 12)
    assert {key: action.kind for key, action in desk.engine.account(101).obligations.items()} == {
        MNQ: "close_position",
        7: "cancel_order",
    }


def test_new_position_begins_with_its_own_best_price() -> None:
    desk = winning()
    gained(desk, 30)
    desk.position(MNQ, 0)
    desk.position(MNQ, 1, 107)
    assert moves(desk) == {}


# ---- restarts and changes of the configuration


def stop_order(order_id: int = 7, price: float | str = 95, size: int = -1) -> OrderRecord:
    side = Side.BUY if size > 0 else Side.SELL
    return OrderRecord(
        order_id, MNQ, OrderStatus.OPEN, OrderType.STOP, side, abs(size), stop_price=price_to_nanos(str(price))
    )


def restarted(desk: Desk, *orders: OrderRecord, held: int = 1, entry: float = 100, created: int | None = None) -> Desk:
    """Another daemon with what the first remembered; it reads position and orders, no quote has come yet."""
    engine = Engine(desk.engine.config, desk.engine.calendar)
    engine.restore(
        desk.at, memories={(d.account_id, d.key): d.values for d in desk.decisions if isinstance(d, Remember)}
    )
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    known = desk.engine.account(101).positions.get(MNQ)
    opened = created if created is not None else known.created_at if known is not None else 0
    record = PositionRecord(MNQ, held, price_to_nanos(str(entry)), 1, opened)
    other.feed(PositionsSnapshot(other.at, 101, other.at, (record,)))
    other.read_orders(*orders)
    return other


@pytest.mark.parametrize("size", [1, -1])
@pytest.mark.parametrize(("best", "now", "offset"), [(10, 1, 0), (19, 5, 0), (20, 11, 10), (37, 28, 27)])
def test_best_price_counts_for_a_stop_that_comes_after_a_restart(size: int, best: int, now: int, offset: int) -> None:
    desk = Desk(managed())
    desk.position(MNQ, size)
    for ticks in (0, best, now):
        gained(desk, ticks, size)
    other = restarted(desk, stop_order(price=95 if size > 0 else 105, size=-size), held=size)
    assert moves(other) == {}
    gained(other, now, size)
    assert moves(other) == {7: str(nanos_to_price(price_to_nanos(str(100 + offset * 0.25 * size))))}
    desk.configure(rules(**rule_of(managed()), weekly_loss={"limit": -99}))
    desk.order(MNQ, -size, kind=OrderType.STOP, stop=95 if size > 0 else 105, order_id=7)
    assert moves(desk) == moves(other)


def rule_of(config: RiskConfig) -> dict[str, Any]:
    return config.rules.model_dump(exclude_none=True)


def test_first_quote_after_a_restart_is_seen_whatever_its_price() -> None:
    for size in (1, -1):
        desk = Desk(managed())
        desk.position(MNQ, size)
        gained(desk, 30, size)
        for now in (29, 25, 21):
            other = restarted(desk, stop_order(price=95 if size > 0 else 105, size=-size), held=size)
            gained(other, now, size)
            assert moves(other) == {7: "105" if size > 0 else "95"}
            assert other.of(Alert) == []


def test_at_most_one_move_a_second_over_a_change_of_the_configuration() -> None:
    desk = winning()
    gained(desk, 20)
    moved(desk)
    desk.at += SECOND_US // 2
    desk.configure(rules(**rule_of(managed()), weekly_loss={"limit": -99}))
    gained(desk, 22)
    assert moves(desk) == {}
    desk.wait(0.5)
    assert moves(desk) == {7: "103"}


def test_another_position_after_a_restart_begins_with_its_own_best_price() -> None:
    desk = Desk(managed())
    desk.position(MNQ, 1)
    gained(desk, 30)
    later = restarted(desk, stop_order(), created=desk.at + 60 * SECOND_US)
    gained(later, 5)
    assert moves(later) == {}
    turned = restarted(desk, stop_order(price=105, size=1), held=-1)
    gained(turned, 5, -1)
    assert moves(turned) == {}
    enlarged = restarted(desk, stop_order(), held=2, entry=105)
    gained(enlarged, 5)
    assert moves(enlarged) == {}
    desk.position(MNQ, 0)
    desk.position(MNQ, 1, 107)
    gone = restarted(desk, stop_order(), entry=107)
    gained(gone, 29)
    assert moves(gone) == {}


@pytest.mark.parametrize("kept", [[1], None, [1, 2, 3, 4, 5, "6"], [True, 1, 1, 1, 1, 1], {}])
def test_memory_that_makes_no_sense_is_as_none(kept: object) -> None:
    engine = Engine(managed(), Desk().engine.calendar)
    engine.restore(1, memories={(101, "best prices"): {MNQ: kept}})
    desk = Desk(engine=engine, accounts=())
    desk.read_positions((MNQ, 1))
    desk.read_orders(stop_order())
    gained(desk, 5)
    assert moves(desk) == {}
    gained(desk, 10)
    assert moves(desk) == {7: "100"}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(-15, 15), st.sampled_from([0, 0.3, 1.0, 2.5])), max_size=40),
    long=st.booleans(),
    stop=st.integers(-30, 10),
    answers=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_stop_only_ever_tightens_and_at_most_once_a_second(
    steps: list[tuple[int, float]], long: bool, stop: int, answers: list[bool]
) -> None:
    direction = 1 if long else -1
    desk = winning(direction, stop=100 + stop * 0.25 * direction)
    ticks, last = 0, 0
    for (step, pause), answered in zip(steps, answers, strict=False):
        ticks += step
        before = len(desk.acts())
        held = desk.engine.account(101).orders[7].stop_price or 0
        desk.wait(pause)
        gained(desk, ticks, direction)
        for act in desk.acts()[before:]:
            price = act.action.stop_price or 0
            assert (price - held) * direction > 0
            assert price % price_to_nanos("0.25") == 0
            assert act.action.decided_at - last >= SECOND_US
            last = act.action.decided_at
        if answered and 7 in desk.engine.account(101).obligations:
            moved(desk)
