"""Where the licences are of everything of others in the installed program. No Qt."""

from __future__ import annotations

import sys
from pathlib import Path


def folder(program: Path | None = None) -> Path | None:
    """The folder that the build puts beside `gui`; None when run from a source tree, which contains nothing of others.

    `program`: the running program's file, else this one when it is a build.
    """
    if program is None:
        if not getattr(sys, "frozen", False):
            return None
        program = Path(sys.executable)
    found = program.absolute().parents[1] / "licenses"
    return found if found.is_dir() else None
