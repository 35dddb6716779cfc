"""A daemon as people run it, a process of its own, is asked to stop: it ends with 0 and with nothing to complain of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.paths import Home
from tests.windows.bed.gateway import ACCOUNTS, GatewayThread
from tests.windows.bed.windows import eventually

COMPLAINTS = ("ERROR", "CRITICAL", "Traceback", "CancelledError", "Exception", "never awaited", "was destroyed")


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    """One for each daemon: they would use up its request limit together, which is an error in the log."""
    with GatewayThread() as running:
        yield running


@pytest.mark.parametrize(
    ("number", "after", "breach"),
    [(signal.SIGTERM, 0.0, False), (signal.SIGTERM, 0.5, True), (signal.SIGINT, 2.0, False)],
    ids=["at the first beat", "locked", "at a later beat"],
)
def test_stop_of_a_real_daemon_when_all_is_well_logs_no_error(
    tmp_path: Path, gateway: GatewayThread, number: signal.Signals, after: float, breach: bool
) -> None:
    home = Home(tmp_path / "home")
    home.create()
    for name, text in gateway.configuration().items():
        (home.config / name).write_text(text, encoding="utf-8")
    home.holidays_file.write_text("dates: {}\n", encoding="utf-8")
    said = tmp_path / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("riskd")), "run", "--home", str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, "RISK_MANAGER_REQUIRE_LOOPBACK": "1"},
        )
    try:
        eventually(home.endpoint.exists, "the daemon is ready", timeout_s=60)
        if breach:
            gateway.lose(ACCOUNTS[0])
            eventually(lambda: gateway.open_positions(ACCOUNTS[0]) == 0, "flat", timeout_s=30)
        time.sleep(after)
        process.send_signal(number)
        assert process.wait(40) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    written = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in home.logs.iterdir()}
    lines = [(name, line) for name, text in {**written, "said": said.read_text()}.items() for line in text.splitlines()]

    assert any(line.endswith("Stopped.") for _, line in lines), "it ended by itself"
    assert [(name, line) for name, line in lines if any(word in line for word in COMPLAINTS)] == []
