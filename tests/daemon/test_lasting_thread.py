"""A thread that is needed goes on after an error, and the error is told in plain words."""

from __future__ import annotations

import threading

import pytest

from daemon.lasting_thread import LastingThread
from daemon.thread_watch import REPEAT_SECONDS, ThreadWatch


@pytest.mark.parametrize("error", [RuntimeError("no"), SystemExit(1), MemoryError()])
def test_work_that_raises_is_begun_anew(error: BaseException) -> None:
    calls: list[int] = []
    pauses: list[float] = []

    def work() -> None:
        calls.append(threading.get_ident())
        if len(calls) <= 8:
            raise error

    thread = LastingThread("test", work, sleep=pauses.append)
    thread.start()
    assert thread.join(5)
    assert len(calls) == 9 and len(set(calls)) == 1
    assert thread.failures == 8 and thread.error is error
    assert pauses == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_join_when_the_work_has_not_returned_says_so() -> None:
    end = threading.Event()

    def work() -> None:
        end.wait(5)

    thread = LastingThread("test", work)
    thread.start()
    assert not thread.join(0.01)
    end.set()
    assert thread.join(5) and thread.failures == 0


class Failing:
    def __init__(self) -> None:
        self.failures = 0
        self.error: BaseException | None = None


def test_failures_are_told_once_in_a_while_with_their_number() -> None:
    alerts: list[str] = []
    now = 0.0
    thread = Failing()
    watch = ThreadWatch(alerts.append, lambda: now)
    watch.add("the database", thread, "lockouts hold")
    watch.look()
    assert alerts == []
    thread.failures, thread.error = 1, KeyError("x")
    watch.look()
    watch.look()
    assert len(alerts) == 1
    assert alerts[0].startswith("Writing the database failed because of an error in the program (KeyError)")
    assert "lockouts hold" in alerts[0]
    thread.failures = 4
    watch.look()
    assert len(alerts) == 1, "not every few seconds"
    now = REPEAT_SECONDS
    watch.look()
    assert len(alerts) == 2 and "3 times" in alerts[1]
    now = 3 * REPEAT_SECONDS
    watch.look()
    assert len(alerts) == 2
