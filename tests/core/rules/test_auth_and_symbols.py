"""RULE-010: permission to trade; RULE-011: blocked symbols."""

from __future__ import annotations

import pytest

from daemon.core.engine import Engine
from daemon.core.events import AccountUpdate, ClearRequested, PositionRecord, PositionsSnapshot
from daemon.core.units import SECOND_US, price_to_nanos
from tests.core.desk import ES, MNQ, NQ, RTY, Desk, rules

GUARD = rules(auth_loss_guard={})
BLOCKS = rules(symbol_blocks={"blocked_symbols": ["RTY", "ENQ"]})


def says(desk: Desk, allowed: bool) -> None:
    desk.at += 1000
    desk.feed(AccountUpdate(desk.at, 101, "trader1", "A", allowed))


def test_account_that_may_not_trade_is_closed_until_it_may() -> None:
    desk = Desk(GUARD)
    desk.position(MNQ, 1)
    order = desk.order(ES, 1)
    says(desk, False)
    (lock,) = desk.lock_decisions()
    assert (lock.lockout.kind, lock.lockout.expires_at, lock.lockout.symbol) == ("api", None, None)
    assert desk.wanted() == {MNQ: 0, order: 0}
    says(desk, False)
    desk.wait(10 * 86_400)
    assert len(desk.lock_decisions()) == 1
    says(desk, True)
    assert desk.locks() == []
    assert desk.unlocks()[0].lockout.cleared_by == "condition"
    assert {settle.result for settle in desk.settled()} == {"superseded"}
    says(desk, False)
    assert desk.locks() == ["RULE-010"]


def test_admin_cannot_clear_it() -> None:
    desk = Desk(GUARD)
    says(desk, False)
    assert desk.feed(ClearRequested(desk.at, 1, desk.at, "please", "admin")) == []
    assert desk.locks() == ["RULE-010"]


def test_rule_switched_off_meanwhile_neither_frees_nor_locks_for_ever() -> None:
    desk = Desk(GUARD)
    says(desk, False)
    desk.configure(rules())
    assert desk.locks() == ["RULE-010"]
    says(desk, True)
    assert desk.locks() == []


def test_restart_keeps_it_until_the_gateway_has_spoken() -> None:
    desk = Desk(GUARD)
    says(desk, False)
    engine = Engine(GUARD, desk.engine.calendar)
    engine.restore(desk.at, lockouts=[desk.lock_decisions()[0].lockout])
    other = Desk(accounts=(), engine=engine)
    other.at = desk.at + SECOND_US
    other.read_positions((MNQ, 1))
    assert other.wanted() == {MNQ: 0}
    says(other, True)
    assert other.wanted() == {}


def test_trader_lockout_stays_when_trading_is_allowed_again() -> None:
    desk = Desk(rules(auth_loss_guard={}, daily_realized_loss={"limit": -500}))
    desk.trade(MNQ, -1, "-600")
    says(desk, False)
    says(desk, True)
    assert desk.locks() == ["RULE-003"]


def test_gauge_of_the_permission() -> None:
    desk = Desk(GUARD)
    assert desk.gauge("RULE-010").value == "allowed"
    says(desk, False)
    assert desk.gauge("RULE-010").value == "not allowed"


@pytest.mark.parametrize(("contract", "symbol"), [(RTY, "RTY"), (NQ, "NQ")])
@pytest.mark.parametrize("size", [1, -1])
def test_position_in_a_blocked_symbol_is_closed_and_the_symbol_locked(contract: str, symbol: str, size: int) -> None:
    desk = Desk(BLOCKS)
    desk.position(MNQ, 1)
    desk.position(contract, size)
    order = desk.order(contract, 1)
    assert desk.wanted() == {contract: 0, order: 0}
    (lock,) = desk.lock_decisions()
    assert (lock.lockout.kind, lock.lockout.symbol, lock.lockout.expires_at) == ("symbol", symbol, None)


def test_orders_and_positions_in_other_symbols_are_left() -> None:
    desk = Desk(BLOCKS)
    desk.order(MNQ, 1)
    desk.position(ES, -1)
    assert desk.locks() == []
    desk.order(RTY, 1)
    assert [lock.symbol for lock in desk.engine.account(101).locks.values()] == ["RTY"]
    assert len(desk.wanted()) == 1
    desk.order(ES, 1)
    desk.position(MNQ, 2)
    assert len(desk.wanted()) == 1


def test_working_order_alone_locks_too() -> None:
    desk = Desk(BLOCKS)
    order = desk.order(RTY, -1)
    assert desk.wanted() == {order: 0}
    assert desk.locks() == ["RULE-011"]


def test_symbol_lock_stays_over_days_restarts_and_configurations() -> None:
    desk = Desk(BLOCKS)
    desk.position(RTY, 1)
    desk.position(RTY, 0)
    desk.wait(9 * 86_400)
    desk.configure(rules())
    assert desk.locks() == ["RULE-011"]
    engine = Engine(rules(), desk.engine.calendar)
    engine.restore(desk.at, lockouts=[desk.lock_decisions()[0].lockout])
    other = Desk(accounts=(), engine=engine)
    other.at = desk.at + SECOND_US
    other.read_positions((RTY, 2), (MNQ, 1))
    assert other.wanted() == {RTY: 0}
    other.feed(ClearRequested(other.at, 1, other.at, "mistake", "admin"))
    assert other.locks() == []
    assert other.wanted() == {}


@pytest.mark.parametrize(("later", "locked"), [(2, False), (1, False), (3, True), (-2, True)])
def test_what_an_admin_has_cleared_stays_cleared_over_a_restart(later: int, locked: bool) -> None:
    desk = Desk(BLOCKS)
    opened = desk.at
    desk.feed(PositionsSnapshot(desk.at, 101, desk.at, (PositionRecord(RTY, 2, price_to_nanos(100), 1, opened),)))
    lockout = desk.lock_decisions()[0].lockout
    desk.feed(ClearRequested(desk.at, lockout.id, desk.at, "may be held", "admin"))
    assert desk.locks() == []
    engine = Engine(BLOCKS, desk.engine.calendar)
    engine.restore(
        desk.at,
        lockouts=[lockout],
        memories={(101, key): kept for key, kept in desk.engine.account(101).memory.items()},
    )
    other = Desk(accounts=(), engine=engine)
    other.at = desk.at + SECOND_US
    other.feed(
        PositionsSnapshot(other.at, 101, other.at, (PositionRecord(RTY, later, price_to_nanos(100), 1, opened),))
    )
    assert other.locks() == (["RULE-011"] if locked else [])


def test_position_opened_anew_in_it_locks_again() -> None:
    desk = Desk(BLOCKS)
    for _ in range(2):
        desk.position(RTY, 1)
        assert desk.locks() == ["RULE-011"]
        desk.feed(ClearRequested(desk.at, desk.lock_decisions()[-1].lockout.id, desk.at, "may be held", "admin"))
        assert desk.locks() == []
        desk.position(RTY, 0)


def test_many_positions_in_it_are_one_lockout() -> None:
    desk = Desk(BLOCKS)
    for size in (1, 2, 0, 1):
        desk.position(RTY, size)
        desk.order(RTY, 1)
    assert len(desk.lock_decisions()) == 1


def test_symbol_held_at_the_start_is_closed() -> None:
    desk = Desk(BLOCKS)
    desk.read_positions((RTY, 1))
    assert desk.wanted() == {RTY: 0}


def test_gauge_names_the_locked_symbols() -> None:
    desk = Desk(BLOCKS)
    assert (desk.gauge("RULE-011").value, desk.gauge("RULE-011").limit) == ("none held", "ENQ, RTY")
    desk.position(RTY, 1)
    assert desk.gauge("RULE-011").value == "RTY"
