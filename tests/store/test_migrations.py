"""Every schema there ever was is brought to today's, with its rows. A snapshot of each is kept in `schemas/`.

A new migration needs a snapshot of its own: run this module with the revision, and check the file in:
    uv run python -m tests.store.test_migrations 0002
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlmodel import SQLModel

from daemon.migrations.run import UnknownRevisionError, configuration, engine, upgrade
from daemon.store.database import migrate, stored_revision
from shared.models import LockoutKind
from shared.schema import SCHEMA_REVISION
from tests.store.samples import Alerts, open_store, query, sound

SNAPSHOTS = Path(__file__).parent / "schemas"
REVISIONS = [script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()][::-1]


def restore(revision: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((SNAPSHOTS / f"{revision}.sql").read_text(encoding="utf-8"))


def test_revisions_when_listed_are_one_line_that_ends_at_the_models() -> None:
    script = ScriptDirectory.from_config(configuration())
    assert script.get_heads() == [SCHEMA_REVISION]
    assert {path.stem for path in SNAPSHOTS.glob("*.sql")} == set(REVISIONS)


def test_new_database_when_migrated_is_what_the_models_say(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    upgrade(path)
    database = engine(path)
    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
    migrate(tmp_path / "models.db")
    assert stored_revision(tmp_path / "models.db") == stored_revision(path) == SCHEMA_REVISION

    def layout(file: Path) -> object:
        tables = [name for (name,) in query(file, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        strict = {row[1]: row[5] for row in query(file, "PRAGMA table_list")}
        return {
            name: (
                query(file, f"PRAGMA table_info({name})"),
                strict[name],
                sorted(row[1:] for row in query(file, f"PRAGMA index_list({name})")),
            )
            for name in tables
        }

    assert layout(path) == layout(tmp_path / "models.db")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_old_database_when_opened_is_backed_up_and_keeps_its_rows(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "data" / "state.db"
    restore(revision, path)
    alerts = Alerts()
    store = open_store(tmp_path, alerts)
    state = store.load(0)
    assert alerts == []
    assert [(one.id, one.account_id, one.kind, one.baseline) for one in state.lockouts] == [
        (1, 101, LockoutKind.COOLDOWN, {"CON.F.US.MNQ.Z26": 2})
    ]
    assert [one.id for one in state.ended] == [2]
    assert [one.id for one in state.actions] == [7]
    assert state.daily_pnl[0].realized == -510_740_000
    assert state.trades[101][0].pnl == -60_000_000
    assert state.positions[101][0].size == -2
    assert state.orders[101][0].stop_price == 20_990_250_000_000
    assert state.memories == {101: {"peak": {"equity": 1}}}
    assert state.contracts[0].tick_value == 500_000
    assert stored_revision(path) == SCHEMA_REVISION
    await store.close()
    assert sound(path)
    backups = list((path.parent / "backups").glob("*.db"))
    assert len(backups) == (0 if revision == SCHEMA_REVISION else 1)
    assert all(stored_revision(backup) == revision for backup in backups)


def test_migration_when_it_fails_leaves_the_old_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    from alembic import op

    calls: list[str] = []

    def failing(statement: str) -> None:
        calls.append(statement)
        if len(calls) == 5:
            raise RuntimeError("disk")
        op.get_bind().exec_driver_sql(statement)

    monkeypatch.setattr(op, "execute", failing)
    with pytest.raises(RuntimeError):
        upgrade(path)
    assert len(calls) == 5
    assert query(path, "SELECT count(*) FROM sqlite_schema") == [(0,)]


def test_migration_when_the_revision_is_unknown_says_which(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    upgrade(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'next'")
    with pytest.raises(UnknownRevisionError) as caught:
        upgrade(path)
    assert caught.value.revision == "next"


ROWS_0001 = """
INSERT INTO lockouts VALUES (1, 101, 'RULE-006', 'cooldown', NULL, 'Third entry', '2026-11-21T07:00:00.000000Z',
  '2026-11-21T07:01:00.000000Z', NULL, NULL, 'order 5', '{"CON.F.US.MNQ.Z26":2}', NULL, NULL, NULL);
INSERT INTO lockouts VALUES (2, 102, 'RULE-003', 'hard', NULL, 'Daily loss', '2026-11-20T07:00:00.000000Z',
  '2026-11-20T22:00:00.000000Z', '2026-11-20T22:00:00.000000Z', 'expiry', 'day', '{}', NULL, NULL, NULL);
INSERT INTO enforcement_log (id, account_id, rule_id, action, contract_id, size, reason, triggered_at, attempts,
  action_id, target, held) VALUES (3, 101, 'RULE-006', 'reduce_position', 'CON.F.US.MNQ.Z26', 1, 'cooldown',
  '2026-11-21T07:00:00.000000Z', 2, 7, 2, 3);
INSERT INTO daily_pnl VALUES (101, '2026-11-21', '-510.74', 3, '2026-11-21T07:00:00.000000Z');
INSERT INTO contract_cache VALUES ('CON.F.US.MNQ.Z26', 'MNQZ6', '0.25', '0.50', 'F.US.MNQ', 'Micro',
  '2026-11-21T07:00:00.000000Z');
INSERT INTO trade_history VALUES (101, 9, 'CON.F.US.MNQ.Z26', '2026-11-21T07:00:00.000000Z', '21000.25', '-60.00',
  '0.74', 1, 1, 0, 5);
INSERT INTO session_state VALUES (101, 'peak', '{"equity":1}', '2026-11-21T07:00:00.000000Z');
INSERT INTO accounts VALUES (101, 'trader1', 'Practice', 1, '50000.00', '2026-11-21T07:00:00.000000Z');
INSERT INTO positions VALUES (101, 'CON.F.US.MNQ.Z26', 4, '2026-11-21T07:00:00.000000Z', 2, 2, '21000.25',
  '2026-11-21T07:00:00.000000Z');
INSERT INTO orders VALUES (101, 5, 'CON.F.US.MNQ.Z26', 'F.US.MNQ', '2026-11-21T07:00:00.000000Z',
  '2026-11-21T07:00:00.000000Z', 1, 4, 0, 2, NULL, '20990.25', NULL, 0, NULL, NULL, NULL,
  '2026-11-21T07:00:00.000000Z');
INSERT INTO reset_schedule VALUES (101, '2026-11-21', '2026-11-20T22:00:00.000000Z', '2026-11-21T22:00:00.000000Z');
INSERT INTO daemon_state VALUES ('clock', '{"highest":1}');
"""
"""Rows of the first schema: later snapshots are made by migrating these."""


def snapshot(revision: str, folder: Path) -> None:
    """Write `schemas/<revision>.sql`."""
    path = folder / "snapshot.db"
    upgrade(path, REVISIONS[0])
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(ROWS_0001)
    upgrade(path, revision)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (SNAPSHOTS / f"{revision}.sql").write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        snapshot(sys.argv[1], Path(scratch))
