"""Draws every page in a theme at a scale into PNG files: `python -m tests.gui.shots FOLDER SCALE`.

A program of its own because the scale of Qt is fixed when the application starts. Prints one line a picture:
file, and the texts that do not fit (there must be none).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"


def main() -> int:
    folder, scale = Path(sys.argv[1]), sys.argv[2]
    os.environ["QT_SCALE_FACTOR"] = scale
    from PySide6.QtWidgets import QApplication

    from gui.app import make_application
    from gui.settings import Settings
    from tests.gui.scenes import SCENES, Stage

    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(folder / "settings.ini")
    app = make_application(settings)
    assert isinstance(app, QApplication)
    stage = Stage(app, settings)
    for scene, theme_name, image, cut in stage.draw(SCENES):
        name = f"{scene.name}-{theme_name}-{round(float(scale) * 100)}.png"
        # A high quality means little work on compression here; a PNG loses nothing either way.
        image.save(str(folder / name), "PNG", 85)  # type: ignore[call-overload]
        print(f"{name}\t{image.width()}x{image.height()}\t{' | '.join(cut)}")  # noqa: T201 - its output
    return 0


if __name__ == "__main__":
    sys.exit(main())
