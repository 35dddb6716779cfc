"""`riskd check`: every error of the configuration."""

from __future__ import annotations

import sys

from daemon.config_loader import check_home
from shared.paths import find_home


def check(home: str | None) -> int:
    """Print every error, one sentence a line. Returns 0, or 2 if there is any."""
    found = find_home(home)
    errors = check_home(found)
    for error in errors:
        print(error, file=sys.stderr)
    if errors:
        return 2
    print(f"The configuration in {found.config} is valid.")
    return 0
