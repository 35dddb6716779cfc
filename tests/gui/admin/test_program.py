"""`riskgui --admin` as the program it is: its own process, its own loop, the daemon's socket between."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.gui.admin.stage import daemon, login
from tests.scenarios.world import eventually

ROOT = Path(__file__).parents[3]


async def test_admin_program_when_started_logs_in_and_ends_when_told(tmp_path: Path) -> None:
    async with daemon(tmp_path) as world:
        environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path / "settings")}
        with (tmp_path / "output.txt").open("wb") as output:
            process = await asyncio.to_thread(
                subprocess.Popen,
                [sys.executable, "-m", "gui", "--admin", "--home", str(world.home.root)],
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        try:

            def logged_in() -> bool:
                assert process.poll() is None, (tmp_path / "output.txt").read_text(encoding="utf-8")
                log = world.home.logs / "daemon.log"
                return "An administrator logged in" in log.read_text(encoding="utf-8")

            await eventually(logged_in, "the window logs in", timeout=40.0)
            # The first page has asked for what it shows.
            admin = await login(world)
            rows = await admin.call("get_audit_log")
            assert isinstance(rows, dict) and isinstance(rows["rows"], list)
            assert any(row["action"] == "admin_logged_in" for row in rows["rows"] if isinstance(row, dict))
            await admin.close()
            await asyncio.sleep(0.5)
            assert process.poll() is None
            words = (tmp_path / "output.txt").read_text(encoding="utf-8")
            assert "Traceback" not in words, words
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 15)
