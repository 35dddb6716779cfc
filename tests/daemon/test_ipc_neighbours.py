"""Neighbours on the same machine: squatters, crowds, floods, slow readers. The daemon, the tray and the admin go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from daemon.ipc_server import Handler, Listening
from daemon.ipc_sessions import CallContext, CallsAtOnce, IpcLimits
from shared.protocol import ErrorCode
from shared.rpc_client import RpcClient
from tests.daemon.ipc_support import KEY, Daemon, Lines, eventually, serving

STATUS = b'{"jsonrpc":"2.0","id":1,"method":"get_status"}\n'
SUBSCRIBE = b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":["status"]}}\n'


async def get_in(at: Listening, *, admin: bool, within: float = 2.0) -> Lines:
    """Connects as a simple script would, again and again, until it is served; fails when that takes longer."""
    async with asyncio.timeout(within):
        while True:
            client = await Lines.open(at)
            with contextlib.suppress(ConnectionError, TypeError):
                if admin:
                    if "result" in await client.log_in() and "result" in await client.ask("get_config", signed=True):
                        return client
                elif "result" in await client.ask("subscribe", {"topics": ["status"]}):
                    return client
            await client.close()
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def squatters(at: Listening, kind: str, reconnect: float | None) -> AsyncIterator[None]:
    """32 connections held open in some way; each comes back after `reconnect` seconds when it was cut."""

    async def squat() -> None:
        while True:
            with contextlib.suppress(ConnectionError):
                client = await Lines.open(at)
                try:
                    if kind == "subscribed":
                        client.send(SUBSCRIBE)
                    started.release()
                    while True:
                        if kind == "asking":
                            client.send(STATUS)
                        elif kind == "trickling":
                            client.send(b"{")
                        with contextlib.suppress(TimeoutError):
                            if not await asyncio.wait_for(client.reader.readline(), 0.1) or kind == "silent":
                                break
                        await client.writer.drain()
                finally:
                    client.writer.close()
            if reconnect is None:
                return
            await asyncio.sleep(reconnect)

    started = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(squat()) for _ in range(32)]
    async with asyncio.timeout(5):
        for _ in tasks:
            await started.acquire()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("admin", [True, False], ids=["admin", "tray"])
@pytest.mark.parametrize("reconnect", [None, 0.2], ids=["hold", "return"])
@pytest.mark.parametrize("kind", ["silent", "trickling", "asking", "subscribed"])
async def test_newcomer_when_squatters_hold_every_place_is_served_within_two_seconds(
    kind: str, reconnect: float | None, admin: bool
) -> None:
    async with serving(Daemon()) as (server, at), squatters(at, kind, reconnect):
        await eventually(lambda: server.connections == 32)
        client = await get_in(at, admin=admin)
        assert server.connections <= 32
        await client.close()


async def test_admin_when_squatters_reconnect_as_fast_as_they_can_is_served_and_stays() -> None:
    async with serving(Daemon()) as (_, at), squatters(at, "subscribed", 0.0):
        admin = await get_in(at, admin=True)
        for _ in range(20):
            assert "result" in await admin.ask("get_config", signed=True)
            await asyncio.sleep(0.01)
        await admin.close()


async def test_tray_and_admin_when_a_crowd_comes_after_them_keep_their_places() -> None:
    async with serving(Daemon()) as (server, at):
        tray, admin = await get_in(at, admin=False), await get_in(at, admin=True)
        async with squatters(at, "subscribed", 0.0):
            for number in range(20):
                server.publish("status", None, {"n": number})
                assert (await tray.read())["params"]["data"] == {"n": number}
                assert "result" in await admin.ask("get_config", signed=True)
                await asyncio.sleep(0.01)
        await tray.close()
        await admin.close()


async def test_crowd_of_a_thousand_when_it_connects_is_refused_politely_and_others_go_on() -> None:
    daemon = Daemon()
    async with serving(daemon) as (server, at):
        tray = await get_in(at, admin=False)
        crowd = [socket.create_connection((at.host, at.port), timeout=5) for _ in range(8)]
        loop = asyncio.get_running_loop()
        for _ in range(124):  # in eights: the kernel's queue is not what is tested here
            batch = [socket.socket() for _ in range(8)]
            for one in batch:
                one.setblocking(False)
            await asyncio.gather(*(loop.sock_connect(one, (at.host, at.port)) for one in batch))
            crowd += batch
        assert len(crowd) == 1000
        await eventually(lambda: server.connections <= 32)
        silent = list(crowd)

        def hear() -> int:
            for one in list(silent):
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    answer = json.loads(one.recv(10_000))
                    assert answer["id"] is None
                    assert answer["error"]["code"] == ErrorCode.BUSY
                    assert answer["error"]["data"]["retry_after"] >= 1
                    silent.remove(one)
            return len(silent)

        await eventually(lambda: hear() == 31)  # with the tray, 32 are left; 969 were told why not
        server.publish("status", None, "still here")
        assert (await tray.read())["params"]["data"] == "still here"
        assert "places_contested" in daemon.alert_kinds()
        for one in crowd:
            one.close()
        await tray.close()


async def test_thirty_two_when_they_connect_and_ask_are_all_served() -> None:
    async with serving(Daemon()) as (server, at):
        clients = [await Lines.open(at) for _ in range(32)]
        answers = await asyncio.gather(*(client.ask("subscribe", {"topics": ["status"]}) for client in clients))
        assert all("result" in answer for answer in answers)
        assert server.connections == 32
        for client in clients:
            await client.close()


async def test_connection_when_it_says_nothing_is_closed_after_the_first_line_time() -> None:
    async with serving(Daemon(), limits=IpcLimits(first_line_seconds=0.1, sweep_seconds=0.02)) as (server, at):
        silent, trickling, spoken = await Lines.open(at), await Lines.open(at), await Lines.open(at)
        assert "result" in await spoken.ask("get_status")
        for _ in range(3):
            trickling.send(b"{")
            await asyncio.sleep(0.02)
        answer = await silent.read()
        assert "No line came within 0.1 s" in answer["error"]["message"]
        assert await silent.at_end()
        assert await trickling.at_end()
        assert server.connections == 1
        assert "result" in await spoken.ask("get_status")


async def test_connection_when_all_others_had_left_is_closed_as_ever() -> None:
    async with serving(Daemon(), limits=IpcLimits(first_line_seconds=0.1, sweep_seconds=0.02)) as (server, at):
        for _ in range(2):
            client = await Lines.open(at)
            await client.ask("get_status")
            await client.close()
            await eventually(lambda: server.connections == 0)
            await asyncio.sleep(0.1)
            silent = await Lines.open(at)
            assert "No line came" in (await silent.read())["error"]["message"]
            await eventually(lambda: server.connections == 0)


async def test_line_when_begun_and_never_finished_ends_the_connection() -> None:
    async with serving(Daemon(), limits=IpcLimits(line_seconds=0.1, sweep_seconds=0.02)) as (_, at):
        client = await Lines.open(at)
        await client.ask("get_status")
        reading = asyncio.create_task(client.read())
        while not reading.done():
            client.send(b"x")
            await asyncio.sleep(0.01)
        assert "not finished" in (await reading)["error"]["message"]
        client.writer.transport.abort()


async def test_reader_when_it_does_not_read_is_dropped_and_the_publisher_never_waits() -> None:
    limits = IpcLimits(max_unsent=256 * 1024, sweep_seconds=0.05)
    async with serving(Daemon(), limits=limits) as (server, at):
        slow, good = await Lines.open(at), await Lines.open(at)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        slow.send(SUBSCRIBE)
        await good.ask("subscribe", {"topics": ["status"]})
        await eventually(lambda: server.wanted("status") and server.connections == 2)
        number = 0
        async with asyncio.timeout(20):
            while server.connections == 2:
                number += 1
                server.publish("status", None, {"n": number, "text": "x" * 50_000})
                event = (await good.read())["params"]
                assert (event["data"]["n"], event["seq"]) == (number, number)
        assert number < 400
        server.publish("status", None, {"n": 0})
        assert (await good.read())["params"]["data"] == {"n": 0}
        slow.writer.transport.abort()
        await good.close()


async def test_reader_when_it_stalls_with_little_unread_is_dropped_in_time() -> None:
    limits = IpcLimits(max_unsent=64 * 1024 * 1024, stalled_seconds=0.1, sweep_seconds=0.02)
    async with serving(Daemon(), limits=limits) as (server, at):
        slow = await Lines.open(at)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        slow.send(SUBSCRIBE)
        await eventually(lambda: server.wanted("status"))
        async with asyncio.timeout(20):
            while server.connections:
                for _ in range(20):
                    server.publish("status", None, "x" * 50_000)
                await asyncio.sleep(0.02)
        assert not server.wanted("status")
        slow.writer.transport.abort()


async def test_flood_when_it_fills_every_other_place_leaves_the_tray_its_answers() -> None:
    stop = asyncio.Event()
    noise = random.Random(5).randbytes(20_000) + b"\n" * 2000 + STATUS * 200

    async def flood(at: Listening) -> None:
        client = await Lines.open(at)
        with contextlib.suppress(ConnectionError):
            while not stop.is_set():
                client.send(noise)
                await client.writer.drain()
                if not await asyncio.wait_for(client.reader.read(1_000_000), 5):
                    break
        client.writer.transport.abort()

    async with serving(Daemon()) as (_, at):
        tray = await get_in(at, admin=False)
        floods = [asyncio.create_task(flood(at)) for _ in range(12)]
        for _ in range(15):
            answer = await tray.ask("get_pnl", {"account_id": 101})
            assert answer["result"]["realized"] == "-510.74"
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(*floods, return_exceptions=True)
        assert "result" in await tray.ask("get_status")
        await tray.close()


async def test_random_bytes_when_sent_over_many_connections_leave_the_daemon_as_it_was() -> None:
    dice = random.Random(7)
    async with serving(Daemon()) as (server, at):
        for _ in range(60):
            client = await Lines.open(at)
            for _ in range(dice.randrange(1, 5)):
                client.send(
                    dice.choice([dice.randbytes(dice.randrange(1, 3000)), b"[" * 3000 + b"\n", STATUS[:20], b"\n"])
                )
            if dice.random() < 0.5:
                await client.close()
            else:
                client.writer.transport.abort()
        await eventually(lambda: server.connections == 0)
        client = await Lines.open(at)
        assert "result" in await client.ask("get_status")
        await client.close()


async def test_client_library_when_squatters_hold_every_place_connects_and_logs_in() -> None:
    async with serving(Daemon()) as (_, at), squatters(at, "asking", 0.2):
        client = RpcClient((at.host, at.port))
        client.start()
        await client.wait_connected(2.0)
        assert not (await client.authenticate(KEY)).second_factor_required
        assert await client.call("get_config") == {"version": 1}
        await client.close()


class Counting(Daemon):
    """A daemon that counts how many of its reading handlers are at work, and what an answer is as long as."""

    def __init__(self, size: int = 0) -> None:
        super().__init__()
        self.answer = "x" * size
        self.inside = self.most_inside = self.finished = 0

    def handlers(self) -> dict[str, Handler]:
        async def counting(params: Any, context: CallContext) -> object:
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
            for _ in range(5):
                await context.pause()
                await asyncio.sleep(0)
            self.inside -= 1
            self.finished += 1
            return self.answer

        return {**super().handlers(), "get_pnl": counting, "subscribe": counting}


async def test_calls_when_they_come_over_many_connections_run_one_at_a_time_and_all_are_answered() -> None:
    daemon = Counting()
    async with serving(daemon, limits=IpcLimits(at_once=CallsAtOnce(aside_seconds=60.0))) as (_, at):
        clients = [await Lines.open(at) for _ in range(20)]
        ask = b'{"jsonrpc":"2.0","id":%d,"method":"get_pnl","params":{"account_id":101}}\n'
        for client in clients:
            client.send(b"".join(ask % number for number in range(10)))
        for client in clients:
            assert sorted([(await client.read(20))["id"] for _ in range(10)]) == list(range(10))
        assert (daemon.most_inside, daemon.finished) == (1, 200)
        for client in clients:
            await client.close()


async def test_admin_when_a_call_of_another_is_being_answered_does_not_wait_for_it() -> None:
    daemon = Daemon()
    async with serving(daemon, limits=IpcLimits(at_once=CallsAtOnce(aside_seconds=60.0))) as (_, at):
        admin, other = await get_in(at, admin=True), await Lines.open(at)
        other.send(b'{"jsonrpc":"2.0","id":1,"method":"get_positions","params":{"account_id":101}}\n')
        other.send(STATUS)
        for _ in range(20):
            assert "result" in await admin.ask("get_config", signed=True)
        assert "get_status" not in [name for name, _, _ in daemon.calls]
        daemon.release.set()
        assert {(await other.read())["id"] for _ in range(2)} == {1}
        await admin.close()
        await other.close()


async def test_reads_when_nobody_wants_their_answer_are_not_run() -> None:
    daemon = Counting()
    async with serving(daemon) as (_, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","method":"get_pnl","params":{"account_id":101}}\n' * 50)
        assert "result" in await client.ask("get_accounts")
        assert daemon.most_inside == 0 and [name for name, _, _ in daemon.calls] == ["get_accounts"]
        await client.close()


async def test_subscription_when_asked_for_without_an_answer_needs_no_snapshot() -> None:
    daemon = Counting()
    async with serving(daemon) as (server, at):
        client = await Lines.open(at)
        client.send(b'{"jsonrpc":"2.0","method":"subscribe","params":{"topics":["status"]}}\n')
        await eventually(lambda: server.wanted("status"))
        server.publish("status", None, 7)
        assert (await client.read())["params"] == {"topic": "status", "account_id": None, "data": 7, "seq": 1}
        assert daemon.most_inside == 0
        await client.close()


async def test_calls_when_their_answers_are_not_read_are_not_run_and_nothing_piles_up() -> None:
    daemon = Counting(size=900_000)
    limits = IpcLimits(max_unsent=64 * 1024 * 1024, stalled_seconds=60.0)
    async with serving(daemon, limits=limits) as (_, at):
        lazy, good = await Lines.open(at), await Lines.open(at)
        lazy.writer.transport.pause_reading()  # type: ignore[attr-defined]
        lazy.send(b'{"jsonrpc":"2.0","id":1,"method":"get_pnl","params":{"account_id":101}}\n' * 90)
        for _ in range(40):
            assert "result" in await good.ask("get_status")
        await eventually(lambda: daemon.inside == 0)
        held = daemon.finished
        for _ in range(20):
            assert "result" in await good.ask("get_status")
        assert daemon.finished == held < 90
        lazy.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(90):
            assert len((await lazy.read(20))["result"]) == 900_000
        for client in (lazy, good):
            await client.close()


async def test_lines_made_to_be_dear_when_they_come_are_refused_unjudged_and_leave_others_their_answers() -> None:
    dear = [
        b'{"jsonrpc":"2.0","id":"' + b"9" * 1_000_000 + b'","method":"get_status"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 1_000_000 + b'"}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"get_status","params":' + b'{"a":' * 1100 + b"1" + b"}" * 1100 + b"}\n",
        b'{"jsonrpc":"2.0","id":1,"method":"get_status","params":{"a":[' + b"[]," * 300_000 + b"1]}}\n",
        b'{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{"topics":[' + b'"pnl",' * 15_000 + b'"pnl"]}}\n',
        b'{"jsonrpc":"2.0","id":1,"method":"get_pnl","params":{"account_id":' + b"9" * 5000 + b"}}\n",
        b'{"jsonrpc":"2.0","id":1,"method":"get_enforcement_log","params":{"limit":1001}}\n',
    ]
    daemon = Daemon()
    async with serving(daemon) as (_, at):
        sender, tray = await Lines.open(at), await Lines.open(at)
        for line in dear:
            sender.send(line)
            answer = await sender.read(20)
            assert answer["error"]["code"] < 0 and len(json.dumps(answer)) < 2000
            assert "result" in await tray.ask("get_status")
        assert {name for name, _, _ in daemon.calls} == {"get_status"} and len(daemon.calls) == len(dear)
        for client in (sender, tray):
            await client.close()
