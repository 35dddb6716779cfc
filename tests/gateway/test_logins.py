"""Logins: refused, unreachable, several, with expiring tokens, with accounts that come and go."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from daemon.broker import AnswerKind
from daemon.clock import ManualClock
from daemon.core.events import (
    AccountListed,
    AccountUpdate,
    ConnectionChanged,
    ContractSeen,
    PositionsSnapshot,
    PositionUpdate,
    TradesSnapshot,
)
from daemon.gateway.pool import Gateways
from daemon.gateway.status import LoginState
from daemon.simulator import Account, Login, SimulatorConfig
from daemon.simulator import effects as fx
from shared.config import AccountsConfig
from tests.gateway.world import DAY, FAST, QUIET, World, eventually, logins, world

ACCOUNT_101 = {"id": 101, "name": "A", "balance": 50000.0, "canTrade": True, "isVisible": True, "simulated": True}


def state(w: World, name: str = "trader1") -> LoginState:
    return next(s.state for s in w.gateways.status().logins if s.username == name)


async def test_start_when_all_is_well_tells_accounts_contracts_then_snapshots() -> None:
    async with world(logins(1, 2), logins=("trader1", "trader2"), timings=QUIET) as w:
        assert {e.account_ids for e in w.of(AccountListed)} == {(101, 102), (201, 202)}
        assert {e.account_id for e in w.of(AccountUpdate)} == {101, 102, 201, 202}
        assert len(w.of(ContractSeen)) == 10
        for account in (101, 102, 201, 202):
            assert w.of(PositionsSnapshot, account)
            assert next(s.since for s in w.of(TradesSnapshot, account)) <= w.clock.now() - DAY
        for name in ("trader1", "trader2"):
            changes = [(e.channel, e.up) for e in w.of(ConnectionChanged) if e.login == name and e.channel != "market"]
            assert changes == [("rest", True), ("user", True)]
        times = [e.at for e in w.events]
        assert times == sorted(times)


@pytest.mark.parametrize("code", [1, 2, 3, 7, 8, 9, 10])
async def test_login_when_refused_says_why_and_what_to_do_and_gets_in_later(code: int) -> None:
    async with world(timings=QUIET, started=False) as w:
        w.sim.set_login_refusal("trader1", code)
        await w.gateways.start()
        status = w.gateways.status().logins[0]
        assert status.state is LoginState.REFUSED
        assert w.alerts == [(f"Login trader1: {status.detail}", "")]
        assert (await w.gateways.close_position(101, "X")).kind is AnswerKind.NOT_SENT
        w.sim.set_login_refusal("trader1", 0)
        await eventually(w.ready)


@pytest.mark.parametrize(
    "effect",
    [
        fx.Patch({"token": None}),
        fx.Patch({"token": None, "success": False, "errorCode": 3}),
        fx.HttpStatus(401),
        fx.HttpStatus(500),
        fx.HttpStatus(400),
        fx.Html(),
        fx.Hang(),
        fx.Reset(),
        fx.HttpStatus(429),
    ],
)
async def test_login_when_it_fails_at_first_is_tried_again(effect: fx.Effect) -> None:
    async with world(timings=replace(QUIET, read=0.4), started=False) as w:
        w.sim.faults.add(effect, path="Auth/loginKey", count=2)
        await w.gateways.start()
        assert not w.ready()
        await eventually(w.ready)


async def test_login_when_gateway_is_unreachable_start_returns_and_it_heals() -> None:
    async with world(timings=QUIET, started=False) as w:
        gateways, port = w.gateways, w.sim.port
        await w.sim.stop()
        await gateways.start()
        assert state(w) is LoginState.UNREACHABLE
        assert w.alerted("cannot be reached")
        await w.sim.start(port)
        await eventually(w.ready)


async def test_login_when_its_key_cannot_be_read_is_refused_and_the_other_runs() -> None:
    async with world(
        logins(1, 2), logins=("trader1", "trader2"), timings=QUIET, keys={"trader2": "key-2"}, started=False
    ) as w:
        await w.gateways.start()
        assert (state(w), state(w, "trader2")) == (LoginState.REFUSED, LoginState.ONLINE)
        w.keys["trader1"] = "key-1"
        await w.gateways.renew_login("trader1")
        await eventually(w.ready)


async def test_login_when_another_fails_for_good_is_not_disturbed() -> None:
    async with world(logins(1, 2, 3), logins=("trader1", "trader2", "trader3"), timings=FAST, started=False) as w:
        w.sim.set_login_refusal("trader2", 9)
        await w.gateways.start()
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(301).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 101) and w.of(PositionUpdate, 301))
        assert (await w.gateways.close_position(301, w.sim.contract("MNQ").id)).kind is AnswerKind.ACCEPTED
        assert state(w, "trader2") is LoginState.REFUSED


async def test_login_when_another_watches_its_accounts_already_says_so() -> None:
    async with world(logins(1, 2), logins=("trader1", "trader2"), timings=QUIET, started=False) as w:
        w.sim.faults.add(fx.Patch({"accounts": [ACCOUNT_101]}), path="Account/search", count=None)
        await w.gateways.start()
        refused = [status for status in w.gateways.status().logins if status.state is LoginState.NO_ACCOUNTS]
        (watching,) = [status for status in w.gateways.status().logins if status.state is LoginState.ONLINE]
        assert [account.account_id for account in watching.accounts] == [101]
        assert [status.detail for status in refused] == [
            f"All accounts of {refused[0].username} are watched through another login already."
        ]


async def test_login_when_accounts_are_chosen_monitors_only_those() -> None:
    async with world(timings=QUIET, logins=[{"username": "trader1", "accounts": [102]}]) as w:
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(102).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 102))
        assert list(w.gateways.status().accounts) == [102]
        assert not [e for e in w.events if getattr(e, "account_id", 102) != 102]


async def test_login_when_a_chosen_account_does_not_exist_says_so() -> None:
    async with world(timings=QUIET, logins=[{"username": "trader1", "accounts": [101, 555]}]) as w:
        assert w.alerted("has no account 555")


async def test_account_when_opened_later_is_found_subscribed_and_read() -> None:
    async with world(timings=FAST) as w:
        w.sim.add_account("trader1", Account(199))
        w.sim.trader(199).buy("MNQ", 2)
        await eventually(lambda: w.of(PositionsSnapshot, 199))
        w.sim.trader(199).buy("MNQ", 1)
        await eventually(lambda: [e.position.size for e in w.of(PositionUpdate, 199)][-1:] == [3])
        assert w.of(AccountUpdate, 199)
        await eventually(w.ready)


async def test_accounts_when_the_list_is_empty_or_fails_stay_monitored() -> None:
    async with world(timings=FAST) as w:
        listed = len(w.of(AccountListed))
        w.sim.faults.add(fx.AccountList("empty"), path="Account/search")
        before = w.count("Account/search")
        await eventually(lambda: w.count("Account/search") > before + 2)
        assert len(w.of(AccountListed)) == listed
        assert w.alerted("lists no account")
        assert set(w.gateways.status().accounts) == {101, 102}
        w.sim.faults.clear()
        w.sim.faults.add(fx.HttpStatus(500), path="Account/search", count=2)
        await eventually(lambda: len(w.of(AccountListed)) > listed)


async def test_accounts_when_one_is_missing_or_order_changes_is_told_and_monitored_still() -> None:
    async with world(timings=FAST) as w:
        w.sim.faults.add(fx.AccountList("reversed"), path="Account/search", count=1)
        await eventually(lambda: w.of(AccountListed)[-1].account_ids == (102, 101))
        w.sim.faults.add(fx.AccountList("without_first"), path="Account/search")
        await eventually(lambda: w.of(AccountListed)[-1].account_ids == (102,))
        assert not w.gateways.status().accounts[101].listed
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 101))
        assert (await w.gateways.close_position(101, w.sim.contract("MNQ").id)).kind is AnswerKind.ACCEPTED


async def test_account_when_can_trade_is_taken_away_is_told_at_once_and_by_the_list() -> None:
    async with world(timings=QUIET) as w:
        w.sim.set_can_trade(101, False)
        await eventually(lambda: not w.of(AccountUpdate, 101)[-1].can_trade)
    async with world(timings=FAST) as w:
        w.sim.faults.add(fx.Drop(), event="account")
        w.sim.set_can_trade(101, False)
        await eventually(lambda: not w.of(AccountUpdate, 101)[-1].can_trade)


async def test_token_when_nearly_expired_is_refreshed_and_hubs_take_the_new_one() -> None:
    config = logins(1)
    config.token_ttl = 2.0
    async with world(config, timings=QUIET) as w:
        for _ in range(2):
            number = w.sim.connections("user")[0].number
            await eventually(lambda: any(c.number > number for c in w.sim.connections("user")), 4)  # noqa: B023
            await eventually(w.ready)
        assert w.count("Auth/validate") >= 2
        assert w.count("Auth/loginKey") == 1
        w.sim.trader(101).buy("MNQ", 1)
        assert (await w.gateways.close_position(101, w.sim.contract("MNQ").id)).kind is AnswerKind.ACCEPTED


async def test_token_when_validation_fails_logs_in_again() -> None:
    config = logins(1)
    config.token_ttl = 2.0
    async with world(config, timings=QUIET) as w:
        w.sim.faults.add(fx.HttpStatus(500), path="Auth/validate")
        await eventually(lambda: w.count("Auth/loginKey") >= 2, 4)
        await eventually(w.ready)


async def test_token_when_revoked_and_hub_drops_logs_in_again() -> None:
    async with world(timings=QUIET) as w:
        w.sim.revoke_tokens()
        w.sim.faults.add(fx.Close(1006), hub="*")
        await eventually(lambda: w.count("Auth/loginKey") >= 2)
        await eventually(w.ready)


async def test_token_when_revoked_and_key_is_no_longer_good_is_alerted_and_not_hammered() -> None:
    async with world(timings=replace(FAST, login_refused=(0.5,))) as w:
        w.sim.set_login_refusal("trader1", 3)
        start = w.count("Auth/loginKey")
        w.sim.revoke_tokens()
        await eventually(lambda: state(w) is LoginState.DEGRADED)
        assert [e.up for e in w.of(ConnectionChanged) if e.channel == "rest"][-1] is False
        await asyncio.sleep(1.0)
        assert w.count("Auth/loginKey") - start <= 4
        w.sim.set_login_refusal("trader1", 0)
        await eventually(lambda: state(w) is LoginState.ONLINE)
        await eventually(w.ready)


async def test_logout_when_the_gateway_says_it_makes_the_login_connect_anew() -> None:
    async with world(timings=QUIET) as w:
        number = w.sim.connections("user")[0].number
        w.sim.gateway_logout()
        await eventually(lambda: [c for c in w.sim.connections("user") if c.number != number])
        await eventually(w.ready)
        assert w.alerted("logged trader1 out")


async def test_rest_when_down_for_a_while_is_told_and_everything_read_afterwards() -> None:
    async with world(timings=FAST) as w:
        w.sim.faults.add(fx.Reset(), path="*")
        await eventually(lambda: state(w) is LoginState.DEGRADED)
        w.events.clear()
        w.sim.faults.clear()
        await eventually(lambda: state(w) is LoginState.ONLINE)
        await eventually(lambda: w.of(TradesSnapshot, 101) and w.of(TradesSnapshot, 102))
        assert [e.up for e in w.of(ConnectionChanged) if e.channel == "rest"] == [True]


async def test_logins_when_configuration_changes_come_and_go() -> None:
    async with world(logins(1, 2), timings=QUIET) as w:
        await w.gateways.apply(w.config(["trader2"]))
        assert set(w.gateways.status().accounts) == {201, 202}
        await eventually(lambda: {c.login.username for c in w.sim.connections("user")} == {"trader2"})
        await w.gateways.apply(w.config([{"username": "trader2", "accounts": [202]}, "trader1"]))
        await eventually(w.ready)
        assert set(w.gateways.status().accounts) == {202, 101, 102}
        assert (await w.gateways.close_position(201, "X")).kind is AnswerKind.NOT_SENT
        await w.gateways.apply(w.config([{"username": "trader2", "enabled": False}, "trader1"]))
        assert set(w.gateways.status().accounts) == {101, 102}


async def test_account_when_two_logins_see_it_belongs_to_one() -> None:
    config = SimulatorConfig(
        logins=[Login("trader1", "key-1", [Account(101)]), Login("trader2", "key-2", [Account(201)])], rate_limit=None
    )
    async with world(config, logins=("trader1", "trader2"), timings=QUIET) as w:
        w.sim._login("trader2").account_ids.append(101)
        w.events.clear()
        w.sim.faults.add(fx.Close(1006), hub="user", login="trader2")
        await eventually(w.ready)
        w.sim.trader(101).buy("MNQ", 1)
        await eventually(lambda: w.of(PositionUpdate, 101))
        assert len(w.of(PositionUpdate, 101)) == 1


@pytest.mark.parametrize("key", ["api_url", "user_hub_url", "market_hub_url"])
def test_gateways_when_loopback_is_required_refuses_any_other_host(key: str) -> None:
    gateway = dict.fromkeys(("api_url", "user_hub_url", "market_hub_url"), "http://127.0.0.1:1/api")
    config = AccountsConfig.model_validate({"gateway": {**gateway, key: "https://api.topstepx.com/api"}})
    with pytest.raises(ValueError, match="only a gateway on this machine"):
        Gateways(config, str, ManualClock(), print, print, abs, require_loopback=True)


async def test_connection_test_when_all_is_well_passes_every_step() -> None:
    async with world(timings=QUIET) as w:
        steps = await w.gateways.test_connection("trader1")
        assert [(s.name, s.ok) for s in steps] == [
            ("REST login", True),
            ("accounts", True),
            ("user hub", True),
            ("market hub", True),
        ]
        assert w.ready()


@pytest.mark.parametrize(
    ("effect", "match", "expected"),
    [
        (fx.HttpStatus(500), {"path": "Account/search"}, [True, False, True, True]),
        (fx.HttpStatus(401), {"path": "hubs/user/negotiate"}, [True, True, False, True]),
        (fx.NoHandshake(), {"hub": "market"}, [True, True, True, False]),
    ],
)
async def test_connection_test_when_a_step_fails_says_which(
    effect: fx.Effect, match: dict[str, str], expected: list[bool]
) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(effect, **match)
        steps = await w.gateways.test_connection("trader1")
        assert [s.ok for s in steps] == expected
        assert all(s.detail and s.mend for s in steps if not s.ok)


async def test_connection_test_when_key_is_wrong_stops_at_the_login() -> None:
    async with world(timings=QUIET) as w:
        steps = await w.gateways.test_connection("trader1", "wrong")
        assert [(s.name, s.ok) for s in steps] == [("REST login", False)]
        assert "key-1" not in str(steps)
