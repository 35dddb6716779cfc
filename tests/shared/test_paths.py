"""The home folder: where it is looked for, what is in it, who may read it; and finding shipped files."""

import stat
import sys
from pathlib import Path

import pytest

from shared import paths
from shared.paths import Home, find_home, shipped


def test_find_home_when_given_explicitly_wins_over_the_environment(tmp_path: Path) -> None:
    assert find_home(tmp_path / "a", {"RISK_MANAGER_HOME": str(tmp_path / "b")}).root == tmp_path / "a"


def test_find_home_when_only_in_the_environment_is_taken_from_there(tmp_path: Path) -> None:
    assert find_home(None, {"RISK_MANAGER_HOME": str(tmp_path)}).root == tmp_path


def test_find_home_when_relative_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_home("here", {}).root == tmp_path / "here"


def test_find_home_when_nothing_is_said_is_the_platforms_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert find_home(None, {"RISK_MANAGER_HOME": ""}).root.name == "RiskManager"
    monkeypatch.setattr(sys, "platform", "win32")
    assert find_home(None, {"PROGRAMDATA": "D:/Data"}).root == Path("D:/Data/RiskManager")


def test_home_when_asked_for_files_names_the_documented_ones(tmp_path: Path) -> None:
    home = Home(tmp_path)
    documented = {
        "config/accounts.yaml": home.accounts_file,
        "config/risk_config.yaml": home.risk_config_file,
        "config/holidays.yaml": home.holidays_file,
        "data/state.db": home.database,
        "data/backups": home.backups,
        "data/journal": home.journal,
        "logs": home.logs,
        "run/admin.key": home.admin_key,
        "public/endpoint.json": home.endpoint,
        "public/view.db": home.view,
        "public/activity.log": home.activity_log,
    }
    for relative, path in documented.items():
        assert path == tmp_path / relative


@pytest.mark.skipif(sys.platform == "win32", reason="modes mean nothing on Windows; the installer sets access lists")
def test_create_when_new_lets_others_read_public_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    home.create()
    home.create()
    for folder in (home.config, home.data, home.backups, home.journal, home.logs, home.run):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.public.stat().st_mode) == 0o755


def test_create_when_a_file_is_in_the_way_raises(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError):
        Home(tmp_path).create()


def test_shipped_when_in_the_source_tree_finds_the_templates() -> None:
    for name in ("accounts.yaml", "risk_config.yaml", "holidays.yaml"):
        assert shipped(f"config/{name}").is_file()
    assert shipped("config/presets").is_dir()


def test_shipped_when_packed_finds_them_there_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "holidays.yaml").write_text("", encoding="utf-8")
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert shipped("config/holidays.yaml") == tmp_path / "config" / "holidays.yaml"
    assert shipped("config/accounts.yaml").is_file()


def test_shipped_when_installed_from_a_wheel_finds_them_beside_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "shared"
    (package / "_shipped" / "config").mkdir(parents=True)
    (package / "_shipped" / "config" / "holidays.yaml").write_text("", encoding="utf-8")
    monkeypatch.setattr(paths, "__file__", str(package / "paths.py"))
    assert shipped("config/holidays.yaml") == package / "_shipped" / "config" / "holidays.yaml"


def test_shipped_when_missing_says_so() -> None:
    with pytest.raises(FileNotFoundError, match="install it again"):
        shipped("config/nothing.yaml")
