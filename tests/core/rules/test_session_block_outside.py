"""RULE-009: trading hours, holidays, and what happens outside them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.core.engine import Engine
from daemon.core.events import ClearRequested
from daemon.core.sessions import Sessions
from daemon.core.units import SECOND_US, from_micros, to_micros
from shared.config import HolidayCalendar, RiskConfig, SessionWindow
from shared.models import OrderType
from tests.core.desk import ES, MNQ, NQ, Desk, rules

SHIPPED = HolidayCalendar.model_validate(
    yaml.safe_load((Path(__file__).parents[3] / "config" / "holidays.yaml").read_text(encoding="utf-8"))
)
DAY = {"start": "09:30", "end": "16:00", "timezone": "America/New_York", "days": ["mon", "tue", "wed", "thu", "fri"]}
GLOBEX = {"start": "17:00", "end": "16:00", "timezone": "America/Chicago", "days": ["sun", "mon", "tue", "wed", "thu"]}


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def hours(window: dict[str, Any] | None = None, **more: Any) -> RiskConfig:
    more.setdefault("respect_holidays", False)
    if window is not None:
        more["global_session"] = window
    return rules(session_block_outside=more)


def desk_at(moment: datetime, config: RiskConfig | None = None, calendar: HolidayCalendar | None = None) -> Desk:
    return Desk(config or hours(DAY), at=moment, calendar=calendar)


def until(desk: Desk) -> datetime:
    (lock,) = [lock for lock in desk.engine.account(101).locks.values() if lock.rule_id == "RULE-009"]
    return from_micros(lock.expires_at or 0)


def go_to(desk: Desk, moment: datetime) -> None:
    """Time goes on to a moment, and a tick comes."""
    desk.wait((to_micros(moment) - desk.at) / SECOND_US)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        (at(2026, 11, 18, 14, 29, 59), False),
        (at(2026, 11, 18, 14, 30), True),
        (at(2026, 11, 18, 20, 59, 59), True),
        (at(2026, 11, 18, 21), False),
        (at(2026, 11, 21, 16), False),  # Saturday
        (at(2026, 7, 15, 13, 30), True),  # summer
        (at(2026, 7, 15, 13, 29, 59), False),
        (at(2026, 3, 6, 14, 30), True),  # the Friday before the clocks go forward, the Monday after
        (at(2026, 3, 9, 13, 30), True),
        (at(2026, 3, 9, 13, 29), False),
        (at(2026, 10, 30, 13, 30), True),  # and back
        (at(2026, 11, 2, 13, 30), False),
        (at(2026, 11, 2, 14, 30), True),
    ],
)
def test_window_of_a_day_is_open_from_its_start_to_before_its_end(moment: datetime, open_: bool) -> None:
    desk = desk_at(moment)
    assert desk.locks() == ([] if open_ else ["RULE-009"])
    desk.position(MNQ, 1)
    assert desk.wanted() == ({} if open_ else {MNQ: 0})


@pytest.mark.parametrize(
    ("moment", "next_start"),
    [
        (at(2026, 11, 18, 12), at(2026, 11, 18, 14, 30)),
        (at(2026, 11, 18, 21), at(2026, 11, 19, 14, 30)),
        (at(2026, 11, 20, 21), at(2026, 11, 23, 14, 30)),  # over the weekend
        (at(2026, 3, 6, 22), at(2026, 3, 9, 13, 30)),
        (at(2026, 10, 30, 22), at(2026, 11, 2, 14, 30)),
    ],
)
def test_lockout_lasts_to_the_next_start(moment: datetime, next_start: datetime) -> None:
    desk = desk_at(moment)
    assert until(desk) == next_start
    go_to(desk, next_start)
    assert desk.locks() == []
    desk.position(MNQ, 1)
    assert desk.wanted() == {}


def test_session_end_closes_and_cancels_on_time_without_any_event() -> None:
    desk = desk_at(at(2026, 11, 18, 20, 59))
    desk.position(MNQ, 1)
    order = desk.order(ES, 1)
    assert desk.engine.next_due <= to_micros(at(2026, 11, 18, 21))
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.wanted() == {MNQ: 0, order: 0}
    assert desk.lock_decisions()[0].lockout.kind == "session"


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        (at(2026, 11, 15, 22, 59), False),  # Sunday: Globex opens at 17:00 in Chicago, 23:00 UTC
        (at(2026, 11, 15, 23), True),
        (at(2026, 11, 16, 3), True),
        (at(2026, 11, 16, 21, 59), True),
        (at(2026, 11, 16, 22), False),  # the hour of maintenance
        (at(2026, 11, 16, 23), True),
        (at(2026, 11, 20, 21, 59), True),
        (at(2026, 11, 20, 22), False),
        (at(2026, 11, 20, 23, 30), False),  # Friday evening starts no session
        (at(2026, 3, 8, 21, 59), False),  # the Sunday on which the clocks go forward
        (at(2026, 3, 8, 22), True),
        (at(2026, 11, 1, 22, 59), False),  # and back
        (at(2026, 11, 1, 23), True),
    ],
)
def test_overnight_window_belongs_to_the_day_it_starts_on(moment: datetime, open_: bool) -> None:
    assert bool(desk_at(moment, hours(GLOBEX)).locks()) != open_


def test_window_of_symbols_locks_that_symbol_alone() -> None:
    config = hours(per_instrument_sessions={"sessions": {"ES": DAY, "ENQ": DAY}})
    desk = desk_at(at(2026, 11, 18, 21, 30), config)
    for contract in (MNQ, ES, NQ):
        desk.position(contract, 1)
    order = desk.order(ES, 1)
    assert desk.wanted() == {ES: 0, NQ: 0, order: 0}
    assert [lock.symbol for lock in desk.engine.account(101).locks.values()] == ["ES", "ENQ"]


def test_account_and_symbol_window_must_both_allow() -> None:
    config = hours(DAY, per_instrument_sessions={"sessions": {"ES": {**DAY, "start": "12:00"}}})
    desk = desk_at(at(2026, 11, 18, 15), config)
    desk.position(MNQ, 1)
    desk.position(ES, 1)
    assert desk.wanted() == {ES: 0}
    go_to(desk, at(2026, 11, 18, 17))
    assert desk.wanted() == {}
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.wanted() == {ES: 0, MNQ: 0}


@pytest.mark.parametrize(
    ("moment", "open_", "reopens"),
    [
        (at(2026, 11, 25, 16), True, None),
        (at(2026, 11, 26, 14, 30), True, None),  # Thanksgiving: to noon in Chicago, 18:00 UTC
        (at(2026, 11, 26, 17, 59), True, None),
        (at(2026, 11, 26, 18), False, at(2026, 11, 27, 14, 30)),
        (at(2026, 11, 27, 18), False, at(2026, 11, 30, 14, 30)),
        (at(2026, 12, 25, 15), False, at(2026, 12, 28, 14, 30)),
        (at(2026, 12, 24, 17, 59), True, None),
        (at(2027, 1, 1, 15), False, at(2027, 1, 4, 14, 30)),
        (at(2026, 4, 3, 15), False, at(2026, 4, 6, 13, 30)),  # Good Friday
        (at(2027, 6, 18, 17), False, at(2027, 6, 21, 13, 30)),  # the early close of a summer: noon is 17:00 UTC
        (at(2027, 6, 18, 16, 59), True, None),
    ],
)
def test_shipped_holidays_close_the_day_or_what_is_left_of_it(
    moment: datetime, open_: bool, reopens: datetime | None
) -> None:
    desk = desk_at(moment, hours(DAY, respect_holidays=True), SHIPPED)
    assert bool(desk.locks()) != open_
    if reopens is not None:
        assert until(desk) == reopens
        ignoring = desk_at(moment, hours(DAY, respect_holidays=False), SHIPPED)
        assert ignoring.locks() == []


def test_early_close_enforces_when_its_time_comes() -> None:
    desk = desk_at(at(2026, 11, 26, 17), hours(DAY, respect_holidays=True), SHIPPED)
    desk.position(MNQ, 1)
    go_to(desk, at(2026, 11, 26, 18))
    assert desk.wanted() == {MNQ: 0}


def test_overnight_session_is_cut_by_a_closed_day() -> None:
    sessions = Sessions(SessionWindow.model_validate(GLOBEX), SHIPPED)
    night = sessions.current(to_micros(at(2026, 12, 25, 5)))  # the 24th, 23:00 in Chicago, after its early close
    assert night is None
    following = sessions.following(to_micros(at(2026, 12, 25, 12)))
    assert following is not None
    assert from_micros(following.start) == at(2026, 12, 27, 23)


def test_holidays_alone_leave_every_other_hour_open() -> None:
    config = hours(respect_holidays=True)
    desk = desk_at(at(2026, 11, 22, 3), config, SHIPPED)
    desk.position(MNQ, 1)
    assert desk.locks() == []
    go_to(desk, at(2026, 12, 25, 6))
    assert desk.wanted() == {MNQ: 0}
    assert until(desk) == at(2026, 12, 26, 6)


def test_without_closing_what_is_held_at_the_end_may_stay_and_shrink() -> None:
    desk = desk_at(at(2026, 11, 18, 20, 59), hours(DAY, close_positions_at_session_end=False))
    desk.enter(MNQ, 3)
    stop = desk.order(MNQ, -3, kind=OrderType.STOP, stop=90)
    entry = desk.order(ES, 1)
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.wanted() == {entry: 0}, stop
    desk.close(MNQ, -1, "0")
    assert MNQ not in desk.wanted()
    desk.enter(MNQ, 1)
    assert desk.wanted()[MNQ] == 2
    desk.enter(ES, 1)
    assert desk.wanted()[ES] == 0


def test_without_lockout_new_exposure_is_taken_back_all_the_same() -> None:
    config = hours(DAY, lockout_outside_session=False, close_positions_at_session_end=False)
    desk = desk_at(at(2026, 11, 18, 20, 59), config)
    desk.enter(MNQ, 3)
    entry = desk.order(ES, 1)
    stop = desk.order(MNQ, -3, kind=OrderType.STOP, stop=90)
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.locks() == []
    assert desk.wanted() == {entry: 0}, stop
    desk.enter(MNQ, 1)
    assert desk.wanted()[MNQ] == 3
    desk.close(MNQ, -2, "0")
    desk.enter(MNQ, 1)
    assert desk.wanted()[MNQ] == 2
    desk.enter(ES, -1)
    assert desk.wanted()[ES] == 0
    go_to(desk, at(2026, 11, 19, 14, 30))
    assert desk.wanted() == {}


def test_without_lockout_a_window_of_a_symbol_is_about_that_symbol_alone() -> None:
    config = hours(
        per_instrument_sessions={"sessions": {"ES": DAY}},
        lockout_outside_session=False,
        close_positions_at_session_end=False,
    )
    desk = desk_at(at(2026, 11, 18, 20, 59), config)
    desk.enter(ES, 1)
    desk.enter(MNQ, 1)
    go_to(desk, at(2026, 11, 18, 21))
    other = desk.order(MNQ, 1)
    desk.enter(MNQ, 2)
    assert desk.wanted() == {}, other
    order = desk.order(ES, 1)
    desk.enter(ES, 1)
    assert desk.wanted() == {ES: 1, order: 0}


@pytest.mark.parametrize("lockout", [False, True])
def test_position_turned_round_outside_is_closed_whole(lockout: bool) -> None:
    config = hours(DAY, lockout_outside_session=lockout, close_positions_at_session_end=False)
    desk = desk_at(at(2026, 11, 18, 20, 59), config)
    desk.enter(MNQ, 3)
    go_to(desk, at(2026, 11, 18, 21))
    desk.trade(MNQ, -3, "0", order_id=5)
    desk.trade(MNQ, -2, order_id=5)
    desk.position(MNQ, -2)
    assert desk.wanted() == {MNQ: 0}


def test_without_lockout_but_closing_everything_goes_and_our_own_closes_are_left_to_work() -> None:
    desk = desk_at(at(2026, 11, 18, 20, 59), hours(DAY, lockout_outside_session=False))
    desk.position(MNQ, 2)
    order = desk.order(MNQ, -2, limit=110)
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.wanted() == {MNQ: 0, order: 0}
    ours = desk.order(MNQ, -2, kind=OrderType.MARKET)
    assert ours not in desk.wanted()


def test_restart_outside_keeps_what_may_stay() -> None:
    config = hours(DAY, lockout_outside_session=False, close_positions_at_session_end=False)
    desk = desk_at(at(2026, 11, 18, 20, 59), config)
    desk.enter(MNQ, 1)
    go_to(desk, at(2026, 11, 18, 21))
    engine = Engine(config, HolidayCalendar())
    memory = {(101, key): values for key, values in desk.engine.account(101).memory.items()}
    engine.restore(desk.at, memories=memory)
    other = Desk(engine=engine, accounts=())
    other.at = desk.at + SECOND_US
    other.read_positions((MNQ, 4))
    assert other.wanted() == {MNQ: 1}
    later = Engine(config, HolidayCalendar())
    later.restore(to_micros(at(2026, 11, 19, 22)), memories=memory)
    tomorrow = Desk(engine=later, accounts=(), at=at(2026, 11, 19, 22))
    tomorrow.read_positions((MNQ, 4))  # held since a session the daemon did not see
    assert tomorrow.wanted() == {}


def test_configuration_that_closes_earlier_locks_at_once_and_one_that_opens_earlier_waits() -> None:
    desk = desk_at(at(2026, 11, 18, 15))
    desk.configure(hours({**DAY, "end": "09:45"}))
    assert until(desk) == at(2026, 11, 19, 14, 30)
    desk.configure(hours({**DAY, "end": "17:00"}))
    assert until(desk) == at(2026, 11, 19, 14, 30)
    desk.configure(rules())
    assert until(desk) == at(2026, 11, 19, 14, 30)


def test_configuration_that_opens_later_lengthens_the_lockout() -> None:
    desk = desk_at(at(2026, 11, 18, 12))
    desk.configure(hours({**DAY, "start": "10:30"}))
    go_to(desk, at(2026, 11, 18, 14, 30))
    assert desk.locks() == ["RULE-009"]
    assert until(desk) == at(2026, 11, 18, 15, 30)


def test_configuration_that_closes_at_the_end_takes_effect_outside_too() -> None:
    desk = desk_at(at(2026, 11, 18, 20, 59), hours(DAY, close_positions_at_session_end=False))
    desk.enter(MNQ, 3)
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.wanted() == {}
    desk.configure(hours(DAY))
    assert desk.wanted() == {MNQ: 0}


def test_admins_clear_frees_until_the_next_end() -> None:
    desk = desk_at(at(2026, 11, 18, 12))
    desk.feed(ClearRequested(desk.at, 1, desk.at, "early start", "admin"))
    desk.position(MNQ, 1)
    desk.wait(60)
    assert desk.locks() == []
    go_to(desk, at(2026, 11, 18, 21))
    assert desk.wanted() == {MNQ: 0}


def closed_for(days: int) -> HolidayCalendar:
    """A calendar whose so many days from 18 November 2026 on are closed."""
    first = date(2026, 11, 18)
    return HolidayCalendar.model_validate({"dates": {first + timedelta(days=n): "closed" for n in range(days)}})


def test_no_session_within_three_weeks_is_locked_and_said_so() -> None:
    desk = desk_at(at(2026, 11, 18, 15), hours(DAY, respect_holidays=True), closed_for(60))
    desk.position(MNQ, 1)
    assert desk.locks() == ["RULE-009"]
    assert desk.wanted() == {MNQ: 0}
    assert desk.lock_decisions()[0].lockout.reason == (
        "The account is outside its trading hours, and none begin within three weeks: check the windows and"
        " holidays.yaml; locked, and looked for again at 19:00 New York."
    )
    told = [warn.text for warn in desk.warnings() if warn.rule_id == "RULE-009"]
    assert told == [
        "The account is outside its trading hours, and none begin within three weeks: check the windows and"
        " holidays.yaml."
    ]
    assert desk.gauge("RULE-009").limit == "opens not within three weeks"


def test_lockout_without_a_known_start_goes_on_without_a_gap_and_ends_at_the_start() -> None:
    desk = desk_at(at(2026, 11, 18, 15), hours(DAY, respect_holidays=True), closed_for(40))
    desk.position(MNQ, 1)
    start = at(2026, 12, 28, 14, 30)  # the Monday after
    while desk.at < to_micros(start) - 3600 * SECOND_US:
        desk.wait(3599)
        assert desk.wanted() == {MNQ: 0}
        assert desk.locks()
    assert len(desk.lock_decisions()) < 25  # one a day, until the start is in sight
    assert [settle.result for settle in desk.settled()] == []
    assert until(desk) == start
    go_to(desk, start)
    assert desk.locks() == []
    assert desk.wanted() == {}


def test_calendar_that_is_mended_frees_within_a_day() -> None:
    desk = desk_at(at(2026, 11, 18, 15), hours(DAY, respect_holidays=True), closed_for(60))
    desk.configure(hours(DAY, respect_holidays=True), HolidayCalendar())
    assert desk.locks() == ["RULE-009"]
    go_to(desk, at(2026, 11, 19, 14, 30))
    assert desk.locks() == []


def test_symbol_without_any_session_in_sight_is_locked_alone() -> None:
    window = {"sessions": {"ES": {**DAY, "days": ["mon"]}}}
    desk = desk_at(
        at(2026, 11, 18, 15), hours(DAY, respect_holidays=True, per_instrument_sessions=window), closed_for(60)
    )
    assert {lock.symbol for lock in desk.engine.account(101).locks.values()} == {None, "ES"}
    reasons = [decision.lockout.reason for decision in desk.lock_decisions()]
    assert reasons[1].startswith("ES is outside its trading hours, and none begin")


def test_without_lockout_nor_closing_what_was_held_may_stay_over_weeks_without_a_session() -> None:
    config = hours(DAY, respect_holidays=True, lockout_outside_session=False, close_positions_at_session_end=False)
    desk = desk_at(at(2026, 11, 17, 15), config, closed_for(60))
    desk.enter(MNQ, 2)
    go_to(desk, at(2026, 11, 17, 22))
    assert desk.wanted() == {}
    go_to(desk, at(2026, 11, 18, 23, 59))
    desk.enter(MNQ, 1)
    assert desk.wanted() == {MNQ: 2}
    for _ in range(30):
        desk.wait(86_400)
        assert desk.wanted() == {MNQ: 2}


def test_gauge_says_until_when() -> None:
    desk = desk_at(at(2026, 11, 18, 15))
    assert (desk.gauge("RULE-009").value, desk.gauge("RULE-009").limit) == ("open", "until 16:00 New York")
    closed = desk_at(at(2026, 11, 18, 12))
    assert (closed.gauge("RULE-009").value, closed.gauge("RULE-009").limit) == ("closed", "opens 09:30 New York")
