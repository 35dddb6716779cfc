"""The one path of every event: judge, keep, carry out.

An event is judged the moment it arrives, in the event loop's thread. Its decisions are carried out at once, unless a
lockout is among them, or decisions before them still wait: then they wait in line until the lockout is on disk (law
2). So nothing is ever sent for a lockout that a kill could forget, and the order of decisions is the order of events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from loguru import logger

from daemon.core.decisions import Act, Action, Alert, Decision, Lock, LockChanged, Read, Settle, Unlock
from daemon.core.engine import Engine
from daemon.core.events import Event, PositionsSnapshot, PositionUpdate, Quote, Tick
from daemon.logs import checkpoint
from shared.models import ActionResult

_DURABLE = (Lock, LockChanged, Unlock)


TELL_SECONDS = 0.002
"""How long after a decision was carried out people are told of it."""


class Keeper(Protocol):
    """What keeps events and decisions; `daemon.store.Store` is one."""

    async def commit(self, decisions: Sequence[Decision], now: int) -> bool:
        """On disk when it returns True; False when that was not possible in time."""

    def keep(self, decisions: Sequence[Decision], now: int) -> None:
        """Queue decisions that need not be on disk at once."""

    def record_event(self, event: Event) -> None:
        """Note what an event says of positions, orders and trades."""


class Recorder(Protocol):
    """What records every event; `daemon.journal.Journal` is one."""

    def append(self, event: Event) -> None:
        """Take an event in; cheap."""


class Sender(Protocol):
    """What carries obligations out; `daemon.enforcer.Enforcer` is one."""

    def submit(self, action: Action) -> None:
        """Begin."""

    def settle(self, action: Action, result: ActionResult) -> object:
        """End."""


class Listener(Protocol):
    """What tells people; must be cheap and never raise."""

    def decided(self, decision: Decision) -> None:
        """A decision was carried out."""

    def happened(self, event: Event) -> None:
        """An event was judged."""


class Dispatcher:
    """Takes events from everywhere and carries out what the engine decides. One event loop, one thread."""

    def __init__(
        self,
        engine: Engine,
        keeper: Keeper,
        *,
        recorder: Recorder | None = None,
        listeners: Sequence[Listener] = (),
        read_orders: Callable[[int], Awaitable[Event]] | None = None,
        quoted: Callable[[set[str]], None] | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`on_failure` is told if decisions can no longer be carried out at all, which must never happen.

        `sender`, `recorder`, `read_orders` (an account's working orders) and `quoted` (takes the contracts held) may be
        set once they are there: until then nothing is sent, recorded, read and quoted.
        """
        self.engine = engine
        self._on_failure = on_failure
        self.sender: Sender | None = None
        self.recorder = recorder
        self.read_orders = read_orders
        self.quoted = quoted
        self.events = 0
        self.failures = 0
        self._checked = False
        self._keeper = keeper
        self.listeners = list(listeners)
        self._quoted_now: set[str] = set()
        self._line: list[list[Decision]] = []
        self._untold: list[Decision] = []
        self._telling: asyncio.TimerHandle | None = None
        self._waiting = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._reads: dict[int, asyncio.Task[None]] = {}
        self._worker: asyncio.Task[None] | None = None

    @property
    def depth(self) -> int:
        """Decisions of how many events wait for the disk."""
        return len(self._line)

    @property
    def untold(self) -> int:
        """How many decisions people have not been told of yet."""
        return len(self._untold)

    def start(self) -> None:
        """Begin to carry out what has to wait for the disk."""
        self._worker = asyncio.create_task(self._work(), name="dispatcher")
        self._worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        error = None if worker.cancelled() else worker.exception()
        if error is not None and self._on_failure is not None:
            self._on_failure(error)

    async def stop(self, timeout: float = 5.0) -> None:
        """Carry out what waits, then end."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout)
        except TimeoutError:
            logger.error("Decisions of {} events could not be stored before the stop.", len(self._line))
        for task in [*self._reads.values(), *([self._worker] if self._worker else [])]:
            task.cancel()
        await asyncio.gather(*self._reads.values(), *([self._worker] if self._worker else []), return_exceptions=True)
        if self._telling is not None:
            self._telling.cancel()
        self._tell()

    def deliver(self, event: Event) -> None:
        """Judge an event and carry out what follows. Never raises: one event that cannot be used stays one (law 9)."""
        self.events += 1
        quote = type(event) is Quote
        try:
            decisions = self.engine.handle(event)
        except Exception as error:  # noqa: BLE001 - law 9
            self._note(error, "An event could not be judged: {}", event)
            text = f"An event of the kind {type(event).__name__} could not be judged; all else goes on."
            decisions = [Alert(event.at, getattr(event, "account_id", None), text, repr(error))]
        try:
            if not quote:
                self._keeper.record_event(event)
                if isinstance(event, PositionUpdate | PositionsSnapshot):
                    self._subscribe()
            if self.recorder is not None:
                self.recorder.append(event)
            if type(event) is not Tick:
                for listener in self.listeners:
                    listener.happened(event)
        except Exception as error:  # noqa: BLE001 - what keeps and shows must not hold back what protects
            self._note(error, "An event could not be kept or shown: {}", event)
        if not self._checked and self._announce(event):
            self._checked = True
        if decisions:
            self._carry(decisions)

    def _announce(self, event: Event) -> bool:
        """The first event of an account, and the first rule judged on it, are checkpoints of the log."""
        account_id = getattr(event, "account_id", None)
        if account_id is None:
            return False
        checkpoint("event_received", kind=type(event).__name__, account_id=account_id)
        rules = self.engine.rule_states(account_id)
        if not rules:
            return False
        checkpoint("rule_evaluated", rule=rules[0].rule.key, account_id=account_id)
        return True

    async def deliver_and_settle(self, event: Event) -> None:
        """As `deliver`; returns when everything decided so far has been carried out."""
        self.deliver(event)
        await self._empty.wait()

    def _carry(self, decisions: list[Decision]) -> None:
        if self._line or any(isinstance(decision, _DURABLE) for decision in decisions):
            self._line.append(decisions)
            self._empty.clear()
            self._waiting.set()
            return
        self._queue_storage(decisions)
        self._apply(decisions)

    def _queue_storage(self, decisions: Sequence[Decision]) -> None:
        try:
            self._keeper.keep(decisions, self.engine.now)
        except Exception as error:  # noqa: BLE001 - enforcement goes on without the log
            logger.opt(exception=error).error("Decisions could not be stored.")

    async def _work(self) -> None:
        while True:
            await self._waiting.wait()
            batches = list(self._line)
            together = [decision for batch in batches for decision in batch]
            durable = [decision for decision in together if isinstance(decision, _DURABLE)]
            try:
                if durable:
                    await self._keeper.commit(durable, self.engine.now)
            except Exception as error:  # noqa: BLE001 - protect first; the store alerts and retries
                logger.opt(exception=error).error("A lockout could not be stored; it is enforced all the same.")
            del self._line[: len(batches)]
            self._queue_storage([decision for decision in together if not isinstance(decision, _DURABLE)])
            self._apply(together)
            if not self._line:
                self._waiting.clear()
                self._empty.set()

    def _apply(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            try:
                self._carry_out(decision)
            except Exception as error:  # noqa: BLE001 - one decision that fails keeps none of the others back
                self._note(error, "A decision could not be carried out: {}", decision)
        # People are told once the requests are on their way: they need the loop to themselves for a moment.
        self._untold.extend(decisions)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)

    def _tell(self) -> None:
        self._telling = None
        untold, self._untold = self._untold, []
        for decision in untold:
            for listener in self.listeners:
                try:
                    listener.decided(decision)
                except Exception as error:  # noqa: BLE001 - showing must never disturb protecting
                    self._note(error, "A decision could not be shown: {}", decision)

    def _note(self, error: Exception, text: str, about: object) -> None:
        self.failures += 1
        logger.opt(exception=error).error(text, about)

    def _carry_out(self, decision: Decision) -> None:
        kind = type(decision)
        if kind is Act:
            assert isinstance(decision, Act)
            if self.sender is not None:
                self.sender.submit(decision.action)
        elif isinstance(decision, Settle):
            if self.sender is not None:
                self.sender.settle(decision.action, decision.result)
        elif isinstance(decision, Read):
            self._begin_read(decision.account_id)

    def _begin_read(self, account_id: int) -> None:
        if self.read_orders is None or account_id in self._reads:
            return
        task = asyncio.create_task(self._read(account_id), name=f"read orders {account_id}")
        self._reads[account_id] = task
        task.add_done_callback(lambda _: self._reads.pop(account_id, None))

    async def _read(self, account_id: int) -> None:
        assert self.read_orders is not None
        try:
            event = await self.read_orders(account_id)
        except Exception as error:  # noqa: BLE001 - the rule asks again
            logger.warning("The open orders of account {} could not be read: {}", account_id, error)
            return
        self.deliver(event)

    def _subscribe(self) -> None:
        wanted = self.engine.held_contracts()
        if self.quoted is not None and wanted != self._quoted_now:
            self._quoted_now = wanted
            self.quoted(wanted)
