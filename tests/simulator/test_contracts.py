from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from daemon.simulator import ContractTable
from daemon.simulator.contracts import MICRO, front_month, micro_dollars

DAY = dt.date(2026, 11, 21)


@pytest.mark.parametrize(
    ("symbol", "contract_id", "name", "tick_size", "tick_value"),
    [
        ("ES", "CON.F.US.EP.Z26", "ESZ6", "0.25", "12.5"),
        ("MES", "CON.F.US.MES.Z26", "MESZ6", "0.25", "1.25"),
        ("NQ", "CON.F.US.ENQ.Z26", "NQZ6", "0.25", "5"),
        ("MNQ", "CON.F.US.MNQ.Z26", "MNQZ6", "0.25", "0.5"),
        ("RTY", "CON.F.US.RTY.Z26", "RTYZ6", "0.1", "5"),
        ("M2K", "CON.F.US.M2K.Z26", "M2KZ6", "0.1", "0.5"),
        ("CL", "CON.F.US.CLE.F27", "CLF7", "0.01", "10"),
        ("MCL", "CON.F.US.MCLE.F27", "MCLF7", "0.01", "1"),
        ("GC", "CON.F.US.GCE.Z26", "GCZ6", "0.1", "10"),
        ("MGC", "CON.F.US.MGC.Z26", "MGCZ6", "0.1", "1"),
    ],
)
def test_contract_data_are_the_exchange_s(
    symbol: str, contract_id: str, name: str, tick_size: str, tick_value: str
) -> None:
    contract = ContractTable(DAY)[symbol]
    assert (contract.id, contract.name) == (contract_id, name)
    assert contract.tick_size == Decimal(tick_size)
    assert contract.tick_value == Decimal(tick_value) * MICRO
    assert contract.symbol_id == contract_id.removeprefix("CON.").rsplit(".", 1)[0]
    assert contract.payload()["tickValue"] == float(tick_value)


@pytest.mark.parametrize(
    ("cycle", "day", "expected"),
    [
        ("quarterly", dt.date(2026, 12, 13), (2026, 12)),
        ("quarterly", dt.date(2026, 12, 14), (2027, 3)),
        ("quarterly", dt.date(2026, 1, 2), (2026, 3)),
        ("oil", dt.date(2026, 11, 17), (2026, 12)),
        ("oil", dt.date(2026, 11, 18), (2027, 1)),
        ("oil", dt.date(2026, 12, 31), (2027, 2)),
        ("gold", dt.date(2026, 11, 23), (2026, 12)),
        ("gold", dt.date(2026, 11, 24), (2027, 2)),
        ("gold", dt.date(2026, 12, 31), (2027, 2)),
    ],
)
def test_front_month_rolls(cycle: str, day: dt.date, expected: tuple[int, int]) -> None:
    assert front_month(cycle, day) == expected


@pytest.mark.parametrize(
    ("symbol", "price", "ticks"),
    [
        ("MNQ", 21000.25, 84001),
        ("MNQ", "21000.1", None),
        ("RTY", 2500.1, 25001),
        ("CL", 59.99, 5999),
        ("CL", 59.995, None),
        ("MNQ", float("nan"), None),
        ("MNQ", float("inf"), None),
        ("MNQ", "abc", None),
    ],
)
def test_prices_become_whole_ticks_or_nothing(symbol: str, price: float | str, ticks: int | None) -> None:
    assert ContractTable(DAY)[symbol].ticks(price) == ticks


def test_every_tick_price_survives_json_and_back() -> None:
    for contract in ContractTable(DAY):
        for ticks in range(contract.first_price - 500, contract.first_price + 500):
            assert contract.ticks(contract.price(ticks)) == ticks


@pytest.mark.parametrize("amount", ["x", "inf", 0.0000001])
def test_amounts_that_are_not_micro_dollars_are_refused(amount: float | str) -> None:
    with pytest.raises(ValueError, match="is not"):
        micro_dollars(amount)


def test_search_puts_the_symbol_itself_first() -> None:
    table = ContractTable(DAY)
    assert [c.symbol for c in table.search("NQ")][:1] == ["NQ"]
    assert {c.symbol for c in table.search("nasdaq")} == {"NQ", "MNQ"}
    assert table.search("XYZ") == []
    assert len(table.search("")) == 10


def test_unknown_contract_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match="known symbols: ES, MES"):
        ContractTable(DAY)["BTC"]
