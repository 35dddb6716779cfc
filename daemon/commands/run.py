"""`riskd run`: the daemon, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys

from loguru import logger

from daemon.service import Options, Service, StartError
from daemon.windows.parent_watch import under_nssm
from shared.paths import find_home

LOOPBACK_VARIABLE = "RISK_MANAGER_REQUIRE_LOOPBACK"
"""Set to 1 by tests and the demo: gateways that are not on this machine are refused."""

_M_ARENA_MAX = -8
"""From malloc.h."""


def run(home: str | None) -> int:
    """Run until Ctrl+C, SIGTERM or the service's stop. Returns the exit code."""
    _share_heaps()
    options = Options(
        home=find_home(home),
        require_loopback=os.environ.get(LOOPBACK_VARIABLE) == "1",
        console_log=sys.stderr is not None and not under_nssm(),
    )
    try:
        return asyncio.run(serve(options))
    except KeyboardInterrupt:
        return 130


def _share_heaps() -> None:
    """Have glibc keep two heaps for all threads: by default each has its own, which costs 12 MB here (mallopt(3))."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


async def serve(options: Options) -> int:
    """Start, wait, stop. An unexpected error saves everything first and gives a non-zero exit code."""
    service = Service(options)
    try:
        try:
            service.shutdown.handle_signals()
            await service.start()
        except StartError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        await service.wait()
    except Exception as error:  # noqa: BLE001 - the last line of defence
        logger.opt(exception=error).critical("The daemon ends because of an unexpected error.")
        service.crashed(error)
        return 1
    finally:
        await service.stop()
    return 0
