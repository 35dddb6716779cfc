"""What faces the gateway: the logins, the connections, and the sender of orders; wired here, and what they tell."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable

from daemon import logs as log_files
from daemon.alarms import Alarms
from daemon.broker import Answer
from daemon.clock import Clock
from daemon.core.decisions import Action, Alert
from daemon.core.engine import Engine
from daemon.core.events import Contract, Event, MoveRefused
from daemon.credentials import CredentialStore
from daemon.dispatcher import Dispatcher
from daemon.enforcer import Enforcer
from daemon.gateway.pool import Gateways, preload
from daemon.holdings import EngineHoldings
from daemon.logins import Logins
from daemon.options import Options
from daemon.problems import problems, unknown_accounts, unused_overrides
from daemon.snapshot import trades_since
from daemon.store import Store
from shared.config import AccountsConfig


def preload_in_background() -> None:
    """Import the gateway's library beside the start: it takes a second. What fails here fails again, and is told."""

    def load() -> None:
        with contextlib.suppress(Exception):
            preload()

    threading.Thread(target=load, name="preload", daemon=True).start()


class GatewaySide:
    """Made in the event loop; `gateways.start` connects. From here on the dispatcher has a sender.

    Args:
        deliver: takes the gateway's events.
        contracts: contract data of an earlier run.

    Raises:
        ValueError: an address is not on this machine although `options` requires that.
    """

    def __init__(
        self,
        accounts: AccountsConfig,
        options: Options,
        *,
        engine: Engine,
        clock: Clock,
        dispatcher: Dispatcher,
        deliver: Callable[[Event], None],
        store: Store,
        credentials: CredentialStore,
        contracts: list[Contract],
        alarms: Alarms,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._deliver = deliver
        self._store = store
        self._alarms = alarms
        self._tasks: set[asyncio.Task[None]] = set()
        self.logins = Logins(accounts, credentials, alarms.alert, store.flush)
        self.gateways = self.logins.gateways = Gateways(
            accounts,
            self.logins.key,
            clock,
            deliver,
            alarms.gateway_alert,
            lambda at: trades_since(engine, at),
            contracts=contracts,
            require_loopback=options.require_loopback,
            timings=options.timings,
        )
        self.enforcer = dispatcher.sender = Enforcer(
            self.gateways,
            EngineHoldings(engine),
            clock,
            dispatcher.deliver_and_settle,
            on_sent=self._sent,
            on_attempt=self._attempted,
            on_alert=self._alert,
            on_dropped=self._move_dropped,
        )

        dispatcher.read_orders = self.gateways.read_orders
        dispatcher.quoted = self.gateways.set_quoted_contracts

    def connected(self, account_id: int) -> bool:
        """Whether the account's events are being received."""
        status = self.gateways.status().accounts.get(account_id)
        return status is not None and status.connected

    def healthy(self) -> bool:
        """Whether every account is monitored and reconciled, and there is one."""
        status = self.gateways.status()
        accounts = self._engine.accounts.values()
        reconciled = all(account.reconciled for account in accounts if account.listed)
        return status.healthy and bool(status.accounts) and reconciled

    def problems(self, *, time_known: bool) -> list[str]:
        """What keeps it from being healthy, one sentence each."""
        return problems(self.gateways.status(), self.logins.accounts, time_known=time_known)

    def unknown_accounts(self) -> list[int]:
        """Accounts that are to be monitored and that nothing is known of yet."""
        return unknown_accounts(self.gateways.status(), self.logins.accounts, self._engine.accounts)

    def unused_overrides(self) -> list[int]:
        """Accounts that have rules of their own and that no login has."""
        return unused_overrides(self._engine.config.accounts, self.gateways.status(), self._engine.accounts)

    def accounts_changed(self, accounts: AccountsConfig) -> None:
        """Another accounts.yaml may be in force: log in and out as it says, beside everything else."""
        if accounts != self.logins.accounts:
            task = asyncio.get_running_loop().create_task(self.logins.apply(accounts), name="apply accounts")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Close the connections."""
        for task in self._tasks:
            task.cancel()
        await self.gateways.stop()

    # ---- what the enforcer tells

    def _sent(self, action: Action, attempts: int) -> None:
        self._store.record_attempt(action.id, attempts)

    def _attempted(self, action: Action, attempts: int, answer: Answer) -> None:
        self._store.record_attempt(action.id, attempts)
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

    def _alert(self, alert: Alert) -> None:
        self._alarms.alert(alert.text)

    def _move_dropped(self, action: Action, answer: Answer | None) -> None:
        """A stop could not be moved: the rule that wanted it has to know, and decides anew."""
        if action.order_id is not None and action.stop_price is not None:
            self._deliver(MoveRefused(self._clock.now(), action.account_id, action.order_id, action.stop_price))
