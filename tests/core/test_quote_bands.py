"""What is not looked at only saves work: an engine that judges every quote and asks for every time decides the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Decision
from daemon.core.engine import Engine
from daemon.core.events import (
    AccountUpdate,
    ContractSeen,
    Event,
    OrderRecord,
    OrdersSnapshot,
    OrderUpdate,
    PositionRecord,
    PositionsSnapshot,
    PositionUpdate,
    Quote,
    Tick,
    TradeRecord,
    TradesSnapshot,
    TradeUpdate,
)
from daemon.core.quote_watch import MOST_UNSET
from daemon.core.rule import UNPLANNED, RuleState, Trigger
from daemon.core.state import AccountState
from daemon.core.units import price_to_nanos, to_micros
from shared.config import HolidayCalendar, RiskConfig
from shared.models import OrderStatus, OrderType, Side
from tests.core.desk import CONTRACTS, ES, MNQ, NQ, OPEN

HELD = (MNQ, NQ, ES)
BASE = price_to_nanos(20_000)
QUARTER = price_to_nanos("0.25")


class EveryQuote(Engine):
    """Judges all holders of a contract on each of its quotes, and asks all rules for their times after each event."""

    def _schedule(self, account: AccountState, judged: Sequence[RuleState], out: list[Decision]) -> None:
        for state in self._judge.rules(account.account_id):
            # 008 looks again within a second of a stop without a price, whether or not a price has come by then.
            if state.rule.rule_id != "RULE-008":
                state.due = UNPLANNED
        super()._schedule(account, judged, out)

    def _on_quote(self, event: Quote) -> list[Decision]:
        self.market.quote(event)
        if event.at > self.now:
            self.now = self.view.now = event.at
        out: list[Decision] = []
        if self.now >= self._timetable.due:
            self._timers(out)
        for account_id in self._bands.holders(event.contract_id):
            account = self.accounts[account_id]
            self._conclude(account, self._judge.judge(account, (Trigger.QUOTES,), out), out)
        return out


money = st.integers(20, 600)
RULES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "daily_unrealized_loss": money.map(lambda limit: {"limit": -limit}),
    "max_unrealized_profit": money.map(lambda target: {"target": target}),
    "daily_total_loss": money.map(lambda limit: {"limit": -limit}),
    "daily_realized_loss": money.map(lambda limit: {"limit": -limit}),
    "no_stop_loss_grace": st.just({"grace_period_seconds": 3}),
    "trailing_drawdown": st.fixed_dictionaries(
        {"amount": money, "mode": st.sampled_from(["intraday", "end_of_day"])}, optional={"lock_at": st.just(50_100)}
    ),
    "trade_management": st.fixed_dictionaries(
        {
            "auto_breakeven": st.integers(1, 12).map(lambda ticks: {"profit_trigger_ticks": ticks}),
            "trailing_stop": st.tuples(st.integers(1, 20), st.integers(1, 10)).map(
                lambda both: {"activation_ticks": both[0], "trail_distance_ticks": both[1]}
            ),
        }
    ),
    "losing_position_adds": st.just({"max_adds": 1}),
    "max_contracts": st.just({"limit": 4}),
    "session_block_outside": st.just({"global_session": {"start": "09:30", "end": "09:31"}}),
    "scheduled_flatten": st.just({"time": "15:55"}),
}
configs = st.lists(st.sampled_from(sorted(RULES)), min_size=1, max_size=4, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: RULES[key] for key in keys}).map(
        lambda chosen: RiskConfig.model_validate({"rules": chosen})
    )
)
accounts = st.sampled_from([1, 2, 3])
held = st.sampled_from(HELD)
step = st.integers(-30, 30)

quotes = st.tuples(
    st.just("quote"), held, step, st.sampled_from(["both", "both", "both", "bid", "ask", "last", "crossed", "none"])
)
positions = st.tuples(
    st.just("position"), accounts, held, st.integers(-3, 3), st.sampled_from([0, 0, 1, 83_333_333, QUARTER // 3])
)
trades = st.tuples(st.just("trade"), accounts, held, st.integers(-200, 200))
stops = st.tuples(st.just("stop"), accounts, held, st.sampled_from([-1, 1]), st.integers(-40, 40))
moved = st.tuples(st.just("moved"), accounts)
balances = st.tuples(st.just("balance"), accounts, st.integers(49_500, 50_500))
ticks = st.tuples(st.just("tick"), st.sampled_from([0, 1, 4, 31, 90_000]))
steps = st.lists(
    st.one_of(quotes, quotes, quotes, quotes, quotes, positions, positions, trades, stops, moved, balances, ticks),
    min_size=25,
    max_size=70,
)


class Stream:
    """Turns generated steps into events; prices walk from 20,000."""

    def __init__(self) -> None:
        self.at = to_micros(OPEN)
        self.price = dict.fromkeys(HELD, BASE)
        self.number = 100

    def begin(self) -> list[Event]:
        """Contracts and three reconciled accounts."""
        events: list[Event] = [ContractSeen(self.at, contract) for contract in CONTRACTS]
        for account in (1, 2, 3):
            events += [
                AccountUpdate(self.at, account, "trader1", "A", True, 50_000_000_000),
                PositionsSnapshot(self.at, account, self.at, ()),
                OrdersSnapshot(self.at, account, self.at, ()),
                TradesSnapshot(self.at, account, self.at, self.at, ()),
            ]
        return events

    def event(self, kind: str, values: tuple[Any, ...], engine: Engine) -> Event | None:
        """The event of a step; None when there is nothing to do."""
        self.at += 150_000
        self.number += 1
        if kind == "quote":
            return self._quote(*values)
        if kind == "position":
            account, contract, size, off = values
            return PositionUpdate(
                self.at, account, PositionRecord(contract, size, self.price[contract] + off, 1, self.at)
            )
        if kind == "trade":
            account, contract, dollars = values
            trade = TradeRecord(
                self.number, contract, self.at, BASE, dollars * 1_000_000, 370_000, Side.SELL, 1, False, self.number
            )
            return TradeUpdate(self.at, account, trade)
        if kind == "stop":
            account, contract, size, away = values
            return OrderUpdate(self.at, account, self._stop(contract, size, self.price[contract] + away * QUARTER))
        if kind == "moved":
            return self._moved(values[0], engine)
        if kind == "balance":
            account, dollars = values
            return AccountUpdate(self.at, account, "trader1", "A", True, dollars * 1_000_000)
        self.at += values[0] * 1_000_000
        return Tick(self.at)

    def _quote(self, contract: str, step: int, shape: str) -> Quote:
        self.price[contract] += step * QUARTER
        bid, ask = self.price[contract], self.price[contract] + QUARTER
        shapes = {
            "both": (bid, ask, 0),
            "bid": (bid, 0, 0),
            "ask": (0, ask, 0),
            "last": (0, 0, bid),
            "crossed": (ask, bid, bid),
            "none": (0, -5, 0),
        }
        return Quote(self.at, contract, *shapes[shape])

    def _stop(self, contract: str, size: int, price: int) -> OrderRecord:
        side = Side.BUY if size > 0 else Side.SELL
        return OrderRecord(self.number, contract, OrderStatus.OPEN, OrderType.STOP, side, abs(size), stop_price=price)

    def _moved(self, account: int, engine: Engine) -> Event | None:
        """The gateway has moved a stop as asked."""
        for action in engine.account(account).obligations.values():
            if action.kind == "modify_order" and action.order_id is not None:
                order = engine.account(account).orders[action.order_id]
                moved = OrderRecord(
                    order.order_id,
                    order.contract_id,
                    order.status,
                    order.type,
                    order.side,
                    order.size,
                    stop_price=action.stop_price,
                )
                return OrderUpdate(self.at, account, moved)
        return None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=configs, chosen=steps)
@example(
    config=RiskConfig.model_validate({"rules": {"daily_total_loss": {"limit": -76}}}),
    chosen=[
        ("position", 2, ES, 2, 0),
        ("quote", ES, -1, "both"),
        ("position", 1, ES, -2, 0),
        ("quote", ES, 2, "both"),
        ("tick", 90_000),
        ("position", 1, MNQ, 0, 0),
        ("quote", ES, -3, "both"),
    ],
).via("the second account's band was set by the first one's unrealized P&L")
def test_bands_when_quotes_are_skipped_decide_as_if_each_were_judged(
    config: RiskConfig, chosen: list[tuple[Any, ...]]
) -> None:
    with_bands, without = Engine(config, HolidayCalendar()), EveryQuote(config, HolidayCalendar())
    stream = Stream()
    for event in stream.begin():
        assert repr(with_bands.handle(event)) == repr(without.handle(event))
    for kind, *values in chosen:
        event_or_none = stream.event(kind, tuple(values), without)
        if event_or_none is not None:
            expected = repr(without.handle(event_or_none))
            assert repr(with_bands.handle(event_or_none)) == expected, (kind, values)


def test_bands_when_many_hold_a_contract_leave_the_others_alone() -> None:
    config = RiskConfig.model_validate({"rules": {"daily_unrealized_loss": {"limit": -300}}})
    engine = Engine(config, HolidayCalendar())
    stream = Stream()
    for event in stream.begin():
        engine.handle(event)
    for account, price in ((1, BASE), (2, BASE + 100 * QUARTER), (3, BASE - 500 * QUARTER)):
        engine.handle(PositionUpdate(stream.at, account, PositionRecord(MNQ, 2, price, 1, stream.at)))
    # 2 MNQ are a dollar a tick: the second account is 300 below its entry at -200 ticks, the first at -300.
    assert engine.handle(Quote(stream.at, MNQ, BASE - 199 * QUARTER, BASE - 198 * QUARTER, 0))  # warnings
    assert not engine.account(2).obligations
    engine.handle(Quote(stream.at, MNQ, BASE - 200 * QUARTER, BASE - 199 * QUARTER, 0))
    assert [account for account in (1, 2, 3) if engine.account(account).obligations] == [2]
    engine.handle(Quote(stream.at, MNQ, BASE - 300 * QUARTER, BASE - 299 * QUARTER, 0))
    assert [account for account in (1, 2, 3) if engine.account(account).obligations] == [1, 2]


def test_bands_when_other_accounts_are_judged_before_the_next_quote_are_set_by_each_ones_own_pnl() -> None:
    """The second account's loss in MNQ is hedged; the first one's is not, and its limit is a tenth of that loss."""
    engine = Engine(RiskConfig.model_validate({"rules": {"daily_total_loss": {"limit": -100}}}), HolidayCalendar())
    stream = Stream()
    for event in stream.begin():
        engine.handle(event)
    for contract in (MNQ, ES):
        engine.handle(Quote(stream.at, contract, BASE, BASE + QUARTER, 0))

    def holds(account: int, contract: str, size: int, price: int) -> None:
        engine.handle(PositionUpdate(stream.at, account, PositionRecord(contract, size, price, 1, stream.at)))

    holds(1, MNQ, 1, BASE)
    holds(2, ES, 1, BASE - 80 * QUARTER)
    holds(2, MNQ, 20, BASE + 100 * QUARTER)
    engine.handle(Quote(stream.at, ES, BASE, BASE + QUARTER, 0))
    holds(1, MNQ, 2, BASE)
    holds(2, MNQ, 19, BASE + 100 * QUARTER)
    engine.handle(Quote(stream.at, MNQ, BASE, BASE + QUARTER, 0))
    # 2 MNQ are a dollar a tick.
    engine.handle(Quote(stream.at, MNQ, BASE - 99 * QUARTER, BASE - 98 * QUARTER, 0))
    assert not engine.account(1).obligations
    engine.handle(Quote(stream.at, MNQ, BASE - 100 * QUARTER, BASE - 99 * QUARTER, 0))
    assert engine.account(1).obligations


def test_bands_when_many_positions_grew_since_the_last_quote_are_those_of_the_new_sizes() -> None:
    """More accounts than may wait for a quote; the first of them also has its other contract grow, and then trades."""
    engine = Engine(
        RiskConfig.model_validate(
            {"rules": {"daily_unrealized_loss": {"limit": -300}, "daily_total_loss": {"limit": -900}}}
        ),
        HolidayCalendar(),
    )
    at = to_micros(OPEN)
    accounts = range(1, 2 * MOST_UNSET)
    for contract in CONTRACTS:
        engine.handle(ContractSeen(at, contract))
        engine.handle(Quote(at, contract.contract_id, BASE, BASE + QUARTER, BASE))
    for account in accounts:
        held = tuple(PositionRecord(contract, 1, BASE, 1, at) for contract in (MNQ, ES))
        engine.handle(PositionsSnapshot(at, account, at, held))
        engine.handle(OrdersSnapshot(at, account, at, ()))
        engine.handle(TradesSnapshot(at, account, at, at, ()))
    engine.handle(Quote(at, MNQ, BASE, BASE + QUARTER, BASE))
    for account in accounts:
        engine.handle(PositionUpdate(at, account, PositionRecord(MNQ, 6, BASE, 1, at)))
    engine.handle(PositionUpdate(at, 1, PositionRecord(ES, 4, BASE, 1, at)))
    # 6 MNQ are 3 dollars a tick, 4 ES are 50.
    engine.handle(Quote(at, ES, BASE - 6 * QUARTER, BASE - 5 * QUARTER, 0))
    assert [account for account in accounts if ES in engine.account(account).obligations] == [1]
    engine.handle(Quote(at, MNQ, BASE - 99 * QUARTER, BASE - 98 * QUARTER, 0))
    assert not any(MNQ in engine.account(account).obligations for account in accounts)
    engine.handle(Quote(at, MNQ, BASE - 100 * QUARTER, BASE - 99 * QUARTER, 0))
    assert all(MNQ in engine.account(account).obligations for account in accounts)
