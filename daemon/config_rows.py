"""Changes of the configuration as rows and words for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from daemon.core.units import to_iso
from daemon.protection import Configuration, FileChange, Pending
from shared.config_changes import Change, tree_of

Row = dict[str, Any]


def change_row(change: Change) -> Row:
    """Where a change is, and from what to what: the columns that every list of changes has."""
    return {"path": change.path, "old": plain(change.old), "new": plain(change.new)}


def pending_row(waiting: Pending) -> Row:
    """A change that waits."""
    return {
        "id": waiting.id,
        "file": waiting.file,
        **change_row(waiting.change),
        "effective_at": to_iso(waiting.effective_at),
    }


def applied_row(item: FileChange) -> Row:
    """A change that was taken in."""
    return {
        **change_row(item.change),
        "effect": item.change.effect,
        "takes_effect": "next start" if needs_a_start(item) else "now",
    }


def needs_a_start(item: FileChange) -> bool:
    """Whether a change counts only from the daemon's next start on: its socket stays where programs have found it."""
    return item.file == "risk_config.yaml" and item.change.steps[0] == "ipc"


def names_of(changes: Sequence[FileChange]) -> str:
    """Paths with what they change from and to, in one sentence without its full stop."""
    return "; ".join(f"{item.change.path} {_change_in_words(item.change.old, item.change.new)}" for item in changes)


def _change_in_words(old: Any, new: Any) -> str:
    if new is None:
        return f"removed (it was {in_words(old)})"
    if old is None:
        return f"added as {in_words(new)}"
    return f"changed from {in_words(old)} to {in_words(new)}"


def in_words(value: Any) -> str:
    """A setting as a person would write it in the file."""
    shown = plain(value)
    if isinstance(shown, dict):
        return "{" + ", ".join(f"{key}: {in_words(item)}" for key, item in shown.items()) + "}"
    if isinstance(shown, list):
        return "[" + ", ".join(map(in_words, shown)) + "]"
    if isinstance(shown, bool):
        return "true" if shown else "false"
    return "nothing" if shown is None else str(shown)


def trees_of(configuration: Configuration) -> Row:
    """All settings of a configuration by file, defaults included; keys are never shown."""
    return {
        "risk_config.yaml": plain(tree_of(configuration.risk)),
        "accounts.yaml": plain(tree_of(configuration.accounts)),
        "holidays.yaml": plain(tree_of(configuration.holidays)),
    }


def plain(value: Any) -> Any:
    """A value as JSON has it; amounts as decimal text, times as HH:MM."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dt.time):
        return value.strftime("%H:%M")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
