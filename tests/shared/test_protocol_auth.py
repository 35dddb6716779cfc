"""The challenge-response, the signatures and the login throttle, by the clock's hand."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admin_auth import (
    AdminGate,
    ClientHandshake,
    Login,
    LoginThrottle,
    ServerAuth,
    ServerNotProvenError,
    canonical_params,
    client_proof,
    request_mac,
    server_proof,
    session_key,
)

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
CLIENT = b"c" * 32
SERVER = b"\xab" * 32


def logged_in(gate: AdminGate | None = None, now: float = 0.0, **more: Any) -> tuple[ServerAuth, Any]:
    auth = ServerAuth(gate or AdminGate(KEY), **more)
    shake = ClientHandshake(KEY, CLIENT)
    finish = shake.finish_params(auth.begin(CLIENT.hex(), SERVER, now))
    assert auth.finish(finish["proof"], now) is Login.ACCEPTED
    return auth, shake.signer()


def right_proof(auth: ServerAuth, now: float, server_nonce: bytes = SERVER) -> str:
    assert auth.begin(CLIENT.hex(), server_nonce, now) is not None
    return client_proof(KEY, CLIENT, server_nonce).hex()


def fail(auth: ServerAuth, now: float) -> Login:
    auth.begin(CLIENT.hex(), SERVER, now)
    return auth.finish("00" * 32, now)


def test_proofs_when_computed_are_those_of_the_contract() -> None:
    def plain(label: bytes) -> bytes:
        return hmac.new(KEY, label + CLIENT + SERVER, hashlib.sha256).digest()

    assert server_proof(KEY, CLIENT, SERVER) == plain(b"server")
    assert client_proof(KEY, CLIENT, SERVER) == plain(b"client")
    assert session_key(KEY, CLIENT, SERVER) == plain(b"session")
    text = b'3\nset_config\n{"a":[1,{"b":2,"c":"x"}],"z":null}'
    wanted = hmac.new(plain(b"session"), text, hashlib.sha256).hexdigest()
    params = {"z": None, "a": [1, {"c": "x", "b": 2}]}
    assert request_mac(plain(b"session"), 3, "set_config", canonical_params(params)) == wanted


def test_login_when_both_know_the_key_is_accepted_and_requests_pass() -> None:
    auth, signer = logged_in()
    for params in ({"reason": "x", "id": 3}, None, {}, {"text": "Überschuß €"}, {"patch": {"b": 1.5, "a": [1, 2]}}):
        assert auth.check("clear_lockout", params, signer.sign("clear_lockout", params), 1.0) is None


@pytest.mark.parametrize("absent", ["{}", "null", ""])
def test_signature_when_params_are_absent_takes_every_way_to_write_that(absent: str) -> None:
    auth, _ = logged_in()
    mac = request_mac(session_key(KEY, CLIENT, SERVER), 1, "get_config", absent)
    assert auth.check("get_config", None, {"seq": 1, "mac": mac}, 0.0) is None


def test_signature_when_non_ascii_is_not_escaped_passes_too() -> None:
    auth, _ = logged_in()
    params = {"reason": "größer"}
    text = json.dumps(params, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    mac = request_mac(session_key(KEY, CLIENT, SERVER), 1, "clear_lockout", text)
    assert auth.check("clear_lockout", params, {"seq": 1, "mac": mac}, 0.0) is None


@pytest.mark.parametrize(
    "begin_result",
    [
        None,
        {},
        {"server_nonce": SERVER.hex()},
        {"server_nonce": SERVER.hex(), "proof": 5},
        {"server_nonce": SERVER.hex(), "proof": server_proof(OTHER_KEY, CLIENT, SERVER).hex()},
        {"server_nonce": SERVER.hex(), "proof": client_proof(KEY, CLIENT, SERVER).hex()},
        {"server_nonce": SERVER.hex(), "proof": server_proof(KEY, SERVER, CLIENT).hex()},
        {"server_nonce": SERVER.hex().upper(), "proof": server_proof(KEY, CLIENT, SERVER).hex()},
        {"server_nonce": CLIENT.hex(), "proof": server_proof(KEY, CLIENT, CLIENT).hex()},
        {"server_nonce": SERVER.hex()[:-2], "proof": server_proof(KEY, CLIENT, SERVER[:-1]).hex()},
    ],
)
def test_client_when_the_server_has_no_right_proof_gives_nothing_away(begin_result: object) -> None:
    shake = ClientHandshake(KEY, CLIENT)
    with pytest.raises(ServerNotProvenError):
        shake.finish_params(begin_result)
    with pytest.raises(RuntimeError):
        shake.signer()


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "x",
        "é",
        "00" * 32,
        client_proof(OTHER_KEY, CLIENT, SERVER).hex(),
        server_proof(KEY, CLIENT, SERVER).hex(),  # the server's own, reflected
        session_key(KEY, CLIENT, SERVER).hex(),
        client_proof(KEY, SERVER, CLIENT).hex(),
        client_proof(KEY, CLIENT, SERVER).hex().upper(),
    ],
)
def test_login_when_the_proof_is_wrong_fails(proof: str) -> None:
    auth = ServerAuth(AdminGate(KEY))
    auth.begin(CLIENT.hex(), SERVER, 0.0)
    assert auth.finish(proof, 0.0) is Login.FAILED
    assert not auth.in_session


def test_login_when_a_right_proof_is_used_again_fails() -> None:
    auth = ServerAuth(AdminGate(KEY))
    proof = right_proof(auth, 0.0)
    assert auth.finish("00" * 32, 0.0) is Login.FAILED
    assert auth.finish(proof, 0.0) is Login.FAILED  # the challenge was used up by the wrong one
    auth.begin(CLIENT.hex(), b"t" * 32, 0.0)
    assert auth.finish(proof, 0.0) is Login.FAILED  # and it does not fit the next


def test_login_when_the_proof_comes_on_another_connection_fails() -> None:
    gate = AdminGate(KEY)
    mine, other = ServerAuth(gate), ServerAuth(gate)
    proof = right_proof(mine, 0.0)
    other.begin(CLIENT.hex(), b"o" * 32, 0.0)
    assert other.finish(proof, 0.0) is Login.FAILED
    assert ServerAuth(gate).finish(proof, 0.0) is Login.FAILED


def test_login_when_the_challenge_is_old_fails() -> None:
    auth = ServerAuth(AdminGate(KEY), handshake_seconds=30.0)
    proof = right_proof(auth, 0.0)
    assert auth.finish(proof, 30.1) is Login.FAILED
    assert auth.finish(right_proof(auth, 31.0), 61.0) is Login.ACCEPTED


@pytest.mark.parametrize("nonce", ["", "c" * 63, "C" * 64, "g" * 64, "c" * 64 + "\n", "c" * 66])
def test_begin_when_the_nonce_is_no_nonce_gives_no_challenge(nonce: str) -> None:
    assert ServerAuth(AdminGate(KEY)).begin(nonce, SERVER, 0.0) is None


def test_request_when_changed_repeated_or_reordered_is_refused_and_the_true_one_still_passes() -> None:
    auth, signer = logged_in()
    first = signer.sign("set_config", {"patch": {"a": 1}})
    assert auth.check("set_config", {"patch": {"a": 2}}, first, 0.0) is not None
    assert auth.check("stop_daemon", {"patch": {"a": 1}}, first, 0.0) is not None
    assert auth.check("set_config", {"patch": {"a": 1}}, {**first, "seq": 2}, 0.0) is not None
    assert auth.check("set_config", {"patch": {"a": 1}}, first, 0.0) is None
    assert auth.check("set_config", {"patch": {"a": 1}}, first, 0.0) is not None
    second = signer.sign("get_config", None)
    assert auth.check("get_config", None, second, 0.0) is None


def test_request_when_tampered_with_too_often_ends_the_session() -> None:
    auth, signer = logged_in(max_tampered=3)
    good = signer.sign("get_config", None)
    for _ in range(3):
        assert auth.check("get_config", None, {"seq": 1, "mac": "00"}, 0.0) is not None
    assert not auth.in_session
    assert auth.check("get_config", None, good, 0.0) is not None


@pytest.mark.parametrize(
    "member", [None, 5, "x", [], {}, {"seq": True, "mac": "x"}, {"seq": "1", "mac": "x"}, {"seq": 1}]
)
def test_request_when_the_auth_member_is_odd_is_refused(member: object) -> None:
    auth, _ = logged_in()
    assert auth.check("get_config", None, member, 0.0) is not None


def test_request_when_the_mac_is_another_sessions_is_refused() -> None:
    auth, _ = logged_in()
    mac = request_mac(session_key(KEY, CLIENT, b"t" * 32), 1, "get_config", "{}")
    assert auth.check("get_config", None, {"seq": 1, "mac": mac}, 0.0) is not None


def test_request_when_nested_deeper_than_can_be_written_is_refused_not_raised() -> None:
    auth, _ = logged_in()
    deep: Any = []
    for _ in range(200_000):
        deep = [deep]
    assert auth.check("get_config", {"a": deep}, {"seq": 1, "mac": "00"}, 0.0) is not None
    while deep:  # taken apart by hand: the collector would recurse
        deep = deep.pop()


def test_session_when_idle_ends() -> None:
    auth, signer = logged_in(idle_seconds=900.0)
    assert auth.check("get_config", None, signer.sign("get_config", None), 899.0) is None
    assert not auth.expire(1798.0)
    assert auth.expire(1799.0)
    assert auth.check("get_config", None, signer.sign("get_config", None), 1799.0) is not None


def test_throttle_when_five_fail_within_a_minute_pauses_everybody_for_a_minute() -> None:
    gate = AdminGate(KEY)
    attackers = [ServerAuth(gate) for _ in range(5)]
    outcomes = [fail(attacker, 10.0 * n) for n, attacker in enumerate(attackers)]
    assert outcomes == [Login.FAILED] * 4 + [Login.FAILED_AND_PAUSED]
    admin = ServerAuth(gate)
    assert admin.finish(right_proof(admin, 40.0), 40.0) is Login.PAUSED_BUT_PROVEN
    assert not admin.in_session
    assert admin.wait_seconds(40.0) == 60.0
    late = ServerAuth(gate)
    assert late.finish(right_proof(late, 100.0), 100.0) is Login.ACCEPTED


def test_throttle_when_failures_are_spread_does_not_pause() -> None:
    throttle = LoginThrottle()
    assert not any(throttle.failed(15.0 * n) for n in range(100))


def test_throttle_when_somebody_fails_all_the_time_a_proven_admin_gets_in_after_one_pause() -> None:
    gate = AdminGate(KEY)
    attacker, admin, newcomer = ServerAuth(gate), ServerAuth(gate), ServerAuth(gate)
    outcomes: dict[float, Login] = {}
    for tick in range(1300):
        now = tick / 10.0
        fail(attacker, now)
        if tick in (100, 599, 615):
            outcomes[now] = admin.finish(right_proof(admin, now), now)
        if tick == 615:
            # Five failures are needed to pause anew, which the attacker has had the time for: others still wait.
            assert gate.throttle.paused(now)
            assert newcomer.finish(right_proof(newcomer, now), now) is Login.PAUSED_BUT_PROVEN
    assert outcomes == {10.0: Login.PAUSED_BUT_PROVEN, 59.9: Login.PAUSED_BUT_PROVEN, 61.5: Login.ACCEPTED}
    assert admin.in_session


def test_throttle_when_paused_answers_right_and_wrong_proofs_alike_and_a_session_goes_on() -> None:
    gate = AdminGate(KEY)
    admin, signer = logged_in(gate)
    attacker = ServerAuth(gate)
    for _ in range(5):
        fail(attacker, 0.0)
    assert fail(attacker, 1.0) is Login.PAUSED
    assert attacker.finish("00" * 32, 60.0) is Login.FAILED
    assert admin.check("get_config", None, signer.sign("get_config", None), 1.0) is None


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_handshake_when_nonces_are_any_agrees_on_a_session(key: bytes, client: bytes, server: bytes) -> None:
    if client == server:
        return
    auth = ServerAuth(AdminGate(key))
    shake = ClientHandshake(key, client)
    finish = shake.finish_params(auth.begin(client.hex(), server, 0.0))
    assert auth.finish(finish["proof"], 0.0) is Login.ACCEPTED
    assert auth.check("m", {"a": 1}, shake.signer().sign("m", {"a": 1}), 0.0) is None


@pytest.mark.parametrize("length", [0, 31, 33])
def test_key_when_of_a_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AdminGate(b"x" * length)
    with pytest.raises(ValueError, match="32 bytes"):
        ClientHandshake(b"x" * length, CLIENT)


def test_gate_when_printed_does_not_show_the_key() -> None:
    assert KEY.hex() not in repr(AdminGate(KEY))
    assert repr(KEY)[2:20] not in repr(AdminGate(KEY))
