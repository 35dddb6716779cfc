"""A daemon that answers from the sample and can be told to misbehave; speaks the protocol, nothing else is real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from shared.paths import Home
from tests.gui import sample


class FakeDaemon:
    """JSON-RPC over lines on loopback. `answers` may be changed at any time; an `Exception` is an error answer, a
    function makes the answer from the parameters.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._seq = 0
        self.silent = False
        self.codes: dict[str, int] = {}
        """The code of an error answer, where it is not a refusal by policy."""
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "get_status": sample.status(),
            "get_accounts": list(sample.snapshot()["accounts"].values()),
            "get_trades": sample.trades(),
            "get_pnl_curve": sample.curve(),
            "get_sessions": sample.sessions()[0],
            "get_rules": sample.rules(),
            "get_enforcement_log": list(reversed(sample.enforcement_log())),
            "get_lockout_history": [sample.lockout(3, cleared_at=sample.ago(10))],
            "lock_account": [],
        }
        self.snapshot = sample.snapshot()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self._home.endpoint.write_text(json.dumps({"host": "127.0.0.1", "port": port}), encoding="utf-8")

    async def stop(self) -> None:
        """End as a killed daemon does."""
        if self._server is not None:
            self._server.close()
            self.cut()
            self._server = None

    def cut(self) -> None:
        """Lose every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    def event(self, topic: str, account_id: int | None, data: Any, *, skip: int = 0) -> None:
        """Send an event; `skip` leaves a gap in the numbers before it."""
        self._seq += 1 + skip
        params = {"topic": topic, "account_id": account_id, "data": data, "seq": self._seq}
        for writer in self._writers:
            self._write(writer, {"jsonrpc": "2.0", "method": "event", "params": params})

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                request = json.loads(line)
                self.calls.append((request["method"], request.get("params") or {}))
                if not self.silent:
                    self._write(writer, {"jsonrpc": "2.0", "id": request["id"], **self._answer(request)})
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "subscribe":
            # As the daemon does it: the numbers begin with the snapshot.
            return {"result": {"seq": self._seq, "snapshot": self.snapshot}}
        answer = self.answers.get(request["method"])
        if isinstance(answer, Exception):
            return {"error": {"code": self.codes.get(request["method"], -32003), "message": str(answer)}}
        if callable(answer):
            answer = answer(request.get("params") or {})
        return {"result": answer}

    @staticmethod
    def _write(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def fake_daemon(home: Home) -> AsyncIterator[FakeDaemon]:
    home.create()
    daemon = FakeDaemon(home)
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()
