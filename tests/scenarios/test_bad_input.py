"""What users get wrong: one clear sentence, the exit code of the interface description, and nothing lost."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from daemon.__main__ import main
from daemon.commands.run import serve
from daemon.core.events import LockRequested
from daemon.service import Options, Service
from daemon.simulator import effects
from daemon.windows.event_log import Entry, EventLog
from shared.paths import Home
from shared.rpc_client import RpcClient
from tests.scenarios.fork_server import ROOT
from tests.scenarios.world import World, eventually, running, world, write_home, write_risk

LOSS = {"rules": {"daily_realized_loss": {"limit": -500}}}


async def refused(made: World, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a daemon that does not start: its exit code and what it said."""
    capsys.readouterr()
    code = await asyncio.wait_for(serve(Options(made.home, True, console_log=False, watchdog=False)), 20)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return code, said


BROKEN = {
    "not YAML": ("rules: {daily_realized_loss: {limit: -500\n", "risk_config.yaml"),
    "unknown key": ("rules: {daily_realised_loss: {limit: -500}}\n", "rules.daily_realised_loss"),
    "positive loss": ("rules: {daily_realized_loss: {limit: 500}}\n", "rules.daily_realized_loss.limit"),
    "wrong type": ("rules: {max_contracts: {limit: many}}\n", "rules.max_contracts.limit"),
    "unknown zone": ("reset: {timezone: Mars/Olympus}\n", "reset.timezone"),
    "not loopback": ("ipc: {host: 0.0.0.0}\n", "ipc.host"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_invalid_configuration_at_the_first_start_is_refused_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    text, named = BROKEN[case]
    async with world(tmp_path, LOSS, started=False) as made:
        made.home.risk_config_file.write_text(text, encoding="utf-8")
        code, said = await refused(made, capsys)
        assert code == 2
        assert named in said and "risk_config.yaml" in said
        assert made.home.risk_config_file.read_text(encoding="utf-8") == text
        # Mended, it starts: nothing of the refused start stands in the way.
        write_risk(made.home, LOSS)
        await made.start()


@pytest.mark.parametrize("damage", ["broken", "deleted"])
async def test_configuration_that_breaks_later_is_replaced_by_the_last_good_one(tmp_path: Path, damage: str) -> None:
    async with world(tmp_path, LOSS) as here:
        await here.stop()
        if damage == "broken":
            here.home.risk_config_file.write_text("rules: {max_contracts: {limit: many}}\n", encoding="utf-8")
        else:
            here.home.risk_config_file.unlink()
        await here.start()
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        assert "risk_config.yaml" in (here.home.logs / "error.log").read_text(encoding="utf-8")


async def test_configuration_that_breaks_while_running_changes_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        here.home.risk_config_file.write_text("rules: {}\nrules: [\n", encoding="utf-8")
        here.service.configuration.watch()
        here.home.accounts_file.unlink()
        here.service.configuration.watch()
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")


async def test_configuration_that_the_disk_does_not_take_is_taken_up_when_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    tighter = {"rules": {"daily_realized_loss": {"limit": -100}}}
    async with world(tmp_path, LOSS) as here:
        with monkeypatch.context() as disk:
            disk.setattr("daemon.config_state_store.write_atomically", full)
            write_risk(here.home, tighter)
            for _ in range(3):
                here.service.configuration.watch()
            said = (here.home.logs / "error.log").read_text(encoding="utf-8")
            assert said.count("cannot be stored") == 1
            await here.stop()
            # A start on the full disk protects by what was in force.
            await here.start(healthy=False)
            assert here.service.configuration.active.risk.rules.daily_realized_loss.limit == -500  # type: ignore[union-attr]
        here.service.configuration.watch()
        assert here.service.configuration.active.risk.rules.daily_realized_loss.limit == -100  # type: ignore[union-attr]


async def test_second_daemon_on_a_home_is_refused_and_the_first_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, LOSS) as here:
        endpoint = here.home.endpoint.read_text(encoding="utf-8")
        key = here.home.admin_key.read_bytes()
        code, said = await refused(here, capsys)
        assert code == 1
        assert said.startswith("Another daemon already runs on ") and said.count("\n") == 1
        assert here.home.endpoint.read_text(encoding="utf-8") == endpoint
        assert here.home.admin_key.read_bytes() == key
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")


async def test_port_in_use_is_told_and_another_is_taken(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with world(tmp_path, {"ipc": {"port": port}, **LOSS}) as here:
            found = json.loads(here.home.endpoint.read_text(encoding="utf-8"))["port"]
            assert found not in {0, port}
            assert (await here.call("get_status"))["status"] == "healthy"
            assert f"Port {port} on 127.0.0.1" in (here.home.logs / "daemon.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", ["home", "logs", "data", "database"])
async def test_home_that_cannot_be_used_is_refused_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    async with world(tmp_path / "home", LOSS, started=False) as made:
        if what == "home":
            made.home = Home(tmp_path / "file" / "home")
            (tmp_path / "file").write_text("in the way", encoding="utf-8")
        elif what == "database":
            made.home.database.mkdir()
        else:
            folder = made.home.logs if what == "logs" else made.home.data
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir()
            folder.rmdir()
            folder.write_text("in the way", encoding="utf-8")
        code, said = await refused(made, capsys)
        assert code == 1
        assert said.count("\n") == 1 and str(tmp_path) in said


async def test_database_of_a_newer_version_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, LOSS) as here:
        await here.stop()
        with closing(sqlite3.connect(here.home.database)) as database:
            database.execute("UPDATE alembic_version SET version_num = '9999'")
            database.commit()
        code, said = await refused(here, capsys)
        assert code == 1
        assert "newer version" in said and said.count("\n") == 1
        with closing(sqlite3.connect(here.home.database)) as database:
            assert database.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


async def test_garbage_for_a_database_is_set_aside_and_frees_nobody(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.stop()
        for name in ("state.db-wal", "state.db-shm"):
            (here.home.data / name).unlink(missing_ok=True)
        here.home.database.write_bytes(os.urandom(8192))
        await here.start()
        await here.locked("RULE-003")
        here.trader().buy("MNQ", 1)
        await eventually(lambda: here.sent("Position/closeContract") and here.flat(), "closed")
        assert await here.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]


async def test_deleted_data_folder_and_replica_free_nobody(tmp_path: Path) -> None:
    async with world(tmp_path, LOSS) as here:
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        await here.stop()
        for folder in (here.home.data, here.home.public):
            for path in folder.rglob("*"):
                if path.is_file():
                    path.unlink()
        await here.start()
        # The trades of the day are the broker's: judged at once.
        await here.locked("RULE-003")


async def test_unexpected_error_saves_all_and_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Service] = []
    original = Service.start

    async def start(self: Service) -> None:
        await original(self)
        started.append(self)

    monkeypatch.setattr(Service, "start", start)
    async with world(tmp_path, LOSS, started=False) as made:
        options = Options(made.home, True, made.timings, console_log=False, confirm_clock_seconds=0, watchdog=False)
        task = asyncio.create_task(serve(options))
        await eventually(lambda: started, "started", 20)
        (service,) = started
        made.sim.inject_trade(101, "NQ", -500)
        await eventually(lambda: service.engine.account(101).locks and not service.queue_depth(), "locked")

        def broken(*_: object) -> None:
            raise SystemError("the loop of decisions fails")

        # Whatever ends the one task that carries decisions out: no protection without it, so the daemon ends too.
        monkeypatch.setattr(service.dispatcher, "_apply", broken)
        told: list[tuple[Entry, str]] = []
        service.alarms.system_log = EventLog(lambda entry, text: told.append((entry, text)))
        service.dispatcher.deliver(LockRequested(service.clock.now(), 101, None, "test", "test"))
        assert await asyncio.wait_for(task, 30) == 1
        # Lockouts may be told in between: the shutdown works off what waits.
        ends = [(entry, text) for entry, text in told if entry in (Entry.CRASH, Entry.STOP)]
        assert [entry for entry, _ in ends] == [Entry.CRASH, Entry.STOP]
        assert all("unexpected error (SystemError)" in text for _, text in ends)
        with closing(sqlite3.connect(made.home.database)) as database:
            locks = database.execute("SELECT rule_id FROM lockouts WHERE cleared_at IS NULL").fetchall()
            assert ("RULE-003",) in locks
            assert database.execute("SELECT realized_pnl FROM daily_pnl").fetchall() != []
        assert "unexpected error" in (made.home.logs / "error.log").read_text(encoding="utf-8")


# ---- the other commands


def test_usage_errors_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["fly"], ["demo", "--speed", "0"], ["demo", "--seed", "x"], ["replay"], ["run", "--nonsense"]):
        assert main(words) == 2
        assert "usage: riskd" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert "simulate" in capsys.readouterr().out


def test_service_elsewhere_than_on_windows_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    if sys.platform == "win32":
        assert main(["service", "--help"]) == 0
        return
    assert main(["service", "status"]) == 2
    said = capsys.readouterr().err
    assert "Windows" in said and said.count("\n") == 1


async def test_check_names_every_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with world(tmp_path, LOSS, started=False) as made:
        assert main(["check", "--home", str(tmp_path)]) == 0
        assert "is valid" in capsys.readouterr().out
        made.home.risk_config_file.write_text(
            "rules:\n  daily_realized_loss: {limit: 500}\n  max_contracts: {limt: 3}\nreset: {time: late}\n",
            encoding="utf-8",
        )
        made.home.accounts_file.write_text("logins: [{username: a}, {username: a}]\n", encoding="utf-8")
        assert main(["check", "--home", str(tmp_path)]) == 2
        said = capsys.readouterr().err
        for named in ("rules.daily_realized_loss.limit", "rules.max_contracts", "reset.time", "accounts.yaml"):
            assert named in said
        assert len(said.splitlines()) >= 4


async def test_status_speaks_of_the_running_daemon(tmp_path: Path) -> None:
    async def ask(*words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "daemon",
            "status",
            "--home",
            str(tmp_path),
            *words,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async with world(tmp_path, LOSS) as here:
        code, out, _ = await ask("--json")
        assert code == 0
        assert json.loads(out)["accounts"]["101"]["lockout"] is False
        here.sim.inject_trade(101, "NQ", -500)
        await here.locked("RULE-003")
        here.sim.faults.add(effects.HttpStatus(503), path="*")
        await eventually(lambda: here.service.status() == "degraded", "degraded", 15)
        code, out, _ = await ask()
        assert code == 1
        assert "degraded" in out and "locked until" in out
        await here.stop()
        code, out, err = await ask("--json")
        assert (code, out) == (1, "")
        assert err.count("\n") == 1 and "Traceback" not in err


async def test_first_run_on_an_empty_home_writes_templates_and_runs(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    task = asyncio.create_task(serve(Options(home, True, console_log=False, watchdog=False)))
    try:
        code = None
        await eventually(lambda: home.endpoint.exists() or task.done(), "ready or refused", 20)
        if task.done():
            code = task.result()
        assert home.accounts_file.exists() and home.risk_config_file.exists() and home.holidays_file.exists()
        # The shipped templates name the live gateway, which tests refuse: said in one sentence, with 2.
        assert code in {None, 2}
        if code is None:
            async with RpcClient(home.endpoint) as client:
                await client.connect()
                status = await client.call("get_status")
                assert isinstance(status, dict) and status["status"] in {"degraded", "healthy"}
    finally:
        if not task.done():
            os.kill(os.getpid(), 2)
            await asyncio.wait_for(task, 20)


async def test_gateway_on_another_machine_is_refused_where_loopback_is_demanded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = World(tmp_path, LOSS)
    async with running(made, started=False) as here:
        write_home(tmp_path, here.sim, LOSS)
        text = here.home.accounts_file.read_text(encoding="utf-8").replace("http://127.0.0.1", "https://192.0.2.1")
        here.home.accounts_file.write_text(text, encoding="utf-8")
        code, said = await refused(here, capsys)
        assert code == 2
        assert "192.0.2.1" in said


async def test_home_when_a_folder_of_it_cannot_be_used_names_that_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with world(tmp_path, LOSS, started=False) as made:
        made.home.journal.rmdir()
        made.home.journal.write_text("in the way", encoding="utf-8")
        code, said = await refused(made, capsys)
        assert code == 1
        assert f"cannot be used: {made.home.journal} (" in said
