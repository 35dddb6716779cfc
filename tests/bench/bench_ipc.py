"""How long an event takes from `publish` to the client's callback, beside a bare asyncio TCP round trip.

    uv run python -m tests.bench.bench_ipc

Everything is in one process and one event loop, over loopback, as the round trip beside it. Only the ratios hold from
one machine to another. What floods of the socket cost protection is measured by `tests.bench.ipc_floods`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable

from loguru import logger

from daemon.ipc_server import CallContext, IpcServer, Listening
from shared.protocol import encode
from shared.rpc_client import Event, RpcClient, Snapshot

KEY = bytes(range(32))
ENFORCEMENT = {
    "id": 17,
    "account_id": 101,
    "rule_id": "RULE-003",
    "action": "close_position",
    "contract_id": "CON.F.US.ENQ.U25",
    "size": 2,
    "reason": "day's realized -510.74 <= -500.00",
    "triggered_at": "2026-11-21T07:19:46.000000Z",
}


def report(name: str, samples: list[float], base: list[float] | None = None) -> None:
    samples.sort()
    p50, p99 = statistics.median(samples), samples[int(len(samples) * 0.99)]
    line = f"{name:<58} p50 {p50 * 1e3:7.3f} ms   p99 {p99 * 1e3:7.3f} ms"
    if base is not None:
        base.sort()
        line += f"   x {p50 / statistics.median(base):4.2f} / {p99 / base[int(len(base) * 0.99)]:4.2f}"
    sys.stdout.write(line + "\n")


async def timed(count: int, once: Callable[[], Awaitable[None]]) -> list[float]:
    for _ in range(count // 10):
        await once()
    samples = []
    for _ in range(count):
        began = time.perf_counter()
        await once()
        samples.append(time.perf_counter() - began)
    return samples


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Bare(asyncio.Protocol):
    """A client that notes when something came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.came = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.came.done():
            self.came.set_result(None)

    async def round_trip(self, data: bytes) -> None:
        self.came = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        await self.came


async def bare_round_trips(count: int) -> list[float]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    _, client = await loop.create_connection(Bare, *server.sockets[0].getsockname()[:2])
    samples = await timed(count, lambda: client.round_trip(b"x" * 300))
    client.transport.close()
    server.close()
    return samples


async def status(params: object, context: CallContext) -> object:
    return {"status": "healthy"}


async def snapshot(params: object, context: CallContext) -> object:
    return {}


async def subscribed(at: Listening, listener: Callable[[Snapshot | Event], None]) -> RpcClient:
    client = RpcClient((at.host, at.port))
    await client.connect()
    await client.subscribe(["enforcement"], listener)
    return client


async def events(server: IpcServer, at: Listening, count: int, others: int) -> list[float]:
    """publish -> callback of one client, while `others` listen too."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[None] = loop.create_future()

    def listen(message: Snapshot | Event) -> None:
        if isinstance(message, Event) and not heard.done():
            heard.set_result(None)

    clients = [await subscribed(at, lambda _: None) for _ in range(others)]
    clients.append(await subscribed(at, listen))

    async def once() -> None:
        nonlocal heard
        heard = loop.create_future()
        server.publish("enforcement", 101, ENFORCEMENT)
        await heard

    samples = await timed(count, once)
    for client in clients:
        await client.close()
    return samples


async def main(count: int) -> None:
    server = IpcServer(
        "127.0.0.1", 0, KEY, {"get_status": status, "get_config": status, "subscribe": snapshot}, now=lambda: 0
    )
    at = await server.start()
    gc.collect()
    gc.freeze()
    base = await bare_round_trips(count)
    report("bare TCP round trip, 300 bytes", base)
    report("event: publish -> callback, 1 client", await events(server, at, count, 0), base)
    report("event: publish -> callback, the last of 30 clients", await events(server, at, count // 10, 29), base)

    client = RpcClient((at.host, at.port))
    await client.connect()
    await client.authenticate(KEY)

    async def call(method: str) -> None:
        await asyncio.sleep(0.002)  # below the rate at which the daemon begins to refuse
        began = time.perf_counter()
        await client.call(method)
        calls.append(time.perf_counter() - began)

    for method in ("get_status", "get_config"):
        calls: list[float] = []
        for _ in range(count // 10):
            await call(method)
        report(f"call {method}{' (signed)' if method == 'get_config' else ''}", calls, base)

    began = time.perf_counter()
    for _ in range(count):
        encode({"topic": "enforcement", "account_id": 101, "data": ENFORCEMENT})
    sys.stdout.write(f"serialising one event: {(time.perf_counter() - began) / count * 1e6:.2f} us\n")
    began = time.perf_counter()
    for _ in range(count):
        server.publish("lockouts", 101, ENFORCEMENT)
    sys.stdout.write(f"publish with nobody listening: {(time.perf_counter() - began) / count * 1e6:.2f} us\n")
    samples = []
    async with asyncio.timeout(30):
        listener = await subscribed(at, lambda _: None)
        for _ in range(count // 10):
            began = time.perf_counter()
            server.publish("enforcement", 101, ENFORCEMENT)
            samples.append(time.perf_counter() - began)
            await asyncio.sleep(0)
        report("publish itself (time taken from the daemon), 1 client", samples, base)
        await listener.close()
    await client.close()
    await server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5000, help="round trips per row")
    logger.remove()
    asyncio.run(main(parser.parse_args().count))
