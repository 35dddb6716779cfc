"""What the daemon asks of a gateway, whatever speaks to it: the port the adapter implements and the enforcer uses.

Mutations never raise for what the gateway or the network did: they return an `Answer`. Reads return snapshot events or
raise `GatewayError`: a failed read is never an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from daemon.core.events import OrdersSnapshot, PositionsSnapshot, TradesSnapshot


class AnswerKind(StrEnum):
    """What is known about a mutation after its one try."""

    ACCEPTED = "accepted"
    """The gateway said success. Not yet proof that anything changed (law 5)."""
    REFUSED = "refused"
    """The gateway said no, with a code: nothing was done."""
    NOT_SENT = "not_sent"
    """Surely not carried out (connection refused, no token, no turn, 429): may be repeated without a read."""
    UNCERTAIN = "uncertain"
    """Sent, answer lost or 5xx: it may or may not have taken effect. Read before repeating."""


@dataclass(slots=True, frozen=True)
class Answer:
    """Outcome of one mutation. `code` and `message` are the gateway's; `retry_after` is seconds to wait (429), or 0."""

    kind: AnswerKind
    code: int = 0
    message: str = ""
    retry_after: float = 0.0


class GatewayError(Exception):
    """A read failed. `retry_after` is seconds to wait before the next (429), or 0."""

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Broker(Protocol):
    """Orders and reads for every account of every login. Each call has at most one effect and is bounded in time."""

    def turn_in(self, account_id: int, *, closing: bool) -> float:
        """Seconds until the request limit has room for a close, or else for a cancel or a stop move; 0: now."""

    async def close_position(self, account_id: int, contract_id: str) -> Answer:
        """Close the whole position of a contract (Position/closeContract)."""

    async def reduce_position(self, account_id: int, contract_id: str, size: int) -> Answer:
        """Take `size` contracts off a position (Position/partialCloseContract)."""

    async def cancel_order(self, account_id: int, order_id: int) -> Answer:
        """Cancel one order (Order/cancel)."""

    async def modify_stop(self, account_id: int, order_id: int, stop_price: int) -> Answer:
        """Move a stop order's stop price, in nanos (Order/modify)."""

    async def read_positions(self, account_id: int, *, closing: bool = True) -> PositionsSnapshot:
        """All open positions (Position/searchOpen). `closing`: a close waits for it, so it goes before cancels."""

    async def read_orders(self, account_id: int, *, closing: bool = True) -> OrdersSnapshot:
        """All working orders, Pending and Suspended ones included (Order/v2/query, statuses 1, 6, 7, 8)."""

    async def read_trades(self, account_id: int, since: int) -> TradesSnapshot:
        """All trades since a time in microseconds UTC (Trade/search)."""
