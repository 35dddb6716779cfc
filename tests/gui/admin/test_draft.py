"""The draft: edits, overrides, the patch that leads to it, and its errors."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from gui.admin_words import apply_words, effect_words, setting_name, value_words
from gui.models.admin_draft import Draft
from gui.models.admin_week import week
from gui.wording import Calendar
from shared.config import HolidayCalendar, RiskConfig
from shared.config_changes import tree_of

BASE: dict[str, Any] = {
    "rules": {"daily_realized_loss": {"enabled": True, "limit": "-500"}, "max_contracts": {"limit": 5}},
    "accounts": {"101": {"rules": {"daily_realized_loss": {"limit": "-250.50"}}}},
}


def test_draft_when_edited_gives_the_steps_that_lead_to_it() -> None:
    draft = Draft(BASE)
    assert not draft.changed and draft.patch() == []
    draft.set(("rules", "daily_realized_loss", "limit"), -800)
    draft.switch("max_contracts", False)
    draft.set(("accounts", "102", "rules", "max_contracts", "limit"), 2)
    assert draft.patch() == [
        {"path": ["rules", "daily_realized_loss", "limit"], "value": -800},
        {"path": ["rules", "max_contracts", "enabled"], "value": False},
        {"path": ["accounts", "102"], "value": {"rules": {"max_contracts": {"limit": 2}}}},
    ]
    draft.reset()
    assert not draft.changed


def test_override_when_taken_back_leaves_nothing_behind() -> None:
    draft = Draft(BASE)
    assert draft.rule("daily_realized_loss", 101) == {"enabled": True, "limit": -250.5}
    assert draft.overridden(101, ("daily_realized_loss", "limit"))
    draft.set(("accounts", "101", "rules", "daily_realized_loss", "limit"), None)
    assert draft.rule("daily_realized_loss", 101) == {"enabled": True, "limit": -500}
    assert draft.patch() == [{"path": ["accounts", "101"], "value": None}]
    draft.set(("accounts", "101", "rules", "daily_realized_loss", "limit"), -250.5)
    assert not draft.changed


def test_errors_when_a_value_is_wrong_name_its_path() -> None:
    draft = Draft(BASE)
    draft.set(("rules", "daily_realized_loss", "limit"), 500)
    draft.set(("accounts", "101", "rules", "max_contracts", "limit"), -1)
    errors = draft.errors()
    assert errors["rules", "daily_realized_loss", "limit"] == "must be less than 0"
    assert ("accounts", "101", "rules", "max_contracts", "limit") in errors


@pytest.mark.parametrize(
    ("path", "value", "name", "words"),
    [
        ("rules.daily_realized_loss.limit", -500, "Daily realized loss: Loss limit", "−$500"),
        ("rules.cooldown_after_loss.loss_thresholds", [], "Cooldown after a loss: Steps", "none"),
        ("rules.no_stop_loss_grace.grace_period_seconds", 600, "No stop loss: Grace period", "10 min 00 s"),
        ("policy.admin_unlock.delay_minutes", 15, "Policy: Admin unlock, Delay", "15 min"),
        ("accounts.101.rules.max_contracts.limit", 3, "APEX: Contracts in the account: Limit", "3 contracts"),
        ("rules.max_contracts", None, "Contracts in the account", "not set"),
    ],
)
def test_words_of_a_change_are_those_of_the_form(path: str, value: Any, name: str, words: str) -> None:
    assert setting_name(path, {"101": "APEX"}) == name
    assert value_words(path, value) == words


def test_effect_words_say_when() -> None:
    now = dt.datetime(2026, 12, 2, 15, tzinfo=dt.UTC)
    calendar = Calendar()
    assert effect_words("tightens", None, calendar, now) == "Tightens, now"
    later = {"effect": "loosens", "effective_at": "2026-12-02T22:00:00.000000Z"}
    assert effect_words("loosens", later["effective_at"], calendar, now) == "Loosens, at 17:00 New York"
    assert apply_words([{"effect": "tightens"}, later], calendar, now) == "Apply 1 now, 1 at 17:00 New York"


def test_week_when_there_are_windows_and_holidays_shows_what_the_daemon_allows() -> None:
    rule = RiskConfig.model_validate(
        {
            "rules": {
                "session_block_outside": {
                    "global_session": {"start": "18:00", "end": "17:00", "timezone": "America/New_York",
                                       "days": ["sun", "mon", "tue", "wed", "thu"]},
                    "per_instrument_sessions": {"sessions": {"ES": {"start": "08:30", "end": "15:00",
                                                                    "timezone": "America/Chicago"}}},
                }
            }
        }
    ).rules.session_block_outside  # fmt: skip
    calendar = HolidayCalendar.model_validate(
        {"dates": {"2026-12-24": {"early_close": "12:00"}, "2026-12-25": {"closed": True}}}
    )
    days = week(rule, calendar, dt.date(2026, 12, 21), "America/New_York")
    assert [[band.words for band in bands] for bands in days] == [
        ["00:00 to 17:00", "18:00 to 24:00"],
        ["00:00 to 17:00", "18:00 to 24:00"],
        ["00:00 to 17:00", "18:00 to 24:00"],
        ["00:00 to 13:00"],
        [],
        [],
        ["18:00 to 24:00"],
    ]
    of_es = week(rule, calendar, dt.date(2026, 12, 21), "America/New_York", "ES")
    assert [band.words for band in of_es[0]] == ["09:30 to 16:00"]
    assert all(
        len(bands) == 1 and bands[0].words == "00:00 to 24:00" for bands in week(None, None, dt.date(2026, 3, 2), "UTC")
    )


def test_week_when_the_clocks_change_agrees_with_the_rules_of_the_daemon() -> None:
    """Instant by instant the same as the engine's own sessions, over the week in which the clocks go forward."""
    sessions = pytest.importorskip("daemon.core.sessions")
    risk = RiskConfig.model_validate(
        {"rules": {"session_block_outside": {"global_session": {"start": "01:15", "end": "16:45"}}}}
    )
    rule = risk.rules.session_block_outside
    assert rule is not None and tree_of(rule)
    calendar = HolidayCalendar.model_validate(
        {"timezone": "America/New_York", "dates": {"2026-03-09": {"early_close": "10:00"}}}
    )
    judged = sessions.Sessions(rule.account_window, calendar)
    monday = dt.date(2026, 3, 2)
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    for start in (monday, monday + dt.timedelta(days=7)):
        days = week(rule, calendar, start, "America/New_York")
        for number, bands in enumerate(days):
            for quarter in range(0, 96, 3):
                day = start + dt.timedelta(days=number)
                at = dt.datetime.combine(day, dt.time(quarter // 4, quarter % 4 * 15), zone)
                if at.astimezone(dt.UTC).astimezone(zone).replace(tzinfo=None) != at.replace(tzinfo=None):
                    continue  # an hour that does not exist
                hour = quarter / 4
                shown = any(band.start <= hour < band.end for band in bands)
                micros = int(at.timestamp() * 1_000_000)
                assert shown == (judged.current(micros) is not None), at
