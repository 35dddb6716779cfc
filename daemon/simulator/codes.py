"""The gateway's error codes: every endpoint numbers the same reasons differently (gateway fact)."""

from __future__ import annotations

from daemon.simulator.orders import Reason

LOGIN_USER_NOT_FOUND = 1
LOGIN_INVALID_CREDENTIALS = 3

_SEARCH = {Reason.ACCOUNT_NOT_FOUND: 1}
_CHANGE = {
    Reason.ACCOUNT_NOT_FOUND: 1,
    Reason.ORDER_NOT_FOUND: 2,
    Reason.REJECTED: 3,
    Reason.PENDING: 4,
    Reason.UNKNOWN: 5,
    Reason.ACCOUNT_REJECTED: 6,
}

CODES: dict[str, dict[Reason, int]] = {
    "Position/searchOpen": _SEARCH,
    "Order/searchOpen": _SEARCH,
    "Order/search": _SEARCH,
    "Order/searchById": {**_SEARCH, Reason.ORDER_NOT_FOUND: 2},
    "Order/v2/query": _SEARCH,
    "Trade/search": _SEARCH,
    "Contract/searchById": {Reason.CONTRACT_NOT_FOUND: 1},
    "Position/closeContract": {
        Reason.ACCOUNT_NOT_FOUND: 1,
        Reason.POSITION_NOT_FOUND: 2,
        Reason.CONTRACT_NOT_FOUND: 3,
        Reason.CONTRACT_NOT_ACTIVE: 4,
        Reason.REJECTED: 5,
        Reason.OUTSIDE_HOURS: 5,
        Reason.PENDING: 6,
        Reason.UNKNOWN: 7,
        Reason.ACCOUNT_REJECTED: 8,
    },
    "Position/partialCloseContract": {
        Reason.ACCOUNT_NOT_FOUND: 1,
        Reason.POSITION_NOT_FOUND: 2,
        Reason.CONTRACT_NOT_FOUND: 3,
        Reason.CONTRACT_NOT_ACTIVE: 4,
        Reason.INVALID_SIZE: 5,
        Reason.REJECTED: 6,
        Reason.OUTSIDE_HOURS: 6,
        Reason.PENDING: 7,
        Reason.UNKNOWN: 8,
        Reason.ACCOUNT_REJECTED: 9,
    },
    "Order/cancel": _CHANGE,
    "Order/modify": {**_CHANGE, Reason.CONTRACT_NOT_FOUND: 7},
    "Order/place": {
        Reason.ACCOUNT_NOT_FOUND: 1,
        Reason.REJECTED: 2,
        Reason.INSUFFICIENT_FUNDS: 3,
        Reason.ACCOUNT_VIOLATION: 4,
        Reason.OUTSIDE_HOURS: 5,
        Reason.PENDING: 6,
        Reason.UNKNOWN: 7,
        Reason.CONTRACT_NOT_FOUND: 8,
        Reason.CONTRACT_NOT_ACTIVE: 9,
        Reason.ACCOUNT_REJECTED: 10,
    },
}


def code_of(path: str, reason: Reason) -> int:
    """The endpoint's number for a reason; its number for Unknown, or 1, where it has none."""
    codes = CODES.get(path, {})
    return codes.get(reason) or codes.get(Reason.UNKNOWN) or 1
