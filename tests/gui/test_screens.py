"""Every page in both themes at 100 % and 200 % into tests/artifacts/gui, and no text that does not fit."""

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from tests.gui.scenes import SCENES, SMALL

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "artifacts" / "gui"


@pytest.fixture(scope="module")
def drawn() -> dict[int, list[str]]:
    """The program's lines by scale in per cent; both scales are drawn at the same time."""
    processes = {
        scale: subprocess.Popen(
            [sys.executable, "-m", "tests.gui.shots", str(FOLDER), str(scale / 100)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for scale in (100, 200)
    }
    lines = {}
    for scale, process in processes.items():
        try:
            output, errors = process.communicate(timeout=110)
        finally:
            process.kill()
        assert process.returncode == 0, errors[-2000:]
        lines[scale] = output.splitlines()
    return lines


@pytest.mark.parametrize("scale", [100, 200])
def test_screens_when_drawn_have_every_scene_in_both_themes(drawn: dict[int, list[str]], scale: int) -> None:
    names = {line.split("\t")[0] for line in drawn[scale]}
    assert names == {f"{scene.name}-{theme}-{scale}.png" for scene in SCENES for theme in ("dark", "light")}
    for name in sorted(names):
        image = QImage(str(FOLDER / name))
        assert not image.isNull(), name
        colors = {image.pixel(x, y) for x in range(0, image.width(), 23) for y in range(0, image.height(), 17)}
        assert len(colors) > 8, f"{name} is blank"


@pytest.mark.parametrize("scale", [100, 200])
def test_screens_when_drawn_cut_no_text(drawn: dict[int, list[str]], scale: int) -> None:
    cut = {line.split("\t")[0]: line.split("\t")[2] for line in drawn[scale] if line.split("\t")[2]}
    assert cut == {}


def test_screens_when_window_is_smallest_stay_at_the_promised_size(drawn: dict[int, list[str]]) -> None:
    small = [scene for scene in SCENES if scene.size == SMALL]
    assert len(small) >= 5
    sizes = {line.split("\t")[0]: line.split("\t")[1] for line in drawn[100]}
    assert {sizes[f"{scene.name}-dark-100.png"] for scene in small} == {"900x600"}
