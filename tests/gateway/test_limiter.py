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
CEILINGS = dict(zip(Priority, (8, 6, 4, 3), strict=True))


def budget() -> RequestBudget:
    return RequestBudget(CEILINGS, 60 * SECOND)


def test_budget_when_polls_reach_their_ceiling_leaves_room_for_the_others() -> None:
    made = budget()
    for _ in range(3):
        assert made.delay(Priority.POLL, 0) == 0
        made.take(0)
    assert made.delay(Priority.POLL, 0) == 60 * SECOND
    for priority, room in ((Priority.RECONCILE, 1), (Priority.READ, 2), (Priority.MUTATION, 2)):
        for _ in range(room):
            assert made.delay(priority, 0) == 0
            made.take(0)
        assert made.delay(priority, 0) == 60 * SECOND


def test_budget_when_window_slides_frees_one_after_the_other() -> None:
    made = budget()
    for second in range(3):
        made.take(second * SECOND)
    assert made.delay(Priority.POLL, 10 * SECOND) == 50 * SECOND
    assert made.delay(Priority.POLL, 60 * SECOND) == 0
    made.take(60 * SECOND)
    assert made.delay(Priority.POLL, 60 * SECOND) == 1 * SECOND


def test_budget_when_429_comes_pauses_everything_as_told_or_ever_longer() -> None:
    made = budget()
    assert made.refused(0, 7.5) == 7.5
    assert made.delay(Priority.MUTATION, 0) == 7_500_000
    assert made.refused(0, 0) == 0.25
    made.answered()
    now = 100 * SECOND
    assert [made.refused(now, None) for _ in range(7)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert made.delay(Priority.MUTATION, now) == 30 * SECOND
    made.answered()
    assert made.refused(now, None) == 2.0


@pytest.mark.parametrize(("told", "pause"), [(10_000.0, 120.0), (float("inf"), 2.0), (float("nan"), 2.0), (-1.0, 2.0)])
def test_budget_when_retry_after_is_absurd_is_bounded(told: float, pause: float) -> None:
    assert budget().refused(0, told) == pause


def test_budget_when_ceilings_rise_with_lower_priority_is_refused() -> None:
    with pytest.raises(ValueError, match="ceilings"):
        RequestBudget(dict(zip(Priority, (1, 2, 3, 4), strict=True)))


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 20 * SECOND)), max_size=80))
def test_budget_when_asked_in_any_way_never_exceeds_a_ceiling(asks: list[tuple[Priority, int]]) -> None:
    made, now = budget(), 0
    sent: list[int] = []

    def in_window(at: int) -> int:
        return sum(1 for other in sent if other > at - 60 * SECOND)

    for priority, later in asks:
        now += later
        wait = made.delay(priority, now)
        if wait:
            # Exact: nothing less would do, and after it there is room.
            assert in_window(now + wait - 1) >= CEILINGS[priority]
            now += wait
            assert made.delay(priority, now) == 0
        assert in_window(now) < CEILINGS[priority]
        made.take(now)
        sent.append(now)


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
        ("read", Priority.READ),
        ("close 1", Priority.MUTATION),
        ("close 2", Priority.MUTATION),
    ]:
        tasks.append(asyncio.create_task(ask(name, priority)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == ["close 1", "close 2", "read", "poll 1", "poll 2"]


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
    await limiter.acquire(Priority.MUTATION, 0)
    with pytest.raises(NoTurnError) as caught:
        await limiter.acquire(Priority.MUTATION, 5)
    assert 59 < caught.value.retry_after <= 60


async def test_limiter_when_a_waiter_gives_up_lets_the_next_go() -> None:
    limiter = PriorityLimiter(RequestBudget(dict.fromkeys(Priority, 1), SECOND // 10), Moved())
    await limiter.acquire(Priority.MUTATION, 0)
    gone = asyncio.create_task(limiter.acquire(Priority.MUTATION, 5))
    stays = asyncio.create_task(limiter.acquire(Priority.POLL, 5))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(stays, 1)
    with pytest.raises(asyncio.CancelledError):
        await gone


@pytest.mark.parametrize("accounts", [1, 5, 10, 20, 50])
def test_polls_when_a_login_has_many_accounts_leave_most_of_the_budget(accounts: int) -> None:
    timings = Timings()
    every = poll_interval(accounts, timings.poll, timings.poll_requests_per_minute)
    polls = accounts * 2 * 60 / every + 60 / timings.poll + accounts * 60 / timings.trades_poll
    assert polls <= timings.requests_per_minute[Priority.POLL]
    assert timings.requests_per_minute[Priority.MUTATION] - polls >= 80
