"""What is brought about again and again is told of the first time, and then the latest once in a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon.repeats import Repeats
from tests.daemon.ipc_support import eventually


async def test_repeats_when_many_come_are_told_first_and_latest_with_their_number() -> None:
    heard: list[str] = []
    repeats = Repeats(0.05)

    def telling(text: str) -> Callable[[str], None]:
        return lambda more: heard.append(text + more)

    for number in range(100):
        repeats.tell("101", telling(f"{number}"))
    assert heard == ["0"]
    await eventually(lambda: len(heard) == 2)
    assert heard[1] == "99 (99 times of late; this is the latest)"
    repeats.tell("101", lambda more: heard.append(f"soon after{more}"))
    assert len(heard) == 2
    await eventually(lambda: len(heard) == 3)
    assert heard[2] == "soon after"
    await asyncio.sleep(0.1)
    repeats.tell("101", lambda more: heard.append("after a quiet time"))
    assert heard[3:] == ["after a quiet time"]
    repeats.close()


async def test_repeats_of_another_key_are_told_at_once_and_what_waits_is_told_at_the_end() -> None:
    heard: list[str] = []
    repeats = Repeats(60.0)
    repeats.tell(101, lambda more: heard.append("a" + more))
    repeats.tell(101, lambda more: heard.append("b" + more))
    repeats.tell(102, heard.append)
    assert heard == ["a", ""]
    repeats.close()
    assert heard == ["a", "", "b"]
