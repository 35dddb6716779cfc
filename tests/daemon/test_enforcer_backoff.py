"""Delays between repeats."""

from __future__ import annotations

import pytest

from daemon.backoff import CAP, LONG_CAP, Backoff


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
