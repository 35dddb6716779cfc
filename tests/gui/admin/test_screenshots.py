"""Every page and dialog, dark at 100 % and light at 200 %: nothing is cut off. The pictures are kept to be looked at.

A text fits in one theme as in the other; `tests.gui.admin.shots` draws the other two.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "artifacts" / "admin"
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("scale", "look"), [("1", "dark"), ("2", "light")])
def test_pages_when_drawn_cut_no_text_off(scale: str, look: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.gui.admin.shots", str(FOLDER), scale, look],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.split("\t") for line in done.stdout.splitlines() if line.startswith("admin-")]
    assert len(lines) >= 26
    assert [line for line in lines if line[1]] == []
    assert all((FOLDER / file).stat().st_size > 3000 for file, _ in lines)
