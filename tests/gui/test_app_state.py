"""The view state without Qt: what comes in, what is shown, what is told."""

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest

from gui.app_state import CURVE_KEPT, ENFORCEMENT_KEPT, AppState, Change, Link, Notice, NoticeKind, Protection
from gui.records import Lockout
from tests.gui import sample
from tests.gui.sample import APEX, FUNDED, STEP, HandClock


def _changes(state: AppState) -> list[Change]:
    heard: list[Change] = []
    state.listen(heard.append)
    return heard


def _notices(state: AppState) -> list[Notice]:
    heard: list[Notice] = []
    state.listen_notices(heard.append)
    return heard


def test_state_when_new_is_unreachable_and_knows_nothing(hand: HandClock) -> None:
    state = AppState(hand)
    assert state.protection is Protection.UNREACHABLE
    assert state.accounts == {}
    assert state.clock.now() is None


def test_snapshot_when_applied_fills_every_account(state: AppState) -> None:
    view = state.accounts[APEX]
    assert list(state.accounts) == [APEX, STEP, FUNDED]
    assert view.pnl.realized == Decimal("-318.26")
    assert [position.symbol for position in view.positions or []] == ["MNQ", "ES"]
    assert len(view.orders or []) == 3
    assert view.account.balance == Decimal("50842.16")
    assert state.pending[0].path == "rules.daily_realized_loss.limit"


def test_snapshot_when_repeated_replaces_and_forgets_closed_accounts(state: AppState) -> None:
    again = sample.snapshot()
    for topic in ("accounts", "pnl", "positions", "orders", "lockouts", "rules"):
        del again[topic][FUNDED]
    state.apply_snapshot(again)
    assert FUNDED not in state.accounts


def test_snapshot_when_an_account_was_not_read_shows_nothing_old_as_known(state: AppState) -> None:
    again = sample.snapshot()
    for topic in ("positions", "orders", "pnl"):
        del again[topic][APEX]
    changes = _changes(state)
    state.apply_snapshot(again)
    view = state.accounts[APEX]
    assert view.positions is None and view.orders is None
    assert (view.pnl.realized, view.pnl.unrealized) == (None, None)
    assert state.being_checked(view)
    assert {Change(topic, APEX) for topic in ("positions", "orders", "pnl")} <= set(changes)
    assert view.trades, "a topic that was not asked for stays"


def test_event_when_topic_is_new_to_this_program_changes_nothing(state: AppState) -> None:
    heard = _changes(state)
    state.apply_event("tomorrow", APEX, {"a": 1})
    assert heard == []


@pytest.mark.parametrize("data", [None, 3, "x", [], [1, None, "a"], {"positions": 3}, [[]]])
@pytest.mark.parametrize(
    "topic",
    [
        "status",
        "accounts",
        "pnl",
        "positions",
        "orders",
        "lockouts",
        "rules",
        "enforcement",
        "warnings",
        "trades",
        "config",
    ],
)
def test_event_when_malformed_never_raises(state: AppState, topic: str, data: object) -> None:
    state.apply_event(topic, APEX, data)
    state.apply_event(topic, None, data)
    assert state.protection in Protection


def test_position_when_size_is_zero_is_gone(state: AppState) -> None:
    state.apply_event("positions", APEX, [sample.positions()[0] | {"size": 0}])
    assert state.accounts[APEX].positions == []


# -- protection ------------------------------------------------------------------------------------------------------


def _calm(state: AppState) -> None:
    for account in (APEX, STEP, FUNDED):
        state.apply_event("rules", account, [])


def test_protection_when_all_is_well_is_protected(state: AppState) -> None:
    _calm(state)
    assert state.protection is Protection.PROTECTED


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("accounts", sample.account(APEX, "A", connected=False)),
        ("accounts", sample.account(APEX, "A", monitored=False)),
        ("accounts", sample.account(APEX, "A", can_trade=False)),
        ("positions", [sample.positions()[0] | {"quote_age_ms": 10_001}]),
        ("positions", [sample.positions()[0] | {"quote_age_ms": None}]),
        ("lockouts", [sample.lockout(3, kind="symbol", symbol="RTY")]),
        ("rules", [sample.rule("RULE-003", "daily_realized_loss", "Loss", share=0.75)]),
    ],
)
def test_protection_when_something_is_amiss_is_warning(state: AppState, topic: str, data: object) -> None:
    _calm(state)
    state.apply_event(topic, APEX, data)
    assert state.protection is Protection.WARNING


@pytest.mark.parametrize("changes", [{"status": "starting"}, {"status": "degraded"}, {"clock_suspect": True}])
def test_protection_when_the_daemon_is_unwell_is_warning(state: AppState, changes: dict[str, object]) -> None:
    _calm(state)
    state.apply_event("status", None, sample.status(**changes))
    assert state.protection is Protection.WARNING


def test_protection_when_positions_were_never_heard_is_not_protected(hand: HandClock) -> None:
    state = AppState(hand)
    state.apply_snapshot({"status": sample.status(), "accounts": {APEX: sample.account(APEX, "A")}})
    state.set_link(Link.ONLINE)
    assert state.protection_of(state.accounts[APEX]) is Protection.WARNING


@pytest.mark.parametrize("kind", ["hard", "cooldown", "session", "api", "manual", "novel"])
def test_protection_when_account_is_locked_is_locked(state: AppState, kind: str) -> None:
    state.apply_event("lockouts", APEX, [sample.lockout(3, kind=kind)])
    assert state.protection is Protection.LOCKED


def test_protection_when_daemon_says_locked_without_a_row_is_locked(hand: HandClock) -> None:
    state = AppState(hand)
    state.apply_snapshot({"status": sample.status(), "accounts": {APEX: sample.account(APEX, "A", lockout=True)}})
    state.set_link(Link.ONLINE)
    assert state.protection is Protection.LOCKED


def test_protection_when_link_is_lost_is_unreachable_even_if_locked(state: AppState) -> None:
    state.apply_event("lockouts", APEX, [sample.lockout(3)])
    state.set_link(Link.OFFLINE, "gone")
    assert state.protection is Protection.UNREACHABLE
    assert state.accounts[APEX].locked


def test_protection_when_there_is_no_account_is_not_protected(hand: HandClock) -> None:
    state = AppState(hand)
    state.apply_snapshot({"status": sample.status(accounts={}), "accounts": {}})
    state.set_link(Link.ONLINE)
    assert state.protection is Protection.WARNING


def test_monitored_when_status_does_not_say_is_kept(state: AppState) -> None:
    status = sample.status()
    del status["accounts"][str(APEX)]["monitored"]
    state.apply_event("accounts", APEX, sample.account(APEX, "A", monitored=False))
    state.apply_event("status", None, status)
    assert not state.accounts[APEX].account.monitored


# -- time ------------------------------------------------------------------------------------------------------------


def _lock(state: AppState, **changes: object) -> Lockout:
    state.apply_event("lockouts", APEX, [sample.lockout(3, **changes)])
    return state.accounts[APEX].account_lockouts[0]


def test_remaining_when_time_goes_by_counts_down_with_the_monotonic_clock(state: AppState, hand: HandClock) -> None:
    lock = _lock(state)
    assert state.remaining(lock) == sample.RESET - sample.NOW
    hand.seconds += 60.5
    assert state.remaining(lock) == sample.RESET - sample.NOW - timedelta(seconds=60.5)


def test_remaining_when_daemon_is_away_goes_on_counting(state: AppState, hand: HandClock) -> None:
    lock = _lock(state)
    state.set_link(Link.OFFLINE)
    hand.seconds += 30
    assert state.remaining(lock) == sample.RESET - sample.NOW - timedelta(seconds=30)


def test_remaining_when_over_is_zero_and_the_account_stays_locked(state: AppState, hand: HandClock) -> None:
    lock = _lock(state)
    hand.seconds += 100_000
    assert state.remaining(lock) == timedelta(0)
    assert state.accounts[APEX].locked


def test_remaining_when_trusted_time_is_unknown_is_none(hand: HandClock) -> None:
    state = AppState(hand)
    state.apply_event("lockouts", APEX, [sample.lockout(3)])
    assert state.remaining(state.accounts[APEX].account_lockouts[0]) is None


def test_remaining_when_daemon_corrects_its_time_follows(state: AppState, hand: HandClock) -> None:
    lock = _lock(state)
    hand.seconds += 3600
    state.apply_event("status", None, sample.status())
    assert state.remaining(lock) == sample.RESET - sample.NOW


def test_lockouts_when_several_shows_the_strictest_first(state: AppState) -> None:
    later = sample.iso(sample.RESET + timedelta(days=1))
    rows = [
        sample.lockout(1, kind="cooldown", expires_at=later),
        sample.lockout(2, kind="hard"),
        sample.lockout(3, kind="session", expires_at=None),
        sample.lockout(4, kind="manual", expires_at=later),
        sample.lockout(5, kind="symbol", symbol="RTY"),
    ]
    state.apply_event("lockouts", APEX, rows)
    assert [lock.lockout_id for lock in state.accounts[APEX].account_lockouts] == [3, 4, 2, 1]
    assert [lock.lockout_id for lock in state.accounts[APEX].symbol_lockouts] == [5]


def test_lockouts_when_cleared_rows_come_are_not_active(state: AppState) -> None:
    state.apply_event("lockouts", APEX, [sample.lockout(1, cleared_at=sample.ago(1))])
    assert not state.accounts[APEX].locked


# -- notices ---------------------------------------------------------------------------------------------------------


def test_notices_when_first_snapshot_comes_are_silent(hand: HandClock) -> None:
    state = AppState(hand)
    heard = _notices(state)
    snapshot = sample.snapshot()
    snapshot["lockouts"][APEX] = [sample.lockout(1)]
    state.apply_snapshot(snapshot)
    assert heard == []


def test_notices_when_lock_comes_and_goes_tell_both_once(state: AppState) -> None:
    heard = _notices(state)
    state.apply_event("lockouts", APEX, [sample.lockout(1)])
    state.apply_event("lockouts", APEX, [sample.lockout(1)])
    state.apply_event("lockouts", APEX, [])
    assert [notice.kind for notice in heard] == [NoticeKind.LOCKOUT, NoticeKind.UNLOCK]


def test_notices_when_locked_while_disconnected_tell_after_reconnect(state: AppState) -> None:
    heard = _notices(state)
    state.set_link(Link.OFFLINE)
    snapshot = sample.snapshot()
    snapshot["lockouts"][APEX] = [sample.lockout(1)]
    state.apply_snapshot(snapshot)
    assert [notice.kind for notice in heard] == [NoticeKind.LOCKOUT]


def test_notices_when_action_is_confirmed_later_tell_it_once(state: AppState) -> None:
    heard = _notices(state)
    row = sample.enforcement(90, 0, action_id=7, id=None, result=None, confirmed_at=None)
    state.apply_event("enforcement", APEX, row)
    state.apply_event("enforcement", APEX, row | {"result": "confirmed", "confirmed_at": sample.iso(sample.NOW)})
    assert [notice.kind for notice in heard] == [NoticeKind.ENFORCEMENT]
    newest = state.accounts[APEX].enforcement_log[0]
    assert (newest.result, newest.action_id) == ("confirmed", 7)


def test_notices_when_stop_is_moved_or_lock_is_logged_are_silent(state: AppState) -> None:
    heard = _notices(state)
    for action in ("modify_order", "lockout_set", "lockout_cleared"):
        state.apply_event("enforcement", APEX, [sample.enforcement(91, 0, action=action)])
    assert heard == []


def test_notices_when_warning_comes_tell_its_text(state: AppState) -> None:
    heard = _notices(state)
    state.apply_event("warnings", APEX, {"rule_id": "RULE-003", "level": 75, "text": "75 % used", "at": sample.ago(0)})
    assert [notice.kind for notice in heard] == [NoticeKind.WARNING]
    assert state.accounts[APEX].warnings[0].message == "75 % used"


# -- logs, trades, curve ---------------------------------------------------------------------------------------------


def test_log_when_page_is_older_than_the_event_keeps_the_outcome(state: AppState) -> None:
    row = sample.enforcement(95, 0, action_id=9, result="confirmed")
    state.apply_event("enforcement", APEX, row | {"id": None})
    state.add_log([row | {"result": None, "confirmed_at": None}])
    assert state.accounts[APEX].enforcement_log[0].result == "confirmed"


def test_log_when_row_names_no_symbol_takes_the_known_one(state: AppState) -> None:
    row = sample.enforcement(96, 0, contract_id="CON.F.US.EP.Z26", action_id=11)
    del row["symbol"]
    state.add_log([row])
    assert state.accounts[APEX].enforcement_log[0].symbol == "ES"


def test_log_when_long_keeps_the_newest(state: AppState) -> None:
    for number in range(ENFORCEMENT_KEPT + 50):
        state.apply_event("enforcement", STEP, sample.enforcement(number, 10_000 - number, account_id=STEP))
    log = state.accounts[STEP].enforcement_log
    assert len(log) == ENFORCEMENT_KEPT
    assert log[0].entry_id == ENFORCEMENT_KEPT + 49


def test_trades_when_the_whole_day_comes_replace_what_was_known(state: AppState) -> None:
    state.apply_event("trades", APEX, sample.trades()[:3])
    assert len(state.accounts[APEX].trades or {}) == 3


def test_trades_when_only_the_newest_come_are_added(state: AppState) -> None:
    rows = [sample.trades()[0] | {"id": 8000 + number, "created_at": sample.ago(1)} for number in range(200)]
    state.apply_event("trades", APEX, rows)
    assert len(state.accounts[APEX].trades or {}) == 200 + 18


def test_trades_when_one_of_the_newest_is_missing_it_was_voided(state: AppState) -> None:
    rows = [sample.trades()[0] | {"id": 7000 + number} for number in range(250)]
    state.set_trades(APEX, rows)
    state.apply_event("trades", APEX, [row for row in rows[-201:] if row["id"] != 7240])
    kept = state.accounts[APEX].trades or {}
    assert set(kept) == {7000 + number for number in range(250)} - {7240}


def test_trades_when_the_daemon_counts_others_are_incomplete(state: AppState) -> None:
    view = state.accounts[APEX]
    state.apply_event("pnl", APEX, sample.pnl("1", "1", len(view.trades or {})))
    assert not view.trades_incomplete
    state.apply_event("pnl", APEX, sample.pnl("1", "1", 3))
    assert view.trades_incomplete


def test_trades_when_day_is_unknown_and_part_comes_stay_unknown(hand: HandClock) -> None:
    state = AppState(hand)
    state.apply_event("trades", APEX, [sample.trades()[0] | {"id": number} for number in range(200)])
    assert state.accounts[APEX].trades is None


def test_day_when_it_changes_empties_trades_curve_and_desk(state: AppState) -> None:
    state.apply_event("pnl", APEX, sample.pnl("0", "0", 0) | {"trading_day": "2026-11-21"})
    view = state.accounts[APEX]
    assert view.trades == {}
    assert view.desk == []
    assert len(view.curve) == 1


def test_day_when_its_first_trade_comes_before_it_keeps_the_trade(state: AppState) -> None:
    # As the daemon sends them at a reset: the day's trades, then its figures.
    row = sample.trades()[0] | {"id": 9, "created_at": sample.iso(sample.RESET + timedelta(seconds=2))}
    state.apply_event("trades", APEX, [row])
    state.apply_event("pnl", APEX, sample.pnl("-0.87", "0", 1) | {"trading_day": "2026-11-21"})
    assert list(state.accounts[APEX].trades or {}) == [9]


def test_log_when_two_locks_of_a_rule_end_together_has_both(state: AppState) -> None:
    ended = {"action": "lockout_cleared", "contract_id": None, "order_id": None, "reason": "Ended by time"}
    told = sample.enforcement(1, 5) | ended | {"id": None}
    before = len(state.accounts[APEX].enforcement)
    for _ in range(2):
        state.apply_event("enforcement", APEX, told)
    assert len(state.accounts[APEX].enforcement) == before + 2
    # Their rows, read as often as one likes, are the same two; so is what is told of a row that was read first.
    for _ in range(2):
        state.add_log([told | {"id": 902, "reason": "time"}, told | {"id": 901, "reason": "time"}])
    state.apply_event("enforcement", APEX, told)
    entries = [entry for entry in state.accounts[APEX].enforcement_log if entry.action == "lockout_cleared"]
    assert len(state.accounts[APEX].enforcement) == before + 2
    assert sorted(entry.entry_id or 0 for entry in entries)[-2:] == [901, 902]
    assert len({entry.key for entry in entries}) == len(entries)


def test_curve_when_fed_for_hours_stays_bounded_and_in_order(state: AppState, hand: HandClock) -> None:
    for number in range(3 * CURVE_KEPT):
        hand.seconds += 2
        state.apply_event("pnl", APEX, sample.pnl(f"{-number}", "1", 1))
    curve = state.accounts[APEX].curve
    assert len(curve) <= CURVE_KEPT
    assert all(one.at < other.at for one, other in itertools.pairwise(curve))
    assert curve[-1].realized == Decimal(1 - 3 * CURVE_KEPT)


def test_curve_when_quotes_are_fast_keeps_one_point_a_second(state: AppState, hand: HandClock) -> None:
    before = len(state.accounts[APEX].curve)
    for number in range(100):
        hand.seconds += 0.05
        state.apply_event("pnl", APEX, sample.pnl("1", f"{number}", 1))
    curve = state.accounts[APEX].curve
    assert len(curve) - before <= 6
    assert curve[-1].total == Decimal(100)


# -- replica ---------------------------------------------------------------------------------------------------------


def test_replica_when_daemon_is_live_is_ignored(state: AppState) -> None:
    state.load_replica({"pnl": {APEX: sample.pnl("99", "0", 1)}}, sample.NOW)
    assert state.accounts[APEX].pnl.realized == Decimal("-318.26")


def test_replica_when_daemon_is_away_fills_the_window_without_a_clock(hand: HandClock) -> None:
    state = AppState(hand)
    state.load_replica({key: value for key, value in sample.snapshot().items() if key != "config"}, sample.NOW)
    assert state.accounts[APEX].pnl.realized == Decimal("-318.26")
    assert state.as_of == sample.NOW
    assert state.clock.now() is None
    assert state.protection is Protection.UNREACHABLE


def test_replica_when_loaded_first_makes_no_notices_with_the_snapshot(hand: HandClock) -> None:
    state = AppState(hand)
    heard = _notices(state)
    snapshot = sample.snapshot()
    snapshot["lockouts"][APEX] = [sample.lockout(1)]
    state.load_replica(snapshot, sample.NOW)
    state.apply_snapshot(snapshot)
    assert heard == []


def test_quote_when_none_comes_grows_old_by_itself(state: AppState, hand: HandClock) -> None:
    assert all(not position.stale for position in state.accounts[APEX].positions or ())
    heard = _changes(state)
    hand.seconds += 5
    state.apply_event("status", None, sample.status())
    assert Change("positions", APEX) not in heard
    hand.seconds += 6
    state.apply_event("status", None, sample.status())
    assert Change("positions", APEX) in heard
    ages = [position.quote_age_ms or 0 for position in state.accounts[APEX].positions or ()]
    assert all(11_000 < age < 12_000 for age in ages)
    assert state.protection_of(state.accounts[APEX]) is Protection.WARNING
    hand.seconds += 5
    state.apply_event("status", None, sample.status())
    assert [p.quote_age_ms for p in state.accounts[APEX].positions or ()] == [age + 5_000 for age in ages]
    state.apply_event("positions", APEX, [sample.position("CON.F.US.MNQ.Z26", "MNQ", "MNQZ6")])
    assert not (state.accounts[APEX].positions or [])[0].stale


def test_times_when_daemon_names_its_zone_are_said_in_it(state: AppState) -> None:
    assert state.calendar.zone_name == "New York"
    state.apply_event("status", None, sample.status(timezone="America/Chicago"))
    assert state.calendar.zone_name == "Chicago"
    end = Lockout.read(sample.lockout(8, expires_at="2026-11-21T22:00:00.000000Z"))
    assert end is not None and end.expires_at is not None
    assert state.calendar.clock(end.expires_at).startswith("16:00")


def test_curve_when_it_ends_with_a_trade_takes_the_total_as_it_is_now(state: AppState, hand: HandClock) -> None:
    hand.seconds += 2
    state.apply_event("pnl", APEX, sample.pnl("-10", "4", 1))
    now = state.clock.now()
    assert now is not None
    hand.seconds += 1
    trades = [
        [(now + timedelta(seconds=after)).isoformat(), realized, None] for after, realized in ((-9, "-5"), (0.5, "-10"))
    ]
    state.set_curve(APEX, trades)
    curve = state.accounts[APEX].curve
    assert [point.total for point in curve[:-1]] in ([None], [None, None])
    assert (curve[-1].realized, curve[-1].total) == (Decimal(-10), Decimal(-6))
    assert all(one.at <= other.at for one, other in itertools.pairwise(curve))
