"""What the enforcer does next for one position: never flip, never take off more than asked. Pure (`enforcement_lane`).

How each way to close too much is barred:

* two requests at once: one mutation of a lane is under way at most;
* a repeat on an old picture: after any mutation that was sent, a read begun after its answer comes first;
* orders still filling: working closing market orders count as if filled; a full close never goes out beside one, and a
  partial one only on two equal reads STABLE apart;
* an answer lost, a request or a fill still on its way: a partial close that may have taken effect is repeated only on
  two equal reads, the later begun QUIET after the answer;
* late or duplicate events: a partial close soon after a mutation of ours goes by two equal reads too, and only when the
  core's value is the read's;
* a size that no fill explains may be an old message come again: a partial close goes by a read;
* the position turned round meanwhile: a partial close decided for the other side reads first;
* orders, or positions, that cannot be read: a full close is repeated only when all that is known has been the same for
  BLIND seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.backoff import Backoff
from daemon.enforcement_lane import (
    BEGINNING,
    GRACE,
    MAYBE_DONE,
    AccountRead,
    Cancel,
    CloseAll,
    Finished,
    Lane,
    Mutation,
    Pause,
    Reduce,
    Step,
    Verdict,
    View,
    judge,
)

if TYPE_CHECKING:
    from daemon.broker import Answer
    from daemon.core.decisions import Action
    from daemon.core.events import OrderRecord

QUIET: Final = 1.0
"""A partial close that may have taken effect is repeated only on a read begun this long after its answer ..."""
STABLE: Final = 0.3
"""... and only if a read this much older showed the same: a read may be a little behind what was filled."""
RECENT: Final = 30.0
"""Events can be late or come twice this long after a mutation of ours, or a restart: partial closes read first."""
POLL_CAP: Final = 2.0
"""Seconds between reads while orders under way take the position off."""
BLIND: Final = 10.0
"""While orders or positions cannot be read, a full close is repeated on two equal reads of the other this far apart."""
STUCK: Final = 10.0
"""A closing market order that works this long without any change is cancelled before its position is closed again."""


@dataclass(slots=True)
class _Picture:
    """The position (signed), the contracts closing orders have still to fill, and since when both are so."""

    position: int
    working: int
    since: float

    def same(self, other: _Picture | None) -> bool:
        return other is not None and (self.position, self.working) == (other.position, other.working)


class PositionLane(Lane):
    """Closes or reduces one position. `started` is the time the enforcer began its work."""

    closing = True

    def __init__(self, account_id: int, contract_id: str, started: float = BEGINNING) -> None:
        super().__init__(account_id, contract_id)
        # What ran before a restart may have sent something that is still on its way.
        self._started = started
        self._side: int | None = None
        self._holding = False
        self._fills = False
        """Closing orders were seen at work; what they fill reaches orders a little before it reaches positions."""
        self._covered: _Picture | None = None
        self._polls = Backoff()
        self._doubtful: Verdict | None = None
        self._quiet_until = BEGINNING
        self._steady: _Picture | None = None
        self._unclean = Backoff()

    @property
    def target(self) -> int | None:
        """Contracts that may stay: the strictest of the obligations; None without any."""
        return min((p.action.target for p in self.progress.values()), default=None)

    @property
    def needs(self) -> tuple[bool, bool]:
        """Only a full close can do without: what it finds already closed, the gateway does not close twice."""
        partial = self.target != 0
        return partial, partial

    @property
    def _acted(self) -> float:
        """When something of ours last ended here, or was seen done."""
        return max(self.ended, self.emptied) if self.ended > BEGINNING else BEGINNING

    def add(self, action: Action, now: float) -> None:
        before = self.target
        if before is None:
            self._side = None
        elif action.target < before and self.verdict is not Verdict.NOT_SENT:
            # A stricter obligation does not wait for the back-off of a milder one.
            self.not_before = min(self.not_before, now)
        super().add(action, now)

    def plan(self, view: View, now: float, read: AccountRead | None) -> Step:
        target = self.target
        if target is None:
            return Finished()
        picture = self._picture(view, now, read)
        side = (picture.position > 0) - (picture.position < 0)
        if picture.working:
            self._fills = True
        if read is None:
            self._side = side if self._side is None else self._side
            wary = target > 0 and (
                now - max(self._acted, self._started) < RECENT
                or side != self._side
                or not view.position_settled(self.account_id, self.contract_id)
            )
            if self.unverified or self._holding or self._fills or wary:
                return self._look(view, now)
        else:
            self._take(view, read, picture)
        excess = abs(picture.position) - target - picture.working
        if excess <= 0:
            return self._hold(view, now, read, picture)
        self._holding = False
        whole = target == 0 and picture.working == 0
        if read is not None:
            look_again_at = self._doubt(now, read, whole=whole)
            if look_again_at is not None:
                self.look_at = look_again_at
                return Pause(look_again_at)
        ready = self._ready_at(view)
        if now < ready:
            self.look_at = ready
            return Pause(ready)
        return CloseAll() if whole else Reduce(excess)

    def sent(self, mutation: Mutation, at: int) -> None:
        super().sent(mutation, at)
        self._covered = None
        self._steady = None
        self._polls.reset()
        if isinstance(mutation, Reduce):
            self._doubtful = None

    def answered(self, answer: Answer, now: float) -> Verdict:
        mutation = self.sending
        if isinstance(mutation, Reduce):
            verdict = judge(mutation, answer)
            if verdict in MAYBE_DONE:
                self._doubtful = verdict
                self._quiet_until = now + QUIET
        return super().answered(answer, now)

    def _emptied(self) -> None:
        super()._emptied()
        self._holding = False
        self._fills = False
        self._covered = None
        self._polls.reset()
        if not self.unverified and self.sending is None:
            self._doubtful = None

    def _picture(self, view: View, now: float, read: AccountRead | None) -> _Picture:
        """Now. The core may know a fill whose position is to come, or an order newer than the read: the more counts."""
        position = view.position_size(self.account_id, self.contract_id)
        working = view.closing_in_flight(self.account_id, self.contract_id)
        if read is not None:
            shown = read.closing_in_flight(self.contract_id, position)
            lasting = self._covered is not None and now - self._covered.since >= STUCK
            # What the core counts for long and the gateway does not show is not there.
            working = shown if lasting and read.orders is not None else max(working, shown)
        return _Picture(position, working, now if read is None else read.started)

    def _take(self, view: View, read: AccountRead, picture: _Picture) -> None:
        """Note what a read showed, and since when reads in a row have shown the same."""
        self.read_number = read.number
        self._side = (picture.position > 0) - (picture.position < 0)
        shown = read.positions
        read_at = view.position_read_at(self.account_id, self.contract_id)
        taken_over = shown is None or read_at >= shown.started_at
        if not taken_over and read.position_size(self.contract_id) != picture.position:
            # An event came during the read and says otherwise: it may be newer than the read, or late.
            self._steady = None
        elif self._steady is None or not self._steady.same(picture):
            self._steady = picture

    def _doubt(self, now: float, read: AccountRead, *, whole: bool) -> float | None:
        """None when a mutation may follow on this read, else the time to read again."""
        if read.orders is None or read.positions is None:
            if self._steady is None or not whole:
                return now + POLL_CAP
            return None if read.started >= self._steady.since + BLIND else self._steady.since + BLIND
        if whole:
            # The gateway closes what there is: a fresh read is enough, unless a partial close may still be on its way.
            late = self._doubtful is Verdict.UNCERTAIN and read.started < self._quiet_until
            return self._quiet_until if late else None
        if self._steady is None:
            return now + self._unclean.next(1.0)
        self._unclean.reset()
        if self._doubtful is None and not self._fills and read.started - self._acted >= RECENT:
            return None
        earliest = max(self._quiet_until, self._steady.since + STABLE)
        return None if read.started >= earliest else max(earliest, self.not_before)

    def _hold(self, view: View, now: float, read: AccountRead | None, picture: _Picture) -> Step:
        """Nothing is to be taken off now: it is gone, or orders under way take it off. See what comes of it."""
        self._holding = True
        if read is None:
            self.look_at = now + GRACE
            return Pause(self.look_at)
        if self._covered is None or not self._covered.same(picture):
            self._covered = picture
        elif self.target == 0 and now - self._covered.since >= STUCK:
            stuck = self._stuck(view, read, picture.position)
            if stuck is not None and now >= self._ready_at(view):
                return Cancel(stuck.order_id)
        self.look_at = now + self._polls.next(POLL_CAP)
        return Pause(self.look_at)

    def _stuck(self, view: View, read: AccountRead, position: int) -> OrderRecord | None:
        """A closing order that no other lane cancels. A close sent beside it could turn the position round (law 4)."""
        for order in read.closing_orders(self.contract_id, position):
            if not view.order_in_hand(self.account_id, order.order_id):
                return order
        return None
