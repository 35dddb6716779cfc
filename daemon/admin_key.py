"""The key of admin sessions: run/admin.key, 32 random bytes, new at every daemon start.

Who can read it is an administrator. The file is created with its permissions (0600 in a 0700 folder; on Windows the
folder's ACL, which files inherit, says SYSTEM and Administrators only) and put in place whole; nothing here ever widens
them.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from shared.admin_auth import KEY_BYTES

FILE_NAME = "admin.key"


class AdminKeyError(Exception):
    """The key can't be written safely; the text is one sentence with the file and the mend."""


def write_admin_key(run_dir: Path, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Makes a new key, replaces `run_dir`/admin.key with it and returns its 32 bytes. Raises AdminKeyError.

    The folder is created 0700 if missing, narrowed to 0700 if it is ours and wider. A folder of somebody else is
    refused: its owner could replace the key.
    """
    key = random_bytes(KEY_BYTES)
    path = run_dir / FILE_NAME
    # A name nobody can guess, made with O_EXCL: neither a file nor a link that waits there is ever written through.
    fresh = run_dir / f".{FILE_NAME}.{secrets.token_hex(16)}"
    try:
        _secure_folder(run_dir)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(fresh, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
    except OSError as error:
        raise AdminKeyError(
            f"The admin key {path} can't be written ({error.strerror or error}); nobody can log in as an administrator "
            "until the folder is writable for the daemon."
        ) from error
    return key


def remove_admin_key(run_dir: Path) -> None:
    """Takes the key away at the daemon's end, so that nobody tries it on what listens there next. Never raises."""
    with contextlib.suppress(OSError):
        (run_dir / FILE_NAME).unlink()


def _secure_folder(run_dir: Path) -> None:
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":
        return
    found = os.lstat(run_dir)
    if not stat.S_ISDIR(found.st_mode):
        raise AdminKeyError(f"{run_dir} must be a folder of the daemon's, not a link or a file; remove it.")
    if found.st_uid != os.geteuid():
        raise AdminKeyError(
            f"The folder {run_dir} belongs to another user, who could replace the admin key; remove it."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        run_dir.chmod(0o700)
