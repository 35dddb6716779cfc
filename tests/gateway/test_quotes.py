"""Quotes come for the contracts that are held, over one login, and over another when that one's hub is away."""

from __future__ import annotations

from dataclasses import replace

from daemon.core.events import ConnectionChanged, Quote
from daemon.simulator import effects as fx
from tests.gateway.world import QUIET, World, eventually, logins, world


def topics(w: World) -> set[str]:
    return {str(key) for c in w.sim.connections("market") for kind, key in c.topics if kind == "quote"}


def leader(w: World) -> str:
    return next((c.login.username for c in w.sim.connections("market")), "")


async def test_quotes_when_contracts_are_wanted_come_for_those_alone() -> None:
    async with world(timings=QUIET) as w:
        mnq, es = w.sim.contract("MNQ").id, w.sim.contract("ES").id
        w.gateways.set_quoted_contracts([mnq, es])
        await eventually(lambda: topics(w) == {mnq, es})
        w.gateways.set_quoted_contracts([es])
        await eventually(lambda: topics(w) == {es})
        w.events.clear()
        w.sim.set_quote("MNQ", 25_100, 25_100.25)
        w.sim.set_quote("ES", 6_000.25, 6_000.5, 6_000.25)
        await eventually(lambda: w.of(Quote))
        assert [(q.contract_id, q.bid, q.ask, q.last) for q in w.of(Quote)] == [
            (es, 6_000_250_000_000, 6_000_500_000_000, 6_000_250_000_000)
        ]


async def test_quotes_when_bursting_all_arrive_in_order() -> None:
    async with world(timings=QUIET) as w:
        w.gateways.set_quoted_contracts([w.sim.contract("MNQ").id])
        await eventually(lambda: topics(w))
        w.events.clear()
        for step in range(200):
            w.sim.set_quote("MNQ", 25_000 + step, 25_001 + step)
        await eventually(lambda: len(w.of(Quote)) == 200)
        bids = [q.bid for q in w.of(Quote)]
        assert bids == sorted(bids)


async def test_quote_when_prices_are_null_or_odd_is_zero_or_as_told() -> None:
    async with world(timings=QUIET) as w:
        w.gateways.set_quoted_contracts([w.sim.contract("MNQ").id])
        await eventually(lambda: topics(w))
        w.events.clear()
        w.sim.faults.add(fx.Change({"bestBid": None, "bestAsk": "x", "lastPrice": 0}), event="quote")
        w.sim.set_quote("MNQ", 25_000, 25_001)
        await eventually(lambda: w.of(Quote))
        quote = w.of(Quote)[0]
        assert (quote.bid, quote.ask, quote.last) == (0, 0, 0)
        assert w.alerts == []


async def test_quotes_when_market_hub_drops_are_subscribed_again() -> None:
    async with world(timings=QUIET) as w:
        mnq = w.sim.contract("MNQ").id
        w.gateways.set_quoted_contracts([mnq])
        await eventually(lambda: topics(w) == {mnq})
        number = w.sim.connections("market")[0].number
        w.sim.faults.add(fx.Close(1006), hub="market")
        await eventually(lambda: w.sim.connections("market") and w.sim.connections("market")[0].number > number, 2.8)
        await eventually(lambda: topics(w) == {mnq}, 2.8)
        assert w.ready()


async def test_quotes_when_a_logins_market_hub_stays_away_move_to_another() -> None:
    async with world(logins(1, 2, 3), logins=("trader1", "trader2", "trader3"), timings=QUIET) as w:
        mnq = w.sim.contract("MNQ").id
        w.gateways.set_quoted_contracts([mnq])
        await eventually(lambda: topics(w) == {mnq})
        assert len(w.sim.connections("market")) == 1
        first = leader(w)
        w.sim.faults.add(fx.Down(30), hub="market", login=first)
        await eventually(lambda: topics(w) == {mnq} and leader(w) != first, 3)
        second = leader(w)
        w.sim.faults.add(fx.Down(30), hub="market", login=second)
        await eventually(lambda: topics(w) == {mnq} and leader(w) not in {first, second}, 3)
        ups = [(e.login, e.up) for e in w.of(ConnectionChanged) if e.channel == "market"]
        assert ups[0] == (first, True)
        assert (first, False) in ups
        assert ups[-1][1] is True


async def test_quotes_when_they_have_moved_come_once_even_if_the_first_hub_could_be_back() -> None:
    async with world(logins(1, 2), logins=("trader1", "trader2"), timings=QUIET) as w:
        mnq = w.sim.contract("MNQ").id
        w.gateways.set_quoted_contracts([mnq])
        await eventually(lambda: topics(w) == {mnq})
        first = leader(w)
        w.sim.faults.add(fx.Down(0.7), hub="market", login=first)
        await eventually(lambda: topics(w) == {mnq} and leader(w) != first, 3)
        start = w.clock.monotonic()
        await eventually(lambda: w.clock.monotonic() - start > 800_000)
        assert len(w.sim.connections("market")) == 1
        assert leader(w) != first


async def test_quotes_when_silent_although_wanted_are_connected_anew() -> None:
    async with world(timings=replace(QUIET, quote_silence=0.4)) as w:
        w.gateways.set_quoted_contracts([w.sim.contract("MNQ").id])
        number = (await eventually(lambda: w.sim.connections("market")))[0].number
        await eventually(lambda: [c for c in w.sim.connections("market") if c.number != number], 3)


async def test_quotes_when_none_are_wanted_silence_is_fine() -> None:
    async with world(timings=replace(QUIET, quote_silence=0.1)) as w:
        number = (await eventually(lambda: w.sim.connections("market")))[0].number
        start = w.clock.monotonic()
        await eventually(lambda: w.clock.monotonic() - start > 500_000)
        assert [c.number for c in w.sim.connections("market")] == [number]
