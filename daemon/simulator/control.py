"""The control API over HTTP: POST /control/<action> with a JSON object, answered by {"ok", "result"} or {"ok",
"error"}.

For tests and benchmarks that run the simulator in a process of its own. The actions and their fields are those of
`actions.ACTIONS`; reads may be GET requests. It is served on the same loopback port as the gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.simulator import actions

if TYPE_CHECKING:
    from daemon.simulator.simulator import Simulator


class Control:
    """Control requests to one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._sim = simulator

    def handle(self, method: str, name: str, fields: dict[str, Any]) -> Any:
        """Carry out one request. LookupError for an unknown name or id, ValueError for wrong fields."""
        if method == "GET":
            if name not in actions.READS:
                raise ValueError(f"{name}: changes something, so use POST")
            fields = {key: int(value) for key, value in fields.items()}
        return actions.run(self._sim, name, fields)
