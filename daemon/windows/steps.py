"""The steps that installing and uninstalling are made of: plain values, carried out by `daemon.windows.execution`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

SERVICE = "RiskManagerDaemon"


@dataclass(frozen=True)
class Program:
    """What the service is to run."""

    executable: PurePath
    arguments: str
    directory: PurePath
    install_folder: PurePath | None
    """The one folder of daemon and GUI; None when run from a source tree, which has none."""


@dataclass(frozen=True)
class Command:
    """Run a program and wait. ``creates``: a file that has to be there afterwards (for tools that fail silently)."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 60
    creates: PurePath | None = None


@dataclass(frozen=True)
class CreateHome:
    path: PurePath


@dataclass(frozen=True)
class CreateFolders:
    paths: tuple[PurePath, ...]


@dataclass(frozen=True)
class CopyTemplates:
    """Copy the shipped configuration into the folder, leaving alone what is there."""

    folder: PurePath


@dataclass(frozen=True)
class SwapProgram:
    """Put a copy of ``source`` in the place of ``target``, keeping the old one beside it until the end."""

    source: PurePath
    target: PurePath


@dataclass(frozen=True)
class SwapBack:
    """Undo `SwapProgram`, if it was done."""

    target: PurePath


@dataclass(frozen=True)
class DropOld:
    """Delete what `SwapProgram` kept beside the new program."""

    target: PurePath


@dataclass(frozen=True)
class StartService:
    """Start it if its configuration is valid, and wait until the daemon says that it watches."""

    program: Program


@dataclass(frozen=True)
class StopService:
    """Stop it gracefully and wait until it has ended."""


@dataclass(frozen=True)
class DeleteFolder:
    """Delete a folder and all that is in it."""

    path: PurePath


@dataclass(frozen=True)
class DeleteProgramLater:
    """Remove the folder that this very program runs from, as soon as it has ended."""

    path: PurePath


@dataclass(frozen=True)
class SetRegistry:
    """Set a value below HKEY_LOCAL_MACHINE, making the key. ``name`` None: the key's default value."""

    key: str
    name: str | None
    data: str | int
    expand: bool = False


@dataclass(frozen=True)
class DeleteRegistry:
    """Delete one value, or the whole key when ``name`` is None. Nothing there is fine."""

    key: str
    name: str | None = None


type Action = (
    Command
    | SetRegistry
    | DeleteRegistry
    | CreateHome
    | CreateFolders
    | CopyTemplates
    | SwapProgram
    | SwapBack
    | DropOld
    | StartService
    | StopService
    | DeleteFolder
    | DeleteProgramLater
)


@dataclass(frozen=True)
class Step:
    """One line of the report. When a required step fails, the steps before it are undone, last first."""

    title: str
    why: str
    actions: tuple[Action, ...]
    undo: tuple[Action, ...] = ()
    required: bool = True
