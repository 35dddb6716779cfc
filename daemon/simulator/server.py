"""The HTTP shell: authentication, limit, faults and dispatch of REST requests, negotiate and upgrade, control requests.

Built on aiohttp's low-level server: no router, no middleware, no access log, because the benchmark that runs through
here has a budget of 3 ms for everything.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from daemon.simulator import effects as fx
from daemon.simulator.auth import LoginState, RequestLimit, Sessions
from daemon.simulator.broker import Broker
from daemon.simulator.clock import SECOND, SimClock
from daemon.simulator.codes import LOGIN_INVALID_CREDENTIALS, LOGIN_USER_NOT_FOUND, code_of
from daemon.simulator.config import SimulatorConfig
from daemon.simulator.endpoints import EMPTY, BadRequest, Endpoints, failure, success
from daemon.simulator.faults import Fault, FaultBox
from daemon.simulator.hubs import Hubs
from daemon.simulator.orders import Reason
from daemon.simulator.records import RequestRecord
from daemon.simulator.schedule import Schedule
from daemon.simulator.tcp import reset

AUTH = frozenset({"Auth/loginKey", "Auth/validate", "Auth/logout"})
JSON = "application/json; charset=utf-8"
PAGE = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We'll be right back.</h1></body></html>"
Control = Callable[[str, str, dict[str, Any]], Any]


class Gateway:
    """Answers every HTTP request of the simulated gateway."""

    def __init__(
        self,
        *,
        config: SimulatorConfig,
        clock: SimClock,
        schedule: Schedule,
        sessions: Sessions,
        limit: RequestLimit,
        broker: Broker,
        endpoints: Endpoints,
        faults: FaultBox,
        hubs: Hubs,
        control: Control,
        now: Callable[[], int],
    ) -> None:
        self._config = config
        self._clock = clock
        self._schedule = schedule
        self._sessions = sessions
        self._limit = limit
        self._broker = broker
        self._endpoints = endpoints
        self._faults = faults
        self._hubs = hubs
        self._control = control
        self._now = now
        self._stopping = False
        self.requests: deque[RequestRecord] = deque(maxlen=config.request_lines)
        self.on_request: Callable[[RequestRecord], None] | None = None

    def stop(self) -> None:
        """Let hanging requests go."""
        self._stopping = True

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request, whatever it is."""
        received = perf_counter_ns()
        path, _, query = request.raw_path.partition("?")
        if path.startswith("/api/"):
            return await self._api(request, path[5:], received)
        if path.startswith("/hubs/"):
            return await self._hub(request, path[1:].rstrip("/"), parse_qs(query), received)
        if path.startswith("/control/"):
            return await self._controlled(request, path[9:], query)
        return self._plain(404, "")

    # --- answers ----------------------------------------------------------------------------------

    def _json(self, data: object, status: int = 200) -> web.Response:
        headers = {"Content-Type": JSON, "Date": self._clock.http_date()}
        return web.Response(body=orjson.dumps(data), status=status, headers=headers)

    def _plain(self, status: int, body: str, retry_after: int | None = None, kind: str = "text/plain") -> web.Response:
        headers = {"Content-Type": kind, "Date": self._clock.http_date()}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return web.Response(body=body.encode(), status=status, headers=headers)

    def _answered(self, record: RequestRecord, answer: dict[str, Any]) -> web.Response:
        record.status, record.error_code = 200, answer.get("errorCode")
        record.answered_ns = perf_counter_ns()
        return self._json(answer)

    def _failed(
        self, record: RequestRecord, status: int, body: str = "", retry_after: int | None = None
    ) -> web.Response:
        record.status, record.answered_ns = status, perf_counter_ns()
        return self._plain(status, body, retry_after)

    def _record(self, record: RequestRecord) -> None:
        self.requests.append(record)
        if self.on_request is not None:
            self.on_request(record)

    # --- REST -------------------------------------------------------------------------------------

    async def _api(self, request: web.BaseRequest, path: str, received: int) -> web.StreamResponse:
        record = RequestRecord(received, self._now(), path)
        if request.transport is not None:
            record.client_port = request.transport.get_extra_info("peername")[1]
        raw = await request.read()
        try:
            body = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError:
            body = None
        if isinstance(body, dict):
            record.body = {**body, "apiKey": "***"} if "apiKey" in body else body
        self._record(record)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        login: LoginState | None = None
        if path == "Auth/loginKey":
            record.login = str((body or {}).get("userName"))
            login = self._sessions.logins.get(record.login)
        elif path != "Status/ping":
            session = self._sessions.check(token)
            if session is None:
                return self._failed(record, 401)
            login = session.login
            record.login = login.username
        if login is not None:
            wait = self._limit.wait(login)
            if wait > 0:
                seconds = math.ceil(wait) if self._config.retry_after else None
                return self._failed(record, 429, "Too many requests.", seconds)
        if path == "Status/ping" or request.method == "GET":
            known = path == "Status/ping"
        else:
            known = path in AUTH or self._endpoints.knows(path)
        if not known:
            return self._failed(record, 404)
        if not isinstance(body, dict):
            return self._failed(record, 400, '{"title":"One or more validation errors occurred.","status":400}')

        def act() -> dict[str, Any]:
            return self._act(path, login, token, body, self._now())

        fault = self._faults.rest(path, record.account_id, record.login) if self._faults.any("rest") else None
        try:
            if fault is not None:
                record.fault = fault.effect.name
                return await self._faulty(request, record, fault, act)
            if path == "Status/ping":
                record.status, record.answered_ns = 200, perf_counter_ns()
                return self._json("pong")
            return self._answered(record, act())
        except BadRequest as error:
            problem = {
                "title": "One or more validation errors occurred.",
                "status": 400,
                "errors": {str(error): ["Invalid."]},
            }
            record.status, record.answered_ns = 400, perf_counter_ns()
            return self._json(problem, 400)

    def _act(self, path: str, login: LoginState | None, token: str, body: dict[str, Any], at: int) -> dict[str, Any]:
        """Let a request take effect and give its answer."""
        if path == "Auth/loginKey":
            return self._login(login, body)
        if login is None:
            return {}
        if path == "Auth/validate":
            return success(newToken=self._sessions.issue(login))
        if path == "Auth/logout":
            self._sessions.revoke(token=token)
            return success()
        return self._endpoints.handle(path, login, body, at)

    def _login(self, login: LoginState | None, body: dict[str, Any]) -> dict[str, Any]:
        for key in ("userName", "apiKey"):
            if not isinstance(body.get(key), str):
                raise BadRequest(key)
        if login is None:
            return failure(LOGIN_USER_NOT_FOUND, None, token=None)
        if login.refusal:
            return failure(login.refusal, None, token=None)
        if login.api_key != body["apiKey"]:
            return failure(LOGIN_INVALID_CREDENTIALS, None, token=None)
        return success(token=self._sessions.issue(login))

    async def _faulty(
        self,
        request: web.BaseRequest,
        record: RequestRecord,
        fault: Fault,
        act: Callable[[], dict[str, Any]],
    ) -> web.StreamResponse:
        """Treat a request as a REST fault wants it."""
        effect, path = fault.effect, record.path
        if getattr(effect, "after_effect", False):
            answer = act()
        if isinstance(effect, fx.HttpStatus):
            return self._failed(record, effect.status, effect.body, effect.retry_after)
        if isinstance(effect, fx.Html):
            record.status, record.answered_ns = 200, perf_counter_ns()
            return self._plain(200, PAGE, kind="text/html")
        if isinstance(effect, fx.Reset):
            reset(request)
            return self._plain(500, "")
        if isinstance(effect, fx.Hang):
            await self._wait(request, effect.seconds)
            reset(request)
            return self._plain(500, "")
        if isinstance(effect, fx.Delay):
            await self._wait(request, effect.seconds)
            return self._answered(record, answer if effect.after_effect else act())
        if isinstance(effect, fx.NoEffect):
            extra = dict(EMPTY.get(path, {}))
            if path == "Order/place":
                extra["orderId"] = self._broker.spend_order_id()
            return self._answered(record, success(**extra))
        if isinstance(effect, fx.Pending):
            if effect.seconds is not None:
                self._schedule.at(self._now() + round(effect.seconds * SECOND), lambda at: self._late(act))
            extra = {"orderId": self._broker.spend_order_id()} if path == "Order/place" else dict(EMPTY.get(path, {}))
            return self._answered(record, failure(code_of(path, Reason.PENDING), effect.message, **extra))
        if isinstance(effect, fx.Refuse):
            extra = dict(EMPTY.get(path, {}))
            if path == "Order/place":
                extra["orderId"] = answer.get("orderId") if effect.after_effect else self._broker.spend_order_id()
            elif path == "Auth/loginKey":
                extra["token"] = None
            return self._answered(record, failure(effect.code, effect.message, **extra))
        if isinstance(effect, fx.FillInstead):
            order_id = (record.body or {}).get("orderId")
            if isinstance(order_id, int) and order_id in self._broker.orders:
                self._broker.force_fill(order_id, self._now())
        answer = act()
        if isinstance(effect, fx.Patch):
            answer = {**answer, **effect.fields}
        elif isinstance(effect, fx.AccountList) and "accounts" in answer:
            accounts = answer["accounts"]
            picked = {"reversed": accounts[::-1], "empty": [], "without_first": accounts[1:]}[effect.mode]
            answer = {**answer, "accounts": picked}
        return self._answered(record, answer)

    @staticmethod
    def _late(act: Callable[[], dict[str, Any]]) -> None:
        """An effect that comes after its answer: nobody is there to be told of a bad request."""
        try:
            act()
        except BadRequest:
            return

    async def _wait(self, request: web.BaseRequest, seconds: float | None) -> None:
        """Wait in real time, no longer than the client does or the gateway lives."""
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while not self._stopping and request.transport is not None and not request.transport.is_closing():
            left = 0.05 if end is None else min(0.05, end - loop.time())
            if left <= 0:
                return
            await asyncio.sleep(left)

    # --- hubs -------------------------------------------------------------------------------------

    async def _hub(
        self, request: web.BaseRequest, path: str, query: dict[str, list[str]], received: int
    ) -> web.StreamResponse:
        record = RequestRecord(received, self._now(), path)
        self._record(record)
        parts = path.split("/")
        hub = parts[1] if len(parts) > 1 else ""
        if hub not in ("user", "market") or parts[2:] not in ([], ["negotiate"]):
            return self._failed(record, 404)
        header = request.headers.get("Authorization", "").removeprefix("Bearer ")
        session = self._sessions.check(query.get("access_token", [header])[0])
        record.login = session.login.username if session is not None else None
        if self._hubs.is_down(hub, record.login):
            return self._failed(record, 503)
        fault = self._faults.rest(path, None, record.login) if self._faults.any("rest") else None
        if fault is not None:
            record.fault = fault.effect.name
            effect = fault.effect
            if isinstance(effect, fx.HttpStatus):
                return self._failed(record, effect.status, effect.body, effect.retry_after)
            if isinstance(effect, fx.Html):
                return self._plain(200, PAGE, kind="text/html")
            if isinstance(effect, fx.Delay | fx.Hang):
                await self._wait(request, effect.seconds)
            if isinstance(effect, fx.Reset | fx.Hang):
                reset(request)
                return self._plain(500, "")
        if session is None:
            return self._failed(record, 401)
        if len(parts) == 3:
            if request.method != "POST":
                return self._failed(record, 405)
            record.status, record.answered_ns = 200, perf_counter_ns()
            return self._json(self._hubs.negotiate(hub, session.login))
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._failed(record, 400)
        if not self._hubs.claim(hub, session.login, query.get("id", [None])[0]):
            return self._failed(record, 404)
        record.status, record.answered_ns = 101, perf_counter_ns()
        return await self._hubs.serve(request, hub, session.login)

    # --- control ----------------------------------------------------------------------------------

    async def _controlled(self, request: web.BaseRequest, path: str, query: str) -> web.StreamResponse:
        raw = await request.read()
        try:
            body = orjson.loads(raw) if raw else {k: v[-1] for k, v in parse_qs(query).items()}
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            return self._json({"ok": True, "result": self._control(request.method, path, body)})
        except LookupError as error:
            return self._json({"ok": False, "error": str(error.args[0] if error.args else error)}, 404)
        except (ValueError, TypeError) as error:
            return self._json({"ok": False, "error": str(error)}, 400)
