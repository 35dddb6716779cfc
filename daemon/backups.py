"""Backups in data/backups: of the state (`daemon.store.backup`) and of the configuration, made together and listed.

What is done with one is in `daemon.restore`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

from daemon.audit_secrets import without_secrets
from daemon.config_errors import ConfigErrors
from daemon.config_files import FILES
from daemon.config_loader import load_accounts
from daemon.config_writing import PatchError, patch_text, write_atomically
from daemon.store import StoreError
from shared.paths import Home

KEPT: Final = 30
"""Copies of the configuration that are kept."""


class BackupError(Exception):
    """Something was not backed up; the text is one plain sentence for each."""


class StateKeeper(Protocol):
    """Copies the database; `daemon.store.Store` is one."""

    async def backup(self, now: datetime) -> Path:
        """The copy made. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Backup:
    """Names of the files in data/backups that one backup consists of."""

    state: str
    configuration: str


class Backups:
    """Makes backups, of state and configuration alike, for the daily timer and for the admin."""

    def __init__(self, home: Home, store: StateKeeper) -> None:
        self._home = home
        self._store = store

    async def make(self) -> Backup:
        """Back both up. One that fails does not keep the other from being made. Raises BackupError."""
        at = datetime.now(UTC)  # for the files' names only
        problems: list[str] = []
        state = configuration = ""
        try:
            state = (await self._store.backup(at)).name
        except StoreError as error:
            problems.append(str(error))
        try:
            configuration = (await asyncio.to_thread(back_up_configuration, self._home, at)).name
        except BackupError as error:
            problems.append(str(error))
        if problems:
            raise BackupError(" ".join(problems))
        return Backup(state, configuration)


def back_up_configuration(home: Home, at: datetime) -> Path:
    """Copy the three files into one, config-20261121T071946Z.json, without API keys. Blocks. Raises BackupError."""
    texts: dict[str, str] = {}
    for name in FILES:
        try:
            texts[name] = (home.config / name).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):
            continue  # what is in force is in the state; a file that is no text brings nothing back
        except OSError as error:
            raise BackupError(f"{home.config / name} could not be read ({error.strerror}).") from error
    if "accounts.yaml" in texts:
        texts["accounts.yaml"] = without_keys(texts["accounts.yaml"])
    target = home.backups / f"config-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.json"
    try:
        home.backups.mkdir(parents=True, exist_ok=True)
        write_atomically(target, json.dumps({"version": 1, "files": texts}, indent=1))
    except OSError as error:
        raise BackupError(f"The backup {target} could not be written ({error.strerror}).") from error
    for old in sorted(home.backups.glob("config-*.json"), key=lambda found: found.name, reverse=True)[KEPT:]:
        with contextlib.suppress(OSError):
            old.unlink()
    for kept in home.backups.glob("config-*.json"):
        _strip(kept)
    return target


def without_keys(text: str) -> str:
    """accounts.yaml with every API key that stands in it replaced by the reference to the key store.

    A backup lives longer than the key in the file does, and `daemon.restore` puts the present keys back.
    """
    try:
        literal = [login for login in load_accounts(text).logins if not login.uses_keyring]
        steps = [{"path": ["logins", login.username, "api_key"], "value": "keyring"} for login in literal]
        return patch_text(text, steps) if steps else text
    except (ConfigErrors, PatchError):
        return str(without_secrets(text))


def _strip(path: Path) -> None:
    """Take the keys out of a backup that an earlier version made."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        content = json.loads(path.read_text(encoding="utf-8"))
        text = content["files"]["accounts.yaml"]
        stripped = without_keys(text)
        if stripped != text:
            content["files"]["accounts.yaml"] = stripped
            write_atomically(path, json.dumps(content, indent=1))


def list_backups(home: Home) -> list[dict[str, Any]]:
    """Backups, newest first: file, what ("state" or "configuration"), at (UTC), bytes, note. Blocks."""
    rows = []
    for path in [*home.backups.glob("state-*.db"), *home.backups.glob("config-*.json")]:
        stem, _, rest = path.stem.partition("-")
        stamp, _, note = rest.partition("-")
        try:
            at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            size = path.stat().st_size
        except (ValueError, OSError):
            continue
        rows.append(
            {
                "file": path.name,
                "what": "state" if stem == "state" else "configuration",
                "at": at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
                "bytes": size,
                "note": f"before the change of the database to {note.removeprefix('before-')}"
                if note.startswith("before-")
                else note,
            }
        )
    return sorted(rows, key=lambda row: (str(row["at"]), str(row["file"])), reverse=True)
