"""A really full disk under a real daemon process: what was locked on it outlives kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import socket
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Simulator
from shared.paths import Home
from shared.rpc_client import ClientError, RpcClient
from tests.scenarios.fork_server import ROOT, ForkServer, alive, fork_server
from tests.scenarios.world import accounts, broker, eventually, write_home

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk")

DISK = "16m"
LOSS = {"cooldown_after_loss": {"loss_thresholds": [{"loss_amount": -100, "cooldown_duration": 3000}]}}


class SmallDisk:
    """A file system of some megabytes, which can be kept filled to the last byte."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filler = root / "filler"
        self._filling: threading.Thread | None = None
        self._enough = threading.Event()

    def fill(self) -> None:
        """Nothing can be written from now on that needs space; what a program gives back is taken at once."""
        self.free()
        self._fill()
        while self._takes_more():
            self._fill()
        self._enough.clear()
        self._filling = threading.Thread(target=self._keep_filling, daemon=True)
        self._filling.start()

    def free(self) -> None:
        """As before."""
        if self._filling is not None:
            self._enough.set()
            self._filling.join(10)
            self._filling = None
        self._filler.unlink(missing_ok=True)

    def _takes_more(self) -> bool:
        one = self.root / "one"
        try:
            one.write_bytes(b"1")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return False
        finally:
            one.unlink(missing_ok=True)
        return True

    def _fill(self) -> None:
        with self._filler.open("ab", buffering=0) as file:
            for size in (65_536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    def _keep_filling(self) -> None:
        while not self._enough.wait(0.002):
            self._fill()


async def done(*words: str) -> bool:
    """Run a program; whether it was fine."""
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    return await asyncio.wait_for(process.wait(), 20) == 0


def mounting(folder: Path) -> list[str]:
    return ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]


async def elsewhere(folder: Path, test: str) -> bool:
    """Where this process may not mount anything: run the test as root of a user namespace. False: it may."""
    (folder / "try").mkdir()
    if await done(*mounting(folder / "try")):
        assert await done("umount", str(folder / "try"))
        return False
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if not await done(*namespace, *mounting(folder / "try")):
        pytest.skip("neither root nor user namespaces: no small disk can be mounted here")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "there"), test]
    process = await asyncio.create_subprocess_exec(
        *namespace, sys.executable, *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    output, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, output.decode(errors="replace")[-5000:]
    return True


@asynccontextmanager
async def small_disk(folder: Path) -> AsyncIterator[SmallDisk]:
    """Mounted on a folder, and taken away afterwards."""
    folder.mkdir()
    assert await done(*mounting(folder))
    disk = SmallDisk(folder)
    try:
        yield disk
    finally:
        disk.free()
        assert await done("umount", "--lazy", str(folder))


class Bed:
    """A broker, a home on a small disk, and daemons on it one after the other."""

    def __init__(self, disk: SmallDisk, server: ForkServer, sim: Simulator, folder: Path) -> None:
        self.disk = disk
        self.server = server
        self.sim = sim
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.home: Home = write_home(
            disk.root / "home", sim, {"ipc": {"host": "127.0.0.1", "port": self.port}, "rules": LOSS}
        )
        # On a full disk the daemon cannot publish where it listens; whoever knows the port can ask it all the same.
        self._endpoint = folder / "endpoint.json"
        self.pid = 0

    async def start(self) -> None:
        """A daemon that monitors the account."""
        self.pid = await self.server.start(self.home)
        facts = {"host": "127.0.0.1", "port": self.port, "pid": self.pid, "version": "0", "instance": "x"}
        self._endpoint.write_text(json.dumps({**facts, "started_at": "", "view": "view.db"}), encoding="utf-8")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 30
        while True:
            assert alive(self.pid), (self.home.logs / "output.txt").read_text(encoding="utf-8")
            with contextlib.suppress(ClientError, OSError):
                status = await self.call("get_status")
                if status["status"] in ("healthy", "degraded") and status["accounts"]["101"]["connected"]:
                    return
            assert loop.time() < deadline, "the daemon is ready"
            await asyncio.sleep(0.02)

    async def call(self, method: str, **params: Any) -> Any:
        """A call of the trader."""
        client = RpcClient(self._endpoint)
        await client.connect()
        try:
            return await client.call(method, params)
        finally:
            await client.close()

    async def exhaust(self) -> None:
        """Fill the disk and have the daemon write what room its own files still have, until it can write no more."""
        self.disk.fill()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 20
        trader = self.sim.trader(101)
        while (await self.call("get_status"))["status"] != "degraded":
            trader.buy("MNQ", 1)
            trader.sell("MNQ", 1)
            assert loop.time() < deadline, "the database cannot be written"
            await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """kill -9; the replica is lost too, so that it cannot be what knows the lockout."""
        self.server.kill(self.pid)
        await self.server.killed(self.pid)
        for path in self.home.public.glob("view*"):
            path.unlink()

    def stored(self) -> list[tuple[Any, ...]]:
        """The lockouts in the database."""
        with closing(sqlite3.connect(f"{self.home.database.as_uri()}?mode=ro", uri=True)) as database:
            return database.execute("SELECT id, rule_id, cleared_at FROM lockouts ORDER BY id").fetchall()

    async def locks(self) -> list[dict[str, Any]]:
        """What makes the active lockouts those that they are; what a cooldown lets stay may shrink meanwhile."""
        names = ("id", "account_id", "rule_id", "kind", "symbol", "locked_at", "expires_at", "cleared_at")
        return [{name: row[name] for name in names} for row in await self.call("get_lockouts")]

    async def lock_by_hand(self) -> str:
        """The trader locks himself for an hour; gives the rule."""
        rows = await self.call("lock_account", account_id=101, minutes=60, reason="enough")
        assert [row["rule_id"] for row in rows] == ["MANUAL"]
        return "MANUAL"

    async def lose(self) -> str:
        """An exit's loss that brings a cooldown; gives the rule.

        What is held is closed for it: when that is done, the lockout is on disk, as far as it can be (law 2).
        """
        self.sim.trader(101).buy("MNQ", 1)
        self.sim.inject_trade(101, "NQ", -150)
        await eventually(lambda: not self.sim.positions(101), "the loss closes everything", 10)
        return "RULE-007"


@asynccontextmanager
async def bed(folder: Path) -> AsyncIterator[Bed]:
    async with (
        small_disk(folder / "disk") as disk,
        fork_server(folder / "server.txt") as server,
        Simulator(broker(accounts(101))) as sim,
    ):
        made = Bed(disk, server, sim, folder)
        try:
            yield made
        finally:
            server.kill(made.pid)


Making = Callable[[Bed], Any]


@pytest.mark.parametrize("still_full", [True, False], ids=["still full", "free again"])
@pytest.mark.parametrize("make", [Bed.lock_by_hand, Bed.lose], ids=["by hand", "by a rule"])
async def test_lockout_made_on_a_full_disk_outlives_a_kill(
    tmp_path: Path, make: Making, still_full: bool, request: pytest.FixtureRequest
) -> None:
    if await elsewhere(tmp_path, request.node.nodeid):
        return
    async with bed(tmp_path) as here:
        await here.start()
        await here.exhaust()
        rule = await make(here)
        made = await here.locks()
        assert here.stored() == [], "the database could not take it"
        await here.kill()
        if still_full:
            here.disk.fill()
        else:
            here.disk.free()
        here.sim.trader(101).buy("MNQ", 1)  # while nobody watches

        await here.start()
        await eventually(lambda: not here.sim.positions(101), "what was bought meanwhile is closed")
        assert made[0] in await here.locks(), "the very same lockout"
        here.disk.free()
        await eventually(here.stored, "the database has it as soon as it can")
        await here.kill()
        here.disk.fill()

        await here.start()
        assert made[0] in await here.locks()
        here.disk.free()
        assert (made[0]["id"], rule, None) in here.stored()
        assert [stored_rule for _, stored_rule, _ in here.stored()].count(rule) == 1, "once"
