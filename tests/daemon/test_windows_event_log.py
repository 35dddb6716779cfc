"""The event log's queue: in order, never blocking, never raising."""

from __future__ import annotations

import threading

from daemon.windows.event_log import QUEUE_LIMIT, TEXT_LIMIT, Entry, EventLog


def test_event_log_when_written_reports_in_order_before_it_closes() -> None:
    seen: list[tuple[Entry, str]] = []
    log = EventLog(lambda entry, text: seen.append((entry, text)))
    log.write(Entry.START, "Risk Manager 0.1.0 watches 2 accounts.")
    log.write(Entry.LOCKOUT_SET, "Account 101 is locked until 21:00 UTC.")
    log.close()

    assert seen == [
        (Entry.START, "Risk Manager 0.1.0 watches 2 accounts."),
        (Entry.LOCKOUT_SET, "Account 101 is locked until 21:00 UTC."),
    ]


def test_event_log_when_the_system_refuses_goes_on() -> None:
    seen: list[str] = []

    def report(entry: Entry, text: str) -> None:
        if entry is Entry.CRASH:
            raise OSError("the event log is full")
        seen.append(text)

    log = EventLog(report)
    log.write(Entry.CRASH, "lost")
    log.write(Entry.STOP, "kept")
    log.close()
    log.close()
    log.write(Entry.STOP, "too late")

    assert seen == ["kept"]


def test_event_log_when_the_system_blocks_drops_instead_of_waiting() -> None:
    go_on, reached = threading.Event(), threading.Event()

    def report(entry: Entry, text: str) -> None:
        reached.set()
        go_on.wait(30)

    log = EventLog(report)
    log.write(Entry.ENFORCEMENT, "blocks")
    assert reached.wait(10)
    for _ in range(QUEUE_LIMIT + 7):
        log.write(Entry.ENFORCEMENT, "waits")
    go_on.set()
    log.close()

    assert log.dropped == 7


def test_event_log_when_the_text_is_too_long_or_holds_nul_sends_what_windows_takes() -> None:
    seen: list[str] = []
    log = EventLog(lambda entry, text: seen.append(text))
    log.write(Entry.CRITICAL, "a\0b" + "x" * 40_000)
    log.close()

    assert seen == [("a b" + "x" * 40_000)[:TEXT_LIMIT]]


def test_event_log_when_ids_are_used_they_are_distinct_and_formatted_by_the_message_file() -> None:
    ids = [entry.event_id for entry in Entry]

    assert len(set(ids)) == len(ids)
    assert all(1 <= event_id <= 1000 for event_id in ids)
