"""Why the daemon is not healthy is said in sentences: over the socket, in `riskd status`, in the logs."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.gateway.status import AccountStatus, GatewayStatus, LoginState, LoginStatus
from daemon.gateway.supervisor import HubState
from daemon.problems import UnusedOverrides, problems, unknown_accounts, unused_overrides
from shared.config import AccountsConfig
from tests.scenarios.world import eventually, world, write_risk

CONFIG = AccountsConfig.model_validate(
    {"logins": [{"username": "a", "accounts": [101, 102]}, {"username": "b"}, {"username": "c", "accounts": [7]}]}
)
ACCOUNT = AccountStatus(101, "a", "Practice", True, True, True, True, 1, 1)


def login(name: str, state: LoginState, detail: str = "", *accounts: AccountStatus) -> LoginStatus:
    return LoginStatus(name, state, detail, HubState.UP, HubState.UP, 0, accounts)


def said(*logins: LoginStatus, time_known: bool = True) -> list[str]:
    return problems(GatewayStatus(logins), CONFIG, time_known=time_known)


def test_problems_when_all_is_well_are_none() -> None:
    assert said(login("a", LoginState.ONLINE, "", ACCOUNT)) == []


def test_problems_name_the_login_its_reason_and_its_accounts() -> None:
    assert said(login("a", LoginState.REFUSED, "the API key is wrong.")) == [
        "Login a: the API key is wrong. Accounts 101, 102 are not monitored at present."
    ]
    assert said(login("b", LoginState.UNREACHABLE)) == [
        "Login b: the gateway cannot be reached; check the network. Its accounts are not monitored at present."
    ]
    assert said(login("c", LoginState.ONLINE, "", replace(ACCOUNT, account_id=7, connected=False))) == [
        "Login c: its accounts' events do not arrive. Account 7 is not monitored at present."
    ]
    assert said(login("a", LoginState.ONLINE, "", replace(ACCOUNT, reconciled=False))) == [
        "Account 101 has not been read completely yet."
    ]
    assert len(said(time_known=False)) == 2


def test_unknown_accounts_are_those_named_for_a_login_that_has_not_got_in() -> None:
    status = GatewayStatus((login("a", LoginState.REFUSED), login("c", LoginState.ONLINE)))
    assert unknown_accounts(status, CONFIG, {101}) == [102]


def test_unused_override_is_told_once_and_only_when_all_accounts_are_listed() -> None:
    status = GatewayStatus((login("a", LoginState.UNREACHABLE),))
    told: list[str] = []
    watch = UnusedOverrides(lambda: unused_overrides({101, 999}, status, {101}), told.append)
    watch.look()
    assert told == []
    status = GatewayStatus((login("a", LoginState.ONLINE),))
    watch.look()
    watch.look()
    assert len(told) == 1 and "account 999, which no login has" in told[0]


async def test_login_when_refused_is_told_in_the_status_and_in_the_gateways_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, {"rules": {}}, started=False) as here:
        here.sim._login("trader1").api_key = "another-key"
        await here.start(healthy=False)
        status = await here.call("get_status")
        assert status["status"] == "degraded"
        (problem,) = [text for text in status["problems"] if "trader1" in text]
        code = await asyncio.to_thread(main, ["status", "--home", str(here.home.root)])
        out = capsys.readouterr().out
        assert code == 1
        assert " ".join(problem.split())[:40] in " ".join(out.split())
        here.service.logs.flush()
        for name in ("daemon", "api", "error"):
            assert "Login trader1" in (here.home.logs / f"{name}.log").read_text(encoding="utf-8"), name


async def test_override_of_an_account_that_does_not_exist_is_told(tmp_path: Path) -> None:
    async with world(tmp_path, {"rules": {}}) as here:
        write_risk(here.home, {"accounts": {999: {"rules": {"daily_realized_loss": {"limit": -5}}}}})

        def told() -> bool:
            here.service.logs.flush()
            return "rules for account 999" in (here.home.logs / "error.log").read_text(encoding="utf-8")

        await eventually(told, "the alert", 20)


async def test_audit_log_when_changed_while_the_daemon_was_down_is_told_at_the_start(tmp_path: Path) -> None:
    async with world(tmp_path, {"rules": {}}) as here:
        await here.service.audit.append("admin", "stop_daemon", {}, "done")
        await here.stop()
        with closing(sqlite3.connect(here.home.database)) as database, database:
            database.execute("UPDATE audit_log SET actor = 'nobody' WHERE id = 1")
        await here.start()

        def told() -> bool:
            here.service.logs.flush()
            said = (here.home.logs / "error.log").read_text(encoding="utf-8")
            return "Row 1 of the audit log was changed after it was written." in said

        await eventually(told, "the alert", 20)


async def test_points_of_the_start_are_logged_in_their_order(tmp_path: Path) -> None:
    async with world(tmp_path, {"rules": {}}) as here:
        await here.stop()
        await here.start()
        here.service.logs.flush()
        lines = (here.home.logs / "daemon.log").read_text(encoding="utf-8").splitlines()
        numbers = [line.split("[")[1][0] for line in lines if "/8] " in line]
        assert numbers[:5] == ["1", "2", "3", "4", "5"]
        assert numbers == sorted(numbers)


async def test_database_that_cannot_be_written_is_told_in_the_status(tmp_path: Path) -> None:
    async with world(tmp_path, {"rules": {}}) as here:
        store = here.service.store
        pages = "PRAGMA max_page_count = {}".format
        await store.execute(lambda c: c.execute(pages(c.execute("PRAGMA page_count").fetchone()[0])) and None)
        store.put_state("test", "y" * 100_000)
        await eventually(lambda: store.failing, "the disk is full")
        said = await here.call("get_status")
        assert any("database cannot be written" in text for text in said["problems"])
        assert said["status"] == "degraded"
        await store.execute(lambda c: c.execute(pages(1_000_000)) and None)
        await eventually(lambda: not store.failing, "written again")
        assert (await here.call("get_status"))["problems"] == []
