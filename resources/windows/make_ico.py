"""Renders an SVG into a Windows icon with all the sizes Windows asks for: ``make_ico.py app.svg app.ico``.

Run by hand when the drawing changes; the result is kept beside it, so that a build needs no display.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

SIZES = (16, 20, 24, 32, 40, 48, 64, 256)


def png(renderer: QSvgRenderer, size: int) -> bytes:
    """The drawing as a PNG of ``size`` x ``size`` pixels with a transparent ground."""
    image = QImage(size, size, QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs know only file names
    return bytes(data.data())


def icon(images: list[tuple[int, bytes]]) -> bytes:
    """An .ico file: directory entries, then the PNGs (Windows takes them since Vista)."""
    offset = 6 + 16 * len(images)
    entries, bodies = b"", b""
    for size, body in images:
        entries += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(body), offset + len(bodies))
        bodies += body
    return struct.pack("<HHH", 0, 1, len(images)) + entries + bodies


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    app = QGuiApplication(["make_ico", "-platform", "offscreen"])
    drawing = QSvgRenderer(str(source))
    target.write_bytes(icon([(size, png(drawing, size)) for size in SIZES]))
