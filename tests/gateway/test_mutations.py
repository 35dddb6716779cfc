"""What is known about an order request after its one try."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import perf_counter_ns

import pytest

from daemon.broker import AnswerKind, GatewayError
from daemon.core.events import PositionUpdate
from daemon.core.units import price_to_nanos
from daemon.simulator import effects as fx
from daemon.simulator.records import RequestRecord
from tests.gateway.world import QUIET, World, eventually, logins, world

CLOSE = "Position/closeContract"


def mnq(w: World) -> str:
    return w.sim.contract("MNQ").id


async def test_orders_when_all_is_well_are_accepted_and_take_effect() -> None:
    async with world(timings=QUIET) as w:
        trader = w.sim.trader(101)
        trader.buy("MNQ", 3)
        stop = trader.sell("MNQ", 3, kind="stop", stop=24_000)
        assert (await w.gateways.reduce_position(101, mnq(w), 1)).kind is AnswerKind.ACCEPTED
        assert w.sim.net(101, "MNQ") == 2
        assert (await w.gateways.modify_stop(101, stop, price_to_nanos(24_500.25))).kind is AnswerKind.ACCEPTED
        assert [o.stop_price for o in (await w.gateways.read_orders(101)).orders] == [price_to_nanos("24500.25")]
        assert (await w.gateways.cancel_order(101, stop)).kind is AnswerKind.ACCEPTED
        assert w.sim.working_orders(101) == []
        assert (await w.gateways.close_position(101, mnq(w))).kind is AnswerKind.ACCEPTED
        assert w.sim.net(101, "MNQ") == 0


async def test_close_when_second_account_of_a_login_names_that_account() -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 1)
        w.sim.trader(102).buy("MNQ", 1)
        assert (await w.gateways.close_position(102, mnq(w))).kind is AnswerKind.ACCEPTED
        assert (w.sim.net(101, "MNQ"), w.sim.net(102, "MNQ")) == (1, 0)


@pytest.mark.parametrize(
    ("effect", "kind", "held"),
    [
        (fx.HttpStatus(500), AnswerKind.UNCERTAIN, 2),
        (fx.HttpStatus(503, after_effect=True), AnswerKind.UNCERTAIN, 0),
        (fx.HttpStatus(400), AnswerKind.REFUSED, 2),
        (fx.HttpStatus(403), AnswerKind.REFUSED, 2),
        (fx.HttpStatus(429), AnswerKind.NOT_SENT, 2),
        (fx.Html(), AnswerKind.UNCERTAIN, 2),
        (fx.Html(after_effect=True), AnswerKind.UNCERTAIN, 0),
        (fx.Reset(), AnswerKind.UNCERTAIN, 2),
        (fx.Reset(after_effect=True), AnswerKind.UNCERTAIN, 0),
        (fx.Hang(after_effect=True), AnswerKind.UNCERTAIN, 0),
        (fx.NoEffect(), AnswerKind.ACCEPTED, 2),
        (fx.Pending(None), AnswerKind.UNCERTAIN, 2),
        (fx.Refuse(code=7), AnswerKind.UNCERTAIN, 2),
        (fx.Refuse(code=2), AnswerKind.REFUSED, 2),
        (fx.Refuse(code=5, message=None), AnswerKind.REFUSED, 2),
        (fx.Patch({"success": None}), AnswerKind.UNCERTAIN, 0),
    ],
)
async def test_close_when_faulty_is_answered_by_what_is_known(effect: fx.Effect, kind: AnswerKind, held: int) -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.faults.add(effect, path=CLOSE, count=1)
        answer = await w.gateways.close_position(101, mnq(w))
        assert (answer.kind, w.sim.net(101, "MNQ")) == (kind, held)
        assert w.count(CLOSE) == 1


async def test_close_when_429_tells_the_gateways_pause_and_the_next_is_not_sent_at_once() -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.faults.add(fx.HttpStatus(429, retry_after=7), path=CLOSE, count=1)
        answer = await w.gateways.close_position(101, mnq(w))
        assert (answer.kind, answer.retry_after) == (AnswerKind.NOT_SENT, 7)
        assert 4 < w.gateways.turn_in(101, closing=True) <= 5
        assert 6 < w.gateways.turn_in(101, closing=False) <= 7
        again = await w.gateways.close_position(101, mnq(w))
        # Our own 'no turn' is none of the gateway's refusals: it names no time, which would hold back others.
        assert (again.kind, again.code, again.retry_after) == (AnswerKind.NOT_SENT, 0, 0)
        assert w.count(CLOSE) == 1


async def test_close_when_a_poll_was_told_429_for_long_goes_out_all_the_same() -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.faults.add(fx.HttpStatus(429, retry_after=100), path="Account/search", count=1)
        with pytest.raises(GatewayError, match="429"):
            await w.gateways._sessions["trader1"].relist()
        assert 59 < w.gateways.turn_in(101, closing=False) <= 60
        assert (await w.gateways.cancel_order(101, 1)).kind is AnswerKind.NOT_SENT
        assert (await w.gateways.close_position(101, mnq(w))).kind is AnswerKind.ACCEPTED
        assert w.gateways.turn_in(101, closing=True) == 0
        assert w.count("Order/cancel") == 0


async def test_close_when_cancels_have_used_up_theirs_goes_out_all_the_same() -> None:
    timings = replace(QUIET, requests_per_minute=(40, 35, 25, 25, 20), reads_per_minute=10)
    async with world(logins(1), timings=timings) as w:
        w.sim.trader(101).buy("MNQ", 2)
        answers = await asyncio.gather(*(w.gateways.cancel_order(102, number) for number in range(1, 40)))
        assert [answer.kind for answer in answers].count(AnswerKind.NOT_SENT) >= 14
        assert w.gateways.turn_in(102, closing=False) > 0
        assert w.gateways.turn_in(101, closing=True) == 0
        assert (await w.gateways.close_position(101, mnq(w))).kind is AnswerKind.ACCEPTED
        assert (await w.gateways.read_positions(101)).positions == ()
        with pytest.raises(GatewayError, match="no room"):
            await w.gateways.read_positions(101, closing=False)


async def test_close_when_token_is_revoked_is_sent_once_more_with_a_new_one() -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.revoke_tokens("trader1")
        assert (await w.gateways.close_position(101, mnq(w))).kind is AnswerKind.ACCEPTED
        assert (w.sim.net(101, "MNQ"), w.count(CLOSE)) == (0, 2)


@pytest.mark.parametrize(("own", "sent"), [(0, 2), (1, 1)])
async def test_reduction_when_the_trader_gets_out_himself_during_a_login_is_not_sent(own: int, sent: int) -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 5)
        await eventually(lambda: w.of(PositionUpdate, 101))
        w.sim.revoke_tokens("trader1")
        w.sim.faults.add(fx.Delay(0.4), path="Auth/loginKey", count=1)
        logins_before = w.count("Auth/loginKey")
        reducing = asyncio.create_task(w.gateways.reduce_position(101, mnq(w), 3))
        await eventually(lambda: w.count("Auth/loginKey") > logins_before)
        if own:
            w.sim.trader(101).sell("MNQ", 3)
            await eventually(lambda: w.of(PositionUpdate, 101)[-1].position.size == 2)
        answer = await reducing
        assert answer.kind is (AnswerKind.NOT_SENT if own else AnswerKind.ACCEPTED)
        assert (w.sim.net(101, "MNQ"), w.count("Position/partialCloseContract")) == (2, sent)


@pytest.mark.parametrize(("sold", "sent"), [(2, 2), (9, 1)])
async def test_close_when_the_position_shrinks_or_flips_during_a_login(sold: int, sent: int) -> None:
    """A smaller position is closed all the same; one in the other direction has to be judged first."""
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 5)
        await eventually(lambda: w.of(PositionUpdate, 101))
        w.sim.revoke_tokens("trader1")
        w.sim.faults.add(fx.Delay(0.4), path="Auth/loginKey", count=1)
        logins_before = w.count("Auth/loginKey")
        closing = asyncio.create_task(w.gateways.close_position(101, mnq(w)))
        await eventually(lambda: w.count("Auth/loginKey") > logins_before)
        w.sim.trader(101).sell("MNQ", sold)
        await eventually(lambda: w.of(PositionUpdate, 101)[-1].position.size == 5 - sold)
        assert (await closing).kind is (AnswerKind.NOT_SENT if sent == 1 else AnswerKind.ACCEPTED)
        assert (w.sim.net(101, "MNQ"), w.count(CLOSE)) == (0 if sent == 2 else 5 - sold, sent)


async def test_close_when_the_new_token_is_refused_too_is_not_sent_a_third_time() -> None:
    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.faults.add(fx.HttpStatus(401), path=CLOSE)
        before = w.count("Auth/loginKey")
        answer = await w.gateways.close_position(101, mnq(w))
        assert (answer.kind, answer.code) == (AnswerKind.NOT_SENT, 401)
        assert (w.sim.net(101, "MNQ"), w.count(CLOSE), w.count("Auth/loginKey") - before) == (2, 2, 1)


async def test_closes_when_tokens_are_revoked_again_and_again_log_in_no_oftener_than_allowed() -> None:
    async with world(timings=replace(QUIET, relogin_min=60.0, relogin_min_urgent=0.3)) as w:
        before, began = w.count("Auth/loginKey"), asyncio.get_running_loop().time()
        for _ in range(3):
            w.sim.trader(101).buy("MNQ", 1)
            w.sim.revoke_tokens("trader1")
            assert (await w.gateways.close_position(101, mnq(w))).kind is AnswerKind.ACCEPTED
        assert w.count("Auth/loginKey") - before == 3
        assert asyncio.get_running_loop().time() - began >= 0.6
        w.sim.revoke_tokens("trader1")
        with pytest.raises(GatewayError, match="401"):
            await w.gateways.read_positions(101, closing=False)


async def test_close_when_gateway_is_gone_is_not_sent() -> None:
    async with world(timings=QUIET) as w:
        await w.sim.stop()
        await w.gateways.close_position(101, mnq(w))  # a kept connection may fail in an uncertain way, once
        answer = await w.gateways.close_position(101, mnq(w))
        assert answer.kind is AnswerKind.NOT_SENT


async def test_close_when_answer_hangs_is_bounded() -> None:
    async with world(timings=replace(QUIET, mutation=0.3)) as w:
        w.sim.faults.add(fx.Hang(), path=CLOSE, count=1)
        answer = await w.gateways.close_position(101, mnq(w))
        assert (answer.kind, answer.message) == (AnswerKind.UNCERTAIN, "no answer within 0.3 s")


async def test_order_when_account_is_unknown_is_not_sent() -> None:
    async with world(timings=QUIET) as w:
        assert (await w.gateways.close_position(999, mnq(w))).kind is AnswerKind.NOT_SENT
        assert (await w.gateways.reduce_position(101, mnq(w), 0)).kind is AnswerKind.REFUSED
        with pytest.raises(GatewayError, match="999"):
            await w.gateways.read_positions(999)


@pytest.mark.parametrize(
    "effect",
    [
        fx.HttpStatus(500),
        fx.HttpStatus(404),
        fx.HttpStatus(429, retry_after=3),
        fx.Html(),
        fx.Reset(),
        fx.Refuse(code=1),
        fx.Patch({"positions": None}),
        fx.Patch({"success": False}),
        fx.Patch({"success": "yes"}),
        fx.Patch({"positions": [{"accountId": 5, "contractId": "X", "type": 1, "size": 1}]}),
    ],
)
async def test_read_when_faulty_raises_and_is_never_flat(effect: fx.Effect) -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(effect, path="Position/searchOpen", count=1)
        with pytest.raises(GatewayError):
            await w.gateways.read_positions(101)


async def test_read_when_429_says_how_long_to_wait() -> None:
    async with world(timings=QUIET) as w:
        w.sim.faults.add(fx.HttpStatus(429, retry_after=3), path="Position/searchOpen", count=1)
        with pytest.raises(GatewayError) as caught:
            await w.gateways.read_positions(101)
        assert caught.value.retry_after == 3


async def test_read_when_token_is_revoked_logs_in_and_reads() -> None:
    async with world(timings=replace(QUIET, relogin_min=0.0)) as w:
        w.sim.trader(101).buy("MNQ", 2)
        w.sim.revoke_tokens("trader1")
        assert [p.size for p in (await w.gateways.read_positions(101)).positions] == [2]


async def test_orders_when_bracket_legs_are_suspended_are_read_too() -> None:
    from daemon.simulator import Brackets

    async with world(timings=QUIET) as w:
        w.sim.trader(101).buy("MNQ", 1, kind="limit", limit=20_000, brackets=Brackets(stop_loss=40, take_profit=40))
        statuses = sorted(o.status for o in (await w.gateways.read_orders(101)).orders)
        assert statuses == sorted(int(o.status) for o in w.sim.working_orders(101))
        assert 8 in statuses


async def test_orders_when_the_query_is_missing_falls_back_and_says_so() -> None:
    async with world(timings=QUIET, started=False) as w:
        w.sim.faults.add(fx.HttpStatus(404), path="Order/v2/query")
        await w.gateways.start()
        w.sim.trader(101).buy("MNQ", 1, kind="limit", limit=20_000)
        assert len((await w.gateways.read_orders(101)).orders) == 1
        assert w.alerted("suspended brackets cannot be seen")


async def test_orders_when_more_than_a_page_are_all_read() -> None:
    async with world(timings=QUIET) as w:
        for _ in range(520):
            w.sim.trader(101).buy("MNQ", 1, kind="limit", limit=20_000)
        assert len((await w.gateways.read_orders(101)).orders) == 520


async def test_trades_when_more_than_a_hundred_are_all_read() -> None:
    async with world(timings=QUIET) as w:
        for _ in range(150):
            w.sim.inject_trade(101, "MNQ", -1, 0.37, commissions=0.5)
        snapshot = await w.gateways.read_trades(101, w.clock.now() - 3_600_000_000)
        assert len(snapshot.trades) == 150
        assert {(t.pnl, t.fees) for t in snapshot.trades} == {(-1_000_000, 870_000)}


async def test_closes_of_a_flatten_find_connections_open_that_were_kept_so() -> None:
    timings = replace(QUIET, warm=1.0, warm_connections=5)
    async with world(logins(1, accounts=1), timings=timings) as w:

        def pings() -> list[RequestRecord]:
            return [record for record in w.sim.requests if record.path == "Status/ping"]

        def between_rounds() -> bool:
            """The answers to a round have arrived, and the next one is not due: no ping is on a connection."""
            quiet = perf_counter_ns() - max((record.answered_ns for record in pings()), default=0)
            return len(pings()) >= 10 and 50_000_000 < quiet < 400_000_000

        await eventually(between_rounds)
        # All at once, on connections that stay.
        assert len({record.client_port for record in pings()[-5:]}) == 5
        before = {record.client_port for record in w.sim.requests}
        closes = (w.gateways.close_position(101, f"contract {number}") for number in range(5))
        await asyncio.gather(*closes)
        ports = {record.client_port for record in w.sim.requests if record.path == "Position/closeContract"}
        assert len(ports) == 5
        assert ports <= before


async def test_connections_when_the_request_limit_has_no_room_are_not_kept_open_at_its_cost() -> None:
    timings = replace(
        QUIET, warm=0.2, warm_connections=50, requests_per_minute=(30, 28, 26, 24, 20), reads_per_minute=20
    )
    async with world(logins(1, accounts=1), timings=timings) as w:
        await asyncio.sleep(1.0)
        assert len([record for record in w.sim.requests if record.path == "Status/ping"]) <= 20
        contract = w.sim.contract("MNQ").id
        w.sim.trader(101).buy("MNQ", 1)
        assert (await w.gateways.close_position(101, contract)).kind is AnswerKind.ACCEPTED


async def test_connections_when_the_gateway_says_that_there_are_too_many_requests_are_left_alone_for_a_while() -> None:
    async with world(logins(1, accounts=1), timings=replace(QUIET, warm=0.2), started=False) as w:
        w.sim.faults.add(fx.HttpStatus(429, retry_after=30), path="Status/ping")
        await w.gateways.start()
        await eventually(lambda: [r for r in w.sim.requests if r.path == "Status/ping"])
        await asyncio.sleep(0.8)
        assert len([r for r in w.sim.requests if r.path == "Status/ping"]) <= w.gateways._timings.warm_connections
