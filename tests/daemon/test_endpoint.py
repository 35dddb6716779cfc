"""The file that tells where the socket is: there while somebody listens, and never of somebody else's socket."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path

import pytest

from daemon.admin_key import AdminKeyError
from daemon.endpoint import Endpoint
from daemon.ipc_server import IpcServer
from shared.config import IpcConfig
from shared.paths import Home
from tests.scenarios.world import eventually


class Factor:
    enrolled = False
    reading = False

    def verify(self, code: str, now: int) -> bool:
        return False


class Desk:
    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.create()
        self.alerts: list[str] = []
        self.view = "view.db"
        self.endpoint = Endpoint(self.home, lambda: {"pid": 7, "view": self.view}, self.alerts.append)

    async def open(self) -> IpcServer | None:
        return await self.endpoint.open(
            IpcConfig(port=0), {}, now=lambda: 0, on_alert=lambda alert: None, second_factor=Factor()
        )

    def told(self) -> object:
        return json.loads(self.home.endpoint.read_text(encoding="utf-8"))


async def test_file_tells_the_address_and_the_replica_and_goes_with_the_socket(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.endpoint.publish()
    assert not desk.home.endpoint.exists(), "nobody listens yet"
    assert await desk.open() is not None
    desk.endpoint.publish()
    told = desk.told()
    assert isinstance(told, dict) and told["host"] == "127.0.0.1" and told["port"] > 0
    assert (told["pid"], told["view"]) == (7, "view.db")
    assert stat.S_IMODE(desk.home.endpoint.stat().st_mode) == 0o644
    desk.view = "view-2.db"
    desk.endpoint.publish()
    assert desk.told() == {**told, "view": "view-2.db"}
    assert desk.home.admin_key.exists()
    await desk.endpoint.close()
    desk.endpoint.publish()
    assert not desk.home.endpoint.exists() and not desk.home.admin_key.exists()
    assert desk.alerts == []


async def test_socket_that_cannot_be_had_is_told_and_an_old_address_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: IpcServer) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(IpcServer, "start", refuse)
    desk = Desk(tmp_path)
    desk.home.endpoint.write_text('{"port": 1}', encoding="utf-8")  # of a daemon that was killed
    assert await desk.open() is None
    desk.endpoint.publish()
    assert not desk.home.endpoint.exists()
    assert "Too many open files" in desk.alerts[0] and "protected all the same" in desk.alerts[0]
    await desk.endpoint.close()


async def test_file_that_cannot_be_written_is_written_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def full(path: Path, text: str) -> None:
        nonlocal tries
        tries += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daemon.endpoint.RETRY_SECONDS", 0.01)
    desk = Desk(tmp_path)
    assert await desk.open() is not None
    with monkeypatch.context() as disk:
        disk.setattr("daemon.endpoint.write_atomically", full)
        desk.endpoint.publish()
        desk.endpoint.publish()
        await eventually(lambda: tries >= 5, "further tries")
        assert not desk.home.endpoint.exists()
        assert len(desk.alerts) == 1 and "No space left on device" in desk.alerts[0]
    await eventually(desk.home.endpoint.exists, "the file")
    assert isinstance(desk.told(), dict)
    await desk.endpoint.close()
    await asyncio.sleep(0.03)
    assert not desk.home.endpoint.exists()


async def test_key_that_cannot_be_written_leaves_a_socket_without_admins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> bytes:
        raise AdminKeyError("The admin key can't be written.")

    monkeypatch.setattr("daemon.endpoint.write_admin_key", refuse)
    desk = Desk(tmp_path)
    assert await desk.open() is not None
    assert "until the next start" in desk.alerts[0]
    await desk.endpoint.close()
