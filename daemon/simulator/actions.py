"""What scripts and the control API can do: one table of names, their fields with types, and what they call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import UnionType
from typing import TYPE_CHECKING, Any, get_args

from daemon.simulator.config import Account
from daemon.simulator.contracts import SPECS
from daemon.simulator.faults import fault_from
from daemon.simulator.orders import Brackets, OrderType, Refusal
from daemon.simulator.trader import KINDS

if TYPE_CHECKING:
    from daemon.simulator.simulator import Simulator

Fields = dict[str, Any]
Types = dict[str, type | UnionType]
PRICE = int | float | str
MAYBE_PRICE = int | float | str | None
SYMBOLS = frozenset(spec.symbol for spec in SPECS)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do. `open_fields`: further fields are checked by what it calls."""

    run: Callable[[Simulator, Fields], Any]
    required: Types = field(default_factory=dict)
    optional: Types = field(default_factory=dict)
    open_fields: bool = False


def _order(side: str) -> Callable[[Simulator, Fields], int]:
    def run(sim: Simulator, f: Fields) -> int:
        trader = sim.trader(f.pop("account"))
        brackets = f.pop("brackets", None)
        if brackets is not None:
            f["brackets"] = _brackets(brackets)
        place = trader.buy if side == "buy" else trader.sell
        return place(f.pop("symbol"), f.pop("size"), **f)

    return run


def _brackets(data: Fields) -> Brackets:
    unknown = sorted(set(data) - {"stop_loss", "take_profit", "stop_type"})
    if unknown:
        raise ValueError(f"brackets.{unknown[0]}: no such key; it takes stop_loss, take_profit, stop_type")
    kind = data.get("stop_type", "stop")
    if KINDS.get(kind) not in (OrderType.STOP, OrderType.TRAILING_STOP):
        raise ValueError(f"brackets.stop_type: {kind!r} is unknown; use stop or trailing_stop")
    for key in ("stop_loss", "take_profit"):
        value = data.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value <= 0):
            raise ValueError(f"brackets.{key}: {value!r} is not a number of ticks above 0")
    return Brackets(data.get("stop_loss"), data.get("take_profit"), KINDS[kind])


_ORDER: Types = {"account": int, "symbol": str, "size": int}
_ORDER_OPTIONS: Types = {
    "kind": str,
    "limit": MAYBE_PRICE,
    "stop": MAYBE_PRICE,
    "trail": MAYBE_PRICE,
    "brackets": dict,
    "tag": str,
    "silent": bool,
    "unchecked": bool,
}

ACTIONS: dict[str, Action] = {
    "buy": Action(_order("buy"), _ORDER, _ORDER_OPTIONS),
    "sell": Action(_order("sell"), _ORDER, _ORDER_OPTIONS),
    "cancel": Action(
        lambda sim, f: sim.trader(f["account"]).cancel(f["order"], delay=f.get("delay", 0.0)),
        {"account": int, "order": int},
        {"delay": int | float},
    ),
    "cancel_all": Action(lambda sim, f: sim.trader(f["account"]).cancel_all(), {"account": int}),
    "modify": Action(
        lambda sim, f: sim.trader(f.pop("account")).modify(f.pop("order"), **f),
        {"account": int, "order": int},
        {"size": int, "limit": PRICE, "stop": PRICE, "trail": PRICE},
    ),
    "close": Action(
        lambda sim, f: sim.trader(f["account"]).close(f["symbol"], f.get("size")),
        {"account": int, "symbol": str},
        {"size": int},
    ),
    "quote": Action(
        lambda sim, f: sim.set_quote(f["symbol"], f["bid"], f["ask"], f.get("last")),
        {"symbol": str, "bid": MAYBE_PRICE, "ask": MAYBE_PRICE},
        {"last": MAYBE_PRICE},
    ),
    "burst": Action(lambda sim, f: sim.burst(f["symbol"], f["count"]), {"symbol": str, "count": int}),
    "quotes_per_second": Action(lambda sim, f: sim.set_quotes_per_second(f["rate"]), {"rate": int | float}),
    "market": Action(lambda sim, f: sim.set_market_open(f["open"], f.get("symbol")), {"open": bool}, {"symbol": str}),
    "can_trade": Action(lambda sim, f: sim.set_can_trade(f["account"], f["value"]), {"account": int, "value": bool}),
    "restricted": Action(lambda sim, f: sim.set_restricted(f["account"], f["value"]), {"account": int, "value": bool}),
    "trade": Action(
        lambda sim, f: sim.inject_trade(f.pop("account"), f.pop("symbol"), f.pop("pnl"), **f),
        {"account": int, "symbol": str, "pnl": MAYBE_PRICE},
        {
            "fees": PRICE,
            "commissions": PRICE,
            "size": int,
            "side": int,
            "price": PRICE,
            "at": int,
            "order_id": int,
            "voided": bool,
            "event": bool,
        },
    ),
    "void": Action(lambda sim, f: sim.void_trade(f["account"], f["trade"]), {"account": int, "trade": int}),
    "account": Action(
        lambda sim, f: sim.add_account(f.pop("login"), Account(**f)),
        {"login": str, "id": int},
        {
            "name": str,
            "balance": PRICE,
            "can_trade": bool,
            "visible": bool,
            "simulated": bool,
            "restricted": bool,
            "max_contracts": int,
        },
    ),
    "login_refusal": Action(lambda sim, f: sim.set_login_refusal(f["login"], f["code"]), {"login": str, "code": int}),
    "revoke": Action(lambda sim, f: sim.revoke_tokens(f.get("login")), {}, {"login": str}),
    "logout": Action(lambda sim, f: sim.gateway_logout(f.get("login")), {}, {"login": str}),
    "raw": Action(
        lambda sim, f: sim.send_raw(f["text"].encode(), f.get("hub", "*"), f.get("login")),
        {"text": str},
        {"hub": str, "login": str},
    ),
    "fault": Action(lambda sim, f: sim.faults.add(fault_from(f)).describe(), {"effect": str}, open_fields=True),
    "clear_faults": Action(lambda sim, f: sim.faults.clear()),
    "advance": Action(lambda sim, f: sim.clock.advance(f["seconds"]), {"seconds": int | float}),
    "state": Action(lambda sim, f: sim.state()),
    "requests": Action(lambda sim, f: [asdict(r) for r in _last(sim.requests, f)], {}, {"last": int}),
    "frames": Action(lambda sim, f: [asdict(s) for s in _last(sim.frames, f)], {}, {"last": int}),
    "log": Action(lambda sim, f: [line.decode() for line in _last(sim.log.lines, f)], {}, {"last": int}),
}
READS = frozenset({"state", "requests", "frames", "log"})


def _last(items: Any, fields: Fields) -> list[Any]:
    return list(items)[-fields.get("last", 1000) :]


def _is(value: object, kind: type | UnionType) -> bool:
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if isinstance(value, bool):
        return bool in kinds
    return isinstance(value, kinds)


def check(name: str, fields: Fields) -> None:
    """Check an action's fields without doing anything. ValueError, in one sentence that begins with the key."""
    action = ACTIONS[name]
    for key in action.required:
        if key not in fields:
            raise ValueError(f"{key}: missing; {name} needs {', '.join(action.required)}")
    known = {**action.required, **action.optional}
    for key, value in fields.items():
        if key not in known:
            if action.open_fields:
                continue
            raise ValueError(f"{key}: no such key; {name} takes {', '.join(known) or 'no keys'}")
        if not _is(value, known[key]):
            raise ValueError(f"{key}: {value!r} is not of the type {getattr(known[key], '__name__', known[key])}")
    if "symbol" in known and "symbol" in fields and fields["symbol"] not in SYMBOLS:
        raise ValueError(f"symbol: {fields['symbol']!r} is unknown; use one of {', '.join(sorted(SYMBOLS))}")
    if "kind" in fields and "kind" in known and fields["kind"] not in KINDS:
        raise ValueError(f"kind: {fields['kind']!r} is unknown; use one of {', '.join(KINDS)}")
    if "brackets" in fields:
        _brackets(fields["brackets"])
    if name == "fault":
        fault_from(fields)


def run(sim: Simulator, name: str, fields: Fields) -> Any:
    """Do it. LookupError for an unknown action or id, ValueError for wrong fields or a refusal of the broker."""
    if name not in ACTIONS:
        raise LookupError(f"no such action: {name}; known: {', '.join(sorted(ACTIONS))}")
    check(name, fields)
    try:
        return ACTIONS[name].run(sim, dict(fields))
    except Refusal as refusal:
        raise ValueError(f"refused: {refusal}") from refusal
