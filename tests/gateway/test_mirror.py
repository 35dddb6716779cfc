"""A frozen stream is told from a quiet one, a late one and one that never tells of stops."""

from __future__ import annotations

from daemon.core.events import OrderRecord, PositionRecord, TradeRecord
from daemon.gateway.mirror import ORDERS_KEPT, AccountMirror, FillWatch


def position(size: int, contract: str = "MNQ") -> PositionRecord:
    return PositionRecord(contract, size, 0)


def order(order_id: int, kind: int = 1, status: int = 1) -> OrderRecord:
    return OrderRecord(order_id, "MNQ", status, kind, 0, 1)


def test_positions_when_first_read_are_no_surprise() -> None:
    assert AccountMirror().read_positions([position(2)], 10) == []


def test_positions_when_read_as_pushed_are_no_surprise() -> None:
    mirror = AccountMirror()
    mirror.read_positions([], 0)
    mirror.push_position(position(2), 5)
    assert mirror.read_positions([position(2)], 10) == []
    mirror.push_position(position(0), 15)
    assert mirror.read_positions([], 20) == []


def test_positions_when_read_otherwise_than_pushed_are_a_surprise_once() -> None:
    mirror = AccountMirror()
    mirror.read_positions([], 0)
    assert [s.key for s in mirror.read_positions([position(2)], 10)] == ["MNQ"]
    assert mirror.read_positions([position(2)], 20) == []
    assert [s.key for s in mirror.read_positions([], 30)] == ["MNQ"]
    assert mirror.positions == {}


def test_positions_when_pushed_after_the_read_began_keep_the_push() -> None:
    mirror = AccountMirror()
    mirror.read_positions([], 0)
    mirror.push_position(position(3), 12)
    assert mirror.read_positions([], 10) == []
    assert mirror.positions["MNQ"].size == 3


def test_surprise_when_pushed_late_is_known_as_pushed() -> None:
    mirror = AccountMirror()
    mirror.read_positions([], 0)
    (surprise,) = mirror.read_positions([position(2)], 10)
    assert not mirror.pushed_since(surprise.key, surprise.started_at)
    mirror.push_position(position(2), 11)
    assert mirror.pushed_since(surprise.key, surprise.started_at)


def test_orders_when_a_stop_appears_unpushed_is_no_surprise_but_others_and_vanishing_are() -> None:
    mirror = AccountMirror()
    mirror.read_orders([], 0)
    assert mirror.read_orders([order(1, kind=4)], 10) == []
    assert [s.key for s in mirror.read_orders([order(1, kind=4), order(2)], 20)] == [2]
    assert [s.key for s in mirror.read_orders([order(2)], 30)] == [1]
    mirror.push_order(order(2, status=3), 40)
    assert mirror.read_orders([], 50) == []


def test_mirror_when_thousands_of_orders_pass_forgets_old_ones() -> None:
    mirror = AccountMirror()
    for number in range(5000):
        mirror.push_order(order(number, status=2), number * 1_000_000)
    mirror.read_orders([], 5_000_000_000)
    assert len(mirror._pushed) < 700


def fill(trade_id: int, order_id: int = 1, size: int = 1, *, voided: bool = False) -> TradeRecord:
    return TradeRecord(trade_id, "MNQ", 0, 0, None, 0, 0, size, voided, order_id)


def filled(volume: int, order_id: int = 1) -> OrderRecord:
    return OrderRecord(order_id, "MNQ", 1, 1, 0, 9, fill_volume=volume)


def test_fills_when_an_order_was_filled_before_what_is_read_are_asked_for_once() -> None:
    fills = FillWatch()
    assert fills.push_order(filled(3), 10) and not fills.push_order(filled(3), 11)
    fills.push_trade(fill(7), 10)
    assert (fills.short("MNQ"), fills.short("ES")) == ([10], [])
    fills.ask("MNQ")
    fills.read_trades([fill(7)])
    assert fills.short("MNQ") == []
    assert fills.push_order(filled(4), 20)
    assert fills.short("MNQ") == [20]
    fills.push_trade(fill(8), 21)
    assert fills.short("MNQ") == []


def test_fills_when_trades_come_first_or_twice_or_are_voided_count_each_once() -> None:
    fills = FillWatch()
    for trade in (fill(7), fill(7), fill(7, voided=True)):
        fills.push_trade(trade, 5)
    fills.push_order(filled(1), 10)
    assert fills.short("MNQ") == []
    fills.push_order(filled(2), 11)
    assert fills.short("MNQ") == [11]


def test_fills_when_a_trade_that_a_read_lacked_comes_late_hide_no_other() -> None:
    fills = FillWatch()
    fills.push_order(filled(2), 10)
    fills.ask("MNQ")
    fills.read_trades([])
    assert fills.short("MNQ") == []
    fills.push_trade(fill(7), 11)
    fills.push_trade(fill(8), 11)
    fills.push_order(filled(4), 12)
    assert fills.short("MNQ") == [12]


def test_fills_when_orders_are_too_many_to_be_kept_forget_the_oldest() -> None:
    fills = FillWatch()
    for number in range(ORDERS_KEPT + 10):
        fills.push_order(filled(1, number), number)
    assert fills.short("MNQ") == list(range(10, ORDERS_KEPT + 10))
