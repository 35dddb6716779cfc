"""Rows of the socket and of the replica become values; what can't be read is None, never a wrong figure."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gui import records
from gui.records import (
    Enforcement,
    Health,
    Kind,
    Lockout,
    Order,
    Pending,
    Pnl,
    Position,
    Rule,
    Strain,
    Trade,
    Warn,
)
from shared.models import OrderStatus, OrderType, PositionType, Side


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("-510.74", Decimal("-510.74")),
        (0, Decimal(0)),
        ("0.1", Decimal("0.1")),
        (None, None),
        ("", None),
        ("abc", None),
        ("NaN", None),
        ("Infinity", None),
        (True, None),
    ],
)
def test_money_when_given_anything_is_exact_or_unknown(given: object, expected: Decimal | None) -> None:
    assert records.money(given) == expected


@pytest.mark.parametrize(
    "given",
    ["2026-11-20T19:32:05.000000Z", "2026-11-20T14:32:05-05:00", "2026-11-20T19:32:05", 1_795_203_125_000_000],
)
def test_moment_when_in_any_form_is_the_same_utc_time(given: object) -> None:
    assert records.moment(given) == datetime(2026, 11, 20, 19, 32, 5, tzinfo=UTC)


@pytest.mark.parametrize("given", [None, "", "yesterday", True, 10**30])
def test_moment_when_unreadable_is_none(given: object) -> None:
    assert records.moment(given) is None


def test_position_when_unrealized_is_missing_is_not_zero() -> None:
    position = Position.read({"contract_id": "CON.F.US.MNQ.Z26", "type": 2, "size": 3, "unrealized": None})
    assert position is not None
    assert position.unrealized is None
    assert position.side is PositionType.SHORT
    assert position.symbol == "MNQ"
    assert position.stale


@pytest.mark.parametrize(("age", "stale"), [(0, False), (10_000, False), (10_001, True), (None, True)])
def test_position_when_quote_is_older_than_ten_seconds_is_stale(age: int | None, stale: bool) -> None:
    position = Position.read({"contract_id": "X", "type": 1, "size": 1, "quote_age_ms": age})
    assert position is not None
    assert position.stale is stale


def test_position_when_type_is_unknown_has_no_side() -> None:
    position = Position.read({"contract_id": "X", "type": 9, "size": 1})
    assert position is not None
    assert position.side is None


def test_order_when_status_is_unknown_counts_as_working() -> None:
    order = Order.read({"id": 4, "contract_id": "X", "type": 99, "status": 77, "side": 1, "size": 2})
    assert order is not None
    assert (order.status, order.type, order.side) == (OrderStatus.NONE, OrderType.UNKNOWN, Side.SELL)


def test_trade_when_closing_nets_fees_and_commissions() -> None:
    trade = Trade.read({"id": 1, "pnl": "-60", "fees": "0.50", "commissions": "0.24", "side": 0, "size": 1})
    assert trade is not None
    assert trade.net == Decimal("-60.74")


def test_trade_when_opening_costs_its_fees() -> None:
    trade = Trade.read({"id": 1, "pnl": None, "fees": "0.37", "side": 0, "size": 1})
    assert trade is not None
    assert trade.net == Decimal("-0.37")


def test_pnl_when_one_part_is_unknown_has_no_total() -> None:
    assert Pnl.read({"realized": "-10", "unrealized": None}).total is None
    assert Pnl.read({"realized": "-10", "unrealized": "4.5"}).total == Decimal("-5.5")


def test_lockout_when_kind_is_unknown_is_kept_as_unknown() -> None:
    lock = Lockout.read({"id": 1, "account_id": 2, "kind": "novel"})
    assert lock is not None
    assert lock.kind is Kind.UNKNOWN


def test_enforcement_when_event_and_row_mean_the_same_share_a_key() -> None:
    common = {"account_id": 1, "rule_id": "RULE-003", "triggered_at": "2026-11-20T19:32:05.000000Z", "reason": "why"}
    event = Enforcement.read({**common, "id": None, "action": "close_position", "action_id": 5, "size": 1})
    row = Enforcement.read({**common, "id": 88, "action": "close_position", "action_id": 5, "size": 1, "attempts": 2})
    other = Enforcement.read({**common, "id": 89, "action": "close_position", "action_id": 6, "size": 1})
    assert event is not None
    assert row is not None
    assert other is not None
    assert event.key == row.key
    assert other.key != row.key


def test_enforcement_when_lock_ends_ignores_the_wording() -> None:
    common = {
        "account_id": 1,
        "rule_id": "RULE-003",
        "triggered_at": "2026-11-20T19:32:05Z",
        "action": "lockout_cleared",
    }
    event = Enforcement.read({**common, "id": None, "reason": "Daily realized loss: lockout ended (time)."})
    row = Enforcement.read({**common, "id": 9, "reason": "Ended by time"})
    assert event is not None
    assert row is not None
    assert event.key == row.key


def test_enforcement_when_confirmed_tells_how_long_it_took() -> None:
    entry = Enforcement.read(
        {
            "id": 1,
            "account_id": 1,
            "action": "cancel_order",
            "triggered_at": "2026-11-20T19:32:05.000000Z",
            "confirmed_at": "2026-11-20T19:32:05.084000Z",
        }
    )
    assert entry is not None
    assert entry.took_ms == 84


@pytest.mark.parametrize("row", [{}, {"id": None}, {"id": "x"}, {"account_id": 3}])
def test_rows_when_without_identity_are_left_out(row: dict[str, object]) -> None:
    assert Lockout.read(row) is None
    assert Enforcement.read(row) is None
    assert Order.read(row) is None
    assert Trade.read(row) is None
    assert Rule.read(row) is None
    assert Warn.read(row, None) is None


def test_health_when_zone_is_told_takes_it() -> None:
    assert Health.read({"status": "healthy", "timezone": "America/Chicago"}).timezone == "America/Chicago"
    assert Health.read({"status": "healthy", "reset": {"timezone": "Europe/London"}}).timezone == "Europe/London"
    assert Health.read({}).status == "starting"


@pytest.mark.parametrize(
    ("path", "account", "expected"),
    [
        ("rules.daily_realized_loss.limit", 101, True),
        ("accounts.101.rules.daily_realized_loss.limit", 101, True),
        ("accounts.102.rules.daily_realized_loss.limit", 101, False),
        ("rules.daily_realized_profit.target", 101, False),
    ],
)
def test_pending_when_asked_concerns_its_rule_and_account(path: str, account: int, expected: bool) -> None:
    change = Pending.read({"path": path, "old": -500, "new": -750, "effective_at": None})
    assert change is not None
    assert change.concerns("daily_realized_loss", account) is expected


@pytest.mark.parametrize(
    ("key", "share", "strain"),
    [
        ("max_contracts", 0.99, Strain.CALM),
        ("max_contracts", 1, Strain.FULL),
        ("max_contracts_per_instrument", 1.5, Strain.REACHED),
        ("daily_realized_loss", 0.74, Strain.CALM),
        ("daily_realized_loss", 0.75, Strain.NEAR),
        ("daily_realized_loss", 1, Strain.REACHED),
        ("daily_realized_loss", None, Strain.CALM),
    ],
)
def test_strain_when_a_rule_is_used_up_knows_whether_that_is_allowed(
    key: str, share: float | None, strain: Strain
) -> None:
    rule = Rule.read({"rule_id": "RULE-00X", "key": key, "enabled": True, "share": share})
    assert rule is not None and rule.strain is strain
    off = Rule.read({"rule_id": "RULE-00X", "key": key, "enabled": False, "share": share})
    assert off is not None and off.strain is Strain.CALM
