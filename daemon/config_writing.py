"""Changes configuration files without losing comments; a crash while writing leaves the old or the new file."""

import contextlib
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE_MODE = 0o600
_REPLACE_ATTEMPTS = 20
_PAUSE_S = 0.01
_IS_WINDOWS = os.name == "nt"


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, mode 0600: first beside ``path``, synced, then put in its place. Raises OSError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        _replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _replace(source: Path, target: Path) -> None:
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            source.replace(target)
        except PermissionError:
            # On Windows a reader (a scanner, an editor) can hold the file for a moment.
            if not _IS_WINDOWS or attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


Patch = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class PatchError(ValueError):
    """A patch that can't be applied; the text is one sentence for people."""


def patch_text(text: str, patch: Patch) -> str:
    """``text`` (YAML) with ``patch`` applied; comments, order and quotes of the rest stay.

    ``patch`` is a JSON merge patch (RFC 7396: mappings are merged, null removes a key), or a list of
    ``{"path": "rules.daily_realized_loss.limit", "value": -400}`` (null removes). A step of a path is a key, the
    index of a list item, or below ``logins`` a user name; a path can also be the list of its steps (a user name may
    have dots). Raises PatchError.
    """
    # Imported when first needed: reading configuration does without the library that keeps comments.
    from daemon.config_patching import patched

    return patched(text, patch)
