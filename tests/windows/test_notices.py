"""Nothing of others is in a build without its licence, and nothing is in it of which it is not known whose it is."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.windows.packaging import ROOT


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Any:
    """nssm/package.py."""
    monkeypatch.syspath_prepend(str(ROOT / "nssm"))
    return importlib.import_module("package")


@pytest.fixture
def notices(package: Any) -> Any:
    """nssm/notices.py."""
    return package.notices


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions, searched first."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def installed(site: Path, name: str, metadata: str = "", **texts: str) -> Path:
    """A distribution with one module; returns the module. ``texts``: content by file name below its ``licenses``."""
    info = site / f"{name}-1.2.dist-info"
    (info / "licenses").mkdir(parents=True)
    module = site / f"{name}.py"
    module.write_text("")
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.2\n{metadata}\n")
    for file, text in texts.items():
        (info / "licenses" / file).write_text(text)
    files = [f"{name}.py", f"{info.name}/METADATA", *(f"{info.name}/licenses/{file}" for file in texts)]
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return module


def packed(package: Any, work: Path, *sources: Path | str) -> None:
    """As build.spec notes what it packs."""
    work.mkdir(exist_ok=True)
    for part in package.PARTS:
        package.bundled(work, part).write_text(json.dumps([str(source) for source in sources]))


def test_build_when_all_is_known_comes_with_every_licence(package: Any, site: Path, tmp_path: Path) -> None:
    module = installed(
        site, "left_pad", "License-Expression: ISC\nProject-URL: Homepage, https://left.example", LICENSE="Pad freely."
    )
    work, folder = tmp_path / "work", tmp_path / "dist"
    packed(package, work, module, json.__file__, ROOT / "daemon/__main__.py", work / "start.py")
    package.add_licenses(folder, work, "1.0")
    index = (folder / "licenses/README.txt").read_text()

    assert "Risk Manager 1.0 contains" in index
    for line in (
        "left_pad 1.2\n    ISC; https://left.example\n    left-pad.txt",
        "Python 3.",
        "Inter Tabular",
        "Lucide",
    ):
        assert line in index
    assert "Pad freely." in (folder / "licenses/left-pad.txt").read_text()
    assert "PYTHON SOFTWARE FOUNDATION LICENSE VERSION 2" in (folder / "licenses/python.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in (folder / "licenses/inter-tabular.txt").read_text()
    assert "Lucide Icons and Contributors" in (folder / "licenses/lucide.txt").read_text()
    assert "Bootloader" in (folder / "licenses/pyinstaller.txt").read_text()
    assert (folder / "licenses/lucide.txt").read_bytes().count(b"\r\n") > 10, "for every editor of Windows"


@pytest.mark.parametrize(
    "metadata",
    ["", "License-Expression: MIT", "Project-URL: Homepage, https://left.example", "License: UNKNOWN\n more"],
)
def test_build_when_a_distribution_has_no_notice_fails(package: Any, site: Path, tmp_path: Path, metadata: str) -> None:
    packed(package, tmp_path / "work", installed(site, "left_pad", metadata))

    with pytest.raises(package.BuildError, match=r"left_pad 1\.2 is in the build and has no licence text"):
        package.add_licenses(tmp_path / "dist", tmp_path / "work", "1.0")


def test_build_when_only_the_name_of_the_licence_is_known_tells_it_and_where_to_look(notices: Any, site: Path) -> None:
    metadata = "Classifier: License :: OSI Approved :: MIT License\nAuthor-email: Ann <ann@left.example>\n"
    installed(site, "left_pad", metadata + "Project-URL: Source, https://left.example")
    notice = notices.notice_of(importlib.metadata.distribution("left_pad"))

    assert (notice.licence, notice.page) == ("MIT", "https://left.example")
    assert "https://left.example" in notice.note
    ((_, text),) = notice.texts
    assert text.startswith("Copyright (c) Ann and contributors\n") and "THE SOFTWARE IS PROVIDED" in text


def test_build_when_a_file_belongs_to_no_distribution_fails(
    package: Any, notices: Any, site: Path, tmp_path: Path
) -> None:
    stray = site / "stray.py"
    stray.write_text("")
    with pytest.raises(
        notices.NoticeError, match=r"stray\.py is in the build and belongs to no installed distribution"
    ):
        notices.owners([str(stray)], notices.Places((tmp_path,), packages=(site,)))


def test_build_when_python_s_own_files_are_packed_takes_them_for_python_s(notices: Any, tmp_path: Path) -> None:
    python = tmp_path / "Python"
    library, stray = python / "DLLs" / "_asyncio.pyd", python / "Lib" / "site-packages" / "stray.pyd"
    places = notices.Places((), python=(python,), packages=(python / "Lib" / "site-packages",), windows=True)

    assert notices.owners([str(library)], places) == (set(), set())
    with pytest.raises(notices.NoticeError):
        notices.owners([str(stray)], places)
    assert not any(Path(sys.base_prefix).is_relative_to(folder) for folder in notices.Places(()).packages)


def test_build_when_a_file_lies_elsewhere_fails_on_windows_and_is_named_as_the_system_s_otherwise(
    notices: Any, tmp_path: Path
) -> None:
    library = tmp_path / "elsewhere" / "libfoo.so.1"
    library.parent.mkdir()
    library.write_text("")
    runtime = library.with_name("VCRUNTIME140_1.dll")

    assert notices.owners([str(library)], notices.Places((), windows=False)) == (set(), {"libfoo.so.1"})
    assert notices.owners([str(runtime)], notices.Places((), windows=True)) == (set(), set()), "Python tells of it"
    with pytest.raises(notices.NoticeError, match=r"libfoo\.so\.1 is in the build, and it is not known whose it is"):
        notices.owners([str(library)], notices.Places((), windows=True))


def test_build_when_pyinstaller_noted_nothing_fails(package: Any, tmp_path: Path) -> None:
    with pytest.raises(package.BuildError, match="licences could not be put together"):
        package.add_licenses(tmp_path / "dist", tmp_path / "work", "1.0")


def test_resource_when_nobody_said_whose_it_is_fails(notices: Any, tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "ours.wav").write_text("")
    (tmp_path / "borrowed").mkdir()
    (tmp_path / "borrowed" / "song.wav").write_text("")

    with pytest.raises(notices.NoticeError, match=r"song\.wav"):
        notices.resource_notices(tmp_path)


@pytest.mark.parametrize("name", ["PySide6_Essentials", "shiboken6"])
def test_qt_when_packed_comes_with_the_lgpl_the_gpl_and_how_to_replace_it(notices: Any, name: str) -> None:
    notice = notices.notice_of(importlib.metadata.distribution(name))

    assert notice.licence == "LGPL-3.0-only"
    assert [file for file, _ in notice.texts] == ["LGPL-3.0.txt", "GPL-3.0.txt"]
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in notice.texts[0][1]
    assert "END OF TERMS AND CONDITIONS" in notice.texts[1][1]
    assert "You may replace them by your own" in notice.note
    assert f"same series ({notice.version.rpartition('.')[0]})" in notice.note


def test_qt_when_its_wheel_brings_the_commercial_licence_leaves_it_out(notices: Any, site: Path) -> None:
    metadata = "Project-URL: Homepage, https://qt.example"
    installed(site, "shiboken6", metadata, **{"LicenseRef-Qt-Commercial.txt": "You have bought this."})
    notice = notices.notice_of(importlib.metadata.distribution("shiboken6"))

    assert notice.version == "1.2", "the one of this test"
    assert "bought" not in str(notice)


def test_distributions_when_those_of_this_project_are_asked_all_have_a_notice(notices: Any) -> None:
    ours = {notices.OURS}
    everything = [found for found in importlib.metadata.distributions() if notices.normalized(found.name) not in ours]
    made = [
        notices.notice_of(found) for found in everything if Path(str(found.locate_file(""))).is_relative_to(sys.prefix)
    ]

    assert len(made) > 80
    assert [notice.name for notice in made if not notice.licence or not notice.page] == []
    assert [notice.name for notice in made if not notice.texts] == ["NSSM"]
