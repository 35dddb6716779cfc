"""Starts, stops and asks the service, through NSSM and the daemon's own socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from daemon.windows.execution import SkippedError, StepError, run
from daemon.windows.steps import SERVICE, Program
from shared.endpoint import Endpoint, EndpointError, read_endpoint
from shared.paths import Home
from shared.protocol import RpcError
from shared.rpc_client import RpcClient
from shared.rpc_wire import ClientError

STOPPED, RUNNING, PAUSED, ABSENT = "SERVICE_STOPPED", "SERVICE_RUNNING", "SERVICE_PAUSED", "absent"
NO_SUCH_SERVICE = 3
READY = frozenset({"healthy", "degraded"})
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 45.0  # NSSM grants 30 s for a graceful end, then ends it by force


def endpoint_of(home: Home) -> Endpoint | None:
    """What the running daemon published, or None when it is missing or not (yet) whole."""
    try:
        return read_endpoint(home.endpoint)
    except EndpointError:
        return None


def ask_status(endpoint: Endpoint, timeout_s: float = 5.0) -> str | None:
    """The daemon's status (``healthy`` and so on), or None when none comes."""
    try:
        answer = asyncio.run(_ask(endpoint, timeout_s))
    except (ClientError, RpcError, OSError):
        return None
    status = answer.get("status") if isinstance(answer, dict) else None
    return status if isinstance(status, str) else None


async def _ask(endpoint: Endpoint, timeout_s: float) -> object:
    client = RpcClient((endpoint.host, endpoint.port), connect_timeout=timeout_s, call_timeout=timeout_s)
    try:
        await client.connect()
        return await client.call("get_status")
    finally:
        await client.close()


class Control:
    """The installed service of one home folder."""

    def __init__(self, nssm: Path, home: Home, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._nssm = nssm
        self._home = home
        self._sleep = sleep

    def state(self) -> str:
        """``SERVICE_RUNNING`` and so on, ``absent`` when there is no such service. Raises StepError."""
        code, said = run([str(self._nssm), "status", SERVICE], timeout_s=20)
        if code == NO_SUCH_SERVICE:
            return ABSENT
        if code != 0:
            raise StepError(f"the state of {SERVICE} can't be read: {' '.join(said.split())}")
        return said.split()[-1] if said else STOPPED

    def setting(self, name: str) -> str:
        """One of NSSM's settings of the service, empty when it is not set."""
        code, said = run([str(self._nssm), "get", SERVICE, name], timeout_s=20)
        return said.strip() if code == 0 else ""

    def start(self, program: Program) -> str:
        """Start the service and wait until the daemon is ready; returns what to tell.

        Raises SkippedError when its configuration is not valid, StepError when it does not get ready.
        """
        self.check(program)
        before = endpoint_of(self._home)
        if self.state() == RUNNING and before is not None and ask_status(before) is not None:
            return f"it runs already, on port {before.port}"
        # nssm.exe may end with 1 while the service is still starting: what counts is the state.
        _, said = run([str(self._nssm), "start", SERVICE], timeout_s=60)
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            now = endpoint_of(self._home)
            if now is not None and (before is None or now.instance != before.instance):
                status = ask_status(now)
                if status in READY:
                    return f"{status} on port {now.port}, process {now.pid}"
            self._sleep(0.25)
        what = f"the daemon was not ready after {START_TIMEOUT_S:g} s (service: {self.state()}). {said}"
        raise StepError(f"{what}\n{self.last_words()}".strip())

    def check(self, program: Program) -> None:
        """Raises SkippedError, with every error, when the daemon could not start with the configuration as it is."""
        executable, arguments = str(program.executable), program.arguments.split()
        code, said = self._run_in(program, [executable, *arguments[:-1], "check", "--home", str(self._home.root)])
        if code != 0:
            raise SkippedError(f"the configuration in {self._home.config} is not valid yet.\n{said}")

    def _run_in(self, program: Program, argv: list[str]) -> tuple[int, str]:
        environment = {"PYTHONPATH": str(program.directory)} if program.install_folder is None else {}
        return run(argv, timeout_s=60, environment=environment)

    def stop(self) -> str:
        """Stop the service and wait until it has. Raises StepError when it does not."""
        if self.state() in {STOPPED, ABSENT}:
            return "it did not run"
        _, said = run([str(self._nssm), "stop", SERVICE], timeout_s=STOP_TIMEOUT_S)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.state() in {STOPPED, ABSENT}:
                return ""
            self._sleep(0.25)
        raise StepError(f"the service did not stop within {STOP_TIMEOUT_S:g} s: {' '.join(said.split())}")

    def last_words(self, lines: int = 5) -> str:
        """The end of the newest log that could say why the daemon did not start."""
        try:
            candidates = [*self._home.logs.glob("error*.log"), *self._home.logs.glob("service*.log")]
            newest = max(candidates, key=lambda path: path.stat().st_mtime)
            text = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        except (OSError, ValueError):
            return ""
        return f"The end of {newest}:\n" + "\n".join(text)
