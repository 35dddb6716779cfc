"""Starting the admin window with the rights it needs."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path

from shared.paths import Home

CANCELLED = 1223
"""ERROR_CANCELLED: the user said no to the question of Windows."""
SW_SHOWNORMAL = 1


class Outcome(Enum):
    """How an attempt to open the admin window ended."""

    STARTED = "started"
    DECLINED = "declined"
    FAILED = "failed"


def admin_command(home: Home | None) -> tuple[str, list[str]]:
    """Program and arguments of the admin window: the installed program beside this one, else this interpreter."""
    arguments = [] if home is None else ["--home", str(home.root)]
    if getattr(sys, "frozen", False):
        return str(Path(sys.executable).with_name("RiskManagerAdmin.exe")), arguments
    return sys.executable, ["-m", "gui", "--admin", *arguments]


def open_admin(home: Home | None) -> tuple[Outcome, str]:
    """Start the admin window with administrator's rights; the outcome and one sentence about it ("" when started).

    Waits for the answer to Windows' question: call it from a worker thread.
    """
    program, arguments = admin_command(home)
    if sys.platform == "win32":
        return _run_as(program, arguments)
    try:
        subprocess.Popen([program, *arguments], start_new_session=True)
    except OSError as error:
        return Outcome.FAILED, f"The admin window could not be started: {error.strerror}."
    return Outcome.STARTED, ""


def _run_as(program: str, arguments: list[str]) -> tuple[Outcome, str]:
    if sys.platform != "win32":
        raise OSError("Only Windows asks for elevation this way.")
    import ctypes

    # ShellExecute may use COM, which each thread has to set up: apartment-threaded, without OLE1 (0x2 | 0x4).
    ctypes.WinDLL("ole32").CoInitializeEx(None, 0x6)
    shell = ctypes.WinDLL("shell32", use_last_error=True)
    shell.ShellExecuteW.restype = ctypes.c_void_p
    result = shell.ShellExecuteW(None, "runas", program, subprocess.list2cmdline(arguments), None, SW_SHOWNORMAL)
    return judge(int(result or 0), ctypes.get_last_error())


def judge(result: int, last_error: int) -> tuple[Outcome, str]:
    """What ShellExecuteW's result means: above 32 it has started, 1223 is a No."""
    if result > 32:
        return Outcome.STARTED, ""
    if CANCELLED in (last_error, result):
        return Outcome.DECLINED, "The admin window was not opened: the question of Windows was answered with No."
    return Outcome.FAILED, f"The admin window could not be started (Windows error {last_error or result})."


def without_rights(home: Home) -> str:
    """Why the admin window can't work here, and what to do."""
    if sys.platform == "win32":
        return (
            "The admin window needs administrator's rights. Choose Admin… in the tray's menu and answer the question "
            "of Windows with Yes, or ask the person who administers this computer."
        )
    return (
        f"The admin window needs to read {home.admin_key}, which belongs to the account that runs the daemon. "
        "Start it as that account while the daemon runs."
    )
