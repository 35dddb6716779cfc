"""When the daemon started and how it ended, read from its own logs and the dumps of its watchdog."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

_STARTED: Final = re.compile(r"^(\S+Z) \w+\s+[^:]+: \[1/8\] Service starting: (?:version=([^,]*), )?pid=(\d+)")
_STOPPING: Final = re.compile(r"^(\S+Z) \w+\s+[^:]+: Stopping: (.*)$")
_STOPPED: Final = re.compile(r"^(\S+Z) \w+\s+[^:]+: Stopped\.$")
_STAMP: Final = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z) ")
_MOST_BYTES: Final = 8 * 1024 * 1024
_FILES: Final = 60


@dataclass(slots=True)
class Run:
    """One run. `ended_at` of a run without a last word is the time of its last line. Times are UTC text."""

    started_at: str
    pid: int
    version: str
    ended_at: str | None = None
    reason: str = ""
    clean: bool = False
    last_line_at: str | None = None


def runs(logs: Path, present_pid: int, most: int = 20) -> list[dict[str, Any]]:
    """The last runs, newest first: started_at, ended_at (null: runs now), pid, version, reason, clean. Blocks."""
    found: list[Run] = []
    for path in _files(logs):
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _MOST_BYTES))
                _read(file.read().decode("utf-8", "replace"), found)
        except OSError:
            continue
    hung = {int(path.stem[5:]) for path in logs.glob("hang-*.txt") if path.stem[5:].isdecimal() and _has_content(path)}
    latest = max((run.started_at for run in found), default="")
    for run in found:
        if run.pid == present_pid and run.started_at == latest:
            run.ended_at, run.reason, run.clean = None, "running", True
        elif not run.clean:
            run.ended_at = run.ended_at or run.last_line_at
            if run.pid in hung:
                run.reason = f"hung and was ended by its watchdog; see hang-{run.pid}.txt"
            elif run.reason:
                run.reason = f"{run.reason}; the stop was not completed"
            else:
                run.reason = "ended without a last word: killed, crashed, or the computer went off"
    rows = [asdict(run) for run in sorted(found, key=lambda run: run.started_at, reverse=True)[:most]]
    for row in rows:
        del row["last_line_at"]
    return rows


def _has_content(path: Path) -> bool:
    """An empty file only says that the daemon was watched."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _files(logs: Path) -> list[Path]:
    dated = []
    for path in [*logs.glob("daemon-*.log"), logs / "daemon.log"]:
        try:
            dated.append((path.stat().st_mtime_ns, path))
        except OSError:
            continue
    return [path for _, path in sorted(dated)[-_FILES:]]


def _read(text: str, found: list[Run]) -> None:
    for line in text.splitlines():
        begun = _STARTED.match(line)
        if begun is not None:
            found.append(Run(begun[1], int(begun[3]), begun[2] or ""))
            continue
        if not found:
            continue
        run = found[-1]
        stamp = _STAMP.match(line)
        if stamp is not None:
            run.last_line_at = stamp[1]
        stopping = _STOPPING.match(line)
        if stopping is not None:
            run.reason = stopping[2]
        stopped = _STOPPED.match(line)
        if stopped is not None:
            run.ended_at, run.clean = stopped[1], True
