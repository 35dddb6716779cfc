"""An alert reaches mail and messengers whenever it was raised, and from whatever thread."""

from __future__ import annotations

import asyncio
import threading

from loguru import logger

from daemon.alarms import Alarms
from daemon.store import TroubleOver
from daemon.windows.event_log import Entry, EventLog
from tests.scenarios.world import eventually


async def test_alert_before_there_are_targets_waits_for_them() -> None:
    alarms = Alarms(EventLog())
    sent: list[tuple[str, str]] = []
    alarms.alert("The database was lost.", "detail for the log")
    alarms.send("lockout", "Account 101 is locked.")
    alarms.connect(lambda kind, text: sent.append((kind, text)))
    assert sent == [("error", "The database was lost."), ("lockout", "Account 101 is locked.")]
    alarms.alert("Another.")
    assert sent[2:] == [("error", "Another.")]


async def test_what_waits_for_targets_is_bounded() -> None:
    alarms = Alarms(EventLog())
    sent: list[str] = []
    for number in range(1000):
        alarms.send("error", str(number))
    alarms.connect(lambda kind, text: sent.append(text))
    assert len(sent) == 100 and sent[-1] == "999"


async def test_alert_from_a_thread_is_sent_in_the_loop() -> None:
    alarms = Alarms(EventLog())
    sent: list[int] = []
    alarms.connect(lambda kind, text: sent.append(threading.get_ident()))
    await asyncio.to_thread(alarms.alert_from_thread, "The disk is full.")
    await eventually(lambda: sent, "sent")
    assert sent == [threading.get_ident()]


def test_alert_from_a_thread_after_the_end_raises_nothing() -> None:
    async def make() -> Alarms:
        return Alarms(EventLog())

    asyncio.run(make()).alert_from_thread("The disk is full.")


async def test_system_log_gets_each_kind_under_its_own_entry() -> None:
    entries: list[tuple[Entry, str]] = []
    log = EventLog(lambda entry, text: entries.append((entry, text)))
    alarms = Alarms(log)
    for kind in ("lockout", "unlock", "enforcement"):
        alarms.to_system_log(kind, kind)
    log.close()
    assert [entry for entry, _ in entries] == [Entry.LOCKOUT_SET, Entry.LOCKOUT_CLEARED, Entry.ENFORCEMENT]


async def test_end_of_a_trouble_is_told_to_the_same_people_and_is_no_error_in_the_log() -> None:
    alarms = Alarms(EventLog())
    sent: list[str] = []
    levels: list[str] = []
    alarms.connect(lambda kind, text: sent.append(text))
    handler = logger.add(lambda message: levels.append(message.record["level"].name), level="TRACE")
    try:
        alarms.alert("The disk is full.")
        alarms.alert(TroubleOver("The database can be written again."))
    finally:
        logger.remove(handler)
    assert sent == ["The disk is full.", "The database can be written again."]
    assert levels == ["ERROR", "INFO"]
