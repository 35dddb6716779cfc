"""The watchdog: a hang ends the process with stacks on disk; anything else does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

from daemon.watchdog import HANG_EXIT_CODE, KEPT_DUMPS, Watchdog

HUNG_PROGRAM = """
import asyncio, sys, time
from pathlib import Path
from daemon.watchdog import Watchdog

def stuck_in_a_rule():
    {hang}

async def main():
    Watchdog(Path(sys.argv[1]), limit_s=0.4, interval_s=0.05, on_hang=lambda text: print(text, flush=True)).start()
    await asyncio.sleep(0.2)
    stuck_in_a_rule()

asyncio.run(main())
"""


def stand_still(seconds: float) -> None:
    """Hangs the loop that calls it."""
    time.sleep(seconds)


def run_hung(folder: Path, hang: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", HUNG_PROGRAM.format(hang=hang), str(folder)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


def test_watchdog_when_the_loop_hangs_ends_the_process_with_stacks_and_a_sentence(tmp_path: Path) -> None:
    ended = run_hung(tmp_path, "time.sleep(50)")

    assert ended.returncode == HANG_EXIT_CODE
    assert "hung" in ended.stdout
    (dump,) = tmp_path.glob("hang-*.txt")
    assert "stuck_in_a_rule" in dump.read_text(encoding="utf-8")


def test_watchdog_when_the_hang_keeps_the_interpreter_lock_ends_the_process_with_stacks(tmp_path: Path) -> None:
    # A catastrophic regular expression never lets another Python thread run.
    ended = run_hung(tmp_path, "import re; re.match(r'(a|aa)+$', 'a' * 200 + 'b')")

    assert ended.returncode != 0
    (dump,) = tmp_path.glob("hang-*.txt")
    assert "stuck_in_a_rule" in dump.read_text(encoding="utf-8")


async def test_watchdog_when_the_loop_runs_does_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    ended: list[int] = []
    watchdog = Watchdog(tmp_path, limit_s=0.3, interval_s=0.02, end_process=ended.append)
    watchdog.start()
    await asyncio.sleep(0.8)
    watchdog.stop()
    watchdog.stop()

    assert ended == []
    assert list(tmp_path.iterdir()) == []


class SleepingMachine(threading.Event):
    """Stands for the watchdog's stop event on a machine that sleeps: hours pass within one wait of the thread."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = threading.Event()
        self.awake = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        if self.asleep.is_set():
            self.awake.wait(30)
        return super().wait(timeout)


async def test_watchdog_when_the_machine_slept_does_not_end_the_process(tmp_path: Path) -> None:
    ended: list[int] = []
    watchdog = Watchdog(tmp_path, limit_s=0.2, interval_s=0.02, end_process=ended.append)
    machine = SleepingMachine()
    watchdog._stop = machine
    watchdog.start()
    machine.asleep.set()
    await asyncio.sleep(0.1)  # the thread reaches its wait and stays in it
    stand_still(0.6)  # the loop stands still three times as long as the limit, and so does the thread
    machine.asleep.clear()
    machine.awake.set()
    await asyncio.sleep(0.3)
    watchdog.stop()

    assert ended == []


async def test_watchdog_when_the_log_folder_is_missing_still_ends_a_hung_process(tmp_path: Path) -> None:
    ended: list[int] = []
    watchdog = Watchdog(tmp_path / "missing", limit_s=0.1, interval_s=0.02, end_process=ended.append)
    watchdog.start()
    deadline = time.monotonic() + 30
    while not ended and time.monotonic() < deadline:
        stand_still(0.01)
    watchdog.stop()

    assert ended == [HANG_EXIT_CODE]


async def test_watchdog_when_started_keeps_the_newest_dumps_only(tmp_path: Path) -> None:
    for number in range(KEPT_DUMPS + 5):
        (tmp_path / f"hang-{number}.txt").write_text("old")
    watchdog = Watchdog(tmp_path, limit_s=10)
    watchdog.start()
    watchdog.stop()

    assert len(list(tmp_path.glob("hang-*.txt"))) == KEPT_DUMPS


async def test_start_removes_the_empty_files_of_daemons_that_were_killed_and_keeps_those_that_hung(
    tmp_path: Path,
) -> None:
    killed, hung = tmp_path / "hang-1.txt", tmp_path / "hang-2.txt"
    killed.touch()
    hung.write_text("The daemon hung.\n", encoding="utf-8")
    watchdog = Watchdog(tmp_path)
    watchdog.start()
    try:
        assert not killed.exists() and hung.exists()
    finally:
        watchdog.stop()
