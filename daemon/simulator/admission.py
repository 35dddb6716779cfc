"""Whether the broker takes an order: the checks in their order, the first objection wins."""

from __future__ import annotations

from daemon.simulator.ledger import SimAccount
from daemon.simulator.orders import LIMITS, STOPS, Order, OrderRequest, OrderType, Reason, Refusal

CLOSED = "Trading is currently unavailable. The instrument is not in an active trading session."


def objection(
    account: SimAccount, request: OrderRequest, order: Order, *, held: int, is_open: bool, wrong_side: bool
) -> Refusal | None:
    """The reason against an order, None if there is none.

    `held`: signed contracts held now; `is_open`: the market is; `wrong_side`: its stop is already reached and may not
    rest. Orders that close a position are taken from accounts that may not trade.
    """

    def refuse(reason: Reason, message: str) -> Refusal:
        return Refusal(reason, message, order.id)

    if account.restricted:
        return refuse(Reason.ACCOUNT_REJECTED, "Account is restricted from placing orders through the API.")
    if not account.can_trade and not request.reduce_only:
        return refuse(Reason.ACCOUNT_VIOLATION, "Account is not allowed to trade.")
    if not request.contract.active:
        return refuse(Reason.CONTRACT_NOT_ACTIVE, "Contract is not active.")
    if not is_open:
        return refuse(Reason.OUTSIDE_HOURS, CLOSED)
    if request.size <= 0:
        return refuse(Reason.REJECTED, "Invalid order size.")
    if request.type in LIMITS | {OrderType.STOP_LIMIT} and (order.limit is None or order.limit <= 0):
        return refuse(Reason.REJECTED, "Invalid limit price.")
    if request.type in STOPS and (order.stop is None or order.stop <= 0):
        return refuse(Reason.REJECTED, "Invalid stop price.")
    if request.type is OrderType.TRAILING_STOP and (order.trail is None or order.trail <= 0):
        return refuse(Reason.REJECTED, "Invalid trail price.")
    if wrong_side:
        return refuse(Reason.REJECTED, "Invalid stop price. Price is on the wrong side of the market.")
    if account.max_contracts is not None and not request.reduce_only:
        wanted = abs(held + request.side.sign * request.size)
        if wanted > max(account.max_contracts, abs(held)):
            return refuse(Reason.INSUFFICIENT_FUNDS, "Maximum position exceeded.")
    return None
