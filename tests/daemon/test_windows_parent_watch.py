"""The watch on the host process, as far as every platform has it; NSSM itself is in tests/windows."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from daemon.windows.parent_watch import under_nssm

# A host that starts a daemon and then waits for a line, so that the test decides how it ends.
HOST = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
sys.stdin.readline()
"""
DAEMON = """
import os, sys, threading, pathlib
from daemon.windows.parent_watch import ParentWatch
gone = threading.Event()
folder = pathlib.Path(sys.argv[1])
watched = ParentWatch(gone.set).start()
(folder / "started").write_text(str(watched))
(folder / "result").write_text("noticed" if gone.wait(30) else "not noticed")
"""


def text_of(path: Path) -> str:
    """The content of ``path`` as soon as there is one, within 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(f"{path.name} was not written")


def test_parent_watch_when_the_host_is_killed_calls_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOST, DAEMON, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as host:
        watched = text_of(tmp_path / "started")
        host.kill()
        host.wait(10)
        assert text_of(tmp_path / "result") == "noticed"
        assert int(watched) == host.pid


STOPPED = """
import threading, time
from daemon.windows.parent_watch import ParentWatch
called = threading.Event()
before = threading.active_count()
watch = ParentWatch(called.set)
assert watch.start() is not None
watch.stop()
watch.stop()
deadline = time.monotonic() + 10
while threading.active_count() > before and time.monotonic() < deadline:
    time.sleep(0.01)
print("waits" if threading.active_count() > before else "ended", called.is_set())
"""


def test_parent_watch_when_stopped_ends_its_thread_without_calling_back() -> None:
    done = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.split() == ["ended", "False"]


def test_under_nssm_when_run_by_hand_is_false() -> None:
    assert under_nssm() is False
