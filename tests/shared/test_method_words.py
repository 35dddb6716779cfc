"""Wrong parameters are told in a user's words, and a time is a text in UTC and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from shared.protocol import ErrorCode, RpcError
from shared.rpc_methods import METHODS, Method, validate_params


def refused(method: str, **params: Any) -> str:
    with pytest.raises(RpcError) as caught:
        validate_params(METHODS[method], params)
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    return caught.value.message


@pytest.mark.parametrize(
    "until",
    [1_800_000_000, 1_800_000_000_000, 1.8e9, "1800000000", "1800000000000", True, "2027-01-01", "tomorrow", {}],
)
@pytest.mark.parametrize("method", ["lock_account", "lock_accounts"])
def test_until_when_it_is_no_text_of_a_time_is_refused(method: str, until: object) -> None:
    account = {"account_id": 101} if method == "lock_account" else {}
    said = refused(method, **account, until=until, reason="x")
    assert said == f"{method}: until: must be a time in UTC, like 2026-11-21T07:19:46Z."


def test_until_when_it_is_not_utc_is_refused() -> None:
    for until in ("2027-01-01T10:00:00", "2027-01-01T10:00:00+01:00"):
        assert "must be a time in UTC" in refused("lock_account", account_id=1, until=until)
    for until in ("2027-01-01T10:00:00Z", "2027-01-01T10:00:00.123456Z", "2027-01-01T10:00:00+00:00"):
        validate_params(METHODS["lock_account"], {"account_id": 1, "until": until})


@pytest.mark.parametrize(
    ("method", "params", "said"),
    [
        ("get_pnl", {}, "get_pnl: account_id: is missing."),
        ("get_pnl", {"account_id": "a"}, "get_pnl: account_id: must be a whole number."),
        ("get_pnl", {"account_id": -1}, "get_pnl: account_id: must be at least 0."),
        ("get_pnl", {"account_id": 1, "x": 2}, "get_pnl: x: is not known here; get_pnl takes account_id."),
        ("get_status", {"x": 2}, "get_status: x: is not known here; get_status takes no parameters."),
        ("cancel_pending_config", {"id": "../x"}, "cancel_pending_config: id: is not written as it must be."),
        ("clear_lockout", {"id": 1, "reason": "\n\u202e"}, "clear_lockout: reason: must not be empty."),
        ("clear_lockout", {"id": 1, "reason": "x" * 501}, "clear_lockout: reason: must have at most 500 characters."),
        ("subscribe", {"topics": []}, "subscribe: topics: must have at least 1 entry."),
        ("get_log", {"level": "LOUD"},
         "get_log: level: must be one of TRACE, DEBUG, INFO, WARNING, ERROR or CRITICAL."),
    ],
)  # fmt: skip
def test_parameter_when_wrong_is_told_in_plain_words(method: str, params: dict[str, Any], said: str) -> None:
    assert refused(method, **params) == said


def said_of(method: Method, params: dict[str, Any]) -> str:
    try:
        validate_params(method, params)
    except RpcError as error:
        return error.message
    return ""


def test_no_sentence_holds_the_words_of_a_library() -> None:
    values: list[object] = [None, 1, -1, "", "\x00", [], {}, 1.5, True, ["x"] * 70, "y" * 600_000]
    for method in METHODS.values():
        for name in method.params.model_fields:
            for value in values:
                said = said_of(method, {name: value, "extra": 1}).replace(name, "")
                assert not [word for word in ("input", "should", "permitted", "pattern") if word in said], said
