"""Restoring never frees a locked account, and brings back what is missing."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from daemon import restore
from daemon.auditing import BEGUN
from daemon.backups import back_up_configuration, list_backups
from daemon.store.database import migrate
from daemon.store.statements import STATEMENTS
from shared.paths import Home
from shared.protocol import ErrorCode
from tests.daemon.admin_world import desk
from tests.scenarios.world import eventually


def _database(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    migrate(path)
    return path


def _lock(path: Path, number: int, account: int, locked_at: int, cleared_at: int | None = None) -> None:
    row: dict[str, Any] = dict.fromkeys(STATEMENTS["lockouts"].columns)
    row |= {
        "id": number,
        "account_id": account,
        "rule_id": "RULE-003",
        "kind": "hard",
        "reason": "test",
        "locked_at": locked_at,
        "expires_at": locked_at + 10_000_000,
        "cleared_at": cleared_at,
        "cause": "",
        "baseline": {},
    }
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(STATEMENTS["lockouts"].upsert, STATEMENTS["lockouts"].bind(row))
        connection.commit()


def _locks(path: Path, *, active: bool) -> set[tuple[int, str]]:
    where = "cleared_at IS NULL" if active else "1"
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute(f"SELECT account_id, locked_at FROM lockouts WHERE {where}"))


@pytest.mark.parametrize("seed", range(20))
def test_merge_when_two_databases_differ_keeps_every_active_lockout_of_the_present_one(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    present, backup = _database(tmp_path / "present.db"), _database(tmp_path / "backup.db")
    for path in (present, backup):
        for number in range(1, chance.randint(1, 12)):
            locked_at = chance.randrange(1, 6) * 1_000_000
            cleared = chance.choice((None, locked_at + 5_000_000))
            _lock(path, number, chance.choice((101, 102)), locked_at, cleared)
    before, all_before, other = (
        _locks(present, active=True),
        _locks(present, active=False),
        _locks(backup, active=False),
    )
    restore.merge(present, backup)
    assert before <= _locks(present, active=True)
    assert all_before | other == _locks(present, active=False)
    again = restore.merge(present, backup)
    assert not any(again.values()), "a second restore finds nothing to bring back"


def test_merge_when_both_know_a_value_keeps_the_present_one(tmp_path: Path) -> None:
    present, backup = _database(tmp_path / "present.db"), _database(tmp_path / "backup.db")
    insert = "INSERT INTO session_state (account_id, key, value, updated_at) VALUES (?, ?, ?, ?)"
    moment = "2026-11-21T07:19:46.000000Z"
    for path, peak in ((present, "52000"), (backup, "50000")):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(insert, (101, "trailing_drawdown", peak, moment))
            if path == backup:
                connection.execute(insert, (102, "trailing_drawdown", "51000", moment))
                connection.execute("INSERT INTO daemon_state (key, value) VALUES ('lockouts_unknown', 'true')")
            connection.commit()
    assert restore.merge(present, backup)["session_state"] == 1
    with closing(sqlite3.connect(present)) as connection:
        found = dict(connection.execute("SELECT account_id, value FROM session_state"))
        assert found == {101: "52000", 102: "51000"}
        assert not connection.execute("SELECT 1 FROM daemon_state WHERE key = 'lockouts_unknown'").fetchone()


def test_stage_when_the_backup_is_damaged_says_so_and_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    (home.backups / "state-20260101T000000Z.db").write_bytes(b"no database" * 500)
    for name in ("state-20260101T000000Z.db", "state-20260101T000001Z.db", "../state.db"):
        with pytest.raises(restore.RestoreError) as refused:
            restore.stage(home, name)
        assert str(refused.value).endswith(".")
    assert not restore.staged(home)
    (home.data / "restore.json").write_text("{", encoding="utf-8")
    told: list[str] = []
    assert restore.apply_staged(home, told.append) is None
    assert told and not restore.staged(home)


def test_configuration_backup_when_read_gives_the_texts_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.risk_config_file.write_text("version: 1  # mine\n", encoding="utf-8")
    made = back_up_configuration(home, datetime(2026, 11, 21, 7, 19, 46, tzinfo=UTC))
    assert made.name == "config-20261121T071946Z.json"
    assert made.stat().st_mode & 0o077 == 0
    assert restore.read_configuration(home, made.name) == {"risk_config.yaml": "version: 1  # mine\n"}
    assert [row["what"] for row in list_backups(home)] == ["configuration"]


async def test_restore_when_an_account_was_locked_after_the_backup_leaves_it_locked(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        older = await here.call("backup_now")
        (lock,) = await here.call("lock_accounts", account_ids=[101], minutes=600, reason="enough")
        here.world.sim.inject_trade(102, "NQ", -700)
        await here.world.locked("RULE-003", 102)
        rows_before = (await here.call("get_audit_log"))["rows"]

        assert await here.call("restore_backup", file=older["file"]) == {"what": "state", "restarts": True}
        await eventually(lambda: here.world.service.status() == "stopping", "the daemon stops")
        await here.restart()
        for account, number in ((101, "MANUAL"), (102, "RULE-003")):
            assert number in here.world.locks(account)
        active = {row["id"] for row in await here.call("get_lockouts")}
        assert lock["id"] in active
        log = await here.call("get_audit_log")
        assert log["intact"] is True
        assert {row["hash"] for row in rows_before} <= {row["hash"] for row in log["rows"]}
        assert (await here.refused("restore_backup", file="state-20200101T000000Z.db")).code == ErrorCode.INVALID_PARAMS
        here.world.trader(101).buy("MNQ", 1)
        await eventually(lambda: here.world.sim.trades(101) and here.world.flat(101), "still enforced")


async def test_restore_when_the_configuration_loosens_waits_for_the_reset(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        older = (await here.call("backup_now"))["configuration"]
        await here.call(
            "set_config",
            patch={"rules": {"daily_realized_loss": {"limit": -300}, "daily_unrealized_loss": {"limit": -100}}},
        )
        rules = here.world.service.configuration.active.risk.rules
        assert rules.daily_realized_loss is not None and rules.daily_realized_loss.limit == -300
        preview = await here.call("restore_backup", file=older, dry_run=True)
        assert {change["path"]: change["effect"] for change in preview["changes"]} == {
            "rules.daily_realized_loss.limit": "loosens",
            "rules.daily_unrealized_loss.limit": "loosens",
        }
        answer = await here.call("restore_backup", file=older)
        assert len(answer["pending"]) == 2
        rows = (await here.call("get_audit_log"))["rows"]
        actions = [row["action"] for row in rows if row["result"] != BEGUN]
        assert actions[:3] == ["restore_backup", "set_config", "backup_now"], "a dry run is no action"
        rules = here.world.service.configuration.active.risk.rules
        assert rules.daily_realized_loss is not None and rules.daily_realized_loss.limit == -300
