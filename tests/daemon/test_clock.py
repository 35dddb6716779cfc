"""Trusted time: never backwards, never ahead of the broker, never moved by the machine's own clock."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.clock import ManualClock, TrustedClock

SECOND = 1_000_000
HOUR = 3600 * SECOND
START = 1_790_000_000 * SECOND + 400_000


@dataclass
class Nature:
    """True time, the broker's clock that shows it, and the machine with its two clocks."""

    true: int = START
    mono: int = 5 * SECOND
    wall_offset: int = 0
    high_water: int | None = None
    clock: TrustedClock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = TrustedClock(lambda: self.mono, lambda: self.true + self.wall_offset, self.high_water)

    def wait(self, micros: int, *, counted: bool = True) -> None:
        """Time passes; asleep the monotonic clock may stand still."""
        self.true += micros
        if counted:
            self.mono += micros

    def answer(self, out: int = 20_000, back: int = 20_000) -> None:
        """A request and its answer, with the time on the way out and back."""
        sent = self.mono
        self.wait(out)
        date = self.true // SECOND * SECOND
        self.wait(back)
        self.clock.observe_date(date, sent)


def test_clock_when_never_in_contact_is_the_machines_and_suspect_and_not_persisted() -> None:
    nature = Nature(wall_offset=HOUR)
    assert nature.clock.now() == nature.true + HOUR
    assert nature.clock.clock_suspect
    assert not nature.clock.anchored
    assert nature.clock.high_water() is None


def test_clock_when_first_in_contact_takes_the_brokers_time_even_backwards() -> None:
    nature = Nature(wall_offset=24 * HOUR)
    nature.clock.now()
    nature.answer()
    assert nature.true - SECOND - 40_000 <= nature.clock.now() <= nature.true
    assert nature.clock.anchored
    assert nature.clock.clock_suspect
    assert nature.clock.offset_seconds == pytest.approx(24 * 3600, abs=1.1)


def test_clock_when_machines_clock_is_set_forward_stays_and_says_so() -> None:
    nature = Nature()
    nature.answer()
    before = nature.clock.now()
    nature.wall_offset = 24 * HOUR
    nature.wait(10 * SECOND)
    assert nature.clock.now() == before + 10 * SECOND
    assert nature.clock.clock_suspect
    nature.wall_offset = 119 * SECOND
    assert not nature.clock.clock_suspect


def test_clock_when_started_without_network_goes_on_from_the_persisted_value() -> None:
    nature = Nature(high_water=START - HOUR, wall_offset=48 * HOUR)
    nature.wait(60 * SECOND)
    assert nature.clock.now() == START - HOUR + 60 * SECOND
    assert nature.clock.high_water() == START - HOUR + 60 * SECOND
    nature.answer()
    assert nature.true - 2 * SECOND < nature.clock.now() <= nature.true


def test_clock_when_network_is_lost_goes_on() -> None:
    nature = Nature()
    nature.answer()
    nature.wait(HOUR)
    assert nature.true - 2 * SECOND < nature.clock.now() <= nature.true


@pytest.mark.parametrize("counted", [True, False])
def test_clock_when_the_machine_sleeps_is_right_after_the_next_answer(counted: bool) -> None:
    nature = Nature()
    nature.answer()
    nature.wait(8 * HOUR, counted=counted)
    assert nature.clock.now() <= nature.true
    nature.answer()
    assert nature.true - 2 * SECOND < nature.clock.now() <= nature.true


def test_clock_when_one_answer_lies_far_ahead_does_not_believe_it() -> None:
    nature = Nature()
    nature.answer()
    for _ in range(2):
        nature.clock.observe_date(nature.true + 24 * HOUR, nature.mono)
    nature.wait(10 * SECOND)
    nature.answer()
    assert nature.clock.now() <= nature.true


def test_clock_when_answers_agree_for_half_a_minute_believes_them_against_the_machine() -> None:
    nature = Nature(wall_offset=-8 * HOUR)
    nature.answer()
    nature.wait(8 * HOUR, counted=False)
    for _ in range(3):
        assert nature.clock.now() < nature.true - 7 * HOUR
        nature.wait(15 * SECOND)
        nature.answer()
    assert nature.true - 2 * SECOND < nature.clock.now() <= nature.true


def test_clock_when_told_to_believe_at_once_does() -> None:
    nature = Nature(wall_offset=-8 * HOUR)
    nature.clock = TrustedClock(lambda: nature.mono, lambda: 0, confirm_seconds=0)
    nature.answer()
    nature.wait(8 * HOUR, counted=False)
    nature.answer()
    assert nature.true - 2 * SECOND < nature.clock.now() <= nature.true


def test_clock_when_it_turns_out_to_be_ahead_slows_down_but_never_stands() -> None:
    nature = Nature()
    nature.answer()
    nature.mono += 3 * SECOND  # the monotonic clock has run fast
    ahead = nature.clock.now()
    assert ahead > nature.true
    nature.answer()
    values = []
    for _ in range(10):
        nature.wait(SECOND)
        values.append(nature.clock.now())
    assert values[0] > ahead
    assert values == sorted(set(values))
    assert nature.true - 2 * SECOND < values[-1] <= nature.true


def test_clock_when_an_answer_is_stale_by_an_hour_ignores_it() -> None:
    nature = Nature()
    nature.answer()
    nature.clock.observe_date(nature.true // SECOND * SECOND - HOUR, nature.mono)
    before = nature.clock.now()
    nature.wait(SECOND)
    assert nature.clock.now() == before + SECOND


def test_event_when_a_little_ahead_moves_the_clock_and_far_ahead_does_not() -> None:
    nature = Nature()
    nature.answer()
    date_based = nature.clock.now()
    nature.clock.observe_event(date_based + 2 * SECOND)
    assert nature.clock.now() == date_based + 2 * SECOND
    nature.clock.observe_event(date_based - HOUR)
    nature.clock.observe_event(date_based + HOUR)
    assert nature.clock.now() == date_based + 2 * SECOND


def test_event_when_the_gateway_sends_no_dates_is_what_there_is_to_go_by() -> None:
    nature = Nature()
    assert not nature.clock.anchored
    nature.clock.observe_event(nature.true)
    assert nature.clock.anchored
    assert nature.clock.now() == nature.true
    nature.clock.observe_event(nature.true - HOUR)
    assert nature.clock.now() == nature.true


def test_events_when_each_is_a_little_ahead_cannot_walk_the_clock_away() -> None:
    nature = Nature()
    nature.answer()
    start = nature.clock.now()
    for _ in range(100):
        nature.clock.observe_event(nature.clock.now() + 4 * SECOND)
    assert nature.clock.now() <= start + 5 * SECOND


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 2 * HOUR)),
        st.tuples(st.just("sleep"), st.integers(0, 12 * HOUR)),
        st.tuples(st.just("answer"), st.integers(0, 3 * SECOND)),
        st.tuples(st.just("event"), st.integers(0, 10 * SECOND)),
        st.tuples(st.just("wall"), st.integers(-48 * HOUR, 48 * HOUR)),
        st.tuples(st.just("restart"), st.integers(0, 24 * HOUR)),
    ),
    max_size=40,
)


@given(steps)
def test_clock_when_anything_happens_never_decreases_and_is_never_ahead(todo: list[tuple[str, int]]) -> None:
    """Once anchored, with a monotonic clock that keeps time or stands still, and a broker that tells the truth."""
    nature = Nature()
    nature.answer()
    last = nature.clock.now()
    for what, amount in todo:
        if what == "wait":
            nature.wait(amount)
        elif what == "sleep":
            nature.wait(amount, counted=False)
        elif what == "answer":
            nature.answer(out=amount // 2, back=amount - amount // 2)
        elif what == "event":
            nature.clock.observe_event(nature.true - amount)
        elif what == "wall":
            nature.wall_offset = amount
        else:
            kept = nature.clock.high_water()
            nature.wait(amount)
            nature.mono = 0
            nature.clock = TrustedClock(lambda: nature.mono, lambda: nature.true + nature.wall_offset, kept)
        now = nature.clock.now()
        assert last <= now <= nature.true
        last = now


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 100 * SECOND)), max_size=40))
def test_clock_when_dates_are_arbitrary_still_never_decreases(dates: list[tuple[int, int]]) -> None:
    nature = Nature(high_water=START)
    last = nature.clock.now()
    for lie, later in dates:
        nature.wait(later)
        nature.clock.observe_date(nature.true + lie, nature.mono)
        nature.clock.observe_event(nature.true + lie)
        now = nature.clock.now()
        assert now >= last
        last = now


def test_manual_clock_when_advanced_moves_and_never_back() -> None:
    clock = ManualClock(10)
    assert clock.advance(1.5) == 1_500_010
    assert clock.advance_to(5) == 1_500_010
    assert clock.now() == clock.high_water() == 1_500_010
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
