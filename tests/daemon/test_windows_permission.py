"""Who may stop or uninstall: decided by a daemon's real socket, or by what its database says while it does not run."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from daemon.ipc_server import Handler, IpcServer
from daemon.ipc_sessions import CallContext
from daemon.windows import permission
from daemon.windows.permission import Wish, refusal
from shared.paths import Home
from shared.rpc_methods import NoParams, StopDaemonParams

LOCKED = "Account 101 is locked by RULE-003 until 2026-11-20 22:00 UTC."
KEY = bytes(range(32))


class Factor:
    """A second factor whose only code is 123456. Known once asked for ``reads`` times; ``none``: there is none."""

    def __init__(self, reads: int = 0, *, none: bool = False, broken: str | None = None) -> None:
        self.asked, self.reads, self.none, self.broken = 0, reads, none, broken

    @property
    def reading(self) -> bool:
        return self.asked < self.reads

    @property
    def enrolled(self) -> bool:
        return self.reading or not self.none

    def verify(self, code: str, now: int) -> bool:
        return code == "123456"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.create()
    return made


@asynccontextmanager
async def daemon(home: Home, factor: Factor | None = None, key: bytes = KEY) -> AsyncIterator[list[str]]:
    """A daemon's socket over ``home``; gives the reasons with which it was stopped."""
    reasons: list[str] = []

    async def stop(params: StopDaemonParams, context: CallContext) -> dict[str, object]:
        reasons.append(params.reason)
        return {"stopping": True}

    async def state(params: NoParams, context: CallContext) -> dict[str, object]:
        assert factor is not None
        factor.asked += 1
        return {"enrolled": factor.enrolled, "reading": factor.reading, "broken": factor.broken}

    handlers: dict[str, Handler] = {"stop_daemon": stop, "get_second_factor": state}
    server = IpcServer("127.0.0.1", 0, key, handlers, now=lambda: 0, second_factor=factor)
    listening = await server.start()
    content = {"host": listening.host, "port": listening.port, "pid": os.getpid()}
    home.endpoint.write_text(json.dumps(content))
    home.admin_key.write_bytes(KEY)
    try:
        yield reasons
    finally:
        await server.stop()


def database(home: Home, second_factor: str | None) -> None:
    with closing(sqlite3.connect(home.database)) as connection, connection:
        connection.execute("CREATE TABLE daemon_state (key TEXT PRIMARY KEY, value TEXT)")
        if second_factor is not None:
            connection.execute("INSERT INTO daemon_state VALUES ('second_factor_enrolled', ?)", (second_factor,))


async def judged(home: Home, wish: Wish) -> str | None:
    """`refusal` makes an event loop of its own, so it is asked from a thread."""
    return await asyncio.wait_for(asyncio.to_thread(refusal, home, wish), 30)


async def test_refusal_when_nothing_stands_against_it_is_none_and_the_daemon_goes_on(home: Home) -> None:
    async with daemon(home) as reasons:
        assert await judged(home, Wish("uninstall")) is None
        assert reasons == []


async def test_refusal_when_locked_names_the_lockout_and_what_to_do(home: Home) -> None:
    async with daemon(home) as reasons:
        refused = await judged(home, Wish("uninstall", LOCKED))

        assert refused is not None
        assert refused.startswith(LOCKED)
        assert "--although-locked" in refused
        assert reasons == []


async def test_refusal_when_an_administrator_insists_is_none_and_the_daemon_records_it(home: Home) -> None:
    async with daemon(home) as reasons:
        assert await judged(home, Wish("uninstall", LOCKED, although_locked=True)) is None
        assert reasons == [f"asked to uninstall although locked: {LOCKED}"]


@pytest.mark.parametrize("locked", [None, LOCKED])
async def test_refusal_when_a_second_factor_is_set_up_ends_with_its_code_alone(home: Home, locked: str | None) -> None:
    async with daemon(home, Factor()) as reasons:
        without = await judged(home, Wish("stop", locked, although_locked=True))
        wrong = await judged(home, Wish("stop", locked, although_locked=True, second_factor="654321"))
        assert without == "A second factor is set up: to stop, say --second-factor CODE."
        assert wrong is not None
        assert "did not allow you to stop" in wrong
        assert reasons == []
        assert await judged(home, Wish("stop", locked, although_locked=True, second_factor="123456")) is None


@pytest.mark.parametrize("code", [None, "123456"])
async def test_refusal_when_the_key_store_is_read_a_moment_later_waits_for_it(home: Home, code: str | None) -> None:
    async with daemon(home, Factor(reads=2, none=True)) as reasons:
        assert await judged(home, Wish("stop", LOCKED, although_locked=True, second_factor=code)) is None
        assert len(reasons) == 1
    async with daemon(home, Factor(reads=2)):
        refused = await judged(home, Wish("stop", second_factor=code))
        assert (refused is None) is (code is not None)


@pytest.mark.parametrize("code", [None, "123456"])
async def test_refusal_when_the_key_store_does_not_answer_says_that_it_is_not_known_yet(
    home: Home, monkeypatch: pytest.MonkeyPatch, code: str | None
) -> None:
    monkeypatch.setattr(permission, "READING_S", 0.3)
    async with daemon(home, Factor(reads=1_000_000)) as reasons:
        refused = await judged(home, Wish("restart", LOCKED, although_locked=True, second_factor=code))

        assert refused is not None
        assert "cannot be read yet" in refused and "again in a moment" in refused
        assert "is set up:" not in refused
        assert reasons == []


async def test_refusal_when_the_key_store_is_broken_does_not_ask_for_a_code_in_vain(home: Home) -> None:
    async with daemon(home, Factor(broken="The second factor can't be read, so no code is accepted.")):
        refused = await judged(home, Wish("stop", second_factor="123456"))

        assert (
            refused == "The daemon does not allow you to stop: The second factor can't be read, so no code is accepted."
        )


async def test_refusal_when_another_program_answers_is_not_taken_for_a_permission(home: Home) -> None:
    async with daemon(home, key=bytes(32)) as reasons:
        assert await judged(home, Wish("uninstall", LOCKED, although_locked=True)) is not None
        assert reasons == []


async def test_refusal_when_the_admin_key_can_not_be_read_says_so(home: Home) -> None:
    async with daemon(home):
        home.admin_key.unlink()
        refused = await judged(home, Wish("stop"))

        assert refused is not None
        assert "admin.key" in refused


@pytest.mark.parametrize(("mark", "allowed"), [(None, True), ("null", True), ("true", False)])
def test_refusal_when_the_daemon_does_not_run_depends_on_the_second_factor(
    home: Home, mark: str | None, allowed: bool
) -> None:
    database(home, mark)
    refused = refusal(home, Wish("uninstall"))

    assert (refused is None) is allowed
    if refused is not None:
        assert "start the service first" in refused


def test_refusal_when_locked_and_the_daemon_does_not_run_can_not_be_overruled(home: Home) -> None:
    database(home, None)
    refused = refusal(home, Wish("uninstall", LOCKED, although_locked=True))

    assert refused is not None
    assert "start the service first" in refused


def test_refusal_when_the_database_is_damaged_does_not_take_it_for_no_second_factor(home: Home) -> None:
    home.database.write_bytes(b"damaged" * 1000)
    refused = refusal(home, Wish("uninstall"))

    assert refused is not None
    assert "unknown" in refused


def test_refusal_when_the_daemon_never_ran_is_none(home: Home) -> None:
    assert refusal(home, Wish("uninstall")) is None
