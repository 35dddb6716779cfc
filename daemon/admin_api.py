"""The admin window's methods of the socket, beyond those of `daemon.api`. All need an admin session.

What changes something is audited with its parameters (secrets left out) and its result. What weakens protection or its
oversight asks for the second factor, here or in the table of methods.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol

from loguru import logger

from daemon import figures, log_reading, restore, run_history
from daemon.alerts import AlertError, Alerts
from daemon.api import end_of_lock
from daemon.api_ports import Audit, Handler, Host, Row
from daemon.auditing import audited
from daemon.backups import BackupError, list_backups
from daemon.config_errors import ConfigErrors
from daemon.config_loader import load_risk_config, read_text, revise
from daemon.configuration import refusal
from daemon.core.events import LockRequested
from daemon.core.units import to_iso
from daemon.credentials import CredentialError, register_secret
from daemon.ipc_sessions import CallContext
from daemon.restore import RestoreError
from daemon.second_factor import SecondFactorError
from daemon.what_if import Request, WhatIf, WhatIfError, journal_days
from shared.config import RiskConfig
from shared.paths import Home, shipped
from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import (
    AlertTargetParams,
    CodeParams,
    GetLogParams,
    LockAccountsParams,
    NameParams,
    NoParams,
    RestoreBackupParams,
    SetConfigParams,
    WhatIfParams,
)

if TYPE_CHECKING:
    from daemon.credentials import CredentialStore
    from daemon.factor_store import KeyringFactor

ACCOUNT_NAME = "Risk Manager"
"""Name of the entry in the authenticator."""


class Usage(Protocol):
    """Where the figures of the running process come from; `daemon.api.Api` is one."""

    def status_row(self) -> Row:
        """As `get_status`."""


class AdminApi:
    """Handlers by method name; give `handlers()` to the socket's server beside those of `Api`."""

    def __init__(
        self,
        host: Host,
        home: Home,
        audit: Audit,
        usage: Usage,
        *,
        credentials: CredentialStore,
        alerts: Alerts,
        factor: KeyringFactor,
    ) -> None:
        self._host = host
        self._home = home
        self._audit = audit
        self._usage = usage
        self._credentials = credentials
        self._alerts = alerts
        self._factor = factor
        self._what_if = WhatIf()

    def handlers(self) -> dict[str, Handler]:
        """Every method that needs a handler."""
        noted = partial(audited, self._audit)
        return {
            "second_factor_enroll": noted("second_factor_enroll", self.second_factor_enroll),
            "second_factor_confirm": noted("second_factor_confirm", self.second_factor_confirm),
            "second_factor_disable": noted("second_factor_disable", self.second_factor_disable),
            "get_second_factor": self.get_second_factor,
            "lock_accounts": noted("lock_accounts", self.lock_accounts),
            "get_logins": self.get_logins,
            "get_presets": self.get_presets,
            "get_service_info": self.get_service_info,
            "get_log": self.get_log,
            "get_alert_targets": self.get_alert_targets,
            "set_alert_target": noted("set_alert_target", self.set_alert_target),
            "remove_alert_target": noted("remove_alert_target", self.remove_alert_target),
            "test_alert_target": noted("test_alert_target", self.test_alert_target),
            "list_backups": self.list_backups,
            "backup_now": noted("backup_now", self.backup_now),
            "restore_backup": noted("restore_backup", self.restore_backup),
            "get_journal_days": self.get_journal_days,
            "what_if": self.what_if,
            "cancel_what_if": self.cancel_what_if,
        }

    def close(self) -> None:
        """End what is under way."""
        self._what_if.cancel()

    # ---- the second factor

    async def get_second_factor(self, params: NoParams, context: CallContext) -> Row:
        """Whether one is enrolled, and how it fares; never the secret. `reading`: not known yet."""
        factor = self._factor
        return {
            "enrolled": factor.enrolled,
            "reading": factor.reading,
            "broken": factor.broken,
            "recovery_codes_left": factor.recovery_codes_left,
            "pause_seconds": factor.pause_left(self._host.clock.now()),
            "given": factor.enrolled and context.second_factor_ok,
        }

    async def second_factor_enroll(self, params: NoParams, context: CallContext) -> Row:
        """A fresh secret and recovery codes, shown this once; nothing is asked of anybody until it is confirmed."""
        try:
            enrolment = self._factor.begin(ACCOUNT_NAME, self._host.clock.now())
        except SecondFactorError as error:
            raise RpcError(ErrorCode.REFUSED_BY_POLICY, str(error)) from error
        register_secret(enrolment.secret)
        for code in enrolment.recovery_codes:
            register_secret(code)
        return {"secret": enrolment.secret, "uri": enrolment.uri, "recovery_codes": list(enrolment.recovery_codes)}

    async def second_factor_confirm(self, params: CodeParams, context: CallContext) -> Row:
        """Enrol, after the authenticator has shown a right code."""
        # A replacement begun by someone who had given the present one is confirmed by nobody else.
        context.require_second_factor()
        try:
            accepted = await self._factor.confirm(params.code, self._host.clock.now())
        except SecondFactorError as error:
            raise RpcError(ErrorCode.REFUSED_BY_POLICY, str(error)) from error
        if not accepted:
            raise RpcError(
                ErrorCode.INVALID_PARAMS,
                "The code does not fit; wait for the next one, and see that the authenticator's clock is right.",
            )
        return {"enrolled": True}

    async def second_factor_disable(self, params: NoParams, context: CallContext) -> Row:
        """Ask for no code any more."""
        try:
            await self._factor.disable()
        except SecondFactorError as error:
            raise RpcError(ErrorCode.REFUSED_BY_POLICY, str(error)) from error
        return {"enrolled": False}

    # ---- accounts

    async def lock_accounts(self, params: LockAccountsParams, context: CallContext) -> list[Row]:
        """Lock several accounts, or all; the lockouts that are then active."""
        engine = self._host.engine
        chosen = list(engine.accounts) if params.account_ids is None else list(dict.fromkeys(params.account_ids))
        unknown = [number for number in chosen if number not in engine.accounts]
        if unknown:
            raise RpcError(ErrorCode.UNKNOWN_ACCOUNT, f"There is no account {unknown[0]} here; nothing was locked.")
        if not chosen:
            raise RpcError(ErrorCode.UNKNOWN_ACCOUNT, "There is no account to lock.")
        now = self._host.clock.now()
        until = end_of_lock("lock_accounts", params, now)
        for number in chosen:
            self._host.deliver(LockRequested(now, number, until, params.reason, "the admin"))
        await self._host.settled()
        return [row for number in chosen for row in figures.lockout_rows(engine.account(number))]

    async def get_logins(self, params: NoParams, context: CallContext) -> list[Row]:
        """Logins with their accounts and whether a key is there; never a key."""
        active, wished = self._host.configuration.active.accounts, self._host.configuration.wished.accounts
        rows = []
        for login in wished.logins:
            present = next((known for known in active.logins if known.username == login.username), None)
            rows.append(
                {
                    "username": login.username,
                    "enabled": login.enabled,
                    "active": present is not None and present.enabled,
                    "accounts": login.accounts if login.accounts == "all" else list(login.accounts),
                    "key_place": "keyring" if login.uses_keyring else "file",
                    "key_set": await self._key_set(login.username) if login.uses_keyring else True,
                    "found": [
                        {
                            "account_id": account.account_id,
                            "name": account.name,
                            "connected": self._host.connected(account.account_id),
                            "locked": figures.is_locked(account),
                        }
                        for account in self._host.engine.accounts.values()
                        if account.login == login.username
                    ],
                }
            )
        for login in active.logins:
            if login.enabled and all(row["username"] != login.username for row in rows):
                rows.append({"username": login.username, "enabled": False, "active": True, "leaving": True,
                             "accounts": login.accounts if login.accounts == "all" else list(login.accounts),
                             "key_place": "keyring", "key_set": None, "found": []})  # fmt: skip
        return rows

    async def _key_set(self, username: str) -> bool | None:
        try:
            return await asyncio.to_thread(self._credentials.has, username)
        except CredentialError:
            return None

    # ---- configuration

    async def get_presets(self, params: NoParams, context: CallContext) -> list[Row]:
        """The shipped examples of prop-firm programmes: name, title, notes, the YAML."""
        return await asyncio.to_thread(_presets)

    async def get_journal_days(self, params: NoParams, context: CallContext) -> list[Row]:
        """Recorded trading days, newest first."""
        return await asyncio.to_thread(journal_days, self._home.journal)

    async def what_if(self, params: WhatIfParams, context: CallContext) -> Row:
        """What an edited risk_config.yaml would have done on a recorded day, beside what was done."""
        path = self._home.journal / f"{params.day}.jsonl.gz"
        if not path.is_file():
            raise RpcError(ErrorCode.INVALID_PARAMS, f"what_if: {params.day} was not recorded; choose another day.")
        try:
            present = await asyncio.to_thread(read_text, self._home.risk_config_file)
            text, _ = revise(RiskConfig, present, yaml=params.yaml, patch=params.patch, file="what_if")
        except ConfigErrors as errors:
            raise refusal("what_if", errors) from None
        try:
            return await self._what_if.run(Request(path, text))
        except WhatIfError as error:
            raise RpcError(ErrorCode.BUSY, str(error)) from None

    async def cancel_what_if(self, params: NoParams, context: CallContext) -> Row:
        """End the replay that is under way."""
        return {"cancelled": self._what_if.cancel()}

    # ---- service and logs

    async def get_service_info(self, params: NoParams, context: CallContext) -> Row:
        """The process, its clock, its load, and how the last runs ended."""
        host = self._host
        history = await asyncio.to_thread(run_history.runs, self._home.logs, os.getpid())
        now = host.clock.now()
        return {
            **self._usage.status_row(),
            "pid": os.getpid(),
            "started_at": to_iso(host.started_at),
            "now": to_iso(now),
            "home": str(self._home.root),
            "logs": str(self._home.logs),
            "python": sys.version.split()[0],
            "runs": history,
            "recording": (self._home.journal / f"{host.engine.days.name(now)}.jsonl.gz").exists(),
        }

    async def get_log(self, params: GetLogParams, context: CallContext) -> Row:
        """The end of a log file, by level and text."""
        folder = self._home.public if params.file == "activity" else self._home.logs
        try:
            return await asyncio.to_thread(
                log_reading.tail, folder, params.file, params.lines, params.level, params.text
            )
        except OSError as error:
            raise RpcError(
                ErrorCode.BUSY, f"get_log: {params.file}.log could not be read ({error.strerror})."
            ) from None

    # ---- alerts

    async def get_alert_targets(self, params: NoParams, context: CallContext) -> Row:
        """Where alerts go and how they fare; never an address."""
        return {"targets": self._alerts.rows(), "dropped": self._alerts.dropped}

    async def set_alert_target(self, params: AlertTargetParams, context: CallContext) -> Row:
        """Add or change a target. Changing one that is there needs the second factor: the desk may depend on it."""
        alerts = self._alerts
        if any(row["name"] == params.name for row in alerts.rows()):
            context.require_second_factor()
        address = params.address.get_secret_value() if params.address is not None else None
        if address is not None:
            register_secret(address)
        try:
            await asyncio.to_thread(alerts.set_target, params.name, address, params.kinds, enabled=params.enabled)
        except AlertError as error:
            raise RpcError(ErrorCode.INVALID_PARAMS, str(error)) from None
        except CredentialError as error:
            raise RpcError(ErrorCode.REFUSED_BY_POLICY, f"The address was not kept: {error}.") from None
        return {"targets": alerts.rows()}

    async def remove_alert_target(self, params: NameParams, context: CallContext) -> Row:
        """Forget a target and its address."""
        await asyncio.to_thread(self._alerts.remove_target, params.name)
        return {"targets": self._alerts.rows()}

    async def test_alert_target(self, params: NameParams, context: CallContext) -> Row:
        """Send a test message now and say what came of it."""
        error = await asyncio.to_thread(self._alerts.test, params.name)
        return {"delivered": not error, "error": error}

    # ---- backup and restore

    async def list_backups(self, params: NoParams, context: CallContext) -> list[Row]:
        """Backups of state and configuration, newest first."""
        return await asyncio.to_thread(list_backups, self._home)

    async def backup_now(self, params: NoParams, context: CallContext) -> Row:
        """Back up the database and the configuration."""
        try:
            made = await self._host.backups.make()
        except BackupError as error:
            raise RpcError(ErrorCode.BUSY, str(error)) from None
        return {"file": made.state, "configuration": made.configuration}

    async def restore_backup(self, params: RestoreBackupParams, context: CallContext) -> Row:
        """Configuration: as a change of it. State: fill what is missing, at a restart of the daemon."""
        try:
            if params.file.startswith("config-"):
                return await self._restore_configuration(params, context)
            if params.dry_run:
                return {"what": "state", "restarts": True}
            context.require_second_factor()
            await asyncio.to_thread(restore.stage, self._home, params.file)
        except RestoreError as error:
            raise RpcError(ErrorCode.INVALID_PARAMS, str(error)) from None
        logger.warning("The backup {} will be restored at the next start.", params.file)
        self._host.request_stop(f"the admin restores {params.file}")
        return {"what": "state", "restarts": True}

    async def _restore_configuration(self, params: RestoreBackupParams, context: CallContext) -> Row:
        texts = await asyncio.to_thread(restore.read_configuration, self._home, params.file)
        requests = [SetConfigParams.model_validate({"yaml": text, "file": name}) for name, text in texts.items()]
        changed = self._host.configuration.change_all(requests, context, dry_run=params.dry_run)
        return {"what": "configuration", **changed}


def _presets() -> list[Row]:
    rows = []
    for path in sorted(shipped("config/presets").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        notes = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
        try:
            load_risk_config(text, path.name)
        except ConfigErrors as errors:
            logger.error("The preset {} is not valid: {}", path.name, errors.errors[0])
            continue
        opening = notes[0].removeprefix("EXAMPLE:").strip() if notes else path.stem
        rows.append(
            {
                "name": path.stem,
                "title": opening.partition(". ")[0].rstrip("."),
                "notes": " ".join(notes),
                "yaml": text,
            }
        )
    return rows
