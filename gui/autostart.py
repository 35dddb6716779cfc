"""The entry that starts the tray with the user's sign-in: a registry value on Windows, a desktop file elsewhere.

The installer writes the value for every user of the machine (HKEY_LOCAL_MACHINE); a user's own is in HKEY_CURRENT_USER.
"""

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
    """Whether the tray starts with the user's sign-in, by the user's own entry or by the machine's."""
    if sys.platform == "win32":
        return for_everyone() or _registered("HKEY_CURRENT_USER")
    return _desktop_file().is_file()


def for_everyone() -> bool:
    """Whether the installer's entry, which only an administrator can change, starts it."""
    return sys.platform == "win32" and _registered("HKEY_LOCAL_MACHINE")


def _registered(root: str) -> bool:
    if sys.platform != "win32":
        return False
    import winreg

    try:
        with winreg.OpenKey(getattr(winreg, root), RUN_KEY) as key:
            return bool(winreg.QueryValueEx(key, NAME)[0])
    except OSError:
        return False


def set_enabled(on: bool) -> None:
    """Write or remove the user's own entry. Raises OSError when the system refuses."""
    if sys.platform == "win32":
        import winreg

        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:
            if on:
                winreg.SetValueEx(key, NAME, 0, winreg.REG_SZ, _quoted(command()))
            elif _registered("HKEY_CURRENT_USER"):
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
