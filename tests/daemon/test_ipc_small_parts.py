"""Closing connections linger for a moment only; alerts of the socket come at most once in a while."""

from __future__ import annotations

import asyncio

from daemon.ipc_alerts import IpcAlert, IpcAlerts
from daemon.ipc_lingering import Lingering


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
