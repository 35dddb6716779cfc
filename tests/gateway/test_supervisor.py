"""The supervision of one hub, over links that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from daemon.gateway.supervisor import HubError, HubState, HubSupervisor, Link
from daemon.gateway.timings import Timings
from tests.gateway.world import FAST, eventually

PATIENT = replace(FAST, hub_open=60.0, hub_silence=60.0, hub_subscribe=60.0)
"""Only an end that is noticed as such can bring the next try within a test's time."""


class FakeLink:
    """A link that opens, fails or hangs, and ends when told to."""

    def __init__(self, fails: HubError | None = None, hangs: bool = False) -> None:
        self.fails = fails
        self.hangs = hangs
        self.end: asyncio.Future[HubError] = asyncio.get_running_loop().create_future()
        self.silent = 0.0
        self.closed = False
        self.sent: list[str] = []

    async def open(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails

    async def send(self, method: str, arguments: list[Any]) -> None:
        self.sent.append(method)

    async def ended(self) -> HubError:
        return await asyncio.shield(self.end)

    def silent_for(self) -> float:
        return self.silent

    async def close(self) -> None:
        self.closed = True


class Desk:
    """A supervisor, its links and what it told."""

    def __init__(self, links: list[FakeLink], timings: Timings) -> None:
        self.plan = links
        self.made: list[FakeLink] = []
        self.told: list[str] = []
        self.refused = 0
        self.hub = HubSupervisor(
            "test",
            connect=self.connect,
            subscribe=self.subscribe,
            on_up=lambda: self.told.append("up"),
            on_down=lambda reason: self.told.append(f"down: {reason}"),
            on_unauthorized=self.unauthorized,
            timings=timings,
            random=Random(1),
        )

    async def connect(self) -> Link:
        link = self.plan.pop(0) if self.plan else FakeLink()
        self.made.append(link)
        return link

    async def subscribe(self, link: Link) -> None:
        await link.send("Subscribe", [])

    async def unauthorized(self) -> None:
        self.refused += 1


@asynccontextmanager
async def desk(*links: FakeLink, timings: Timings = PATIENT) -> AsyncIterator[Desk]:
    made = Desk(list(links), timings)
    made.hub.start()
    try:
        yield made
    finally:
        await made.hub.stop()
        assert made.hub.state is HubState.OFF
        assert all(link.closed for link in made.made)


async def test_hub_when_link_ends_is_made_anew_and_subscribed() -> None:
    async with desk() as d:
        await eventually(lambda: d.hub.up)
        d.made[0].end.set_result(HubError("gone"))
        await eventually(lambda: len(d.made) == 2 and d.hub.up)
        assert d.told == ["up", "down: gone", "up"]
        assert d.made[0].closed
        assert [link.sent for link in d.made] == [["Subscribe"], ["Subscribe"]]


async def test_hub_when_link_hangs_or_fails_is_tried_again_and_told_once() -> None:
    timings = replace(PATIENT, hub_open=0.05)
    links = [FakeLink(hangs=True), FakeLink(HubError("no")), FakeLink(HubError("no"))]
    async with desk(*links, timings=timings) as d:
        await eventually(lambda: d.hub.up)
        assert d.told == ["down: no handshake in time", "up"]


async def test_hub_when_token_is_refused_asks_for_another_before_the_next_try() -> None:
    async with desk(FakeLink(HubError("401", unauthorized=True))) as d:
        await eventually(lambda: d.hub.up)
        assert d.refused == 1


async def test_hub_when_silent_for_too_long_is_made_anew() -> None:
    async with desk(timings=replace(PATIENT, hub_silence=0.1)) as d:
        await eventually(lambda: d.hub.up)
        d.made[0].silent = 1.0
        await eventually(lambda: len(d.made) == 2 and d.hub.up)


@pytest.mark.parametrize("when", ["up", "connecting"])
async def test_hub_when_told_to_rebuild_does_even_if_it_is_just_connecting(when: str) -> None:
    gate = asyncio.Event()

    class Slow(FakeLink):
        async def open(self) -> None:
            await gate.wait()

    async with desk(Slow()) as d:
        await eventually(lambda: d.made)
        if when == "up":
            gate.set()
            await eventually(lambda: d.hub.up)
        d.hub.rebuild("a new token")
        gate.set()
        await eventually(lambda: len(d.made) == 2 and d.hub.up)
        assert "down: a new token" in d.told


async def test_hub_when_a_callback_of_ours_raises_goes_on() -> None:
    async with desk() as d:
        await eventually(lambda: d.hub.up)
        d.made[0].end.set_result(HubError("gone"))
        d.hub._on_up = lambda: d.told.remove("never told")
        await eventually(lambda: len(d.made) >= 2)
        d.hub._on_up = lambda: d.told.append("up")
        await eventually(lambda: d.hub.up)


async def test_hub_when_it_waits_for_its_next_try_a_rebuild_starts_it_at_once() -> None:
    timings = replace(PATIENT, hub_backoff=(60.0,))
    async with desk(FakeLink(HubError("no")), timings=timings) as d:
        await eventually(lambda: d.hub.state is HubState.WAITING)
        d.hub.rebuild("a new token")
        await eventually(lambda: d.hub.up)


def test_pauses_when_live_are_bounded() -> None:
    timings = Timings()
    assert timings.hub_backoff[0] == 0
    assert max(timings.hub_backoff) <= 5
    assert max(timings.hub_backoff[:5]) <= 2
    assert max(timings.login_refused) <= 60
    assert max(timings.login_unreachable) <= 10
