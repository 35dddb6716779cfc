"""What can be said of the scripts and of the name of a build without Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.windows import packaging
from tests.windows.packaging import ROOT, fingerprint, imports

SCRIPTS = sorted((ROOT / "nssm").glob("*.cmd"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_when_read_is_ascii_with_the_line_ends_that_cmd_needs(script: Path) -> None:
    content = script.read_bytes()

    assert content.isascii()
    assert content.count(b"\n") == content.count(b"\r\n") > 0
    assert content.startswith(b"@echo off\r\n")


def test_install_folder_when_put_together_has_every_script_people_start() -> None:
    code = "import sys; sys.path.insert(0, 'nssm'); import package; print(*package.SCRIPTS)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert {*done.stdout.split(), "register.cmd", "unregister.cmd"} == {path.name for path in SCRIPTS}


def test_name_when_nothing_changes_stays() -> None:
    assert fingerprint() == fingerprint()


@pytest.mark.parametrize("change", ["entry", "pin", "import", "file", "asks"])
def test_name_when_something_changes_that_a_build_depends_on_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    before = _tree(tmp_path, monkeypatch)
    entry, module = tmp_path / "daemon/__main__.py", tmp_path / "daemon/rule.py"
    match change:
        case "entry":
            entry.write_text("x = 2\n")
        case "pin":
            (tmp_path / "pyproject.toml").write_text("pins = 2\n")
        case "import":
            module.write_text("import orjson\nimport polars\n")
        case "asks":
            module.write_text('import orjson\nbuilt = getattr(sys, "frozen", False)\n')
        case _:
            (tmp_path / "daemon/zones.json").write_text("{}")

    assert fingerprint() != before


def test_name_when_only_the_code_of_a_rule_changes_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _tree(tmp_path, monkeypatch)
    (tmp_path / "daemon/rule.py").write_text("import orjson\nfrom daemon import other\nlimit = 7\n")

    assert fingerprint() == before


def test_name_when_a_listed_file_is_missing_is_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _tree(tmp_path, monkeypatch)
    (tmp_path / "pyproject.toml").unlink()

    with pytest.raises(FileNotFoundError):
        fingerprint()


def test_imports_when_hidden_from_the_build_are_seen_too() -> None:
    source = "import a.b\nfrom c import d\nfrom . import e\nfrom shared import f\nimportlib.import_module('g')\n"

    assert set(imports(source)) == {"a.b", "c.d", "importlib.import_module('g')"}


def _tree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small project in ``folder``; its name."""
    for name in ("daemon", "gui", "shared"):
        (folder / name).mkdir()
        (folder / name / "__main__.py").write_text("x = 1\n")
    (folder / "daemon/rule.py").write_text("import orjson\n")
    (folder / "pyproject.toml").write_text("pins = 1\n")
    monkeypatch.setattr(packaging, "ROOT", folder)
    monkeypatch.setattr(packaging, "WHOLE", ("pyproject.toml", "daemon/__main__.py"))
    return fingerprint()
