"""Parameters of every method: what is refused is refused before a handler sees it, in one sentence."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import (
    METHODS,
    LockAccountParams,
    SetCredentialParams,
    TopicsParams,
    validate_params,
)

CONTRACT_PUBLIC = [
    "get_status",
    "get_accounts",
    "get_positions",
    "get_orders",
    "get_pnl",
    "get_lockouts",
    "get_rules",
    "get_enforcement_log",
    "subscribe",
    "lock_account",
    "auth_begin",
    "auth_finish",
    "unsubscribe",
]
CONTRACT_ADMIN = [
    "reload_config",
    "get_config",
    "set_config",
    "set_credential",
    "test_connection",
    "clear_lockout",
    "get_audit_log",
    "backup_now",
    "stop_daemon",
]


def test_table_when_compared_with_the_contract_has_every_method_with_its_right() -> None:
    public = {name for name, method in METHODS.items() if not method.admin}
    assert set(CONTRACT_PUBLIC) <= public
    # What anybody may call beyond the contract only reads.
    assert all(name.startswith("get_") for name in public - set(CONTRACT_PUBLIC))
    assert set(CONTRACT_ADMIN) <= {name for name, method in METHODS.items() if method.admin}


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("get_status", None),
        ("get_status", {}),
        ("get_pnl", {"account_id": 101}),
        ("get_lockouts", {}),
        ("get_lockouts", {"account_id": 101}),
        ("get_lockouts", {"account_id": None}),
        ("get_enforcement_log", {"limit": 5, "before_id": 9, "account_id": 101}),
        ("lock_account", {"account_id": 101, "minutes": 15, "reason": "enough"}),
        ("lock_account", {"account_id": 101, "until": "2026-11-21T22:00:00Z"}),
        ("set_config", {"yaml": "version: 1"}),
        ("set_config", {"patch": {"rules": {}}, "dry_run": True}),
        ("set_credential", {"username": "trader1", "api_key": "k" * 1280}),
        ("clear_lockout", {"id": 4, "reason": "mistake"}),
        ("subscribe", {"topics": ["pnl", "log"]}),
    ],
)
def test_params_when_good_are_taken(name: str, params: dict[str, Any] | None) -> None:
    validate_params(METHODS[name], params)


@pytest.mark.parametrize(
    ("name", "params", "names"),
    [
        ("get_status", {"x": 1}, "x"),
        ("get_pnl", None, "account_id"),
        ("get_pnl", {"account_id": "101"}, "account_id"),
        ("get_pnl", {"account_id": True}, "account_id"),
        ("get_pnl", {"account_id": 101.0}, "account_id"),
        ("get_pnl", {"account_id": -1}, "account_id"),
        ("get_pnl", {"account_id": 2**63}, "account_id"),
        ("get_enforcement_log", {"limit": 0}, "limit"),
        ("get_enforcement_log", {"limit": 1001}, "limit"),
        ("lock_account", {"account_id": 101}, "minutes or until"),
        ("lock_account", {"account_id": 101, "minutes": 5, "until": "2026-11-21T22:00:00Z"}, "minutes or until"),
        ("lock_account", {"account_id": 101, "minutes": 0}, "minutes"),
        ("lock_account", {"account_id": 101, "minutes": -5}, "minutes"),
        ("lock_account", {"account_id": 101, "minutes": 1.5}, "minutes"),
        ("lock_account", {"account_id": 101, "until": "2026-11-21T22:00:00"}, "UTC"),
        ("lock_account", {"account_id": 101, "until": "2026-11-21T22:00:00+01:00"}, "UTC"),
        ("lock_account", {"account_id": 101, "until": "tomorrow"}, "until"),
        ("set_config", {}, "yaml or patch"),
        ("set_config", {"yaml": "a: 1", "patch": {}}, "yaml or patch"),
        ("set_credential", {"username": "trader1", "api_key": "k" * 1281}, "api_key"),
        ("set_credential", {"username": " ", "api_key": "k"}, "username"),
        ("clear_lockout", {"id": 4, "reason": "  "}, "reason"),
        ("subscribe", {"topics": []}, "topics"),
        ("subscribe", {"topics": "pnl"}, "topics"),
        ("subscribe", {"topics": ["secrets"]}, "topics"),
        ("subscribe", {"topics": ["pnl"] * 65}, "topics"),
        ("auth_begin", {"client_nonce": "A" * 64}, "client_nonce"),
        ("auth_begin", {"client_nonce": "a" * 64 + "\n"}, "client_nonce"),
        ("get_status", {str(n): n for n in range(100_000)}, "too many"),
    ],
)
def test_params_when_bad_are_refused_with_a_sentence_that_names_them(
    name: str, params: dict[str, Any] | None, names: str
) -> None:
    with pytest.raises(RpcError) as caught:
        validate_params(METHODS[name], params)
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    assert names in caught.value.message
    assert name in caught.value.message
    assert len(caught.value.message) < 1000


def test_params_when_refused_do_not_show_the_secret() -> None:
    with pytest.raises(RpcError) as caught:
        validate_params(METHODS["set_credential"], {"username": "", "api_key": "hunter2" * 500})
    assert "hunter2" not in caught.value.message
    params = validate_params(METHODS["set_credential"], {"username": "t", "api_key": "hunter2"})
    assert isinstance(params, SetCredentialParams)
    assert "hunter2" not in repr(params)


def test_params_when_valid_carry_their_types() -> None:
    lock = validate_params(METHODS["lock_account"], {"account_id": 101, "until": "2026-11-21T22:00:00+00:00"})
    assert isinstance(lock, LockAccountParams)
    assert lock.until == datetime(2026, 11, 21, 22, tzinfo=UTC)
    topics = validate_params(METHODS["subscribe"], {"topics": ["pnl", "orders", "pnl"]})
    assert isinstance(topics, TopicsParams)
    assert topics.topics == ["pnl", "orders"]
