"""The simulated gateway as a program: what `riskd simulate` runs."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import sys
from pathlib import Path

from daemon.simulator.config import SimulatorConfig
from daemon.simulator.script import Script, ScriptError, load
from daemon.simulator.simulator import Simulator

DEFAULT_QUOTES_PER_SECOND = 20.0


async def simulate(port: int = 0, seed: int | None = None, script: Path | str | None = None) -> int:
    """Serve the simulated gateway on loopback until Ctrl+C or SIGTERM; returns the exit code.

    Prints one line with its addresses when it is ready. `seed` goes before the script's. 2: the script is wrong; 1: the
    port is taken.
    """
    try:
        steps = load(Path(script)) if script is not None else Script()
    except ScriptError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    config = SimulatorConfig(quotes_per_second=DEFAULT_QUOTES_PER_SECOND)
    steps.apply_to(config)
    if seed is not None:
        config.seed = seed
    sim = Simulator(config)
    try:
        await sim.start(port)
    except OSError as error:
        taken = error.errno in (errno.EADDRINUSE, errno.EACCES) or getattr(error, "winerror", None) == 10048
        reason = "is in use or not allowed; choose another with --port" if taken else f"cannot be opened ({error})"
        sys.stderr.write(f"port {port} on {config.host} {reason}.\n")
        return 1
    try:
        steps.schedule(sim)
        names = ", ".join(f"{login.username}/{login.api_key}" for login in config.logins)
        sys.stdout.write(
            f"simulated gateway ready: api_url={sim.api_url} user_hub_url={sim.user_hub_url}"
            f" market_hub_url={sim.market_hub_url} control={sim.control_url} logins={names}\n"
        )
        sys.stdout.flush()
        await _until_stopped()
    finally:
        await sim.stop()
    return 0


async def _until_stopped() -> None:
    """Wait for SIGINT or SIGTERM; where the loop cannot take signals (Windows), for Ctrl+C by way of a cancellation."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in signals:
            loop.add_signal_handler(number, stopped.set)
    except NotImplementedError:
        with contextlib.suppress(asyncio.CancelledError):
            await stopped.wait()
        return
    try:
        await stopped.wait()
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
