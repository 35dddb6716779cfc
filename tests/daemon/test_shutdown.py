"""Whatever was started is ended: in reverse, in time, and whatever becomes of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from daemon.shutdown import Shutdown


def _step(done: list[str], name: str) -> Callable[[], Coroutine[Any, Any, None]]:
    async def end() -> None:
        done.append(name)

    return end


async def test_steps_are_ended_in_reverse_and_guards_last() -> None:
    shutdown, done = Shutdown(), list[str]()
    shutdown.add("first", 1.0, _step(done, "first"))
    shutdown.add("second", 1.0, _step(done, "second"))
    shutdown.add_last("guard", 1.0, _step(done, "guard"))
    await shutdown.run()
    assert done == ["second", "first", "guard"]
    assert shutdown.steps == []


async def test_step_that_fails_or_hangs_does_not_keep_the_others_from_their_turn() -> None:
    shutdown, done = Shutdown(), list[str]()

    async def fails() -> None:
        raise OSError("no")

    async def hangs() -> None:
        await asyncio.Event().wait()

    shutdown.add("the database", 1.0, _step(done, "the database"))
    shutdown.add("fails", 1.0, fails)
    shutdown.add("hangs", 0.01, hangs)
    await asyncio.wait_for(shutdown.run(), 5)
    assert done == ["the database"]


async def test_step_that_hangs_leaves_those_behind_it_their_time() -> None:
    shutdown, waited = Shutdown(), list[float]()
    loop = asyncio.get_running_loop()

    async def hangs() -> None:
        began = loop.time()
        try:
            await asyncio.Event().wait()
        finally:
            waited.append(loop.time() - began)

    shutdown.add("the database", 0.6, _step([], ""))
    shutdown.add("hangs", 100.0, hangs)
    await asyncio.wait_for(shutdown.run(seconds=1.0), 5)
    assert waited[0] < 0.9, "of one second the database's part is kept back"


async def test_asked_twice_keeps_the_first_reason_and_wakes_who_waits() -> None:
    shutdown = Shutdown()
    waiting = asyncio.create_task(shutdown.wait())
    asker = threading.Thread(target=shutdown.ask_from_thread, args=("from a thread",))
    asker.start()
    await asyncio.wait_for(waiting, 5)
    asker.join(5)
    shutdown.ask("later")
    assert (shutdown.asked, shutdown.reason) == (True, "from a thread")


async def test_failure_is_raised_to_who_waits() -> None:
    shutdown = Shutdown()
    shutdown.fail(RuntimeError("first"))
    shutdown.fail(RuntimeError("second"))
    with pytest.raises(RuntimeError, match="first"):
        await shutdown.wait()
    assert "unexpected error (RuntimeError)" in shutdown.reason
