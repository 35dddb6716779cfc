"""Errors as people see them: file, line, key, what is wrong, how to mend it; all at once, and never a key repeated."""

import datetime as dt
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.config_errors import ConfigErrors
from daemon.config_loader import (
    check_home,
    home_warnings,
    load_accounts,
    load_holidays,
    load_risk_config,
    read_text,
    rules_not_named,
    write_templates,
)
from shared.config import HolidayCalendar, RiskConfig
from shared.paths import Home
from tests.shared.config_examples import DOCUMENTED


def errors_of(text: str, load: Any = load_risk_config) -> list[str]:
    try:
        load(text)
    except ConfigErrors as errors:
        return [str(error) for error in errors.errors]
    return []


def documented(old: str, new: str) -> str:
    assert DOCUMENTED.count(old) == 1, old
    return DOCUMENTED.replace(old, new)


def line_of(text: str, word: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if word in line)


def test_load_when_documented_example_is_read_is_valid() -> None:
    assert errors_of(DOCUMENTED) == []


TABLE = [
    # what is replaced in the documented example, by what, and the sentence (after "risk_config.yaml, line N: ")
    ("limit: -500}", "limit: 500}", "rules.daily_realized_loss.limit must be below 0, not 500;"
     " a loss is written as a negative amount, such as -500."),
    ("limit: -500}", "limit: 0}", "rules.daily_realized_loss.limit must be below 0, not 0."),
    ("limit: -500}", "limit: -1,000}", None),
    ("limit: -500}", "limit: lots}", "rules.daily_realized_loss.limit must be an amount in dollars,"
     ' such as 500 or -250.50, not "lots".'),
    ("limit: -500}", "limit: yes}", "rules.daily_realized_loss.limit must be an amount in dollars,"
     ' such as 500 or -250.50, not "yes".'),
    ("limit: -500}", "limit: }", "rules.daily_realized_loss.limit has no value;"
     " give it one, or switch a rule off with enabled: false."),
    ("limit: -500}", "limt: -500}", "rules.daily_realized_loss.limt is not a known key; did you mean limit?"),
    ("daily_realized_profit: {enabled: true, target: 1000}", "daily_realized_profit: {enabled: true, target: -5}",
     "rules.daily_realized_profit.target must be above 0, not -5; write it without the minus, 5."),
    ("daily_realized_profit: {enabled: true, target: 1000}", "daily_realized_profit: ",
     "rules.daily_realized_profit has no value; give it one, or switch a rule off with enabled: false."),
    ("daily_realized_profit: {enabled: true, target: 1000}", "daily_realized_profit: {enabled: true}",
     "rules.daily_realized_profit.target is missing; add it."),
    ("daily_realized_profit: {enabled: true, target: 1000}", "daily_realized_profit: 1000",
     "rules.daily_realized_profit must be a group of keys below it, not 1000."),
    ("close_all: false", "close_all: true",
     "rules.max_contracts.reduce_to_limit and close_all are both true; set exactly one of them to true."),
    ("reduce_to_limit: true}", "reduce_to_limit: false}",
     "rules.max_contracts.reduce_to_limit and close_all are both false; set exactly one of them to true."),
    ("limit: 5,", "limit: 5.5,", "rules.max_contracts.limit must be a whole number, not 5.5."),
    ("limit: 5,", "limit: -5,", "rules.max_contracts.limit must be at least 0, not -5."),
    ("limit: 5,", "limit: '5',", 'rules.max_contracts.limit must be a whole number, not "5".'),
    ("limit: 5,", "enabled: false, limit: 5,", "rules.max_contracts.enabled is there twice (first in line 10);"
     " remove one of them."),
    ("count_type: net", "count_type: nett", "rules.max_contracts.count_type must be net, gross, long or short,"
     ' not "nett"; did you mean net?'),
    ("max_contracts: {", "max_contract: {", "rules.max_contract is not a known key; did you mean max_contracts?"),
    ("unknown_symbol_action: block", "unknown_symbol_action: reject",
     "rules.max_contracts_per_instrument.unknown_symbol_action must be block, close, allow or allow_with_limit:N"
     " (such as allow_with_limit:2)."),
    ("limits: {MNQ: 2, ES: 1}", "limits: {MNQ: 2, mnq: 1}",
     "rules.max_contracts_per_instrument.limits names MNQ twice."),
    ("limits: {MNQ: 2, ES: 1}", "limits: {MNQ: two}",
     'rules.max_contracts_per_instrument.limits.MNQ must be a whole number, not "two".'),
    ("limits: {MNQ: 2, ES: 1}", "limits: {MNQ-Z6: 2}", "rules.max_contracts_per_instrument.limits.MNQ-Z6 must be the"
     ' root of a contract name, such as ES or MNQ (without month and year), not "MNQ-Z6".'),
    ('time: "17:00", timezone: America/New_York', 'time: "5 pm", timezone: America/New_York',
     'reset.time must be a time of day "HH:MM" in quotes, from "00:00" to "23:59", not "5 pm".'),
    ('time: "17:00", timezone: America/New_York', "time: 61200, timezone: America/New_York",
     'reset.time must be a time of day "HH:MM" in quotes, from "00:00" to "23:59", not 61200.'),
    ('time: "17:00", timezone: America/New_York', 'time: "17:00", timezone: America/New York',
     "reset.timezone is not a known time zone; did you mean America/New_York?"),
    ('time: "17:00", timezone: America/New_York', 'time: "17:00", timezone: Mars/Olympus',
     "reset.timezone is not a known time zone; write it as in America/New_York."),
    ("loosen: next_reset ", "loosen: never ", 'policy.loosen must be next_reset or immediately, not "never".'),
    ("delay_minutes: 15", "delay_minutes: -1", "policy.admin_unlock.delay_minutes must be at least 0, not -1."),
    ("allowed: true", "allowed: maybe", 'policy.admin_unlock.allowed must be true or false, not "maybe".'),
    ("allowed: true", "allowed: 1", "policy.admin_unlock.allowed must be true or false, not 1."),
    ("host: 127.0.0.1", "host: 0.0.0.0", 'ipc.host must be this machine itself: write 127.0.0.1, not "0.0.0.0".'),
    ("port: 5555", "port: 65536", "ipc.port must be at most 65535, not 65536."),
    ("level: INFO", "level: LOUD", "logging.level must be TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL,"
     ' not "LOUD".'),
    ("version: 1", "version: 2", "version must be 1, not 2."),
    ("cooldown_duration: 300}", "cooldown_duration: 300, pause: 3}",
     "rules.cooldown_after_loss.loss_thresholds[0].pause is not a known key;"
     " known keys here are loss_amount, cooldown_duration."),
    ("loss_amount: -200", "loss_amount: -100", "rules.cooldown_after_loss names a loss_amount of -100 in"
     " loss_thresholds twice; remove one of them."),
    ("blocked_symbols: [RTY, BTC]", "blocked_symbols: RTY",
     'rules.symbol_blocks.blocked_symbols must be a list, written as [a, b], not "RTY".'),
    ("days: [mon, tue, wed, thu, fri]", "days: [mon, funday]",
     "rules.session_block_outside.global_session.days must name days as mon, tue, wed, thu, fri, sat or sun,"
     " not 'funday'."),
    ('end: "16:00"', 'end: "09:30"', "rules.session_block_outside.global_session has the same start and end;"
     " give a start and an end that differ, or remove the window."),
    ("{limit: -250}", "{limit: 250}", "accounts.101.rules.daily_realized_loss.limit must be below 0, not 250;"
     " a loss is written as a negative amount, such as -250."),
    ("{limit: -250}", "{limits: -250}",
     "accounts.101.rules.daily_realized_loss.limits is not a known key; did you mean limit?"),
    ("{daily_realized_loss: {limit: -250}}", "{max_contracts: {close_all: true}}",
     "accounts.101.rules.max_contracts.reduce_to_limit and close_all are both true; set exactly one of them to true."),
    ("{daily_realized_loss: {limit: -250}}", "{weekly_loss: {enabled: true}}",
     "accounts.101.rules.weekly_loss.limit is missing; add it."),
    ("{daily_realized_loss: {limit: -250}}", "{daily_realised_loss: {limit: -250}}",
     "accounts.101.rules.daily_realised_loss is not a known key; did you mean daily_realized_loss?"),
    ("{daily_realized_loss: {limit: -250}}", "{daily_realized_loss: }",
     "accounts.101.rules.daily_realized_loss has no value; give it one, or switch a rule off with enabled: false."),
    ("101: {rules: {daily_realized_loss: {limit: -250}}}", "PRAC-101: {rules: {}}",
     'accounts.PRAC-101 must be a whole number, not "PRAC-101".'),
    ("101: {rules: {daily_realized_loss: {limit: -250}}}", "101: {daily_realized_loss: {limit: -250}}",
     "accounts.101.daily_realized_loss is not a known key here; it belongs below rules."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "sentence"), TABLE, ids=[f"{new}" for _, new, _ in TABLE])
def test_load_when_one_thing_is_wrong_says_where_what_and_how_to_mend_it(
    old: str, new: str, sentence: str | None
) -> None:
    text = documented(old, new)
    found = errors_of(text)
    line = line_of(text, new.splitlines()[0])
    if sentence is not None:
        assert [error for error in found if error.endswith(sentence)], found
    assert found
    for error in found:
        # What is wrong between two values is told at the group they are in, a line or two above.
        lines = {line, line - 1, line - 2} if "same start" in error or "names a loss" in error else {line}
        assert int(re.findall(r"risk_config\.yaml, line (\d+): ", error)[0]) in lines, error


def test_load_when_many_things_are_wrong_lists_all_in_the_order_of_lines() -> None:
    text = (
        DOCUMENTED.replace("limit: -500", "limit: 500")
        .replace("max_contracts: {", "maks_contracts: {")
        .replace("host: 127.0.0.1", "host: example.org")
        .replace("grace_period_seconds: 10", "grace_period_seconds: soon")
        .replace("limit: -250", "limit: x")
    )
    found = errors_of(text)
    assert [
        re.sub(r".*: (\S+) .*", r"\1", error.split(": ", 1)[0] + ": " + error.split(": ")[1]) for error in found
    ] == [
        "ipc.host",
        "rules.maks_contracts",
        "rules.daily_realized_loss.limit",
        "rules.no_stop_loss_grace.grace_period_seconds",
        "accounts.101.rules.daily_realized_loss.limit",
    ]
    lines = [int(re.search(r"line (\d+)", error)[1]) for error in found]  # type: ignore[index]
    assert lines == sorted(lines)


@pytest.mark.parametrize("word", ["17:00", "'17:00'", '"17:00"'])
def test_load_when_a_time_is_written_with_or_without_quotes_is_the_same(word: str) -> None:
    assert load_risk_config(documented('time: "17:00"', f"time: {word}")).reset.time == dt.time(17)


@pytest.mark.parametrize("word", ["true", "True", "yes", "on", "ON"])
def test_load_when_a_switch_is_written_as_people_do_is_on(word: str) -> None:
    rule = load_risk_config(documented("auth_loss_guard: {enabled: true}", f"auth_loss_guard: {{enabled: {word}}}"))
    assert rule.rules.auth_loss_guard is not None
    assert rule.rules.auth_loss_guard.enabled


def test_load_when_a_symbol_looks_like_a_boolean_stays_a_symbol() -> None:
    config = load_risk_config(documented("[RTY, BTC]", "[NO, ON, 6E]"))
    assert config.rules.symbol_blocks is not None
    assert config.rules.symbol_blocks.blocked_symbols == ("6E", "NO", "ON")


@pytest.mark.parametrize("section", ["rules", "accounts", "reset", "policy", "ipc", "logging"])
def test_load_when_a_section_is_empty_has_its_defaults(section: str) -> None:
    assert load_risk_config(f"version: 1\n{section}:\n") == RiskConfig()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "risk_config.yaml: is empty; fill it in"),
        ("# nothing\n", "risk_config.yaml: is empty"),
        ("hello", "risk_config.yaml, line 1: must consist of keys and values"),
        ("- a\n", "risk_config.yaml, line 1: must consist of keys and values"),
        ("a: [", "risk_config.yaml, line 1: opens a bracket that is never closed"),
        ("rules:\n\tx: 1", "risk_config.yaml, line 2: begins with a tab; indent with spaces."),
    ],
)
def test_load_when_it_is_no_configuration_at_all_says_so(text: str, said: str) -> None:
    (error,) = errors_of(text)
    assert said in error


# --- accounts and holidays -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("logins:\n  - username: a\n  - username: A\n",
         ["accounts.yaml, line 3: logins[1].username is a user name that is already there; remove one of them."]),
        ("logins:\n  - {username: a, accounts: [1]}\n  - {username: b, accounts: [2, 1]}\n",
         ["accounts.yaml, line 3: logins[1].accounts[1] is account 1 a second time; remove one of them."]),
        ("logins:\n  - username: a\n    accounts: some\n",
         ["accounts.yaml, line 3: logins[0].accounts must be all, or a list of account ids such as [101, 102],"
          ' not "some".']),
        ("logins:\n  - accounts: all\n", ["accounts.yaml, line 2: logins[0].username is missing; add it."]),
        ("logins:\n  - username: a\n    apikey: x\n",
         ["accounts.yaml, line 3: logins[0].apikey is not a known key; did you mean api_key?"]),
        ("login: []\n", ["accounts.yaml, line 1: login is not a known key; did you mean logins?"]),
        ("gateway: {api_url: topstepx.com}\n",
         ["accounts.yaml, line 1: gateway.api_url must be an address that begins with https://."]),
        ("logins: {username: a}\n",
         ["accounts.yaml, line 1: logins must be a list, written as [a, b], not a group of keys."]),
        ("logins:\n  - username:\n",
         ["accounts.yaml, line 2: logins[0].username has no value; give it one or remove the line."]),
        ("logins:\n  - username: a\n  - username: a\n    enabled: 7\n",
         ["accounts.yaml, line 3: logins[1].username is a user name that is already there; remove one of them.",
          "accounts.yaml, line 4: logins[1].enabled must be true or false, not 7."]),
    ],
)  # fmt: skip
def test_load_accounts_when_wrong_says_where_and_what(text: str, sentences: list[str]) -> None:
    assert errors_of(text, load_accounts) == sentences


@pytest.mark.parametrize(
    "text",
    [
        "logins:\n  - username: a\n    api_key: 1234567890\n",
        "logins:\n  - username: a\n    api_key: [SECRETKEY]\n",
        "logins:\n  - username: a\n    api_key: SECRETKEY: x\n",
        "logins:\n  - username: a\n    api_key: 'SECRETKEY\n",
        "logins:\n  - username: a\n    api_key: SECRETKEY\n    api_key: SECRETKEY\n",
        "logins:\n  - username: a\n    api_key: {SECRETKEY: 1}\n",
        "logins:\n  - username: a\n    api_key: @SECRETKEY\n",
    ],
)
def test_load_accounts_when_the_key_is_wrong_never_repeats_it(text: str) -> None:
    found = errors_of(text, load_accounts)
    assert found
    assert "SECRETKEY" not in " ".join(found)
    assert "1234567890" not in " ".join(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dates: {2026-13-01: closed}", "dates.2026-13-01 is not a date; write it as year-month-day"),
        ("dates: {2026-12-25: open}", "dates.2026-12-25 must be a group of keys below it"),
        ("dates: {2026-12-25: {closed: false}}", "dates.2026-12-25 must say either closed: true or early_close"),
        ("dates: {2026-12-25: {early_close: noon}}", "dates.2026-12-25.early_close must be a time of day"),
        ("dates: {2026-12-25: closed, 2026-12-25: closed}", "dates.2026-12-25 is there twice"),
        ("timezone: Chicago", "timezone is not a known time zone"),
    ],
)
def test_load_holidays_when_wrong_says_where_and_what(text: str, said: str) -> None:
    (error,) = errors_of(text, load_holidays)
    assert error.startswith("holidays.yaml, line 1: ")
    assert said in error


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"version: 1\nx: \xe9\n", "line 2: has a character that is not UTF-8"),
        (b"#" * 2_000_000, "is larger than"),
        (b"version: 1\n\tx: 1\n", "line 2: begins with a tab"),
        (b"a: \x00\n", "control character"),
    ],
)
def test_load_when_file_is_no_text_names_the_file(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "risk_config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigErrors, match=re.escape(said)) as raised:
        load_risk_config(path)
    assert str(raised.value).startswith(str(path))


def test_load_when_file_begins_with_a_byte_order_mark_and_has_windows_lines_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "risk_config.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + DOCUMENTED.replace("\n", "\r\n").encode())
    assert load_risk_config(path) == load_risk_config(DOCUMENTED)


def test_read_text_when_there_is_a_folder_or_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(ConfigErrors, match="is missing; put it back"):
        read_text(tmp_path / "none.yaml")


def test_read_text_when_file_can_not_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1", encoding="utf-8")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ConfigErrors, match=r"can't be read \(permission denied\); check that the account"):
        read_text(path)


def test_write_templates_when_home_is_new_writes_valid_private_files(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    assert check_home(home) != []
    written = write_templates(home)
    assert written == [home.accounts_file, home.risk_config_file, home.holidays_file]
    assert check_home(home) == []
    if sys.platform != "win32":
        assert all(path.stat().st_mode & 0o077 == 0 for path in written)
    assert load_accounts(home.accounts_file).logins == ()
    assert load_holidays(home.holidays_file).dates


def test_write_templates_when_a_file_exists_leaves_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.risk_config_file.write_text("mine: 1", encoding="utf-8")
    assert home.risk_config_file not in write_templates(home)
    assert home.risk_config_file.read_text(encoding="utf-8") == "mine: 1"


def test_template_when_read_names_every_rule(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_templates(home)
    rules = load_risk_config(home.risk_config_file).rules
    assert {key for key, _ in rules.present()} == set(type(rules).model_fields)
    assert "weekly_loss" in rules_not_named(rules)
    assert "daily_realized_loss" not in rules_not_named(rules)


def test_check_home_when_several_files_are_wrong_lists_all(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.risk_config_file.write_text("rules: {weekly_loss: {limit: 1}}\nx: 1\n", encoding="utf-8")
    home.accounts_file.write_text("logins: [{username: a}, {username: a}]", encoding="utf-8")
    found = check_home(home)
    assert len(found) == 3
    places = [sentence.removeprefix(str(home.config))[1:].split(" ")[:3] for sentence in found]
    assert places == [
        ["risk_config.yaml,", "line", "1:"],
        ["risk_config.yaml,", "line", "2:"],
        ["accounts.yaml,", "line", "1:"],
    ]


def test_home_warnings_when_unwise_things_are_allowed_names_them(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.accounts_file.write_text("logins: [{username: a, api_key: LITERALKEY}]", encoding="utf-8")
    home.accounts_file.chmod(0o644)
    home.config.chmod(0o755)
    found = home_warnings(home, load_accounts(home.accounts_file), HolidayCalendar(), dt.date(2026, 11, 21))
    assert "LITERALKEY" not in " ".join(found)
    assert any("the API key of a is written in the file" in sentence for sentence in found)
    assert any("other users can read this file" in sentence for sentence in found) or os.name == "nt"
    assert any("no day after 2026-11-21 is listed" in sentence for sentence in found)
    home.accounts_file.write_text("logins: [{username: a}]", encoding="utf-8")
    calendar = load_holidays("dates: {2026-12-25: closed}")
    assert home_warnings(home, load_accounts(home.accounts_file), calendar, dt.date(2026, 11, 21)) == []
    nobody = load_accounts("logins: []")
    (sentence,) = home_warnings(home, nobody, calendar, dt.date(2026, 11, 21))
    assert "no account is protected" in sentence


# --- anything at all -------------------------------------------------------------------------------------------------

_lines = DOCUMENTED.splitlines()


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(_lines) - 1), st.integers(0, 80), st.integers(0, 12), st.text(max_size=6)),
        min_size=1,
        max_size=4,
    )
)
def test_load_when_the_example_is_damaged_anyhow_gives_a_configuration_or_sentences(
    edits: list[tuple[int, int, int, str]],
) -> None:
    lines = list(_lines)
    for number, start, length, text in edits:
        lines[number] = lines[number][:start] + text + lines[number][start + length :]
    for load in (load_risk_config, load_accounts, load_holidays):
        for error in errors_of("\n".join(lines), load):
            assert len(error) < 500
            assert error.endswith((".", "?"))
            assert "Input should" not in error
