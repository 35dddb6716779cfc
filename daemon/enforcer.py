"""The only sender of orders: carries out what the core decided, again and again, until the gateway shows it done.

The core keeps the obligations and derives them anew from its state after every event; here they are only carried out.
Every position and every order with an obligation has a lane (`daemon.enforcement_lane`, pure) and, while it has one, a
task that does what the lane plans: lanes of all accounts run side by side, within a lane one mutation is under way at
most. A repeat goes out only on a read that began after the last answer and that the core has judged
(`daemon.enforcement_reads`).

Nothing here is kept across restarts: the core derives the obligations again and submits them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from daemon.broker import Answer, AnswerKind, Broker
from daemon.core.decisions import Action, Alert
from daemon.enforcement_lane import (
    BEGINNING,
    LOUD_AFTER,
    REFUSALS,
    AccountRead,
    Cancel,
    CloseAll,
    Drop,
    Finished,
    Holdings,
    Lane,
    Modify,
    Mutation,
    Pause,
    Read,
    Reduce,
)
from daemon.enforcement_reads import SharedReads
from daemon.enforcement_words import complaint, said
from daemon.order_lane import OrderLane
from daemon.position_lane import PositionLane
from shared.models import ActionKind, ActionResult

if TYPE_CHECKING:
    from daemon.core.events import Event

__all__ = ["Clock", "Enforcer", "Holdings", "Outcome"]

LIMIT: Final = 60.0
"""Seconds for one mutation. The broker bounds its calls itself; this is the belt to its braces."""
MODIFY_EVERY: Final = 1.0
TURN_AGAIN: Final = 0.5
"""Without room within the request limit it is asked again after this many seconds: room can come earlier than said."""

OnSent = Callable[[Action, int], None]
OnAttempt = Callable[[Action, int, Answer], None]
OnAlert = Callable[[Alert], None]
OnDropped = Callable[[Action, Answer | None], None]


class Clock(Protocol):
    """Trusted time."""

    def now(self) -> int:
        """Microseconds UTC."""


@dataclass(slots=True, frozen=True)
class Outcome:
    """What an obligation took. Times are trusted microseconds UTC; `first_sent_at` is 0 when nothing had to be sent."""

    action: Action
    result: ActionResult
    attempts: int
    first_sent_at: int
    settled_at: int


class Enforcer:
    """Sends closes, reductions, cancels and stop moves for all accounts.

    Everything is called from one event loop. `submit` and `settle` return at once, whatever the gateway does.
    """

    def __init__(
        self,
        broker: Broker,
        holdings: Holdings,
        clock: Clock,
        deliver: Callable[[Event], Awaitable[None]],
        *,
        on_sent: OnSent | None = None,
        on_attempt: OnAttempt | None = None,
        on_alert: OnAlert | None = None,
        on_dropped: OnDropped | None = None,
    ) -> None:
        """Needs a running event loop.

        Args:
            broker: sends and reads.
            holdings: the core's live state.
            clock: trusted time, for outcomes and alerts; waiting goes by the loop's monotonic time.
            deliver: gives a snapshot to the core; returns when it is judged and its decisions were carried out.
            on_sent: a mutation is on its way: called for every obligation it serves, with its number of attempts.
            on_attempt: a mutation was answered: called for every obligation it served, with its number of attempts.
            on_alert: something people have to know.
            on_dropped: a stop move was given up after this answer (None: not one); the core has to decide anew.
        """
        self._loop = asyncio.get_running_loop()
        self._broker = broker
        self._holdings = holdings
        self._clock = clock
        self._deliver = deliver
        self._on_sent = on_sent
        self._on_attempt = on_attempt
        self._on_alert = on_alert
        self._on_dropped = on_dropped
        self._started = self._loop.time()
        self._positions: dict[tuple[int, str], PositionLane] = {}
        self._orders: dict[tuple[int, int], OrderLane] = {}
        self._reads: dict[int, SharedReads] = {}
        self._modified: dict[tuple[int, str], float] = {}
        self._pauses: dict[Lane, asyncio.Future[None]] = {}
        self._awaited: dict[Lane, asyncio.Future[AccountRead]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: set[Lane] = set()
        self._stopping = False

    # --- what the service calls

    def submit(self, action: Action) -> None:
        """Carry out an obligation from now on. Unless it has to be read first, its request is on its way on return.

        The lockout it belongs to must be on disk before (law 2). The same obligation submitted again changes nothing.

        Raises:
            ValueError: a kind of action that is not for the broker, or an order's without its order id.
        """
        lane = self._lane(action)
        if action.id in lane.progress or self._stopping:
            return
        lane.add(action, self._loop.time())
        if lane in self._running:
            self._wake(lane)
            return
        self._running.add(lane)
        # Eager: the request is written before this returns, not after the loop has come round.
        task = asyncio.Task(self._drive(lane), loop=self._loop, name=f"enforce {action.id}", eager_start=True)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def settle(self, action: Action, result: ActionResult) -> Outcome | None:
        """The core saw an obligation done (confirmed) or wants it no longer (superseded): stop sending for it.

        A request under way is left to end. None when the obligation is not known here (any more).
        """
        lane = self._known(action)
        confirmed = result is ActionResult.CONFIRMED
        progress = lane.remove(action.id, self._loop.time(), confirmed=confirmed) if lane is not None else None
        if lane is None or progress is None:
            return None
        self._wake(lane)
        return Outcome(action, result, progress.attempts, progress.first_sent_at, self._clock.now())

    def idle(self) -> bool:
        """Whether no obligation is open and no request is under way."""
        return not self._running and not any(reads.busy for reads in self._reads.values())

    def open_actions(self) -> list[Action]:
        """Obligations not yet settled."""
        lanes: list[Lane] = [*self._positions.values(), *self._orders.values()]
        return [progress.action for lane in lanes for progress in lane.progress.values()]

    async def stop(self, timeout: float = 5.0) -> bool:
        """Begin no request any more and let those under way end within `timeout` seconds. True when they did."""
        self._stopping = True
        for pause in self._pauses.values():
            _resolve(pause)
        await asyncio.gather(*(reads.stop() for reads in self._reads.values()))
        pending = set(self._tasks)
        if pending:
            _, pending = await asyncio.wait(pending, timeout=timeout)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        return not pending

    # --- what lanes see of each other (enforcement_lane.View)

    def position_size(self, account_id: int, contract_id: str) -> int:
        """See Holdings."""
        return self._holdings.position_size(account_id, contract_id)

    def closing_in_flight(self, account_id: int, contract_id: str) -> int:
        """See Holdings."""
        return self._holdings.closing_in_flight(account_id, contract_id)

    def position_read_at(self, account_id: int, contract_id: str) -> int:
        """See Holdings."""
        return self._holdings.position_read_at(account_id, contract_id)

    def position_settled(self, account_id: int, contract_id: str) -> bool:
        """See Holdings."""
        return self._holdings.position_settled(account_id, contract_id)

    def turn_at(self, account_id: int, *, closing: bool) -> float:
        """See View."""
        wait = self._broker.turn_in(account_id, closing=closing)
        return self._loop.time() + min(wait, TURN_AGAIN) if wait > 0 else BEGINNING

    def modify_ready_at(self, account_id: int, contract_id: str) -> float:
        """See View."""
        return self._modified.get((account_id, contract_id), float("-inf")) + MODIFY_EVERY

    def order_in_hand(self, account_id: int, order_id: int) -> bool:
        """See View."""
        return (account_id, order_id) in self._orders

    # --- lanes

    def _lane(self, action: Action) -> Lane:
        match action.kind:
            case ActionKind.CLOSE_POSITION | ActionKind.REDUCE_POSITION:
                key = (action.account_id, action.contract_id)
                if key not in self._positions:
                    self._positions[key] = PositionLane(*key, started=self._started)
                return self._positions[key]
            case ActionKind.CANCEL_ORDER | ActionKind.MODIFY_ORDER if action.order_id is not None:
                order = (action.account_id, action.order_id)
                if order not in self._orders:
                    self._orders[order] = OrderLane(action.account_id, action.contract_id, action.order_id)
                return self._orders[order]
        raise ValueError(f"action {action.id} ({action.kind}) is nothing that can be sent")

    def _known(self, action: Action) -> Lane | None:
        if action.order_id is not None and action.kind in (ActionKind.CANCEL_ORDER, ActionKind.MODIFY_ORDER):
            return self._orders.get((action.account_id, action.order_id))
        return self._positions.get((action.account_id, action.contract_id))

    async def _drive(self, lane: Lane) -> None:
        """Do what the lane plans until it is finished. Whatever goes wrong in one lane stays in it (law 9)."""
        read: AccountRead | None = None
        try:
            while not self._stopping:
                try:
                    step = lane.plan(self, self._loop.time(), read)
                    read = None
                    if isinstance(step, Finished):
                        return
                    if isinstance(step, Pause):
                        await self._pause(lane, step.until)
                    elif isinstance(step, Read):
                        read = await self._read(lane, step)
                    elif isinstance(step, Drop):
                        self._drop(lane, step.action, None)
                    else:
                        await self._send(lane, step)
                except Exception as error:  # noqa: BLE001 - one lane's failure must not end it
                    read = None
                    go_on = lane.trip(self._loop.time())
                    if not lane.broken:
                        lane.broken = True
                        text = (
                            f"Account {lane.account_id}: an enforcement step for {lane.contract_id} failed; it goes on."
                        )
                        self._tell(lane.account_id, text, repr(error))
                    await self._pause(lane, go_on)
        finally:
            self._running.discard(lane)
            if isinstance(lane, OrderLane) and not lane.progress:
                self._orders.pop((lane.account_id, lane.order_id), None)

    def _wake(self, lane: Lane) -> None:
        """The lane's obligations changed: end its pause, and its waiting for a read when none is left."""
        pause = self._pauses.get(lane)
        if pause is not None and not pause.done():
            pause.set_result(None)
        awaited = self._awaited.get(lane)
        if awaited is not None and not lane.progress:
            awaited.cancel()

    async def _pause(self, lane: Lane, until: float) -> None:
        if self._stopping:
            return
        pause = self._pauses[lane] = self._loop.create_future()
        timer = self._loop.call_at(until, _resolve, pause)
        try:
            await pause
        finally:
            timer.cancel()
            del self._pauses[lane]

    async def _read(self, lane: Lane, step: Read) -> AccountRead | None:
        """A read as the step asks for, or None when it is no longer wanted."""
        if lane.account_id not in self._reads:
            self._reads[lane.account_id] = SharedReads(lane.account_id, self._broker, self._deliver, self._tell)
        orders, positions = lane.needs
        awaited = self._awaited[lane] = self._reads[lane.account_id].request(
            step.since, step.newer_than, closing=lane.closing, orders=orders, positions=positions
        )
        try:
            return await awaited
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
            return None
        finally:
            del self._awaited[lane]

    async def _send(self, lane: Lane, mutation: Mutation) -> None:
        at = self._clock.now()
        lane.sent(mutation, at)
        serving = lane.serving
        if self._on_sent is not None:
            for progress in serving:
                # When the request has been written, not before it.
                self._loop.call_soon(self._guard, self._on_sent, progress.action, progress.attempts)
        if isinstance(mutation, Modify):
            self._modified[lane.account_id, lane.contract_id] = self._loop.time()
        answer = await self._call(lane, mutation)
        now = self._loop.time()
        verdict = lane.answered(answer, now)
        lane.broken = False
        for progress in serving:
            if self._on_attempt is not None:
                self._guard(self._on_attempt, progress.action, progress.attempts, answer)
            if progress.action.id not in lane.progress:
                continue
            if isinstance(mutation, Modify) and verdict in REFUSALS:
                self._drop(lane, progress.action, answer)
            elif not progress.alerted and (verdict in REFUSALS or progress.attempts >= LOUD_AFTER):
                progress.alerted = True
                self._tell(lane.account_id, complaint(progress.action, verdict, answer), progress.action.reason)

    async def _call(self, lane: Lane, mutation: Mutation) -> Answer:
        """One request. What the broker raises against its contract leaves the outcome open."""
        account_id = lane.account_id
        try:
            async with asyncio.timeout(LIMIT):
                match mutation:
                    case CloseAll():
                        return await self._broker.close_position(account_id, lane.contract_id)
                    case Reduce(size):
                        return await self._broker.reduce_position(account_id, lane.contract_id, size)
                    case Cancel(order_id):
                        return await self._broker.cancel_order(account_id, order_id)
                    case Modify(order_id, stop_price):
                        return await self._broker.modify_stop(account_id, order_id, stop_price)
        except asyncio.CancelledError:
            if _being_cancelled():
                raise
            return Answer(AnswerKind.UNCERTAIN, message="the request was cancelled from within")
        except TimeoutError:
            return Answer(AnswerKind.UNCERTAIN, message=f"no answer within {LIMIT:.0f} s")
        except Exception as error:  # noqa: BLE001 - the contract of Broker forbids it; nothing is known then
            return Answer(AnswerKind.UNCERTAIN, message=repr(error))

    def _drop(self, lane: Lane, action: Action, answer: Answer | None) -> None:
        """Give a stop move up. Closes and cancels are never given up."""
        lane.remove(action.id, self._loop.time(), confirmed=False)
        why = f" ({said(answer)})" if answer is not None else ""
        self._tell(
            action.account_id,
            f"Account {action.account_id}: the stop of order {action.order_id} could not be moved{why}; it stays.",
            action.reason,
        )
        if self._on_dropped is not None:
            self._guard(self._on_dropped, action, answer)

    def _tell(self, account_id: int, text: str, detail: str) -> None:
        if self._on_alert is not None:
            self._guard(self._on_alert, Alert(self._clock.now(), account_id, text, detail))

    def _guard[**P](self, callback: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call a listener; its failure is reported and stops nothing."""
        try:
            callback(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            self._loop.call_exception_handler({"message": "a listener of the enforcer failed", "exception": error})


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _being_cancelled() -> bool:
    """Whether the running task itself was cancelled, rather than something it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
