"""Running `riskd service` as a program of its own."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pytest

from gui.admin_service import run_service, service_command
from shared.paths import Home


async def test_service_when_run_gives_code_and_words(tmp_path: Path) -> None:
    code, words = await run_service([sys.executable, "-c", "print('done'); raise SystemExit(3)"])
    assert (code, words) == (3, "done")
    if sys.platform != "win32":
        code, words = await run_service(service_command("status", Home(tmp_path)))
        assert code == 2 and "Windows" in words
    with pytest.raises(OSError):
        await run_service([str(tmp_path / "missing")])


async def test_service_when_it_hangs_or_is_cancelled_is_ended() -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(60)"]
    code, words = await run_service(sleeps, seconds=0.3)
    assert code == 1 and "longer than" in words
    began = time.monotonic()
    task = asyncio.create_task(run_service(sleeps))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 30
