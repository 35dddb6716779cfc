"""Positions, orders and trades follow the gateway: latest wins, a stale read overrides nothing, no row too many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.events import (
    ContractSeen,
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.store.book import Book, Pending
from shared.models import OrderStatus
from tests.store.samples import ES, MNQ, NOW, contract, open_store, order, position, query, trade


def tables(*events: Event) -> dict[str, dict[tuple[Any, ...], Any]]:
    """Rows after these events, each written at once, as a database would hold them."""
    book = Book()
    out: dict[str, dict[tuple[Any, ...], Any]] = {"positions": {}, "orders": {}, "trade_history": {}}
    for event in events:
        pending: Pending = {}
        book.apply(event, pending)
        for (table, key), row in pending.items():
            if row is None:
                out.setdefault(table, {}).pop(key, None)
            else:
                out.setdefault(table, {})[key] = row
    return out


def sizes(rows: dict[tuple[Any, ...], Any]) -> dict[Any, int]:
    return {key[1]: row["size"] if row["type"] == 1 else -row["size"] for key, row in rows.items()}


def test_position_when_closed_has_no_row() -> None:
    rows = tables(PositionUpdate(1, 101, position(2)), PositionUpdate(2, 101, position(0)))
    assert rows["positions"] == {}


def test_positions_when_read_replace_what_was_there() -> None:
    rows = tables(
        PositionUpdate(1, 101, position(2, MNQ)),
        PositionUpdate(1, 102, position(2, MNQ)),
        PositionsSnapshot(5, 101, 4, (position(-1, ES),)),
    )["positions"]
    assert {(key, row["size"], row["type"]) for key, row in rows.items()} == {((101, ES), 1, 2), ((102, MNQ), 2, 1)}


def test_positions_when_the_read_is_older_than_an_event_keep_the_event() -> None:
    rows = tables(
        PositionUpdate(5, 101, position(3, MNQ)),
        PositionUpdate(6, 101, position(0, ES)),
        PositionsSnapshot(7, 101, 4, (position(1, MNQ), position(1, ES))),
    )
    assert sizes(rows["positions"]) == {MNQ: 3}


def test_orders_when_read_drop_what_works_no_more_and_keep_how_others_ended() -> None:
    rows = tables(
        OrderUpdate(1, 101, order(1)),
        OrderUpdate(1, 101, order(2)),
        OrderUpdate(2, 101, order(2, status=OrderStatus.FILLED)),
        OrderUpdate(9, 101, order(4)),
        OrdersSnapshot(6, 101, 5, (order(3),)),
    )["orders"]
    assert {key[1]: row["status"] for key, row in rows.items()} == {2: OrderStatus.FILLED, 3: 1, 4: 1}


def test_orders_when_the_read_is_older_than_the_end_stay_ended() -> None:
    rows = tables(
        OrderUpdate(5, 101, order(1, status=OrderStatus.CANCELLED)),
        OrdersSnapshot(6, 101, 4, (order(1),)),
    )["orders"]
    assert rows[101, 1]["status"] == OrderStatus.CANCELLED


def test_order_when_its_contract_is_known_names_the_symbol() -> None:
    rows = tables(ContractSeen(1, contract()), OrderUpdate(2, 101, order(1)))["orders"]
    assert rows[101, 1]["symbol_id"] == "F.US.MNQ"


def test_trades_when_read_again_write_nothing_new_but_a_voided_one() -> None:
    book = Book()
    pending: Pending = {}
    many = tuple(trade(n) for n in range(1000))
    book.apply(TradesSnapshot(1, 101, 1, 0, many), pending)
    assert len(pending) == 1000
    pending.clear()
    book.apply(TradesSnapshot(2, 101, 2, 0, (*many[:-1], trade(999, voided=True))), pending)
    book.apply(TradeUpdate(3, 101, many[5]), pending)
    assert [key for _, key in pending] == [(101, 999)]


def test_everything_after_a_loss_of_the_file_is_what_is_held() -> None:
    book = Book()
    for event in (
        PositionUpdate(1, 101, position(2)),
        PositionUpdate(2, 101, position(0, ES)),
        OrderUpdate(3, 101, order(1)),
        OrderUpdate(3, 101, order(2, status=OrderStatus.FILLED)),
    ):
        book.apply(event, {})
    assert sorted((table, key) for table, key, _ in book.everything()) == [
        ("orders", (101, 1)),
        ("positions", (101, MNQ)),
    ]


_POSITION_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.sampled_from("ABC"), st.integers(-2, 2)),
        st.tuples(st.just("read"), st.dictionaries(st.sampled_from("ABC"), st.integers(-2, 2)), st.integers(0, 3)),
    ),
    max_size=25,
)


@given(_POSITION_EVENTS)
def test_positions_after_any_events_are_those_of_a_plain_model(steps: list[Any]) -> None:
    """The model: every contract's value and the time it was learnt; a read counts as of when it was sent."""
    model: dict[str, tuple[int, int]] = {}
    events: list[Event] = []
    for at, step in enumerate(steps, start=10):
        if step[0] == "update":
            model[step[1]] = (at, step[2])
            events.append(PositionUpdate(at, 101, position(step[2], step[1])))
            continue
        started = at - step[2]
        records: list[PositionRecord] = [position(size, name) for name, size in step[1].items()]
        events.append(PositionsSnapshot(at, 101, started, tuple(records)))
        for name in "ABC":
            if model.get(name, (0, 0))[0] <= started:
                model[name] = (started, step[1].get(name, 0))
    expected = {name: size for name, (_, size) in model.items() if size}
    assert sizes(tables(*events)["positions"]) == expected


_ORDER_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), st.integers(1, 3), st.sampled_from([1, 2, 3, 6, 8])),
        st.tuples(st.just("read"), st.sets(st.integers(1, 3)), st.integers(0, 3)),
    ),
    max_size=25,
)


@given(_ORDER_EVENTS)
def test_orders_after_any_events_work_as_in_a_plain_model(steps: list[Any]) -> None:
    model: dict[int, tuple[int, bool]] = {}
    events: list[Event] = []
    for at, step in enumerate(steps, start=10):
        if step[0] == "update":
            model[step[1]] = (at, order(1, status=step[2]).working)
            events.append(OrderUpdate(at, 101, order(step[1], status=step[2])))
            continue
        started = at - step[2]
        records: list[OrderRecord] = [order(number) for number in sorted(step[1])]
        events.append(OrdersSnapshot(at, 101, started, tuple(records)))
        for number in (1, 2, 3):
            if model.get(number, (0, False))[0] <= started:
                model[number] = (started, number in step[1])
    working = {key[1] for key, row in tables(*events)["orders"].items() if order(1, status=row["status"]).working}
    assert working == {number for number, (_, works) in model.items() if works}


async def test_store_when_restarted_and_read_again_drops_what_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.record_event(PositionUpdate(NOW, 101, position(2)))
    store.record_event(OrderUpdate(NOW, 101, order(1)))
    store.record_event(OrderUpdate(NOW, 101, order(2, status=OrderStatus.FILLED)))
    await store.close()
    store = open_store(tmp_path)
    state = store.load(0)
    assert (state.positions, state.orders) == ({101: [position(2)]}, {101: [order(1)]})
    store.record_event(PositionsSnapshot(NOW - 5, 101, NOW - 6, ()))
    store.record_event(OrdersSnapshot(NOW - 5, 101, NOW - 6, ()))
    await store.flush()
    assert query(store.path, "SELECT * FROM positions") == []
    assert query(store.path, "SELECT id, status FROM orders") == [(2, 2)]
    await store.close()
