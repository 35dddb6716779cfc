"""`riskgui`: the tray program and the trader's window; with `--admin` the admin window."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.arguments import add_home
from shared.paths import find_home


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="riskgui", description="Tray program and dashboard of Risk Manager.")
    add_home(made)
    made.add_argument("--minimized", action="store_true", help="start in the tray, without a window")
    made.add_argument(
        "--admin", action="store_true", help="show the admin window; it needs the rights to read the admin key"
    )
    made.add_argument("--version", action="store_true", help="print the version and exit")
    return made


def has_display() -> bool:
    """Whether a window can be shown. Qt would abort the process instead of saying that it cannot."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; its exit code: 0 fine, 1 failed, 2 bad usage."""
    options = parser().parse_args(arguments)
    if options.version:
        from gui.app import program_version

        print(f"Risk Manager {program_version()}")  # noqa: T201 - what was asked for
        return 0
    # The second installed program is the admin window by its name alone.
    admin = options.admin or Path(sys.argv[0]).stem.lower() == "riskmanageradmin"
    if not has_display():
        print("riskgui needs a desktop: there is no display here. Use riskd status in a terminal.", file=sys.stderr)  # noqa: T201
        return 1
    from gui.app import main_loop

    return main_loop(find_home(options.home), minimized=options.minimized, admin=admin)


if __name__ == "__main__":
    sys.exit(main())
