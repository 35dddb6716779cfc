"""Words of the command lines that all programs share."""

from __future__ import annotations

import argparse


def folder(text: str) -> str:
    """A folder's path, for `--home`. An empty one (a variable that is not set) would quietly mean another home."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; give a folder, or leave --home out")
    return text
