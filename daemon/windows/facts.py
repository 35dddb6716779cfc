"""What planning must know of the machine and of the wishes. Plain values: `daemon.windows.probe` fills them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from daemon.windows.steps import Program


@dataclass(frozen=True)
class Facts:
    """The machine as it was found. Texts in ``*_problem`` are None when all is well."""

    windows_version: tuple[int, int]
    is_64bit: bool
    is_administrator: bool
    running: Program
    target: PurePath
    """Where the program belongs: below Program Files, where users can't change it."""
    target_is_ours: bool
    """Whether there is a program of ours in it."""
    nssm: PurePath
    nssm_sha256: str | None
    scripts: PurePath
    home: PurePath
    home_exists: bool
    home_owner: str | None
    home_is_link: bool
    home_problem: str | None
    config_present: bool
    config_problem: str | None
    version: str
    installed_version: str | None
    service_exists: bool
    service_runs: bool
    registered: Program | None
    """What the service runs so far."""
    port: int
    port_taken: bool
    free_bytes: int
    start_menu: PurePath


@dataclass(frozen=True)
class Options:
    """What was said on the command line of `riskd service install`."""

    take_over: bool = False
    allow_downgrade: bool = False
    start: bool = True
    autostart: bool = True
