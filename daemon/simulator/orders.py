"""Orders: the gateway's enums, the order itself and why a request can be refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from daemon.simulator.clock import stamp
from daemon.simulator.contracts import Contract


class Side(IntEnum):
    """Gateway fact: 0 buys, 1 sells."""

    BUY = 0
    SELL = 1

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(IntEnum):
    LIMIT = 1
    MARKET = 2
    STOP_LIMIT = 3
    STOP = 4
    TRAILING_STOP = 5
    JOIN_BID = 6
    JOIN_ASK = 7


class OrderStatus(IntEnum):
    NONE = 0
    OPEN = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5
    PENDING = 6
    PENDING_CANCELLATION = 7
    SUSPENDED = 8


WORKING = frozenset({OrderStatus.OPEN, OrderStatus.PENDING, OrderStatus.PENDING_CANCELLATION, OrderStatus.SUSPENDED})
LIMITS = frozenset({OrderType.LIMIT, OrderType.JOIN_BID, OrderType.JOIN_ASK})
STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})


class Reason(Enum):
    """Why the broker refuses; each endpoint has its own number for each of these (`codes`)."""

    ACCOUNT_NOT_FOUND = "account not found"
    ACCOUNT_REJECTED = "account rejected"
    ACCOUNT_VIOLATION = "account violation"
    CONTRACT_NOT_ACTIVE = "contract not active"
    CONTRACT_NOT_FOUND = "contract not found"
    INSUFFICIENT_FUNDS = "insufficient funds"
    INVALID_SIZE = "invalid close size"
    ORDER_NOT_FOUND = "order not found"
    OUTSIDE_HOURS = "outside trading hours"
    PENDING = "pending"
    POSITION_NOT_FOUND = "position not found"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Refusal(Exception):  # noqa: N818 - a business answer, not a failure of the program
    """The broker refuses a request; `order_id` names the rejected order if one was made."""

    def __init__(self, reason: Reason, message: str | None, order_id: int | None = None) -> None:
        super().__init__(message or reason.value)
        self.reason = reason
        self.message = message
        self.order_id = order_id


@dataclass(frozen=True, slots=True)
class Brackets:
    """Stop-loss and take-profit distances from the entry's fill, in ticks, both positive; None leaves a leg out.

    `stop_type` is STOP or TRAILING_STOP.
    """

    stop_loss: int | None = None
    take_profit: int | None = None
    stop_type: OrderType = OrderType.STOP


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """What an order asks for. Prices are ticks; `trail` is the distance in ticks.

    `unchecked` lets a stop rest on the wrong side of the market; `silent` keeps the order's own events from being
    sent, as happens in the field with orders placed in the broker's user interface; `reduce_only` never opens or
    reverses.
    """

    account_id: int
    contract: Contract
    type: OrderType
    side: Side
    size: int
    limit: int | None = None
    stop: int | None = None
    trail: int | None = None
    tag: str | None = None
    brackets: Brackets | None = None
    silent: bool = False
    unchecked: bool = False
    reduce_only: bool = False


@dataclass(slots=True)
class Order:
    """One order. Prices in ticks, times in microseconds; `cost` is the sum of ticks times contracts filled."""

    id: int
    account_id: int
    contract: Contract
    type: OrderType
    side: Side
    size: int
    created_at: int
    updated_at: int
    status: OrderStatus = OrderStatus.OPEN
    limit: int | None = None
    stop: int | None = None
    trail: int | None = None
    filled: int = 0
    cost: int = 0
    tag: str | None = None
    parent_id: int | None = None
    linked_id: int | None = None
    leg_ids: list[int] = field(default_factory=list)
    leg_offset: int = 0
    """A bracket leg's signed distance from the entry's fill, in ticks."""
    silent: bool = False
    reduce_only: bool = False
    executing: bool = False
    """Its price condition is met; (the rest of) its fills are under way."""
    triggered: bool = False
    """A stop limit's stop has been reached: it is a limit order from now on."""
    armed: bool = True
    """False for a stop that rests on the wrong side of the market until the market has crossed it."""

    @property
    def symbol(self) -> str:
        return self.contract.symbol

    @property
    def remaining(self) -> int:
        return self.size - self.filled

    @property
    def working(self) -> bool:
        return self.status in WORKING

    def payload(self) -> dict[str, object]:
        """The gateway's order fields (gateway fact)."""
        contract = self.contract
        data: dict[str, object] = {
            "id": self.id,
            "accountId": self.account_id,
            "contractId": contract.id,
            "symbolId": contract.symbol_id,
            "creationTimestamp": stamp(self.created_at),
            "updateTimestamp": stamp(self.updated_at),
            "status": int(self.status),
            "type": int(self.type),
            "side": int(self.side),
            "size": self.size,
            "limitPrice": None if self.limit is None else contract.price(self.limit),
            "stopPrice": None if self.stop is None else contract.price(self.stop),
            "fillVolume": self.filled,
            "filledPrice": contract.average(self.cost, self.filled) if self.filled else None,
            "customTag": self.tag,
        }
        if self.trail is not None:
            data["trailDistance"] = contract.price(self.trail)
            data["trailPrice"] = data["stopPrice"]
        if self.parent_id is not None:
            data["parentOrderId"] = self.parent_id
        if self.linked_id is not None:
            data["linkedOrderId"] = self.linked_id
        return data
