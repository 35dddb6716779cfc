"""What one user of this computer prefers: theme, sounds, window place. Never anything that protects."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from shared.paths import Home, find_home

USUAL, OTHER = "RiskManagerWindow", "RiskManagerOtherHome"
"""Names of the user's settings: of the usual home folder, and of all others, such as a demonstration's."""


def is_usual(home: Home) -> bool:
    """Whether a program started without naming a home folder would use this one."""
    return home.root == find_home(None).root


class Settings:
    """Typed access to the user's settings file.

    `file`: an INI file (tests); None: the platform's place for the signed-in user, under `name`.
    """

    def __init__(self, file: Path | None = None, *, name: str = USUAL) -> None:
        if file is not None:
            self._store = QSettings(str(file), QSettings.Format.IniFormat)
        else:
            self._store = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "RiskManager", name)

    @staticmethod
    def of(home: Home) -> Settings:
        """The user's settings for a home folder: what is chosen in a demonstration leaves the own window alone."""
        return Settings(name=USUAL if is_usual(home) else OTHER)

    @property
    def file(self) -> Path:
        """Where they are kept."""
        return Path(self._store.fileName())

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
