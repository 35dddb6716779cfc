"""Keeps the state of `daemon.protection` between runs: sealed JSON in a file with a copy beside it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from daemon.config_writing import write_atomically

FORMAT = 1


class StateUnreadable(Exception):  # noqa: N818 - a state, not a mistake of the program
    """The stored state exists but can't be used; the text says why."""


class StateStore(Protocol):
    """Where the state is kept between runs."""

    def load(self) -> str | None:
        """The stored text, None if there never was one. Raises StateUnreadable."""

    def save(self, text: str) -> None:
        """Store the text durably before returning. Raises OSError."""


class FileStateStore:
    """Keeps the state in a file (mode 0600) with a copy beside it; a damaged file is answered from the copy."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._copy = path.with_name(path.name + ".copy")

    def exists(self) -> bool:
        """Whether a state was ever stored here, readable or not."""
        return self._path.exists() or self._copy.exists()

    def load(self) -> str | None:
        """The stored text, None if there never was one. Raises StateUnreadable."""
        existing = [path for path in (self._path, self._copy) if path.exists()]
        for path in existing:
            try:
                text = path.read_text(encoding="utf-8")
                unseal(text)
            except (OSError, UnicodeDecodeError, StateUnreadable):
                continue
            return text
        if existing:
            raise StateUnreadable(f"{self._path} and its copy are damaged or can't be read")
        return None

    def save(self, text: str) -> None:
        """Store the text durably, twice; what is there already is left alone. Raises OSError."""
        for path in (self._path, self._copy):
            # A start that changes nothing must not need space: on a full disk nobody would be protected.
            if not _holds(path, text):
                write_atomically(path, text)


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == text.encode("utf-8")
    except OSError:
        return False


def seal(state: Mapping[str, Any]) -> str:
    """JSON text with a checksum, so that half-written or edited text is noticed."""
    body = json.dumps(state, default=str, sort_keys=True)
    return json.dumps({"format": FORMAT, "sha256": hashlib.sha256(body.encode()).hexdigest(), "state": body})


def unseal(text: str) -> dict[str, Any]:
    """The state in a text made by `seal`. Raises StateUnreadable."""
    try:
        outer = json.loads(text)
        if outer["format"] != FORMAT or outer["sha256"] != hashlib.sha256(outer["state"].encode()).hexdigest():
            raise StateUnreadable("the stored configuration state was changed or is of another version")
        state = json.loads(outer["state"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateUnreadable("the stored configuration state is damaged") from error
    if not isinstance(state, dict):
        raise StateUnreadable("the stored configuration state is damaged")
    return state
