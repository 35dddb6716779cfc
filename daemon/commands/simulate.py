"""`riskd simulate`: the simulated ProjectX gateway alone."""

from __future__ import annotations

import asyncio
from pathlib import Path


def simulate(port: int, seed: int | None, script: str | None) -> int:
    """Run until Ctrl+C or SIGTERM. Returns the exit code."""
    from daemon.simulator import simulate as serve

    return asyncio.run(serve(port, seed, Path(script) if script else None))
