"""When polls are due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.gateway.polling import next_round, poll_interval

INTERVALS = st.floats(0.05, 60)


@given(st.floats(0, 1e7), INTERVALS)
def test_round_when_next_is_half_an_interval_to_one_and_a_half_away(now: float, interval: float) -> None:
    away = next_round(now, interval) - now
    assert interval * 0.499 <= away <= interval * 1.501


@given(st.floats(0, 1e6), st.lists(st.floats(0, 0.4), min_size=2, max_size=20), INTERVALS)
def test_rounds_of_all_fall_together_and_keep_their_distance(now: float, late: list[float], interval: float) -> None:
    first = next_round(now, interval)
    # Each account is polled somewhat later than it is due, because those before it are.
    assert {round(next_round(first + share * interval, interval) - first, 3) for share in late} == {round(interval, 3)}


def test_interval_when_an_account_list_is_long_keeps_within_the_budget() -> None:
    assert poll_interval(5, 15, 90) == 15
    assert poll_interval(20, 15, 90) * 90 / 60 >= 20 * 2
