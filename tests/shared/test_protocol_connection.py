"""Both ends of a connection, joined by a wire that cuts, repeats and changes what it carries."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.admin_auth import AdminGate, Login, ServerNotProvenError
from shared.protocol import MAX_LINE, ErrorCode, RpcError, error_line, result_line
from shared.rpc_connection import (
    Answer,
    Call,
    Challenged,
    ClientConnection,
    Event,
    HangUp,
    LoginJudged,
    Notice,
    ProtocolFault,
    Refused,
    SeqGap,
    ServerConnection,
    ServerEvent,
    SignatureRefused,
)
from shared.rpc_methods import METHODS
from tests.shared.notifications import notification_line
from tests.shared.test_protocol import cut

KEY = bytes(range(32))


def nonces(label: int) -> Callable[[int], bytes]:
    counter = itertools.count()
    return lambda size: bytes([label]) * (size - 4) + next(counter).to_bytes(4)


def pair(key: bytes = KEY, server_key: bytes | None = KEY) -> tuple[ClientConnection, ServerConnection]:
    gate = None if server_key is None else AdminGate(server_key)
    return ClientConnection(nonces=nonces(1)), ServerConnection(gate, nonces=nonces(2))


def answer_of(server: ServerConnection, data: bytes, now: float = 0.0) -> bytes:
    """What the server says at once; calls are answered with their method and parameters."""
    out = b""
    for event in server.receive(data, now):
        if isinstance(event, Call):
            out += result_line(event.id, {"method": event.method.name, "signed": event.signed})
        else:
            out += event.reply
    return out


def log_in(client: ClientConnection, server: ServerConnection, key: bytes = KEY) -> None:
    _, data = client.begin_login(key)
    [challenge] = client.receive(answer_of(server, data))
    assert isinstance(challenge, Answer)
    _, data = client.finish_login(challenge.result)
    [done] = client.receive(answer_of(server, data))
    assert isinstance(done, Answer)
    assert done.result == {"authenticated": True, "second_factor_required": False}
    client.login_accepted()


@given(st.lists(st.integers(0)), st.lists(st.integers(0)))
@settings(max_examples=60)
def test_conversation_when_cut_anywhere_is_the_same(up: list[int], down: list[int]) -> None:
    client, server = pair()
    log_in(client, server)
    requests = [client.request(name, params) for name, params in CONVERSATION]
    replies = b"".join(answer_of(server, piece) for piece in cut(b"".join(line for _, line in requests), up))
    answers = [event for piece in cut(replies, down) for event in client.receive(piece)]
    assert [(event.id, event.error is None) for event in answers if isinstance(event, Answer)] == [
        (requests[0][0], True),
        (requests[1][0], True),
        (requests[2][0], True),
        (requests[3][0], False),
        (requests[4][0], True),
    ]
    assert server.in_admin_session


CONVERSATION: list[tuple[str, dict[str, Any] | None]] = [
    ("get_status", None),
    ("get_config", None),
    ("lock_account", {"account_id": 5, "minutes": 3, "reason": "größer als nötig"}),
    ("get_pnl", {"account_id": "x"}),
    ("clear_lockout", {"id": 3, "reason": "Ω"}),
]


@given(
    st.lists(st.binary(max_size=200) | st.sampled_from([b"\n", b"[", b"{", b'{"jsonrpc":"2.0"', b"}\n"]), max_size=20)
)
def test_server_when_fed_random_bytes_answers_each_line_and_goes_on(pieces: list[bytes]) -> None:
    _, server = pair()
    lines = 0
    for piece in pieces:
        for event in server.receive(piece, 0.0):
            lines += 1
            if isinstance(event, HangUp):
                return
            assert isinstance(event, Refused)
            json.loads(event.reply)
    assert lines == b"".join(pieces).count(b"\n")
    [*_, last] = server.receive(b'\n{"jsonrpc":"2.0","id":1,"method":"get_status"}\n', 0.0)
    assert isinstance(last, Call)


@given(
    st.dictionaries(
        st.sampled_from(["jsonrpc", "id", "method", "params", "auth"]),
        st.sampled_from(["2.0", "get_status", "set_config", "auth_begin", "auth_finish", 1, None, [], {}, True, 1.5])
        | st.dictionaries(
            st.sampled_from(["seq", "mac", "proof", "topics", "client_nonce"]), st.text() | st.integers()
        ),
    )
)
@settings(max_examples=300)
def test_server_when_members_are_shuffled_never_lets_an_admin_call_through(message: dict[str, Any]) -> None:
    _, server = pair()
    for event in server.receive(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n", 0.0):
        assert not (isinstance(event, Call) and event.method.admin)
        assert not server.in_admin_session


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.admin])
def test_server_when_an_admin_method_comes_without_a_session_refuses(name: str) -> None:
    _, server = pair()
    for auth in (None, {"seq": 1, "mac": "00" * 32}):
        message = {"jsonrpc": "2.0", "id": 1, "method": name, "params": {"nonsense": 1}}
        [event] = server.receive(json.dumps(message | ({"auth": auth} if auth else {})).encode() + b"\n", 0.0)
        assert isinstance(event, Refused)
        assert event.error.code == ErrorCode.NOT_AUTHORIZED


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.admin])
def test_server_when_an_admin_method_comes_unsigned_within_a_session_refuses(name: str) -> None:
    client, server = pair()
    log_in(client, server)
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": name, "params": {}}).encode() + b"\n"
    [event] = server.receive(line, 0.0)
    assert isinstance(event, Refused)
    assert event.error.code == ErrorCode.NOT_AUTHORIZED


def test_server_when_it_has_no_key_refuses_every_login() -> None:
    client, server = pair(server_key=None)
    _, data = client.begin_login(KEY)
    [event] = client.receive(answer_of(server, data))
    assert isinstance(event, Answer)
    assert event.error is not None
    assert event.error.code == ErrorCode.NOT_AUTHORIZED


def test_client_when_the_server_does_not_know_the_key_stops() -> None:
    client, server = pair(server_key=b"x" * 32)
    _, data = client.begin_login(KEY)
    [event] = client.receive(answer_of(server, data))
    assert isinstance(event, Answer)
    with pytest.raises(ServerNotProvenError):
        client.finish_login(event.result)


def test_server_when_the_proof_is_wrong_says_so_and_pauses_after_five() -> None:
    _, server = pair()
    logins = []
    reply = b""
    for _ in range(7):
        begin = {"jsonrpc": "2.0", "id": 1, "method": "auth_begin", "params": {"client_nonce": "ab" * 32}}
        [challenged] = server.receive(json.dumps(begin).encode() + b"\n", 0.0)
        assert isinstance(challenged, Challenged)
        finish = {"jsonrpc": "2.0", "id": 2, "method": "auth_finish", "params": {"proof": "00" * 32}}
        [judged] = server.receive(json.dumps(finish).encode() + b"\n", 0.0)
        assert isinstance(judged, LoginJudged)
        assert json.loads(judged.reply)["error"]["code"] == ErrorCode.NOT_AUTHORIZED
        logins.append(judged.login)
        reply = judged.reply
    assert logins == [Login.FAILED] * 4 + [Login.FAILED_AND_PAUSED] + [Login.PAUSED] * 2
    assert json.loads(reply)["error"]["data"] == {"retry_after": 61}


def signed_line(client: ClientConnection, method: str, params: dict[str, Any]) -> bytes:
    return client.request(method, params)[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message | {"method": "set_config"},
        lambda message: message | {"params": {"id": 4, "reason": "r"}},
        lambda message: message | {"params": {"id": 3, "reason": "r", "more": 1}},
        lambda message: message | {"params": None},
        lambda message: message | {"auth": message["auth"] | {"seq": 2}},
        lambda message: message | {"auth": message["auth"] | {"mac": message["auth"]["mac"].upper()}},
        lambda message: message | {"auth": message["auth"] | {"mac": "00" * 32}},
        lambda message: {key: value for key, value in message.items() if key != "auth"},
    ],
)
def test_relay_when_it_changes_a_request_is_noticed_and_the_true_one_passes(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    client, server = pair()
    log_in(client, server)
    line = signed_line(client, "clear_lockout", {"id": 3, "reason": "r"})
    [event] = server.receive(json.dumps(change(json.loads(line))).encode() + b"\n", 0.0)
    assert isinstance(event, SignatureRefused | Refused)
    assert json.loads(event.reply)["error"]["code"] == ErrorCode.NOT_AUTHORIZED
    [event] = server.receive(line, 0.0)
    assert isinstance(event, Call)
    assert event.signed


def test_relay_when_it_repeats_or_holds_back_a_request_is_noticed() -> None:
    client, server = pair()
    log_in(client, server)
    lines = [signed_line(client, "clear_lockout", {"id": n, "reason": "r"}) for n in range(3)]
    kinds = [type(server.receive(line, 0.0)[0]) for line in (lines[0], lines[0], lines[2], lines[1], lines[2])]
    assert kinds == [Call, SignatureRefused, SignatureRefused, Call, Call]


def test_relay_when_it_moves_a_request_to_another_connection_is_refused() -> None:
    client, server = pair()
    log_in(client, server)
    other = ServerConnection(AdminGate(KEY), nonces=nonces(3))
    other_client = ClientConnection(nonces=nonces(4))
    log_in(other_client, other)
    [event] = other.receive(signed_line(client, "clear_lockout", {"id": 3, "reason": "r"}), 0.0)
    assert isinstance(event, SignatureRefused)


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=200)
def test_relay_when_it_changes_any_byte_never_gets_another_meaning_through(place: int, value: int) -> None:
    client, server = pair()
    log_in(client, server)
    line = bytearray(signed_line(client, "set_config", {"patch": {"rules": {"x": [1, 2.5, "é"]}}, "dry_run": True}))
    line[place % (len(line) - 1)] = value
    for event in server.receive(bytes(line), 0.0):
        if isinstance(event, Call):
            assert event.method.name == "set_config"
            assert event.params.model_dump(exclude_unset=True) == {
                "patch": {"rules": {"x": [1, 2.5, "é"]}},
                "dry_run": True,
            }


def test_server_when_a_browser_comes_hangs_up_before_it_reads_the_body() -> None:
    _, server = pair()
    body = b'{"jsonrpc":"2.0","id":1,"method":"lock_account","params":{"account_id":1,"minutes":600}}\n'
    events = server.receive(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + body, 0.0)
    assert [type(event) for event in events] == [HangUp]
    assert server.receive(body, 0.0) == []
    assert server.backlog == 0


def test_server_when_a_line_is_giant_answers_once_and_keeps_no_memory_of_it() -> None:
    _, server = pair()
    events: list[ServerEvent] = []
    for _ in range(5):
        events += server.receive(b"x" * MAX_LINE, 0.0)
    assert len(events) == 1
    [event] = server.receive(b'\n{"jsonrpc":"2.0","id":1,"method":"get_status"}\n', 0.0)
    assert isinstance(event, Call)


def test_server_when_a_notification_is_bad_says_nothing() -> None:
    _, server = pair()
    for line in (b'{"jsonrpc":"2.0","method":"nothing"}\n', b'{"jsonrpc":"2.0","method":"get_pnl"}\n'):
        [event] = server.receive(line, 0.0)
        assert isinstance(event, Refused)
        assert event.reply == b""


def event_line(seq: int, topic: str = "pnl") -> bytes:
    return notification_line("event", {"topic": topic, "account_id": 101, "data": {}, "seq": seq})


def test_client_when_events_are_missing_notices() -> None:
    client = ClientConnection()
    subscribed = result_line(1, {"topics": ["pnl"], "snapshot": {}, "seq": 0})
    assert [type(event) for event in client.receive(subscribed + event_line(1) + event_line(2))] == [
        Answer,
        Event,
        Event,
    ]
    assert client.receive(event_line(5)) == [SeqGap(3, 5), Event("pnl", 101, {}, 5)]
    assert client.receive(event_line(5)) == [SeqGap(6, 5), Event("pnl", 101, {}, 5)]
    again = result_line(2, {"topics": ["pnl"], "snapshot": {}, "seq": 5})
    assert [type(event) for event in client.receive(again + event_line(6))] == [Answer, Event]


def test_client_when_events_before_a_second_subscription_are_missing_notices() -> None:
    client = ClientConnection()
    client.receive(result_line(1, {"topics": ["pnl"], "snapshot": {}, "seq": 0}) + event_line(1))
    events = client.receive(result_line(2, {"topics": ["orders"], "snapshot": {}, "seq": 3}))
    assert [type(event) for event in events] == [SeqGap, Answer]


def test_client_when_the_daemon_says_why_it_closes_hears_it() -> None:
    [notice] = ClientConnection().receive(error_line(None, RpcError(-32005, "full")))
    assert isinstance(notice, Notice)
    assert notice.error.message == "full"


@given(st.binary(max_size=200))
def test_client_when_fed_random_bytes_reports_a_fault_and_never_raises(data: bytes) -> None:
    for event in ClientConnection().receive(data + b"\n"):
        assert isinstance(event, ProtocolFault | Notice | Answer)


@pytest.mark.parametrize("seq", [True, "1", None, 1.5])
def test_client_when_an_event_is_broken_reports_a_fault(seq: object) -> None:
    line = notification_line("event", {"topic": "pnl", "account_id": 1, "seq": seq})
    assert [type(event) for event in ClientConnection().receive(line)] == [ProtocolFault]


def test_client_when_a_line_would_be_too_long_refuses_before_it_counts_a_signature() -> None:
    client, server = pair()
    log_in(client, server)
    with pytest.raises(ValueError, match="too long"):
        client.request("set_config", {"yaml": "x" * MAX_LINE})
    with pytest.raises(TypeError):
        client.request("set_config", {"patch": {"x": object()}})
    [event] = server.receive(client.request("get_config")[1], 0.0)
    assert isinstance(event, Call)


def test_client_when_it_subscribes_to_an_admin_topic_signs_and_to_others_not() -> None:
    client, server = pair()
    log_in(client, server)
    [public] = server.receive(client.request("subscribe", {"topics": ["pnl"]})[1], 0.0)
    [admin] = server.receive(client.request("subscribe", {"topics": ["log"]})[1], 0.0)
    assert isinstance(public, Call)
    assert isinstance(admin, Call)
    assert (public.signed, admin.signed) == (False, True)
