"""Slow, partial, missing and rejected fills by fault."""

from __future__ import annotations

from daemon.simulator import OrderStatus, Simulator, SimulatorConfig, effects


def manual() -> Simulator:
    return Simulator(SimulatorConfig(manual_clock=True))


def test_partial_and_slow_fills_of_one_side() -> None:
    sim = manual()
    sim.trader(101).buy("MNQ", 5)
    fault = sim.faults.add(effects.Fills(delay=1, chunk=2, interval=1), account=101, symbol="MNQ", side=1)
    sim.trader(101).close("MNQ")
    sim.trader(102).buy("MNQ", 1)
    seen = []
    for _ in range(4):
        seen.append(sim.net(101, "MNQ"))
        sim.clock.advance(1)
    assert seen == [5, 3, 1, 0]
    assert sim.net(102, "MNQ") == 1
    assert fault.hits == 1
    assert sim.extremes(101, "MNQ") == (0, 5)


def test_order_that_never_fills_can_be_cancelled() -> None:
    sim = manual()
    sim.faults.add(effects.NoFill(), count=1)
    order_id = sim.trader(101).buy("MNQ", 1)
    sim.clock.advance(3600)
    assert sim.net(101, "MNQ") == 0
    sim.trader(101).cancel(order_id)
    assert sim.orders(101)[0].status is OrderStatus.CANCELLED


def test_accepted_then_rejected() -> None:
    sim = manual()
    sim.faults.add(effects.RejectLate(), count=1)
    sim.trader(101).buy("MNQ", 1)
    assert sim.orders(101)[0].status is OrderStatus.REJECTED
    sim.trader(101).buy("MNQ", 1)
    assert sim.net(101, "MNQ") == 1
