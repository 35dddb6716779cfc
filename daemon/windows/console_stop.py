"""Ctrl+C, which is how NSSM asks the daemon to stop, straight from the console.

Not through ``signal.signal``: libraries with native code may put a SIGINT handler of their own in the C runtime after
ours (polars does while it is imported; under Wine 8 the stop then crashed), and a handler of ours is called before
the C runtime's whenever it was registered after it. Log-off and shutdown are left to what is there: the daemon
outlives every log-off.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

_kept: list[object] = []  # Windows calls them until the process ends


def on_ctrl_c(callback: Callable[[], None]) -> bool:
    """Call ``callback`` at every Ctrl+C, from a thread that Windows makes for it: it must be thread-safe and quick.

    The default handling (KeyboardInterrupt) is replaced. Returns False, without doing anything, where there is no such
    console: elsewhere than on Windows.
    """
    if sys.platform != "win32":
        return False
    import ctypes
    from ctypes import wintypes

    ctrl_c_event = 0

    def handle(event: int) -> bool:
        if event != ctrl_c_event:
            return False
        callback()
        return True

    handler = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(handle)
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    # NSSM starts processes with Ctrl+C switched off for their group: without this no handler would be called.
    kernel.SetConsoleCtrlHandler(None, False)
    if not kernel.SetConsoleCtrlHandler(handler, True):
        raise ctypes.WinError(ctypes.get_last_error())
    _kept.append(handler)
    return True
