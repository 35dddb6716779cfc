"""The session: not without the key, not with a stranger, not when nobody is there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gui.admin_session import AdminError, AdminSession, SessionState
from shared.admin_auth import ServerNotProvenError
from shared.paths import Home
from shared.protocol import ErrorCode, RpcError
from shared.rpc_client import CallTimeoutError, LoginResult


class FakeRpc:
    """A connection whose answers are set by the test."""

    connected = True
    state_text = "Connected."

    def __init__(self) -> None:
        self.in_admin_session = False
        self.answers: list[object] = []
        self.login: object = LoginResult(False)
        self.calls: list[tuple[str, Mapping[str, Any] | None]] = []
        self.codes: list[str] = []

    async def call(self, method: str, params: Mapping[str, Any] | None = None, timeout: float | None = None) -> Any:
        self.calls.append((method, params))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def authenticate(self, key: bytes, timeout: float | None = None) -> LoginResult:
        if isinstance(self.login, Exception):
            raise self.login
        assert isinstance(self.login, LoginResult)
        self.in_admin_session = True
        return self.login

    async def second_factor(self, code: str) -> None:
        self.codes.append(code)
        if code != "123456":
            raise RpcError(ErrorCode.NOT_AUTHORIZED, "The code was not accepted.")

    async def log_out(self) -> None:
        self.in_admin_session = False


async def until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


def made(tmp_path: Path, rpc: FakeRpc, *, key: bool = True, **more: Any) -> AdminSession:
    home = Home(tmp_path)
    home.create()
    if key:
        home.admin_key.write_bytes(b"k" * 32)
    return AdminSession(home, rpc, **more)


async def test_session_when_the_key_cannot_be_read_says_why_and_goes_on_trying(
    look: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rpc = FakeRpc()
    session = made(tmp_path, rpc)

    def refused(self: Path) -> bytes:
        raise PermissionError

    monkeypatch.setattr(Path, "read_bytes", refused)
    session.start()
    await until(lambda: session.state is SessionState.REFUSED)
    assert "admin" in session.words and not rpc.in_admin_session
    monkeypatch.undo()
    await until(lambda: session.open)
    await session.close()
    assert not rpc.in_admin_session


async def test_session_when_the_server_is_a_stranger_is_not_opened(look: object, tmp_path: Path) -> None:
    rpc = FakeRpc()
    rpc.login = ServerNotProvenError("no")
    session = made(tmp_path, rpc)
    session.start()
    await until(lambda: session.state is SessionState.REFUSED)
    assert "not your daemon" in session.words
    await session.close()


async def test_session_when_nobody_is_there_for_ten_minutes_ends_until_it_is_unlocked(
    look: object, tmp_path: Path
) -> None:
    now = [0.0]
    rpc = FakeRpc()
    session = made(tmp_path, rpc, monotonic=lambda: now[0])
    session.start()
    await until(lambda: session.open)
    now[0] = 599.0
    await asyncio.sleep(0.4)
    assert session.open
    session.touched()
    now[0] = 1198.0
    await asyncio.sleep(0.4)
    assert session.open
    now[0] = 1199.0
    await until(lambda: session.state is SessionState.IDLE and not rpc.in_admin_session)
    await asyncio.sleep(0.4)
    assert not rpc.in_admin_session, "it stays locked"
    session.unlock()
    await until(lambda: session.open)
    await session.close()


async def test_call_when_the_second_factor_is_wanted_asks_until_it_is_right(look: object, tmp_path: Path) -> None:
    rpc = FakeRpc()
    session = made(tmp_path, rpc)
    wanted = RpcError(ErrorCode.REFUSED_BY_POLICY, "needs it", {"policy": "second_factor"})
    rpc.answers = [wanted, {"done": 1}, wanted]
    codes = ["000000", "123456", None]
    asked: list[str] = []

    async def ask(error: str) -> str | None:
        asked.append(error)
        return codes.pop(0)

    session.ask_code = ask
    assert await session.call("clear_lockout", {"id": 1}) == {"done": 1}
    assert asked == ["", "The code was not accepted."]
    with pytest.raises(AdminError, match="no code was given"):
        await session.call("clear_lockout", {"id": 1})


async def test_call_when_it_fails_says_so_in_a_sentence(look: object, tmp_path: Path) -> None:
    rpc = FakeRpc()
    session = made(tmp_path, rpc)
    data = {"errors": [{"line": 3, "path": "rules.x", "text": "rules.x is wrong."}]}
    rpc.answers = [
        RpcError(ErrorCode.INVALID_PARAMS, "set_config: wrong.", data),
        CallTimeoutError("The daemon did not answer set_config in time."),
    ]
    with pytest.raises(AdminError) as caught:
        await session.call("set_config")
    assert caught.value.lines == [(3, "rules.x", "rules.x is wrong.")]
    with pytest.raises(AdminError, match="may have been carried out"):
        await session.call("set_config")
