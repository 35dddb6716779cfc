from __future__ import annotations

import base64
import json

import aiohttp
import pytest

from daemon.simulator import Simulator, SimulatorConfig

from .wire import Wire


def claims(token: str) -> dict[str, object]:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("user", "key", "code"), [("nobody", "key-1", 1), ("trader1", "wrong", 3), ("trader1", "key-2", 3)]
)
async def test_wrong_credentials(wire: Wire, user: str, key: str, code: int) -> None:
    answer = await wire.post("Auth/loginKey", userName=user, apiKey=key)
    assert (answer["success"], answer["errorCode"], answer["token"]) == (False, code, None)


@pytest.mark.parametrize("code", [3, 7, 9, 10])
async def test_login_can_be_refused_until_it_is_let_in_again(sim: Simulator, wire: Wire, code: int) -> None:
    sim.set_login_refusal("trader1", code)
    answer = await wire.post("Auth/loginKey", userName="trader1", apiKey="key-1")
    assert (answer["errorCode"], answer["token"]) == (code, None)
    sim.set_login_refusal("trader1", 0)
    assert (await wire.post("Auth/loginKey", userName="trader1", apiKey="key-1"))["success"]


async def test_token_is_a_jwt_that_expires_24_broker_hours_later(sim: Simulator, wire: Wire) -> None:
    expires = claims(wire.token)["exp"]
    assert isinstance(expires, int)
    assert 86_390 <= expires - sim.clock.utc().timestamp() <= 86_400
    sim.clock.advance(86_390)
    assert (await wire.request("Account/search", {}))[0] == 200
    sim.clock.advance(11)
    assert (await wire.request("Account/search", {}))[0] == 401
    assert (await wire.negotiate("user"))[0] == 401


async def test_validate_gives_a_fresh_token(sim: Simulator, wire: Wire) -> None:
    sim.clock.advance(80_000)
    answer = await wire.post("Auth/validate")
    old, wire.token = wire.token, answer["newToken"]
    sim.clock.advance(10_000)
    assert (await wire.request("Account/search", {}))[0] == 200
    wire.token = old
    assert (await wire.request("Auth/validate", {}))[0] == 401


async def test_logout_ends_the_session(wire: Wire) -> None:
    assert (await wire.post("Auth/logout"))["success"]
    assert (await wire.request("Account/search", {}))[0] == 401


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
async def test_bad_tokens_are_401(wire: Wire, token: str) -> None:
    wire.token = token
    assert (await wire.request("Account/search", {}))[0] == 401
    assert (await wire.request("Auth/validate", {}))[0] == 401


async def test_altered_token_is_401(wire: Wire) -> None:
    wire.token = wire.token[:-2] + ("AA" if wire.token[-2:] != "AA" else "BB")
    assert (await wire.request("Account/search", {}))[0] == 401


async def test_revoked_tokens_of_one_login(sim: Simulator, wire: Wire) -> None:
    other = await Wire(sim, wire.session).login("trader2", "key-2")
    assert sim.revoke_tokens("trader1") == 1
    assert (await wire.request("Account/search", {}))[0] == 401
    assert (await other.request("Account/search", {}))[0] == 200


async def test_limit_is_per_login_and_slides(sim: Simulator, wire: Wire) -> None:
    other = await Wire(sim, wire.session).login("trader2", "key-2")
    for _ in range(199):
        assert (await wire.request("Account/search", {}))[0] == 200
    headers = {"Authorization": f"Bearer {wire.token}"}
    async with wire.session.post(f"{sim.api_url}/Account/search", json={}, headers=headers) as response:
        assert response.status == 429
        assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert (await other.request("Account/search", {}))[0] == 200
    sim.clock.advance(61)
    assert (await wire.request("Account/search", {}))[0] == 200


async def test_limit_without_retry_after_and_without_limit() -> None:
    config = SimulatorConfig(rate_limit=2, retry_after=False)
    async with Simulator(config) as sim, aiohttp.ClientSession() as session:
        wire = await Wire(sim, session).login()
        headers = {"Authorization": f"Bearer {wire.token}"}
        assert (await wire.request("Account/search", {}))[0] == 200
        async with session.post(f"{sim.api_url}/Account/search", json={}, headers=headers) as response:
            assert (response.status, "Retry-After" in response.headers) == (429, False)
    async with Simulator(SimulatorConfig(rate_limit=None)) as sim, aiohttp.ClientSession() as session:
        wire = await Wire(sim, session).login()
        for _ in range(250):
            assert (await wire.request("Account/search", {}))[0] == 200


def test_only_loopback_is_served() -> None:
    with pytest.raises(ValueError, match="not a loopback address"):
        Simulator(SimulatorConfig(host="0.0.0.0"))
