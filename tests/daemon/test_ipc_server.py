"""The socket on a real port: calls, errors, subscriptions, ports that are taken."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import struct
from typing import Any

import pytest

from daemon.ipc_listener import bind_loopback
from daemon.ipc_server import IpcServer
from daemon.ipc_sessions import CallRate, IpcLimits
from shared.protocol import MAX_LINE, ErrorCode, RpcError
from tests.daemon.ipc_support import KEY, NOW, Daemon, Lines, eventually, serving


async def test_call_when_good_is_answered_with_its_id() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","id":"abc","method":"get_status"}\r\n')
        assert await client.read() == {"jsonrpc": "2.0", "id": "abc", "result": {"status": "healthy"}}
        [(name, _, context)] = daemon.calls
        assert (name, context.admin, context.second_factor_ok) == ("get_status", False, False)


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nothing", None, ErrorCode.METHOD_NOT_FOUND),
        ("get_rules", {"account_id": 1}, ErrorCode.METHOD_NOT_FOUND),  # in the table, without a handler here
        ("get_pnl", None, ErrorCode.INVALID_PARAMS),
        ("get_pnl", {"account_id": 999}, ErrorCode.UNKNOWN_ACCOUNT),
        ("get_orders", {"account_id": 101}, ErrorCode.INTERNAL_ERROR),
        ("stop_daemon", {}, ErrorCode.NOT_AUTHORIZED),
        ("subscribe", {"topics": ["log"]}, ErrorCode.NOT_AUTHORIZED),
    ],
)
async def test_call_when_refused_answers_with_the_code_and_goes_on(method: str, params: Any, code: int) -> None:
    async with serving(Daemon()) as (_, at):
        client = await Lines.open(at)
        answer = await client.ask(method, params)
        assert answer["error"]["code"] == code
        assert "ZeroDivision" not in json.dumps(answer)
        assert (await client.ask("get_status"))["result"] == {"status": "healthy"}


async def test_answer_when_longer_than_a_line_is_refused() -> None:
    daemon = Daemon()
    daemon.snapshot = lambda: {"status": "x" * MAX_LINE}
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        answer = await client.ask("subscribe", {"topics": ["status"]})
        assert answer["error"]["code"] == ErrorCode.INVALID_PARAMS
        assert not server.wanted("status")


async def test_bad_lines_when_they_come_are_each_answered_and_the_connection_stays() -> None:
    async with serving(Daemon()) as (_, at):
        client = await Lines.open(at)
        client.send(b"\xff\n[1]\n{}\n" + b"[" * 5000 + b"\n" + b"x" * (MAX_LINE + 1) + b"\n\n")
        codes = [(await client.read())["error"]["code"] for _ in range(6)]
        assert codes == [-32700, -32600, -32600, -32700, -32600, -32700]
        assert "result" in await client.ask("get_status")


async def test_calls_when_a_hundred_come_in_one_piece_are_all_answered() -> None:
    async with serving(Daemon()) as (_, at):
        client = await Lines.open(at)
        client.send(
            b"".join(
                b'{"jsonrpc":"2.0","id":%d,"method":"get_pnl","params":{"account_id":101}}\n' % n for n in range(100)
            )
        )
        answers = [await client.read() for _ in range(100)]
        assert sorted(answer["id"] for answer in answers if "result" in answer) == list(range(100))


async def test_notification_when_good_runs_and_is_not_answered() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","method":"lock_account","params":{"account_id":1,"minutes":5}}\n')
        assert (await client.ask("get_status"))["id"] == 1
        assert [name for name, _, _ in daemon.calls] == ["lock_account", "get_status"]


async def test_client_when_it_closes_its_side_at_once_still_gets_its_answer() -> None:
    async with serving(Daemon()) as (server, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"get_pnl","params":{"account_id":101}}\n')
        client.writer.write_eof()
        assert (await client.read())["result"]["realized"] == "-510.74"
        assert await client.at_end()
        await eventually(lambda: server.connections == 0)


async def test_browser_when_it_posts_a_call_is_cut_off_before_it() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        body = b'{"jsonrpc":"2.0","id":1,"method":"lock_account","params":{"account_id":1,"minutes":600}}\n'
        client.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 90\r\n\r\n" + body)
        assert (await client.read())["error"]["code"] == ErrorCode.PARSE_ERROR
        assert await client.at_end()
        assert daemon.calls == []


async def test_slow_call_when_it_runs_does_not_hold_up_others_of_the_same_connection() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","id":99,"method":"get_positions","params":{"account_id":101}}\n')
        assert "result" in await client.ask("get_status")
        daemon.release.set()
        assert (await client.read())["id"] == 99


async def test_calls_when_more_run_than_allowed_wait_their_turn() -> None:
    daemon = Daemon()
    async with serving(daemon, limits=IpcLimits(calls_in_flight=2)) as (_, at):
        client, other = await Lines.open(at), await Lines.open(at)
        slow = b'{"jsonrpc":"2.0","id":%d,"method":"get_positions","params":{"account_id":101}}\n'
        client.send(slow % 1 + slow % 2 + b'{"jsonrpc":"2.0","id":3,"method":"get_status"}\n')
        assert "result" in await other.ask("get_status")
        assert len(daemon.calls) == 1
        daemon.release.set()
        assert {(await client.read())["id"] for _ in range(3)} == {1, 2, 3}


async def test_call_when_it_takes_too_long_is_given_up() -> None:
    async with serving(Daemon(), limits=IpcLimits(handler_seconds=0.05)) as (_, at):
        client = await Lines.open(at)
        answer = await client.ask("get_positions", {"account_id": 101})
        assert answer["error"]["code"] == ErrorCode.BUSY


async def test_calls_when_there_are_too_many_are_refused_as_busy_with_a_time_to_wait() -> None:
    limits = IpcLimits(all_calls=CallRate(1.0, 0.001), calls=CallRate(3.0, 0.001))
    async with serving(Daemon(), limits=limits) as (_, at):
        client, other = await Lines.open(at), await Lines.open(at)
        answers = [await client.ask("get_status") for _ in range(6)]
        assert ["result" in answer for answer in answers] == [True] * 4 + [False] * 2
        assert answers[-1]["error"]["code"] == ErrorCode.BUSY
        assert answers[-1]["error"]["data"]["retry_after"] > 1.0
        assert "result" in await other.ask("get_status")  # another one's rate is its own


async def test_handler_when_it_fails_is_alerted_once_and_named() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        for _ in range(3):
            await client.ask("get_orders", {"account_id": 101})
        assert daemon.alert_kinds() == ["handler_failed"]
        assert "get_orders" in daemon.alerts[0].text


# ---- subscriptions


async def test_subscription_when_made_answers_with_the_snapshot_and_then_numbered_events() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        answer = await client.ask("subscribe", {"topics": ["status", "enforcement"]})
        assert answer["result"] == {
            "topics": ["status", "enforcement"],
            "snapshot": {"status": {"status": "healthy"}},
            "seq": 0,
        }
        server.publish("enforcement", 101, {"id": 1})
        server.publish("lockouts", 101, {"id": 2})
        server.publish("status", None, {"status": "degraded"})
        assert (await client.read())["params"] == {
            "topic": "enforcement",
            "account_id": 101,
            "data": {"id": 1},
            "seq": 1,
        }
        event = await client.read()
        assert "id" not in event
        assert event["params"] == {"topic": "status", "account_id": None, "data": {"status": "degraded"}, "seq": 2}


async def test_event_when_it_happens_while_the_snapshot_is_made_comes_after_it() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        await client.ask("subscribe", {"topics": ["status"]})

        def happen() -> None:
            server.publish("enforcement", 101, {"id": 1})
            server.publish("status", None, {"n": 1})

        daemon.during_snapshot = happen
        client.send(b'{"jsonrpc":"2.0","id":50,"method":"subscribe","params":{"topics":["enforcement"]}}\n')
        first, second, third = [await client.read() for _ in range(3)]
        assert (first["params"]["topic"], first["params"]["seq"]) == ("status", 1)
        assert (second["id"], second["result"]["seq"]) == (50, 1)
        assert (third["params"]["topic"], third["params"]["seq"]) == ("enforcement", 2)


async def test_subscription_when_too_much_happens_meanwhile_is_refused_rather_than_with_a_gap() -> None:
    daemon = Daemon()
    async with serving(daemon, limits=IpcLimits(held_events=5)) as (server, at):
        client = await Lines.open(at)

        def happen() -> None:
            for number in range(6):
                server.publish("enforcement", 101, number)

        daemon.during_snapshot = happen
        answer = await client.ask("subscribe", {"topics": ["enforcement"]})
        assert answer["error"]["code"] == ErrorCode.BUSY
        assert not server.wanted("enforcement")


async def test_subscription_when_the_snapshot_fails_leaves_what_was_there() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        await client.ask("subscribe", {"topics": ["status"]})

        def fail() -> object:
            raise RpcError(ErrorCode.GATEWAY_UNREACHABLE, "no gateway")

        daemon.snapshot = fail
        daemon.during_snapshot = lambda: server.publish("status", None, {"n": 1})
        client.send(b'{"jsonrpc":"2.0","id":9,"method":"subscribe","params":{"topics":["status","orders"]}}\n')
        event, answer = await client.read(), await client.read()
        assert event["params"]["data"] == {"n": 1}
        assert answer["error"]["code"] == ErrorCode.GATEWAY_UNREACHABLE
        assert (server.wanted("status"), server.wanted("orders")) == (True, False)


async def test_unsubscribed_when_told_hears_no_more() -> None:
    async with serving(Daemon()) as (server, at):
        client = await Lines.open(at)
        await client.ask("subscribe", {"topics": ["status", "orders"]})
        assert (await client.ask("unsubscribe", {"topics": ["status", "pnl"]}))["result"] == {"topics": ["orders"]}
        server.publish("status", None, 1)
        server.publish("orders", None, 2)
        assert (await client.read())["params"] == {"topic": "orders", "account_id": None, "data": 2, "seq": 1}


async def test_frequent_topic_when_published_often_reaches_the_client_as_first_and_latest() -> None:
    async with serving(Daemon(), topic_intervals={"pnl": 0.05}) as (server, at):
        client = await Lines.open(at)
        await client.ask("subscribe", {"topics": ["pnl"]})
        for number in range(200):
            server.publish("pnl", 101, number)
        events = [(await client.read())["params"] for _ in range(2)]
        assert [(event["data"], event["seq"]) for event in events] == [(0, 1), (199, 2)]


async def test_event_when_it_has_no_json_form_is_alerted_and_nothing_is_raised() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        await client.ask("subscribe", {"topics": ["status"]})
        server.publish("status", None, object())
        server.publish("status", None, "good")
        assert (await client.read())["params"]["data"] == "good"
        assert daemon.alert_kinds() == ["event_dropped"]


async def test_client_when_gone_is_forgotten() -> None:
    async with serving(Daemon()) as (server, at):
        client = await Lines.open(at)
        await client.ask("subscribe", {"topics": ["status"]})
        await client.close()
        await eventually(lambda: server.connections == 0)
        assert not server.wanted("status")


# ---- ports


async def test_port_when_taken_is_replaced_by_a_free_one_with_a_sentence() -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        taken = squatter.getsockname()[1]
        daemon = Daemon()
        async with serving(daemon, port=taken) as (_, at):
            assert at.port != taken
            assert at.note is not None
            assert str(taken) in at.note
            assert str(at.port) in at.note
            assert daemon.alert_kinds() == ["port_taken"]
            assert "result" in await (await Lines.open(at)).ask("get_status")


async def test_port_when_free_is_the_one_that_was_wanted() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    async with serving(Daemon(), port=free) as (_, at):
        assert (at.host, at.port, at.note) == ("127.0.0.1", free, None)


@pytest.mark.parametrize("number", [10013, 10048, errno.EACCES, errno.EADDRINUSE])
def test_port_when_windows_or_linux_refuses_it_is_replaced(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bind = socket.socket.bind
    tried: list[int] = []

    class Refusing(socket.socket):
        def bind(self, address: Any) -> None:
            tried.append(address[1])
            if address[1] != 0:
                raise OSError(number, "refused")
            bind(self, address)

    monkeypatch.setattr(socket, "socket", Refusing)
    listener, note = bind_loopback("127.0.0.1", 5555)
    listener.close()
    assert tried == [5555, 0]
    assert note is not None


def failing_accepts(monkeypatch: pytest.MonkeyPatch, count: int, number: int) -> None:
    """The first `count` accepts of this loop fail."""
    loop = asyncio.get_running_loop()
    accept, left = loop.sock_accept, count

    async def failing(listener: socket.socket) -> tuple[socket.socket, Any]:
        nonlocal left
        if left:
            left -= 1
            raise OSError(number, "no")
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", failing)


@pytest.mark.parametrize(
    ("number", "count", "alerts"),
    [
        (errno.EMFILE, 9, []),
        (errno.EMFILE, 12, ["accept_failed"]),
        (errno.ECONNABORTED, 999, []),
        (64, 999, []),
        (64, 1002, ["accept_failed"]),
    ],
)
async def test_accept_when_it_fails_again_and_again_is_alerted_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, number: int, count: int, alerts: list[str]
) -> None:
    failing_accepts(monkeypatch, count, number)
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        assert "result" in await client.ask("get_status")
        assert daemon.alert_kinds() == alerts


async def test_connections_when_reset_before_they_are_accepted_do_no_harm() -> None:
    async with serving(Daemon()) as (server, at):
        for _ in range(50):
            one = socket.create_connection((at.host, at.port))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
            one.close()
        client = await Lines.open(at)
        assert "result" in await client.ask("get_status")
        await eventually(lambda: server.connections == 1)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", "", "127.0.0.1.example.com"])
def test_host_when_not_loopback_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"ipc\.host"):
        IpcServer(host, 0, KEY, {}, now=lambda: NOW)


async def test_host_when_ipv6_loopback_is_served_or_replaced() -> None:
    async with serving(Daemon(), host="::1") as (_, at):
        assert at.host in ("::1", "127.0.0.1")
        assert (at.host == "::1") is (at.note is None)
        assert "result" in await (await Lines.open(at)).ask("get_status")


async def test_handlers_when_not_in_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match="format_disk"):
        IpcServer("127.0.0.1", 0, KEY, {"format_disk": Daemon().handlers()["get_status"]}, now=lambda: NOW)


async def test_stop_when_a_call_runs_lets_it_end_and_tells_the_others() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        busy, idle = await Lines.open(at), await Lines.open(at)
        await idle.ask("get_status")
        busy.send(b'{"jsonrpc":"2.0","id":1,"method":"get_positions","params":{"account_id":101}}\n')
        await busy.ask("get_status")
        asyncio.get_running_loop().call_later(0.05, daemon.release.set)
        await server.stop()
        assert (await busy.read())["id"] == 1
        assert (await idle.read())["error"]["code"] == ErrorCode.BUSY
        assert await idle.at_end()
        with pytest.raises(OSError):
            await asyncio.open_connection(at.host, at.port)


async def test_stop_when_a_call_never_ends_does_not_wait_for_it() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"get_positions","params":{"account_id":101}}\n')
        await client.ask("get_status")
        async with asyncio.timeout(2):
            await server.stop(grace=0.05)
        assert await client.at_end()
