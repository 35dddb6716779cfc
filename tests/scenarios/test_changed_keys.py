"""Another API key, by whatever way it comes: a wrong one leaves the account as protected as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.simulator import Login
from daemon.simulator import effects as fx
from shared.protocol import ErrorCode, RpcError
from tests.daemon.admin_world import desk
from tests.scenarios.world import World, eventually, world, write_accounts

LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}


async def still_protected(here: World) -> None:
    """A loss beyond the limit is enforced."""
    here.trader().buy("MNQ", 1)
    await eventually(lambda: here.service.engine.account(101).positions, "held")
    here.sim.inject_trade(101, "NQ", -600)
    await here.locked("RULE-003")
    await eventually(here.flat, "closed")


def write_key(here: World, key: str) -> None:
    login = here.sim.config.logins[0]
    write_accounts(here.home, here.sim, [Login(login.username, key, login.accounts)])


def key_in_force(here: World) -> str:
    return here.service.configuration.active.accounts.logins[0].api_key.get_secret_value()


async def test_key_when_set_config_brings_a_wrong_one_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        right, text = key_in_force(here), here.home.accounts_file.read_text(encoding="utf-8")
        admin = await here.admin()
        step: dict[str, Any] = {"path": ["logins", "trader1", "api_key"], "value": "garbage-key"}
        with pytest.raises(RpcError) as caught:
            await admin.call("set_config", {"file": "accounts.yaml", "patch": [step]})
        assert caught.value.code == ErrorCode.REFUSED_BY_POLICY
        assert "The API key of trader1 was not changed: The gateway does not accept" in str(caught.value)
        assert (key_in_force(here), here.home.accounts_file.read_text(encoding="utf-8")) == (right, text)

        # One that the gateway takes is in force at once.
        here.sim._login("trader1").api_key = "a-new-key"
        step["value"] = "a-new-key"
        done: Any = await admin.call("set_config", {"file": "accounts.yaml", "patch": [step]})
        await admin.close()
        assert [row["path"] for row in done["applied"]] == ["logins.trader1.api_key"]
        assert (key_in_force(here), done["pending"]) == ("a-new-key", [])
        await still_protected(here)


async def test_key_when_the_edited_file_brings_a_wrong_one_goes_on_with_the_right_one(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        right = key_in_force(here)
        alerts: list[str] = []
        here.service.configuration._on_alert = alerts.append
        here.service.configuration._trials._alert = alerts.append  # type: ignore[union-attr]
        write_key(here, "garbage-key")
        here.service.configuration.watch()
        await eventually(lambda: alerts, "it is told")
        assert alerts == [
            "accounts.yaml names another API key for trader1, which could not be used: The gateway does not accept"
            " this user name and API key. The key before it stays in force."
        ]
        assert key_in_force(here) == right
        # Nor does a restart take it up, though the file still holds it.
        await here.stop()
        await here.start()
        assert key_in_force(here) == right
        await still_protected(here)

        here.sim._login("trader1").api_key = "a-new-key"
        write_key(here, "a-new-key")
        here.service.configuration.watch()
        await eventually(lambda: key_in_force(here) == "a-new-key", "the key that the gateway takes is in force")


async def test_key_when_the_gateway_cannot_be_asked_stays_and_the_other_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.key_trials.AGAIN_UNREACHABLE_S", 0.05)
    async with world(tmp_path, LOSS) as here:
        right = key_in_force(here)
        here.sim.faults.add(fx.HttpStatus(503), path="Auth/loginKey")
        admin = await here.admin()
        step: dict[str, Any] = {"path": ["logins", "trader1", "api_key"], "value": "a-new-key"}
        with pytest.raises(RpcError) as caught:
            await admin.call("set_config", {"file": "accounts.yaml", "patch": [step]})
        await admin.close()
        assert caught.value.code == ErrorCode.GATEWAY_UNREACHABLE
        write_key(here, "a-new-key")
        here.service.configuration.watch()
        assert key_in_force(here) == right
        here.sim._login("trader1").api_key = "a-new-key"
        here.sim.faults.clear()

        def looked() -> bool:
            here.service.configuration.watch()
            return key_in_force(here) == "a-new-key"

        await eventually(looked, "tried again")


async def test_key_when_set_credential_brings_a_wrong_one_stays_in_the_key_store(tmp_path: Path) -> None:
    async with desk(tmp_path, LOSS) as here:
        here.keys.kept["RiskManager", "trader1"] = "key-of-trader1"
        step: dict[str, Any] = {"path": ["logins", "trader1", "api_key"], "value": "keyring"}
        await here.call("set_config", file="accounts.yaml", patch=[step])
        assert key_in_force(here.world) == "keyring"
        refusal = await here.refused("set_credential", username="trader1", api_key="garbage-key")
        assert refusal.code == ErrorCode.REFUSED_BY_POLICY
        assert here.keys.kept["RiskManager", "trader1"] == "key-of-trader1"
        here.world.sim._login("trader1").api_key = "a-new-key"
        await here.call("set_credential", username="trader1", api_key="a-new-key")
        assert here.keys.kept["RiskManager", "trader1"] == "a-new-key"
        await still_protected(here.world)
