"""The window's end of the socket: keeps connected, feeds `AppState`, carries the trader's few commands.

A trader needs no proof of the daemon: what he reads he could read anyway, and all he can send is 'lock me'. A fake
daemon on the port could only show him wrong figures, which is why its place is taken from `public/endpoint.json`, a
file that only the daemon can write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from gui.account_view import rows_of
from gui.app_state import AppState, Link
from gui.commands import CommandError
from gui.records import Lockout, Row
from gui.state_reader import ReplicaError, StateReader
from shared.paths import Home
from shared.protocol import ErrorCode, RpcError
from shared.rpc_client import ClientError, ConnectionState, Event, RpcClient, Snapshot

TOPICS = (
    "status",
    "accounts",
    "pnl",
    "positions",
    "orders",
    "lockouts",
    "rules",
    "enforcement",
    "warnings",
    "trades",
    "config",
)
NOT_TOLD = (
    ErrorCode.METHOD_NOT_FOUND,
    ErrorCode.UNKNOWN_ACCOUNT,
    ErrorCode.GATEWAY_UNREACHABLE,
    ErrorCode.INVALID_PARAMS,
)
"""What one method answers without the others being in vain: an older daemon, an account that is not read yet, a page of
trades of the day that has just ended."""
POLL_SECONDS = 5.0
POLL_TIMEOUT = 4.0
REPLICA_SECONDS = 3.0
PAGE = 200
TRADES_PAGE = 1000

Params = dict[str, Any]


class DaemonClient:
    """One connection to the daemon of a home folder, for one `AppState`.

    `poll_seconds`: how often the status is asked for; it keeps the trusted clock fresh and notices a daemon that hangs.
    """

    def __init__(self, home: Home, state: AppState, reader: StateReader, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._state = state
        self._reader = reader
        self._poll_seconds = poll_seconds
        self._rpc = RpcClient(home.endpoint, on_state=self._on_state)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watched: set[int] = set()
        self._subscribed = False

    @property
    def rpc(self) -> RpcClient:
        """The connection itself, for the admin's session."""
        return self._rpc

    def start(self) -> None:
        """Read the replica, connect and stay connected. In a running loop."""
        self._spawn(self._run())

    async def close(self) -> None:
        """End the connection and all that is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._rpc.close()

    def spawn(self, work: Awaitable[None]) -> None:
        """Run something beside; its failure to reach the daemon is shown by the connection's state, not twice."""
        self._spawn(work)

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(_quiet(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self) -> None:
        await self._load_replica()
        await self._rpc.subscribe(TOPICS, self._on_message)
        self._rpc.start()
        loop = asyncio.get_running_loop()
        replica_at = loop.time()
        while True:
            await asyncio.sleep(self._poll_seconds if self._subscribed else min(1.0, self._poll_seconds))
            try:
                if self._subscribed:
                    await self._poll()
                    replica_at = loop.time()
                elif loop.time() - replica_at >= REPLICA_SECONDS:
                    replica_at = loop.time()
                    await self._load_replica()
            except Exception as error:  # noqa: BLE001 - whatever it was: the clock and the watch over the daemon go on
                loop.call_exception_handler({"message": "asking the daemon for its state failed", "exception": error})

    async def _poll(self) -> None:
        try:
            self._state.apply_event("status", None, await self._rpc.call("get_status", timeout=POLL_TIMEOUT))
            # Balance and connection change without an event of their own.
            self._state.apply_event("accounts", None, await self._rpc.call("get_accounts", timeout=POLL_TIMEOUT))
        except RpcError:
            return
        except ClientError:
            if self._rpc.connected:
                self._state.set_link(
                    Link.OFFLINE,
                    "The daemon is connected but does not answer. If this lasts, ask your administrator to restart it.",
                )
                self._subscribed = False
            return
        if self._state.link is not Link.ONLINE:
            self._online()
        for account_id in tuple(self._watched):
            try:
                await self._poll_account(account_id)
            except (ClientError, RpcError):
                # Not read from the gateway yet, or gone: the list of accounts says so.
                continue

    async def _poll_account(self, account_id: int) -> None:
        """What changes with time and quotes alone, and what an event may have been missed of."""
        params = {"account_id": account_id}
        self._state.set_desk(account_id, await self._rpc.call("get_sessions", params, timeout=POLL_TIMEOUT))
        rules = await self._rpc.call("get_rules", params, timeout=POLL_TIMEOUT)
        if isinstance(rules, list):
            self._state.apply_event("rules", account_id, rules)
        view = self._state.view(account_id)
        if view is not None and (view.trades is None or view.trades_incomplete):
            self._state.set_trades(account_id, await self._trades(params))

    # -- what comes in -----------------------------------------------------------------------------------------------

    def _on_state(self, state: ConnectionState, words: str) -> None:
        if state is ConnectionState.DISCONNECTED:
            self._subscribed = False
            self._state.set_link(Link.OFFLINE, words)

    def _on_message(self, message: Snapshot | Event) -> None:
        if isinstance(message, Snapshot):
            first = not self._subscribed
            if isinstance(message.data, dict):
                self._state.apply_snapshot(message.data)
            if first:
                self._online()
                self._spawn(self._after_connect())
            return
        self._state.apply_event(message.topic, message.account_id, message.data)

    def _online(self) -> None:
        self._subscribed = True
        self._state.live = True
        self._state.set_link(Link.ONLINE)

    async def _after_connect(self) -> None:
        # What a snapshot may not carry: the status' clock, the list of accounts, the last entries of the log.
        self._state.apply_event("status", None, await self._rpc.call("get_status"))
        self._state.apply_event("accounts", None, await self._rpc.call("get_accounts"))
        self._state.add_log(await self._rpc.call("get_enforcement_log", {"limit": PAGE}))
        for account_id in tuple(self._watched):
            await self.watch(account_id)

    async def _load_replica(self) -> None:
        try:
            replica = await asyncio.to_thread(self._reader.read)
            self._state.load_replica(replica.content, replica.as_of)
            for account_id in tuple(self._watched):
                await self._watch_offline(account_id)
        except ReplicaError:
            return

    # -- what is asked for -------------------------------------------------------------------------------------------

    async def watch(self, account_id: int) -> None:
        """Fetch what is only shown for the chosen account: the day's trades, its curve, desk time."""
        self._watched = {account_id}
        if not self._subscribed:
            await self._watch_offline(account_id)
            return
        params = {"account_id": account_id}
        answers: tuple[tuple[Callable[[], Awaitable[Any]], Callable[[int, Any], None]], ...] = (
            (lambda: self._trades(params), self._state.set_trades),
            (lambda: self._rpc.call("get_pnl_curve", params), self._state.set_curve),
            (lambda: self._rpc.call("get_sessions", params), self._state.set_desk),
        )
        for ask, take in answers:
            try:
                take(account_id, await ask())
            except RpcError as error:
                if error.code not in NOT_TOLD:
                    raise

    async def _trades(self, params: Params) -> list[Row]:
        """The whole day's trades, page by page. Raises ClientError, RpcError."""
        rows: list[Row] = []
        page: Params = {"limit": TRADES_PAGE}
        while True:
            answer = await self._rpc.call("get_trades", {**params, **page}, timeout=POLL_TIMEOUT)
            came = rows_of(answer)
            rows += came
            if not came or not isinstance(answer, Mapping) or not answer.get("more"):
                return rows
            page["before_id"] = came[-1]["id"]

    async def _watch_offline(self, account_id: int) -> None:
        try:
            rows = await asyncio.to_thread(self._reader.trades, account_id)
        except ReplicaError:
            return
        self._state.set_trades(account_id, rows)

    async def older_entries(self, account_id: int | None, before_id: int | None) -> int:
        """Fetch the page of the enforcement log before an id; how many entries came."""
        if self._subscribed:
            params: dict[str, Any] = {"limit": PAGE}
            if account_id is not None:
                params["account_id"] = account_id
            if before_id is not None:
                params["before_id"] = before_id
            rows = await self._rpc.call("get_enforcement_log", params)
            self._state.add_log(rows)
            return len(rows_of(rows))
        try:
            entries = await asyncio.to_thread(self._reader.enforcement, account_id, before_id, PAGE)
        except ReplicaError:
            return 0
        self._state.add_entries(entries)
        return len(entries)

    async def lockout_history(self, account_id: int | None) -> list[Lockout]:
        """Active and past lockouts, newest first, from the daemon or else the replica; empty if neither can tell."""
        if self._subscribed:
            try:
                rows = await self._rpc.call(
                    "get_lockout_history", {} if account_id is None else {"account_id": account_id}
                )
                return [lock for lock in map(Lockout.read, rows_of(rows)) if lock is not None]
            except (ClientError, RpcError):
                pass
        try:
            return await asyncio.to_thread(self._reader.lockouts, account_id)
        except ReplicaError:
            return []

    async def lock_account(
        self, account_id: int, *, minutes: int | None = None, until: datetime | None = None, reason: str = ""
    ) -> None:
        """The trader locks himself: for some minutes, or until a time. Raises CommandError.

        There is no method to take it back; only time, or an administrator under policy, ends it.
        """
        params: dict[str, Any] = {"account_id": account_id, "reason": reason or "Locked by the trader."}
        if until is not None:
            params["until"] = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        else:
            params["minutes"] = minutes
        try:
            await self._rpc.call("lock_account", params)
        except RpcError as error:
            raise CommandError(f"The account was not locked: {error.message}") from error
        except ClientError as error:
            raise CommandError(
                f"It is not known whether the account was locked: {error} Look at the account's state, then try again."
            ) from error


async def _quiet(work: Awaitable[None]) -> None:
    """What can't be reached is tried again by the next poll or reconnect, and the window says so already."""
    try:
        await work
    except (ClientError, RpcError):
        return
