"""What the trader reads."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from gui import wording
from gui.records import Enforcement, Lockout
from gui.wording import MINUS, Calendar
from tests.gui import sample


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("-510.74", f"{MINUS}510.74"),
        ("1250", "+1,250.00"),
        ("0", "0.00"),
        ("-0.004", "0.00"),
        ("0.005", "0.00"),
        ("-1234567.891", f"{MINUS}1,234,567.89"),
    ],
)
def test_amount_when_signed_has_sign_and_cents(value: str, shown: str) -> None:
    assert wording.amount(Decimal(value)) == shown


def test_counted_when_one_or_more_agrees_in_number() -> None:
    assert [wording.counted(number, "fill") for number in (0, 1, 2)] == ["0 fills", "1 fill", "2 fills"]
    assert wording.counted(2, "entry", "entries") == "2 entries"


def test_amount_when_unknown_is_a_dash_and_never_zero() -> None:
    assert wording.amount(None) == wording.UNKNOWN
    assert wording.amount(None, plain=True) == ""


def test_amount_when_plain_is_readable_by_programs() -> None:
    assert Decimal(wording.amount(Decimal("-1510.7"), plain=True)) == Decimal("-1510.70")


@pytest.mark.parametrize(("value", "arrow"), [("1", "▲"), ("-1", "▼"), ("0", "")])
def test_trend_when_signed_says_it_without_colour(value: str, arrow: str) -> None:
    assert wording.trend(Decimal(value)) == arrow


@pytest.mark.parametrize(
    ("value", "shown"),
    [("21000.25", "21,000.25"), ("5988.5", "5,988.50"), ("0.0066125", "0.0066125"), ("7E+3", "7,000.00")],
)
def test_price_when_shown_keeps_its_decimals(value: str, shown: str) -> None:
    assert wording.price(Decimal(value)) == shown


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (45, "45 s"), (725, "12 min 05 s"), (12_420, "3 h 27 min"), (187_200, "2 days 4 h"), (-5, "0 s")],
)
def test_duration_when_any_length_is_in_words(seconds: int, words: str) -> None:
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(249, "00:04:09"), (98_100, "27:15:00"), (0, "00:00:00"), (-3, "00:00:00"), (400_000, "4 days 15 h")],
)
def test_countdown_when_any_length_runs_as_a_clock(seconds: int, words: str) -> None:
    assert wording.countdown(timedelta(seconds=seconds)) == words


def test_calendar_when_end_is_today_says_the_time_alone() -> None:
    calendar = Calendar()
    assert calendar.until(sample.RESET, sample.NOW) == "17:00 New York"


def test_calendar_when_end_is_another_day_names_the_day() -> None:
    calendar = Calendar()
    assert calendar.until(sample.RESET + timedelta(days=1), sample.NOW) == "Sat 21 Nov, 17:00 New York"
    assert calendar.until(sample.RESET, None) == "Fri 20 Nov, 17:00 New York"


def test_calendar_when_clocks_change_follows_the_zone() -> None:
    calendar = Calendar()
    assert calendar.clock(datetime(2026, 7, 1, 21, 0, tzinfo=UTC)) == "17:00:00"
    assert calendar.clock(datetime(2026, 12, 1, 22, 0, tzinfo=UTC)) == "17:00:00"


@pytest.mark.parametrize("zone", ["Nowhere/Nothing", "", "../etc/passwd"])
def test_calendar_when_zone_is_wrong_falls_back(zone: str) -> None:
    assert Calendar(zone).zone_name == "New York"


def _lock(**changes: object) -> Lockout:
    made = Lockout.read(sample.lockout(1, **changes))
    assert made is not None
    return made


def test_lockout_sentence_when_hard_says_until_when_and_why() -> None:
    words = wording.lockout_sentence(_lock(), Calendar(), sample.NOW)
    assert words == f"Locked until 17:00 New York: daily loss {MINUS}510.74 reached the limit of {MINUS}500.00."


def test_lockout_sentence_when_reason_is_empty_names_the_rule() -> None:
    assert wording.lockout_sentence(_lock(reason=""), Calendar(), sample.NOW).endswith(": Daily realized loss.")


@pytest.mark.parametrize(
    ("kind", "symbol", "head"),
    [
        ("cooldown", None, "Cooling down until 17:00"),
        ("session", None, "Outside the trading session, locked until 17:00"),
        ("symbol", "RTY", "RTY is blocked until 17:00"),
        ("manual", None, "Locked until 17:00"),
        ("novel", None, "Locked until 17:00"),
    ],
)
def test_lockout_headline_when_of_a_kind_says_so(kind: str, symbol: str | None, head: str) -> None:
    words = wording.lockout_headline(_lock(kind=kind, symbol=symbol), Calendar(), sample.NOW)
    assert words.startswith(head)


def test_lockout_headline_when_without_end_names_the_condition() -> None:
    words = wording.lockout_headline(_lock(kind="api", expires_at=None), Calendar(), sample.NOW)
    assert words == "Locked until the broker allows trading again"


@pytest.mark.parametrize("kind", ["hard", "cooldown", "session", "symbol", "api", "manual", "novel"])
def test_lockout_means_when_any_kind_tells_what_follows(kind: str) -> None:
    assert wording.lockout_means(_lock(kind=kind)).endswith(".")


@pytest.mark.parametrize(
    ("positions", "orders", "words"),
    [
        (0, 0, "Nothing is open."),
        (1, 0, "One position is being closed."),
        (2, 1, "2 positions are being closed, one order cancelled."),
        (0, 3, "3 orders are being cancelled."),
    ],
)
def test_progress_when_things_are_open_says_what_happens(positions: int, orders: int, words: str) -> None:
    assert wording.progress(positions, orders) == words


def test_typographic_when_text_has_dates_and_ids_changes_numbers_only() -> None:
    assert wording.typographic("RULE-003: -5 on 2026-11-20, (-7)") == f"RULE-003: {MINUS}5 on 2026-11-20, ({MINUS}7)"


def test_enforcement_sentence_when_closing_says_what_and_why() -> None:
    entry = Enforcement.read(sample.enforcement(1, 10, action="close_position"))
    assert entry is not None
    assert wording.enforcement_sentence(entry) == "Closed position MNQ × 1: MNQ 3 is more than the limit of 2."
