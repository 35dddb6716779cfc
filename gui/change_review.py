"""What a change of the settings adds to what waits already: told apart before it is shown, counted and confirmed.

The daemon's preview names every difference between the settings in force and those wished for, so what waits for the
reset since an earlier change is named again. No Qt here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

type Row = Mapping[str, Any]

WAITS, TAKEN_BACK = "waits", "taken back"
"""Values of `standing` of a row that is no new change."""


@dataclass(frozen=True, slots=True)
class Review:
    """`fresh`: what this change adds. `waiting`: waits already and stays. `taken_back`: waited, and no longer will."""

    fresh: tuple[Row, ...]
    waiting: tuple[Row, ...] = ()
    taken_back: tuple[Row, ...] = ()

    @property
    def changes(self) -> tuple[Row, ...]:
        """What happens when it is applied."""
        return self.fresh + self.taken_back

    @property
    def rows(self) -> tuple[Row, ...]:
        """All of it for a table; rows that are no new change carry `standing`."""
        return self.changes + self.waiting

    @property
    def loosens(self) -> bool:
        """Whether what it adds weakens the protection."""
        return any(row.get("effect") == "loosens" for row in self.fresh)


def told_apart(preview: Sequence[Row], pending: Sequence[Row], files: Collection[str]) -> Review:
    """Compare the preview of a change of `files` with the rows of `get_pending_config`."""
    mine = [row for row in pending if row.get("file") in files]
    waits = {(row["path"], _text(row.get("new"))) for row in mine}
    named = {row["path"] for row in preview}
    fresh = [row for row in preview if (row["path"], _text(row.get("new"))) not in waits]
    known = [{**row, "standing": WAITS} for row in preview if (row["path"], _text(row.get("new"))) in waits]
    gone = [
        {**row, "old": row.get("new"), "new": row.get("old"), "standing": TAKEN_BACK, "effective_at": None}
        for row in mine
        if row["path"] not in named
    ]
    return Review(tuple(fresh), tuple(known), tuple(gone))


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def newly_waiting(before: Sequence[Row], after: Sequence[Row]) -> int:
    """How many changes of `get_pending_config` have come to wait."""
    known = {row["id"] for row in before}
    return sum(row["id"] not in known for row in after)
