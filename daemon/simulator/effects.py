"""What can go wrong: every effect a fault can have, by the point of the wire it sits at.

`rest`: any HTTP request, negotiate and upgrade included. `hub`: live SignalR connections. `event`: one outgoing hub
message. `fill`: how the exchange fills an order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Point = Literal["rest", "hub", "event", "fill"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a fault does. Subclasses are registered under their snake_case name for scripts and the control API."""

    point: ClassVar[Point]
    name: ClassVar[str]


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
    """Answer with the endpoint's Pending code; the effect comes `seconds` of broker time later (None: never)."""

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
    """Fill slowly and in parts: first after `delay` seconds, then `chunk` contracts every `interval` seconds."""

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


EFFECTS: dict[str, type[Effect]] = {
    kind.name: kind
    for kind in list(globals().values())
    if isinstance(kind, type) and issubclass(kind, Effect) and kind is not Effect
}
"""Every effect by the name that scripts and the control API use."""
