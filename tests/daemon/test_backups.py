"""A backup holds state and configuration, by hand and every day, and what comes of it is told."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from loguru import logger

from daemon.backups import KEPT, Backup, BackupError, Backups, back_up_configuration
from daemon.clock import ManualClock
from daemon.config_loader import load_accounts
from daemon.restore import read_configuration
from daemon.schedule import HISTORY_DAYS, Schedule
from daemon.store import StoreError
from shared.paths import Home
from tests.daemon.admin_world import desk
from tests.scenarios.world import eventually


class State:
    """Copies no database, or fails."""

    def __init__(self, error: StoreError | None = None) -> None:
        self.error = error

    async def backup(self, now: datetime) -> Path:
        if self.error is not None:
            raise self.error
        return Path("state-1.db")


def made_home(folder: Path) -> Home:
    home = Home(folder)
    home.create()
    home.risk_config_file.write_text("version: 1  # mine\n", encoding="utf-8")
    return home


async def test_backup_holds_both_even_if_the_other_fails(tmp_path: Path) -> None:
    home = made_home(tmp_path)
    made = await Backups(home, State()).make()
    assert made.state == "state-1.db" and (home.backups / made.configuration).exists()
    (home.backups / made.configuration).unlink()
    with pytest.raises(BackupError, match=r"^The disk is full\.$"):
        await Backups(home, State(StoreError("The disk is full."))).make()
    assert len(list(home.backups.glob("config-*.json"))) == 1


def test_configuration_backups_are_kept_in_bounds_and_files_that_are_no_text_left_out(tmp_path: Path) -> None:
    home = made_home(tmp_path)
    home.holidays_file.write_bytes(b"\xff\xfe\x00")
    for day in range(KEPT + 3):
        last = back_up_configuration(home, datetime(2026, 1, 1, 0, 0, day, tzinfo=UTC))
    names = sorted(path.name for path in home.backups.glob("config-*.json"))
    assert len(names) == KEPT and names[-1] == last.name
    assert list(json.loads(last.read_text(encoding="utf-8"))["files"]) == ["risk_config.yaml"]


class Parts:
    """What the timers work on."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.alerts: list[str] = []
        self.error: Exception | None = None
        self.pruned: list[tuple[int, int]] = []

    def beat(self) -> None:
        self.threads.append(threading.get_ident())

    def watch(self) -> None:
        self.threads.append(threading.get_ident())

    async def make(self) -> Backup:
        if self.error is not None:
            raise self.error
        return Backup("state-1.db", "config-1.json")

    async def prune(self, older_than_days: int, now: int) -> int:
        self.pruned.append((older_than_days, now))
        if self.error is not None:
            raise self.error
        return 3

    def schedule(self) -> Schedule:
        return Schedule(
            heartbeat=self,
            configuration=self,
            backups=self,
            store=self,
            clock=ManualClock(5),
            alert=self.alerts.append,
        )


async def test_timed_jobs_run_in_the_event_loop_and_end_with_the_stop() -> None:
    parts = Parts()
    schedule = parts.schedule()
    schedule.start()
    scheduler = schedule._scheduler
    assert {job.id for job in scheduler.get_jobs()} == {"heartbeat", "configuration files", "backup", "clean-up"}
    scheduler.modify_job("configuration files", next_run_time=datetime.now(UTC))
    await eventually(lambda: len(parts.threads) >= 2, "both jobs")
    assert set(parts.threads) == {threading.get_ident()}, "the engine is the event loop's alone"
    await schedule.stop()
    await asyncio.sleep(0)
    assert not scheduler.running
    await schedule.stop()


@pytest.mark.parametrize("turns", range(4))
async def test_timers_when_stopped_while_jobs_are_due_or_under_way_log_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    parts, begun = Parts(), asyncio.Event()

    async def make() -> Backup:
        begun.set()
        return await asyncio.Future()  # as long as it likes

    monkeypatch.setattr(parts, "make", make)
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING")
    schedule = parts.schedule()
    schedule.start()
    schedule._scheduler.modify_job("backup", next_run_time=datetime.now(UTC))
    await asyncio.wait_for(begun.wait(), 5)
    beats = len(parts.threads)
    with caplog.at_level(logging.WARNING):
        schedule._scheduler.modify_job("heartbeat", next_run_time=datetime.now(UTC))
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(schedule.stop(), 5)
        await asyncio.sleep(0.01)
    logger.remove(sink)

    assert (caplog.messages, lines) == ([], [])
    assert beats <= len(parts.threads) <= beats + 1
    assert not schedule._scheduler.running
    assert [task for task in asyncio.all_tasks() if "_carry_out" in repr(task)] == []


async def test_daily_job_that_breaks_is_told_and_begun_again_the_next_day(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, made = Parts(), list[int]()

    async def make() -> Backup:
        made.append(len(made))
        raise RuntimeError("no such thing")

    monkeypatch.setattr(parts, "make", make)
    lines: list[str] = []
    sink = logger.add(lines.append, level="ERROR")
    schedule = parts.schedule()
    schedule.start()
    for days in range(2):
        schedule._scheduler.modify_job("backup", next_run_time=datetime.now(UTC))
        await eventually(lambda begun=days + 1: len(made) == begun, f"day {days}")  # type: ignore[misc]
    await schedule.stop()
    logger.remove(sink)

    assert len(lines) == 2 and "The daily backup failed." in lines[0]


async def test_daily_jobs_that_fail_are_told() -> None:
    parts = Parts()
    schedule = parts.schedule()
    await schedule.back_up()
    await schedule.prune()
    assert parts.alerts == [] and parts.pruned == [(HISTORY_DAYS, 5)]
    parts.error = BackupError("The disk is full.")
    await schedule.back_up()
    parts.error = StoreError("The database is locked.")
    await schedule.prune()
    assert parts.alerts == [
        "The daily backup is not complete: The disk is full.",
        "Old rows of the database could not be deleted: The database is locked.",
    ]


async def test_configuration_of_the_daily_backup_can_be_restored(tmp_path: Path) -> None:
    async with desk(tmp_path, {"rules": {"daily_realized_loss": {"limit": -500}}}) as here:
        service = here.world.service
        (job,) = [step.end.__self__ for step in service.shutdown.steps if step.name == "the timers"]  # type: ignore[attr-defined]
        await job.back_up()
        kinds = {row["what"]: row["file"] for row in await here.call("list_backups")}
        assert set(kinds) == {"state", "configuration"}
        assert "-500" in read_configuration(service.home, kinds["configuration"])["risk_config.yaml"]
        here.world.home.risk_config_file.write_text("ipc: {port: 0}\nrules: {}\n", encoding="utf-8")
        await here.call("reload_config")
        assert service.configuration.pending_count > 0, "the limit is to go at the reset"
        await here.call("restore_backup", file=kinds["configuration"])
        assert service.configuration.pending_count == 0
        limit = service.configuration.wished.risk.rules.daily_realized_loss
        assert limit is not None and limit.limit == -500
        assert "-500" in here.world.home.risk_config_file.read_text(encoding="utf-8")


KEYED = "# mine\nlogins:\n  - username: a\n    api_key: Kk-77-literal  # old\n  - {username: b, api_key: keyring}\n"


def test_configuration_backup_holds_no_api_key_and_reading_it_gives_the_present_one_back(tmp_path: Path) -> None:
    home = made_home(tmp_path)
    home.accounts_file.write_text(KEYED, encoding="utf-8")
    older = home.backups / "config-20250101T000000Z.json"
    older.write_text(json.dumps({"version": 1, "files": {"accounts.yaml": KEYED}}), encoding="utf-8")

    made = back_up_configuration(home, datetime(2026, 1, 1, tzinfo=UTC))

    for path in (made, older):
        assert "Kk-77" not in path.read_text(encoding="utf-8")
        assert "# mine" in path.read_text(encoding="utf-8")
    text = read_configuration(home, made.name)["accounts.yaml"]
    logins = load_accounts(text).logins
    assert [login.api_key.get_secret_value() for login in logins] == ["Kk-77-literal", "keyring"]
    home.accounts_file.write_text("logins:\n  - username: a\n", encoding="utf-8")
    assert "Kk-77" not in read_configuration(home, made.name)["accounts.yaml"]


def test_configuration_backup_of_a_file_that_is_no_yaml_holds_no_api_key(tmp_path: Path) -> None:
    home = made_home(tmp_path)
    home.accounts_file.write_text(KEYED.replace("logins:", "logins: ["), encoding="utf-8")
    made = back_up_configuration(home, datetime(2026, 1, 1, tzinfo=UTC))
    assert "Kk-77" not in made.read_text(encoding="utf-8")


async def test_key_when_moved_to_the_key_store_stays_in_no_file_of_the_home(tmp_path: Path) -> None:
    async with desk(tmp_path, {"rules": {}}) as here:
        home = here.world.home
        await here.call("backup_now")
        here.keys.kept["RiskManager", "trader1"] = "key-of-trader1"
        step = {"path": ["logins", "trader1", "api_key"], "value": "keyring"}
        await here.call("set_config", file="accounts.yaml", patch=[step])

        def found() -> list[str]:
            files = [path for folder in (home.config, home.data) for path in folder.rglob("*") if path.is_file()]
            return [path.name for path in files if b"key-of-trader1" in path.read_bytes()]

        await eventually(lambda: not found(), "no file holds the key")
