"""Runs on Windows: blocks a file as a curious or hostile reader may. ``blocker.py lock|alone FILE READY``."""

import ctypes
import sys
import time
from pathlib import Path

how, path, ready = sys.argv[1:4]
assert sys.platform == "win32"
kernel = ctypes.WinDLL("kernel32", use_last_error=True)
kernel.CreateFileW.restype = ctypes.c_void_p
GENERIC_READ, OPEN_EXISTING, SHARE_ALL = 0x8000_0000, 3, 7
handle = kernel.CreateFileW(path, GENERIC_READ, SHARE_ALL if how == "lock" else 0, None, OPEN_EXISTING, 0, None)
if handle in (None, ctypes.c_void_p(-1).value):
    sys.exit(f"{path} can't be opened: {ctypes.get_last_error()}")
if how == "lock":  # exclusively, with a handle that may only read: SQLite's bytes for writing and checkpointing
    EXCLUSIVE_AT_ONCE, WRITE_LOCK, LOCKS = 3, 120, 2
    overlapped = (ctypes.c_uint32 * 8)(0, 0, 0, 0, WRITE_LOCK)
    for _ in range(2000):
        if kernel.LockFileEx(ctypes.c_void_p(handle), EXCLUSIVE_AT_ONCE, 0, LOCKS, 0, ctypes.byref(overlapped)):
            break
        time.sleep(0.005)
    else:
        sys.exit(f"{path} can't be locked: {ctypes.get_last_error()}")
Path(ready).write_text("blocked")
time.sleep(300)
