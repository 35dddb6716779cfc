"""Closing connections linger for a moment only, new ones are accepted with rests, alerts come once in a while."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from daemon.ipc_alerts import IpcAlert, IpcAlerts
from daemon.ipc_lingering import Lingering
from daemon.ipc_listener import accept_for_ever, bind_loopback
from daemon.ipc_server import IpcServer
from daemon.ipc_sessions import Session
from daemon.ipc_share import Share
from shared.rpc_connection import ServerConnection
from tests.daemon.ipc_support import eventually


class Transport(asyncio.Transport):
    """Remembers what was done to it. `unsent`: bytes that the other end has not taken."""

    def __init__(self, unsent: int = 0) -> None:
        super().__init__()
        self.unsent = unsent
        self.done: list[str] = []

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return bool(self.done)

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")


async def test_connection_that_lingers_is_closed_after_its_time_or_cut_when_it_takes_nothing() -> None:
    lingering = Lingering(0.01, 10)
    quiet, unread, flushing = Transport(), Transport(unsent=1), Transport(unsent=1)
    lingering.add(quiet, flush_first=False)
    lingering.add(unread, flush_first=False)
    lingering.add(flushing, flush_first=True)
    assert (quiet.done, unread.done, flushing.done) == ([], [], ["close"])
    await asyncio.sleep(0.05)
    assert (quiet.done, unread.done, flushing.done) == (["close"], ["abort"], ["close", "abort"])


async def test_only_so_many_linger_and_those_that_are_gone_make_room() -> None:
    lingering = Lingering(60.0, 2)
    first, second, third, fourth = (Transport() for _ in range(4))
    for transport in (first, second, third):
        lingering.add(transport, flush_first=False)
    assert (first.done, second.done, third.done) == ([], [], ["abort"])
    lingering.gone(first)
    lingering.gone(first)
    lingering.add(fourth, flush_first=False)
    lingering.stop()
    assert (first.done, second.done, fourth.done) == ([], ["close"], ["close"])


def test_alerts_of_a_kind_come_once_in_a_while_and_logins_each_time() -> None:
    now = 0.0
    heard: list[IpcAlert] = []

    def hear(alert: IpcAlert) -> None:
        heard.append(alert)
        raise RuntimeError("the audit log is out of order")

    alerts = IpcAlerts(hear, 60.0, lambda: now)
    for _ in range(3):
        alerts.warn("port_taken", "The port is taken.")
        alerts.warn("accept_failed", "Nobody can connect.")
        alerts.inform("admin_logged_in", "An administrator logged in.")
    assert [alert.kind for alert in heard] == ["port_taken", "accept_failed", *["admin_logged_in"] * 3]
    now = 60.0
    alerts.warn("port_taken", "The port is taken.")
    assert heard[-1] == IpcAlert("port_taken", "warning", "The port is taken.")


class Budget(Share):
    """Notes what is charged; `left` is the rest it asks for."""

    def __init__(self) -> None:
        super().__init__(0.5, credit=0.0, longest=60.0)
        self.charged: list[float] = []
        self.left = 0.0

    def charge(self, seconds: float) -> None:
        self.charged.append(seconds)

    def wait(self) -> float:
        return self.left


async def test_connections_when_many_come_are_each_accounted_for_and_wait_for_the_rest() -> None:
    listener, _ = bind_loopback("127.0.0.1", 0)
    budget = Budget()
    accepted = 0

    def protocol() -> asyncio.Protocol:
        nonlocal accepted
        accepted += 1
        return asyncio.Protocol()

    accepting = asyncio.create_task(accept_for_ever(listener, protocol, share=budget))
    clients = [socket.create_connection(listener.getsockname()) for _ in range(10)]
    await eventually(lambda: len(budget.charged) == 10)
    assert accepted == 10 and min(budget.charged) > 0.0
    budget.left = 60.0
    clients += [socket.create_connection(listener.getsockname()) for _ in range(5)]
    await eventually(lambda: len(budget.charged) == 11)
    for _ in range(50):
        await asyncio.sleep(0)
    assert accepted == 11
    accepting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await accepting
    for one in [*clients, listener]:
        one.close()


async def test_newcomer_when_it_sends_much_at_once_is_not_judged_first() -> None:
    server = IpcServer("127.0.0.1", 0, None, {}, now=lambda: 0)
    session = Session(server, 1, ServerConnection(None), lambda: 0.0)
    session.connection.feed(
        b'{"jsonrpc":"2.0","id":1,"method":"auth_begin","params":{"client_nonce":"%s"}}\n' % (b"a" * 64)
    )
    assert session.first_of_all
    session.connection.feed(b"[" * 8000)
    assert not session.first_of_all
