"""A name for everything that decides what is in the frozen build and whether it starts.

``python -m tests.windows.packaging`` prints it. `tests/windows/run --ci` runs the frozen part, whose build takes long,
for each new name. Our own modules are not in it, but for the programs' entry points: the build packs all of them, and
the service part runs the same code. What they import from others is, because that is what a build can miss.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WHOLE = (
    "build.spec",
    "pyproject.toml",
    "nssm",
    "config",
    "resources",
    "daemon/windows",
    "daemon/migrations",
    "daemon/__main__.py",
    "daemon/commands/run.py",
    "gui/__main__.py",
    "shared/paths.py",
    "tests/windows/program",
    "tests/windows/bed/blocker.py",
    "tests/windows/bed/gateway.py",
    "tests/windows/bed/scenario.py",
    "tests/windows/bed/test_frozen.py",
    "tests/windows/bed/windows.py",
)
"""Files and folders whose every byte counts."""
PACKAGES = ("daemon", "gui", "shared")
"""Packages of whose modules the imports count, and of whose other files the names."""
ASKS = ('"frozen"', "_MEIPASS")
"""A module of ours in which one of these stands behaves otherwise in a build: every byte of it counts."""


def files(name: str) -> list[Path]:
    """A file, or all files in a folder, sorted. Raises FileNotFoundError: a list with a hole proves nothing."""
    path = ROOT / name
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    if not found:
        raise FileNotFoundError(f"{path} is missing; correct WHOLE in {__file__}")
    return found


def imports(source: str) -> Iterator[str]:
    """Every import of a module's source that is not ours, and every call that imports, which PyInstaller can't see."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] not in PACKAGES)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level == 0 and module.partition(".")[0] not in PACKAGES:
                yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import" in (called := ast.unparse(node.func)):
            yield f"{called}({', '.join(ast.unparse(argument) for argument in node.args)})"


def fingerprint() -> str:
    """Sixteen hexadecimal digits."""
    digest = hashlib.sha256()
    for name in WHOLE:
        for path in files(name):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    imported: set[str] = set()
    for package in PACKAGES:
        for path in files(package):
            if path.suffix == ".py":
                source = path.read_text(encoding="utf-8")
                imported.update(imports(source))
                if any(word in source for word in ASKS):
                    digest.update(f"{path.relative_to(ROOT)}\0{source}\0".encode())
            else:
                digest.update(f"{path.relative_to(ROOT)}\0".encode())
    digest.update("\n".join(sorted(imported)).encode())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.stdout.write(fingerprint() + "\n")
