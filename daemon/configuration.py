"""The configuration while the daemon runs: files, requests of the admin, the reset; one path for all of them.

`daemon.protection` decides what applies now and what waits; here its results are put into force and shown.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from loguru import logger
from pydantic import BaseModel

from daemon.config_errors import ConfigErrors
from daemon.config_loader import home_warnings, load_accounts, load_holidays, load_risk_config, read_text
from daemon.config_rows import Row, applied_row, change_row, names_of, needs_a_start, pending_row, trees_of
from daemon.config_writing import PatchError, patch_text, write_atomically
from daemon.core.local_time import TradingDays
from daemon.core.rules import rules_not_built
from daemon.core.units import SECOND_US, to_iso
from daemon.key_trials import KeyTrials
from daemon.protection import (
    CancelRefused,
    Configuration,
    FileName,
    LoadedFiles,
    Report,
    UnknownChange,
    load_files,
    open_configuration,
)
from shared.config import AccountsConfig, LoginConfig, ResetConfig
from shared.config_changes import diff
from shared.login_changes import changed_keys
from shared.paths import Home
from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import SetConfigParams


class Factor(Protocol):
    """Who asks; `daemon.ipc_sessions.CallContext` is one."""

    def require_second_factor(self) -> None:
        """Raises RpcError unless the second factor was given, if one is enrolled."""


def next_reset(reset: ResetConfig, after: int) -> int:
    """The first reset later than `after`; both microseconds UTC."""
    return TradingDays(reset.time, reset.timezone).bounds(after)[1]


_LOADERS: dict[FileName, Callable[..., BaseModel]] = {
    "risk_config.yaml": load_risk_config,
    "accounts.yaml": load_accounts,
    "holidays.yaml": load_holidays,
}


class ConfigurationService:
    """Holds the configuration in force.

    `on_change` is called with the configuration whenever it changes, `on_alert` with a sentence about what could not be
    used. At construction a new home gets the templates. Raises ConfigErrors if a file is invalid and there is no last
    good copy, OSError if the home cannot be written to.
    """

    def __init__(
        self,
        home: Home,
        now: Callable[[], int],
        on_change: Callable[[Configuration, int], None],
        on_alert: Callable[[str], None],
    ) -> None:
        self._home = home
        self._now = now
        self._on_change = on_change
        self._on_alert = on_alert
        self._trials: KeyTrials | None = None
        self._told_waiting: set[tuple[str, int]] = set()
        self._seen = self._signature()
        self._state, self.start_report, written = open_configuration(home, now(), next_reset)
        for path in written:
            logger.info("Wrote {}: fill in your logins and limits.", path)
        self._tell(self.start_report)
        self._unstored = not self.start_report.stored
        if self._unstored:
            self._seen = ()

    @property
    def active(self) -> Configuration:
        """The configuration by which to judge now."""
        return self._state.active

    @property
    def wished(self) -> Configuration:
        """The configuration that the files ask for."""
        return self._state.wished

    @property
    def no_reset_before(self) -> int:
        """See `TradingDays`."""
        return self._state.no_reset_before

    @property
    def pending_count(self) -> int:
        """How many changes wait."""
        return len(self._state.pending)

    @property
    def effective_at(self) -> int | None:
        """When what waits takes effect."""
        return self._state.effective_at

    def warnings(self, at: int) -> list[str]:
        """Sentences about what is valid but may not be what is meant; `at`: now, microseconds UTC."""
        active = self._state.active
        today = dt.datetime.fromtimestamp(at / SECOND_US, dt.UTC).date()
        not_built = rules_not_built(active.risk.rules)
        unenforced = [f"Configured, but not enforced by this version: {', '.join(not_built)}."] if not_built else []
        return unenforced + home_warnings(self._home, active.accounts, active.holidays, today)

    def time_known(self) -> None:
        """`now` tells the broker's time from here on, and did not before."""
        self._state.time_known(self._now())

    def advance(self) -> None:
        """Put into force what has waited long enough."""
        applied = self._state.advance(self._now())
        if applied:
            logger.warning("Waiting changes of the configuration take effect: {}.", names_of(applied))
            self._changed()

    def watch(self) -> None:
        """Take in files that have changed since they were last looked at."""
        signature = self._signature()
        if signature != self._seen:
            try:
                self._reload()
            except OSError as error:
                self._tell_unstored(error)
                return
            self._seen, self._unstored = signature, False
        self._look_at_keys()

    def try_keys_with(self, check: Callable[[LoginConfig], Awaitable[None]]) -> KeyTrials:
        """From now on another API key of a login in force is tried, and comes into force when the gateway takes it.

        `check` logs in as a login beside its session; raises LoginError. The first look at them is that of `watch`.
        """
        self._trials = KeyTrials(lambda: self._state.untried_keys, check, self._key_accepted, self._on_alert)
        return self._trials

    def reload(self, confirm: Callable[[], None]) -> Row:
        """Read the files anew. `confirm` is called first if this would loosen anything."""
        files = load_files(self._home)
        if self._loosens([part for part in files.values() if isinstance(part, BaseModel)]):
            confirm()
        self._seen = self._signature()
        return self._shown(self._reload(files))

    async def change_tried(self, request: SetConfigParams, caller: Factor) -> Row:
        """As `change`; a changed API key of a login in force is tried first, and nothing is changed if it is not taken.

        With another address of the gateway as well it cannot be tried before that is in force, and waits.
        """
        keys: list[LoginConfig] = []
        if self._trials is not None and request.file == "accounts.yaml" and not request.dry_run:
            _, part = self._parsed(request)
            active = self._state.active.accounts
            if isinstance(part, AccountsConfig) and part.gateway == active.gateway:
                keys = changed_keys(active, part)
            if keys:
                if self._loosens([part]):
                    caller.require_second_factor()
                await self._trials.require(keys)
        return self.change(request, caller, keys)

    def change(self, request: SetConfigParams, caller: Factor, accepted: Collection[LoginConfig] = ()) -> Row:
        """Change one file by its text or by a patch: validated, compared, written, put into force.

        `accepted`: logins whose API keys the gateway has just accepted.
        """
        path = self._path(request.file)
        text, part = self._parsed(request)
        if request.dry_run:
            return self._preview(part)
        if self._loosens([part]):
            caller.require_second_factor()
        try:
            write_atomically(path, text)
        except OSError as error:
            raise RpcError(
                ErrorCode.BUSY, f"set_config: {path} could not be written ({error.strerror}); nothing was changed."
            ) from None
        self._seen = self._signature()
        return self._shown(self._propose([part], accepted))

    def _parsed(self, request: SetConfigParams) -> tuple[str, BaseModel]:
        """The text that is asked for, and what it says. Raises RpcError."""
        path = self._path(request.file)
        try:
            text = request.yaml if request.yaml is not None else patch_text(read_text(path), request.patch or {})
            part = _LOADERS[request.file](text, request.file)
        except ConfigErrors as errors:
            raise refusal("set_config", errors) from None
        except PatchError as error:
            raise RpcError(ErrorCode.INVALID_PARAMS, f"set_config: {error}") from None
        return text, part

    def change_all(self, requests: Sequence[SetConfigParams], caller: Factor, *, dry_run: bool = False) -> Row:
        """Change several files by their texts: all of them, or none because one is not valid."""
        previews = [self.change(request.model_copy(update={"dry_run": True}), caller) for request in requests]
        changes = [
            {"file": request.file, **change}
            for request, preview in zip(requests, previews, strict=True)
            for change in preview["changes"]
        ]
        if dry_run:
            return {"changes": changes}
        if any(change["effect"] == "loosens" for change in changes):
            # Before the first file is written, not in the middle.
            caller.require_second_factor()
        for request in requests:
            self.change(request, caller)
        return {"changes": changes, "pending": self.pending_rows()}

    def cancel(self, change_id: str) -> list[Row]:
        """Take a waiting change back, in the file too."""
        try:
            cancelled = self._state.cancel(change_id, self._now())
        except (UnknownChange, CancelRefused) as error:
            raise RpcError(ErrorCode.INVALID_PARAMS, f"cancel_pending_config: {error}.") from None
        for file, patch in cancelled.patches.items():
            path = self._path(file)
            try:
                write_atomically(path, patch_text(read_text(path), patch))
            except (OSError, ConfigErrors, PatchError) as error:
                self._on_alert(f"{path} could not be brought into line with the change taken back: {error}.")
        self._seen = self._signature()
        self._changed()
        return self.pending_rows()

    def pending_rows(self) -> list[Row]:
        """The changes that wait, for people."""
        return [pending_row(waiting) for waiting in self._state.pending]

    def show(self) -> Row:
        """Active and wished configuration, the texts of the files, and what waits. Keys are never shown."""
        texts: Row = {}
        for file in ("risk_config.yaml", "holidays.yaml"):
            try:
                texts[file] = read_text(self._path(file))
            except ConfigErrors:
                texts[file] = None
        return {
            "active": trees_of(self._state.active),
            "wished": trees_of(self._state.wished),
            "yaml": texts,
            "pending": self.pending_rows(),
        }

    # ---- within

    def _path(self, file: str) -> Path:
        return self._home.config / file

    def _signature(self) -> tuple[tuple[int, int, int] | None, ...]:
        found: list[tuple[int, int, int] | None] = []
        for file in _LOADERS:
            try:
                status = self._path(file).stat()
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                found.append(None)
        return tuple(found)

    def _loosens(self, parts: Sequence[BaseModel]) -> bool:
        wished = self._state.wished
        for part in parts:
            old: Any = next(
                known for known in (wished.risk, wished.accounts, wished.holidays) if isinstance(part, type(known))
            )
            new: Any = part
            if any(change.effect == "loosens" for change in diff(old, new)):
                return True
        return False

    def _reload(self, files: LoadedFiles | None = None) -> Report:
        return self._take(self._state.reload(files or load_files(self._home), self._now()))

    def _propose(self, parts: Sequence[BaseModel], accepted: Collection[LoginConfig] = ()) -> Report:
        return self._take(self._state.propose(parts, self._now(), accepted))

    def _key_accepted(self, login: LoginConfig) -> None:
        self._propose([], [login])

    def _look_at_keys(self) -> None:
        if self._trials is not None:
            self._trials.look()

    def _tell_unstored(self, error: OSError) -> None:
        """The files have changed, but the disk takes nothing: tried again at the next look, and told of once."""
        if not self._unstored:
            self._unstored = True
            self._on_alert(
                f"Changes of the configuration files cannot be stored in {self._home.data} ({error.strerror}); the"
                " configuration in force stays as it was until they can."
            )

    def _take(self, report: Report) -> Report:
        self._tell(report)
        if report.applied or report.pending:
            self._changed()
        self._look_at_keys()
        return report

    def _tell(self, report: Report) -> None:
        for error in report.errors:
            self._on_alert(f"{error} The configuration in force stays as it was.")
        now = [item for item in report.applied if not needs_a_start(item)]
        later = [item for item in report.applied if needs_a_start(item)]
        if now:
            logger.warning("Changes of the configuration take effect: {}.", names_of(now))
        if later:
            logger.warning("Changes that take effect at the next start: {}.", names_of(later))
        # Each of them once, not whenever a file is saved.
        fresh = [waiting for waiting in report.pending if (waiting.id, waiting.effective_at) not in self._told_waiting]
        self._told_waiting = {(waiting.id, waiting.effective_at) for waiting in report.pending}
        if fresh:
            at = to_iso(fresh[0].effective_at)
            logger.warning("Changes that loosen protection wait until {}: {}.", at, names_of(fresh))

    def _changed(self) -> None:
        self._on_change(self._state.active, self._state.no_reset_before)

    def _preview(self, part: BaseModel) -> Row:
        active = self._state.active
        old: Any = next(
            known for known in (active.risk, active.accounts, active.holidays) if isinstance(part, type(known))
        )
        new: Any = part
        reset = next_reset(active.risk.reset, self._now())
        return {
            "changes": [
                {
                    **change_row(change),
                    "effect": change.effect,
                    "effective_at": to_iso(reset)
                    if change.effect == "loosens" and active.risk.policy.loosen == "next_reset"
                    else None,
                }
                for change in diff(old, new)
            ]
        }

    def _shown(self, report: Report) -> Row:
        return {
            "applied": [applied_row(item) for item in report.applied],
            "pending": self.pending_rows(),
            "errors": [str(error) for error in report.errors],
        }


def refusal(method: str, errors: ConfigErrors) -> RpcError:
    """The answer to a configuration that is not valid: the first error in the sentence, all of them as data."""
    rows = [{"line": error.line, "path": error.path, "text": str(error)} for error in errors.errors]
    return RpcError(ErrorCode.INVALID_PARAMS, f"{method}: {errors.errors[0]}", {"errors": rows})
