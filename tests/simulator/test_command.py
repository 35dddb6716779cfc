"""`riskd simulate` as a program."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.simulator import simulate

ROOT = Path(__file__).parents[2]
PROGRAM = "import asyncio,sys; from daemon.simulator import simulate; sys.exit(asyncio.run(simulate({})))"


@contextmanager
def running(arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and the line it printed when ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    script = tmp_path / "s.yaml"
    script.write_text("seed: 5\nsteps: [{at: 0, buy: {account: 101, symbol: MNQ, size: 2}}]")
    with running(f"port=0, seed=9, script={str(script)!r}") as (process, line):
        words = dict(word.split("=", 1) for word in line.split() if "=" in word)
        with urllib.request.urlopen(f"{words['api_url']}/Status/ping", timeout=10) as answer:
            assert answer.read() == b'"pong"'
        with urllib.request.urlopen(f"{words['control']}/state", timeout=10) as answer:
            assert b'"size":2' in answer.read()
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


async def test_port_in_use_is_one_sentence_and_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert await simulate(port=port) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"port {port} on 127.0.0.1 is in use or not allowed; choose another with --port.\n"


async def test_wrong_script_is_one_sentence_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "s.yaml"
    script.write_text("steps: [{at: 0, buy: {account: 101, symbol: MNQ}}]")
    assert await simulate(script=script) == 2
    _, err = capsys.readouterr()
    assert err == f"{script}: steps[0].buy.size: missing; buy needs account, symbol, size.\n"
