"""Draws the pictures of the guides into docs/images: `uv run python docs/make_screenshots.py`.

The trader's pages come from the made-up day of `tests.gui.sample`, the admin's from a daemon over the simulated
gateway, both without a screen. Each picture is cut down to its 256 most frequent colours, which a window of few colours
survives unseen and which makes it a third as large.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QGuiApplication, QImage, QPainter

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "images"
SCALE = 1.5
COLOURS = 256
BYTES_AT_MOST = 1_200_000
TIMEOUT_SECONDS = 300

TRADER = {
    "overview": "overview-dark",
    "locked": "overview-locked-dark",
    "rules": "rules-dark",
    "log": "log-light",
    "lock-me": "lock-dialog-light",
}
ADMIN = {
    "admin-setup": "admin-setup-preset-dark",
    "admin-rules": "admin-rules-dark",
    "admin-review": "admin-review-dark",
    "admin-waiting": "admin-rules-waiting-dark",
    "admin-lockouts": "admin-lockouts-dark",
}
"""Picture of a guide -> what the drawing program calls it, without its scale."""


def draw(module: str, folder: Path, *arguments: str) -> None:
    """Run a drawing program; the scale of Qt is fixed at its start, so each is a process. Raises when it fails."""
    subprocess.run(
        [sys.executable, "-m", module, str(folder), str(SCALE), *arguments],
        cwd=ROOT,
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_SECONDS,
    )


def few_colours(image: QImage) -> QImage:
    """The picture in its most frequent colours; each other pixel gets the nearest of them."""
    plain = image.convertToFormat(QImage.Format.Format_RGB32)
    counted = Counter(memoryview(plain.constBits()).cast("I"))
    table = [colour for colour, _ in counted.most_common(COLOURS)]
    return plain.convertToFormat(QImage.Format.Format_Indexed8, table, Qt.ImageConversionFlag.ThresholdDither)


def save(image: QImage, name: str) -> int:
    """Write docs/images/NAME.png; its size in bytes. Raises OSError when it can't be written."""
    target = FOLDER / f"{name}.png"
    if not few_colours(image).save(str(target), "PNG", 0):  # type: ignore[call-overload]
        raise OSError(f"{target} could not be written.")
    return target.stat().st_size


def tray_icons() -> QImage:
    """The four states of the tray icon side by side, over a dark and a light task bar."""
    from gui.app_state import Protection
    from gui.views.icons import tray_icon

    states = (Protection.PROTECTED, Protection.WARNING, Protection.LOCKED, Protection.UNREACHABLE)
    cell, icon = 64, 32
    image = QImage(cell * len(states) * 2, cell, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    for half, bar in enumerate((0x1F1F1F, 0xF3F3F3)):
        left = half * cell * len(states)
        painter.fillRect(QRect(left, 0, cell * len(states), cell), QColor.fromRgb(bar))
        for number, state in enumerate(states):
            corner = left + number * cell + (cell - icon) // 2
            painter.drawPixmap(corner, (cell - icon) // 2, tray_icon(state).pixmap(icon, icon))
    painter.end()
    return image


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    application = QGuiApplication.instance() or QGuiApplication([])
    sizes = {"tray": save(tray_icons(), "tray")}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        draw("tests.gui.shots", folder)
        draw("tests.gui.admin.shots", folder, "dark")
        for name, drawn in (TRADER | ADMIN).items():
            file = folder / f"{drawn}-{round(SCALE * 100)}.png"
            image = QImage(str(file))
            if image.isNull():
                raise FileNotFoundError(f"The drawing program did not draw {file.name}.")
            sizes[name] = save(image, name)
    for name, size in sizes.items():
        print(f"{size:>8,} bytes  {name}.png")  # noqa: T201 - its output
    total = sum(sizes.values())
    print(f"{total:>8,} bytes  together")  # noqa: T201 - its output
    application.quit()
    return 0 if total <= BYTES_AT_MOST else 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
