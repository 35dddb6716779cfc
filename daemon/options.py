"""How to run the daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

from daemon.clock import wall_us
from daemon.gateway.timings import Timings
from shared.paths import Home


@dataclass(slots=True)
class Options:
    """What the command line, the demonstration and tests may choose.

    `require_loopback`: refuse gateways that are not on this machine (demo, tests). `wall_clock`: the machine's clock,
    microseconds UTC; the daemon only compares it with the broker's.
    """

    home: Home
    require_loopback: bool = False
    timings: Timings | None = None
    console_log: bool = True
    confirm_clock_seconds: float = 30.0
    journal: bool = True
    watchdog: bool = True
    wall_clock: Callable[[], int] = wall_us


def program_version() -> str:
    """Version of the installed program."""
    try:
        return metadata.version("risk-manager")
    except metadata.PackageNotFoundError:
        return "0.0.0"
