"""Publishing: serialised once, thinned out, and nobody's trouble is another's."""

from __future__ import annotations

import json

import pytest

from daemon.ipc_broadcast import Broadcaster, EventBody


class Sink:
    def __init__(self) -> None:
        self.bodies: list[EventBody] = []

    def deliver(self, body: EventBody) -> None:
        self.bodies.append(body)

    def data(self) -> list[object]:
        return [json.loads(body.line(1))["params"]["data"] for body in self.bodies]


def test_publish_when_two_listen_shares_one_serialisation() -> None:
    broadcaster, one, two = Broadcaster(), Sink(), Sink()
    broadcaster.join(one, "lockouts")
    broadcaster.join(two, "lockouts")
    broadcaster.publish("lockouts", 101, {"id": 1}, None, 0.0)
    assert one.bodies[0] is two.bodies[0]
    assert json.loads(one.bodies[0].line(7)) == {
        "jsonrpc": "2.0",
        "method": "event",
        "params": {"topic": "lockouts", "account_id": 101, "data": {"id": 1}, "seq": 7},
    }


def test_publish_when_nobody_listens_does_not_even_serialise() -> None:
    broadcaster, sink = Broadcaster(), Sink()
    broadcaster.publish("lockouts", 101, object(), None, 0.0)
    assert not broadcaster.wanted("lockouts")
    broadcaster.join(sink, "lockouts")
    assert broadcaster.wanted("lockouts")
    broadcaster.part(sink, "lockouts")
    broadcaster.part(sink, "lockouts")
    broadcaster.part(sink, "never")
    assert not broadcaster.wanted("lockouts")


def test_frequent_topic_when_published_often_sends_the_first_at_once_and_then_the_latest() -> None:
    broadcaster, sink = Broadcaster({"pnl": 0.1}), Sink()
    broadcaster.join(sink, "pnl")
    for number in range(50):
        broadcaster.publish("pnl", 101, number, None, number / 1000.0)
    assert sink.data() == [0]
    assert broadcaster.due_at() == pytest.approx(0.1)
    broadcaster.flush(0.09)
    assert sink.data() == [0]
    broadcaster.flush(0.1)
    assert sink.data() == [0, 49]
    assert broadcaster.due_at() is None
    broadcaster.publish("pnl", 101, 50, None, 0.15)
    assert sink.data() == [0, 49]
    broadcaster.flush(0.2)
    assert sink.data() == [0, 49, 50]
    broadcaster.publish("pnl", 101, 51, None, 5.0)
    assert sink.data() == [0, 49, 50, 51]


def test_frequent_topic_when_of_two_accounts_or_keys_keeps_each_ones_latest() -> None:
    broadcaster, sink = Broadcaster({"quotes": 0.1}), Sink()
    broadcaster.join(sink, "quotes")
    for number in range(3):
        for account_id, key in ((101, "ES"), (101, "NQ"), (102, "ES")):
            broadcaster.publish("quotes", account_id, [account_id, key, number], key, 0.0)
    broadcaster.flush(1.0)
    assert sink.data()[:3] == [[101, "ES", 0], [101, "NQ", 0], [102, "ES", 0]]
    assert sink.data()[3:] == [[101, "ES", 2], [101, "NQ", 2], [102, "ES", 2]]


def test_rare_topic_when_published_often_sends_every_event_in_order() -> None:
    broadcaster, sink = Broadcaster(), Sink()
    broadcaster.join(sink, "enforcement")
    for number in range(50):
        broadcaster.publish("enforcement", 101, number, None, 0.0)
    assert sink.data() == list(range(50))


def test_flush_when_one_event_has_no_json_form_sends_the_others_and_says_so() -> None:
    broadcaster, sink = Broadcaster({"pnl": 0.1}), Sink()
    broadcaster.join(sink, "pnl")
    for account_id in (101, 102, 103):
        broadcaster.publish("pnl", account_id, 0, None, 0.0)
        broadcaster.publish("pnl", account_id, object() if account_id == 102 else account_id, None, 0.01)
    with pytest.raises(TypeError):
        broadcaster.flush(1.0)
    assert sink.data() == [0, 0, 0, 101, 103]


def test_flush_when_the_listeners_have_gone_sends_nothing() -> None:
    broadcaster, sink = Broadcaster({"pnl": 0.1}), Sink()
    broadcaster.join(sink, "pnl")
    broadcaster.publish("pnl", 101, 0, None, 0.0)
    broadcaster.publish("pnl", 101, 1, None, 0.0)
    broadcaster.part(sink, "pnl")
    broadcaster.flush(1.0)
    assert sink.data() == [0]


def test_memory_when_there_are_ever_new_keys_stays_bounded() -> None:
    broadcaster, sink = Broadcaster({"quotes": 0.1}), Sink()
    broadcaster.join(sink, "quotes")
    for number in range(10_000):
        broadcaster.publish("quotes", 101, 0, f"key {number}", float(number))
    assert len(broadcaster._sent_at) <= 4097
