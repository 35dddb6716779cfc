"""Drives Wine from Linux: runs Windows programs, finds their processes, and reads the service's home folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path, PureWindowsPath
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
HOME = PureWindowsPath(r"C:\ProgramData\RiskManager")


def eventually[T](look: Callable[[], T], what: str, *, timeout_s: float = 120.0) -> T:
    """The first true value of ``look``, which is asked every 50 ms; fails after ``timeout_s`` seconds.

    The bound is for a machine that others keep busy: on a quiet one nothing here takes ten seconds.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what} (last: {value!r})")
        time.sleep(0.05)


class Windows:
    """One Wine prefix, a copy made by ``tests/windows/run`` for this run alone.

    ``riskd``: the words that start the daemon's command line on Windows; ``installer`` and ``uninstaller``: those that
    install and remove it; ``prompt`` and ``folder``: what an administrator types for ``riskd``, and where.
    """

    def __init__(self, riskd: list[str]) -> None:
        self.riskd = riskd
        self.installer = [*riskd, "service", "install"]
        self.uninstaller = [*riskd, "service", "uninstall"]
        self.prompt, self.folder = riskd, ROOT
        self.prefix = Path(os.environ["WINEPREFIX"])
        self.work = Path(os.environ["RISK_MANAGER_BED_WORK"])
        self.home = self.path(HOME)

    def path(self, windows: PureWindowsPath) -> Path:
        """Where a path on drive C: is for Linux."""
        return self.prefix / "drive_c" / Path(*windows.parts[1:])

    def run(self, *words: str, timeout_s: float = 240, cwd: Path = ROOT) -> tuple[int, str]:
        """Run a Windows program; returns its exit code and output. Fails when it does not end in time."""
        command = [str(ROOT / "tests/windows/program"), str(timeout_s), *words]
        log = self.work / "command.log"
        with log.open("wb") as output:  # not a pipe of ours: the service would keep it open
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, cwd=cwd)
        said = log.read_text(encoding="utf-8", errors="replace")
        assert done.returncode not in {124, 137}, f"{words} did not end within {timeout_s:g} s: {said}"
        return done.returncode, said

    def service(self, *words: str, timeout_s: float = 360) -> tuple[int, str]:
        """``riskd service …``, and for ``install`` and ``uninstall`` what a user would run."""
        before = {"install": self.installer, "uninstall": self.uninstaller}.get(words[0])
        command = [*(before or [*self.riskd, "service", words[0]]), *words[1:]]
        return self.run(*command, timeout_s=timeout_s)

    def typed(self, *words: str) -> tuple[int, str]:
        """``riskd …`` as the guides write it."""
        return self.run(*self.prompt, *words, cwd=self.folder)

    def start_program(self, *words: str) -> subprocess.Popen[bytes]:
        """A Windows program that runs until its process group is ended with ``end``."""
        return subprocess.Popen(
            [str(ROOT / "tests/windows/program"), "300", *words],
            stdout=(self.work / "program.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=ROOT,
        )

    def end(self, program: subprocess.Popen[bytes]) -> None:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait(10)

    def processes(self, word: str) -> list[int]:
        """Linux ids of this prefix's processes that have ``word`` in their command line."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            ours = f"WINEPREFIX={self.prefix}".encode() in environment
            if ours and word in line and not line.startswith(("bash", "timeout", "setsid", "cat ")):
                found.append(int(folder.name))
        return found

    # --- what the daemon says of itself

    def endpoint(self) -> dict[str, Any]:
        """``public/endpoint.json``, empty while there is none."""
        try:
            content = json.loads((self.home / "public" / "endpoint.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def ask(self, method: str, **parameters: object) -> Any:
        """A request over the socket, which Wine shares with Linux; None when nobody answers."""
        endpoint = self.endpoint()
        if not endpoint:
            return None
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        try:
            with socket.create_connection((endpoint["host"], endpoint["port"]), 5) as connection:
                connection.sendall(json.dumps(request).encode() + b"\n")
                with connection.makefile("rb") as lines:
                    return json.loads(lines.readline()).get("result")
        except (OSError, ValueError):
            return None

    def healthy(self) -> bool:
        answer = self.ask("get_status")
        return isinstance(answer, dict) and answer.get("status") == "healthy"

    def lockouts(self, account_id: int) -> list[dict[str, Any]]:
        return self.ask("get_lockouts", account_id=account_id) or []

    def logged(self, text: str) -> int:
        """How often ``text`` stands in the daemon's logs."""
        logs = (self.home / "logs").glob("daemon*.log")
        return sum(path.read_text(encoding="utf-8", errors="replace").count(text) for path in logs)

    def database(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement on the stopped daemon's database."""
        with closing(sqlite3.connect(self.home / "data" / "state.db", timeout=10)) as connection, connection:
            return connection.execute(statement).fetchall()
