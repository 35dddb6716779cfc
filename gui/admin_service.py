"""Controlling the Windows service through `riskd service`, as a program of its own. No Qt."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.paths import Home

SECONDS = 120.0


def service_command(action: str, home: Home, options: Sequence[str] = ()) -> list[str]:
    """The installed daemon's program beside this one, else this interpreter."""
    tail = ["service", action, *options, "--home", str(home.root)]
    if getattr(sys, "frozen", False):
        return [str(Path(sys.executable).parents[1] / "daemon" / "riskd.exe"), *tail]
    return [sys.executable, "-m", "daemon", *tail]


def can_control() -> bool:
    """Whether this system has the service at all."""
    return sys.platform == "win32"


async def run_service(command: Sequence[str], *, seconds: float = SECONDS) -> tuple[int, str]:
    """Run it; exit code and what it said. Cancelling ends it. Raises OSError when it can't be started."""
    # Waited for in a thread: Qt's event loop has no child processes of its own on Windows.
    process = await asyncio.to_thread(
        subprocess.Popen,
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    try:
        out, _ = await asyncio.to_thread(process.communicate, timeout=seconds)
    except subprocess.TimeoutExpired:
        return 1, f"It took longer than {seconds:g} s and was ended; look at the state of the service."
    finally:
        if process.poll() is None:
            with contextlib.suppress(OSError):
                process.kill()
    return process.returncode, out.decode("utf-8", "replace").strip()
