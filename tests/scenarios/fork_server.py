"""Starts real daemon processes fast: everything is imported once, then each daemon is a fork that runs `serve`.

Run as a program, it takes one JSON object a line on standard input, `{"home": "...", "die_before_sending": false}`, and
answers each with the process id of the new daemon. A daemon has its own session, files and sockets, and its output goes
to output.txt in its logs folder. `die_before_sending`: it kills itself at the first obligation that is handed to the
enforcer, which is after the lockout was committed and before anything was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from shared.paths import Home

ROOT = Path(__file__).resolve().parents[2]


def _child(order: dict[str, Any]) -> int:
    from daemon.commands.run import serve
    from daemon.enforcer import Enforcer
    from daemon.service import Options

    os.setsid()
    home = Home(Path(order["home"]))
    output = os.open(home.logs / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if order.get("die_before_sending"):
        Enforcer.submit = lambda self, action: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[method-assign]
    return asyncio.run(serve(Options(home, require_loopback=True, console_log=False)))


async def _warm_up() -> None:
    """Import what a daemon imports, some of it late: run one and stop it."""
    from daemon.service import Options, Service
    from daemon.simulator import Simulator
    from tests.scenarios.world import accounts, broker, write_home

    async with Simulator(broker(accounts(101))) as simulator:
        with tempfile.TemporaryDirectory() as folder:
            service = Service(Options(write_home(Path(folder), simulator, {}), True, console_log=False))
            await service.start()
            await service.stop()


def main() -> None:
    """Serve until standard input ends."""
    asyncio.run(_warm_up())
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.close(0)
                code = _child(json.loads(line))
            finally:
                os._exit(code)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


class ForkServer:
    """The client of the program above. Knows which daemons it started, and ends what is left of them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self._started: set[int] = set()

    async def start(self, home: Home, **order: Any) -> int:
        """A new daemon on a home; gives its process id at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(json.dumps({"home": str(home.root), **order}).encode() + b"\n")
            await self._process.stdin.drain()
            line = await asyncio.wait_for(self._process.stdout.readline(), 30)
        pid = int(line)
        self._started.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        """kill -9 of a daemon started here."""
        if pid in self._started:
            self._started.discard(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def killed(self, pid: int, seconds: float = 10.0) -> None:
        """Wait until a daemon is gone."""
        deadline = asyncio.get_running_loop().time() + seconds
        while alive(pid):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"process {pid} did not end")
            await asyncio.sleep(0.002)
        self._started.discard(pid)

    async def close(self) -> None:
        """End every daemon and the server."""
        for pid in list(self._started):
            self.kill(pid)
        self._process.kill()
        await self._process.wait()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] not in {"Z", "X"}


@contextlib.asynccontextmanager
async def fork_server(log: Path) -> AsyncIterator[ForkServer]:
    """A running fork server; its messages go to the file `log`."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.scenarios.fork_server",
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    server = ForkServer(process)
    try:
        yield server
    finally:
        await server.close()


if __name__ == "__main__":
    main()
