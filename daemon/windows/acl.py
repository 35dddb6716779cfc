"""Who may do what with our folders, by security identifier so that it holds in every language of Windows.

Who may read a file may also block it (a read-only handle can take an exclusive lock, or be opened without sharing),
so the trader reads nothing that the daemon depends on: neither its database nor its logs nor its program. Only
``public`` is his.

The command builders are plain functions; what calls Windows is below them and does not exist elsewhere.
"""

from __future__ import annotations

import sys
from pathlib import PurePath

SYSTEM = "S-1-5-18"
ADMINISTRATORS = "S-1-5-32-544"
USERS = "S-1-5-32-545"
TRUSTED_INSTALLER = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
TRUSTED_OWNERS = frozenset({SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER})

PRIVATE_FOLDERS = ("config", "data", "logs", "run")
PUBLIC_FOLDER = "public"

# Owner and group Administrators; protected from what ProgramData hands down; full for SYSTEM and Administrators only.
PRIVATE_SDDL = "O:BAG:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"

# Users may query the service; only SYSTEM and Administrators control it.
SERVICE_SDDL = "D:(A;;CCLCSWRPWPDTLOCRRC;;;SY)(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;BA)(A;;CCLCSWRC;;;AU)"

_FULL = (f"*{SYSTEM}:(OI)(CI)F", f"*{ADMINISTRATORS}:(OI)(CI)F")


def home_commands(home: PurePath) -> list[tuple[str, ...]]:
    """``icacls`` commands that set the rights of the home folder and of what is in it. May be repeated."""
    only_ours = ("/inheritance:r", "/grant:r", *_FULL)
    return [
        ("icacls", str(home), *only_ours, f"*{USERS}:RX"),
        *(("icacls", str(home / name), *only_ours) for name in PRIVATE_FOLDERS),
        ("icacls", str(home / PUBLIC_FOLDER), "/grant", f"*{USERS}:(OI)(CI)RX"),
    ]


def program_commands(daemon_folder: PurePath) -> list[tuple[str, ...]]:
    """``icacls`` command that leaves users no entry on the daemon's program."""
    return [("icacls", str(daemon_folder), "/inheritance:r", "/grant:r", *_FULL)]


def take_over_commands(home: PurePath) -> list[tuple[str, ...]]:
    """Make a folder that someone else prepared ours: owner first, then drop every entry that was set by hand.

    ``takeown`` is only asked for the folder itself: its recursion asks a question whose answer depends on the language.
    Links are not followed (``/L``).
    """
    return [
        ("takeown", "/F", str(home), "/A"),
        ("icacls", str(home), "/inheritance:r", "/grant:r", *_FULL),
        ("icacls", str(home), "/setowner", f"*{ADMINISTRATORS}", "/T", "/L", "/Q"),
        ("icacls", str(home / "*"), "/reset", "/T", "/L", "/Q"),
    ]


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _OWNER_SECURITY_INFORMATION = 1
    _SE_FILE_OBJECT = 1

    class _SecurityAttributes(ctypes.Structure):
        _fields_ = [
            ("length", wintypes.DWORD),
            ("descriptor", ctypes.c_void_p),
            ("inherit", wintypes.BOOL),
        ]

    _advapi = ctypes.WinDLL("advapi32", use_last_error=True)
    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_void_p,
    ]
    _advapi.GetNamedSecurityInfoW.argtypes = [
        wintypes.LPCWSTR,
        ctypes.c_int,
        wintypes.DWORD,
        *[ctypes.POINTER(ctypes.c_void_p)] * 5,
    ]
    _advapi.GetNamedSecurityInfoW.restype = wintypes.DWORD
    _advapi.ConvertSidToStringSidW.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
    _kernel.CreateDirectoryW.argtypes = [wintypes.LPCWSTR, ctypes.POINTER(_SecurityAttributes)]
    _kernel.LocalFree.argtypes = [ctypes.c_void_p]

    def create_private_folder(path: PurePath) -> None:
        """Make a folder that only SYSTEM and Administrators may enter, in one step: nobody can slip a file in.

        Raises FileExistsError when it is there already, OSError otherwise.
        """
        descriptor = ctypes.c_void_p()
        if not _advapi.ConvertStringSecurityDescriptorToSecurityDescriptorW(
            PRIVATE_SDDL, 1, ctypes.byref(descriptor), None
        ):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            attributes = _SecurityAttributes(ctypes.sizeof(_SecurityAttributes), descriptor, False)
            if not _kernel.CreateDirectoryW(str(path), ctypes.byref(attributes)):
                raise ctypes.WinError(ctypes.get_last_error())
        finally:
            _kernel.LocalFree(descriptor)

    def owner_of(path: PurePath) -> str:
        """The owner's security identifier, e.g. ``S-1-5-32-544``. Raises OSError when Windows does not tell it."""
        owner, descriptor, text = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        error = _advapi.GetNamedSecurityInfoW(
            str(path),
            _SE_FILE_OBJECT,
            _OWNER_SECURITY_INFORMATION,
            ctypes.byref(owner),
            None,
            None,
            None,
            ctypes.byref(descriptor),
        )
        if error:
            raise ctypes.WinError(error)
        try:
            if not _advapi.ConvertSidToStringSidW(owner, ctypes.byref(text)):
                raise ctypes.WinError(ctypes.get_last_error())
            return ctypes.wstring_at(text.value or 0)
        finally:
            _kernel.LocalFree(text)
            _kernel.LocalFree(descriptor)

    def is_administrator() -> bool:
        """Whether this process runs elevated."""
        return bool(ctypes.WinDLL("shell32").IsUserAnAdmin())
