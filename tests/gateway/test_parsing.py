"""The gateway's JSON, as it is documented and as it should never be."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.units import from_iso
from daemon.gateway.parsing import (
    MalformedError,
    parse_account,
    parse_contract,
    parse_order,
    parse_position,
    parse_quote,
    parse_trade,
    token_expiry,
    unwrap,
)

POSITION = {
    "id": 6124, "accountId": 536, "contractId": "CON.F.US.GMET.J25",
    "creationTimestamp": "2024-07-21T19:52:32.175721+00:00",
    "type": 1, "size": 2, "averagePrice": 1575.75,
}  # fmt: skip
ORDER = {
    "id": 36598, "accountId": 704, "contractId": "CON.F.US.EP.U25", "symbolId": "F.US.EP",
    "creationTimestamp": "2025-07-18T21:00:01.268009+00:00", "updateTimestamp": "2025-07-18T21:00:01.2680094Z",
    "status": 1, "type": 4, "side": 1, "size": 3, "limitPrice": None, "stopPrice": 6300.25, "fillVolume": 1,
    "filledPrice": None, "customTag": "x", "parentOrderId": 7,
}  # fmt: skip
TRADE = {
    "id": 8604, "accountId": 203, "contractId": "CON.F.US.EP.H25",
    "creationTimestamp": "2025-01-21T16:13:52.523293+00:00",
    "price": 6065.25, "profitAndLoss": 50.0, "fees": 1.4, "commissions": 0.37, "side": 1, "size": 1, "voided": False,
    "orderId": 14328,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "size"), [(1, 2), (2, -2)])
def test_position_when_long_or_short_is_signed(kind: int, size: int) -> None:
    record = parse_position({**POSITION, "type": kind})
    assert (record.contract_id, record.size, record.average_price) == ("CON.F.US.GMET.J25", size, 1_575_750_000_000)
    assert record.created_at == from_iso("2024-07-21T19:52:32.175721+00:00")


@pytest.mark.parametrize("kind", [0, 1, 2, None, "x"])
def test_position_when_size_is_zero_is_flat_whatever_the_type(kind: object) -> None:
    assert parse_position({**POSITION, "type": kind, "size": 0}).size == 0


@pytest.mark.parametrize(
    "change",
    [
        {"type": 0},
        {"type": 3},
        {"type": None},
        {"size": None},
        {"size": -1},
        {"size": 1.5},
        {"size": True},
        {"size": "two"},
        {"averagePrice": "NaN"},
        {"averagePrice": float("inf")},
    ],
)
def test_position_when_unclear_is_malformed_and_names_its_contract(change: dict[str, object]) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_position({**POSITION, **change})
    assert caught.value.contract_id == "CON.F.US.GMET.J25"


def test_order_when_complete_keeps_every_field() -> None:
    order = parse_order(ORDER)
    assert (order.order_id, order.status, order.type, order.side, order.size, order.remaining) == (36598, 1, 4, 1, 3, 2)
    assert (order.limit_price, order.stop_price, order.parent_order_id) == (None, 6_300_250_000_000, 7)
    assert order.updated_at == from_iso("2025-07-18T21:00:01.268009Z")


def test_order_when_only_identified_counts_as_working() -> None:
    assert parse_order({"id": 1, "contractId": "X"}).working


@pytest.mark.parametrize("status", [2, 3, 4, 5])
def test_order_when_over_is_not_working(status: int) -> None:
    assert not parse_order({**ORDER, "status": status}).working


@pytest.mark.parametrize("key", ["id", "contractId"])
def test_order_when_it_could_not_be_cancelled_is_malformed(key: str) -> None:
    with pytest.raises(MalformedError):
        parse_order({**ORDER, key: None})


def test_trade_when_closing_has_exact_pnl_and_all_costs() -> None:
    trade = parse_trade({**TRADE, "profitAndLoss": -166.67}, 0)
    assert (trade.pnl, trade.fees, trade.order_id) == (-166_670_000, 1_770_000, 14328)


@pytest.mark.parametrize(
    "record", [{**TRADE, "profitAndLoss": None}, {k: v for k, v in TRADE.items() if k != "profitAndLoss"}]
)
def test_trade_when_pnl_is_null_or_left_out_is_an_opening_one(record: dict[str, Any]) -> None:
    assert parse_trade(record, 0).pnl is None


@pytest.mark.parametrize("pnl", ["much", float("nan"), True, [], {}])
def test_trade_when_pnl_is_no_number_is_malformed(pnl: object) -> None:
    with pytest.raises(MalformedError):
        parse_trade({**TRADE, "profitAndLoss": pnl}, 0)


def test_trade_when_its_time_is_unreadable_counts_as_now() -> None:
    assert parse_trade({**TRADE, "creationTimestamp": "yesterday"}, 77).created_at == 77


def test_account_when_can_trade_is_missing_leaves_it_open() -> None:
    assert parse_account({"id": 1, "name": "A", "balance": 50_000.5}).can_trade is None
    assert parse_account({"id": 1, "canTrade": False}).can_trade is False
    assert parse_account({"id": 1, "balance": 50_000.5}).balance == 50_000_500_000


def test_contract_when_documented_is_exact() -> None:
    contract = parse_contract(
        {"id": "CON.F.US.ENQ.U25", "name": "NQU5", "tickSize": 0.25, "tickValue": 5, "symbolId": "F.US.ENQ", "new": 1}
    )
    assert (contract.name, contract.tick_size, contract.tick_value) == ("NQU5", 250_000_000, 5_000_000)


@pytest.mark.parametrize("change", [{"tickSize": 0}, {"tickValue": None}, {"tickValue": -5}, {"id": ""}])
def test_contract_when_its_tick_is_of_no_use_is_malformed(change: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        parse_contract({"id": "X", "name": "X", "tickSize": 0.25, "tickValue": 5, **change})


def test_unwrap_when_bare_wrapped_or_listed_gives_the_records() -> None:
    a, b = {"id": 1}, {"id": 2, "data": {"x": 1}}
    assert list(unwrap(a)) == [a]
    assert list(unwrap({"action": 1, "data": a})) == [a]
    assert list(unwrap([a, {"action": 1, "data": [b]}])) == [a, b]


@pytest.mark.parametrize(
    ("price", "nanos"), [("21000.25", 21_000_250_000_000), ("", 0), ("x", 0), ("nan", 0), ("1e300", 0), ("1" * 21, 0)]
)
def test_quote_when_a_price_is_a_text_is_read_as_in_other_records(price: str, nanos: int) -> None:
    quote = parse_quote("X", {"bestBid": price}, 0)
    assert quote is not None
    assert quote.bid == nanos


def test_quote_when_last_is_zero_keeps_bid_and_ask() -> None:
    quote = parse_quote("X", {"bestBid": 21_000.25, "bestAsk": 21_000.5, "lastPrice": 0}, 5)
    assert quote is not None
    assert (quote.bid, quote.ask, quote.last, quote.at) == (21_000_250_000_000, 21_000_500_000_000, 0, 5)


@given(st.integers(-400_000, 400_000).map(lambda ticks: ticks * 0.25))
def test_quote_when_on_the_tick_grid_is_exact(price: float) -> None:
    quote = parse_quote("X", {"bestBid": price}, 0)
    assert quote is not None
    assert quote.bid == int(price * 4) * 250_000_000


def test_token_when_it_has_an_expiry_tells_it() -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_790_000_000}).encode()).rstrip(b"=").decode()
    assert token_expiry(f"e30.{claims}.sig") == 1_790_000_000_000_000


@given(st.text(max_size=80))
def test_token_when_anything_never_raises(token: str) -> None:
    assert token_expiry(token) is None or token.count(".") >= 1


records = st.dictionaries(
    st.sampled_from(sorted({*POSITION, *ORDER, *TRADE, "balance", "name", "tickSize", "tickValue"})),
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.lists(st.integers(), max_size=2),
)


@pytest.mark.parametrize(
    "parse", [parse_account, parse_contract, parse_order, parse_position, lambda record: parse_trade(record, 0)]
)
def test_record_when_anything_is_understood_or_malformed(parse: Callable[[object], object]) -> None:
    @given(records | st.none() | st.text() | st.lists(st.integers()))
    def check(record: object) -> None:
        try:
            parse(record)
        except MalformedError:
            return

    check()


@given(records)
def test_position_when_parsed_is_flat_only_if_the_size_says_zero(record: dict[str, Any]) -> None:
    try:
        size = parse_position(record).size
    except MalformedError:
        return
    assert (size == 0) == (str(record["size"]).removesuffix(".0").lstrip("-").strip("0") == "")
