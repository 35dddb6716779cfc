"""Everything the core can decide. The shell carries decisions out; it adds none of its own.

Order matters: the decisions of one event are carried out in the order of the list, and every `Lock` is on disk before
the first `Act` of the same list goes out (law 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.models import ActionKind, ActionResult, LockoutKind


@dataclass(slots=True)
class Lockout:
    """One lockout. Active while `cleared_at` is None.

    `expires_at` None: until its condition ends or an admin clears it. `cause` names the breach, and those that came
    while it was active (`lockouts.causes_of`): the same breach, judged again, never locks twice. `baseline`
    (cooldowns): signed size a contract may keep; contracts not in it: nothing. `clear_due_at`: an admin's clear is
    running and ends the lockout then.
    """

    id: int
    account_id: int
    rule_id: str
    kind: LockoutKind
    symbol: str | None
    reason: str
    locked_at: int
    expires_at: int | None
    cause: str = ""
    baseline: dict[str, int] = field(default_factory=dict)
    clear_due_at: int | None = None
    clear_by: str | None = None
    clear_reason: str | None = None
    cleared_at: int | None = None
    cleared_by: str | None = None


@dataclass(slots=True)
class Action:
    """One obligation of the enforcer, kept until the gateway shows it done.

    close_position: `target` 0. reduce_position: `target` contracts may stay. cancel_order: `order_id` must stop
    working. modify_order: `stop_price` (nanos) of `order_id`. `size` is what was to be taken off when it was decided,
    `held` the signed size of the position then.
    """

    id: int
    account_id: int
    kind: ActionKind
    rule_id: str
    contract_id: str
    reason: str
    decided_at: int
    target: int = 0
    size: int = 0
    held: int = 0
    order_id: int | None = None
    stop_price: int | None = None


@dataclass(slots=True)
class Lock:
    """A lockout begins. To be committed durably before anything else of the list is done."""

    lockout: Lockout


@dataclass(slots=True)
class LockChanged:
    """A lockout's baseline or running clear changed; to be stored, nothing to be done."""

    lockout: Lockout


@dataclass(slots=True)
class Unlock:
    """A lockout ended (`lockout.cleared_at` and `cleared_by` say when and by what)."""

    lockout: Lockout


@dataclass(slots=True)
class Act:
    """An obligation begins."""

    action: Action


@dataclass(slots=True)
class Settle:
    """An obligation ended: seen done (confirmed), or no longer wanted (superseded)."""

    action: Action
    result: ActionResult
    at: int


@dataclass(slots=True)
class Read:
    """The account's working orders must be read once, now; the read comes back as an OrdersSnapshot."""

    account_id: int


@dataclass(slots=True)
class Warn:
    """Something to tell people. `level` is the share of the limit in percent, or 0 for other warnings."""

    at: int
    account_id: int
    rule_id: str
    level: int
    text: str
    contract_id: str | None = None


@dataclass(slots=True)
class Alert:
    """Something of the program's own went wrong (a rule raised, an event could not be used): tell the admin."""

    at: int
    account_id: int | None
    text: str
    detail: str = ""


@dataclass(slots=True)
class EndedDay:
    """The last figures of a trading day: its name, realized P&L in micro-dollars, number of trades."""

    trading_day: str
    realized: int
    trade_count: int


@dataclass(slots=True)
class DayChanged:
    """A trading day ended for an account; `trading_day` (ISO date) is the one that begins.

    `ended`: the last figures of the day that ended; None when the reset was moved, so that no day has ended.
    """

    at: int
    account_id: int
    trading_day: str
    ended: EndedDay | None = None


@dataclass(slots=True)
class Remember:
    """A rule's memory of an account (peak equity ...) to be kept across restarts, as JSON-able values."""

    account_id: int
    key: str
    values: Mapping[str, object]


Decision = Lock | LockChanged | Unlock | Act | Settle | Read | Warn | Alert | DayChanged | Remember
