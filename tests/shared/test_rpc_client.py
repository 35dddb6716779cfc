"""The client: where the daemon is, what it says when it is not there, how it comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from shared.admin_auth import ServerNotProvenError
from shared.protocol import ErrorCode, RpcError, error_line, result_line
from shared.rpc_client import (
    Backoff,
    CallTimeoutError,
    ConnectionState,
    EndpointError,
    Event,
    RpcClient,
    Snapshot,
    UnreachableError,
    read_endpoint,
)
from tests.daemon.ipc_support import KEY, Daemon, eventually, serving
from tests.shared.notifications import notification_line

QUICK = Backoff(first=0.01, longest=0.05)


def write_endpoint(path: Path, host: str, port: int, **more: object) -> Path:
    path.write_text(json.dumps({"host": host, "port": port, "pid": os.getpid(), "version": "0.1.0", **more}))
    return path


@contextlib.asynccontextmanager
async def fake_daemon(answer: Callable[[dict[str, object]], bytes | None]) -> AsyncIterator[tuple[str, int]]:
    """Something on a port that answers each line with what `answer` gives, or closes when that is None."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                data = answer(json.loads(line))
                if data is None:
                    break
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()


async def test_call_when_the_daemon_runs_returns_the_result(tmp_path: Path) -> None:
    async with serving(Daemon()) as (_, at):
        path = write_endpoint(tmp_path / "endpoint.json", at.host, at.port, instance="x", view="view.db", more=1)
        async with RpcClient(path) as client:
            assert client.connected
            assert await client.call("get_status") == {"status": "healthy"}
            assert await client.call("get_pnl", {"account_id": 101}) == {"account_id": 101, "realized": "-510.74"}
            with pytest.raises(RpcError) as caught:
                await client.call("get_pnl", {"account_id": 7})
            assert caught.value.code == ErrorCode.UNKNOWN_ACCOUNT
            assert await asyncio.gather(*(client.call("get_accounts") for _ in range(50))) == [[]] * 50


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is not running: there is no"),
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"port": 5555}', "host"),
        ('{"host": "127.0.0.1"}', "port"),
        ('{"host": "127.0.0.1", "port": "5555"}', "port"),
        ('{"host": "127.0.0.1", "port": 0}', "port"),
        ('{"host": "127.0.0.1", "port": 99999}', "port"),
        ('{"host": "10.0.0.7", "port": 5555}', "not this machine"),
        ('{"host": "127.0.0.1.example.com", "port": 5555}', "not this machine"),
    ],
)
async def test_endpoint_when_missing_or_damaged_is_one_sentence(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "endpoint.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EndpointError) as caught:
        read_endpoint(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    client = RpcClient(path)
    with pytest.raises(EndpointError, match=r"endpoint\.json"):
        await client.connect()
    assert client.state is ConnectionState.DISCONNECTED
    with pytest.raises(UnreachableError):
        await client.call("get_status")
    await client.close()


async def test_endpoint_when_the_daemon_is_gone_says_so(tmp_path: Path) -> None:
    async with serving(Daemon()) as (_, at):
        pass
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await asyncio.wait_for(child.wait(), 10)
    path = write_endpoint(tmp_path / "endpoint.json", at.host, at.port)
    client = RpcClient(path)
    with pytest.raises(UnreachableError, match=f"port {at.port}"):
        await client.connect()
    write_endpoint(path, at.host, at.port, pid=child.pid)
    with pytest.raises(EndpointError, match=f"not running.*process {child.pid}"):
        await client.connect()
    await client.close()


async def test_client_when_the_daemon_comes_back_elsewhere_finds_it_and_subscribes_again(tmp_path: Path) -> None:
    path = tmp_path / "endpoint.json"
    heard: list[Snapshot | Event] = []
    states: list[ConnectionState] = []
    client = RpcClient(path, on_state=lambda state, _: states.append(state), backoff=QUICK)
    await client.subscribe(["status"], heard.append)
    client.start()
    await eventually(lambda: ConnectionState.DISCONNECTED in states)
    for _ in range(2):
        async with serving(Daemon()) as (server, at):
            write_endpoint(path, at.host, at.port)
            await client.wait_connected(5)
            await eventually(lambda server=server: server.wanted("status"))  # type: ignore[misc]
            await eventually(lambda: isinstance(heard[-1], Snapshot))
            server.publish("status", None, {"n": 1})
            await eventually(lambda: isinstance(heard[-1], Event))
        await eventually(lambda: not client.connected)
    assert [type(message) for message in heard] == [Snapshot, Event, Snapshot, Event]
    await client.close()
    assert states[-1] is ConnectionState.CLOSED
    assert states.count(ConnectionState.CONNECTED) == 2


async def test_call_when_the_connection_breaks_fails_with_a_sentence() -> None:
    async with fake_daemon(lambda _: None) as target:
        client = RpcClient(target)
        await client.connect()
        with pytest.raises(UnreachableError, match="lost"):
            await client.call("get_status")
        await client.close()
        with pytest.raises(UnreachableError):
            await client.connect()


async def test_call_when_no_answer_comes_times_out_and_a_late_one_hurts_nobody() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        with pytest.raises(CallTimeoutError, match="get_positions"):
            await client.call("get_positions", {"account_id": 101}, timeout=0.05)
        daemon.release.set()
        assert await client.call("get_status") == {"status": "healthy"}
        await client.close()


async def test_client_when_the_daemon_closes_and_says_why_passes_it_on() -> None:
    async with fake_daemon(lambda _: error_line(None, RpcError(ErrorCode.BUSY, "no room")) + b"") as target:
        texts: list[str] = []
        client = RpcClient(target, on_state=lambda _, text: texts.append(text))
        await client.connect()
        with pytest.raises(CallTimeoutError):
            await client.call("get_status", timeout=0.05)
        await client.close()
    async with serving(Daemon()) as (server, at):
        client = RpcClient((at.host, at.port), on_state=lambda _, text: texts.append(text))
        await client.connect()
        await client.call("get_status")
        await server.stop()
        await eventually(lambda: not client.connected)
        assert texts[-1] == "The daemon is stopping."
        await client.close()


async def test_client_when_something_else_is_on_the_port_says_so() -> None:
    async with fake_daemon(lambda _: b"220 mail.example.com ESMTP\r\n") as target:
        client = RpcClient(target)
        await client.connect()
        with pytest.raises(UnreachableError, match="does not speak its protocol"):
            await client.call("get_status")
        await client.close()


async def test_busy_when_reading_is_asked_again_and_when_changing_is_not() -> None:
    asked: list[object] = []

    def answer(message: dict[str, object]) -> bytes:
        asked.append(message["method"])
        if len(asked) < 3 or message["method"] != "get_status":
            return error_line(message["id"], RpcError(ErrorCode.BUSY, "busy", {"retry_after": 0.01}))  # type: ignore[arg-type]
        return result_line(message["id"], "free")  # type: ignore[arg-type]

    async with fake_daemon(answer) as target:
        client = RpcClient(target)
        await client.connect()
        assert await client.call("get_status") == "free"
        with pytest.raises(RpcError):
            await client.call("lock_account", {"account_id": 1, "minutes": 5})
        assert asked == ["get_status"] * 3 + ["lock_account"]
        await client.close()


# ---- subscriptions


async def test_subscription_when_made_gives_the_snapshot_before_any_event() -> None:
    daemon = Daemon()
    heard: list[Snapshot | Event] = []
    async with serving(daemon) as (server, at):
        daemon.during_snapshot = lambda: server.publish("enforcement", 101, "early")
        client = RpcClient((at.host, at.port))
        await client.connect()
        await client.subscribe(["enforcement", "status"], heard.append)
        server.publish("status", None, "late")
        await eventually(lambda: len(heard) == 3)
        assert heard == [
            Snapshot({"status": {"status": "healthy"}}),
            Event("enforcement", 101, "early", 1),
            Event("status", None, "late", 2),
        ]
        await client.close()


async def test_subscriptions_when_two_share_a_topic_are_each_served_and_ended_alone() -> None:
    one: list[Snapshot | Event] = []
    two: list[Snapshot | Event] = []
    async with serving(Daemon()) as (server, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        first = await client.subscribe(["status", "orders"], one.append)
        await client.subscribe(["status"], two.append)
        server.publish("status", None, 1)
        await eventually(lambda: len(one) == 2 and len(two) == 2)
        await client.unsubscribe(first)
        assert (server.wanted("status"), server.wanted("orders")) == (True, False)
        server.publish("status", None, 2)
        await eventually(lambda: len(two) == 3)
        assert len(one) == 2
        await client.unsubscribe(first)
        await client.close()


async def test_subscription_when_refused_raises_and_is_forgotten() -> None:
    async with serving(Daemon()) as (_, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        with pytest.raises(RpcError, match="topics"):
            await client.subscribe(["secrets"], lambda _: None)
        assert await client.call("get_status") == {"status": "healthy"}
        await client.close()


async def test_events_when_some_are_missing_make_the_client_subscribe_again() -> None:
    heard: list[Snapshot | Event] = []
    subscribed = 0

    def event(seq: int) -> bytes:
        return notification_line("event", {"topic": "status", "account_id": None, "data": seq, "seq": seq})

    def answer(message: dict[str, object]) -> bytes:
        nonlocal subscribed
        subscribed += 1
        if subscribed == 1:  # the events 2 and 3 never come
            result = {"topics": ["status"], "snapshot": "first", "seq": 0}
            return result_line(message["id"], result) + event(1) + event(4)  # type: ignore[arg-type]
        return result_line(message["id"], {"topics": ["status"], "snapshot": "second", "seq": 4}) + event(5)  # type: ignore[arg-type]

    async with fake_daemon(answer) as target:
        client = RpcClient(target)
        await client.connect()
        await client.subscribe(["status"], heard.append)
        await eventually(lambda: len(heard) == 4)
        assert heard == [
            Snapshot("first"),
            Event("status", None, 1, 1),
            Snapshot("second"),  # event 4 fits to no snapshot the listener has
            Event("status", None, 5, 5),
        ]
        assert subscribed == 2
        await client.close()


async def test_listener_when_it_raises_is_reported_and_the_connection_stays() -> None:
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["exception"]))

    def listen(message: Snapshot | Event) -> None:
        if isinstance(message, Event):
            raise ZeroDivisionError

    async with serving(Daemon()) as (server, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        await client.subscribe(["status"], listen)
        server.publish("status", None, 1)
        await eventually(lambda: len(reported) == 1)
        assert isinstance(reported[0], ZeroDivisionError)
        assert await client.call("get_status") == {"status": "healthy"}
        await client.close()


# ---- administrators


async def test_authenticate_when_the_key_is_right_signs_what_is_for_admins() -> None:
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        with pytest.raises(RpcError):
            await client.call("get_config")
        assert (await client.authenticate(KEY)).second_factor_required is False
        assert client.in_admin_session
        results = await asyncio.gather(
            client.call("get_config"),
            client.call("clear_lockout", {"id": 3, "reason": "größer als nötig €"}),
            client.call("get_status"),
            client.call("set_config", {"patch": {"rules": {"x": {"limit": 2.5}}}}),
        )
        assert list(results[1:]) == [{"cleared": True}, {"status": "healthy"}, {"changed": True}]
        await client.log_out()
        assert not client.in_admin_session
        with pytest.raises(RpcError):
            await client.call("get_config")
        await client.authenticate(KEY)
        assert await client.call("get_config") == {"version": 1}
        await client.close()


async def test_authenticate_when_the_key_is_another_daemons_cuts_the_connection() -> None:
    async with serving(Daemon()) as (_, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        with pytest.raises(ServerNotProvenError):
            await client.authenticate(b"x" * 32)
        await eventually(lambda: not client.connected)
        await client.close()


async def test_authenticate_when_a_squatter_plays_the_daemon_gives_it_no_proof() -> None:
    seen: list[object] = []

    def answer(message: dict[str, object]) -> bytes:
        seen.append(message["method"])
        return result_line(message["id"], {"server_nonce": "ab" * 32, "proof": "cd" * 32})  # type: ignore[arg-type]

    async with fake_daemon(answer) as target:
        client = RpcClient(target)
        await client.connect()
        with pytest.raises(ServerNotProvenError):
            await client.authenticate(KEY)
        assert seen == ["auth_begin"]
        await client.close()


async def test_session_when_the_connection_is_new_is_gone() -> None:
    async with serving(Daemon()) as (server, at):
        client = RpcClient((at.host, at.port), backoff=QUICK)
        client.start()
        await client.wait_connected(5)
        await client.authenticate(KEY)
        for session in list(server._sessions.values()):
            session.drop()
        await eventually(lambda: not client.connected)
        await client.wait_connected(5)
        assert not client.in_admin_session
        with pytest.raises(RpcError) as caught:
            await client.call("get_config")
        assert caught.value.code == ErrorCode.NOT_AUTHORIZED
        await client.close()


async def test_admin_topic_when_subscribed_before_the_login_begins_with_it() -> None:
    heard: list[Snapshot | Event] = []
    async with serving(Daemon()) as (server, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        await client.subscribe(["log"], heard.append)
        assert heard == []
        await client.authenticate(KEY)
        server.publish("log", None, "line")
        await eventually(lambda: len(heard) == 2)
        await client.close()


async def test_session_when_the_daemon_ended_it_asks_for_a_new_login() -> None:
    async with serving(Daemon()) as (server, at):
        client = RpcClient((at.host, at.port))
        await client.connect()
        await client.authenticate(KEY)
        for session in server._sessions.values():
            session.connection.end_session()
        with pytest.raises(RpcError):
            await client.call("get_config")
        assert not client.in_admin_session
        await client.authenticate(KEY)
        assert await client.call("get_config") == {"version": 1}
        await client.close()


class RelayLine:
    """Between client and daemon: changes what goes up."""

    def __init__(self, host: str, port: int, change: Callable[[bytes], list[bytes]]) -> None:
        self._to = (host, port)
        self._change = change

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._to)

        async def down() -> None:
            while data := await up_reader.read(65536):
                writer.write(data)
            writer.close()

        task = asyncio.create_task(down())
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                for one in self._change(line):
                    up_writer.write(one)
        up_writer.close()
        await task


@pytest.mark.parametrize("way", ["changes", "repeats", "adds"])
async def test_relay_when_it_touches_admin_requests_gets_nothing_done(way: str) -> None:
    daemon = Daemon()

    def change(line: bytes) -> list[bytes]:
        if b"clear_lockout" not in line:
            return [line]
        other = json.dumps({**json.loads(line), "params": {"id": 666, "reason": "mine"}}).encode() + b"\n"
        return {"changes": [other], "repeats": [line, line], "adds": [other, line]}[way]

    async with serving(daemon) as (_, at):
        relay = await asyncio.start_server(RelayLine(at.host, at.port, change).serve, "127.0.0.1", 0)
        client = RpcClient(relay.sockets[0].getsockname()[:2])
        await client.connect()
        await client.authenticate(KEY)
        with contextlib.suppress(RpcError):
            await client.call("clear_lockout", {"id": 3, "reason": "true"})
        await eventually(lambda: "signature_refused" in daemon.alert_kinds())
        await eventually(lambda: way == "changes" or bool(daemon.calls))
        done = [params.id for name, params, _ in daemon.calls if name == "clear_lockout"]
        assert done == ([] if way == "changes" else [3])
        await client.close()
        relay.close()


# ---- loops


QASYNC = """
import asyncio, sys
import qasync
from PySide6.QtCore import QCoreApplication
from shared.rpc_client import RpcClient, Snapshot

async def main(host, port, key):
    heard = []
    client = RpcClient((host, int(port)))
    client.start()
    await client.wait_connected(10)
    await client.subscribe(["status"], heard.append)
    assert isinstance(heard[0], Snapshot), heard
    assert await client.call("get_status") == {"status": "healthy"}
    await client.authenticate(bytes.fromhex(key))
    assert await client.call("get_config") == {"version": 1}
    try:
        await client.call("get_positions", {"account_id": 101}, timeout=0.1)
    except Exception as error:
        assert type(error).__name__ == "CallTimeoutError", error
    await client.close()
    sys.stdout.write("fine")

app = QCoreApplication([])
loop = qasync.QEventLoop(app)
asyncio.set_event_loop(loop)
with loop:
    loop.run_until_complete(main(*sys.argv[1:]))
"""


async def test_client_when_in_qasyncs_loop_works(tmp_path: Path) -> None:
    # Into a file, not a pipe: under Wine, a program that Qt starts keeps a pipe open for ever.
    log = tmp_path / "log"
    async with serving(Daemon()) as (_, at):
        output = log.open("wb")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", QASYNC, at.host, str(at.port), KEY.hex()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        output.close()
        try:
            await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            process.kill()
            raise
        assert log.read_text().splitlines()[-1:] == ["fine"], log.read_text()
        assert process.returncode == 0
