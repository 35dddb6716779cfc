"""Who gives way: the attacks of docs/decisions/0031, played through with numbers instead of sockets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.ipc_admission import Admission, PlaceLimits, Rank

LATER = 1000.0


def full_of(kind: Rank, count: int = 32, now: float = 0.0) -> Admission:
    """Connections 0 … count - 1 of one kind, in that order, the first half a minute before the others."""
    admission = Admission()
    for number in range(count):
        assert admission.enter(number, 0.0) is None
        if kind is Rank.ADMIN:
            admission.admin(number)
        elif kind is not Rank.LOBBY:
            assert admission.request(number, now - 100.0 + number).granted
            admission.subscription(number, kind is Rank.SUBSCRIBER)
    return admission


def test_newcomer_when_there_is_room_takes_nobodys_place() -> None:
    admission = full_of(Rank.GUEST, 31)
    assert admission.enter(100, LATER) is None
    assert len(admission) == 32


def test_newcomer_when_all_are_silent_takes_the_place_of_the_oldest() -> None:
    admission = full_of(Rank.LOBBY)
    assert [admission.enter(number, LATER) for number in (100, 101)] == [0, 1]
    assert len(admission) == 32


def test_newcomer_when_all_are_guests_takes_the_place_of_the_longest_silent() -> None:
    admission = full_of(Rank.GUEST)
    assert admission.request(0, 0.0).granted
    assert [admission.enter(number, LATER) for number in (100, 101)] == [1, 2]


def test_newcomer_when_all_subscribe_takes_the_place_of_a_late_one() -> None:
    admission = full_of(Rank.SUBSCRIBER)
    assert admission.enter(100, LATER) == 16


def test_guests_when_there_are_any_give_way_before_subscribers() -> None:
    admission = full_of(Rank.SUBSCRIBER, 31)
    admission.enter(31, LATER)
    assert admission.request(31, 0.0).granted
    assert admission.enter(100, LATER) == 31


def test_crowd_when_it_connects_and_says_nothing_costs_a_few_seats_and_then_only_itself() -> None:
    admission = full_of(Rank.SUBSCRIBER)
    left = [admission.enter(number, float(number)) for number in range(100, 1100)]
    seats = [number for number in left if number is not None and number < 100]
    assert len(seats) == 6
    assert min(seats) >= 13  # the older half of those that remain was never touched
    assert admission.rank(1099) is Rank.LOBBY
    assert len(admission) == 32


def test_crowd_when_it_reconnects_and_subscribes_at_once_never_reaches_the_tray_that_was_there() -> None:
    admission = Admission()
    admission.enter(0, LATER)
    assert admission.request(0, 0.0).granted
    admission.subscription(0, True)
    now = 0.0
    for number in range(1, 5000):
        now += 0.001
        left = admission.enter(number, now)
        assert left != 0
        if left != number and admission.request(number, now).granted:
            admission.subscription(number, True)
    assert admission.rank(0) is Rank.SUBSCRIBER


def test_crowd_when_it_reconnects_quickly_gets_seats_slowly() -> None:
    admission = full_of(Rank.SUBSCRIBER)
    granted = 0
    for number in range(100, 2100):
        now = (number - 100) / 1000.0
        granted += admission.enter(number, now) != number and admission.request(number, now).granted
    limits = PlaceLimits()
    assert granted <= limits.seat_burst + 2.0 * limits.seats_per_second


def test_tray_when_it_comes_last_keeps_its_seat_through_a_burst_of_newcomers() -> None:
    admission = full_of(Rank.SUBSCRIBER)
    admission.enter(100, 0.0)
    assert admission.request(100, 0.0).granted
    admission.subscription(100, True)
    for number in range(200, 300):
        now = (number - 200) / 1000.0
        left = admission.enter(number, now)
        assert left != 100
        if left != number and admission.request(number, now).granted:
            admission.subscription(number, True)


def test_tray_when_guests_reconnect_as_fast_as_they_can_gets_a_seat_at_once() -> None:
    admission = full_of(Rank.GUEST)
    for number in range(100, 400):
        if admission.enter(number, number / 1000.0) != number:
            admission.request(number, number / 1000.0)
    assert admission.enter(1000, 0.45) != 1000
    seat = admission.request(1000, 0.45)
    assert seat.granted
    assert seat.leaving is not None
    admission.subscription(1000, True)
    for number in range(2000, 3000):
        assert admission.enter(number, number / 1000.0) != 1000
        assert number not in admission or admission.request(number, number / 1000.0).leaving != 1000


def test_admin_when_everything_is_taken_and_newcomers_flood_in_has_time_for_the_handshake() -> None:
    admission = full_of(Rank.SUBSCRIBER)
    assert admission.enter(100, 0.0) is not None
    for number in range(200, 3000):
        assert admission.enter(number, (number - 200) / 200_000.0) != 100
    assert admission.admin(100) is None
    assert all(admission.enter(number, float(number)) != 100 for number in range(3000, 4000))


def test_newcomer_when_the_lobby_is_full_of_others_as_new_is_refused() -> None:
    admission = full_of(Rank.ADMIN, 26)
    for number in range(100, 106):
        assert admission.enter(number, 0.0) is None
    assert admission.enter(106, 0.019) == 106
    assert admission.enter(107, 0.02) == 100


def test_admins_when_there_are_too_many_give_way_to_another_admin_alone() -> None:
    admission = full_of(Rank.ADMIN, 26)
    for number in range(100, 106):
        assert admission.enter(number, 0.0) is None
    assert admission.enter(106, LATER) == 100
    admission.admin(0)
    assert admission.admin(106) == 1
    assert len(admission) == 31


def test_admin_when_the_session_ends_is_as_anybody() -> None:
    admission = full_of(Rank.ADMIN, 1)
    admission.admin_ended(0, subscribed=False)
    assert admission.rank(0) is Rank.GUEST
    admission.admin(0)
    admission.admin_ended(0, subscribed=True)
    assert admission.rank(0) is Rank.SUBSCRIBER


@pytest.mark.parametrize("limits", [{"lobby": 0}, {"lobby": 32}, {"young": 0}])
def test_limits_when_they_make_no_sense_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="lobby"):
        PlaceLimits(**limits)


@given(st.lists(st.tuples(st.sampled_from("erslax"), st.integers(0, 60)), max_size=300))
def test_places_when_anything_happens_in_any_order_are_never_more_than_there_are(moves: list[tuple[str, int]]) -> None:
    admission = Admission(PlaceLimits(places=8, lobby=2, young=3))
    inside: set[int] = set()
    fresh = 1000
    for step, (move, number) in enumerate(moves):
        if move == "e":
            fresh += 1
            left = admission.enter(fresh, LATER)
            if left is not None:
                assert left == fresh or left in inside
            inside.add(fresh)
            inside.discard(left if left is not None else -1)
        elif inside:
            chosen = sorted(inside)[number % len(inside)]
            if move == "r":
                seat = admission.request(chosen, step / 10.0)
                assert seat.leaving is None or (seat.granted and seat.leaving in inside and seat.leaving != chosen)
                inside.discard(seat.leaving if seat.leaving is not None else -1)
            elif move == "s":
                admission.subscription(chosen, number % 2 == 0)
            elif move == "a":
                left = admission.admin(chosen)
                assert left is None or (left in inside and left != chosen)
                inside.discard(left if left is not None else -1)
            elif move == "x" and admission.rank(chosen) is Rank.ADMIN:
                admission.admin_ended(chosen, subscribed=False)
            elif move == "l":
                admission.leave(chosen)
                inside.discard(chosen)
        assert len(admission) == len(inside) <= 8
