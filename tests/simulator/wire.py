"""A bare client of the gateway's wire: REST over aiohttp and SignalR frames, nothing hidden."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from daemon.simulator import Simulator

SEPARATOR = "\x1e"
HELLO = '{"protocol": "json", "version": 1}\x1e'
WAIT = 5.0


async def eventually(condition: Callable[[], object], seconds: float = WAIT) -> None:
    """Wait until a condition holds; AssertionError when it never does."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "never happened"
        await asyncio.sleep(0.005)


class Wire:
    """One user's HTTP client."""

    def __init__(self, sim: Simulator, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.session = session
        self.token = ""
        self._hubs: list[Hub] = []

    async def login(self, username: str = "trader1", key: str = "key-1") -> Wire:
        answer = await self.post("Auth/loginKey", userName=username, apiKey=key)
        self.token = answer["token"]
        return self

    async def close(self) -> None:
        """Close the hub connections."""
        for hub in self._hubs:
            await hub.ws.close()

    async def request(self, path: str, body: object = None, method: str = "POST") -> tuple[int, Any]:
        """(status, JSON or text) of a REST request."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        timeout = aiohttp.ClientTimeout(total=WAIT)
        async with self.session.request(
            method, f"{self.sim.api_url}/{path}", json=body, headers=headers, timeout=timeout
        ) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def post(self, path: str, **body: Any) -> Any:
        """The JSON answer of a POST that must succeed on the HTTP level."""
        status, answer = await self.request(path, body)
        assert status == 200, (status, answer)
        return answer

    async def control(self, action: str, **fields: Any) -> tuple[int, Any]:
        """(status, JSON) of a control request."""
        async with self.session.post(f"{self.sim.control_url}/{action}", json=fields) as response:
            return response.status, await response.json()

    async def negotiate(self, hub: str) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.sim.port}/hubs/{hub}/negotiate?access_token={self.token}"
        async with self.session.post(url) as response:
            return response.status, await response.json() if response.status == 200 else None

    async def connect(self, hub: str = "user", handshake: bool = True) -> Hub:
        """Negotiate, upgrade and (unless told not to) shake hands."""
        status, answer = await self.negotiate(hub)
        assert status == 200
        return await self.upgrade(hub, answer["connectionId"], handshake)

    async def upgrade(self, hub: str, connection_id: str, handshake: bool = True) -> Hub:
        url = f"ws://127.0.0.1:{self.sim.port}/hubs/{hub}?access_token={self.token}&id={connection_id}"
        connection = Hub(await self.session.ws_connect(url, autoping=False, max_msg_size=0))
        self._hubs.append(connection)
        if handshake:
            await connection.ws.send_str(HELLO)
            assert await connection.receive() == {}
        return connection

    async def subscribed(self, *accounts: int) -> Hub:
        """A user hub connection with every subscription for these accounts."""
        hub = await self.connect("user")
        await hub.invoke("SubscribeAccounts")
        for account in accounts:
            for what in ("Orders", "Positions", "Trades"):
                await hub.invoke(f"Subscribe{what}", account)
        await hub.settled()
        return hub


class Hub:
    """One SignalR connection, message by message."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self._waiting: list[str] = []

    async def invoke(self, method: str, *arguments: object) -> None:
        message = {"target": method, "arguments": list(arguments), "type": 1, "headers": {}}
        await self.ws.send_str(json.dumps(message) + SEPARATOR)

    async def settled(self) -> None:
        """Wait until the server has read everything sent so far."""
        await self.ws.send_str('{"type":1,"invocationId":"barrier","target":"Heartbeat","arguments":[]}' + SEPARATOR)
        while (await self.receive()) != {"type": 3, "invocationId": "barrier", "result": None}:
            pass

    async def frame(self) -> aiohttp.WSMessage:
        return await self.ws.receive(timeout=WAIT)

    async def receive(self) -> Any:
        """The next message as JSON; AssertionError when the connection ends instead."""
        while not self._waiting:
            message = await self.frame()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            self._waiting = [part for part in message.data.split(SEPARATOR) if part]
        return json.loads(self._waiting.pop(0))

    async def next(self, target: str) -> Any:
        """The arguments of the next invocation of `target`; others are passed over."""
        while True:
            message = await self.receive()
            if message.get("target") == target:
                return message["arguments"]

    async def drain(self) -> list[Any]:
        """Everything that has been sent by now."""
        await self.ws.send_str('{"type":1,"invocationId":"drain","target":"x","arguments":[]}' + SEPARATOR)
        messages: list[Any] = []
        while True:
            message = await self.receive()
            if message.get("invocationId") == "drain":
                return messages
            messages.append(message)

    async def close_code(self) -> int | None:
        """Read to the end of the connection and return its close code."""
        while True:
            message = await self.frame()
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return self.ws.close_code if message.type is not aiohttp.WSMsgType.CLOSE else message.data


def of(messages: list[Any], target: str) -> list[Any]:
    """The first argument of every invocation of `target`."""
    return [m["arguments"][0] for m in messages if m.get("target") == target]
