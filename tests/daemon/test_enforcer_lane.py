"""The pure part of the enforcer: which step follows from what is known. No loop, no broker."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.broker import Answer, AnswerKind
from daemon.core.decisions import Action
from daemon.core.events import OrderRecord, OrdersSnapshot, PositionRecord, PositionsSnapshot
from daemon.enforcement_lane import (
    AccountRead,
    Cancel,
    CloseAll,
    Drop,
    Finished,
    Modify,
    Mutation,
    Pause,
    Read,
    Reduce,
    Verdict,
    judge,
)
from daemon.order_lane import MODIFY_TRIES, OrderLane
from daemon.position_lane import QUIET, RECENT, STABLE, STUCK, PositionLane
from shared.models import ActionKind, OrderStatus, OrderType, Side

ACCOUNT = 7
MNQ = "MNQ"


@dataclass
class Sight:
    """A `View` of fixed values."""

    position: int = 0
    in_flight: int = 0
    read_at: int = 0
    turn: float = 0.0
    settled: bool = True
    modify_at: float = 0.0
    in_hand: bool = False

    def position_size(self, account_id: int, contract_id: str) -> int:
        return self.position

    def closing_in_flight(self, account_id: int, contract_id: str) -> int:
        return self.in_flight

    def position_read_at(self, account_id: int, contract_id: str) -> int:
        return self.read_at

    def position_settled(self, account_id: int, contract_id: str) -> bool:
        return self.settled

    def turn_at(self, account_id: int, *, closing: bool) -> float:
        return self.turn

    def modify_ready_at(self, account_id: int, contract_id: str) -> float:
        return self.modify_at

    def order_in_hand(self, account_id: int, order_id: int) -> bool:
        return self.in_hand


def close(target: int = 0, action_id: int = 1, rule_id: str = "RULE-001") -> Action:
    kind = ActionKind.REDUCE_POSITION if target else ActionKind.CLOSE_POSITION
    return Action(action_id, ACCOUNT, kind, rule_id, MNQ, "", 0, target=target)


def order_action(kind: ActionKind, action_id: int = 1, stop_price: int | None = None) -> Action:
    return Action(action_id, ACCOUNT, kind, "RULE-012", MNQ, "", 0, order_id=55, stop_price=stop_price)


def market_order(side: Side, remaining: int, order_id: int = 90) -> OrderRecord:
    return OrderRecord(order_id, MNQ, OrderStatus.OPEN, OrderType.MARKET, side, remaining + 1, fill_volume=1)


def read(number: int, started: float, position: int = 0, *orders: OrderRecord) -> AccountRead:
    at = int(started * 1e6)
    held = (PositionRecord(MNQ, position, 1),) if position else ()
    return AccountRead(
        number, started, OrdersSnapshot(at, ACCOUNT, at, orders), PositionsSnapshot(at, ACCOUNT, at, held)
    )


def answered(lane: PositionLane | OrderLane, step: Mutation, kind: AnswerKind, now: float, code: int = 0) -> Verdict:
    lane.sent(step, at=1)
    return lane.answered(Answer(kind, code), now)


def position_lane(*actions: Action) -> PositionLane:
    lane = PositionLane(ACCOUNT, MNQ)
    for action in actions:
        lane.add(action, 100.0)
    return lane


@pytest.mark.parametrize(
    ("mutation", "code", "verdict"),
    [
        (CloseAll(), 2, Verdict.GONE),
        (CloseAll(), 5, Verdict.REFUSED),
        (CloseAll(), 6, Verdict.PENDING),
        (CloseAll(), 8, Verdict.BARRED),
        (Reduce(1), 2, Verdict.GONE),
        (Reduce(1), 5, Verdict.GONE),
        (Reduce(1), 6, Verdict.REFUSED),
        (Reduce(1), 7, Verdict.PENDING),
        (Reduce(1), 9, Verdict.BARRED),
        (Cancel(1), 2, Verdict.GONE),
        (Cancel(1), 3, Verdict.REFUSED),
        (Cancel(1), 4, Verdict.PENDING),
        (Modify(1, 1), 3, Verdict.REFUSED),
        (CloseAll(), 403, Verdict.REFUSED),
    ],
)
def test_judge_when_refused_reads_the_code_by_its_endpoint(mutation: Mutation, code: int, verdict: Verdict) -> None:
    assert judge(mutation, Answer(AnswerKind.REFUSED, code)) is verdict


@pytest.mark.parametrize("position", [5, -5])
@pytest.mark.parametrize(("target", "step"), [(0, CloseAll()), (2, Reduce(3)), (4, Reduce(1))])
def test_position_lane_when_nothing_was_sent_before_acts_at_once(position: int, target: int, step: Mutation) -> None:
    assert position_lane(close(target)).plan(Sight(position), 100.0, None) == step


def test_position_lane_when_several_obligations_follows_the_strictest() -> None:
    lane = position_lane(close(3, 1), close(1, 2), close(2, 3))
    assert lane.plan(Sight(5), 100.0, None) == Reduce(4)
    lane.remove(2, 100.0, confirmed=False)
    assert lane.plan(Sight(5), 100.0, None) == Reduce(3)


def test_position_lane_when_no_obligation_is_left_is_finished() -> None:
    lane = position_lane(close())
    lane.remove(1, 100.0, confirmed=True)
    assert lane.plan(Sight(5), 100.0, None) == Finished()


@pytest.mark.parametrize("kind", [AnswerKind.ACCEPTED, AnswerKind.REFUSED, AnswerKind.UNCERTAIN])
@pytest.mark.parametrize("target", [0, 2])
def test_position_lane_after_any_answer_reads_before_it_sends(kind: AnswerKind, target: int) -> None:
    lane, sight = position_lane(close(target)), Sight(5)
    step = lane.plan(sight, 100.0, None)
    assert isinstance(step, CloseAll | Reduce)
    answered(lane, step, kind, 100.1)
    for now in (100.1, 100.2, 101.0, 200.0):
        following = lane.plan(sight, now, None)
        assert isinstance(following, Pause | Read)
        if isinstance(following, Read):
            assert following.since >= 100.1


def test_position_lane_when_surely_not_sent_repeats_without_a_read() -> None:
    lane, sight = position_lane(close(2)), Sight(5)
    answered(lane, Reduce(3), AnswerKind.NOT_SENT, 100.0)
    assert lane.plan(sight, 100.0, None) == Pause(100.2)
    assert lane.plan(sight, 100.2, None) == Reduce(3)


@pytest.mark.parametrize(("mutation", "code"), [(CloseAll(), 2), (Reduce(3), 2), (Reduce(3), 5)])
def test_position_lane_when_there_is_less_than_thought_reads_at_once(mutation: Mutation, code: int) -> None:
    lane = position_lane(close(0 if mutation == CloseAll() else 2))
    answered(lane, mutation, AnswerKind.REFUSED, 100.0, code)
    assert lane.plan(Sight(5), 100.0, None) == Read(since=100.0, newer_than=0)


def test_position_lane_when_a_read_still_shows_it_closes_again_after_the_backoff() -> None:
    lane, sight = position_lane(close()), Sight(5)
    answered(lane, CloseAll(), AnswerKind.ACCEPTED, 100.0)
    assert lane.plan(sight, 100.0, None) == Pause(100.15)
    assert lane.plan(sight, 100.16, None) == Read(since=100.0, newer_than=0)
    assert lane.plan(sight, 100.17, read(1, 100.16, 5)) == Pause(100.2)
    assert lane.plan(sight, 100.2, None) == Read(since=100.0, newer_than=1)
    assert lane.plan(sight, 100.21, read(2, 100.2, 5)) == CloseAll()


@pytest.mark.parametrize("kind", [AnswerKind.ACCEPTED, AnswerKind.UNCERTAIN])
def test_position_lane_when_a_partial_close_may_have_worked_repeats_on_two_equal_late_reads(kind: AnswerKind) -> None:
    lane, sight = position_lane(close(2)), Sight(5)
    answered(lane, Reduce(3), kind, 100.0)
    assert lane.plan(sight, 100.5, read(1, 100.5, 5)) == Pause(100.0 + QUIET)
    changed = replace(sight, position=4)
    step = lane.plan(changed, 101.1, read(2, 101.1, 4))
    assert step == Pause(101.1 + STABLE)
    assert lane.plan(changed, 101.3, read(3, 101.3, 4)) == Pause(101.1 + STABLE)
    assert lane.plan(changed, 101.41, read(4, 101.41, 4)) == Reduce(2)


def test_position_lane_when_the_core_holds_another_value_than_the_read_asks_again() -> None:
    lane = position_lane(close(2))
    answered(lane, Reduce(3), AnswerKind.REFUSED, 100.0, 6)
    late_event = Sight(5, read_at=0)
    assert isinstance(lane.plan(late_event, 101.0, read(1, 101.0, 2)), Pause)
    assert isinstance(lane.plan(late_event, 101.5, read(2, 101.5, 2)), Pause)
    agreed = Sight(5, read_at=102_000_000)
    assert isinstance(lane.plan(agreed, 102.0, read(3, 102.0, 5)), Pause)
    assert lane.plan(agreed, 102.0 + STABLE, read(4, 102.0 + STABLE, 5)) == Reduce(3)


def test_position_lane_when_a_late_event_agrees_with_an_older_read_but_not_with_the_last_asks_again() -> None:
    lane = position_lane(close(2))
    answered(lane, Reduce(3), AnswerKind.UNCERTAIN, 100.0)
    assert isinstance(lane.plan(Sight(5, read_at=100_500_000), 100.5, read(1, 100.5, 5)), Pause)
    assert isinstance(lane.plan(Sight(5, read_at=0), 101.5, read(2, 101.5, 2)), Pause)


@pytest.mark.parametrize(("age", "expected"), [(RECENT - 1, Read), (RECENT + 1, Reduce)])
def test_position_lane_when_a_slow_fill_was_seen_lately_reduces_on_a_read_alone(age: float, expected: type) -> None:
    lane = position_lane(close(2, 1))
    answered(lane, Reduce(3), AnswerKind.ACCEPTED, 100.0)
    lane.remove(1, 125.0, confirmed=True)
    lane.add(close(2, 2), 125.0 + age)
    assert isinstance(lane.plan(Sight(5), 125.0 + age, None), expected)


def test_position_lane_when_closing_orders_work_counts_them_as_filled() -> None:
    lane, sight = position_lane(close()), Sight(5, in_flight=2)
    assert isinstance(lane.plan(sight, 100.0, None), Read)
    order = market_order(Side.SELL, 2)
    assert lane.plan(sight, 100.1, read(1, 100.1, 5, order)) == Pause(100.1 + STABLE)
    assert lane.plan(sight, 100.5, read(2, 100.5, 5, order)) == Reduce(3)


def test_position_lane_when_a_fill_is_known_but_not_its_position_counts_the_order_still() -> None:
    lane = position_lane(close(2))
    answered(lane, Reduce(3), AnswerKind.ACCEPTED, 100.0)
    filled = Sight(5, in_flight=0)  # the core heard of the fill after the read of orders
    step = lane.plan(filled, 102.0, read(1, 102.0, 5, market_order(Side.SELL, 3)))
    assert isinstance(step, Pause)


def test_position_lane_when_a_closing_order_hangs_cancels_it_before_closing_again() -> None:
    lane, sight = position_lane(close()), Sight(5, in_flight=5)
    order = market_order(Side.SELL, 5, order_id=91)
    answered(lane, CloseAll(), AnswerKind.ACCEPTED, 100.0)
    now, number = 100.2, 1
    while isinstance(step := lane.plan(sight, now, read(number, now, 5, order)), Pause):
        assert now < 100.2 + 2 * STUCK
        number, now = number + 1, step.until
    assert step == Cancel(91)
    assert now >= 100.2 + STUCK
    answered(lane, step, AnswerKind.ACCEPTED, now)
    assert lane.plan(Sight(5), now + 1, read(number + 1, now + 1, 5)) == CloseAll()


def test_position_lane_when_a_closing_order_hangs_never_cancels_it_for_a_partial_close() -> None:
    lane, sight = position_lane(close(2)), Sight(5, in_flight=3)
    order = market_order(Side.SELL, 3)
    answered(lane, Reduce(3), AnswerKind.ACCEPTED, 100.0)
    for number in range(1, 60):
        assert isinstance(lane.plan(sight, 100.0 + number, read(number, 100.0 + number, 5, order)), Pause)


def test_position_lane_when_another_lane_cancels_the_hanging_order_leaves_it_alone() -> None:
    lane, sight = position_lane(close()), Sight(5, in_flight=5, in_hand=True)
    order = market_order(Side.SELL, 5)
    for number in range(1, 60):
        assert isinstance(lane.plan(sight, 100.0 + number, read(number, 100.0 + number, 5, order)), Pause)


def test_position_lane_when_the_core_counts_an_order_the_gateway_does_not_show_believes_the_gateway() -> None:
    lane, sight = position_lane(close()), Sight(5, in_flight=5)
    answered(lane, CloseAll(), AnswerKind.ACCEPTED, 100.0)
    steps = [lane.plan(sight, 100.0 + number, read(number, 100.0 + number, 5)) for number in range(1, 14)]
    assert isinstance(steps[0], Pause)
    assert CloseAll() in steps


@pytest.mark.parametrize(("age", "expected"), [(RECENT - 1, Read), (RECENT + 1, Reduce)])
def test_position_lane_when_a_mutation_ended_lately_reduces_on_a_read_alone(age: float, expected: type) -> None:
    lane = position_lane(close(0, 1))
    answered(lane, CloseAll(), AnswerKind.ACCEPTED, 100.0)
    lane.remove(1, 100.0, confirmed=True)
    lane.add(close(2, 2), 100.0 + age)
    assert isinstance(lane.plan(Sight(5), 100.0 + age, None), expected)


def test_position_lane_when_confirmed_closes_a_new_position_at_once() -> None:
    lane = position_lane(close(0, 1))
    answered(lane, CloseAll(), AnswerKind.ACCEPTED, 100.0)
    lane.remove(1, 100.01, confirmed=True)
    lane.add(close(0, 2), 103.0)
    assert lane.plan(Sight(1), 103.0, None) == CloseAll()


def test_position_lane_when_confirmed_before_the_answer_closes_a_new_position_at_once() -> None:
    lane = position_lane(close(0, 1))
    lane.sent(CloseAll(), at=1)
    lane.remove(1, 100.0, confirmed=True)
    lane.answered(Answer(AnswerKind.ACCEPTED), 100.01)
    lane.add(close(0, 2), 103.0)
    assert lane.plan(Sight(1), 103.0, None) == CloseAll()


@pytest.mark.parametrize(("kind", "code"), [(AnswerKind.UNCERTAIN, 0), (AnswerKind.REFUSED, 6)])
def test_position_lane_when_confirmed_but_unclear_what_was_sent_reads_before_a_new_close(
    kind: AnswerKind, code: int
) -> None:
    lane = position_lane(close(0, 1))
    answered(lane, CloseAll(), kind, 100.0, code)
    lane.remove(1, 100.01, confirmed=True)
    lane.add(close(0, 2), 103.0)
    assert isinstance(lane.plan(Sight(1), 103.0, None), Read)


def test_position_lane_when_superseded_unproven_reads_before_a_new_close() -> None:
    lane = position_lane(close(0, 1))
    answered(lane, CloseAll(), AnswerKind.ACCEPTED, 100.0)
    lane.remove(1, 100.01, confirmed=False)
    lane.add(close(0, 2), 103.0)
    assert isinstance(lane.plan(Sight(1), 103.0, None), Read)


def test_position_lane_when_the_enforcer_has_just_started_reduces_on_a_read_alone() -> None:
    lane = PositionLane(ACCOUNT, MNQ, started=100.0)
    lane.add(close(2), 105.0)
    assert isinstance(lane.plan(Sight(5), 105.0, None), Read)
    assert lane.plan(Sight(5), 105.1, read(1, 105.0, 5)) == Reduce(3)


def test_position_lane_when_the_position_turned_round_meanwhile_reduces_on_a_read_alone() -> None:
    lane = position_lane(close(2))
    answered(lane, lane.plan(Sight(5), 100.0, None), AnswerKind.NOT_SENT, 100.0)  # type: ignore[arg-type]
    assert isinstance(lane.plan(Sight(-5), 101.0, None), Read)


def test_position_lane_when_the_request_limit_has_no_room_waits_for_both_sends_and_reads() -> None:
    lane = position_lane(close())
    assert lane.plan(Sight(5, turn=103.0), 100.0, None) == Pause(103.0)
    answered(lane, CloseAll(), AnswerKind.UNCERTAIN, 104.0)
    assert lane.plan(Sight(5, turn=109.0), 106.0, None) == Pause(109.0)


@pytest.mark.parametrize(
    ("rule_id", "code", "longest"), [("RULE-003", 5, 5.0), ("RULE-003", 8, 30.0), ("RULE-010", 5, 30.0)]
)
def test_position_lane_when_refused_again_and_again_slows_down(rule_id: str, code: int, longest: float) -> None:
    lane, sight, now, waits = position_lane(close(rule_id=rule_id)), Sight(5), 100.0, []
    for number in range(1, 12):
        answered(lane, CloseAll(), AnswerKind.REFUSED, now, code)
        waits.append(round(lane.not_before - now, 3))
        now = lane.not_before
        assert lane.plan(sight, now, read(number, now, 5)) == CloseAll()
    assert waits[:5] == [0.2, 0.5, 1.0, 2.0, 4.0]
    assert max(waits) == longest


def test_position_lane_when_refused_for_minutes_slows_down_to_half_a_minute() -> None:
    lane, now, waits = position_lane(close()), 100.0, []
    while now < 400.0:
        answered(lane, CloseAll(), AnswerKind.REFUSED, now, 5)
        waits.append(round(lane.not_before - now, 3))
        now = lane.not_before
    assert waits.count(5.0) > 20
    assert waits[-1] == 30.0


def test_position_lane_when_a_stricter_obligation_comes_does_not_wait_for_the_backoff() -> None:
    lane = position_lane(close(2, 1))
    for _ in range(6):
        answered(lane, Reduce(3), AnswerKind.REFUSED, 100.0, 6)
    lane.add(close(0, 2), 100.5)
    assert isinstance(lane.plan(Sight(5), 100.5, None), Read)
    assert lane.plan(Sight(5), 100.6, read(1, 100.5, 5)) == CloseAll()


def test_position_lane_when_a_partial_close_was_lost_holds_a_full_close_until_it_cannot_come_any_more() -> None:
    lane = position_lane(close(2, 1))
    answered(lane, Reduce(3), AnswerKind.UNCERTAIN, 100.0)
    lane.add(close(0, 2), 100.1)
    assert lane.plan(Sight(5), 100.2, read(1, 100.1, 5)) == Pause(100.0 + QUIET)
    assert lane.plan(Sight(5), 101.1, read(2, 101.05, 5)) == CloseAll()


@given(
    position=st.integers(-20, 20),
    in_flight=st.integers(0, 20),
    shown=st.integers(0, 20),
    target=st.integers(0, 20),
    agreed=st.booleans(),
    reads=st.integers(0, 3),
)
def test_position_lane_whatever_it_sees_never_plans_more_than_may_go(
    position: int, in_flight: int, shown: int, target: int, agreed: bool, reads: int
) -> None:
    lane = position_lane(close(target))
    side = Side.SELL if position > 0 else Side.BUY
    orders = [market_order(side, shown)] if shown else []
    sight = Sight(position, in_flight)
    seen = position if agreed else -position
    step = lane.plan(sight, 100.0, None)
    for number in range(1, reads + 1):
        if isinstance(step, CloseAll | Reduce):
            break
        step = lane.plan(sight, 100.0 + number, read(number, 100.0 + number, seen, *orders))
    if isinstance(step, CloseAll):
        assert target == 0
        assert in_flight == 0
        assert position != 0
    if isinstance(step, Reduce):
        assert step.size >= 1
        assert abs(position) - in_flight - step.size >= target


def test_order_lane_when_cancelling_sends_at_once_and_repeats_on_a_read() -> None:
    lane = OrderLane(ACCOUNT, MNQ, 55)
    lane.add(order_action(ActionKind.CANCEL_ORDER), 100.0)
    assert lane.plan(Sight(), 100.0, None) == Cancel(55)
    answered(lane, Cancel(55), AnswerKind.ACCEPTED, 100.0)
    assert lane.plan(Sight(), 100.1, None) == Pause(100.15)
    assert lane.plan(Sight(), 100.3, None) == Read(since=100.0, newer_than=0)
    assert lane.plan(Sight(), 100.31, read(1, 100.3)) == Cancel(55)


def test_order_lane_when_a_newer_stop_price_comes_sends_only_that_and_once_a_second() -> None:
    lane = OrderLane(ACCOUNT, MNQ, 55)
    lane.add(order_action(ActionKind.MODIFY_ORDER, 1, 1000), 100.0)
    assert lane.plan(Sight(), 100.0, None) == Modify(55, 1000)
    answered(lane, Modify(55, 1000), AnswerKind.ACCEPTED, 100.0)
    lane.add(order_action(ActionKind.MODIFY_ORDER, 2, 1001), 100.1)
    lane.add(order_action(ActionKind.MODIFY_ORDER, 3, 1002), 100.2)
    assert lane.plan(Sight(modify_at=101.0), 100.3, None) == Pause(101.0)
    assert lane.plan(Sight(modify_at=101.0), 101.0, None) == Modify(55, 1002)


def test_order_lane_when_a_cancel_comes_forgets_about_moving_the_stop() -> None:
    lane = OrderLane(ACCOUNT, MNQ, 55)
    lane.add(order_action(ActionKind.MODIFY_ORDER, 1, 1000), 100.0)
    answered(lane, Modify(55, 1000), AnswerKind.UNCERTAIN, 100.0)
    lane.add(order_action(ActionKind.CANCEL_ORDER, 2), 100.05)
    assert lane.plan(Sight(), 100.05, None) == Cancel(55)


def test_order_lane_when_a_stop_cannot_be_moved_gives_it_up() -> None:
    lane, action = OrderLane(ACCOUNT, MNQ, 55), order_action(ActionKind.MODIFY_ORDER, 1, 1000)
    lane.add(action, 100.0)
    for number in range(MODIFY_TRIES):
        now = 100.0 + 20 * number
        assert lane.plan(Sight(), now, read(number + 1, now)) == Modify(55, 1000)
        answered(lane, Modify(55, 1000), AnswerKind.UNCERTAIN, now)
    assert lane.plan(Sight(), 200.0, read(99, 200.0)) == Drop(action)


def test_order_lane_when_it_cannot_be_cancelled_never_gives_up() -> None:
    lane = OrderLane(ACCOUNT, MNQ, 55)
    lane.add(order_action(ActionKind.CANCEL_ORDER), 100.0)
    for number in range(1, 200):
        now = 100.0 + 40 * number
        assert lane.plan(Sight(), now, read(number, now)) == Cancel(55)
        answered(lane, Cancel(55), AnswerKind.REFUSED, now, 3)
