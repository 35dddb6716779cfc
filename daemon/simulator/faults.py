"""Faults the simulated gateway injects: an effect, to whom, how often.

The first fault that matches wins, in the order in which they were added; draws come from one seeded generator.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from daemon.simulator.effects import EFFECTS, Effect, Point


@dataclass(slots=True, eq=False)
class Fault:
    """An effect and when it applies.

    `path`: glob over the REST path after /api/ ("Order/*") or hub path ("hubs/user/negotiate", "hubs/user"); `hub`:
    user, market or *; `event`: glob over order, position, trade, account, quote, market_trade, depth; `account`,
    `login`, `symbol`, `side` (0 buy, 1 sell; fills only): None matches all; `closed`: True only closed positions,
    False only open ones; `count`: how often (None: until cleared); `skip`: matches let through first; `probability`:
    of each match; `seconds`: lifetime in wire time from the moment it was added.
    """

    effect: Effect
    path: str = "*"
    hub: str = "*"
    event: str = "*"
    account: int | None = None
    login: str | None = None
    symbol: str | None = None
    side: int | None = None
    closed: bool | None = None
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    seconds: float | None = None
    label: str = ""
    hits: int = field(default=0, init=False)
    ends: float | None = field(default=None, init=False)

    @property
    def spent(self) -> bool:
        return self.count is not None and self.hits >= self.count

    def describe(self) -> dict[str, object]:
        """The fault as the control API shows it."""
        effect = {f.name: getattr(self.effect, f.name) for f in fields(self.effect)}
        match = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("effect", "ends")}
        return {"effect": self.effect.name, **effect, **{k: v for k, v in match.items() if v not in (None, "*", "")}}


class FaultBox:
    """The active faults. `wire` gives seconds for lifetimes; `on_hub` is told of every new hub fault."""

    def __init__(self, seed: int, wire: Callable[[], float]) -> None:
        self._random = random.Random(f"{seed}:faults")
        self._wire = wire
        self._at: dict[Point, list[Fault]] = {"rest": [], "hub": [], "event": [], "fill": []}
        self.on_hub: Callable[[Fault], None] | None = None
        self.on_hit: Callable[[Fault], None] | None = None

    def add(self, effect: Effect | Fault, **match: Any) -> Fault:
        """Add a fault: a `Fault`, or an effect and the fields of `Fault` it applies to. It works from now on."""
        fault = effect if isinstance(effect, Fault) else Fault(effect, **match)
        if fault.seconds is not None:
            fault.ends = self._wire() + fault.seconds
        self._at[fault.effect.point].append(fault)
        if fault.effect.point == "hub" and self.on_hub is not None:
            self.on_hub(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Take one fault out; no error if it is gone."""
        if fault in self._at[fault.effect.point]:
            self._at[fault.effect.point].remove(fault)

    def clear(self) -> None:
        """Take all faults out. Outages end, what was held back stays held back until its own time."""
        for faults in self._at.values():
            faults.clear()

    @property
    def active(self) -> list[Fault]:
        """The faults that can still hit."""
        return [fault for faults in self._at.values() for fault in faults if not fault.spent]

    def any(self, point: Point) -> bool:
        """Whether there is any fault at this point: the cheap test of the hot paths."""
        return bool(self._at[point])

    def hub_faults(self, hub: str, login: str) -> list[Fault]:
        """The live faults that concern one hub connection, unspent."""
        return [
            f
            for f in self._live("hub")
            if f.hub in ("*", hub) and (f.login is None or f.login == login) and not f.spent
        ]

    def rest(self, path: str, account: int | None, login: str | None) -> Fault | None:
        """The fault that hits this request, counted."""
        return self._take(
            "rest",
            lambda f: (
                fnmatchcase(path, f.path)
                and (f.account is None or f.account == account)
                and (f.login is None or f.login == login)
            ),
        )

    def event(self, kind: str, account: int | None, symbol: str, *, hub: str, login: str, closed: bool) -> Fault | None:
        """The fault that hits this event on its way to one connection, counted."""
        return self._take(
            "event",
            lambda f: (
                fnmatchcase(kind, f.event)
                and f.hub in ("*", hub)
                and (f.account is None or f.account == account)
                and (f.symbol is None or f.symbol == symbol)
                and (f.login is None or f.login == login)
                and (f.closed is None or (kind == "position" and f.closed == closed))
            ),
        )

    def fill(self, account: int, symbol: str, side: int) -> Fault | None:
        """The fault that hits this order's fills, counted."""
        return self._take(
            "fill",
            lambda f: (
                (f.account is None or f.account == account)
                and (f.symbol is None or f.symbol == symbol)
                and (f.side is None or f.side == side)
            ),
        )

    def hit(self, fault: Fault) -> None:
        """Count one hit."""
        fault.hits += 1
        if self.on_hit is not None:
            self.on_hit(fault)

    def _live(self, point: Point) -> list[Fault]:
        faults = self._at[point]
        if any(f.ends is not None for f in faults):
            now = self._wire()
            faults[:] = [f for f in faults if f.ends is None or f.ends > now]
        return faults

    def _take(self, point: Point, matches: Callable[[Fault], bool]) -> Fault | None:
        for fault in self._live(point):
            if fault.spent or not matches(fault):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability < 1.0 and self._random.random() >= fault.probability:
                continue
            self.hit(fault)
            return fault
        return None


def _fits(value: object, kind: Any) -> bool:
    if kind is Any:
        return True
    origin = get_origin(kind)
    if origin is Literal:
        return value in get_args(kind)
    if origin is UnionType:
        return any(_fits(value, part) for part in get_args(kind))
    if origin is dict:
        return isinstance(value, dict)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def fault_from(data: dict[str, Any]) -> Fault:
    """A fault from plain data: {"effect": "http_status", "status": 503, "path": "Order/*", "count": 1}.

    ValueError, in one sentence naming the key, if the effect or a key is unknown or a value has the wrong type.
    """
    rest = dict(data)
    name = rest.pop("effect", None)
    cls = EFFECTS.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ValueError(f"effect: {name!r} is unknown; use one of {', '.join(sorted(EFFECTS))}")
    known = {f.name: (owner, f) for owner in (Fault, cls) for f in fields(owner) if f.init and f.name != "effect"}
    parts: dict[type, dict[str, Any]] = {Fault: {}, cls: {}}
    for key, value in rest.items():
        if key not in known:
            raise ValueError(f"{key}: no such key for the effect {name}; it takes {', '.join(sorted(known))}")
        owner, entry = known[key]
        if not _fits(value, get_type_hints(owner)[key]):
            raise ValueError(f"{key}: {value!r} is not a value of type {entry.type}")
        parts[owner][key] = value
    return Fault(cls(**parts[cls]), **parts[Fault])
