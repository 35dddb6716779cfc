"""The daemon's own load is measured at most once a second."""

from __future__ import annotations

import time

import pytest

from daemon.process_usage import ProcessUsage


def test_usage_is_measured_once_a_second_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    usage = ProcessUsage()
    first = usage.measure()
    assert 5 < first.memory_mb < 10_000 and first.cpu_percent >= 0
    held = bytearray(64 * 1024 * 1024)
    held[::4096] = b"x" * len(held[::4096])  # touched, so that it is really there
    assert usage.measure() == first
    now += 1.0
    assert usage.measure().memory_mb > first.memory_mb + 50
