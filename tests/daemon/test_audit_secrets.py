"""Whatever an admin sends, and in whatever form: no key of it is written down."""

from __future__ import annotations

import json
from typing import Any

import pytest

from daemon.audit_secrets import register_secrets, without_secrets
from daemon.credentials import redact

KEY = "Zx81-not-to-be-seen"


@pytest.mark.parametrize(
    "asked",
    [
        {"patch": [{"path": ["logins", "trader1", "api_key"], "value": KEY}]},
        {"patch": [{"path": "logins.trader1.api_key", "value": KEY}]},
        {"patch": [{"path": "logins.0.api_key", "value": KEY}]},
        {"patch": [{"path": ["logins", "trader1", "API-Key"], "value": KEY}]},
        {"patch": [{"path": ["logins", "trader1"], "value": {"api_key": KEY, "accounts": "all"}}]},
        {"patch": [{"path": ["logins", "trader1"], "value": KEY}]},
        {"patch": [{"path": ["logins"], "value": [{"username": "trader1", "api_key": KEY}]}]},
        {"patch": [{"path": "logins.trader1.password", "value": {"deep": [KEY]}}]},
        {"patch": [{"path": "logins.trader1.apikye", "value": KEY}]},
        {"patch": [{"path": ["logins", "trader1", "api_key", "x"], "value": KEY}]},
        {"patch": {"logins": [{"username": "trader1", "api_key": KEY}]}},
        {"patch": {"logins": {"trader1": KEY}}},
        {"patch": {"logins.trader1.api_key": KEY}},
        {"yaml": f"logins:\n  - username: trader1\n    api_key: {KEY}\n    accounts: all\n"},
        {"yaml": f"logins:\n  - api_key: {KEY}\n    username: trader1\n"},
        {"yaml": f"logins:\n  - username: trader1\n    api_key: >\n      {KEY}\n    accounts: all\n"},
        {"yaml": f"logins:\n  - username: trader1\n    api_key:\n      '{KEY}'\n"},
        {"yaml": f'logins: [{{username: trader1, "api_key": {KEY}}}]\n'},
    ],
)
def test_key_when_asked_for_in_any_form_is_taken_out_and_hidden_in_what_is_said_of_it(asked: dict[str, Any]) -> None:
    own = json.loads(json.dumps(asked).replace(KEY, f"{KEY}-{abs(hash(json.dumps(asked)))}"))
    secret = next(word for word in json.dumps(own).replace("\\n", " ").split() if KEY in word).strip("\"'{}[],\\")

    register_secrets(own)

    shown = json.dumps(without_secrets(own))
    assert KEY not in shown
    assert "trader1" in shown or "logins.0" in shown
    assert KEY not in redact(f"refused: the value {secret} is no group of keys")


def test_what_is_no_secret_when_noted_stays_readable() -> None:
    asked = {
        "file": "risk_config.yaml",
        "patch": [
            {"path": ["logins", "my.key", "accounts"], "value": "all"},
            {"path": ["logins", "trader1", "enabled"], "value": False},
            {"path": "logins.trader1.accounts", "value": [101, 102]},
            {"path": "rules.symbol_blocks.blocked_symbols", "value": ["RTY"]},
            {"path": "logins.trader1.api_key", "value": None},
        ],
        "yaml": "logins:\n  - username: a\n    api_key: keyring\n    accounts: all\n",
        "reason": "the keyword stays",
    }
    assert without_secrets(asked) == asked
    register_secrets(asked)
    assert redact("keyring, all, trader1, RTY") == "keyring, all, trader1, RTY"
