"""Words of the command lines that all programs share."""

from __future__ import annotations

import argparse


def add_home(parser: argparse.ArgumentParser) -> None:
    """Have a command take `--home`; `shared.paths.find_home` knows what its absence means."""
    parser.add_argument(
        "--home",
        type=folder,
        metavar="DIR",
        help=r"home folder (default: the variable RISK_MANAGER_HOME, else %%ProgramData%%\RiskManager on Windows, else "
        "the user's data folder)",
    )


def folder(text: str) -> str:
    """A folder's path, for `--home`. An empty one (a variable that is not set) would quietly mean another home."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; give a folder, or leave --home out")
    return text
