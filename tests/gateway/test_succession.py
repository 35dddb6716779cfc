"""A changed accounts.yaml while logins run: nothing ends before the gateway has let in what comes in its place."""

from __future__ import annotations

from daemon.broker import AnswerKind
from daemon.core.events import PositionUpdate
from daemon.gateway.status import LoginState
from daemon.simulator import Account, Login, SimulatorConfig
from tests.gateway.world import QUIET, World, eventually, world


def config() -> SimulatorConfig:
    return SimulatorConfig(
        logins=[
            Login("trader1", "key-1", [Account(101), Account(102)]),
            Login("trader2", "key-2", [Account(201)]),
        ],
        rate_limit=None,
        ping_interval=0.3,
    )


def state(w: World, username: str) -> LoginState:
    return next(login.state for login in w.gateways.status().logins if login.username == username)


async def protected(w: World, account: int) -> bool:
    """Whether what happens in the account is heard of, and its positions can be read."""
    w.events.clear()
    w.sim.trader(account).buy("MNQ", 1)
    await eventually(lambda: w.of(PositionUpdate, account), what=f"a push of {account}")
    return bool((await w.gateways.read_positions(account)).positions)


async def test_key_when_it_is_wrong_leaves_the_session_and_the_right_one_is_taken_up() -> None:
    async with world(config(), logins=({"username": "trader1", "api_key": "key-1"},), timings=QUIET) as w:
        session = w.gateways._sessions["trader1"]
        w.keys["trader1"] = "wrong"
        await w.gateways.apply(w.config([{"username": "trader1", "api_key": "wrong"}]))
        await eventually(lambda: w.alerted("The gateway does not accept"))
        assert w.gateways._sessions["trader1"] is session
        assert await protected(w, 101)
        w.keys["trader1"] = "key-1"
        await w.gateways.apply(w.config([{"username": "trader1", "api_key": "key-1"}]))
        await eventually(lambda: state(w, "trader1") is LoginState.ONLINE)


async def test_accounts_when_the_login_is_refused_go_on_as_they_were_until_it_is_let_in() -> None:
    async with world(config(), logins=({"username": "trader1", "accounts": [101]},), timings=QUIET) as w:
        w.sim.set_login_refusal("trader1", 3)
        await w.gateways.apply(w.config([{"username": "trader1", "accounts": [102]}]))
        assert w.alerted("Login trader1 goes on as it was: with the changed configuration, the gateway does not")
        assert await protected(w, 101)
        w.sim.set_login_refusal("trader1", 0)
        await eventually(lambda: set(w.gateways.status().accounts) == {102} and w.ready())
        assert await protected(w, 102)


async def test_account_when_it_moves_to_a_login_that_is_refused_stays_where_it_is() -> None:
    async with world(config(), logins=({"username": "trader1", "accounts": [101, 102]},), timings=QUIET) as w:
        w.sim._login("trader2").account_ids.append(102)
        w.sim.set_login_refusal("trader2", 9)
        moved = [{"username": "trader1", "accounts": [101]}, {"username": "trader2", "accounts": [102, 201]}]
        await w.gateways.apply(w.config(moved))
        assert await protected(w, 102)
        w.sim.set_login_refusal("trader2", 0)
        logins = {101: "trader1", 102: "trader2", 201: "trader2"}
        await eventually(lambda: {key: own.login for key, own in w.gateways.status().accounts.items()} == logins)
        await eventually(w.ready)
        assert await protected(w, 102)


async def test_login_when_its_name_is_changed_to_a_wrong_one_goes_on_until_the_name_is_right() -> None:
    async with world(config(), logins=("trader1",), timings=QUIET, keys={"trader1": "key-1", "nobody": "key-1"}) as w:
        await w.gateways.apply(w.config(["nobody"]))
        assert w.alerted("Login trader1 goes on protecting until nobody has got in")
        assert await protected(w, 101)
        w.keys["trader2"] = "key-2"
        await w.gateways.apply(w.config(["trader2"]))
        assert {login.username for login in w.gateways.status().logins} == {"trader2"}
        assert (await w.gateways.close_position(101, "X")).kind is AnswerKind.NOT_SENT


async def test_gateway_when_its_address_is_wrong_leaves_all_logins_where_they_are() -> None:
    async with world(config(), logins=("trader1", "trader2"), timings=QUIET) as w:
        wrong = w.config()
        address = wrong.gateway.model_copy(update={"api_url": "http://127.0.0.1:9/api"})
        await w.gateways.apply(wrong.model_copy(update={"gateway": address}))
        assert w.alerted("Login trader2 goes on as it was: with the changed configuration, the gateway cannot be")
        assert await protected(w, 101)
        assert await protected(w, 201)
        await w.gateways.apply(w.config())
        assert await protected(w, 101)


async def test_login_when_another_one_fails_is_still_widened_at_once() -> None:
    async with world(config(), logins=({"username": "trader1", "accounts": [101]},), timings=QUIET) as w:
        w.sim.set_login_refusal("trader2", 3)
        await w.gateways.apply(w.config(["trader1", "trader2"]))
        await eventually(lambda: {101, 102} == set(w.gateways.status().accounts))
        await eventually(lambda: w.gateways.status().accounts[102].reconciled)
        assert await protected(w, 102)
