"""Times, money and prices as text: exact both ways, and of the form that other programs rely on."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.exc import StatementError
from sqlmodel import Session, SQLModel, select

from daemon.core.units import from_micros, to_iso
from shared.schema import (
    TABLES,
    LockoutRow,
    TradeRow,
    decimal_value,
    money_text,
    money_value,
    price_text,
    price_value,
    time_text,
    time_value,
)

YEAR_1 = -62_135_596_800_000_000
YEAR_9999 = 253_402_300_799_999_999


@given(st.integers(YEAR_1, YEAR_9999))
def test_time_when_written_and_read_is_the_same(at: int) -> None:
    text = time_text(at)
    assert len(text) == len("2026-11-21T07:19:46.000000Z")
    assert time_value(text) == at


@given(st.integers(0, 4_102_444_800_000_000))
def test_time_when_written_is_what_the_core_writes(at: int) -> None:
    assert time_text(at) == to_iso(at)
    assert datetime.fromisoformat(time_text(at)).astimezone(UTC) == from_micros(at)


@given(st.lists(st.integers(YEAR_1, YEAR_9999)))
def test_times_when_sorted_as_text_are_in_order(moments: list[int]) -> None:
    assert sorted(map(time_text, moments)) == list(map(time_text, sorted(moments)))


def test_time_when_beyond_the_calendar_is_clamped() -> None:
    assert time_text(10**30) == "9999-12-31T23:59:59.999999Z"
    assert time_text(-(10**30)) == "0001-01-01T00:00:00.000000Z"


@given(st.integers(-(10**30), 10**30))
def test_money_when_written_and_read_is_exact(micros: int) -> None:
    text = money_text(micros)
    assert money_value(text) == micros
    assert Decimal(text) == Decimal(micros).scaleb(-6, context=None) or abs(micros) >= 10**27
    assert "e" not in text.lower()


@given(st.integers(-(10**24), 10**24))
def test_price_when_written_and_read_is_exact(nanos: int) -> None:
    assert price_value(price_text(nanos)) == nanos


@pytest.mark.parametrize(
    ("micros", "text"),
    [(-510_740_000, "-510.74"), (0, "0.00"), (-1, "-0.000001"), (500_000_000, "500.00"), (100_500, "0.1005")],
)
def test_money_when_shown_has_at_least_cents(micros: int, text: str) -> None:
    assert money_text(micros) == text


@pytest.mark.parametrize(
    ("nanos", "text"), [(21_000_250_000_000, "21000.25"), (0, "0"), (-37_630_000_000, "-37.63"), (1, "0.000000001")]
)
def test_price_when_shown_has_no_superfluous_zeros(nanos: int, text: str) -> None:
    assert price_text(nanos) == text


@pytest.mark.parametrize("text", ["", "1e3", "1.1234567", "1.-5", "--1", " 1", "nan", "1,5", "1._5"])
def test_decimal_when_not_plain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        decimal_value(text, 6)


def test_models_when_stored_through_sqlmodel_come_back_equal() -> None:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    values: dict[str, Any] = {
        "account_id": 101,
        "rule_id": "RULE-006",
        "kind": "cooldown",
        "reason": "x",
        "locked_at": 1,
    }
    with Session(engine) as session:
        session.add(LockoutRow(id=1, **values, expires_at=None, baseline={"MNQ": -2}))
        session.commit()
    with Session(engine) as session:
        row = session.exec(select(LockoutRow)).one()
        assert (row.locked_at, row.expires_at, row.baseline, row.cause) == (1, None, {"MNQ": -2}, "")


def test_money_when_a_binary_float_is_refused_by_the_table() -> None:
    engine = create_engine("sqlite://")
    SQLModel.metadata.create_all(engine)
    values: dict[str, Any] = {"account_id": 1, "id": 1, "contract_id": "x", "creation_timestamp": 1, "price": 1}
    values |= {"fees": 0.5, "side": 0, "size": 1, "voided": False, "order_id": 1}
    with Session(engine) as session:
        session.add(TradeRow(**values))
        with pytest.raises(StatementError):
            session.commit()


def test_tables_when_made_are_all_strict() -> None:
    connection = sqlite3.connect(":memory:")
    engine = create_engine("sqlite://", creator=lambda: connection)
    SQLModel.metadata.create_all(engine)
    strict = {row[1] for row in connection.execute("PRAGMA table_list") if row[5] == 1}
    assert set(TABLES) <= strict
    connection.close()


def test_tables_when_listed_are_those_of_the_interface() -> None:
    assert {
        "lockouts", "daily_pnl", "contract_cache", "trade_history", "session_state", "positions", "orders",
        "enforcement_log", "reset_schedule", "audit_log",
    } <= set(TABLES)  # fmt: skip
    assert [column.name for column in TABLES["lockouts"].columns][:10] == [
        "id", "account_id", "rule_id", "kind", "symbol", "reason", "locked_at", "expires_at", "cleared_at",
        "cleared_by",
    ]  # fmt: skip
    assert [column.name for column in TABLES["enforcement_log"].columns][:12] == [
        "id", "account_id", "rule_id", "action", "contract_id", "order_id", "size", "reason", "triggered_at",
        "confirmed_at", "attempts", "result",
    ]  # fmt: skip
