"""Never close what no rule forbids: against small independent reckonings, in Decimal, of what the rules demand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.decisions import Act
from tests.core.desk import CONTRACTS, ES, MNQ, NQ, RTY, Desk, rules

NAMES = {MNQ: "MNQ", NQ: "NQ", ES: "ES", RTY: "RTY"}
TICKS = {MNQ: ("0.25", "0.50"), NQ: ("0.25", "5"), ES: ("0.25", "12.50"), RTY: ("0.1", "5")}

held_sizes = st.lists(st.tuples(st.sampled_from(list(NAMES)), st.integers(-6, 6)), min_size=1, max_size=8)


def count(sizes: dict[str, int], count_type: str) -> int:
    longs = sum(size for size in sizes.values() if size > 0)
    shorts = -sum(size for size in sizes.values() if size < 0)
    return {"net": abs(longs - shorts), "gross": longs + shorts, "long": longs, "short": shorts}[count_type]


def breaches(sizes: dict[str, int], limit: int, count_type: str, limits: dict[str, int]) -> bool:
    by_symbol = any(abs(size) > limits.get(NAMES[contract], 99) for contract, size in sizes.items())
    return by_symbol or count(sizes, count_type) > limit


@settings(max_examples=250, deadline=None)
@given(
    held=held_sizes,
    limit=st.integers(0, 8),
    count_type=st.sampled_from(["net", "gross", "long", "short"]),
    limits=st.dictionaries(st.sampled_from(["MNQ", "NQ", "ES"]), st.integers(0, 4)),
)
def test_reductions_are_enough_and_not_one_contract_more(
    held: list[tuple[str, int]], limit: int, count_type: str, limits: dict[str, int]
) -> None:
    chosen: dict[str, Any] = {"max_contracts": {"limit": limit, "count_type": count_type}}
    chosen["max_contracts_per_instrument"] = {"limits": limits, "unknown_symbol_action": "allow"}
    desk = Desk(rules(**chosen))
    for contract, size in held:
        desk.position(contract, size)
    sizes = {contract: position.size for contract, position in desk.engine.account(101).positions.items()}
    assert bool(desk.wanted()) == breaches(sizes, limit, count_type, limits)
    while desk.wanted():
        wanted = {key: target for key, target in desk.wanted().items() if isinstance(key, str)}
        after = {**sizes, **{key: target * (1 if sizes[key] > 0 else -1) for key, target in wanted.items()}}
        for contract, target in wanted.items():
            assert 0 <= target < abs(sizes[contract])
            one_more = {**after, contract: after[contract] + (1 if sizes[contract] > 0 else -1)}
            if count_type != "net":  # of a net count the other side may be on its way out too
                assert breaches(one_more, limit, count_type, limits), f"{contract} could have kept one more"
        for contract in wanted:
            desk.position(contract, after[contract])
        sizes = {contract: size for contract, size in after.items() if size}
    assert not breaches(sizes, limit, count_type, limits)


@settings(max_examples=150, deadline=None)
@given(
    positions=st.dictionaries(st.sampled_from(list(NAMES)), st.sampled_from([-3, -1, 1, 2]), min_size=1),
    moves=st.lists(st.tuples(st.sampled_from(list(NAMES)), st.integers(-120, 120)), max_size=30),
    loss=st.integers(10, 900),
    gain=st.integers(10, 900),
)
def test_position_is_closed_just_when_its_own_profit_or_loss_was_reached(
    positions: dict[str, int], moves: list[tuple[str, int]], loss: int, gain: int
) -> None:
    desk = Desk(rules(daily_unrealized_loss={"limit": -loss}, max_unrealized_profit={"target": gain}))
    price = dict.fromkeys(NAMES, Decimal(20_000))
    for contract, size in positions.items():
        desk.position(contract, size, "20000")
    reached: set[str] = set()
    for contract, ticks in moves:
        tick, value = (Decimal(text) for text in TICKS[contract])
        price[contract] += ticks * tick
        desk.quote(contract, str(price[contract]), str(price[contract] + tick))
        if contract in positions:
            size = positions[contract]
            exit_price = price[contract] if size > 0 else price[contract] + tick
            profit = (exit_price - 20_000) / tick * value * size
            if profit <= -loss or profit >= gain:
                reached.add(contract)
        assert {key for key in desk.wanted() if isinstance(key, str)} == reached
    assert len(CONTRACTS) == len(NAMES)


streams = st.lists(
    st.tuples(
        st.sampled_from([MNQ, ES]),
        st.sampled_from([-2, -1, 1, 2]),
        st.decimals(-150, 150, places=2),
        st.sampled_from([1, 30, 70, 4000]),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(stream=streams)
def test_nothing_is_asked_for_before_anything_is_locked_and_locks_come_when_they_must(
    stream: list[tuple[str, int, Decimal, int]],
) -> None:
    desk = Desk(
        rules(
            daily_realized_loss={"limit": -300},
            daily_realized_profit={"target": 300},
            cooldown_after_loss={"loss_thresholds": [{"loss_amount": -120, "cooldown_duration": 60}]},
            consecutive_losses={"limit": 4, "cooldown_duration": 60},
        )
    )
    day, row, realized = desk.engine.view.day_end, 0, Decimal(0)
    for contract, size, pnl, pause in stream:
        held = desk.engine.account(101).size(contract)
        if held * size < 0 and abs(size) <= abs(held):
            desk.close(contract, size, str(pnl))
            realized += pnl
            row = row + 1 if pnl < 0 else 0
            must = realized <= -300 or realized >= 300 or pnl <= -120 or row >= 4
            assert bool(desk.locks()) == must
            if must:
                return
        else:
            desk.enter(contract, size)
        assert desk.of(Act) == []
        desk.wait(pause)
        if desk.engine.view.day_end != day:
            day, row, realized = desk.engine.view.day_end, 0, Decimal(0)
