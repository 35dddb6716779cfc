"""Turns for requests: never more than allowed, mutations first, and a pause after a 429."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.gateway.limiter import NoTurnError, Priority, PriorityLimiter, RequestBudget
from daemon.gateway.polling import poll_interval
from daemon.gateway.timings import Timings

SECOND = 1_000_000
CEILINGS = dict(zip(Priority, (8, 6, 5, 4, 3), strict=True))


def budget() -> RequestBudget:
    return RequestBudget(CEILINGS, 60 * SECOND)


def test_budget_when_lower_priorities_reach_their_ceilings_leaves_room_for_those_above() -> None:
    made = budget()
    for priority, room in (
        (Priority.POLL, 3),
        (Priority.RECONCILE, 1),
        (Priority.CANCEL, 1),
        (Priority.READ, 1),
        (Priority.CLOSE, 2),
    ):
        for _ in range(room):
            assert made.delay(priority, 0) == 0
            made.take(0, priority)
        assert made.delay(priority, 0) == 60 * SECOND


def test_budget_when_window_slides_frees_one_after_the_other() -> None:
    made = budget()
    for second in range(3):
        made.take(second * SECOND, Priority.POLL)
    assert made.delay(Priority.POLL, 10 * SECOND) == 50 * SECOND
    assert made.delay(Priority.POLL, 10 * SECOND, ahead=2) == 52 * SECOND
    assert made.delay(Priority.POLL, 60 * SECOND) == 0
    made.take(60 * SECOND, Priority.POLL)
    assert made.delay(Priority.POLL, 60 * SECOND) == 1 * SECOND


def test_budget_when_a_priority_has_used_up_its_own_share_leaves_room_below_it() -> None:
    made = RequestBudget(CEILINGS, 60 * SECOND, most={Priority.READ: 2})
    for _ in range(2):
        made.take(0, Priority.READ)
    assert made.delay(Priority.READ, 0) == 60 * SECOND
    assert made.delay(Priority.CANCEL, 0) == made.delay(Priority.CLOSE, 0) == 0


def test_budget_when_one_account_has_used_up_its_share_keeps_room_for_the_others() -> None:
    made = RequestBudget(CEILINGS, 60 * SECOND, share=3, share_ceiling=5)
    for second in range(5):
        assert made.delay(Priority.CLOSE, second * SECOND, account=101) == 0
        made.take(second * SECOND, Priority.CLOSE, 101)
    now = 5 * SECOND
    # 60 s after its first the login is below the lower ceiling; its own share would be free later.
    assert made.delay(Priority.CLOSE, now, account=101) == 55 * SECOND
    assert made.delay(Priority.CLOSE, now, account=102) == made.delay(Priority.CLOSE, now) == 0
    for _ in range(2):
        made.take(now, Priority.CLOSE, 102)
    assert made.delay(Priority.CLOSE, now, account=101) == 57 * SECOND
    assert made.delay(Priority.CLOSE, now, account=102) == 0


def test_budget_when_an_account_has_not_used_its_share_may_use_what_the_login_has() -> None:
    made = RequestBudget(CEILINGS, 60 * SECOND, share=3, share_ceiling=5)
    for _ in range(5):
        made.take(0, Priority.POLL)
    for _ in range(3):
        assert made.delay(Priority.CLOSE, 0, account=101) == 0
        made.take(0, Priority.CLOSE, 101)


def test_budget_when_429_comes_pauses_what_is_not_urgent_as_told_or_ever_longer() -> None:
    made = budget()
    assert made.refused(0, 7.5, Priority.POLL) == 7.5
    assert made.delay(Priority.CANCEL, 0) == 7_500_000
    assert made.refused(0, 0, Priority.POLL) == 0.25
    made.answered(Priority.POLL)
    now = 100 * SECOND
    pauses = [made.refused(now, None, Priority.POLL) for _ in range(7)]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert made.delay(Priority.CANCEL, now) == 30 * SECOND
    made.answered(Priority.POLL)
    assert made.refused(now, None, Priority.POLL) == 2.0


def test_budget_when_a_poll_is_told_429_lets_one_close_try_at_once_and_one_every_few_seconds() -> None:
    made = budget()
    assert made.refused(0, 100, Priority.POLL) == 60
    assert made.delay(Priority.CLOSE, 0) == 0
    made.take(0, Priority.CLOSE)
    assert made.delay(Priority.CLOSE, 0) == made.delay(Priority.READ, 0) == 5 * SECOND
    made.refused(SECOND, 100, Priority.CLOSE)
    assert made.delay(Priority.CLOSE, SECOND) == 5 * SECOND
    assert made.delay(Priority.CLOSE, 6 * SECOND) == 0


def test_budget_when_a_close_passes_during_a_pause_lets_the_other_closes_go_and_nothing_else() -> None:
    made = budget()
    made.refused(0, 60, Priority.CANCEL)
    made.take(0, Priority.CLOSE)
    made.answered(Priority.CLOSE)
    assert made.delay(Priority.CLOSE, 0) == made.delay(Priority.READ, 0) == 0
    assert made.delay(Priority.CANCEL, 0) == 60 * SECOND


@pytest.mark.parametrize(("told", "pause"), [(10_000.0, 60.0), (float("inf"), 2.0), (float("nan"), 2.0), (-1.0, 2.0)])
def test_budget_when_retry_after_is_absurd_is_bounded(told: float, pause: float) -> None:
    assert budget().refused(0, told, Priority.POLL) == pause


def test_budget_when_ceilings_rise_with_lower_priority_is_refused() -> None:
    with pytest.raises(ValueError, match="ceilings"):
        RequestBudget(dict(zip(Priority, (1, 2, 3, 4, 5), strict=True)))
    with pytest.raises(ValueError, match="at least 1"):
        RequestBudget(CEILINGS, most={Priority.READ: 0})


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 20 * SECOND)), max_size=80))
def test_budget_when_asked_in_any_way_never_exceeds_a_ceiling(asks: list[tuple[Priority, int]]) -> None:
    made, now = RequestBudget(CEILINGS, 60 * SECOND, most={Priority.READ: 3}), 0
    sent: list[tuple[Priority, int]] = []

    def room(priority: Priority, at: int) -> bool:
        window = [other for other, when in sent if when > at - 60 * SECOND]
        return len(window) < CEILINGS[priority] and (priority is not Priority.READ or window.count(priority) < 3)

    for priority, later in asks:
        now += later
        wait = made.delay(priority, now)
        if wait:
            # Exact: nothing less would do, and after it there is room.
            assert not room(priority, now + wait - 1)
            now += wait
            assert made.delay(priority, now) == 0
        assert room(priority, now)
        made.take(now, priority)
        sent.append((priority, now))


class Moved:
    """A monotonic clock under the test's hand that follows the loop's."""

    def __init__(self) -> None:
        self.started = asyncio.get_running_loop().time()

    def __call__(self) -> int:
        return round((asyncio.get_running_loop().time() - self.started) * SECOND)


async def test_limiter_when_full_serves_by_priority_then_by_order() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 1), SECOND // 20), Moved())
    await limiter.acquire(Priority.POLL, 1)
    served: list[str] = []

    async def ask(name: str, priority: Priority) -> None:
        await limiter.acquire(priority, 5)
        served.append(name)

    tasks = []
    for name, priority in [
        ("poll 1", Priority.POLL),
        ("poll 2", Priority.POLL),
        ("cancel", Priority.CANCEL),
        ("read", Priority.READ),
        ("close 1", Priority.CLOSE),
        ("close 2", Priority.CLOSE),
    ]:
        tasks.append(asyncio.create_task(ask(name, priority)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == ["close 1", "close 2", "read", "cancel", "poll 1", "poll 2"]


async def test_limiter_when_full_keeps_the_rate() -> None:
    times: list[int] = []
    clock = Moved()
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 3), SECOND // 10), clock)
    for _ in range(10):
        await limiter.acquire(Priority.READ, 5)
        times.append(clock())
    assert all(later - earlier >= SECOND // 10 for earlier, later in zip(times, times[3:], strict=False))
    assert all(a <= b for a, b in pairwise(times))


async def test_limiter_when_the_wait_is_longer_than_allowed_says_so_at_once() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 1), 60 * SECOND), Moved())
    await limiter.acquire(Priority.CLOSE, 0)
    with pytest.raises(NoTurnError) as caught:
        await limiter.acquire(Priority.CLOSE, 5)
    assert 59 < caught.value.retry_after <= 60


async def test_limiter_when_a_waiter_gives_up_lets_the_next_go() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 1), SECOND // 10), Moved())
    await limiter.acquire(Priority.CLOSE, 0)
    gone = asyncio.create_task(limiter.acquire(Priority.CLOSE, 5))
    stays = asyncio.create_task(limiter.acquire(Priority.POLL, 5))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 1)
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_limiter_when_reads_have_used_up_their_share_serves_what_waits_below_them() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 4), SECOND // 4, most={Priority.READ: 1}), Moved())
    await limiter.acquire(Priority.READ, 0)
    read = asyncio.create_task(limiter.acquire(Priority.READ, 5))
    await asyncio.sleep(0)
    await limiter.acquire(Priority.CANCEL, 0)
    await limiter.acquire(Priority.POLL, 0)
    assert not read.done()
    await asyncio.wait_for(read, 2)


async def test_limiter_when_an_account_waits_for_its_share_serves_another_behind_it() -> None:
    budget = RequestBudget(dict.fromkeys(Priority, 3), SECOND // 4, share=1, share_ceiling=1)
    limiter = PriorityLimiter(budget, Moved())
    await limiter.acquire(Priority.CLOSE, 0, 101)
    wild = asyncio.create_task(limiter.acquire(Priority.CLOSE, 5, 101))
    await asyncio.sleep(0)
    await limiter.acquire(Priority.CLOSE, 0, 102)
    assert limiter.turn_in(Priority.CLOSE, 101) > 0
    assert not wild.done()
    await asyncio.wait_for(wild, 2)


async def test_limiter_when_one_waits_says_that_the_next_waits_longer() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 1), SECOND // 5), Moved())
    await limiter.acquire(Priority.CLOSE, 0)
    waits = asyncio.create_task(limiter.acquire(Priority.CLOSE, 5))
    await asyncio.sleep(0)
    assert 0.1 < limiter.turn_in(Priority.CLOSE) <= 0.2
    await asyncio.wait_for(waits, 2)


async def test_limiter_when_a_close_passes_during_a_pause_serves_the_closes_that_wait() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 10), SECOND), Moved())
    limiter.refused(60, Priority.POLL)
    await limiter.acquire(Priority.CLOSE, 0)
    waits = asyncio.create_task(limiter.acquire(Priority.CLOSE, 10))
    await asyncio.sleep(0)
    assert not waits.done()
    limiter.answered(Priority.CLOSE)
    await asyncio.wait_for(waits, 1)
    assert limiter.turn_in(Priority.CANCEL) > 50


@pytest.mark.parametrize("accounts", [1, 5, 10, 20, 50])
def test_polls_when_a_login_has_many_accounts_leave_most_of_the_budget(accounts: int) -> None:
    timings = Timings()
    every = poll_interval(accounts, timings.poll, timings.poll_requests_per_minute)
    polls = accounts * 2 * 60 / every + 60 / timings.poll + accounts * 60 / timings.trades_poll
    assert polls <= timings.requests_per_minute[Priority.POLL]
    assert timings.requests_per_minute[Priority.CLOSE] - polls >= 80
    assert timings.requests_per_minute[Priority.CANCEL] <= timings.requests_per_minute[Priority.CLOSE] - 40
