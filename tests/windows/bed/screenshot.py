"""Runs on Windows: starts the GUI and saves what its window shows. ``screenshot.py WHICH FILE``."""

import ctypes
import sys
import tempfile
from ctypes import wintypes
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QWidget

from gui.app import main_loop
from shared.paths import Home

which, target = sys.argv[1:3]


def window() -> QWidget | None:
    shown = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible() and widget.width() > 200]
    return max(shown, key=lambda widget: widget.width() * widget.height(), default=None)


def look() -> None:
    seen = window()
    if seen is None:
        QTimer.singleShot(500, look)
        return
    image = seen.grab().toImage()
    image.save(target)
    colours = {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
    sys.stdout.write(
        f"platform={QGuiApplication.platformName()} title={seen.windowTitle()!r} colours={len(colours)} "
        f"size={image.width()}x{image.height()}\n"
    )
    sys.stdout.flush()
    end()


def end() -> None:
    """Seen is seen: how the program ends is tested elsewhere, and Wine may fail while libraries say goodbye."""
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    kernel.TerminateProcess.argtypes = [wintypes.HANDLE, wintypes.UINT]
    kernel.TerminateProcess(kernel.GetCurrentProcess(), 0)


app = QApplication(["RiskManager"])
QTimer.singleShot(3000, look)
with tempfile.TemporaryDirectory() as folder:
    home = Home(Path(folder))
    home.create()
    sys.exit(main_loop(home, minimized=False, admin=which == "admin"))
