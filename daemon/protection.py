"""The configuration in force, and the changes that wait: what tightens applies at once, what loosens at the next reset.

`ConfigState` holds two configurations: the *active* one, by which the rules judge, and the *wished* one, which the
files ask for. Pending changes are nothing but the loosening differences between them. At the reset the wished one
becomes active. Both are stored, so that neither a restart nor an edited, broken or deleted file loosens anything.
Another API key of a login that is in force does not wait for a time but for the gateway to accept it.
No clock, file or network here: time comes as an argument, storage and the reset schedule are handed in.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from daemon.config_errors import ConfigError, ConfigErrors
from daemon.config_files import (
    FILES,
    Configuration,
    FileName,
    LoadedFiles,
    configuration_of,
    load_files,
)
from daemon.config_loader import write_templates
from daemon.config_state_store import FileStateStore, StateStore, StateUnreadable
from daemon.config_trees import patched, read_state, state_text, value_at
from shared.config import LoginConfig, ResetConfig
from shared.config_changes import Change, diff, split
from shared.login_changes import changed_keys, with_keys_in_force
from shared.paths import Home

__all__ = [
    "FILES",
    "CancelRefused",
    "Cancelled",
    "ConfigState",
    "Configuration",
    "FileChange",
    "FileName",
    "FileStateStore",
    "LoadedFiles",
    "NextReset",
    "Pending",
    "Report",
    "UnknownChange",
    "load_files",
    "open_configuration",
]

SHORTEST_DAY_US = 20 * 3600 * 1_000_000
"""No reset follows a change of the reset time sooner than this, or a chain of changes would give a fresh day each."""


@dataclass(frozen=True)
class FileChange:
    """A change and the file it is in."""

    file: FileName
    change: Change

    @property
    def id(self) -> str:
        """By which it is named when it is to be taken back; the same for the same change."""
        return hashlib.sha256(f"{self.file} {self.change.id}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Pending(FileChange):
    """A loosening change that waits. ``effective_at``: microseconds since the epoch, UTC."""

    effective_at: int


@dataclass(frozen=True)
class Report:
    """What came of new configuration: applied now, waiting, and what was not usable (then nothing of it changed).

    `stored` False: it could not be stored, so all is as it was; to be tried again.
    """

    applied: list[FileChange] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    errors: list[ConfigError] = field(default_factory=list)
    stored: bool = True


class UnknownChange(LookupError):  # noqa: N818
    """No change of that id is pending."""


class CancelRefused(ValueError):  # noqa: N818
    """The change can't be taken back alone; the text names the others."""


@dataclass(frozen=True)
class Cancelled:
    """Changes taken back, and for each file the patch that takes them out of its text (`config_writing.patch_text`)."""

    changes: list[FileChange]
    patches: dict[FileName, list[dict[str, Any]]]


type NextReset = Callable[[ResetConfig, int], int]
"""``next_reset(reset, after)``: the first reset later than ``after``; both microseconds since the epoch."""


def protects(configuration: Configuration) -> bool:
    """Whether any login is enabled that is to watch an account. Where nothing is protected, nothing can be loosened."""
    return any(login.enabled and login.accounts for login in configuration.accounts.logins)


class ConfigState:
    """The active and the wished configuration; see the module's text. Not thread-safe."""

    def __init__(
        self,
        store: StateStore,
        next_reset: NextReset,
        active: Configuration,
        wished: Configuration,
        *,
        effective_at: int | None = None,
        no_reset_before: int = 0,
    ) -> None:
        self._store = store
        self._next_reset = next_reset
        self._active = active
        self._wished = wished
        self._effective_at = effective_at
        self._no_reset_before = no_reset_before

    @classmethod
    def start(
        cls, store: StateStore, files: LoadedFiles, at: int, next_reset: NextReset
    ) -> tuple["ConfigState", Report]:
        """Take up work: the stored state, changed by what the files say now as by any other change of them.

        An invalid or missing file is replaced by the last good one, and its errors are in the report. What cannot be
        stored does not apply yet: the stored state does. With no stored state the files apply as they are. Raises
        ConfigErrors if a file is invalid and no last good copy exists, OSError if the first state can't be stored.
        """
        damage: list[ConfigError] = []
        try:
            text = store.load()
            stored = read_state(text) if text is not None else None
        except StateUnreadable as error:
            stored = None
            message = f"can't be used ({error}); the configuration files apply as they are, check them"
            damage = [ConfigError("stored configuration", None, "", message)]
        if stored is None:
            errors = [error for found in files.values() if isinstance(found, ConfigErrors) for error in found.errors]
            if errors:
                raise ConfigErrors(errors + damage)
            parts = {file: found for file, found in files.items() if isinstance(found, BaseModel)}
            configuration = configuration_of(parts)
            state = cls(store, next_reset, configuration, configuration)
            state._save(configuration, configuration, None, 0)
            return state, Report(errors=damage)
        active, wished, effective_at, no_reset_before = stored
        state = cls(store, next_reset, active, wished, effective_at=effective_at, no_reset_before=no_reset_before)
        try:
            matured = state.advance(at)
            report = state.reload(files, at)
        except OSError as error:
            message = f"can't be written ({error.strerror}); changes are taken up as soon as it can"
            return state, Report(errors=[ConfigError("stored configuration", None, "", message)], stored=False)
        return state, replace(report, applied=matured + report.applied)

    @property
    def active(self) -> Configuration:
        """The configuration by which to judge now."""
        return self._active

    @property
    def wished(self) -> Configuration:
        """The configuration that the files ask for; active from `effective_at` on."""
        return self._wished

    @property
    def effective_at(self) -> int | None:
        """When the pending changes take effect, microseconds since the epoch; None if nothing waits."""
        return self._effective_at

    @property
    def no_reset_before(self) -> int:
        """A reset due before this moment is left out: the day after a changed reset time is never a short one."""
        return self._no_reset_before

    @property
    def pending(self) -> list[Pending]:
        """The changes that wait."""
        if self._effective_at is None:
            return []
        return [
            Pending(file, change, self._effective_at)
            for file in FILES
            for change in _diff(self._active, self._wished, file)
            if change.effect == "loosens"
        ]

    def reload(self, files: LoadedFiles, at: int) -> Report:
        """Take in the files as they are now. What does not validate changes nothing and is in the report."""
        errors = [error for found in files.values() if isinstance(found, ConfigErrors) for error in found.errors]
        valid = [found for found in files.values() if isinstance(found, BaseModel)]
        return replace(self.propose(valid, at), errors=errors)

    @property
    def untried_keys(self) -> list[LoginConfig]:
        """Wished logins that are in force with another API key: to be tried at the gateway, see `propose`."""
        return changed_keys(self._active.accounts, self._wished.accounts)

    def propose(self, parts: Sequence[BaseModel], at: int, accepted: Collection[LoginConfig] = ()) -> Report:
        """Change to new, valid configurations (any of the three) as far as the policy lets it happen now.

        `accepted`: logins whose API keys the gateway has just accepted; all other keys in force stay as they are.
        """
        # What has waited long enough is in force by now, or a change asked for just after the reset would go with it.
        matured = self.advance(at)
        wished = self._wished
        for part in parts:
            wished = wished.with_part(part)
        if not protects(self._active):
            active = wished
        elif self._active.risk.policy.loosen == "immediately":
            active = self._keeping_keys(wished, accepted)
        else:
            parted = Configuration(
                split(self._active.risk, wished.risk)[0],
                split(self._active.accounts, wished.accounts)[0],
                split(self._active.holidays, wished.holidays)[0],
            )
            active = replace(parted, accounts=with_keys_in_force(parted.accounts, wished.accounts, accepted))
        waiting = _waits(active, wished)
        effective_at = self._effective_at
        if not waiting:
            effective_at = None
            # What is left differs in nothing that matters (an equal value written otherwise): as the files have it.
            active = wished
        elif effective_at is None:
            effective_at = self._reset_after(at)
        no_reset_before = self._no_reset_before
        if active.risk.reset != self._active.risk.reset:
            no_reset_before = max(no_reset_before, at + SHORTEST_DAY_US)
        applied = [FileChange(file, change) for file in FILES for change in _diff(self._active, active, file)]
        self._save(active, wished, effective_at, no_reset_before)
        return Report(applied=matured + applied, pending=self.pending)

    def advance(self, at: int) -> list[FileChange]:
        """Make the wished configuration active if its time has come; returns what changed.

        A key that the gateway has not accepted goes on waiting, to the next reset.
        """
        if self._effective_at is None or at < self._effective_at:
            return []
        active = self._keeping_keys(self._wished, ())
        applied = [FileChange(file, change) for file in FILES for change in _diff(self._active, active, file)]
        no_reset_before = self._no_reset_before
        if active.risk.reset != self._active.risk.reset:
            no_reset_before = self._effective_at + SHORTEST_DAY_US
        effective_at = None
        if _waits(active, self._wished):
            effective_at = self._next_reset(active.risk.reset, max(at, no_reset_before - 1))
        else:
            active = self._wished
        self._save(active, self._wished, effective_at, no_reset_before)
        return applied

    def _keeping_keys(self, wished: Configuration, accepted: Collection[LoginConfig]) -> Configuration:
        kept = with_keys_in_force(wished.accounts, self._active.accounts)
        return replace(wished, accounts=with_keys_in_force(kept, wished.accounts, accepted))

    def time_known(self, at: int) -> None:
        """The time has only now become known: what waits, by whatever clock, waits for the first reset after `at`."""
        if self._effective_at is not None:
            self._save(self._active, self._wished, self._reset_after(at), self._no_reset_before)

    def cancel(self, change_id: str, at: int) -> Cancelled:
        """Take a pending change back. The caller writes the patches to the files, or it would come up again.

        Changes of the same rule that are only valid together are taken back together. Raises UnknownChange,
        CancelRefused.
        """
        chosen = next((waiting for waiting in self.pending if waiting.id == change_id), None)
        if chosen is None:
            raise UnknownChange("no such change is pending; it may have taken effect already")
        related = [
            waiting
            for waiting in self.pending
            if waiting.file == chosen.file and _group(waiting.change) == _group(chosen.change)
        ]
        for changes in ([chosen], related):
            patch = [
                {"path": list(waiting.change.steps), "value": value_at(self._active, chosen.file, waiting.change)}
                for waiting in changes
            ]
            try:
                part = patched(self._wished.part(chosen.file), patch)
            except ValidationError:
                continue
            self.propose([part], at)
            if all(waiting.id != change_id for waiting in self.pending):
                return Cancelled(
                    [FileChange(waiting.file, waiting.change) for waiting in changes], {chosen.file: patch}
                )
        names = ", ".join(waiting.change.path for waiting in related)
        raise CancelRefused(f"{chosen.change.path} can't be taken back alone; edit the file instead ({names})")

    def _reset_after(self, at: int) -> int:
        return self._next_reset(self._active.risk.reset, max(at, self._no_reset_before - 1))

    def _save(
        self, active: Configuration, wished: Configuration, effective_at: int | None, no_reset_before: int
    ) -> None:
        """Store first, then adopt: what is in force is always on disk."""
        self._store.save(state_text(active, wished, effective_at, no_reset_before))
        self._active, self._wished = active, wished
        self._effective_at, self._no_reset_before = effective_at, no_reset_before


def open_configuration(home: Home, at: int, next_reset: NextReset) -> tuple[ConfigState, Report, list[Path]]:
    """Start from a home folder: templates for a new one (their paths are returned), the stored state for a known one.

    Raises ConfigErrors (exit code 2) if a file is invalid and there is no last good one, OSError if the home can't be
    written.
    """
    store = FileStateStore(home.config_state_file)
    # Where there is a state, a missing file was taken away and is answered with the last good one.
    written = [] if store.exists() else write_templates(home)
    state, report = ConfigState.start(store, load_files(home), at, next_reset)
    return state, report, written


def _waits(active: Configuration, wished: Configuration) -> bool:
    return any(change.effect == "loosens" for file in FILES for change in _diff(active, wished, file))


def _diff(old: Configuration, new: Configuration, file: FileName) -> list[Change]:
    before: Any = old.part(file)
    after: Any = new.part(file)
    return diff(before, after)


def _group(change: Change) -> tuple[str, ...]:
    """The rule, login, day or section a change belongs to."""
    return change.steps[: 4 if change.steps[0] == "accounts" else 2]
