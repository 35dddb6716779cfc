"""The few process functions of Windows that Python does not offer, through ctypes. Importable on Windows only.

``os.getppid`` is not used: it walks a snapshot of all processes, and crashes under Wine 8.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    import ntpath
    from ctypes import wintypes

    SYNCHRONIZE = 0x0010_0000
    QUERY_LIMITED_INFORMATION = 0x1000
    INFINITE = 0xFFFF_FFFF

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _ntdll = ctypes.WinDLL("ntdll")
    _kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.CloseHandle.argtypes = [wintypes.HANDLE]
    _kernel.GetCurrentProcess.restype = wintypes.HANDLE
    _kernel.CreateEventW.argtypes = [ctypes.c_void_p, wintypes.BOOL, wintypes.BOOL, wintypes.LPCWSTR]
    _kernel.CreateEventW.restype = wintypes.HANDLE
    _kernel.SetEvent.argtypes = [wintypes.HANDLE]
    _kernel.WaitForMultipleObjects.argtypes = [
        wintypes.DWORD,
        ctypes.POINTER(wintypes.HANDLE),
        wintypes.BOOL,
        wintypes.DWORD,
    ]
    _kernel.WaitForMultipleObjects.restype = wintypes.DWORD
    _kernel.GetProcessTimes.argtypes = [wintypes.HANDLE, *[ctypes.POINTER(wintypes.FILETIME)] * 4]
    _kernel.QueryFullProcessImageNameW.argtypes = [
        wintypes.HANDLE,
        wintypes.DWORD,
        wintypes.LPWSTR,
        ctypes.POINTER(wintypes.DWORD),
    ]
    _ntdll.NtQueryInformationProcess.argtypes = [
        wintypes.HANDLE,
        ctypes.c_int,
        ctypes.c_void_p,
        wintypes.ULONG,
        ctypes.POINTER(wintypes.ULONG),
    ]
    _ntdll.NtQueryInformationProcess.restype = ctypes.c_long

    class _BasicInformation(ctypes.Structure):
        """PROCESS_BASIC_INFORMATION; the last member is the parent's process id."""

        _fields_ = [
            ("exit_status", ctypes.c_void_p),
            ("peb", ctypes.c_void_p),
            ("affinity", ctypes.c_void_p),
            ("priority", ctypes.c_void_p),
            ("pid", ctypes.c_void_p),
            ("parent_pid", ctypes.c_void_p),
        ]

    def current_process() -> int:
        """A pseudo handle, never to be closed."""
        return int(_kernel.GetCurrentProcess())

    def open_process(pid: int, rights: int) -> int | None:
        """A handle with ``rights`` to process ``pid``, or None: gone, or forbidden."""
        handle = _kernel.OpenProcess(rights, False, pid)
        return int(handle) if handle else None

    def close(handle: int) -> None:
        """Give a handle back; one of `open_process` or `create_event`, once."""
        _kernel.CloseHandle(handle)

    def parent_of(handle: int) -> int | None:
        """The id of the process that started this one; it may have ended, and its id may be in use again."""
        information, size = _BasicInformation(), wintypes.ULONG()
        status = _ntdll.NtQueryInformationProcess(
            handle, 0, ctypes.byref(information), ctypes.sizeof(information), ctypes.byref(size)
        )
        return int(information.parent_pid or 0) or None if status == 0 else None

    def created(handle: int) -> int | None:
        """When the process was created, in 100 ns since 1601 UTC: only to be compared with another's."""
        times = [wintypes.FILETIME() for _ in range(4)]
        if not _kernel.GetProcessTimes(handle, *[ctypes.byref(time) for time in times]):
            return None
        return int(times[0].dwHighDateTime) << 32 | int(times[0].dwLowDateTime)

    def image_name(handle: int) -> str:
        """File name of the program, e.g. ``nssm.exe``; empty when Windows does not say."""
        size = wintypes.DWORD(32_768)
        buffer = ctypes.create_unicode_buffer(size.value)
        found = _kernel.QueryFullProcessImageNameW(handle, 0, buffer, ctypes.byref(size))
        return ntpath.basename(buffer.value) if found else ""

    def create_event() -> int:
        """A handle to an event that stays set once it is (manual reset), to be waited for with `wait_any`."""
        return int(_kernel.CreateEventW(None, True, False, None))

    def set_event(event: int) -> None:
        """Wake who waits for it; may be called in any thread."""
        _kernel.SetEvent(event)

    def wait_any(handles: list[int]) -> int:
        """Blocks until one of the handles is signalled; returns its index, or a large number when the wait failed."""
        array = (wintypes.HANDLE * len(handles))(*handles)
        return int(_kernel.WaitForMultipleObjects(len(handles), array, False, INFINITE))
