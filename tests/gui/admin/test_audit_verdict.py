"""What the audit page says was checked, and by whom."""

from __future__ import annotations

from typing import Any

from daemon.audit import GENESIS, row_hash
from gui.views.admin.audit import first_break, verdict
from gui.views.tokens import Tone


def log(count: int) -> list[dict[str, Any]]:
    """So many rows as the daemon writes them, newest first."""
    rows: list[dict[str, Any]] = []
    previous = GENESIS
    for number in range(1, count + 1):
        stored = {
            "id": number, "at": f"2026-12-02T15:00:{number:02d}.000000Z", "actor": "admin", "action": "backup_now",
            "params": "{}", "result": "done", "previous_hash": previous,
        }  # fmt: skip
        previous = row_hash(stored)
        rows.append({**stored, "params": {}, "hash": previous})
    return rows[::-1]


def test_verdict_when_all_rows_are_loaded_says_that_both_have_checked_all() -> None:
    tone, headline, sentence = verdict(log(5), intact=True)
    assert (tone, headline) == (Tone.POSITIVE, "The audit log is whole")
    assert sentence == "The daemon has checked all 5 rows; this window has checked all 5 itself."


def test_verdict_when_only_the_newest_rows_are_loaded_says_which_this_window_has_checked() -> None:
    tone, _, sentence = verdict(log(9)[:4], intact=True)
    assert tone == Tone.POSITIVE
    assert sentence.startswith("The daemon has checked all 9 rows; this window itself the rows 6 to 9 that are loaded")


def test_verdict_when_the_daemon_finds_a_break_before_the_loaded_rows_says_where_it_is_not() -> None:
    tone, headline, sentence = verdict(log(9)[:4], intact=False)
    assert (tone, headline) == (Tone.NEGATIVE, "The audit log was tampered with")
    assert "rows 6 to 9 loaded here fit together" in sentence


def test_verdict_when_a_loaded_row_was_changed_names_it_even_if_the_daemon_sees_nothing() -> None:
    rows = log(6)
    rows[2]["result"] = "refused"
    assert first_break(rows) == 4
    for intact, words in ((True, "though the daemon calls the log whole"), (False, "broken too")):
        tone, _, sentence = verdict(rows, intact=intact)
        assert tone == Tone.NEGATIVE and sentence.startswith("Row 4 is not as it was written") and words in sentence


def test_verdict_when_nothing_was_done_yet_is_no_alarm_unless_rows_are_missing() -> None:
    assert verdict([], intact=True)[0] == Tone.NEUTRAL
    assert verdict([], intact=False)[0] == Tone.NEGATIVE
