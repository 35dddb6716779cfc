"""A socket with a small table of handlers, and a client that is nothing but lines."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

from daemon.ipc_server import CallContext, Handler, IpcAlert, IpcLimits, IpcServer, Listening, SecondFactorCheck
from shared.admin_auth import ClientHandshake, Signer
from shared.protocol import ErrorCode, RpcError

KEY = bytes(range(32))
NOW = 1_795_250_000_000_000


class Daemon:
    """What the handlers touch."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any, CallContext]] = []
        self.alerts: list[IpcAlert] = []
        self.release = asyncio.Event()
        self.snapshot: Callable[[], object] = lambda: {"status": {"status": "healthy"}}
        self.during_snapshot: Callable[[], None] = lambda: None

    def alert_kinds(self) -> list[str]:
        return [alert.kind for alert in self.alerts]

    def handlers(self) -> dict[str, Handler]:
        def noting(name: str, result: object) -> Handler:
            async def handler(params: Any, context: CallContext) -> object:
                self.calls.append((name, params, context))
                return result

            return handler

        async def get_pnl(params: Any, context: CallContext) -> object:
            if params.account_id != 101:
                raise RpcError(ErrorCode.UNKNOWN_ACCOUNT, f"There is no account {params.account_id}.")
            return {"account_id": 101, "realized": "-510.74"}

        async def get_orders(params: Any, context: CallContext) -> object:
            raise ZeroDivisionError("a mistake of a handler")

        async def get_positions(params: Any, context: CallContext) -> object:
            await self.release.wait()
            return []

        async def get_enforcement_log(params: Any, context: CallContext) -> object:
            return [{"id": number, "reason": "x" * 1000} for number in range(params.limit)]

        async def subscribe(params: Any, context: CallContext) -> object:
            self.calls.append(("subscribe", params, context))
            self.during_snapshot()
            await asyncio.sleep(0)
            return self.snapshot()

        async def set_config(params: Any, context: CallContext) -> object:
            context.require_second_factor()
            return {"changed": True}

        return {
            "get_status": noting("get_status", {"status": "healthy"}),
            "get_accounts": noting("get_accounts", []),
            "get_pnl": get_pnl,
            "get_orders": get_orders,
            "get_positions": get_positions,
            "get_enforcement_log": get_enforcement_log,
            "subscribe": subscribe,
            "lock_account": noting("lock_account", {"locked": True}),
            "get_config": noting("get_config", {"version": 1}),
            "set_config": set_config,
            "clear_lockout": noting("clear_lockout", {"cleared": True}),
            "stop_daemon": noting("stop_daemon", {"stopping": True}),
        }


@contextlib.asynccontextmanager
async def serving(
    daemon: Daemon,
    *,
    limits: IpcLimits | None = None,
    second_factor: SecondFactorCheck | None = None,
    key: bytes | None = KEY,
    host: str = "127.0.0.1",
    port: int = 0,
    **more: Any,
) -> AsyncIterator[tuple[IpcServer, Listening]]:
    server = IpcServer(
        host,
        port,
        key,
        daemon.handlers(),
        now=lambda: NOW,
        on_alert=daemon.alerts.append,
        second_factor=second_factor,
        limits=limits,
        **more,
    )
    listening = await server.start()
    try:
        yield server, listening
    finally:
        daemon.release.set()
        await server.stop()


class Lines:
    """A client by hand. Everything has a time-out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.signer: Signer | None = None
        self._ids = 0

    @classmethod
    async def open(cls, at: Listening) -> Lines:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(at.host, at.port, limit=4 * 1024 * 1024), 5)
        return cls(reader, writer)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self, timeout: float = 5.0) -> Any:
        """The next line's JSON; None at the end of the stream."""
        try:
            line = await asyncio.wait_for(self.reader.readline(), timeout)
        except ConnectionError:
            return None
        return json.loads(line) if line else None

    async def ask(self, method: str, params: object = None, *, signed: bool = False, **more: object) -> Any:
        """The whole answer message."""
        self._ids += 1
        message: dict[str, object] = {"jsonrpc": "2.0", "id": self._ids, "method": method, **more}
        if params is not None:
            message["params"] = params
        if signed and self.signer is not None:
            message["auth"] = self.signer.sign(method, params if isinstance(params, dict) else None)
        self.send(json.dumps(message).encode() + b"\n")
        while True:
            answer = await self.read()
            if answer is None or answer.get("id") == self._ids or "method" not in answer:
                return answer

    async def log_in(self, key: bytes = KEY) -> Any:
        """The answer to auth_finish; afterwards requests can be signed if it was a success."""
        shake = ClientHandshake(key, secrets.token_bytes(32))
        challenge = await self.ask("auth_begin", shake.begin_params())
        if challenge is None or "error" in challenge:
            return challenge or {}
        answer = await self.ask("auth_finish", shake.finish_params(challenge["result"]))
        if "result" in answer:
            self.signer = shake.signer()
        return answer

    async def at_end(self, timeout: float = 5.0) -> bool:
        """Reads to the end of the stream; True when there is one."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), timeout) is not None
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self.writer.wait_closed(), 2)


async def eventually(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Waits until the condition holds; fails the test when it does not in time."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - the point is to poll
            await asyncio.sleep(0.005)
