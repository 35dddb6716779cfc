"""What the enforcer does next for one position or one order. Pure: no I/O, no clock, no task.

A lane carries the obligations on one (account, contract) position or one (account, order). `plan` says the next step
from what is known now, `sent` and `answered` tell the lane what became of a mutation. At most one mutation of a lane is
under way. Positions have `daemon.position_lane`, orders `daemon.order_lane`.

Times are seconds of a monotonic clock, handed in. Sizes are contracts, positions are signed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from daemon.backoff import CAP, LONG_CAP, Backoff
from daemon.broker import Answer, AnswerKind
from daemon.core.events import OrderRecord, is_market_order, signed

if TYPE_CHECKING:
    from daemon.core.decisions import Action
    from daemon.core.events import OrdersSnapshot, PositionsSnapshot

GRACE: Final = 0.15
"""After an accepted mutation the gateway's own event has this long before the account is read."""
PATIENCE: Final = 120.0
"""A mutation refused for longer than this (closed market) is tried every LONG_CAP instead of every CAP seconds."""
MODIFY_GRACE: Final = 1.0
LOUD_AFTER: Final = 3
"""Attempts of an action after which people are told even though nothing was refused."""

BEGINNING: Final = -math.inf


class Holdings(Protocol):
    """The core's view of the accounts, live: a call answers from the state after the last event judged."""

    def position_size(self, account_id: int, contract_id: str) -> int:
        """Signed contracts held, 0 when none is known."""

    def closing_in_flight(self, account_id: int, contract_id: str) -> int:
        """Contracts (>= 0) that working MARKET orders on the closing side have still to fill."""

    def position_read_at(self, account_id: int, contract_id: str) -> int:
        """`started_at` (microseconds UTC) of the read the position's value stems from; 0: an event's value, or none."""

    def position_settled(self, account_id: int, contract_id: str) -> bool:
        """Whether fills explain the position, or a read has shown it: else it may be an old message come again."""


class View(Holdings, Protocol):
    """Holdings, and what the lanes of the enforcer have to know of each other."""

    def turn_at(self, account_id: int, *, closing: bool) -> float:
        """Time before which the request limit has no room for a close, or else for a cancel or a stop move."""

    def modify_ready_at(self, account_id: int, contract_id: str) -> float:
        """Time before which no order of the position may be modified (once a second, RULE-012)."""

    def order_in_hand(self, account_id: int, order_id: int) -> bool:
        """Whether an order lane has an obligation on the order."""


@dataclass(slots=True, frozen=True)
class AccountRead:
    """A successful read of an account's orders and, begun after it, of its positions; the core has judged both.

    In this order a fill between the two is counted as still in flight, never missed. `number` rises with every read of
    the account; `started` is the monotonic time at which the first request was sent. `orders` or `positions` is
    None when they could not be read for some time; lanes that need them get no such read.
    """

    number: int
    started: float
    orders: OrdersSnapshot | None
    positions: PositionsSnapshot | None

    def position_size(self, contract_id: str) -> int:
        """Signed contracts the read showed; a contract it does not name is flat. ValueError without positions."""
        if self.positions is None:
            raise ValueError("positions could not be read")
        return sum(p.size for p in self.positions.positions if p.contract_id == contract_id)

    def closing_orders(self, contract_id: str, position: int) -> list[OrderRecord]:
        """Working market orders on the side that closes `position`; none when orders could not be read."""
        if self.orders is None:
            return []
        return [
            order
            for order in self.orders.orders
            if order.contract_id == contract_id
            and order.working
            and is_market_order(order)
            and signed(order.side, 1) * position < 0
        ]

    def closing_in_flight(self, contract_id: str, position: int) -> int:
        """Contracts those orders have still to fill."""
        return sum(order.remaining for order in self.closing_orders(contract_id, position))


@dataclass(slots=True, frozen=True)
class CloseAll:
    """Send Position/closeContract."""


@dataclass(slots=True, frozen=True)
class Reduce:
    """Send Position/partialCloseContract for `size` contracts."""

    size: int


@dataclass(slots=True, frozen=True)
class Cancel:
    """Send Order/cancel."""

    order_id: int


@dataclass(slots=True, frozen=True)
class Modify:
    """Send Order/modify with a stop price in nanos."""

    order_id: int
    stop_price: int


@dataclass(slots=True, frozen=True)
class Read:
    """Get a read of the account begun at or after `since` and numbered above `newer_than`."""

    since: float
    newer_than: int


@dataclass(slots=True, frozen=True)
class Pause:
    """Nothing to do before `until`, unless the obligations change."""

    until: float


@dataclass(slots=True, frozen=True)
class Drop:
    """Give the obligation up: the core decides anew (stop orders moved by RULE-012 only, never a close or a cancel)."""

    action: Action


@dataclass(slots=True, frozen=True)
class Finished:
    """No obligation is left."""


Mutation = CloseAll | Reduce | Cancel | Modify
Step = Mutation | Read | Pause | Drop | Finished


class Verdict(Enum):
    """What an answer means for what may be done next."""

    ACCEPTED = auto()
    GONE = auto()
    """Refused because there is nothing (or less) to act on: only a read, at once, tells what there is."""
    PENDING = auto()
    """Refused because something of the kind is under way."""
    REFUSED = auto()
    BARRED = auto()
    """Refused because of the account, not of this order."""
    NOT_SENT = auto()
    UNCERTAIN = auto()


_CODES: Final[dict[type[Mutation], dict[int, Verdict]]] = {
    CloseAll: {1: Verdict.BARRED, 2: Verdict.GONE, 4: Verdict.BARRED, 6: Verdict.PENDING, 8: Verdict.BARRED},
    Reduce: {
        1: Verdict.BARRED,
        2: Verdict.GONE,
        4: Verdict.BARRED,
        5: Verdict.GONE,
        7: Verdict.PENDING,
        9: Verdict.BARRED,
    },
    Cancel: {1: Verdict.BARRED, 2: Verdict.GONE, 4: Verdict.PENDING, 6: Verdict.BARRED},
    Modify: {1: Verdict.BARRED, 4: Verdict.PENDING, 6: Verdict.BARRED},
}
"""Meaning of the gateway's error codes, per endpoint; every other code is a plain refusal."""

MAYBE_DONE: Final = frozenset({Verdict.ACCEPTED, Verdict.PENDING, Verdict.UNCERTAIN})
REFUSALS: Final = frozenset({Verdict.REFUSED, Verdict.BARRED})


def judge(mutation: Mutation, answer: Answer) -> Verdict:
    """What an answer to a mutation means."""
    match answer.kind:
        case AnswerKind.ACCEPTED:
            return Verdict.ACCEPTED
        case AnswerKind.NOT_SENT:
            return Verdict.NOT_SENT
        case AnswerKind.UNCERTAIN:
            return Verdict.UNCERTAIN
    return _CODES[type(mutation)].get(answer.code, Verdict.REFUSED)


@dataclass(slots=True)
class Progress:
    """How far one obligation is. `first_sent_at` is trusted time in microseconds, 0 before the first attempt."""

    action: Action
    attempts: int = 0
    first_sent_at: int = 0
    alerted: bool = False


class Lane(ABC):
    """Pacing and proof common to positions and orders. `closing`: it closes or reduces a position."""

    closing: ClassVar[bool] = False

    def __init__(self, account_id: int, contract_id: str) -> None:
        self.account_id = account_id
        self.contract_id = contract_id
        self.progress: dict[int, Progress] = {}
        self.sending: Mutation | None = None
        self.serving: list[Progress] = []
        self.unverified = False
        """A mutation ended and no read or event has shown its outcome: the next one has to be preceded by a read."""
        self.ended = BEGINNING
        self.added = BEGINNING
        self.emptied = BEGINNING
        self.look_at = BEGINNING
        self.not_before = BEGINNING
        self.read_number = 0
        self.verdict: Verdict | None = None
        self.backoff = Backoff()
        self.broken = False
        self._refused_since: float | None = None
        self._confirmed = False

    @property
    @abstractmethod
    def needs(self) -> tuple[bool, bool]:
        """Whether a read without orders, and one without positions, is of no use."""

    @abstractmethod
    def plan(self, view: View, now: float, read: AccountRead | None) -> Step:
        """The next step. `read` is given only in the call right after a `Read` step succeeded."""

    def add(self, action: Action, now: float) -> None:
        """An obligation begins."""
        self._confirmed = False
        self.added = now
        # Whatever the lane was waiting for concerned older obligations: look again at once.
        self.look_at = min(self.look_at, now)
        self.progress[action.id] = Progress(action)

    def remove(self, action_id: int, now: float, *, confirmed: bool) -> Progress | None:
        """An obligation ended; `confirmed` when the gateway showed it done. None if it is not of this lane."""
        progress = self.progress.pop(action_id, None)
        if progress is not None and not self.progress:
            self.emptied = now
            self._confirmed = confirmed
            self._emptied()
        return progress

    def sent(self, mutation: Mutation, at: int) -> None:
        """A mutation goes out now (`at`: trusted time in microseconds)."""
        self.sending = mutation
        self.serving = self._served(mutation)
        for progress in self.serving:
            progress.attempts += 1
            progress.first_sent_at = progress.first_sent_at or at

    def answered(self, answer: Answer, now: float) -> Verdict:
        """The mutation under way ended with this answer."""
        mutation = self.sending
        if mutation is None:
            raise RuntimeError("an answer came to a lane that sent nothing")
        self.sending = None
        verdict = self.verdict = judge(mutation, answer)
        if verdict is Verdict.NOT_SENT:
            self.not_before = now + self.backoff.next()
            return verdict
        self.unverified = True
        self.ended = now
        if verdict in REFUSALS:
            self._refused_since = now if self._refused_since is None else self._refused_since
        else:
            self._refused_since = None
        delay = self.backoff.next(self._cap(now, verdict))
        self.not_before = now + delay
        match verdict:
            case Verdict.ACCEPTED:
                self.look_at = now + self._grace(mutation)
            case Verdict.GONE:
                self.look_at = now
            case _:
                self.look_at = now + delay
        if verdict not in REFUSALS and any(p not in self.serving for p in self.progress.values()):
            # An obligation that came meanwhile was not served by it: it waits for a read only.
            self.look_at = self.not_before = now
        if self._confirmed and not self.progress:
            self._emptied()
        return verdict

    def trip(self, now: float) -> float:
        """Something of our own raised: take it as an uncertain outcome. Returns the time at which to go on."""
        if self.sending is not None:
            self.answered(Answer(AnswerKind.UNCERTAIN), now)
        else:
            self.not_before = now + self.backoff.next()
            self.look_at = max(self.look_at, self.not_before)
        return self.not_before

    def _cap(self, now: float, verdict: Verdict) -> float:
        if verdict is Verdict.BARRED or any(p.action.rule_id == "RULE-010" for p in self.progress.values()):
            return LONG_CAP if verdict in REFUSALS else CAP
        since = self._refused_since
        return LONG_CAP if since is not None and now - since >= PATIENCE else CAP

    def _grace(self, mutation: Mutation) -> float:
        return MODIFY_GRACE if isinstance(mutation, Modify) else GRACE

    def _served(self, mutation: Mutation) -> list[Progress]:
        return list(self.progress.values())

    def _emptied(self) -> None:
        """No obligation is left. What was answered clearly, and shown done by the gateway, needs no further proof."""
        if self._confirmed and self.sending is None:
            self.backoff.reset()
            self._refused_since = None
            self.not_before = BEGINNING
            if self.verdict not in (Verdict.UNCERTAIN, Verdict.PENDING):
                self.unverified = False

    def _look(self, view: View, now: float) -> Step:
        """Read the account, when it is time to."""
        # Without room for what is to follow it, a read would be in vain.
        gate = max(self.look_at, view.turn_at(self.account_id, closing=self.closing))
        if now < gate:
            return Pause(gate)
        return Read(since=max(self.ended, self.added), newer_than=self.read_number)

    def _ready_at(self, view: View) -> float:
        return max(self.not_before, view.turn_at(self.account_id, closing=self.closing))
