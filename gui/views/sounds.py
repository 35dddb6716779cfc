"""Plays the shipped sounds with what the platform has; silence is never an error."""

from __future__ import annotations

import shutil
import subprocess
import sys

from PySide6.QtWidgets import QApplication

from gui.app_state import NoticeKind
from shared.paths import shipped

PLAYERS = (("pw-play",), ("paplay",), ("aplay", "-q"), ("afplay",))
_running: list[subprocess.Popen[bytes]] = []


def play(kind: NoticeKind) -> None:
    """Start the sound of a notice and return at once; without a player the system's beep."""
    path = str(shipped(f"resources/sounds/{kind.value}.wav"))
    if sys.platform == "win32":
        import winsound

        winsound.PlaySound(path, winsound.SND_FILENAME | winsound.SND_ASYNC | winsound.SND_NODEFAULT)
        return
    _running[:] = [process for process in _running if process.poll() is None]
    for player in PLAYERS:
        program = shutil.which(player[0])
        if program is not None:
            quiet = subprocess.DEVNULL
            _running.append(subprocess.Popen([program, *player[1:], path], stdin=quiet, stdout=quiet, stderr=quiet))
            return
    QApplication.beep()
