"""What waits for delivery is bounded, and an alert that matters never gives way to one that does not."""

from __future__ import annotations

import pytest

from daemon.alert_queue import WEIGHTS, AlertQueue
from daemon.alerts import KINDS


def drained(queue: AlertQueue) -> list[tuple[str, str]]:
    queue.close()
    out = []
    while (one := queue.get(0.0)) is not None:
        out.append(one)
    assert queue.ended
    return out


def test_queue_when_there_is_room_keeps_the_order_and_takes_what_waits_once() -> None:
    queue = AlertQueue(10)
    for kind, text in (("warning", "a"), ("error", "b"), ("warning", "a"), ("lockout", "a"), ("error", "b")):
        queue.put(kind, text)
    assert drained(queue) == [("warning", "a"), ("error", "b"), ("lockout", "a")]
    assert queue.dropped == 0


@pytest.mark.parametrize("noise", ["warning", "unlock", "lockout", "enforcement"])
def test_queue_when_full_of_what_matters_less_drops_the_oldest_of_that(noise: str) -> None:
    queue = AlertQueue(5)
    queue.put("error", "the disk is full")
    for number in range(20):
        queue.put(noise, f"{number}")
    queue.put("error", "the gateway is gone")
    kept = drained(queue)
    assert kept[0] == ("error", "the disk is full") and kept[-1] == ("error", "the gateway is gone")
    assert kept[1:-1] == [(noise, f"{number}") for number in (17, 18, 19)]
    assert queue.dropped == 17


def test_queue_when_full_of_what_matters_more_drops_the_newcomer() -> None:
    queue = AlertQueue(3)
    for text in "abc":
        queue.put("error", text)
    queue.put("warning", "75 %")
    assert [text for _, text in drained(queue)] == ["a", "b", "c"]
    assert queue.dropped == 1


def test_every_kind_of_alert_has_a_weight() -> None:
    assert set(WEIGHTS) == set(KINDS)
