"""Carries out the steps of `daemon.windows.plan` and reports each as done or failed, with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from daemon.windows import registry
from daemon.windows import steps as kinds
from daemon.windows.steps import Action, Step
from shared.paths import shipped

TEMPLATES = ("accounts.yaml", "risk_config.yaml", "holidays.yaml")


class StepError(Exception):
    """A step could not be done; the text is the reason, for people."""


class SkippedError(Exception):
    """A step was left out for a good reason; the text is it."""


def run(argv: Sequence[str], *, timeout_s: float = 60, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a program; returns its exit code and all it said. Raises StepError when it can't be run or takes too long.

    Output goes to a file: a service started below would inherit a pipe and keep it open for good.
    """
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                env={**os.environ, **(environment or {})},
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise StepError(f"{argv[0]} did not end within {timeout_s:g} s") from None
        except OSError as error:
            raise StepError(f"{argv[0]} could not be run: {error}") from error
        output.seek(0)
        return code, decoded(output.read())


def decoded(data: bytes) -> str:
    """Text of a console program: NSSM writes UTF-16, the others the console's code page."""
    if b"\0" in data:
        return data.decode("utf-16-le", "replace").replace("\0", "").strip()
    return data.decode("oem" if sys.platform == "win32" else "utf-8", "replace").strip()


class Executor:
    """Carries out steps one by one.

    ``say`` gets one line per step. ``start`` starts the service of a program and waits until it is ready (raises
    StepError or SkippedError), ``stop`` stops it: they are `daemon.windows.control`'s.
    """

    def __init__(
        self, say: Callable[[str], None], start: Callable[[kinds.Program], str], stop: Callable[[], str]
    ) -> None:
        self._say = say
        self._start = start
        self._stop = stop
        self._swapped = False
        self.skipped: list[str] = []

    def carry_out(self, steps: Sequence[Step]) -> bool:
        """All steps in order. Returns whether all is well.

        When a required one fails, it and those before it are undone, last first.
        """
        done: list[Step] = []
        for step in steps:
            try:
                detail = "; ".join(filter(None, [self._act(action) for action in step.actions]))
            except SkippedError as reason:
                self.skipped.append(step.title)
                self._say(f"[left out] {step.title}: {reason}")
            except (StepError, OSError, subprocess.SubprocessError) as error:
                reason_text = str(error) or type(error).__name__
                if not step.required:
                    self._say(f"[warning]  {step.title}: failed: {reason_text}")
                    continue
                self._say(f"[failed]   {step.title}: {reason_text}")
                self._undo([*done, step])
                return False
            else:
                done.append(step)
                self._say(f"[done]     {step.title}" + (f": {detail}" if detail else ""))
        return True

    def _undo(self, steps: Sequence[Step]) -> None:
        for step in reversed(steps):
            for action in step.undo:
                try:
                    self._act(action)
                except (StepError, SkippedError, OSError, subprocess.SubprocessError) as error:
                    self._say(f"[failed]   Undo '{step.title}': {error}")
                else:
                    self._say(f"[undone]   {step.title}")

    def _act(self, action: Action) -> str:
        match action:
            case kinds.Command():
                return _command(action)
            case kinds.SetRegistry():
                registry.set_value(action)
            case kinds.DeleteRegistry(key, name):
                registry.delete(key, name)
            case kinds.CreateHome(path):
                _create_home(path)
            case kinds.CreateFolders(paths):
                for path in paths:
                    Path(path).mkdir(exist_ok=True)
            case kinds.CopyTemplates(folder):
                return copy_templates(Path(folder))
            case kinds.SwapProgram(source, target):
                swap_program(Path(source), Path(target))
                self._swapped = True
            case kinds.SwapBack(target):
                if self._swapped:  # not after a copy that failed: then the old program is still in its place
                    swap_back(Path(target))
            case kinds.DropOld(target):
                shutil.rmtree(_old(Path(target)), ignore_errors=True)
            case kinds.StartService(program):
                return self._start(program)
            case kinds.StopService():
                return self._stop()
            case kinds.DeleteFolder(path):
                delete(Path(path))
            case kinds.DeleteProgramLater(path):
                _delete_later(path)
        return ""


def _command(command: kinds.Command) -> str:
    code, said = run(command.argv, timeout_s=command.timeout_s, environment=dict(command.environment))
    if code != 0:
        raise StepError(f"{Path(command.argv[0]).stem} ended with {code}" + (f": {_one_line(said)}" if said else ""))
    if command.creates is not None and not Path(command.creates).exists():
        raise StepError(f"{command.creates} was not made")
    return "; ".join(line for line in said.splitlines() if line.startswith("warning:"))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _create_home(path: PurePath) -> None:
    if sys.platform != "win32":
        raise StepError("only Windows has its kind of rights")
    from daemon.windows import acl

    Path(path.parent).mkdir(parents=True, exist_ok=True)
    acl.create_private_folder(path)


def copy_templates(folder: Path) -> str:
    """Copy each shipped configuration file that the folder does not have; returns what was written."""
    written = []
    for name in TEMPLATES:
        target = folder / name
        if not target.exists():
            shutil.copyfile(shipped(f"config/{name}"), target)
            written.append(name)
    return ", ".join(written)


def _old(target: Path) -> Path:
    return target.with_name(target.name + ".old")


def swap_program(source: Path, target: Path) -> None:
    """Copy ``source`` beside ``target``, then change places; the old one stays as ``<target>.old`` for `swap_back`.

    All or nothing: after an error ``target`` is as it was. Raises StepError when a program in it is still open.
    """
    new, old = target.with_name(target.name + ".new"), _old(target)
    delete(new)
    delete(old)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Content alone: the mark "from the internet", an alternate stream of each file, stays behind.
        shutil.copytree(source, new, copy_function=shutil.copyfile)
        if target.exists():
            target.rename(old)
    except OSError as error:
        shutil.rmtree(new, ignore_errors=True)
        if isinstance(error, PermissionError):
            advice = f"a program in {target} is still open; close Risk Manager on every user's tray and try again"
            raise StepError(advice) from error
        raise
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise


def swap_back(target: Path) -> None:
    """Undo a `swap_program` that went well: the old program is back in place, or nothing if there was none."""
    delete(target)
    if _old(target).exists():
        _old(target).rename(target)


def delete(path: Path) -> None:
    """Delete a file or a whole folder; links are not followed. Nothing there is fine."""
    if path.is_symlink() or path.is_junction() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def _delete_later(path: PurePath) -> None:
    # A program can't delete itself on Windows: cmd.exe does, from another folder, in a few attempts. What follows an
    # "if" on its line belongs to it: once the folder is gone nothing more is tried, and a new installation is safe.
    attempts = (f'ping -n {seconds + 1} 127.0.0.1 >nul & rmdir /s /q "{path}"' for seconds in (2, 5, 10, 20, 40))
    line = f' & if exist "{path}" '.join(attempts)
    flags = 0x0000_0008 | 0x0000_0200  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
    with Path(os.devnull).open("r+b") as null:
        subprocess.Popen(
            f'cmd.exe /d /c "{line}"',
            stdin=null,
            stdout=null,
            stderr=null,
            cwd=os.environ.get("SYSTEMROOT", "C:\\"),
            creationflags=flags if sys.platform == "win32" else 0,
        )
