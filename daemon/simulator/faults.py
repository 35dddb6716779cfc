"""Faults the simulated gateway can inject: what to do (`effects`), to whom, how often.

A fault sits at one point of the wire: `rest` (any HTTP request, negotiate and upgrade included), `hub` (live SignalR
connections), `event` (one outgoing hub message) or `fill` (how the broker fills an order). The first fault that
matches wins, in the order in which they were added; draws come from one seeded generator.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from types import UnionType
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

Point = Literal["rest", "hub", "event", "fill"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does. Subclasses are registered under their snake_case name for scripts and the control API."""

    point: ClassVar[Point]
    name: ClassVar[str]


EFFECTS: dict[str, type[Effect]] = {}


# --- REST -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HttpStatus(Effect):
    """Answer with a status and body.

    `after_effect`: the request takes effect all the same. `retry_after` in seconds.
    """

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "http_status"
    status: int = 500
    body: str = ""
    retry_after: int | None = None
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Html(Effect):
    """Answer HTTP 200 with an HTML page, as a proxy's maintenance page does."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "html"
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Hang(Effect):
    """Never answer; after `seconds` (None: when the client gives up) the connection is reset."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "hang"
    seconds: float | None = None
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Reset(Effect):
    """Reset the TCP connection, before or after the request took effect."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "reset"
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Delay(Effect):
    """Answer late by `seconds`; the request takes effect before the wait if `after_effect`, else after it."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "delay"
    seconds: float = 1.0
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class NoEffect(Effect):
    """Say success and do nothing."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "no_effect"


@dataclass(frozen=True, slots=True)
class Pending(Effect):
    """Answer with the endpoint's Pending code; the request takes effect `seconds` of broker time later (None: never)."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "pending"
    seconds: float | None = 1.0
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Refuse(Effect):
    """Answer with an error code. `after_effect`: it takes effect all the same (the PositionNotFound race)."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "refuse"
    code: int = 1
    message: str | None = None
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Patch(Effect):
    """Take effect normally, then replace fields of the JSON answer (`token: null`, extra fields, wrong types)."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "patch"
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FillInstead(Effect):
    """The order of a cancel or modify request fills before the request is looked at."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "fill_instead"


@dataclass(frozen=True, slots=True)
class AccountList(Effect):
    """Answer Account/search with the list reversed, empty, or without its first account."""

    point: ClassVar[Point] = "rest"
    name: ClassVar[str] = "account_list"
    mode: Literal["reversed", "empty", "without_first"] = "reversed"


# --- hubs -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NoHandshake(Effect):
    """Never answer the SignalR handshake of new connections."""

    point: ClassVar[Point] = "hub"
    name: ClassVar[str] = "no_handshake"


@dataclass(frozen=True, slots=True)
class HandshakeError(Effect):
    """Refuse the SignalR handshake of new connections with an error."""

    point: ClassVar[Point] = "hub"
    name: ClassVar[str] = "handshake_error"
    message: str = "Handshake was canceled."


@dataclass(frozen=True, slots=True)
class Close(Effect):
    """Close the WebSocket with a code (1006: cut the TCP connection without a closing handshake).

    Live connections are closed at once; with a `count`, what remains of it closes later connections `after` seconds
    after their handshake.
    """

    point: ClassVar[Point] = "hub"
    name: ClassVar[str] = "close"
    code: int = 1006
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class CloseMessage(Effect):
    """Send a SignalR close message, with or without an error, then close. Otherwise like `Close`."""

    point: ClassVar[Point] = "hub"
    name: ClassVar[str] = "close_message"
    error: str | None = None
    allow_reconnect: bool | None = None
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Down(Effect):
    """The hub is gone for `seconds`: connections are cut, negotiate and upgrade answer 503."""

    point: ClassVar[Point] = "hub"
    name: ClassVar[str] = "down"
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class NoPong(Effect):
    """Leave WebSocket pings unanswered and send none of SignalR's."""

    point: ClassVar[Point] = "hub"
    name: ClassVar[str] = "no_pong"


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drop(Effect):
    """Lose the event (with event="quote": the market falls silent)."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "drop"


@dataclass(frozen=True, slots=True)
class Duplicate(Effect):
    """Send the event `times` more times."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "duplicate"
    times: int = 1


@dataclass(frozen=True, slots=True)
class Late(Effect):
    """Send the event `seconds` later (real time)."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "late"
    seconds: float = 0.5


@dataclass(frozen=True, slots=True)
class Reorder(Effect):
    """Send the event after the next one that goes to the same connection."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "reorder"


@dataclass(frozen=True, slots=True)
class UntilReconnect(Effect):
    """Keep the event back and send it when the login subscribes again on a new connection."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "until_reconnect"


@dataclass(frozen=True, slots=True)
class Shape(Effect):
    """Send the payload wrapped as {"action": 1, "data": …} or bare."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "shape"
    wrapped: bool = True


@dataclass(frozen=True, slots=True)
class Change(Effect):
    """Replace fields of the payload: another account's id, type 0 of a closed position, null prices, unknown fields."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "change"
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retarget(Effect):
    """Send the event under another method name, one the client does not know."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "retarget"
    target: str = "GatewayUserUnknown"


@dataclass(frozen=True, slots=True)
class ExtraKey(Effect):
    """Add an unknown key beside type, target and arguments (kills the SDK's client task)."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "extra_key"
    key: str = "sequence"


@dataclass(frozen=True, slots=True)
class BadJson(Effect):
    """Send the event cut off in the middle of its JSON."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "bad_json"


@dataclass(frozen=True, slots=True)
class Oversize(Effect):
    """Blow the message up beyond the client's limit of 1 MiB."""

    point: ClassVar[Point] = "event"
    name: ClassVar[str] = "oversize"
    size: int = 1_100_000


# --- fills ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fills(Effect):
    """Fill slowly and in parts: the first after `delay` seconds, `chunk` contracts at a time, `interval` seconds apart."""

    point: ClassVar[Point] = "fill"
    name: ClassVar[str] = "fills"
    delay: float = 0.0
    chunk: int | None = None
    interval: float = 0.0


@dataclass(frozen=True, slots=True)
class NoFill(Effect):
    """The order stays open although the market is at its price."""

    point: ClassVar[Point] = "fill"
    name: ClassVar[str] = "no_fill"


@dataclass(frozen=True, slots=True)
class RejectLate(Effect):
    """The order is accepted and then rejected."""

    point: ClassVar[Point] = "fill"
    name: ClassVar[str] = "reject_late"
    message: str = "Rejected by the exchange."


EFFECTS.update({cls.name: cls for cls in Effect.__subclasses__()})


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

    def event(self, kind: str, account: int | None, symbol: str, hub: str, login: str, closed: bool) -> Fault | None:
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
