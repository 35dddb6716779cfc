"""What is said about a mistake names its line and mends it: one mistake, one sentence, in the user's words."""

from __future__ import annotations

import pytest

from daemon.config_errors import ConfigErrors
from daemon.config_loader import load_accounts, load_risk_config
from daemon.config_yaml import read


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version: 1\nrules:\n  a: {limit: 5\n  b: {limit: 3}\nipc: {port: 1}\n", 3, "opens a {"),
        ("version: 1\nrules: {a: 1,\n\n\n", 2, "opens a bracket that is never closed"),
        ("version: 1\nlogins: [1, 2\nx: 3\n", 2, "opens a ["),
        ("version: 1\nrules:\n  a: [\n    {b: 1},\n", 3, "opens a bracket that is never closed"),
        ("version: 1\nrules: {a: [1], b: {c: 2},\n", 2, "opens a bracket that is never closed"),
        ('version: 1\nreset: {time: "17:00}\nrules:\n  a: 1\n', 2, "opens a quote"),
        ("a: 1\nreset: 'abc\nrules:\n  a: 1\n", 2, "opens a quote"),
        ('version: 1\nreset: "abc\nrules:\n  a: 1\nb: "x"\n', 2, "opens a quote"),
        ("version: 1\nrules\n  a: 1\nipc: 2\n", 2, "is no complete entry"),
        ("version: 1\nrules:\n  a 1\n  b: 2\n", 3, "is no complete entry"),
        ("version: 1\nrules:\n  a 1\n\n  # a remark\n  b: 2\n", 3, "is no complete entry"),
        ("version: 1\nrules:\n  b: 2\n  a 1\nipc: 2\n", 4, "is no complete entry"),
        ("version: 1\nrules\n", 2, "is no complete entry"),
        ("a: 1\n b: 2\n", 2, "has a colon where none can be"),
        ("a: b: c\n", 1, "has a colon where none can be"),
        ("rules:\n    a: 1\n  b: 2\n", 3, "is not indented"),
    ],
)
def test_yaml_mistake_is_told_at_the_line_that_is_to_be_mended(text: str, line: int, words: str) -> None:
    (mistake,) = read(text).mistakes
    assert (mistake.line, words in mistake.message) == (line, True), mistake


def said(load: object, text: str) -> list[str]:
    assert callable(load)
    with pytest.raises(ConfigErrors) as found:
        load(text)
    return [str(error) for error in found.value.errors]


def test_key_when_misspelt_is_one_error() -> None:
    (error,) = said(load_risk_config, "rules:\n  daily_realized_loss: {limt: -5}\n")
    assert error == ("risk_config.yaml, line 2: rules.daily_realized_loss.limt is not a known key; did you mean limit?")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "logins:\n  - username: a\n    accounts: [abc]\n",
            "accounts.yaml, line 3: logins[0].accounts must be all, or a list of account ids such as [101, 102],"
            " not [abc].",
        ),
        (
            'logins:\n  - username: ""\n',
            "accounts.yaml, line 2: logins[0].username must not be empty; write it out, in quotes.",
        ),
        (
            "logins:\n  - username: a\n    accounts: []\n",
            "accounts.yaml, line 3: logins[0].accounts names no account, so nothing is protected; write all or"
            " account ids, or enabled: false below the login.",
        ),
    ],
)
def test_accounts_when_wrong_are_told_in_a_sentence_that_is_true(text: str, error: str) -> None:
    assert said(load_accounts, text) == [error]


def test_login_when_switched_off_may_name_no_account() -> None:
    config = load_accounts("logins:\n  - {username: a, accounts: [], enabled: false}\n")
    assert config.logins[0].accounts == ()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://evil.example/api", "must begin with https://"),
        ("http://127.0.0.1.evil.example/api", "must begin with https://"),
        ("http://localhost.evil.example/api", "must begin with https://"),
        ("http://10.0.0.1/api", "must begin with https://"),
        ("https://me:secret@api.example/api", "must not have a user name or password"),
        ("https://me@api.example/api", "must not have a user name or password"),
        ("http://127.0.0.1@evil.example/api", "must not have a user name or password"),
        ("https://api.example:99999/api", "must be an address"),
        ("ftp://api.example/api", "must be an address"),
        ("https:///api", "must be an address"),
    ],
)
@pytest.mark.parametrize("key", ["api_url", "user_hub_url", "market_hub_url"])
def test_gateway_address_when_keys_would_travel_in_the_clear_is_refused(key: str, address: str, words: str) -> None:
    (error,) = said(load_accounts, f'gateway: {{{key}: "{address}"}}\n')
    assert f"gateway.{key} {words}" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8080/api", "http://localhost/api", "http://[::1]:80/api", "https://api.example/api"]
)
def test_gateway_address_when_encrypted_or_on_this_machine_is_fine(address: str) -> None:
    assert load_accounts(f'gateway: {{api_url: "{address}"}}\n').gateway.api_url == address


def test_trading_hours_without_a_window_are_an_error_unless_holidays_are_named() -> None:
    (error,) = said(load_risk_config, "rules:\n  session_block_outside: {enabled: true}\n")
    assert "rules.session_block_outside is enabled but blocks nothing" in error
    kept = load_risk_config("rules:\n  session_block_outside: {enabled: true, respect_holidays: true}\n")
    again = type(kept).model_validate(kept.model_dump(exclude_none=True))
    assert again == kept, "what is stored of it can be read again"


@pytest.mark.parametrize("load", [load_accounts, load_risk_config])
def test_file_when_empty_is_not_said_to_be_written_anew(load: object) -> None:
    (error,) = said(load, "")
    assert "is empty" in error and "at the next start" not in error and "delete" not in error
