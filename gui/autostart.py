"""The entry that starts the tray with the user's sign-in: a registry value on Windows, a desktop file elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAME = "RiskManager"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"


def command() -> list[str]:
    """The program to start: the installed one, else this interpreter with the package."""
    if getattr(sys, "frozen", False):
        return [sys.executable, "--minimized"]
    return [sys.executable, "-m", "gui", "--minimized"]


def _quoted(parts: list[str]) -> str:
    return " ".join(f'"{part}"' if " " in part else part for part in parts)


def _desktop_file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "autostart" / "risk-manager.desktop"


def enabled() -> bool:
    """Whether the entry is there."""
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
                return bool(winreg.QueryValueEx(key, NAME)[0])
        except OSError:
            return False
    return _desktop_file().is_file()


def set_enabled(on: bool) -> None:
    """Write or remove the entry. Raises OSError when the system refuses."""
    if sys.platform == "win32":
        import winreg

        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
            if on:
                winreg.SetValueEx(key, NAME, 0, winreg.REG_SZ, _quoted(command()))
            elif enabled():
                winreg.DeleteValue(key, NAME)
        return
    target = _desktop_file()
    if not on:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(
        "[Desktop Entry]\nType=Application\nName=Risk Manager\n"
        f"Exec={_quoted(command())}\nX-GNOME-Autostart-enabled=true\n",
        encoding="utf-8",
    )
