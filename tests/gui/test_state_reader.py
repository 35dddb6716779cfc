"""The replica is read only, shortly, and whatever state it is in."""

import json
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.view import View
from gui.app_state import AppState
from gui.state_reader import ReplicaError, StateReader, symbol_of
from shared.paths import Home
from shared.schema import TABLES
from tests.gui import sample
from tests.gui.sample import APEX, HandClock


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.create()
    return made


def _database(path: Path) -> None:
    """A database with the real tables and one account's rows."""
    from sqlalchemy.dialects import sqlite
    from sqlalchemy.schema import CreateTable

    with sqlite3.connect(path) as db:
        for table in TABLES.values():
            db.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
        at = "2026-11-20T19:32:05.000000Z"
        rows: dict[str, dict[str, object]] = {
            "accounts": {
                "account_id": APEX, "login": "trader1", "name": "A", "can_trade": 1, "balance": "50000.5",
                "updated_at": at,
            },
            "daily_pnl": {
                "account_id": APEX, "trading_day": "2026-11-20", "realized_pnl": "-318.26", "trade_count": 9,
                "updated_at": at,
            },
            "reset_schedule": {
                "account_id": APEX, "trading_day": "2026-11-20", "last_reset_at": "2026-11-19T22:00:00.000000Z",
                "next_reset_at": "2026-11-20T22:00:00.000000Z",
            },
            "contract_cache": {
                "contract_id": "CON.F.US.ENQ.Z26", "name": "NQZ6", "tick_size": "0.25", "tick_value": "5.00",
                "symbol_id": "", "description": "", "updated_at": at,
            },
            "positions": {
                "account_id": APEX, "contract_id": "CON.F.US.ENQ.Z26", "id": 1, "creation_timestamp": at, "type": 1,
                "size": 2, "average_price": "21000.25", "updated_at": at,
            },
            "lockouts": {
                "id": 1, "account_id": APEX, "rule_id": "RULE-003", "kind": "hard", "reason": "loss", "locked_at": at,
                "expires_at": "2026-11-20T22:00:00.000000Z", "cause": "", "baseline": "{}",
            },
            "enforcement_log": {
                "id": 1, "account_id": APEX, "rule_id": "RULE-003", "action": "lockout_set", "reason": "loss",
                "triggered_at": at, "confirmed_at": at, "attempts": 1, "result": "confirmed",
            },
            "trade_history": {
                "account_id": APEX, "id": 5, "contract_id": "CON.F.US.ENQ.Z26", "creation_timestamp": at,
                "price": "21000.25", "profit_and_loss": "-60.00", "fees": "0.74", "side": 1, "size": 1, "voided": 0,
                "order_id": 7,
            },
        }  # fmt: skip
        for name, row in rows.items():
            names = ", ".join(row)
            db.execute(f"INSERT INTO {name} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


@pytest.fixture
def replica(home: Home) -> Iterator[View]:
    """The daemon's own replica over a small database."""
    _database(home.database)
    view = View(home.public, home.database)
    assert view.wait_ready(10)
    yield view
    view.close()


def _published(home: Home, key: str) -> bool:
    with sqlite3.connect(home.view) as db:
        return db.execute("SELECT 1 FROM view_state WHERE key = ?", (key,)).fetchone() is not None


def _publish(view: View, home: Home, key: str, value: object) -> None:
    view.publish(key, value)
    import time

    end = time.monotonic() + 10
    while not _published(home, key):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_reader_when_daemon_wrote_a_replica_gives_the_same_figures(home: Home, replica: View, hand: HandClock) -> None:
    _publish(replica, home, f"pnl {APEX}", sample.pnl("-318.26", "26.00", 9))
    state = AppState(hand)
    read = StateReader(home).read()
    state.load_replica(read.content, read.as_of)
    view = state.accounts[APEX]
    assert view.account.name == "A"
    assert view.account.balance == Decimal("50000.5")
    assert (view.pnl.realized, view.pnl.unrealized) == (Decimal("-318.26"), Decimal("26.00"))
    assert [(p.symbol, p.name, p.size) for p in view.positions or []] == [("NQ", "NQZ6", 2)]
    assert view.locked
    assert not view.account.monitored
    assert view.orders == []
    assert state.as_of is not None
    assert view.enforcement_log[0].reason == "loss"


def test_reader_when_asked_for_history_gives_it(home: Home, replica: View) -> None:
    reader = StateReader(home)
    assert [lock.lockout_id for lock in reader.lockouts(None)] == [1]
    assert reader.lockouts(999) == []
    assert [entry.entry_id for entry in reader.enforcement(APEX, None)] == [1]
    assert reader.enforcement(APEX, 1) == []
    trades = reader.trades(APEX)
    assert [(row["symbol"], row["profit_and_loss"]) for row in trades] == [("NQ", "-60.00")]


def test_reader_when_endpoint_names_another_file_follows_it(home: Home) -> None:
    home.endpoint.write_text(json.dumps({"view": "view-2.db"}), encoding="utf-8")
    assert StateReader(home).path() == home.public / "view-2.db"


@pytest.mark.parametrize("named", ["../data/state.db", "..\\data\\state.db", "/etc/passwd", "C:\\x\\state.db"])
def test_reader_when_endpoint_names_a_file_elsewhere_stays_in_public(home: Home, named: str) -> None:
    home.endpoint.write_text(json.dumps({"view": named}), encoding="utf-8")
    assert StateReader(home).path().parent == home.public


@pytest.mark.parametrize("content", ["", "{", "[]", '{"view": 3}', '{"view": ""}'])
def test_reader_when_endpoint_is_damaged_takes_the_usual_file(home: Home, content: str) -> None:
    home.endpoint.write_text(content, encoding="utf-8")
    assert StateReader(home).path() == home.view


def test_reader_when_there_is_no_replica_says_so(home: Home) -> None:
    with pytest.raises(ReplicaError, match="the daemon has not run"):
        StateReader(home).read()


def test_reader_when_replica_is_damaged_says_so(home: Home) -> None:
    home.view.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(ReplicaError, match="can't be read"):
        StateReader(home).read()


def test_reader_when_replica_is_empty_gives_nothing(home: Home) -> None:
    home.view.write_bytes(b"")
    assert StateReader(home).read().content["accounts"] == []


def test_reader_when_tables_are_of_another_version_gives_what_it_knows(home: Home) -> None:
    with sqlite3.connect(home.view) as db:
        db.execute("CREATE TABLE accounts (account_id INTEGER, nickname TEXT)")
        db.execute("INSERT INTO accounts VALUES (5, 'x')")
    content = StateReader(home).read().content
    assert content["accounts"][0]["account_id"] == 5
    assert content["positions"] == {5: []}


def test_reader_when_writer_holds_the_file_gives_up_soon(home: Home, replica: View) -> None:
    with sqlite3.connect(home.view) as db:
        db.execute("BEGIN EXCLUSIVE")
        # In WAL mode a writer never keeps a reader out.
        assert StateReader(home).read().content["accounts"]


def test_reader_when_reading_never_writes(home: Home, replica: View) -> None:
    with StateReader(home)._open() as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM lockouts")


@pytest.mark.parametrize(("name", "symbol"), [("MNQZ5", "MNQ"), ("ESH7", "ES"), ("RTY", "RTY"), ("", None)])
def test_symbol_when_contract_is_named_is_its_root(name: str, symbol: str | None) -> None:
    assert symbol_of(name) == symbol
