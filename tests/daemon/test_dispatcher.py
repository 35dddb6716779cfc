"""The one path of every event, with keepers and senders that do as told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from daemon.core.decisions import Action, Decision
from daemon.core.engine import Engine
from daemon.core.events import (
    Event,
    LockRequested,
    OrdersSnapshot,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Tick,
    TradesSnapshot,
)
from daemon.dispatcher import Dispatcher
from shared.config import HolidayCalendar, RiskConfig
from shared.models import ActionResult
from tests.core.desk import ES, MNQ

RISK = RiskConfig.model_validate({"rules": {"max_contracts": {"limit": 2}}})


class Keeper:
    """Keeps in memory; commits of lockouts wait until `disk` is set, and then fail if told."""

    def __init__(self) -> None:
        self.disk = asyncio.Event()
        self.kept: list[str] = []
        self.fail: Exception | None = None
        self.fail_events: Exception | None = None
        self.answer = True

    async def commit(self, decisions: Sequence[Decision], now: int) -> bool:
        await self.disk.wait()
        self.keep(decisions, now)
        return self.answer

    def keep(self, decisions: Sequence[Decision], now: int) -> None:
        if self.fail is not None:
            raise self.fail
        self.kept += [type(decision).__name__ for decision in decisions]

    def record_event(self, event: Event) -> None:
        if self.fail_events is not None:
            raise self.fail_events


class Sender:
    """Remembers what was handed over, and what had been kept by then."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.sent: list[Action] = []
        self.kept_before: list[list[str]] = []
        self.fail: Exception | None = None

    def submit(self, action: Action) -> None:
        self.sent.append(action)
        self.kept_before.append(list(self.keeper.kept))
        if self.fail is not None:
            raise self.fail

    def settle(self, action: Action, result: ActionResult) -> object:
        return None


class Bed:
    """A dispatcher with accounts 101 and 102, read and flat."""

    def __init__(self, **options: Any) -> None:
        self.engine = Engine(RISK, HolidayCalendar())
        self.keeper = Keeper()
        self.failures: list[BaseException] = []
        self.dispatcher = Dispatcher(self.engine, self.keeper, on_failure=self.failures.append, **options)
        self.sender = self.dispatcher.sender = Sender(self.keeper)
        self.at = 1_796_000_000_000_000
        for account in (101, 102):
            self.dispatcher.deliver(PositionsSnapshot(self.at, account, self.at, ()))
            self.dispatcher.deliver(OrdersSnapshot(self.at, account, self.at, ()))
            self.dispatcher.deliver(TradesSnapshot(self.at, account, self.at, self.at, ()))
        self.dispatcher.start()

    def hold(self, size: int, contract: str = MNQ, account: int = 101) -> None:
        """A position is pushed."""
        self.at += 1000
        self.dispatcher.deliver(PositionUpdate(self.at, account, PositionRecord(contract, size, 100)))

    def lock(self, account: int = 101) -> None:
        """The account is locked by hand."""
        self.at += 1000
        self.dispatcher.deliver(LockRequested(self.at, account, None, "enough", "you"))

    async def done(self) -> None:
        """Wait until all is carried out."""
        await asyncio.wait_for(self.dispatcher.deliver_and_settle(Tick(self.at)), 5)


async def test_nothing_is_sent_for_a_lockout_before_it_is_on_disk() -> None:
    bed = Bed()
    bed.hold(2)
    bed.lock()
    for _ in range(5):
        await asyncio.sleep(0)
    assert bed.sender.sent == [] and bed.dispatcher.depth == 1
    bed.keeper.disk.set()
    await bed.done()
    assert [action.kind for action in bed.sender.sent] == ["close_position"]
    assert "Lock" in bed.sender.kept_before[0]
    await bed.dispatcher.stop()


async def test_decisions_behind_a_lockout_keep_their_order() -> None:
    bed = Bed()
    bed.hold(2)
    bed.lock()
    await asyncio.sleep(0)
    bed.hold(5, ES, account=102)
    assert bed.sender.sent == []
    bed.keeper.disk.set()
    await bed.done()
    assert [(action.account_id, action.kind) for action in bed.sender.sent] == [
        (101, "close_position"),
        (102, "reduce_position"),
    ]
    await bed.dispatcher.stop()


async def test_decisions_without_a_lockout_go_out_at_once() -> None:
    bed = Bed()
    bed.hold(5)
    assert [action.kind for action in bed.sender.sent] == ["reduce_position"]
    await bed.dispatcher.stop()


@pytest.mark.parametrize("trouble", ["raises", "says it took too long"])
async def test_disk_that_takes_no_lockout_keeps_no_enforcement_back(trouble: str) -> None:
    bed = Bed()
    bed.hold(2)
    bed.keeper.disk.set()
    if trouble == "raises":
        bed.keeper.fail = OSError("no space left")
    else:
        bed.keeper.answer = False
    bed.lock()
    await bed.done()
    assert [action.kind for action in bed.sender.sent] == ["close_position"]
    await bed.dispatcher.stop()


class Broken:
    """A listener that always raises."""

    def decided(self, decision: Decision) -> None:
        raise ValueError("shown wrongly")

    def happened(self, event: Event) -> None:
        raise ValueError("shown wrongly")


async def test_listeners_recorders_and_keepers_that_raise_hold_nothing_back() -> None:
    class Recorder:
        def append(self, event: Event) -> None:
            raise OSError("no space left")

    bed = Bed(listeners=[Broken()], recorder=Recorder())
    bed.keeper.disk.set()
    bed.keeper.fail_events = OSError("no space left")
    bed.hold(2)
    bed.lock()
    await bed.done()
    bed.lock(102)
    bed.hold(1, account=102)
    await bed.done()
    assert [action.account_id for action in bed.sender.sent] == [101, 102]
    assert bed.dispatcher.failures > 0 and bed.failures == []
    await bed.dispatcher.stop()


async def test_sender_that_raises_for_one_action_still_gets_the_others() -> None:
    bed = Bed()
    bed.keeper.disk.set()
    bed.hold(1)
    bed.hold(1, ES)
    bed.sender.fail = RuntimeError("broken")
    bed.lock()
    await bed.done()
    assert {action.contract_id for action in bed.sender.sent} == {MNQ, ES}
    await bed.dispatcher.stop()


async def test_event_that_cannot_be_judged_is_told_and_the_next_one_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    judge = bed.engine.handle
    told: list[Decision] = []

    class Hearing:
        def decided(self, decision: Decision) -> None:
            told.append(decision)

        def happened(self, event: Event) -> None:
            pass

    bed.dispatcher.listeners.append(Hearing())

    def sometimes(event: Event) -> list[Decision]:
        if isinstance(event, Tick):
            raise KeyError("broken")
        return judge(event)

    monkeypatch.setattr(bed.engine, "handle", sometimes)
    bed.dispatcher.deliver(Tick(bed.at))
    bed.hold(5)
    assert len(bed.sender.sent) == 1
    await bed.dispatcher.stop()
    assert [type(decision).__name__ for decision in told][:1] == ["Alert"]


async def test_end_of_the_one_task_that_carries_out_is_a_failure_of_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    bed = Bed()
    bed.keeper.disk.set()

    def broken(decisions: Sequence[Decision]) -> None:
        raise SystemError("broken")

    monkeypatch.setattr(bed.dispatcher, "_apply", broken)
    bed.lock()
    for _ in range(10):
        await asyncio.sleep(0)
    assert [type(error) for error in bed.failures] == [SystemError]
    await bed.dispatcher.stop(0.1)


async def test_quotes_are_asked_for_what_is_held() -> None:
    asked: list[set[str]] = []
    bed = Bed(quoted=lambda contracts: asked.append(set(contracts)))
    bed.hold(1)
    bed.hold(1, ES, account=102)
    bed.hold(0)
    assert asked == [{MNQ}, {MNQ, ES}, {ES}]
    await bed.dispatcher.stop()
