"""The methods of the socket. A handler makes events or reads state; it holds no logic of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from daemon import figures
from daemon.api_ports import Audit, Handler, Host, LogReader, Row
from daemon.auditing import audited
from daemon.core.events import ClearRequested, LockRequested
from daemon.core.units import SECOND_US, to_iso, to_micros
from daemon.day_figures import DayFigures
from daemon.first_figures import first_figures
from daemon.ipc_sessions import CallBucket, CallContext, CallRate
from daemon.process_usage import ProcessUsage
from shared.models import LockoutKind
from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import (
    AccountParams,
    ChangeParams,
    ClearLockoutParams,
    GetAuditLogParams,
    GetEnforcementLogParams,
    GetLockoutHistoryParams,
    GetTradesParams,
    LockAccountParams,
    LockAccountsParams,
    MaybeAccountParams,
    NoParams,
    SetConfigParams,
    SetCredentialParams,
    StopDaemonParams,
    TopicsParams,
    UsernameParams,
)

if TYPE_CHECKING:
    from daemon.core.state import AccountState

LOCKS_BY_HAND = CallRate(5.0, 1.0)
"""How often an account may be locked by who is no administrator: each one is kept, logged and told of."""


def end_of_lock(method: str, params: LockAccountParams | LockAccountsParams, now: int) -> int:
    """When a lock by hand ends; both times microseconds UTC. Raises RpcError for an end that is past or too far off."""
    until = to_micros(params.until) if params.until is not None else now + (params.minutes or 0) * 60 * SECOND_US
    if not now < until <= now + 366 * 86_400 * SECOND_US:
        raise RpcError(ErrorCode.INVALID_PARAMS, f"{method}: the end must lie ahead, and at most a year from now.")
    return until


class Api:
    """Handlers by method name; give `handlers()` to the socket's server."""

    def __init__(self, host: Host, log: LogReader, audit: Audit) -> None:
        self._host = host
        self._log = log
        self._audit = audit
        self._days = DayFigures()
        self._locks: dict[int, CallBucket] = {}
        self._usage = ProcessUsage()

    def handlers(self) -> dict[str, Handler]:
        """Every method that needs a handler."""
        noted = partial(audited, self._audit)
        return {
            "get_status": self.get_status,
            "get_accounts": self.get_accounts,
            "get_positions": self.get_positions,
            "get_orders": self.get_orders,
            "get_pnl": self.get_pnl,
            "get_lockouts": self.get_lockouts,
            "get_lockout_history": self.get_lockout_history,
            "get_rules": self.get_rules,
            "get_trades": self.get_trades,
            "get_pnl_curve": self.get_pnl_curve,
            "get_sessions": self.get_sessions,
            "get_enforcement_log": self.get_enforcement_log,
            "subscribe": self.subscribe,
            "lock_account": self.lock_account,
            "reload_config": noted("reload_config", self.reload_config),
            "get_config": self.get_config,
            "set_config": noted("set_config", self.set_config),
            "get_pending_config": self.get_pending_config,
            "cancel_pending_config": noted("cancel_pending_config", self.cancel_pending_config),
            "set_credential": noted("set_credential", self.set_credential),
            "test_connection": noted("test_connection", self.test_connection),
            "clear_lockout": noted("clear_lockout", self.clear_lockout),
            "get_audit_log": self.get_audit_log,
            "stop_daemon": noted("stop_daemon", self.stop_daemon),
        }

    # ---- reading

    async def get_status(self, params: NoParams, context: CallContext) -> Row:
        """State of the daemon and of every account."""
        return self.status_row()

    def status_row(self) -> Row:
        """As `get_status`."""
        host = self._host
        engine = host.engine
        memory, cpu = self._usage.measure()
        now = host.clock.now()
        return {
            "status": host.status(),
            "problems": host.problems(),
            "unknown_accounts": host.unknown_accounts(),
            "version": host.version,
            "now": to_iso(now),
            "uptime": (now - host.started_at) // SECOND_US,
            "clock_suspect": host.clock.clock_suspect,
            "clock_offset_seconds": round(host.clock.offset_seconds, 3),
            "accounts": {
                str(account.account_id): {
                    "name": account.name,
                    "connected": host.connected(account.account_id),
                    "last_event": figures.time_or_none(account.last_event_at),
                    "positions": len(account.positions),
                    "lockout": figures.is_locked(account),
                }
                for account in engine.accounts.values()
            },
            "memory_usage_mb": memory,
            "cpu_usage_percent": cpu,
            "queue_depth": host.queue_depth(),
            "pending_config": host.configuration.pending_count,
            "next_reset": to_iso(engine.days.bounds(now)[1]),
            "timezone": engine.days.timezone,
        }

    async def get_accounts(self, params: NoParams, context: CallContext) -> list[Row]:
        """All accounts."""
        return [self.account_row(account_id) for account_id in sorted(self._host.engine.accounts)]

    def account_row(self, account_id: int) -> Row:
        """One account as `get_accounts` shows it."""
        account = self._host.engine.account(account_id)
        connected = self._host.connected(account_id)
        return figures.account_row(
            self._host.engine, account, connected=connected, monitored=connected and account.reconciled
        )

    async def get_positions(self, params: AccountParams, context: CallContext) -> list[Row]:
        """Open positions."""
        return figures.position_rows(self._host.engine, self._read_account(params.account_id, "positions"))

    async def get_orders(self, params: AccountParams, context: CallContext) -> list[Row]:
        """Working orders."""
        return figures.order_rows(self._host.engine, self._read_account(params.account_id, "orders"))

    async def get_pnl(self, params: AccountParams, context: CallContext) -> Row:
        """P&L of the trading day."""
        return figures.pnl(self._host.engine, self._read_account(params.account_id, "pnl"))

    async def get_lockouts(self, params: MaybeAccountParams, context: CallContext) -> list[Row]:
        """Active lockouts, of one account or of all."""
        if params.account_id is not None:
            return figures.lockout_rows(self._account(params.account_id))
        return [row for account in self._host.engine.accounts.values() for row in figures.lockout_rows(account)]

    async def get_lockout_history(self, params: GetLockoutHistoryParams, context: CallContext) -> list[Row]:
        """Active and past lockouts, newest first."""
        rows = await self._log.lockout_history(params.account_id, params.limit, params.before_id)
        if not rows:
            self._known(params.account_id)
        return rows

    async def get_rules(self, params: AccountParams, context: CallContext) -> list[Row]:
        """Every rule with limit, value and share used."""
        return figures.rule_rows(self._host.engine, self._account(params.account_id))

    async def get_trades(self, params: GetTradesParams, context: CallContext) -> object:
        """The day's trades, newest first: all of them as a list, or a page {"rows", "more"}."""
        account, limit, before = self._account(params.account_id), params.limit, params.before_id
        page = await self._days.page(self._host.engine, account, limit=limit, before_id=before, pause=context.pause)
        if page is None:
            text = f"get_trades: there is no trade {before} today; begin with the newest."
            raise RpcError(ErrorCode.INVALID_PARAMS, text)
        rows, more = page
        return rows if limit is None and before is None and not more else {"rows": rows, "more": more}

    async def get_pnl_curve(self, params: AccountParams, context: CallContext) -> object:
        """The day's P&L: [time, realized, realized + unrealized]."""
        account = self._account(params.account_id)
        return self._days.curve(self._host.engine, account, self._host.announcer.curve(params.account_id))

    async def get_sessions(self, params: AccountParams, context: CallContext) -> Row:
        """Times at the desk: first and last sign of the trader today, first and last trade."""
        account = self._account(params.account_id)
        return {
            "account_id": params.account_id,
            "clock_in": figures.time_or_none(account.first_action_at),
            "clock_out": figures.time_or_none(account.last_action_at),
            "first_trade": figures.time_or_none(account.ledger.first_trade_at),
            "last_trade": figures.time_or_none(account.ledger.last_trade_at),
        }

    async def get_enforcement_log(self, params: GetEnforcementLogParams, context: CallContext) -> list[Row]:
        """What was enforced, newest first."""
        rows = await self._log.enforcement_log(params.account_id, params.limit, params.before_id)
        if not rows:
            self._known(params.account_id)
        symbol = self._host.engine.market.symbol
        return [{**row, "symbol": symbol(row["contract_id"]) if row["contract_id"] else None} for row in rows]

    async def subscribe(self, params: TopicsParams, context: CallContext) -> Row:
        """The snapshot that comes before the deltas: {topic: {account id: data}}, as far as the gateway was read."""
        host = self._host
        whole: dict[str, Callable[[], object]] = {
            "status": self.status_row,
            "config": lambda: {"pending": host.configuration.pending_rows()},
        }
        makers: dict[str, Callable[[AccountState], object]] = {
            "accounts": lambda account: self.account_row(account.account_id),
            "trades": lambda account: self._days.latest_trades(host.engine, account),
        }
        return await first_figures(host.engine, params.topics, whole, makers, context.pause)

    # ---- tightening

    async def lock_account(self, params: LockAccountParams, context: CallContext) -> list[Row]:
        """Lock an account; anybody may, though not again and again without a pause."""
        account = self._account(params.account_id)
        now = self._host.clock.now()
        until = end_of_lock("lock_account", params, now)
        if not context.admin:
            self._bound_locks(params.account_id)
        who = "the admin" if context.admin else "you"
        self._host.deliver(LockRequested(now, account.account_id, until, params.reason, who))
        await self._host.settled()
        return figures.lockout_rows(account)

    # ---- the admin's

    async def reload_config(self, params: NoParams, context: CallContext) -> Row:
        """Read the files anew; what tightens applies now, what loosens waits."""
        return self._host.configuration.reload(context.require_second_factor)

    async def get_config(self, params: NoParams, context: CallContext) -> Row:
        """Active and wished configuration."""
        return self._host.configuration.show()

    async def set_config(self, params: SetConfigParams, context: CallContext) -> Row:
        """Change risk_config.yaml by text or patch."""
        return await self._host.configuration.change_tried(params, context)

    async def get_pending_config(self, params: NoParams, context: CallContext) -> list[Row]:
        """Changes that wait for the reset."""
        return self._host.configuration.pending_rows()

    async def cancel_pending_config(self, params: ChangeParams, context: CallContext) -> list[Row]:
        """Take a waiting change back."""
        return self._host.configuration.cancel(params.id)

    async def set_credential(self, params: SetCredentialParams, context: CallContext) -> Row:
        """Store a login's API key in the system's key store."""
        await self._host.logins.set_key(params.username, params.api_key.get_secret_value())
        return {"username": params.username, "set": True, "login": self._has_login(params.username)}

    async def test_connection(self, params: UsernameParams, context: CallContext) -> list[Row]:
        """Try a login step by step."""
        if not self._has_login(params.username):
            raise RpcError(
                ErrorCode.INVALID_PARAMS, f"test_connection: there is no login {params.username} in accounts.yaml."
            )
        return await self._host.logins.try_out(params.username)

    async def clear_lockout(self, params: ClearLockoutParams, context: CallContext) -> Row:
        """End a lockout early, after the delay of the policy."""
        policy = self._host.engine.config.policy.admin_unlock
        lockout = next(
            (account.locks[params.id] for account in self._host.engine.accounts.values() if params.id in account.locks),
            None,
        )
        if lockout is None:
            raise RpcError(ErrorCode.INVALID_PARAMS, f"clear_lockout: no lockout {params.id} is active.")
        if not policy.allowed:
            raise RpcError(
                ErrorCode.REFUSED_BY_POLICY, "Refused by policy.admin_unlock.allowed: lockouts end by themselves."
            )
        if lockout.kind == LockoutKind.API:
            raise RpcError(
                ErrorCode.REFUSED_BY_POLICY,
                "Refused: this lockout ends when the gateway allows the account to trade again.",
            )
        now = self._host.clock.now()
        due_at = now + policy.delay_minutes * 60 * SECOND_US
        if lockout.clear_due_at is not None:
            due_at = min(due_at, max(lockout.clear_due_at, now))
        self._host.deliver(ClearRequested(now, params.id, due_at, params.reason, "admin"))
        await self._host.settled()
        return {"id": params.id, "effective_at": to_iso(due_at), "delay_minutes": policy.delay_minutes}

    async def get_audit_log(self, params: GetAuditLogParams, context: CallContext) -> Row:
        """The audit log, newest first, and whether its chain is whole."""
        broken = await self._audit.verify()
        return {"rows": await self._audit.page(params.limit, params.before_id), "intact": broken is None}

    async def stop_daemon(self, params: StopDaemonParams, context: CallContext) -> Row:
        """Stop; the service manager may start it again."""
        self._host.request_stop(f"asked by the admin: {params.reason or 'no reason given'}")
        return {"stopping": True}

    # ---- within

    def _has_login(self, username: str) -> bool:
        """Whether accounts.yaml has this login, in force or as it is asked for."""
        configuration = self._host.configuration
        logins = (*configuration.active.accounts.logins, *configuration.wished.accounts.logins)
        return any(login.username == username for login in logins)

    def _known(self, account_id: int | None) -> None:
        """Refuse an account that is not here and never was. None stands for all."""
        if account_id is not None:
            self._account(account_id)

    def _bound_locks(self, account_id: int) -> None:
        now = time.monotonic()
        bucket = self._locks.setdefault(account_id, CallBucket(LOCKS_BY_HAND, now))
        wait = bucket.take(now)
        if wait > 0.0:
            text = f"Account {account_id} was locked by hand several times just now; try again in a moment."
            raise RpcError(ErrorCode.BUSY, text, {"retry_after": round(wait, 3)})

    def _account(self, account_id: int) -> AccountState:
        account = self._host.engine.accounts.get(account_id)
        if account is None:
            raise RpcError(ErrorCode.UNKNOWN_ACCOUNT, f"There is no account {account_id} here.")
        return account

    def _read_account(self, account_id: int, topic: str) -> AccountState:
        account = self._account(account_id)
        if not figures.is_read(account, topic):
            raise RpcError(
                ErrorCode.GATEWAY_UNREACHABLE,
                f"Account {account_id} could not be read from the gateway yet, so what it holds is not known; try again"
                " when get_status calls it connected.",
            )
        return account
