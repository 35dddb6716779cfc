"""Changing configuration files without losing what people wrote in them, and writing them whole or not at all."""

import os
import stat
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon import config_writing
from daemon.config_errors import ConfigErrors
from daemon.config_loader import load_accounts, load_holidays, load_risk_config, revise
from daemon.config_writing import PatchError, patch_text, write_atomically
from shared.config import AccountsConfig, RiskConfig
from shared.paths import shipped
from tests.shared.config_examples import DOCUMENTED

TEMPLATE = shipped("config/risk_config.yaml").read_text(encoding="utf-8")


def changed_lines(old: str, new: str) -> list[str]:
    before = old.splitlines()
    return [line for line in new.splitlines() if line not in before]


def test_patch_text_when_one_value_changes_leaves_every_other_line() -> None:
    patched = patch_text(TEMPLATE, {"rules": {"daily_realized_loss": {"limit": Decimal("-450.50")}}})
    (line,) = changed_lines(TEMPLATE, patched)
    assert line.strip() == "daily_realized_loss: {enabled: true, limit: -450.50}"
    assert "next_reset | immediately" in patched


def test_patch_text_when_template_is_patched_with_nothing_keeps_all_comments() -> None:
    patched = patch_text(TEMPLATE, {})
    assert [line for line in TEMPLATE.splitlines() if line.lstrip().startswith("#")] == [
        line for line in patched.splitlines() if line.lstrip().startswith("#")
    ]
    assert load_risk_config(patched) == load_risk_config(TEMPLATE)


@pytest.mark.parametrize(
    ("patch", "path", "value"),
    [
        ({"rules": {"weekly_loss": {"limit": -900}}}, "rules.weekly_loss.limit", -900),
        ([{"path": "rules.weekly_loss", "value": {"limit": -900}}], "rules.weekly_loss.limit", -900),
        ([{"path": "accounts.101.rules.daily_realized_loss.limit", "value": "-99.5"}],
         "accounts.101.rules.daily_realized_loss.limit", Decimal("-99.5")),
        ({"accounts": {"102": {"rules": {"auth_loss_guard": {"enabled": False}}}}},
         "accounts.102.rules.auth_loss_guard.enabled", False),
        ({"reset": {"time": "16:30"}}, "reset.time", "16:30"),
        ([{"path": ["rules", "symbol_blocks", "blocked_symbols"], "value": ["CL", "GC"]}],
         "rules.symbol_blocks.blocked_symbols", ["CL", "GC"]),
        ([{"path": "rules.cooldown_after_loss.loss_thresholds.0.cooldown_duration", "value": 301}],
         "rules.cooldown_after_loss.loss_thresholds.0.cooldown_duration", 301),
        ({"rules": {"weekly_loss": {"limit": -1000.25}}}, "rules.weekly_loss.limit", Decimal("-1000.25")),
    ],
)  # fmt: skip
def test_patch_text_when_patch_is_merged_or_listed_sets_the_value(patch: Any, path: str, value: object) -> None:
    config = load_risk_config(patch_text(DOCUMENTED, patch))
    found: Any = config.model_dump()
    for step in path.split("."):
        found = found[int(step) if step.isdigit() else step]
    written = found
    wanted: object = tuple(value) if isinstance(value, list) else value
    if path.startswith("accounts.101"):
        rule = config.rules_for(101).daily_realized_loss
        assert rule is not None
        written = rule.limit
    assert written == wanted


@pytest.mark.parametrize(
    "patch",
    [{"rules": {"daily_realized_loss": None}}, [{"path": "rules.daily_realized_loss", "value": None}]],
)
def test_patch_text_when_value_is_null_removes_the_key(patch: Any) -> None:
    text = DOCUMENTED.replace("  101: {rules: {daily_realized_loss: {limit: -250}}}", "  {}")
    assert load_risk_config(patch_text(text, patch)).rules.daily_realized_loss is None


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ([{"path": "rules.cooldown_after_loss.loss_thresholds.9.cooldown_duration", "value": 1}], "there is no 9"),
        ([{"path": "rules.cooldown_after_loss.loss_thresholds.9", "value": 1}], "there is no 9"),
        ([{"path": "", "value": 1}], "a path must be written"),
        ([{"path": "a..b", "value": 1}], "a path must be written"),
        ([{"path": 5, "value": 1}], "a path must be written"),
        ([{"path": "rules"}], "each entry of the patch"),
        (["rules"], "each entry of the patch"),
        ("rules", "must be a mapping"),
    ],
)
def test_patch_text_when_patch_leads_nowhere_says_so(patch: Any, said: str) -> None:
    with pytest.raises(PatchError, match=said):
        patch_text(DOCUMENTED, patch)


@pytest.mark.parametrize(("text", "said"), [("a: [", "not valid YAML"), ("- a", "keys and values")])
def test_patch_text_when_present_file_is_broken_says_so(text: str, said: str) -> None:
    with pytest.raises(PatchError, match=said):
        patch_text(text, {"a": 1})


def test_patch_text_when_file_is_empty_starts_one() -> None:
    assert load_risk_config(patch_text("", {"rules": {"weekly_loss": {"limit": -1}}})).rules.weekly_loss is not None


def test_patch_text_when_logins_are_named_finds_adds_and_removes_them() -> None:
    text = "logins:\n  # the desk\n  - username: john.doe@x.org   # main\n    accounts: [1]\n"
    text = patch_text(text, [{"path": ["logins", "John.Doe@x.org", "accounts"], "value": "all"}])
    text = patch_text(text, [{"path": "logins.b", "value": {"enabled": False}}])
    accounts = load_accounts(text)
    assert [(login.username, login.accounts, login.enabled) for login in accounts.logins] == [
        ("john.doe@x.org", "all", True),
        ("b", "all", False),
    ]
    assert "# the desk" in text
    assert "# main" in text
    assert len(load_accounts(patch_text(text, [{"path": "logins.b", "value": None}])).logins) == 1


def test_patch_text_when_template_has_no_logins_adds_one() -> None:
    template = shipped("config/accounts.yaml").read_text(encoding="utf-8")
    text = patch_text(template, [{"path": "logins.trader1", "value": {"api_key": "keyring"}}])
    assert [login.username for login in load_accounts(text).logins] == ["trader1"]
    assert "# Risk Manager" in text


def test_patch_text_when_days_are_dates_finds_them() -> None:
    text = "dates:\n  2026-12-24: {early_close: '12:00'}\n  2026-12-25: closed\n"
    patched = patch_text(text, {"dates": {"2026-12-24": {"early_close": "11:00"}, "2026-12-25": None}})
    assert {str(date): day.early_close for date, day in load_holidays(patched).dates.items()} == {
        "2026-12-24": load_holidays("dates: {2026-12-24: {early_close: 11:00}}").dates.popitem()[1].early_close
    }


def test_revise_when_yaml_is_given_keeps_it_word_for_word() -> None:
    text, config = revise(RiskConfig, TEMPLATE, yaml=DOCUMENTED)
    assert text == DOCUMENTED
    assert config == load_risk_config(DOCUMENTED)


def test_revise_when_patch_makes_it_invalid_names_the_path() -> None:
    with pytest.raises(ConfigErrors, match=r"set_config, line \d+: rules.daily_realized_loss.limit must be below 0"):
        revise(RiskConfig, TEMPLATE, patch={"rules": {"daily_realized_loss": {"limit": 5}}})


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, "either yaml or patch"),
        ({"yaml": "", "patch": {}}, "either yaml or patch"),
        ({"yaml": ""}, "is empty"),
        ({"yaml": "x: \ud800"}, "not UTF-8"),
        ({"patch": "x"}, "must be a mapping"),
    ],
)
def test_revise_when_request_is_wrong_says_so(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigErrors, match=said):
        revise(AccountsConfig, "logins: []", **request_)


def test_write_atomically_when_done_has_the_text_the_mode_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old", encoding="utf-8")
    write_atomically(path, "neu: ä\n")
    assert path.read_bytes() == "neu: ä\n".encode()
    assert list(tmp_path.iterdir()) == [path]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_write_atomically_when_it_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old", encoding="utf-8")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomically_when_a_reader_holds_the_file_on_windows_tries_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, attempts = tmp_path / "a.yaml", []
    replace = Path.replace

    def held_twice(self: Path, target: Path) -> Path:
        attempts.append(target)
        if len(attempts) < 3:
            raise PermissionError(13, "in use")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", held_twice)
    monkeypatch.setattr(config_writing, "_IS_WINDOWS", True)
    monkeypatch.setattr(config_writing, "_PAUSE_S", 0)
    write_atomically(path, "new")
    assert len(attempts) == 3
    assert path.read_text(encoding="utf-8") == "new"
