"""The life of the daemon: start, ready, stop. Everything is wired here, nothing is decided here.

Start and recovery are one path: what the store kept binds at once, then the gateway is read, its answers are fed as
events, and judged. Stop works off what waits, then flushes and closes; the next start needs none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import sys
import time

from loguru import logger

from daemon import logs as log_files
from daemon.admin_side import AdminSide
from daemon.alarms import Alarms
from daemon.announcer import Announcer
from daemon.api import Api
from daemon.audit import AuditLog
from daemon.backups import Backups
from daemon.clock import TrustedClock, wall_us
from daemon.config_errors import ConfigErrors
from daemon.configuration import ConfigurationService
from daemon.core.events import ConfigChanged, Event, Tick
from daemon.core.units import SECOND_US, to_iso
from daemon.credentials import CredentialStore, redact
from daemon.day_journal import DayJournal
from daemon.dispatcher import Dispatcher
from daemon.endpoint import Endpoint
from daemon.gateway.pool import Gateways
from daemon.gateway_side import GatewaySide, preload_in_background
from daemon.heartbeat import Heartbeat
from daemon.instance_lock import claim
from daemon.journal import Journal
from daemon.known_time import CLOCK_KEY, KnownTime
from daemon.memory_watch import MemoryWatch
from daemon.options import Options, program_version
from daemon.problems import UnusedOverrides
from daemon.protection import Configuration
from daemon.restore import open_restored
from daemon.schedule import Schedule
from daemon.shutdown import Shutdown
from daemon.snapshot import engine_from
from daemon.start_error import StartError
from daemon.store import StoreError
from daemon.store.state import SavedState
from daemon.thread_watch import ThreadWatch
from daemon.ticker import Ticker
from daemon.unknown_lockouts import LOCKED_KEY, UnknownLockouts
from daemon.view import View
from daemon.watchdog import Watchdog
from daemon.windows.event_log import Entry, EventLog
from daemon.windows.parent_watch import ParentWatch, under_nssm

__all__ = ["Options", "Service", "StartError", "program_version"]

HISTORY_US = 9 * 86_400 * SECOND_US
"""How far back trades and ended lockouts are loaded: a week and what may reach over its ends."""


class Service:
    """One running daemon. `start`, then `wait`, then `stop`; all in one event loop."""

    admin: AdminSide
    gateways: Gateways

    def __init__(self, options: Options) -> None:
        self.options = options
        self.home = options.home
        self.version = program_version()
        self.instance = secrets.token_hex(8)
        self.time = KnownTime(wall=options.wall_clock)
        self.shutdown = Shutdown()
        self.alarms = Alarms(EventLog())
        self.endpoint = Endpoint(self.home, self._facts, self.alarms.alert)
        self._loop = asyncio.get_running_loop()
        self._ready = False
        self._stopped = False
        self._last = contextlib.ExitStack()
        self._saved = SavedState()
        self._day_journal: DayJournal | None = None

    # ---- start

    async def start(self) -> None:
        """Start everything; returns when the daemon is ready. Raises StartError."""
        began = time.monotonic()
        # The threads that log, store and record give the event loop its turn back sooner than after Python's 5 ms.
        sys.setswitchinterval(0.0005)
        preload_in_background()
        lock = await claim(self.home)
        self._last.callback(lock.release)
        self.logs = log_files.setup(
            self.home.logs, console=self.options.console_log, public=self.home.public, redact=redact
        )
        self._last.callback(self.logs.close)
        log_files.checkpoint("service_start", version=self.version, pid=os.getpid(), home=self.home.root)
        await self._open_store()
        self.time = KnownTime(
            self._saved.daemon.get(CLOCK_KEY),
            wall=self.options.wall_clock,
            confirm_seconds=self.options.confirm_clock_seconds,
            on_known=self._time_known,
        )
        self.configuration = self._load_configuration()
        active = self.configuration.active
        self.logs.set_level(active.risk.logging.level)
        self.logs.set_retention(active.risk.logging.retention_days)
        log_files.checkpoint("config_loaded", logins=len(active.accounts.logins))
        self._build_engine(active)
        self._build_outputs()
        self._build_sides(active)
        self._begin_ticking()
        self.admin.begin()
        await self.gateways.start()
        log_files.capture_standard_logging(active.risk.logging.level)
        log_files.checkpoint("sdk_connected", accounts=len(self.engine.accounts))
        if self._saved.lockouts_unknown:
            await self.settled()
        await self._open_socket(active)
        self._start_timers()
        self._guard()
        self.admin.check_audit()
        # What the start left behind stays for good: the collector need not walk through it between event and order.
        gc.collect()
        gc.freeze()
        self.endpoint.publish()
        self._ready = True
        seconds = time.monotonic() - began
        log_files.checkpoint("event_loop_running", seconds=f"{seconds:.2f}")
        logger.info("Ready after {:.2f} s: {} accounts.", seconds, len(self.engine.accounts))
        self.alarms.system_log.write(Entry.START, f"Risk Manager {self.version} is ready.")

    async def _open_store(self) -> None:
        try:
            self.store = await open_restored(self.home, self.alarms.alert_from_thread)
            self.shutdown.add("the database", 5.0, self._stop_store)
            self._saved = await asyncio.to_thread(self.store.load, wall_us() - HISTORY_US)
        except StoreError as error:
            raise StartError(str(error)) from error

    def _load_configuration(self) -> ConfigurationService:
        try:
            return ConfigurationService(self.home, self.time.now, self._configuration_changed, self.alarms.alert)
        except ConfigErrors as errors:
            raise StartError(str(errors), exit_code=2) from errors
        except OSError as error:
            where = error.filename or self.home.data
            raise StartError(f"The configuration could not be stored in {where} ({error.strerror}).") from error

    def _build_engine(self, active: Configuration) -> None:
        self.engine = engine_from(
            self._saved,
            active.risk,
            active.holidays,
            now=self.time.now(),
            no_reset_before=self.configuration.no_reset_before,
        )
        for warning in self.configuration.warnings(self.clock.now()):
            logger.warning("{}", warning)
        names = [key for key, _ in active.risk.rules.enabled()]
        log_files.checkpoint("rules_initialized", rules=", ".join(names) or "none")

    def _build_outputs(self) -> None:
        self.view = View(
            self.home.public,
            self.home.database,
            on_name=lambda _: self._loop.call_soon_threadsafe(self.endpoint.publish),
        )
        # It shows what the database writes last.
        self.shutdown.add_last("the replica", 2.0, lambda: asyncio.to_thread(self.view.close, 1.8))
        self.store.mirror_to(self.view)
        self.backups = Backups(self.home, self.store)
        self.audit = AuditLog(self.store, self.clock.now)
        self.api = Api(self, self.store, self.audit)
        self.announcer = Announcer(
            self.engine,
            self.store,
            replica=self.view,
            activity=log_files.activity,
            system_log=self.alarms.to_system_log,
            alert=self.alarms.send,
            account_row=self.api.account_row,
        )
        self.dispatcher = Dispatcher(self.engine, self.store, listeners=[self.announcer], on_failure=self.shutdown.fail)
        if self.options.journal:
            self._open_journal()
        if self._saved.lockouts_unknown:
            kept = self._saved.daemon.get(LOCKED_KEY)
            self.dispatcher.listeners.append(UnknownLockouts(self.engine, self.deliver, self.store, kept))
        self.dispatcher.start()
        self.shutdown.add("the decisions", 4.0, self._stop_dispatcher)

    def _open_journal(self) -> None:
        journal = Journal(self.home.journal, version=self.version, on_alert=self.alarms.alert_from_thread)
        self.shutdown.add("the journal", 4.0, lambda: asyncio.to_thread(journal.close, 3.5))
        self._day_journal = DayJournal(journal, self.engine, lambda: self.configuration.no_reset_before)
        self.dispatcher.recorder = journal
        self.dispatcher.listeners.append(self._day_journal)
        if self.time.known:
            self._day_journal.begin(self._saved)

    def _build_sides(self, active: Configuration) -> None:
        credentials = CredentialStore()
        self.admin = AdminSide(
            self,
            self.home,
            api=self.api,
            audit=self.audit,
            credentials=credentials,
            keeper=self.store,
            kept=self._saved.daemon,
        )
        self.alarms.connect(self.admin.alert)
        self.shutdown.add("the alerts", 2.0, self.admin.close)
        try:
            side = GatewaySide(
                active.accounts,
                self.options,
                engine=self.engine,
                clock=self.clock,
                dispatcher=self.dispatcher,
                deliver=self.deliver,
                store=self.store,
                credentials=credentials,
                contracts=self._saved.contracts,
                alarms=self.alarms,
            )
        except ValueError as error:
            raise StartError(str(error), exit_code=2) from error
        self._gateway_side, self.gateways, self.enforcer, self.logins = side, side.gateways, side.enforcer, side.logins
        self.shutdown.add("the enforcement", 4.0, lambda: self.enforcer.stop(3.5))
        self.shutdown.add("the gateway", 4.0, side.stop)
        trials = self.configuration.try_keys_with(self.logins.check)
        self.shutdown.add("the keys that are tried", 1.0, trials.stop)

    def _begin_ticking(self) -> None:
        ticker = Ticker(
            self.time,
            self.engine,
            self.gateways,
            deliver=self.dispatcher.deliver,
            advance=self.configuration.advance,
            alert=self.alarms.alert,
        )
        ticker.start()
        self.shutdown.add("the ticks", 0.5, ticker.stop)

    def _start_timers(self) -> None:
        threads = ThreadWatch(self.alarms.alert)
        threads.add("the database", self.store.thread, "lockouts hold, and what was not written is written now")
        threads.add("the copy of the data for the windows", self.view.thread, "accounts stay protected")
        threads.add("the log files", self.logs.thread, "accounts stay protected")
        if self._day_journal is not None:
            threads.add("the record of the day's events", self._day_journal.thread, "accounts stay protected")
        heartbeat = Heartbeat(
            self.api.status_row,
            time=self.time,
            keeper=self.store,
            announcer=self.announcer,
            memory=MemoryWatch(self.announcer.trim, self.alarms.alert),
            threads=threads,
        )
        schedule = Schedule(
            heartbeat=heartbeat,
            configuration=self.configuration,
            backups=self.backups,
            store=self.store,
            clock=self.clock,
            alert=self.alarms.alert,
            look=UnusedOverrides(self._gateway_side.unused_overrides, self.alarms.alert).look,
        )
        schedule.start()
        self.shutdown.add("the timers", 0.5, schedule.stop)

    async def _open_socket(self, active: Configuration) -> None:
        self.shutdown.add("the socket", 2.0, self.endpoint.close)
        server = await self.endpoint.open(
            active.risk.ipc,
            {**self.api.handlers(), **self.admin.handlers()},
            now=self.clock.now,
            on_alert=self.admin.socket_alert,
            second_factor=self.admin.factor,
        )
        if server is not None:
            self.announcer.outlet = server
            await self.admin.start(server)

    def _guard(self) -> None:
        if self.options.watchdog:
            watchdog = Watchdog(self.home.logs, on_hang=lambda text: self.alarms.system_log.write(Entry.CRITICAL, text))
            watchdog.start()
            # Ended last: it guards the shutdown too.
            self.shutdown.add_last("the watchdog", 1.0, lambda: asyncio.to_thread(watchdog.stop))
        if under_nssm():
            parent = ParentWatch(lambda: self.shutdown.ask_from_thread("the service host has ended"))
            parent.start()
            self.shutdown.add_last("the watch over the service host", 0.5, lambda: asyncio.to_thread(parent.stop))

    # ---- while it runs

    async def wait(self) -> None:
        """Returns when a stop was asked for. Raises what made it impossible to go on."""
        await self.shutdown.wait()

    def request_stop(self, reason: str) -> None:
        """Begin the shutdown."""
        self.shutdown.ask(reason)

    def crashed(self, error: Exception) -> None:
        """What nobody expected ends the daemon: told in the system's event log, and the reason of the stop to come."""
        kind = type(error).__name__
        self.shutdown.ask(f"an unexpected error ({kind})")
        self.alarms.system_log.write(
            Entry.CRASH,
            f"Risk Manager ends because of an unexpected error ({kind}); see {self.home.logs / 'error.log'}.",
        )

    @property
    def clock(self) -> TrustedClock:
        """Trusted time."""
        return self.time.clock

    @property
    def started_at(self) -> int:
        """When this daemon was started, trusted time, microseconds UTC."""
        return self.time.started_at

    def status(self) -> str:
        """starting, healthy, degraded or stopping; healthy: every account is monitored, reconciled and kept."""
        if self.shutdown.asked:
            return "stopping"
        if not self._ready:
            return "starting"
        well = self.time.known and not self.store.failing and self._gateway_side.healthy()
        return "healthy" if well else "degraded"

    def problems(self) -> list[str]:
        """Why it is not healthy, one sentence each."""
        found = self._gateway_side.problems(time_known=self.time.known)
        if self.store.failing:
            found.append("The database cannot be written; enforcement goes on. Free disk space, or look at error.log.")
        return found

    def unknown_accounts(self) -> list[int]:
        """Accounts that are to be monitored and that nothing is known of yet."""
        return self._gateway_side.unknown_accounts()

    def connected(self, account_id: int) -> bool:
        """Whether the account's events are being received."""
        return self._gateway_side.connected(account_id)

    def queue_depth(self) -> int:
        """Events whose decisions wait for the disk."""
        return self.dispatcher.depth

    def deliver(self, event: Event) -> None:
        """Feed an event."""
        if not self.time.known:
            self.time.learn_from(event)
        self.dispatcher.deliver(event)

    async def settled(self) -> None:
        """Returns when everything decided so far is carried out."""
        await self.dispatcher.deliver_and_settle(Tick(self.time.now()))

    def _time_known(self) -> None:
        """From now on time passes for the rules."""
        self.engine.restore(self.clock.now())
        try:
            self.configuration.time_known()
        except OSError as error:
            self.alarms.alert(f"The configuration could not be stored in {self.home.data} ({error.strerror}).")
        if self._day_journal is not None:
            self._day_journal.begin(self._saved)

    def _configuration_changed(self, configuration: Configuration, no_reset_before: int) -> None:
        self.deliver(ConfigChanged(self.clock.now(), configuration.risk, configuration.holidays, no_reset_before))
        self.logs.set_level(configuration.risk.logging.level)
        self.logs.set_retention(configuration.risk.logging.retention_days)
        self._gateway_side.accounts_changed(configuration.accounts)
        self.announcer.configuration_changed({"pending": self.configuration.pending_rows()})

    def _facts(self) -> dict[str, object]:
        """What public/endpoint.json says of the daemon besides where its socket is."""
        return {
            "pid": os.getpid(),
            "version": self.version,
            "instance": self.instance,
            "started_at": to_iso(self.started_at),
            "view": self.view.name,
        }

    # ---- stop

    async def stop(self) -> None:
        """Work off, flush, close, in `STOP_SECONDS` at most. Safe to call after a start that failed half-way."""
        if self._stopped:
            return
        self._stopped = True
        self.shutdown.ask("no reason given")
        if self.shutdown.steps:  # else a start was refused, and has said why
            logger.info("Stopping: {}.", self.shutdown.reason)
            await self.shutdown.run()
            if self._ready:
                self.alarms.system_log.write(Entry.STOP, f"Risk Manager stopped: {self.shutdown.reason}.")
            logger.info("Stopped.")
        await asyncio.to_thread(self.alarms.system_log.close)
        self._last.close()

    async def _stop_dispatcher(self) -> None:
        await self.dispatcher.stop(3.5)
        self.announcer.close()

    async def _stop_store(self) -> None:
        self.time.keep(self.store)
        await self.store.close(4.5)
