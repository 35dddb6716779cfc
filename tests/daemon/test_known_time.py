"""Until the gateway has told the time no time passes for the rules."""

from __future__ import annotations

from typing import Any

import pytest

from daemon.core.events import Tick
from daemon.core.units import SECOND_US
from daemon.known_time import CLOCK_KEY, KnownTime

WALL = 1_800_000_000 * SECOND_US
BROKER = WALL - 40 * 86_400 * SECOND_US


class Kept(dict[str, Any]):
    def put_state(self, key: str, value: object) -> None:
        self[key] = value


def made(kept: object = None) -> tuple[KnownTime, list[int]]:
    known: list[int] = []
    time = KnownTime(kept, wall=lambda: WALL, on_known=lambda: known.append(time.now()))
    return time, known


def test_event_before_the_gateway_has_told_the_time_carries_none() -> None:
    time, known = made()
    event = Tick(WALL)
    time.learn_from(event)
    assert (event.at, time.now(), time.known, known) == (0, 0, False, [])


def test_first_event_after_the_gateway_has_told_the_time_begins_it_once() -> None:
    time, known = made()
    time.clock.observe_date(BROKER)
    for _ in range(2):
        event = Tick(BROKER)
        time.learn_from(event)
        assert event.at == BROKER
    assert time.known and len(known) == 1
    assert BROKER <= known[0] < BROKER + 60 * SECOND_US


def test_kept_time_is_gone_by_at_once_and_nobody_is_told() -> None:
    time, known = made(BROKER)
    assert time.known and known == []
    assert BROKER <= time.now() < BROKER + 60 * SECOND_US


@pytest.mark.parametrize("damaged", ["yesterday", None, {"at": 1}])
def test_kept_value_that_is_no_time_counts_as_none(damaged: object) -> None:
    assert not made(damaged)[0].known


@pytest.mark.parametrize("told", [False, True])
def test_gateway_that_never_tells_the_time_is_not_waited_for(told: bool) -> None:
    time, known = made()
    if told:
        time.clock.observe_date(BROKER)
    assert time.wait_no_longer() is told
    assert time.known and len(known) == 1


def test_the_machines_clock_is_never_kept_as_trusted() -> None:
    time, _ = made()
    kept = Kept()
    time.wait_no_longer()
    time.keep(kept)
    assert kept == {}
    time.clock.observe_date(BROKER)
    time.keep(kept)
    assert BROKER <= kept[CLOCK_KEY] < BROKER + 60 * SECOND_US


def test_start_moves_along_when_trusted_time_turns_out_to_be_another() -> None:
    time, _ = made()
    assert abs(time.started_at - WALL) < 60 * SECOND_US
    time.clock.observe_date(BROKER)
    assert abs(time.started_at - BROKER) < 60 * SECOND_US
