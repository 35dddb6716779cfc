"""Delays between repeats."""

from __future__ import annotations

import pytest

from daemon.backoff import CAP, LONG_CAP, MAX_RETRY_AFTER, Backoff, Throttle


def test_backoff_when_failing_again_and_again_grows_to_the_cap() -> None:
    backoff = Backoff()
    assert [backoff.next() for _ in range(8)] == [0.2, 0.5, 1.0, 2.0, 4.0, CAP, CAP, CAP]


def test_backoff_when_the_cap_is_long_doubles_up_to_it() -> None:
    backoff = Backoff()
    assert [backoff.next(LONG_CAP) for _ in range(9)] == [0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONG_CAP, LONG_CAP]


def test_backoff_when_reset_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(3):
        backoff.next()
    backoff.reset()
    assert backoff.next() == pytest.approx(0.2)


def test_backoff_when_failing_for_years_stays_finite() -> None:
    backoff = Backoff()
    backoff.failures = 10**7
    assert backoff.next() == CAP


def test_throttle_when_told_how_long_waits_that_long() -> None:
    throttle = Throttle()
    throttle.refused(100.0, 7.0)
    assert throttle.until == pytest.approx(107.0)


def test_throttle_when_told_absurdly_long_waits_one_window_of_the_gateway() -> None:
    throttle = Throttle()
    throttle.refused(100.0, 86_400.0)
    assert throttle.until == pytest.approx(100.0 + MAX_RETRY_AFTER)


def test_throttle_when_refused_by_several_requests_at_once_counts_them_as_one() -> None:
    throttle = Throttle()
    for _ in range(20):
        throttle.refused(100.0, 1.0)
    assert throttle.until == pytest.approx(101.0)


def test_throttle_when_refused_in_a_row_waits_longer_each_time() -> None:
    throttle, now, waits = Throttle(), 0.0, []
    for _ in range(5):
        throttle.refused(now, 0.1)
        waits.append(throttle.until - now)
        now = throttle.until
    assert waits == pytest.approx([0.2, 0.5, 1.0, 2.0, 4.0])
    throttle.passed(now)
    throttle.refused(now, 0.1)
    assert throttle.until - now == pytest.approx(0.2)
