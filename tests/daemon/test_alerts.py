"""Alerts: who gets what, once; failures are retried and shown; nothing blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from daemon import alerts as module
from daemon.alerts import AlertError, Alerts


class Keys:
    """A key store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, username: str) -> str:
        return self.kept[username]

    def set(self, username: str, key: str) -> None:
        self.kept[username] = key

    def delete(self, username: str) -> None:
        del self.kept[username]


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.01)


def make(deliver: module.Deliver, kept: list[Any] | None = None) -> Alerts:
    return Alerts(Keys(), keep=(kept.append if kept is not None else lambda rows: None), deliver=deliver)


def test_alert_goes_to_the_targets_that_asked_for_its_kind_once() -> None:
    sent: list[tuple[str, str]] = []

    def deliver(address: str, title: str, text: str) -> bool:
        sent.append((address, text))
        return True

    made = make(deliver)
    made.set_target("phone", "json://127.0.0.1:9", ["lockout"])
    made.set_target("mail", "json://127.0.0.1:8", ["warning", "lockout"])
    made.send("lockout", "locked")
    made.send("lockout", "locked")
    made.send("enforcement", "closing")
    made.send("warning", "75 %")
    eventually(lambda: len(sent) >= 3)
    made.close()
    assert sorted(sent) == [
        ("json://127.0.0.1:8", "75 %"),
        ("json://127.0.0.1:8", "locked"),
        ("json://127.0.0.1:9", "locked"),
    ]


def test_failure_is_shown_and_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01, 0.01))
    answers = [False, True]
    made = make(lambda address, title, text: answers.pop(0))
    made.set_target("phone", "json://127.0.0.1:9", ["error"])
    made.send("error", "the disk is full")
    eventually(lambda: made.rows()[0]["failed"] == 1)
    eventually(lambda: made.rows()[0]["sent"] == 1)
    made.close()
    assert made.rows()[0]["last_error"] == ""


def test_slow_service_does_not_hold_the_caller_up() -> None:
    gate = threading.Event()
    made = make(lambda address, title, text: gate.wait(5))
    made.set_target("phone", "json://127.0.0.1:9", ["error"])
    for number in range(module.QUEUE_LIMIT + 10):
        made.send("error", f"{number}")
    assert made.dropped >= 1
    gate.set()


def test_close_when_nothing_is_taken_any_more_returns_in_time() -> None:
    gate = threading.Event()
    made = make(lambda address, title, text: gate.wait(20))
    made.set_target("phone", "json://127.0.0.1:9", ["error"])
    for number in range(module.QUEUE_LIMIT + 10):
        made.send("error", f"{number}")
    closing = threading.Thread(target=made.close, args=(0.1,))
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
    gate.set()


def test_messages_that_wait_for_a_retry_are_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(lambda address, title, text: False)
    monkeypatch.setattr(module, "QUEUE_LIMIT", 5)
    made.set_target("phone", "json://127.0.0.1:9", ["error"])
    for number in range(20):
        made.send("error", f"{number}")
    eventually(lambda: made.dropped == 15)
    assert made.rows()[0]["waiting"] == 5
    made.close()


def test_targets_are_kept_without_their_addresses() -> None:
    kept: list[Any] = []
    made = make(lambda address, title, text: True, kept)
    made.set_target("phone", "json://user:secret@127.0.0.1:9", ["error", "lockout"])
    assert kept[-1] == [{"name": "phone", "kinds": ["lockout", "error"], "enabled": True}]
    assert "secret" not in str(made.rows())
    made.remove_target("phone")
    assert kept[-1] == []


def test_unusable_targets_are_refused() -> None:
    made = make(lambda address, title, text: True)
    with pytest.raises(AlertError, match="not one that can be used"):
        made.set_target("phone", "nonsense", ["error"])
    with pytest.raises(AlertError, match="at least one"):
        made.set_target("phone", "json://127.0.0.1:9", ["tea"])
    with pytest.raises(AlertError, match="needs an address"):
        made.set_target("phone", None, ["error"])
    assert "no alert target" in made.test("phone")
