"""The life of the daemon: start, ready, stop. Everything is wired here, nothing is decided here.

Start and recovery are one path: what the store kept binds at once, then the gateway is read, its answers are fed as
events, and judged. Stop works off what waits, then flushes and closes; the next start needs none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from loguru import logger

from daemon import logs as log_files
from daemon import restore
from daemon.admin_key import AdminKeyError, remove_admin_key, write_admin_key
from daemon.admin_side import AdminSide
from daemon.announcer import Announcer
from daemon.api import Api
from daemon.audit import AuditLog
from daemon.broker import Answer, GatewayError
from daemon.clock import TrustedClock, wall_us
from daemon.config_errors import ConfigErrors
from daemon.config_loader import home_warnings, write_templates
from daemon.config_state_store import FileStateStore
from daemon.config_writing import write_atomically
from daemon.configuration import ConfigurationService
from daemon.core.decisions import Action, DayChanged, Decision
from daemon.core.events import ConfigChanged, Event, LockRequested, MoveRefused, Tick
from daemon.core.rules import rules_not_built
from daemon.core.units import SECOND_US, to_iso
from daemon.credentials import CredentialError, CredentialStore, key_of, redact, register_secret
from daemon.dispatcher import Dispatcher
from daemon.enforcer import Enforcer
from daemon.gateway.pool import Gateways, preload
from daemon.gateway.status import LoginState
from daemon.gateway.timings import Timings
from daemon.holdings import EngineHoldings
from daemon.instance_lock import InstanceLock
from daemon.ipc_server import IpcServer
from daemon.journal import Journal
from daemon.protection import Configuration
from daemon.schedule import Schedule
from daemon.snapshot import NO_RESET_BEFORE, engine_from, events_of, state_of
from daemon.store import Store, StoreError
from daemon.store.state import SavedState
from daemon.view import View
from daemon.watchdog import Watchdog
from daemon.windows.event_log import Entry, EventLog
from daemon.windows.parent_watch import ParentWatch, under_nssm
from shared.config import LoginConfig
from shared.paths import Home
from shared.protocol import ErrorCode, RpcError

CLOCK_KEY = "clock_high_water"
PREDECESSOR_SECONDS = 2.0
TICK_SECONDS = 1.0
REACH_BACK_US = 26 * 3600 * SECOND_US
STOP_SECONDS = 28.0
"""The whole shutdown; after 30 s the service manager may end the process by force."""
MEMORY_LIMIT_MB = 500


class StartError(Exception):
    """The daemon cannot run; the text is one plain sentence, `exit_code` 1 or 2 (configuration)."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(slots=True)
class Options:
    """How to run.

    `require_loopback`: refuse gateways that are not on this machine (demo, tests). `wall_clock`: the machine's clock,
    microseconds UTC; the daemon only compares it with the broker's.
    """

    home: Home
    require_loopback: bool = False
    timings: Timings | None = None
    console_log: bool = True
    confirm_clock_seconds: float = 30.0
    journal: bool = True
    watchdog: bool = True
    wall_clock: Callable[[], int] = wall_us


def program_version() -> str:
    """Version of the installed program."""
    try:
        return metadata.version("risk-manager")
    except metadata.PackageNotFoundError:
        return "0.0.0"


class Service:
    """One running daemon. `start`, then `wait`, then `stop`; all in one event loop."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.home = options.home
        self.version = program_version()
        self.instance = secrets.token_hex(8)
        self._began = 0
        self.clock = TrustedClock()
        self._stopping = asyncio.Event()
        self._ready = False
        self._stopped = False
        self._stop_reason = ""
        self._ticker: asyncio.Task[None] | None = None
        self._lock: InstanceLock | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._configured = asyncio.Lock()
        self._saved_config: Configuration | None = None
        self._failure: BaseException | None = None
        self._started: list[tuple[str, float, Callable[[], Awaitable[object]]]] = []
        self._timed = False
        self._journal_day = ""
        self._memory_high = False
        self._loop = asyncio.get_running_loop()
        self.endpoint: dict[str, object] | None = None
        self.system_log = EventLog()
        self._close_logs: Callable[[], None] = lambda: None
        self.journal: Journal | None = None
        self._view: View | None = None
        self._parent: ParentWatch | None = None
        self._alerting: AdminSide | None = None
        self.admin: AdminSide
        self.gateways: Gateways
        self.store: Store

    # ---- start

    async def start(self) -> None:
        """Start everything; returns when the daemon is ready. Raises StartError."""
        began = time.monotonic()
        # The threads that log, store and record give the event loop its turn back sooner than after Python's 5 ms.
        sys.setswitchinterval(0.0005)
        threading.Thread(target=_quietly, args=(preload,), name="preload", daemon=True).start()
        await self._prepare_home()
        self.logs = log_files.setup(
            self.home.logs, console=self.options.console_log, public=self.home.public, redact=redact
        )
        self._close_logs = self.logs.close
        log_files.checkpoint("service_start", version=self.version, pid=os.getpid(), home=self.home.root)
        self.store = await self._open_store()
        self._to_stop("the database", 7.0, self._stop_store)
        self._start_clock()
        self.configuration = self._load_configuration()
        active = self.configuration.active
        self._saved_config = active
        self.logs.set_level(active.risk.logging.level)
        self.logs.set_retention(active.risk.logging.retention_days)
        log_files.checkpoint("config_loaded", logins=len(active.accounts.logins))
        self._build_engine(active)
        self._build_outputs()
        self._build_gateway(active)
        self._begin_ticking()
        self.admin.begin()
        await self.gateways.start()
        log_files.capture_standard_logging(active.risk.logging.level)
        log_files.checkpoint("sdk_connected", accounts=len(self.engine.accounts))
        await self._lock_what_is_unknown()
        await self._open_socket(active)
        self._schedule = Schedule(self)
        self._schedule.start()
        self._to_stop("the timers", 0.5, self._stop_timers)
        self._guard()
        # What the start left behind stays for good: the collector need not walk through it between event and order.
        gc.collect()
        gc.freeze()
        self._write_endpoint()
        self._ready = True
        seconds = time.monotonic() - began
        log_files.checkpoint("event_loop_running", seconds=f"{seconds:.2f}")
        logger.info("Ready after {:.2f} s: {} accounts.", seconds, len(self.engine.accounts))
        self.system_log.write(Entry.START, f"Risk Manager {self.version} is ready.")

    async def _prepare_home(self) -> None:
        try:
            self.home.create()
        except OSError as error:
            raise StartError(
                f"The home folder {self.home.root} cannot be used ({error.strerror}); choose another with --home or"
                " make it writable."
            ) from error
        probe = self.home.run / f".probe-{os.getpid()}"
        lock = InstanceLock(self.home.run / "daemon.lock")
        deadline = self._loop.time() + PREDECESSOR_SECONDS
        try:
            probe.write_bytes(b"")
            probe.unlink()
            while not lock.acquire():
                # One that was killed holds its lock until the system has ended its last thread.
                if self._loop.time() > deadline:
                    raise StartError(
                        f"Another daemon already runs on {self.home.root}; stop it first, or choose another home with"
                        " --home."
                    )
                await asyncio.sleep(0.02)
        except OSError as error:
            raise StartError(
                f"The home folder {self.home.root} is not writable ({error.strerror}); make it writable for this user."
            ) from error
        self._lock = lock

    async def _open_store(self) -> Store:
        try:
            store = await asyncio.to_thread(self._open_database)
            if restore.staged(self.home):
                await store.close()
                await asyncio.to_thread(restore.apply_staged, self.home, self._threadsafe_alert)
                store = await asyncio.to_thread(self._open_database)
            self.saved = await asyncio.to_thread(store.load, time.time_ns() // 1000 - 9 * 86_400 * SECOND_US)
        except StoreError as error:
            raise StartError(str(error)) from error
        return store

    def _open_database(self) -> Store:
        return Store.open(self.home.database, on_alert=self._threadsafe_alert, public=self.home.public)

    def _start_clock(self) -> None:
        kept = self.saved.daemon.get(CLOCK_KEY)
        high_water = kept if isinstance(kept, int) else None
        self.clock = TrustedClock(
            wall=self.options.wall_clock, high_water=high_water, confirm_seconds=self.options.confirm_clock_seconds
        )
        self._began = self.clock.monotonic()
        # Without a persisted time there is only the machine's clock, which may say anything: until the gateway has told
        # the time, no time passes for the rules.
        self._timed = high_water is not None

    def _load_configuration(self) -> ConfigurationService:
        if not FileStateStore(self.home.config_state_file).exists():
            try:
                for path in write_templates(self.home):
                    logger.info("Wrote {}: fill in your logins and limits.", path)
            except OSError as error:
                raise StartError(f"The templates could not be written ({error}).") from error
        try:
            configuration = ConfigurationService(self.home, self._known_time, self._configuration_changed, self.alert)
        except ConfigErrors as errors:
            raise StartError(str(errors), exit_code=2) from errors
        except OSError as error:
            raise StartError(
                f"The configuration could not be stored in {self.home.data} ({error.strerror})."
            ) from error
        return configuration

    def _build_engine(self, active: Configuration) -> None:
        now = self.clock.now()
        self.engine = engine_from(
            self.saved,
            active.risk,
            active.holidays,
            now=now if self._timed else 0,
            no_reset_before=self.configuration.no_reset_before,
        )
        not_built = rules_not_built(active.risk.rules)
        if not_built:
            logger.warning("Configured, but not enforced by this version: {}.", ", ".join(not_built))
        today = datetime.fromtimestamp(now / SECOND_US, UTC).date()
        for warning in home_warnings(self.home, active.accounts, active.holidays, today):
            logger.warning("{}", warning)
        names = [key for key, _ in active.risk.rules.enabled()]
        log_files.checkpoint("rules_initialized", rules=", ".join(names) or "none")

    def _build_outputs(self) -> None:
        self.view = View(self.home.public, self.home.database, on_name=self._view_renamed)
        self.store.mirror_to(self.view)
        self._view = self.view
        self.audit = AuditLog(self.store, self.clock.now)
        self.api = Api(self, self.store, self.audit)
        self.announcer = Announcer(
            self.engine,
            self.store,
            replica=self.view,
            activity=log_files.activity,
            system_log=self._to_system_log,
            alert=self._to_alerts,
            account_row=self.api.account_row,
        )
        if self.options.journal:
            journal = Journal(self.home.journal, version=self.version, on_alert=self._threadsafe_alert)
            self.journal = journal
            self._to_stop("the journal", 4.0, lambda: asyncio.to_thread(journal.close, 3.5))
            if self._timed:
                self._begin_journal(self.saved)
        self.dispatcher = Dispatcher(
            self.engine,
            self.store,
            recorder=self.journal,
            listeners=[self.announcer, self],
            read_orders=self._read_orders,
            quoted=self._want_quotes,
            on_failure=self.fail,
        )
        self.dispatcher.start()
        self._to_stop("the decisions", 4.0, self._stop_dispatcher)

    def _build_gateway(self, active: Configuration) -> None:
        self.credentials = CredentialStore()
        self.admin = AdminSide(
            self,
            self.home,
            api=self.api,
            audit=self.audit,
            credentials=self.credentials,
            keeper=self.store,
            kept=self.saved.daemon,
        )
        self._alerting = self.admin
        self._to_stop("the alerts", 2.0, self.admin.close)
        try:
            self.gateways = Gateways(
                active.accounts,
                self._key_for,
                self.clock,
                self.deliver,
                self._gateway_alert,
                self._trades_since,
                contracts=self.saved.contracts,
                require_loopback=self.options.require_loopback,
                timings=self.options.timings,
            )
        except ValueError as error:
            raise StartError(str(error), exit_code=2) from error
        self.enforcer = Enforcer(
            self.gateways,
            EngineHoldings(self.engine),
            self.clock,
            self.dispatcher.deliver_and_settle,
            on_sent=lambda action, attempts: self.store.record_attempt(action.id, attempts),
            on_attempt=self._attempted,
            on_alert=lambda alert: self.alert(alert.text),
            on_dropped=self._move_dropped,
            login_of=lambda account_id: self.engine.account(account_id).login,
        )
        self.dispatcher.sender = self.enforcer
        self._to_stop("the enforcement", 4.0, lambda: self.enforcer.stop(3.5))
        self._to_stop("the gateway", 4.0, self.gateways.stop)

    async def _open_socket(self, active: Configuration) -> None:
        try:
            admin_key: bytes | None = write_admin_key(self.home.run)
        except AdminKeyError as error:
            admin_key = None
            self.alert(f"{error} The admin cannot log in until the next start.")
        server = IpcServer(
            active.risk.ipc.host,
            active.risk.ipc.port,
            admin_key,
            {**self.api.handlers(), **self.admin.handlers()},
            now=self.clock.now,
            on_alert=self.admin.socket_alert,
            second_factor=self.admin.factor,
        )
        try:
            listening = await server.start()
        except OSError as error:
            # Enforcement never depends on the socket.
            self.alert(f"The socket could not be opened ({error.strerror}); accounts are protected all the same.")
            return
        if listening.note is not None:
            logger.warning("{}", listening.note)
        self.endpoint = {"host": listening.host, "port": listening.port}
        self.server = server
        self.announcer.outlet = server
        await self.admin.start(server)
        self._to_stop("the socket", 2.0, self._stop_socket)

    def _guard(self) -> None:
        if self.options.watchdog:
            watchdog = Watchdog(self.home.logs, on_hang=lambda text: self.system_log.write(Entry.CRITICAL, text))
            watchdog.start()
            # Ended last: it guards the shutdown too.
            self._started.insert(0, ("the watchdog", 1.0, lambda: asyncio.to_thread(watchdog.stop)))
        if under_nssm():
            self._parent = ParentWatch(self._host_ended)
            self._parent.start()

    def _ctrl_c(self) -> None:
        self._loop.call_soon_threadsafe(self.request_stop, "Ctrl+C or service stop")

    def _host_ended(self) -> None:
        self._loop.call_soon_threadsafe(self.request_stop, "the service host has ended")

    async def _lock_what_is_unknown(self) -> None:
        """The record of lockouts was lost: nothing new may be opened until the next reset (unknown is locked)."""
        if not self.saved.lockouts_unknown:
            return
        reason = "the record of lockouts was lost and cannot be restored; nothing may be added"
        for account_id in list(self.engine.accounts):
            now = self.clock.now()
            self.deliver(LockRequested(now, account_id, None, reason, "Risk Manager", keep_positions=True))
        await self.settled()
        if self.engine.accounts:
            await self.store.lockouts_settled()

    # ---- while it runs

    async def wait(self) -> None:
        """Returns when a stop was asked for. Raises what made it impossible to go on."""
        await self._stopping.wait()
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        """Something without which nothing is protected has ended: save, end, and be started anew."""
        self._failure = self._failure or error
        self.request_stop(f"an unexpected error ({type(error).__name__})")

    def request_stop(self, reason: str) -> None:
        """Begin the shutdown."""
        if not self._stopping.is_set():
            self._stop_reason = reason
            self._stopping.set()

    def handle_signals(self) -> None:
        """Stop at Ctrl+C and SIGTERM. On Windows SIGINT alone: a SIGBREAK handler ends a service at every log-off."""
        if os.name == "nt":
            # Not signal.signal: a library of the SDK puts a handler of its own over Python's.
            from daemon.windows.console_stop import on_ctrl_c

            on_ctrl_c(self._ctrl_c)
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self.request_stop, f"signal {signal.Signals(number).name}")

    @property
    def started_at(self) -> int:
        """When this daemon was started, trusted time; it moves when what is trusted turns out to have been wrong."""
        return self.clock.now() - (self.clock.monotonic() - self._began)

    def status(self) -> str:
        """starting, healthy, degraded or stopping; healthy means every account is monitored and reconciled."""
        if self._stopping.is_set():
            return "stopping"
        if not self._ready:
            return "starting"
        if not self._timed:
            return "degraded"
        gateway = self.gateways.status()
        accounts = gateway.accounts
        reconciled = all(account.reconciled for account in self.engine.accounts.values() if account.listed)
        return "healthy" if gateway.healthy and accounts and reconciled else "degraded"

    def connected(self, account_id: int) -> bool:
        """Whether the account's events are being received."""
        status = self.gateways.status().accounts.get(account_id)
        return status is not None and status.connected

    def queue_depth(self) -> int:
        """Events whose decisions wait for the disk."""
        return self.dispatcher.depth

    def deliver(self, event: Event) -> None:
        """Feed an event."""
        if not self._timed:
            self._learn_time(event)
        self.dispatcher.deliver(event)

    def _learn_time(self, event: Event) -> None:
        """Until the gateway has told the time, events carry none: the machine's clock may be days ahead."""
        if not self.clock.anchored:
            event.at = 0
            return
        self._begin_time()

    def _begin_time(self) -> None:
        self._timed = True
        self.engine.restore(self.clock.now())
        try:
            self.configuration.time_known()
        except OSError as error:
            self.alert(f"The configuration could not be stored in {self.home.data} ({error.strerror}).")
        self._begin_journal(self.saved)

    def _go_on_untold(self) -> None:
        """The gateway answers but never tells the time: protecting by the machine's clock is better than not at all."""
        if not self.clock.anchored:
            self.alert("The gateway does not tell the time; lockouts go by this PC's clock until it does.")
        self._begin_time()
        for account_id in list(self.engine.accounts):
            self._in_background(self._read_anew(account_id), f"read {account_id} anew")

    async def _read_anew(self, account_id: int) -> None:
        try:
            await self.gateways.reconcile(account_id)
        except GatewayError as error:
            logger.warning("Account {} could not be read: {}", account_id, error)

    def _known_time(self) -> int:
        """Trusted time, or 0 as long as there is only the machine's clock: by it, no waiting change may take effect."""
        return self.clock.now() if self._timed else 0

    def happened(self, event: Event) -> None:
        """See `daemon.dispatcher.Listener`."""

    def decided(self, decision: Decision) -> None:
        """See `daemon.dispatcher.Listener`: a trading day gets a journal, with all that is known at its start."""
        if isinstance(decision, DayChanged) and self.engine.days.name(self.engine.now) != self._journal_day:
            self._begin_journal(state_of(self.engine))
            if self.journal is not None:
                for event in events_of(self.engine):
                    self.journal.append(event)

    async def settled(self) -> None:
        """Returns when everything decided so far is carried out."""
        await self.dispatcher.deliver_and_settle(Tick(self.clock.now() if self._timed else 0))

    async def backup(self) -> str:
        """Back up the database; returns the file's name."""
        try:
            path: Path = await self.store.backup()
        except StoreError as error:
            raise RpcError(ErrorCode.BUSY, str(error)) from error
        return path.name

    async def set_credential(self, username: str, api_key: str) -> None:
        """Store an API key in the key store of the daemon's own account, and log in with it."""
        register_secret(api_key)
        try:
            await asyncio.to_thread(self.credentials.set, username, api_key)
        except CredentialError as error:
            raise RpcError(ErrorCode.REFUSED_BY_POLICY, str(error)) from error
        await self.gateways.renew_login(username)

    async def test_connection(self, username: str) -> list[dict[str, Any]]:
        """Try the database, then every step of a login."""
        began = time.perf_counter()
        flushed = await self.store.flush(2.0)
        steps: list[dict[str, Any]] = [
            {
                "name": "database",
                "ok": flushed,
                "detail": "written and read" if flushed else "could not be written within 2 s",
                "mend": "" if flushed else f"Free disk space, or look at {self.home.logs}.",
                "ms": round((time.perf_counter() - began) * 1000, 1),
            }
        ]
        for step in await self.gateways.test_connection(username):
            steps.append(
                {"name": step.name, "ok": step.ok, "detail": step.detail, "mend": step.mend, "ms": round(step.ms, 1)}
            )
        return steps

    def alert(self, text: str) -> None:
        """Something the admin has to know."""
        logger.error("{}", text)
        self._to_alerts("error", text)

    def persist_clock(self) -> None:
        """Keep the highest trusted time."""
        high_water = self.clock.high_water()
        if high_water is not None:
            self.store.put_state(CLOCK_KEY, high_water)

    def tick(self) -> None:
        """Let the engine know that time has passed."""
        if not self._timed and any(login.state == LoginState.ONLINE for login in self.gateways.status().logins):
            self._go_on_untold()
        if self._timed:
            self.dispatcher.deliver(Tick(self.clock.now()))

    def heartbeat(self) -> None:
        """Once a few seconds: publish the status, keep the clock, watch the memory."""
        self.persist_clock()
        row = self.api.status_row()
        self.view.publish("status", row)
        if self.announcer.outlet is not None and self.announcer.outlet.wanted("status"):
            self.announcer.outlet.publish("status", None, row)
        self._watch_memory(row["memory_usage_mb"])

    def _watch_memory(self, megabytes: float) -> None:
        """Above the limit: drop what can be done without, and alert once, until it was clearly below it again."""
        if megabytes <= MEMORY_LIMIT_MB:
            self._memory_high = self._memory_high and megabytes > 0.9 * MEMORY_LIMIT_MB
            return
        self.announcer.trim()
        gc.collect()
        if not self._memory_high:
            self._memory_high = True
            self.alert(f"Memory is at {megabytes} MB, above {MEMORY_LIMIT_MB} MB; caches are emptied.")

    # ---- stop

    async def stop(self) -> None:
        """Work off, flush, close, in `STOP_SECONDS` at most. Safe to call after a start that failed half-way."""
        if self._stopped:
            return
        self._stopped = True
        self._stopping.set()
        if not self._started:  # a start that was refused has said why
            self._close_logs()
            if self._lock is not None:
                self._lock.release()
            return
        logger.info("Stopping: {}.", self._stop_reason or "no reason given")
        deadline = self._loop.time() + STOP_SECONDS
        while self._started:
            name, seconds, step = self._started.pop()
            # What comes last, the database, must not pay for what hangs before it.
            kept_back = sum(bound for _, bound, _ in self._started)
            bound = max(0.2, min(seconds, deadline - self._loop.time() - kept_back))
            try:
                async with asyncio.timeout(bound):
                    await step()
            except TimeoutError:
                logger.error("Stopping {} took longer than {:.0f} s; going on without.", name, bound)
            except Exception as error:  # noqa: BLE001 - each step of a shutdown gets its turn
                logger.opt(exception=error).error("Stopping {} failed.", name)
        if self._ready:
            self.system_log.write(Entry.STOP, f"Risk Manager stopped: {self._stop_reason or 'no reason given'}.")
        self.system_log.close()
        logger.info("Stopped.")
        self._close_logs()
        if self._lock is not None:
            self._lock.release()

    def _to_stop(self, name: str, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
        """Something was started: this ends it. What was started last is ended first."""
        self._started.append((name, seconds, step))

    async def _stop_ticking(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()

    async def _stop_timers(self) -> None:
        self._schedule.stop()

    async def _stop_dispatcher(self) -> None:
        await self.dispatcher.stop(3.5)
        self.announcer.close()

    async def _stop_socket(self) -> None:
        remove_admin_key(self.home.run)
        with contextlib.suppress(OSError):
            self.home.endpoint.unlink(missing_ok=True)
        await self.server.stop(1.0)

    async def _stop_store(self) -> None:
        if self._parent is not None:
            self._parent.stop()
        self.persist_clock()
        await self.store.close()
        if self._view is not None:
            await asyncio.to_thread(self._view.close)

    # ---- within

    def _begin_ticking(self) -> None:
        async def run() -> None:
            while True:
                wait = TICK_SECONDS
                due_in = (self.engine.next_due - self.clock.now()) / SECOND_US
                if 0 < due_in < wait:
                    wait = due_in + 0.001
                await asyncio.sleep(wait)
                try:
                    self.tick()
                    self.configuration.advance()
                except Exception as error:  # noqa: BLE001 - time goes on
                    logger.opt(exception=error).error("A tick failed.")

        self._ticker = asyncio.create_task(run(), name="ticks")
        self._to_stop("the ticks", 0.5, self._stop_ticking)

    def _begin_journal(self, state: SavedState) -> None:
        if self.journal is None:
            return
        now = self.engine.now
        kept = {CLOCK_KEY: state.daemon.get(CLOCK_KEY), NO_RESET_BEFORE: self.configuration.no_reset_before}
        self._journal_day = self.engine.days.name(now)
        self.journal.start(
            self._journal_day, self.engine.config, self.engine.calendar, replace(state, daemon=kept), now
        )

    def _configuration_changed(self, configuration: Configuration, no_reset_before: int) -> None:
        before, self._saved_config = self._saved_config, configuration
        if before is None:
            return
        self.deliver(ConfigChanged(self.clock.now(), configuration.risk, configuration.holidays, no_reset_before))
        self.logs.set_level(configuration.risk.logging.level)
        if before.accounts != configuration.accounts:
            self._in_background(self._apply_accounts(configuration), "apply accounts")
        for account_id in self.engine.accounts:
            self.announcer.refresh(account_id)
        if self.announcer.outlet is not None:
            self.announcer.outlet.publish("config", None, {"pending": self.configuration.pending_rows()})
        self.view.publish("config", {"pending": self.configuration.pending_rows()})

    async def _apply_accounts(self, configuration: Configuration) -> None:
        async with self._configured:
            try:
                await self.gateways.apply(configuration.accounts)
            except ValueError as error:
                self.alert(str(error))

    def _in_background(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _read_orders(self, account_id: int) -> Event:
        return await self.gateways.read_orders(account_id)

    def _want_quotes(self, contract_ids: set[str]) -> None:
        self.gateways.set_quoted_contracts(contract_ids)

    def _trades_since(self, at: int) -> int:
        """From when trades are read: the trading day, or the week when a rule needs it."""
        rules = [self.engine.config.rules, *map(self.engine.config.rules_for, self.engine.config.accounts)]
        if any(rule.weekly_loss is not None and rule.weekly_loss.enabled for rule in rules):
            return self.engine.days.week_start(at)
        # An hour and a session may reach back over the reset (RULE-006).
        return self.engine.days.bounds(at)[0] - REACH_BACK_US

    def _key_for(self, username: str) -> str:
        accounts = self._saved_config.accounts if self._saved_config is not None else None
        login = next((login for login in accounts.logins if login.username == username), None) if accounts else None
        key = key_of(login if login is not None else LoginConfig(username=username), self.credentials)
        register_secret(key)
        return key

    def _attempted(self, action: Action, attempts: int, answer: Answer) -> None:
        self.store.record_attempt(action.id, attempts)
        log_files.checkpoint("enforcement_triggered", account_id=action.account_id, rule_id=action.rule_id)
        log_files.api_log.info(
            "{} account {} {} try {}: {} {} {}",
            action.kind,
            action.account_id,
            action.contract_id,
            attempts,
            answer.kind,
            answer.code or "",
            answer.message,
        )

    def _move_dropped(self, action: Action, answer: Answer | None) -> None:
        if action.order_id is not None and action.stop_price is not None:
            self.deliver(MoveRefused(self.clock.now(), action.account_id, action.order_id, action.stop_price))

    def _gateway_alert(self, text: str, detail: str) -> None:
        logger.error("{} {}", text, detail)
        self._to_alerts("error", text)

    def _threadsafe_alert(self, text: str) -> None:
        self._loop.call_soon_threadsafe(self.alert, text)

    def _to_system_log(self, kind: str, text: str) -> None:
        entry = {"lockout": Entry.LOCKOUT_SET, "unlock": Entry.LOCKOUT_CLEARED}.get(kind, Entry.ENFORCEMENT)
        self.system_log.write(entry, text)

    def _to_alerts(self, severity: str, text: str) -> None:
        """To mail and messengers, once they are there."""
        if self._alerting is not None:
            self._alerting.alert(severity, text)

    def _view_renamed(self, name: str) -> None:
        self._loop.call_soon_threadsafe(self._write_endpoint)

    def _write_endpoint(self) -> None:
        if self.endpoint is None or self._stopped:
            return
        content = {
            **self.endpoint,
            "pid": os.getpid(),
            "version": self.version,
            "instance": self.instance,
            "started_at": to_iso(self.started_at),
            "view": self.view.name,
        }
        try:
            write_atomically(self.home.endpoint, json.dumps(content))
            if os.name == "posix":
                self.home.endpoint.chmod(0o644)
        except OSError as error:
            self.alert(f"{self.home.endpoint} could not be written ({error.strerror}); windows cannot find the daemon.")


def _quietly(work: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):
        work()
