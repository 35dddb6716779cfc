"""Values below HKEY_LOCAL_MACHINE, in the 64-bit view. Does nothing elsewhere than on Windows."""

from __future__ import annotations

import sys

from daemon.windows.steps import SetRegistry


def set_value(wanted: SetRegistry) -> None:
    """Set one value, making its key. Raises OSError (PermissionError without an administrator)."""
    if sys.platform != "win32":
        return
    import winreg

    kind = winreg.REG_EXPAND_SZ if wanted.expand else winreg.REG_SZ
    if isinstance(wanted.data, int):
        kind = winreg.REG_DWORD
    with winreg.CreateKeyEx(winreg.HKEY_LOCAL_MACHINE, wanted.key, 0, winreg.KEY_WRITE) as key:
        winreg.SetValueEx(key, wanted.name, 0, kind, wanted.data)


def delete(key: str, name: str | None) -> None:
    """Delete one value, or the whole key (without subkeys) when ``name`` is None. Nothing there is fine."""
    if sys.platform != "win32":
        return
    import winreg

    try:
        if name is None:
            winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, key)
        else:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key, 0, winreg.KEY_SET_VALUE) as opened:
                winreg.DeleteValue(opened, name)
    except FileNotFoundError:
        return


def value(key: str, name: str | None) -> str | None:
    """One value as text, None when it is not there."""
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
            return str(winreg.QueryValueEx(opened, name or "")[0])
    except OSError:
        return None
