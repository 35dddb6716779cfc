"""The GUI on Qt's own plugin for Windows, on a virtual display: it starts, shows something, and can be looked at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.windows.bed.windows import ROOT, Windows, eventually

pytestmark = pytest.mark.timeout(500)

SHOT = "tests.windows.bed.screenshot"
PICTURES = ROOT / "tests" / "artifacts" / "windows"


@pytest.fixture(scope="module")
def windows() -> Iterator[Windows]:
    """Windows with a display of its own (`xvfb-run` finds a free number)."""
    made = Windows([os.environ["WPY"], "-m", "daemon"])
    display = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert display.stdout is not None
    number = display.stdout.readline().decode().strip()
    assert number, "Xvfb did not start"
    os.environ["DISPLAY"] = f":{number}"
    yield made
    display.kill()
    display.wait(10)


@pytest.mark.parametrize("which", ["trader", "admin"])
def test_window_when_started_under_the_windows_plugin_shows_itself(windows: Windows, which: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture = PICTURES / f"{which}.png"
    picture.unlink(missing_ok=True)
    code, said = windows.run(os.environ["WPY"], "-m", SHOT, which, f"Z:{picture}", timeout_s=240)

    assert code == 0, said
    assert "platform=windows" in said, said
    eventually(picture.exists, f"the picture: {said}", timeout_s=5)
    colours = int(said.split("colours=")[1].split()[0])
    assert colours > 20, f"the window is empty: {said}"
