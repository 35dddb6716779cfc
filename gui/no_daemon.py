"""What to do when there is no daemon: what the trader can do, whom he asks, what an administrator types. No Qt."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath

SERVICE = "RiskManagerDaemon"
DISPLAY_NAME = "Risk Manager Daemon"
ELEVATED = "in a command prompt opened with “Run as administrator”"
DEMO = "To try everything with a simulated broker, "


@dataclass(frozen=True, slots=True)
class Advice:
    """`steps` in order; `command` belongs to the last of them; `demo`: how to see the program work without a daemon."""

    steps: tuple[str, ...]
    command: str
    demo: str


def advice(*, windows: bool, installed: bool, folder: PurePath | None) -> Advice:
    """`installed`: there is the service; `folder`: the install folder of the running program, None in a source tree."""
    if not windows:
        start = "Start the daemon in a terminal, and fill in the files it names at its first start."
        return Advice((start,), "riskd run", f"{DEMO}run: riskd demo")
    unpacked = "open a command prompt in the folder that was unpacked from the zip, and type: riskd demo"
    if not installed:
        return Advice(
            (
                "Ask the administrator of this computer to install Risk Manager: its service is not there. Nothing "
                "watches your accounts until then.",
                f"The administrator types this {ELEVATED}:",
            ),
            _typed(folder, "install.cmd", ""),
            DEMO + unpacked,
        )
    return Advice(
        (
            "If the computer was just started, wait a minute: the service starts by itself. If it does not, restart "
            "the computer once.",
            f"If this stays, ask the administrator of this computer to start the service “{DISPLAY_NAME}”. Nothing "
            "watches your accounts until then: better do not trade.",
            f"The administrator types this {ELEVATED}; it also says why the service does not start:",
        ),
        _typed(folder, "riskd.cmd", "service start"),
        DEMO + unpacked,
    )


def _typed(folder: PurePath | None, script: str, words: str) -> str:
    if folder is None:
        return f"riskd {words or 'service install'}"
    return f'"{PureWindowsPath(folder) / script}" {words}'.strip()


def advice_here() -> Advice:
    """For this computer and this program."""
    folder = Path(sys.executable).parents[1] if getattr(sys, "frozen", False) else None
    return advice(windows=sys.platform == "win32", installed=service_installed(), folder=folder)


def service_installed() -> bool:
    """Whether Windows knows the service; what can't be told counts as installed, which advises more."""
    if sys.platform != "win32":
        return False
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, rf"SYSTEM\CurrentControlSet\Services\{SERVICE}"):
            return True
    except FileNotFoundError:
        return False
    except OSError:
        return True
