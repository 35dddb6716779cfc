"""What one user of this computer prefers: theme, sounds, window place. Never anything that protects."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings


class Settings:
    """Typed access to the user's settings file.

    `file`: an INI file (tests); None: the platform's place for the signed-in user.
    """

    def __init__(self, file: Path | None = None) -> None:
        if file is not None:
            self._store = QSettings(str(file), QSettings.Format.IniFormat)
        else:
            self._store = QSettings(
                QSettings.Format.IniFormat, QSettings.Scope.UserScope, "RiskManager", "RiskManagerWindow"
            )

    def _flag(self, key: str, default: bool) -> bool:
        value = self._store.value(key, default)
        return value if isinstance(value, bool) else str(value).lower() == "true"

    @property
    def theme(self) -> str:
        """ "system", "dark" or "light"."""
        value = str(self._store.value("look/theme", "system"))
        return value if value in ("system", "dark", "light") else "system"

    @theme.setter
    def theme(self, value: str) -> None:
        self._store.setValue("look/theme", value)

    @property
    def sounds(self) -> bool:
        return self._flag("notices/sounds", True)

    @sounds.setter
    def sounds(self, value: bool) -> None:
        self._store.setValue("notices/sounds", value)

    @property
    def toasts(self) -> bool:
        return self._flag("notices/toasts", True)

    @toasts.setter
    def toasts(self, value: bool) -> None:
        self._store.setValue("notices/toasts", value)

    @property
    def autostart_offered(self) -> bool:
        return self._flag("start/offered", False)

    @autostart_offered.setter
    def autostart_offered(self, value: bool) -> None:
        self._store.setValue("start/offered", value)

    @property
    def account(self) -> int | None:
        """The account shown last."""
        value = self._store.value("view/account")
        return int(str(value)) if value is not None and str(value).isdecimal() else None

    @account.setter
    def account(self, value: int | None) -> None:
        self._store.setValue("view/account", value)

    @property
    def page(self) -> str:
        """The page shown last."""
        return str(self._store.value("view/page", ""))

    @page.setter
    def page(self, value: str) -> None:
        self._store.setValue("view/page", value)

    def geometry(self, window: str) -> QByteArray | None:
        """Where a window was; None for the first time."""
        value = self._store.value(f"geometry/{window}")
        return value if isinstance(value, QByteArray) else None

    def set_geometry(self, window: str, value: QByteArray) -> None:
        self._store.setValue(f"geometry/{window}", value)

    def sync(self) -> None:
        """Write to disk now."""
        self._store.sync()
