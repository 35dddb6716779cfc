"""The control API over HTTP: POST /control/<name> with a JSON object, answered by {"ok", "result"} or {"ok", "error"}.

For tests and benchmarks that run the simulator in a process of its own. Names and fields are those of `Simulator`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from daemon.simulator.config import Account
from daemon.simulator.faults import fault_from
from daemon.simulator.orders import Brackets, Refusal

if TYPE_CHECKING:
    from daemon.simulator.simulator import Simulator

Fields = dict[str, Any]


class Control:
    """Dispatches control requests to one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._sim = simulator
        self._names: dict[str, Callable[[Fields], Any]] = {
            "state": lambda f: self._sim.state(),
            "order": self._order,
            "cancel": lambda f: self._sim.trader(f["account"]).cancel(f["order"], delay=f.get("delay", 0.0)),
            "cancel_all": lambda f: self._sim.trader(f["account"]).cancel_all(),
            "modify": lambda f: self._sim.trader(f.pop("account")).modify(f.pop("order"), **f),
            "close": lambda f: self._sim.trader(f["account"]).close(f["symbol"], f.get("size")),
            "quote": lambda f: self._sim.set_quote(f["symbol"], f.get("bid"), f.get("ask"), f.get("last")),
            "burst": lambda f: self._sim.burst(f["symbol"], f["count"]),
            "quotes_per_second": lambda f: self._sim.set_quotes_per_second(f["rate"]),
            "market": lambda f: self._sim.set_market_open(f["open"], f.get("symbol")),
            "can_trade": lambda f: self._sim.set_can_trade(f["account"], f["value"]),
            "restricted": lambda f: self._sim.set_restricted(f["account"], f["value"]),
            "void": lambda f: self._sim.void_trade(f["account"], f["trade"]),
            "trade": lambda f: self._sim.inject_trade(f.pop("account"), f.pop("symbol"), f.pop("pnl"), **f),
            "advance": lambda f: self._sim.clock.advance(f["seconds"]),
            "account": lambda f: self._sim.add_account(f.pop("login"), Account(**f)),
            "login_refusal": lambda f: self._sim.set_login_refusal(f["login"], f["code"]),
            "revoke": lambda f: self._sim.revoke_tokens(f.get("login")),
            "logout": lambda f: self._sim.gateway_logout(f.get("login")),
            "raw": lambda f: self._sim.send_raw(f["text"].encode(), f.get("hub", "*"), f.get("login")),
            "fault": self._fault,
            "clear_faults": lambda f: self._sim.faults.clear(),
            "requests": lambda f: [asdict(r) for r in list(self._sim.requests)[-int(f.get("last", 1000)) :]],
            "frames": lambda f: [asdict(s) for s in list(self._sim.frames)[-int(f.get("last", 1000)) :]],
            "log": lambda f: [line.decode() for line in self._sim.log.lines[-int(f.get("last", 1000)) :]],
        }

    async def handle(self, name: str, fields: Fields) -> Any:
        """Carry out one request. LookupError for an unknown name or id, ValueError or TypeError for wrong fields."""
        action = self._names.get(name)
        if action is None:
            raise LookupError(f"no such control request: {name}; known: {', '.join(sorted(self._names))}")
        return self.run(name, fields)

    def run(self, name: str, fields: Fields) -> Any:
        """As `handle`; the steps of scripts come this way too."""
        try:
            return self._names[name](dict(fields))
        except Refusal as refusal:
            raise ValueError(f"refused: {refusal}") from refusal
        except KeyError as error:
            if error.args and isinstance(error.args[0], str) and " " in error.args[0]:
                raise
            raise ValueError(f"{error.args[0]}: missing") from error

    def _order(self, fields: Fields) -> int:
        trader = self._sim.trader(fields.pop("account"))
        side, symbol, size = fields.pop("side"), fields.pop("symbol"), fields.pop("size")
        if side not in ("buy", "sell"):
            raise ValueError(f"side: {side!r} is unknown; use buy or sell")
        brackets = fields.pop("brackets", None)
        if brackets is not None:
            fields["brackets"] = Brackets(**brackets)
        return (trader.buy if side == "buy" else trader.sell)(symbol, size, **fields)

    def _fault(self, fields: Fields) -> dict[str, object]:
        return self._sim.faults.add(fault_from(fields)).describe()
