"""The home folder: where configuration, state, logs and the public replica live, and where shipped files are found."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

APP_NAME = "RiskManager"
HOME_VARIABLE = "RISK_MANAGER_HOME"

PRIVATE_MODE = 0o700
"""Folders nobody but the daemon's account may enter."""
PUBLIC_MODE = 0o755
"""Folders everybody may read: who may read a file may block it, so nothing the daemon depends on lies there."""


@dataclass(frozen=True)
class Home:
    """The folders and files of one installation, all below ``root``."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def accounts_file(self) -> Path:
        return self.config / "accounts.yaml"

    @property
    def risk_config_file(self) -> Path:
        return self.config / "risk_config.yaml"

    @property
    def holidays_file(self) -> Path:
        return self.config / "holidays.yaml"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def database(self) -> Path:
        return self.data / "state.db"

    @property
    def backups(self) -> Path:
        return self.data / "backups"

    @property
    def journal(self) -> Path:
        return self.data / "journal"

    @property
    def config_state_file(self) -> Path:
        """Active configuration, wished configuration and the time of the change (`daemon.protection`)."""
        return self.data / "config_state.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def admin_key(self) -> Path:
        return self.run / "admin.key"

    @property
    def public(self) -> Path:
        return self.root / "public"

    @property
    def endpoint(self) -> Path:
        return self.public / "endpoint.json"

    @property
    def view(self) -> Path:
        """The first name of the replica; ``endpoint.json`` says which one is current."""
        return self.public / "view.db"

    @property
    def activity_log(self) -> Path:
        return self.public / "activity.log"

    def create(self) -> None:
        """Make all folders that are missing. Private ones get mode 0700, the root and ``public`` 0755.

        Raises OSError when a folder cannot be made, or a file stands where one should be. On Windows the modes mean
        nothing; the installation sets the access lists.
        """
        self.root.mkdir(parents=True, exist_ok=True, mode=PUBLIC_MODE)
        for folder in (self.config, self.data, self.backups, self.journal, self.logs, self.run):
            folder.mkdir(exist_ok=True)
            folder.chmod(PRIVATE_MODE)
        self.public.mkdir(exist_ok=True)
        self.public.chmod(PUBLIC_MODE)


def find_home(explicit: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Home:
    """The home folder: ``--home``, else RISK_MANAGER_HOME, else the platform's place. Nothing is created.

    The platform's place is %ProgramData%\\RiskManager on Windows (shared by all users of the machine, the service
    included) and the user's data folder elsewhere.
    """
    env = os.environ if environ is None else environ
    chosen = str(explicit) if explicit else env.get(HOME_VARIABLE, "")
    if chosen:
        return Home(Path(chosen).expanduser().absolute())
    if sys.platform == "win32":
        return Home(Path(env.get("PROGRAMDATA", r"C:\ProgramData")) / APP_NAME)
    return Home(platformdirs.user_data_path(APP_NAME, appauthor=False))


def shipped(relative: str) -> Path:
    """A file or folder that is part of the program, such as ``config/holidays.yaml`` or ``resources/icon.svg``.

    Looked for in the unpacked program (PyInstaller's ``sys._MEIPASS``), in the installed wheel (``shared/_shipped``)
    and in the source tree, in this order. Raises FileNotFoundError if the program was packed without it.
    """
    here = Path(__file__).resolve().parent
    roots = [here / "_shipped", here.parent]
    unpacked = getattr(sys, "_MEIPASS", None)
    if unpacked:
        roots.insert(0, Path(unpacked))
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f"{relative} is missing from the program; install it again")
