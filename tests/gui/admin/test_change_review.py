"""What a change adds is told apart from what waits already."""

from __future__ import annotations

from typing import Any

from gui.admin_words import in_force_words, review_words
from gui.change_review import TAKEN_BACK, WAITS, newly_waiting, told_apart

RISK, HOLIDAYS = "risk_config.yaml", "holidays.yaml"
RESET = "2026-12-02T22:00:00.000000Z"
LOSS = "rules.daily_realized_loss.limit"
COUNT = "rules.max_contracts.limit"


def change(path: str, old: Any, new: Any, effect: str = "loosens") -> dict[str, Any]:
    return {
        "path": path, "old": old, "new": new, "effect": effect, "effective_at": RESET if effect == "loosens" else None
    }  # fmt: skip


def waiting(path: str, old: Any, new: Any, file: str = RISK) -> dict[str, Any]:
    return {"id": f"{file} {path} {new}", "file": file, "path": path, "old": old, "new": new, "effective_at": RESET}


def test_review_when_a_change_waits_already_counts_only_what_is_new() -> None:
    preview = [change(LOSS, "-500", "-800"), change(COUNT, 5, 3, "tightens")]
    review = told_apart(preview, [waiting(LOSS, "-500", "-800")], (RISK,))
    assert [row["path"] for row in review.fresh] == [COUNT]
    assert [(row["path"], row["standing"]) for row in review.waiting] == [(LOSS, WAITS)]
    assert not review.loosens
    assert review_words(review) == "1 change. 1 that already waits stays as it is."


def test_review_when_a_waiting_change_is_edited_again_counts_it_as_new() -> None:
    review = told_apart([change(LOSS, "-500", "-900")], [waiting(LOSS, "-500", "-800")], (RISK,))
    assert len(review.fresh) == 1 and not review.waiting and not review.taken_back
    assert review.loosens


def test_review_when_a_waiting_change_is_undone_says_that_it_waits_no_longer() -> None:
    preview = [change(COUNT, 5, 6)]
    review = told_apart(preview, [waiting(LOSS, "-500", "-800")], (RISK,))
    (gone,) = review.taken_back
    assert (gone["path"], gone["old"], gone["new"], gone["standing"]) == (LOSS, "-800", "-500", TAKEN_BACK)
    assert review.changes == review.fresh + review.taken_back
    assert "1 that waits is taken back." in review_words(review)


def test_review_when_another_file_has_waiting_changes_leaves_them_alone() -> None:
    holiday = waiting("dates.2026-12-25", {"closed": True}, None, HOLIDAYS)
    review = told_apart([change(COUNT, 5, 3, "tightens")], [holiday], (RISK,))
    assert not review.waiting and not review.taken_back
    assert told_apart([], [holiday], (RISK, HOLIDAYS)).taken_back


def test_review_when_values_are_groups_compares_them_whatever_their_order() -> None:
    preview = [change("rules.symbol_blocks", None, {"enabled": True, "blocked_symbols": ["RTY"]})]
    pending = [waiting("rules.symbol_blocks", None, {"blocked_symbols": ["RTY"], "enabled": True})]
    assert not told_apart(preview, pending, (RISK,)).fresh


def test_waiting_when_counted_after_a_change_leaves_out_what_waited_before() -> None:
    before = [waiting(LOSS, "-500", "-800")]
    after = [*before, waiting(COUNT, 5, 6), waiting("dates.x", 1, 2, HOLIDAYS)]
    assert newly_waiting(before, after) == 2
    assert in_force_words(0) == "All of it is in force."
    assert in_force_words(1) == "1 change waits for the reset, see Rules, Waiting."
